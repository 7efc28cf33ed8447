// The pictures: a line for a row, a chart for one target. Failures have a shape of their own at the foot.
import { el, micros, clockTime, quantile } from './words.js'

const width = 120
const height = 26
const foot = 4 // for failures

// spark is the totals of a row: negative for a probe that failed.
export function spark(totals) {
  const svg = el('svg', { viewBox: `0 0 ${width} ${height}`, width, height, class: 'sparkline', role: 'img' })
  const p50 = quantile(totals, 50)
  const p99 = quantile(totals, 99)
  const failed = totals.filter((t) => t < 0).length
  svg.append(el('title', {}, totals.length ? `${totals.length} probes: p50 ${micros(p50) || 'none'}, p99 ${micros(p99) || 'none'}, ${failed} failed` : 'no history yet'))
  if (!totals.length) return svg
  const top = Math.max((p99 ?? 0) * 1.1, (p50 ?? 0) * 1.4, 1)
  const step = width / Math.max(totals.length, 30)
  const left = width - step * totals.length
  const x = (i) => (left + (i + 0.5) * step).toFixed(1)
  const y = (us) => (height - foot - 1 - (Math.min(us, top) / top) * (height - foot - 3)).toFixed(1)
  if (p50 !== undefined) {
    svg.append(el('path', { d: `M0 ${y(p99)}H${width}`, class: 'q99' }), el('path', { d: `M0 ${y(p50)}H${width}`, class: 'q50' }))
  }
  let line = ''
  let feet = ''
  let pen = 'M'
  totals.forEach((us, i) => {
    if (us < 0) {
      feet += `M${x(i)} ${height}v-${foot + 2}`
      pen = 'M'
    } else {
      // One alone between two failures is a dot: a line of no length with round ends.
      line += `${pen}${x(i)} ${y(us)}${pen === 'M' ? `h0` : ''}`
      pen = 'L'
    }
  })
  svg.append(el('path', { d: line, class: 'line' }), el('path', { d: feet, class: 'feet', 'stroke-width': Math.max(1, step * 0.55).toFixed(1) }))
  return svg
}

// nice is the least round number not below n: of microseconds, for the end of an axis.
function nice(n) {
  const unit = 10 ** Math.floor(Math.log10(Math.max(n, 1)))
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((k) => k * unit).find((k) => k >= n * 0.999)
}

// chart is the history of one target: its total over time, of which connect and TLS are filled; p50, p99 and the limit as lines.
export function chart(points, { p50_us: p50, p99_us: p99, limit, now }) {
  const [w, h, right, bottom, upper] = [400, 180, 46, 22, 10]
  const svg = el('svg', { viewBox: `0 0 ${w} ${h}`, class: 'chart', role: 'img' })
  const good = points.filter((p) => p.status === 'success' && p.total_us !== undefined)
  svg.append(el('title', {}, `${points.length} probes, ${points.length - good.length} failed; p50 ${micros(p50) || 'none'}, p99 ${micros(p99) || 'none'}`))
  if (points.length < 1) {
    svg.append(el('text', { x: w / 2, y: h / 2, 'text-anchor': 'middle' }, 'no history yet'))
    return svg
  }
  let top = nice(Math.max((p99 ?? 0) * 1.1, ...good.map((p) => Math.min(p.total_us, (p99 ?? 0) * 3)), 10))
  if (limit && limit < top * 1.5) top = nice(Math.max(top, limit))
  const first = points[0].at
  const last = Math.max(points.at(-1).at, first + 1000)
  const x = (at) => (6 + ((at - first) / (last - first)) * (w - right - 14)).toFixed(1)
  const y = (us) => (h - bottom - 12 - (Math.min(us, top) / top) * (h - bottom - 12 - upper)).toFixed(1)
  for (const part of [0, 0.5, 1]) {
    svg.append(el('path', { d: `M0 ${y(top * part)}H${w - right}`, class: 'grid' }))
    if (good.length) svg.append(el('text', { x: w, y: Number(y(top * part)) + 3.5, 'text-anchor': 'end' }, part ? micros(top * part) : '0'))
  }
  const area = (of) => {
    let d = ''
    let run = []
    const close = () => {
      if (run.length) d += `M${x(run[0].at)} ${y(0)}` + run.map((p) => `L${x(p.at)} ${y(of(p))}`).join('') + `L${x(run.at(-1).at)} ${y(0)}Z`
      run = []
    }
    for (const p of points) p.status === 'success' && p.total_us !== undefined ? run.push(p) : close()
    close()
    return d
  }
  svg.append(el('path', { d: area((p) => (p.connect_us ?? 0) + (p.tls_us ?? 0)), class: 'area tls' }), el('path', { d: area((p) => p.connect_us ?? 0), class: 'area connect' }))
  if (p50 !== undefined) {
    svg.append(el('path', { d: `M0 ${y(p99)}H${w - right}`, class: 'q99' }), el('path', { d: `M0 ${y(p50)}H${w - right}`, class: 'q50' }))
  }
  if (limit && limit <= top) svg.append(el('path', { d: `M0 ${y(limit)}H${w - right}`, class: 'limit' }))
  let line = ''
  let pen = 'M'
  for (const p of points) {
    if (p.status === 'success' && p.total_us !== undefined) {
      line += `${pen}${x(p.at)} ${y(p.total_us)}${pen === 'M' ? 'h0' : ''}`
      pen = 'L'
    } else {
      pen = 'M'
      const cx = Number(x(p.at))
      svg.append(el('path', { d: `M${cx - 3.5} ${h - bottom - 9}h7l-3.5 6.5z`, class: 'fell' }, el('title', {}, `${clockTime(p.at, now)}: ${p.status}`)))
    }
  }
  svg.append(el('path', { d: line, class: 'line' }),
    el('text', { x: 0, y: h - 5 }, clockTime(first, now)), el('text', { x: w - right, y: h - 5, 'text-anchor': 'end' }, clockTime(points.at(-1).at, now)))
  return svg
}
