// The page: what is asked for is in its address, so that a link shows the same; what is known comes by pages, and then by events.
import { el, named, shape, filters, count, plural, states } from './words.js'
import { Table } from './table.js'
import { detail, failureList, status } from './detail.js'

const $ = (id) => document.getElementById(id)
const asked = { view: 'targets', q: '', state: '', job: '', sort: '' }
let skew = 0 // the server's clock less ours, in milliseconds
const now = () => Date.now() + skew
let totals = { all: 0 }
let open = null // the target in the panel
let stream

async function get(path) {
  const answer = await fetch(path, { headers: { accept: 'application/json' } })
  if (!answer.ok) throw Object.assign(new Error(await answer.text()), { status: answer.status })
  return answer.json()
}

// ---- what is asked for

const inAddress = (o) => new URLSearchParams(Object.entries(o).filter(([, v]) => v))

function readAddress() {
  const from = new URLSearchParams(location.search)
  for (const key of Object.keys(asked)) asked[key] = from.get(key) ?? ''
  if (!['targets', 'failures', 'status'].includes(asked.view)) asked.view = 'targets'
  $('q').value = asked.q
  $('sort').value = asked.sort
}

function ask(change) {
  const goes = change.view && change.view !== asked.view // to where the browser's Back comes from
  Object.assign(asked, change)
  const { view, ...rest } = asked
  const query = inAddress({ view: view === 'targets' ? '' : view, ...rest }).toString()
  history[goes ? 'pushState' : 'replaceState'](null, '', `${location.pathname}${query ? `?${query}` : ''}${location.hash}`)
  show()
}

const table = new Table($('table'), {
  async fetch(offset, limit) {
    const { view, ...filter } = asked
    const page = await get(`api/v1/targets?${inAddress({ ...filter, offset: String(offset), limit: String(limit), spark: '1' })}`)
    skew = page.at - Date.now()
    took(page)
    return page
  },
  open: (row) => { location.hash = `${encodeURIComponent(row.job)}/${encodeURIComponent(row.instance)}` },
  order: (word) => ask({ sort: word }),
  moved: () => listenSoon(),
})

// took shows what comes with each page of rows.
function took(page) {
  tell(page.totals)
  showMatching(page.matching)
  $('matched').textContent = page.matched === page.totals.all ? plural(page.matched, 'target', 'targets') : `${count(page.matched)} of ${plural(page.totals.all, 'target', 'targets')}`
  const jobs = ['', ...page.jobs]
  const select = $('job')
  if ([...select.options].map((o) => o.value).join('\n') !== jobs.join('\n')) {
    select.replaceChildren(...jobs.map((j) => el('option', { value: j }, j || 'all')))
  }
  select.value = asked.job
  $('empty').hidden = page.matched > 0
  $('empty').textContent = page.totals.all ? 'No target is like that.' : 'There are no targets yet.'
}

function show() {
  for (const id of ['targets', 'failures', 'status']) {
    $(id).hidden = asked.view !== id
    document.querySelector(`[data-view=${id}]`).toggleAttribute('aria-current', asked.view === id)
  }
  for (const b of $('totals').children) b.setAttribute('aria-pressed', b.dataset.state === asked.state)
  $('sort').value = asked.sort
  table.ordered(asked.sort)
  table.reset()
  table.selected = -1
  $('table').scrollTop = 0
  table.load(0)
  refreshViews()
}

// ---- totals, title, icon

$('totals').append(...filters.map(([word, text], i) => el('button', { type: 'button', 'data-state': word, 'aria-pressed': 'false', class: `is-${word || 'all'}`, title: `key ${i + 1}` },
  word ? shape(word) : '', el('b', {}, '–'), el('span', {}, text))))
$('totals').addEventListener('click', (e) => {
  const b = e.target.closest('button')
  if (b) ask({ state: b.dataset.state === asked.state ? '' : b.dataset.state })
})
$('share').append(...states.map((s) => el('i', { class: `is-${s}` })))

// showMatching shows the numbers on the buttons: of what the search finds, in whatever state.
function showMatching(of) {
  filters.forEach(([, , key], i) => {
    const b = $('totals').children[i]
    b.querySelector('b').textContent = count(of[key])
    b.classList.toggle('none', !of[key])
  })
}

