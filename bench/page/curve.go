package page

import (
	"fmt"
	"math"
	"slices"

	"sonde/bench/result"
	"sonde/internal/histogram"
)

// curve is latency by percentile, for some phases on one scale.
type curve struct {
	title string
	lines []curveLine
	// of and without are the lines between which our own part lies; nil if it can't be told. own is what that is.
	of, without *histogram.Histogram
	own         string
}

// curveLine is one phase.
type curveLine struct {
	key, name string
	h         *histogram.Histogram
}

// curves are those that the phases of a load have.
func curves(phases *result.Phases) []curve {
	type line struct {
		key, name string
		phase     result.Phase
	}
	const queueing = "our own queueing"
	// What was the peer's is told of full and resumed handshakes together, so that ours can be told if there is one sort.
	handshake := result.TLS
	switch full, resumed := has(phases, result.TLS), has(phases, result.TLSResumed); {
	case full && resumed:
		handshake = result.NumPhases
	case resumed:
		handshake = result.TLSResumed
	}
	var list []curve
	for _, plan := range []struct {
		title       string
		of, without result.Phase
		own         string
		lines       []line
	}{
		{"Latency by percentile", result.Latency, result.Peer, queueing, []line{
			{"k-total", "latency, from the intended start", result.Latency},
			{"k-peer", "without our own queueing", result.Peer},
			{"k-third", "service, from the write", result.Service},
		}},
		{"TLS handshake by percentile", handshake, result.TLSWait, "our own computing and queueing", []line{
			{"k-total", "full handshake", result.TLS},
			{"k-third", "resumed", result.TLSResumed},
			{"k-peer", "the peer's and the network's part", result.TLSWait},
		}},
		{"Connect by percentile", result.Connect, result.KernelRTT, queueing, []line{
			{"k-total", "connect, as sonde saw it", result.Connect},
			{"k-peer", "as the kernel measured it", result.KernelRTT},
		}},
	} {
		c := curve{title: plan.title, own: plan.own}
		for _, l := range plan.lines {
			if h := phases[l.phase]; has(phases, l.phase) {
				c.lines = append(c.lines, curveLine{l.key, l.name, h})
				switch l.phase {
				case plan.of:
					c.of = h
				case plan.without:
					c.without = h
				}
			}
		}
		if c.of == nil || c.without == nil {
			c.of, c.without = nil, nil
		}
		if len(c.lines) > 0 {
			list = append(list, c)
		}
	}
	return list
}

// has tells whether anything was counted of a phase.
func has(phases *result.Phases, phase result.Phase) bool {
	return phases[phase] != nil && phases[phase].Count() > 0
}

// stepsPerDecade is how many points a curve has for each nine.
const stepsPerDecade = 16

// at is the latency of h for which one in every "of" is longer, in microseconds; at least 1, for a logarithmic scale.
func at(h *histogram.Histogram, of float64) float64 {
	return max(toMicros(h.Quantile(1-1/of)), 1)
}

// count is how many latencies the line with the most has.
func (cv *curve) count() float64 {
	most := uint64(0)
	for _, l := range cv.lines {
		most = max(most, l.h.Count())
	}
	return float64(most)
}

// draw makes the picture.
func (cv *curve) draw() string {
	f := frame{edgeLeft, edgeTop, pictureWidth - edgeRight - 8, pictureHeight - edgeBottom}
	c := newCanvas(cv.title, cv.describe(), pictureWidth, pictureHeight)
	lo, hi := math.Inf(1), 1.0
	for _, l := range cv.lines {
		lo, hi = min(lo, at(l.h, 1)), max(hi, toMicros(l.h.Max()))
	}
	y := scale{from: f.bottom, to: f.top, log: true}
	var ticks []tick
	y.lo, y.hi, ticks = logTicks(lo, hi, micros)
	x := scale{lo: 1, hi: max(cv.count(), 10), from: f.left, to: f.right, log: true}
	if cv.of != nil {
		p := outline(cv.of, x, y, nil)
		c.stroke(outline(cv.without, x, y, p), "between")
	}
	c.valueAxis(f, y, ticks)
	c.baseAxis(f, x, percentileTicks(x.hi), "percentile, each nine as wide as the one before")
	for _, l := range slices.Backward(cv.lines) { // where lines are one, the first is what is seen
		c.stroke(outline(l.h, x, y, nil), "line "+l.key)
	}
	step := math.Pow(10, 2.0/stepsPerDecade)
	for of := 1.0; of < x.hi*step; of *= step {
		c.hover(f, x.at(of/math.Sqrt(step)), x.at(of*math.Sqrt(step))-x.at(of/math.Sqrt(step)), cv.tell(of))
	}
	return c.element()
}

