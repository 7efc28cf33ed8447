// The table of targets: as many rows as fit are in the page, whatever there are; they are asked for by pages.
import { el, named, shape, micros, span, ago, side, shortSide, cause, cert, part, count, quantile } from './words.js'
import { spark } from './draw.js'

const pageSize = 100
const keptPages = 12
const sparkPoints = 60

// The columns: class, what the head says, and the order that a press of it asks for.
const columns = [
  ['state', 'State', 'state'], ['name', 'Target', ''], ['spark', 'Latency'], ['n p50', 'p50'], ['n p99', 'p99'], ['n phase dns', 'DNS'],
  ['n phase connect', 'Connect'], ['n phase tls', 'TLS'], ['n phase total', 'Total', 'total'], ['n cert', 'Cert', 'expiry'], ['link', 'Link'], ['fail', 'Last failure'],
]

export class Table {
  // on: fetch(offset, limit) gives a page, open(row), order(word), moved() when other rows are seen.
  constructor(root, on) {
    this.root = root
    this.on = on
    this.head = root.querySelector('#head')
    this.body = root.querySelector('#rows')
    this.template = document.getElementById('row').content.firstElementChild
    this.matched = 0
    this.selected = -1
    this.limits = {}
    this.lived = new Map() // elements by index
    this.reset()
    this.head.append(...columns.map(([c, text, order]) => el('div', { class: c, role: 'columnheader' },
      order === undefined ? text : el('button', { type: 'button', 'data-order': order }, text))))
    this.head.addEventListener('click', (e) => {
      const order = e.target.closest('button')?.dataset.order
      if (order !== undefined) on.order(order)
    })
    this.body.addEventListener('click', (e) => {
      const at = Number(e.target.closest('.row')?.dataset.index)
      if (this.row(at)) {
        this.select(at)
        on.open(this.row(at))
      }
    })
    let frame = 0
    const soon = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0
        this.draw()
      })
    }
    root.addEventListener('scroll', soon, { passive: true })
    new ResizeObserver(soon).observe(root)
  }

  // reset forgets all rows: another question is asked.
  reset() {
    this.pages = new Map() // rows by number of page; a Promise's place is taken while it is under way
    this.asked = new Set()
    this.question = (this.question ?? 0) + 1
  }

  ordered(word) {
    for (const b of this.head.querySelectorAll('button')) {
      const cell = b.parentElement
      if (b.dataset.order === word) cell.setAttribute('aria-sort', word === '' || word === 'expiry' ? 'ascending' : 'descending')
      else cell.removeAttribute('aria-sort')
    }
  }

  row(index) {
    return this.pages.get(Math.floor(index / pageSize))?.[index % pageSize]
  }

  get rowHeight() {
    return this.measured ??= Number.parseFloat(getComputedStyle(this.root).getPropertyValue('--row')) || 44
  }

  // seen is the range of indexes that are in the window, with some around it.
  seen() {
    const above = 6
    const first = Math.max(0, Math.floor(this.root.scrollTop / this.rowHeight) - above)
    const last = Math.min(this.matched, first + Math.ceil(this.root.clientHeight / this.rowHeight) + 2 * above)
    return [first, last]
  }

  seenRows() {
    const [first, last] = this.seen()
    const rows = []
    for (let i = first; i < last; i++) if (this.row(i)) rows.push(this.row(i))
    return rows
  }

  // load fetches a page of the question that is asked now.
  async load(number, anew = false) {
    if (this.asked.has(number) || (!anew && this.pages.has(number))) return
    const question = this.question
    this.asked.add(number)
    try {
      const page = await this.on.fetch(number * pageSize, pageSize)
      if (question !== this.question) return
      this.pages.set(number, page.targets)
      this.matched = page.matched
      Object.assign(this.limits, page.limits)
      for (const old of this.pages.keys()) {
        if (this.pages.size <= keptPages) break
        if (Math.abs(old - number) > 2) this.pages.delete(old)
      }
      this.draw()
      this.on.moved()
    } catch {
      // The state of the connection is told by who holds it; what is wanted is asked for again then.
    } finally {
      if (question === this.question) this.asked.delete(number)
    }
  }

  // refresh asks again for what is seen.
  refresh() {
    const [first, last] = this.seen()
    for (let n = Math.floor(first / pageSize); n <= Math.floor(Math.max(first, last - 1) / pageSize); n++) this.load(n, true)
  }

  draw() {
    this.measured = undefined
    const [first, last] = this.seen()
    this.body.style.height = `${this.matched * this.rowHeight}px`
    this.root.setAttribute('aria-rowcount', this.matched + 1)
    for (const [index, e] of this.lived) {
      if (index < first || index >= last) {
        e.remove()
        this.lived.delete(index)
      }
    }
    for (let n = Math.floor(first / pageSize); n * pageSize < last; n++) this.load(n)
    for (let i = first; i < last; i++) this.place(i)
    const seen = `${first}-${last}`
    if (seen !== this.lastSeen) {
      this.lastSeen = seen
      this.on.moved()
    }
  }

  place(index) {
    let e = this.lived.get(index)
    if (!e) {
      e = this.template.cloneNode(true)
      e.dataset.index = index
      e.id = `row-${index}`
      e.setAttribute('aria-rowindex', index + 2)
      this.lived.set(index, e)
      const after = [...this.body.children].find((c) => Number(c.dataset.index) > index)
      this.body.insertBefore(e, after ?? null)
    }
    e.style.transform = `translateY(${index * this.rowHeight}px)`
    e.setAttribute('aria-selected', index === this.selected)
    const row = this.row(index)
    if (e.shows !== row) {
      e.shows = row
      if (row) fill(e, row, this.limits[row.job] ?? {}, Date.now())
      e.classList.toggle('waiting', !row)
    }
  }

  // news takes a row that was probed again.
  news(row) {
    for (const [number, rows] of this.pages) {
      const i = rows.findIndex((r) => r.id === row.id && r.job === row.job && r.instance === row.instance)
      if (i < 0) continue
      row.spark = grown(rows[i], row)
      rows[i] = row
      const e = this.lived.get(number * pageSize + i)
      if (e) this.place(number * pageSize + i)
    }
  }

  // age says again what depends on the time alone.
  age(now) {
    for (const e of this.lived.values()) if (e.shows) fillTimes(e, e.shows, now)
  }

  select(index) {
    if (!this.matched) return
    this.selected = Math.min(Math.max(index, 0), this.matched - 1)
    const top = this.selected * this.rowHeight
    const room = this.root.clientHeight - this.head.offsetHeight
    if (top < this.root.scrollTop) this.root.scrollTop = top
    else if (top + this.rowHeight > this.root.scrollTop + room) this.root.scrollTop = top + this.rowHeight - room
    this.root.setAttribute('aria-activedescendant', `row-${this.selected}`)
    this.draw()
  }
}