function tell(all) {
  totals = all
  states.forEach((s, i) => { $('share').children[i].style.flexGrow = all[s] })
  if (!asked.q && !asked.job) showMatching(all)
  headline()
}

// The icons are in here, since the one that says that the server is gone can't be asked of it.
const icon = (inner) => `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">${inner}</svg>`)}`
const icons = {
  up: icon('<circle cx="8" cy="8" r="6.5" fill="#0f8a78"/>'),
  down: icon('<path d="M.5 2h15L8 15.5z" fill="#d2401f"/>'),
  stale: icon('<path d="M8 .5 15.5 8 8 15.5.5 8z" fill="#b87700"/>'),
  unknown: icon('<circle cx="8" cy="8" r="5.5" fill="none" stroke="#7a7f87" stroke-width="2.5"/>'),
  lost: icon('<path d="M3 3l10 10M13 3 3 13" stroke="#7a7f87" stroke-width="3" stroke-linecap="round"/>'),
}

function headline() {
  const lost = $('live').dataset.state === 'lost'
  const word = lost ? 'lost' : totals.down ? 'down' : totals.stale ? 'stale' : totals.up ? 'up' : 'unknown'
  const text = lost ? 'connection lost' : totals.down ? `▼ ${count(totals.down)} down` : totals.stale ? `◆ ${count(totals.stale)} stale` : totals.up ? `● ${count(totals.up)} up` : 'no outcome yet'
  document.title = `${text} · sonde watch`
  if ($('icon').getAttribute('href') !== icons[word]) $('icon').setAttribute('href', icons[word])
}

// ---- events

function live(state, text) {
  if ($('live').dataset.state === state) return
  $('live').dataset.state = state
  $('live-text').textContent = text
  headline()
}

let listenTimer = 0
let listened = ''

// listenSoon listens for what is seen now, once it stands still.
function listenSoon() {
  clearTimeout(listenTimer)
  listenTimer = setTimeout(() => listen(false), 300)
}

function listen(anew) {
  const ids = [...new Set([...table.seenRows().map((r) => r.id), ...(open?.id === undefined ? [] : [open.id])])].slice(0, 200).sort((a, b) => a - b).join(',')
  if (!anew && stream && stream.readyState !== EventSource.CLOSED && ids === listened) return
  listened = ids
  stream?.close()
  const source = stream = new EventSource(`api/v1/events?ids=${ids}`)
  source.onmessage = (e) => {
    const was = $('live').dataset.state
    live('on', 'live')
    if (was === 'lost') { // what was missed is asked for
      table.refresh()
      refreshViews()
    }
    took2(JSON.parse(e.data))
  }
  source.onerror = () => {
    live('lost', 'connection lost, reconnecting')
    // A browser tries again itself, but not when the server has refused it.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => source === stream && listen(true), 3000)
  }
}

let refreshed = 0

function took2(tick) {
  skew = tick.at - Date.now()
  const changed = tick.totals.all !== totals.all || tick.turned
  tell(tick.totals)
  for (const row of tick.rows ?? []) {
    table.news(row)
    if (open && row.id === open.id) refreshDetail()
  }
  // Who is on the page, and in which order, is asked again when states changed, and from time to time.
  if ((changed && Date.now() - refreshed > 2000) || Date.now() - refreshed > 15000) {
    refreshed = Date.now()
    table.refresh()
    refreshViews()
    refreshDetail() // of a target that is gone nothing comes
  }
  table.age(now())
}

// ---- the other views, the panel

async function refreshViews() {
  try {
    if (asked.view === 'failures') {
      const { failures } = await get('api/v1/failures?limit=300')
      $('all-failures').replaceWith(Object.assign(failureList(failures, now()), { id: 'all-failures' }))
      if (!failures.length) $('all-failures').append(el('li', { class: 'none' }, 'None that is remembered.'))
    }
    const s = await get('api/v1/status')
    $('status-alert').hidden = !(s.config.error || s.not_ready || s.sources.some((x) => x.error))
    if (asked.view === 'status') status($('status-body'), s, now())
  } catch {
    // Told by the state of the connection.
  }
}

async function refreshDetail() {
  const was = open
  if (!was || was.gone) return
  try {
    const known = await get(`api/v1/history?${inAddress({ job: was.job, instance: was.instance })}`)
    if (open !== was) return
    const isNew = was.id === undefined
    was.id = known.target.id
    const scrolled = $('detail').querySelector('.body')?.scrollTop ?? 0
    const focused = $('detail').contains(document.activeElement) && document.activeElement.className
    detail($('detail'), known, now())
    $('detail').querySelector('.body').scrollTop = scrolled
    if (isNew || focused === '') $('detail').querySelector('h2').focus({ preventScroll: true })
    else if (focused) $('detail').querySelector(`.${focused}`)?.focus()
    if (isNew) listenSoon()
  } catch (e) {
    was.gone = e.status === 404
    if (open === was && (was.gone || was.id === undefined)) { // else it is the connection, which says so itself
      $('detail').replaceChildren(el('header', {}, el('h2', { tabindex: -1 }, named(was.instance)), el('button', { type: 'button', class: 'close', 'aria-label': 'Close' }, '×'), el('p', {}, String(e.message))))
    }
  }
}

function readHash() {
  const [job, instance] = location.hash.slice(1).split('/').map(decodeURIComponent)
  open = job && instance ? { job, instance } : null
  $('detail').hidden = !open
  document.body.classList.toggle('opened', Boolean(open))
  if (open) {
    $('detail').replaceChildren()
    refreshDetail()
  }
}

function close() {
  history.replaceState(null, '', location.pathname + location.search)
  readHash()
  $('table').focus({ preventScroll: true })
}

// ---- hands

$('detail').addEventListener('click', (e) => { if (e.target.closest('.close')) close() })
for (const b of document.querySelectorAll('[data-view]')) b.addEventListener('click', () => ask({ view: b.dataset.view }))
$('filter').addEventListener('submit', (e) => {
  e.preventDefault()
  $('table').focus()
})
let typing = 0
$('q').addEventListener('input', () => {
  clearTimeout(typing)
  typing = setTimeout(() => ask({ q: $('q').value.trim() }), 150)
})
$('job').addEventListener('change', () => ask({ job: $('job').value }))
$('sort').addEventListener('change', () => ask({ sort: $('sort').value }))
$('keys').addEventListener('click', () => $('help').showModal())

const screenful = () => Math.max(1, Math.floor($('table').clientHeight / table.rowHeight) - 2)
const keys = {
  '/': () => { ask({ view: 'targets' }); $('q').focus(); $('q').select() },
  '?': () => $('help').showModal(),
  j: () => table.select(table.selected + 1), ArrowDown: () => table.select(table.selected + 1),
  k: () => table.select(Math.max(0, table.selected - 1)), ArrowUp: () => table.select(Math.max(0, table.selected - 1)),
  g: () => table.select(0), Home: () => table.select(0), G: () => table.select(table.matched - 1), End: () => table.select(table.matched - 1),
  PageDown: () => table.select(table.selected + screenful()), PageUp: () => table.select(Math.max(0, table.selected - screenful())),
  Enter: () => { const row = table.row(table.selected); if (row) table.on.open(row) },
  Escape: () => { if (open) close(); else if (asked.q || asked.state) { $('q').value = ''; ask({ q: '', state: '' }) } },
}
filters.forEach(([word], i) => { keys[i + 1] = () => ask({ view: 'targets', state: word }) })

addEventListener('keydown', (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || $('help').open) return
  const inField = e.target.matches('input, select, textarea')
  if (inField && e.key === 'Escape') {
    if (e.target === $('q') && $('q').value) { $('q').value = ''; ask({ q: '' }) } else $('table').focus()
    return
  }
  // A key that means something where the focus is keeps its meaning.
  if (inField || (e.key === 'Enter' && e.target.matches('button, a')) || (open && $('detail').contains(e.target) && !['Escape', 'j', 'k', '/', '?'].includes(e.key))) return
  const does = keys[e.key]
  if (!does || (asked.view !== 'targets' && !/^[/?1-7]$|Escape/.test(e.key))) return
  e.preventDefault()
  does()
  if (open && (e.key === 'j' || e.key === 'k')) keys.Enter()
})
addEventListener('hashchange', readHash)
addEventListener('popstate', () => { // comes with a change of the hash, too
  const was = JSON.stringify(asked)
  readAddress()
  if (JSON.stringify(asked) !== was) show()
})
document.addEventListener('visibilitychange', () => { if (!document.hidden) table.refresh() })

readAddress()
show()
readHash()
listenSoon()
