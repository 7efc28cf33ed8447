// How things are said: durations, moments, states. Nothing here touches the page but el, which makes elements: text that comes
// from targets becomes text nodes, never HTML.

export function el(tag, attributes = {}, ...children) {
  const svg = ['svg', 'path', 'line', 'g', 'circle', 'text', 'rect', 'use', 'title'].includes(tag)
  const e = svg ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) e.setAttribute(name, '')
    else if (value !== undefined && value !== null && value !== false) e.setAttribute(name, value)
  }
  e.append(...children.filter((c) => c !== undefined && c !== null && c !== ''))
  return e
}

export const states = ['down', 'stale', 'up', 'unknown']

// What may be asked for: the word of the API, what a person reads, the number in the totals.
export const filters = [
  ['', 'all', 'all'], ['down', 'down', 'down'], ['stale', 'stale', 'stale'], ['up', 'up', 'up'], ['unknown', 'unknown', 'unknown'],
  ['breaker-open', 'breaker open', 'breaker_open'], ['kept-down', 'link lost', 'kept_down'],
]

export const shape = (word) => el('svg', { width: 12, height: 12, class: `shape ${word}`, 'aria-hidden': 'true' }, el('use', { href: `#s-${word}` }))

const whole = new Intl.NumberFormat('en')
export const count = (n) => whole.format(n)
export const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`

// micros says a duration in microseconds with three digits: 84 µs, 1.23 ms, 450 ms, 2.10 s.
export function micros(us) {
  if (us === undefined || us === null) return ''
  if (us < 1000) return `${Math.round(us)} µs`
  const [n, unit] = us < 999500 ? [us / 1000, 'ms'] : [us / 1e6, 's']
  return `${n < 9.995 ? n.toFixed(2) : n < 99.95 ? n.toFixed(1) : n.toFixed(0)} ${unit}`
}

// named says whom an entry is about: of a line ip,domain,tag,port its name and port, and if there is room the address behind them.
export function named(entry, room = true) {
  const parts = entry.split(',')
  if (parts.length !== 4) return entry
  const [ip, domain, , port] = parts
  const at = (host) => (port ? `${host.includes(':') ? `[${host}]` : host}:${port}` : host)
  return domain && ip && room ? `${at(domain)} (${ip})` : at(domain || ip)
}

// span says how long something took or is away, in its largest unit: 45 s, 12 min, 3 h, 14 d.
export function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000))
  if (s < 60) return `${s} s`
  if (s < 3600) return `${Math.floor(s / 60)} min`
  if (s < 48 * 3600) return `${Math.floor(s / 3600)} h`
  return `${count(Math.floor(s / 86400))} d`
}

export const ago = (at, now) => (at ? `${span(now - at)} ago` : '')

const today = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const before = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' })
const date = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' })
export const clockTime = (at, now) => (now - at < 20 * 3600e3 ? today : before).format(at)
export const day = (at) => date.format(at)

// Whose fault a failure is.
export const sides = { local: 'our side', remote: "the target's side", policy: 'by your rules' }
export const side = (word) => sides[word] ?? ''
export const shortSide = (word) => ({ local: 'our side', remote: 'their side', policy: 'by rule' })[word] ?? ''

// causes are who ended a kept connection, and how; by the words of the API.
const causes = {
  fin: 'the peer closed it (FIN)', rst: 'the peer reset it (RST)', timeout: 'nothing was acknowledged (timeout)', silence: 'a heartbeat was not answered (silence)',
  protocol: 'a heartbeat was answered wrongly', local: 'this machine ended it', released: 'it was not wanted any more',
}
export const cause = (word) => causes[word] ?? word

// cert says when a certificate ends: what, how, and whether that is soon (21 d) or over.
export function cert(at, now) {
  if (!at) return { text: '', level: '' }
  const left = at - now
  if (left < 0) return { text: 'ended', level: 'bad', title: `the certificate ended ${day(at)}, ${span(-left)} ago` }
  return { text: span(left), level: left < 7 * 864e5 ? 'bad' : left < 21 * 864e5 ? 'soon' : '', title: `the certificate ends ${day(at)}` }
}

// part is how much of its threshold a phase took, 1 at most; and whether a person should look: soon, or since it is over.
export function part(us, limit) {
  if (us === undefined || !limit) return { share: 0, level: '' }
  const share = Math.min(1, us / limit)
  return { share, level: share >= 1 ? 'bad' : share >= 0.8 ? 'soon' : '' }
}

// quantile is by the nearest rank over totals that are no failures.
export function quantile(totals, percent) {
  const sorted = totals.filter((t) => t >= 0).sort((a, b) => a - b)
  return sorted.length ? sorted[Math.max(1, Math.ceil((sorted.length * percent) / 100)) - 1] : undefined
}