// outline is the curve of h; if there is one to come back from, the line back from its end, closed.
func outline(h *histogram.Histogram, x, y scale, there *path) *path {
	var places [][2]float64
	last := float64(h.Count())
	for i := 0; ; i++ {
		of := math.Pow(10, float64(i)/stepsPerDecade)
		if of >= last {
			break
		}
		places = append(places, [2]float64{x.at(of), y.at(at(h, of))})
	}
	places = append(places, [2]float64{x.at(last), y.at(max(toMicros(h.Max()), 1))})
	if there != nil {
		for i := len(places) - 1; i >= 0; i-- {
			there.line(places[i][0], places[i][1])
		}
		there.close()
		return there
	}
	p := new(path)
	p.move(places[0][0], places[0][1])
	for _, place := range places {
		p.line(place[0], place[1])
	}
	return p
}

// percentileTicks marks the percentiles up to 1-1/hi.
func percentileTicks(hi float64) []tick {
	decades := int(math.Log10(hi) + 1e-9)
	each := 1 + decades/6
	ticks := []tick{{1, "0"}}
	if decades <= 5 {
		ticks = append(ticks, tick{2, "50"})
	}
	for n := each; n <= decades; n += each {
		of := math.Pow(10, float64(n))
		ticks = append(ticks, tick{of, quantileWord(1 - 1/of)[1:]})
	}
	return ticks
}

// tell is what the curve says of the percentile that one in every "of" is over.
func (cv *curve) tell(of float64) string {
	text := "p" + number(100*(1-1/of))
	if of > 100 { // number would round it to 100
		text = fmt.Sprintf("1 in %s is longer", short(of))
	}
	for _, l := range cv.lines {
		if of <= float64(l.h.Count()) {
			text += "\n" + l.name + ": " + micros(at(l.h, of))
		}
	}
	return text
}

func (cv *curve) describe() string {
	text := "Both scales are logarithmic."
	for _, l := range cv.lines {
		text += fmt.Sprintf(" %s: p50 %s, p99 %s, greatest %s.", l.name, micros(toMicros(l.h.Quantile(0.5))),
			micros(toMicros(l.h.Quantile(0.99))), micros(toMicros(l.h.Max())))
	}
	return text
}

// told are the percentiles of the curve's table.
var told = []float64{0.50, 0.75, 0.90, 0.99, 0.999, 0.9999, 0.99999, 1}

// table is the curve as figures, and how much of each was ours.
func (cv *curve) table() *table {
	t := &table{Caption: cv.title, Head: []column{{Name: "Percentile"}}}
	for _, l := range cv.lines {
		t.Head = append(t.Head, column{l.name, true})
	}
	if cv.of != nil {
		t.Head = append(t.Head, column{cv.own, true}, column{"share", true})
	}
	for _, q := range told {
		if q > 0.5 && q < 1 && 1/(1-q) > cv.count()*(1+1e-9) {
			continue // there are too few to tell
		}
		row := []string{quantileWord(q)}
		if q == 1 {
			row[0] = "greatest"
		}
		for _, l := range cv.lines {
			row = append(row, micros(toMicros(l.h.Quantile(q))))
		}
		if cv.of != nil {
			ours, share := cv.ours(q)
			row = append(row, micros(ours), percent(share))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// ours is how much of the latency at q was our own, in microseconds and as a share. Where the kernel measured more than we
// saw (its clock runs on another moment) it is nothing.
func (cv *curve) ours(q float64) (us, share float64) {
	all := toMicros(cv.of.Quantile(q))
	us = max(all-toMicros(cv.without.Quantile(q)), 0)
	if all > 0 {
		share = us / all
	}
	return us, share
}

// legend is what the lines mean.
func (cv *curve) legend() []legend {
	var list []legend
	for _, l := range cv.lines {
		list = append(list, legend{Key: l.key, Name: l.name})
	}
	if cv.of != nil {
		list = append(list, legend{Key: "k-between", Name: cv.own})
	}
	return list
}
