// One target, looked at closely; the list of failures; how sonde itself is.
import { el, named, shape, micros, span, ago, clockTime, day, side, cause, cert, part, count, plural } from './words.js'
import { chart } from './draw.js'

// fact is a line of a list of facts, if there is something to say.
const fact = (name, ...value) => (value.some((v) => v !== undefined && v !== null && v !== '') ? [el('dt', {}, name), el('dd', {}, ...value)] : [])

// detail fills the panel with what /api/v1/history says.
export function detail(panel, { target: t, limits, points, failures, p50_us, p99_us }, now) {
  const limit = limits[t.job] ?? {}
  panel.replaceChildren(
    el('header', {},
      el('h2', { tabindex: -1, title: t.instance }, named(t.instance)),
      el('button', { type: 'button', class: 'close', 'aria-label': 'Close' }, '×'),
      el('p', { class: `verdict is-${t.state}` }, shape(t.state), el('b', {}, t.state), t.since ? ` for ${span(now - t.since)}, since ${clockTime(t.since, now)}` : ''),
      ...verdict(t, now)),
    el('div', { class: 'body' },
      el('section', {}, el('h3', {}, 'Latency', el('small', {}, legend(points, p50_us, p99_us))), chart(points, { p50_us, p99_us, limit: limit.total_us, now }),
        el('p', { class: 'key', 'aria-hidden': 'true' }, el('i', { class: 'connect' }), 'connect', el('i', { class: 'tls' }), 'TLS', el('i', { class: 'total' }), 'total', el('i', { class: 'fell' }), 'failed')),
      el('section', {}, el('h3', {}, t.kept ? 'Last connect' : 'Last probe', el('small', {}, t.last ? ago(t.last.at, now) : 'none yet')), phases(t.last ?? {}, limit)),
      el('section', {}, el('h3', {}, 'What is known'), el('dl', {}, ...facts(t, now))),
      el('section', {}, el('h3', {}, 'Last failures'), failures.length ? failureList(failures, now, false) : el('p', { class: 'none' }, 'none that is remembered'))))
}

function verdict(t, now) {
  const says = []
  const f = t.failure
  if (f && t.last?.status !== 'success') {
    says.push(el('p', { class: 'why' }, el('b', {}, f.status), f.error ? ` ${f.error}` : '', el('small', {}, side(f.side))))
  }
  if (t.fallback) says.push(el('p', { class: 'why' }, 'answered by its fallback, ', el('b', {}, t.fallback)))
  return says
}

function legend(points, p50, p99) {
  const failed = points.filter((p) => p.status !== 'success').length
  return [p50 !== undefined ? `p50 ${micros(p50)}, p99 ${micros(p99)}` : '', failed ? `${count(failed)} of ${count(points.length)} failed` : ''].filter(Boolean).join(' · ')
}

function phases(last, limit) {
  const names = [['dns', 'DNS'], ['connect', 'Connect'], ['tls', 'TLS'], ['first_byte', 'First byte'], ['total', 'Total']]
  return el('table', { class: 'phases' }, el('tbody', {}, ...names.filter(([key]) => last[`${key}_us`] !== undefined).map(([key, name]) => {
    const us = last[`${key}_us`]
    const most = limit[`${key}_us`]
    const { share, level } = part(us, most)
    const bar = el('span', { class: 'bar', 'data-level': level })
    bar.style.setProperty('--share', share)
    return el('tr', {}, el('th', { scope: 'row' }, name), el('td', { class: 'n' }, micros(us)), el('td', {}, most ? bar : ''), el('td', { class: 'n most' }, most ? `of ${micros(most)}` : ''))
  })))
}