// grown is the history of a row with the outcome that is new.
function grown(was, is) {
  const totals = [...(was.spark?.totals ?? [])]
  if (is.last && is.last.at !== was.last?.at) {
    const total = is.last.total_us ?? 0
    totals.push(is.last.status === 'success' ? total : -total - 1)
  } else if (is.kept?.rtt_us !== undefined && is.kept.rtt_us !== was.kept?.rtt_us) {
    totals.push(is.kept.rtt_us)
  }
  const kept = totals.slice(-Math.max(sparkPoints, was.spark?.totals.length ?? 0))
  return { totals: kept, p50_us: quantile(kept, 50), p99_us: quantile(kept, 99) }
}

function fill(e, row, limits, now) {
  const q = (s) => e.querySelector(s)
  e.className = `row is-${row.state}`
  q('.state use').setAttribute('href', `#s-${row.state}`)
  q('.state b').textContent = row.state
  q('.name b').textContent = named(row.instance, false)
  q('.name b').title = row.instance
  q('.name small').textContent = [row.job, ...Object.entries(row.labels ?? {}).map(([k, v]) => `${k}=${v}`)].join(' · ')
  q('.spark').replaceChildren(spark(row.spark?.totals ?? []))
  q('.p50').textContent = micros(row.spark?.p50_us)
  q('.p99').textContent = micros(row.spark?.p99_us)
  for (const phase of ['dns', 'connect', 'tls', 'total']) fillPhase(q(`.${phase}`), row.last?.[`${phase}_us`], limits[`${phase}_us`])
  const link = q('.link')
  link.replaceChildren()
  if (row.kept) link.append(el('span', { class: row.kept.up ? 'held' : row.kept.since ? 'lost' : '' }, row.kept.up ? 'held ' : row.kept.since ? 'lost ' : 'none yet', el('time')))
  if (row.breaker !== 'closed') link.append(el('span', { class: 'broken', title: `breaker ${row.breaker}` }, shape('breaker-open'), row.breaker === 'open' ? 'open' : 'trial'))
  const f = row.failure
  q('.fail b').textContent = f ? f.status : ''
  q('.fail').title = f ? `${f.error ?? ''} (${side(f.side)})` : ''
  fillTimes(e, row, now)
}

function fillPhase(cell, us, limit) {
  const { share, level } = part(us, limit)
  cell.textContent = micros(us)
  cell.dataset.level = level
  cell.style.setProperty('--share', share)
  cell.classList.toggle('limited', share > 0)
  cell.title = limit && us !== undefined ? `${micros(us)}; should be less than ${micros(limit)}` : ''
}

function fillTimes(e, row, now) {
  const q = (s) => e.querySelector(s)
  q('.state small').textContent = row.since ? span(now - row.since) : ''
  const c = cert(row.cert_expiry, now)
  q('.cert').textContent = c.text
  q('.cert').dataset.level = c.level
  q('.cert').title = c.title ?? ''
  const held = q('.link time')
  if (held) held.textContent = row.kept.since ? span(now - row.kept.since) : ''
  if (row.kept) q('.link').title = `${count(row.kept.drops)} drops${row.kept.cause ? `, the last: ${cause(row.kept.cause)}` : ''}`
  q('.fail small').textContent = row.failure ? `${ago(row.failure.at, now)} · ${shortSide(row.failure.side)}` : ''
}