function facts(t, now) {
  const c = cert(t.cert_expiry, now)
  const k = t.kept
  return [
    ...fact('Job', t.job), ...fact('Module', t.module), ...fact('Address', t.address), ...fact(k ? 'Heartbeat' : 'Every', k ? `every ${span(t.interval_ms)}` : span(t.interval_ms)),
    ...fact('Probes', `${count(t.probes)}, ${count(t.failures)} failed${t.failures_in_a_row ? `, the last ${count(t.failures_in_a_row)} in a row` : ''}`),
    ...(k?.up ? [] : fact('Last good', t.last_good ? `${clockTime(t.last_good, now)}, ${ago(t.last_good, now)}` : 'never')),
    ...fact('HTTP', t.http_status ? String(t.http_status) : ''), ...fact('TLS', t.tls_version),
    ...(t.cert_expiry ? fact('Certificate', el('span', { 'data-level': c.level }, c.level === 'bad' && c.text === 'ended' ? `ended ${day(t.cert_expiry)}` : `ends ${day(t.cert_expiry)}, in ${c.text}`)) : []),
    ...fact('Breaker', t.breaker === 'closed' ? 'closed' : el('span', { class: 'broken' }, shape('breaker-open'), t.breaker + (t.breaker_until > now ? `, next try in ${span(t.breaker_until - now)}` : ''))),
    ...(k ? fact('Connection', el('span', { class: k.up ? 'held' : 'lost' }, k.up ? 'held' : 'lost'), k.since ? ` for ${span(now - k.since)}` : '', k.up && k.rtt_us !== undefined ? `, heartbeat ${micros(k.rtt_us)}` : '') : []),
    ...(k ? fact('Drops', count(k.drops) + (k.cause ? `, the last: ${cause(k.cause)}` : '')) : []),
    ...Object.entries(t.labels ?? {}).flatMap(([name, value]) => fact(name, value)),
  ]
}

export function failureList(failures, now, whose = true) {
  return el('ol', { class: 'failures' }, ...failures.map((f) => failure(f, now, whose)))
}

function failure(f, now, whose) {
  const what = [el('time', {}, clockTime(f.at, now)), el('b', {}, f.status), el('small', {}, side(f.side)), el('p', {}, f.error ?? '')]
  if (!whose) return el('li', {}, ...what)
  return el('li', {}, el('a', { href: `#${encodeURIComponent(f.job)}/${encodeURIComponent(f.instance)}`, title: f.instance }, named(f.instance)), el('i', {}, f.job), ...what)
}

// status fills the view of how sonde itself is.
export function status(body, s, now) {
  const c = s.config
  const wrong = c.error ? el('p', { class: 'wrong', role: 'alert' }, el('b', {}, 'The last configuration was refused'), c.failed ? ` ${ago(c.failed, now)}` : '', '; the one before it runs on.', el('pre', {}, c.error)) : ''
  body.replaceChildren(
    el('h2', {}, 'Configuration'), wrong,
    el('dl', {}, ...fact('File', c.file), ...fact('Runs since', c.loaded ? `${clockTime(c.loaded, now)}, ${ago(c.loaded, now)}` : 'not yet'),
      ...fact('sonde', `${s.version}, up for ${span(s.uptime_s * 1000)}`), ...(s.not_ready ? fact('Not ready', s.not_ready) : [])),
    ...(c.warnings.length ? [el('h3', {}, plural(c.warnings.length, 'warning', 'warnings')), el('ul', { class: 'warnings' }, ...c.warnings.map((w) => el('li', {}, w)))] : []),
    el('h2', {}, 'Sources of targets'),
    s.sources.length ? sources(s.sources, c, now) : el('p', { class: 'none' }, 'none'),
    el('h2', {}, 'Engine'),
    el('dl', { class: 'figures' }, ...s.engine.flatMap((f) => fact(f.name, figure(f)))))
}

function sources(all, config, now) {
  return el('div', { class: 'wide' }, el('table', { class: 'sources' },
    el('thead', {}, el('tr', {}, ...['Job', 'Kind', 'From', 'Targets', 'Read', 'State'].map((h, i) => el('th', { scope: 'col', class: i === 3 ? 'n' : '' }, h)))),
    el('tbody', {}, ...all.map((s) => el('tr', {}, el('td', {}, s.job), el('td', {}, s.kind), el('td', {}, s.name || config.file), el('td', { class: 'n' }, count(s.targets)), el('td', {}, ago(s.read ?? config.loaded, now)),
      el('td', { class: s.error ? 'lost' : '' }, s.error ? `! ${s.error}` : 'ok'))))))
}

function figure({ value, unit }) {
  if (unit === 's') return micros(value * 1e6)
  if (unit === 'B') return value < 1 << 20 ? `${(value / 1024).toFixed(0)} KiB` : `${(value / (1 << 20)).toFixed(1)} MiB`
  return Number.isInteger(value) ? count(value) : value.toPrecision(3)
}
