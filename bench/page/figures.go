package page

import (
	"fmt"
	"slices"

	"sonde/bench/result"
)

// latencyNames are what the latencies of intervals are, by kind of load.
var latencyNames = map[string]string{
	result.Hold:      "Heartbeats",
	result.Handshake: "Handshakes",
	result.Request:   "Requests, from the intended start",
}

// latencyFigures are percentiles over time, the heat map, and the curves.
func latencyFigures(r *result.Report, t *timeline) []figure {
	var list []figure
	if t != nil && t.any(func(b *bin) bool { return b.count > 0 }) {
		lines := percentileSeries()
		ch := &chart{title: "Latency percentiles over time", series: lines, text: micros, log: true}
		f := figure{Title: ch.title, Note: latencyNames[r.Kind] + each(t), SVG: drawn(ch.draw(t)), Over: true}
		for i := len(lines) - 1; i >= 0; i-- {
			f.Legend = append(f.Legend, legend{lines[i].key, lines[i].name})
		}
		list = append(list, f)
		const title = "Heat map of latency by time"
		m := newHeatMap(t)
		list = append(list, figure{Title: title, Note: "How many were of each length" + each(t), SVG: drawn(m.draw(title)),
			Legend: m.legend(), Strip: true, Over: true})
	}
	all := curves(&r.Total.Phases)
	for i := range all {
		cv := &all[i]
		f := figure{Title: cv.title, SVG: drawn(cv.draw()), Legend: cv.legend(), Table: cv.table()}
		f.Note = "Latency against 1/(1-q), both logarithmic"
		if cv.of != nil {
			us, share := cv.ours(0.99)
			f.Note = fmt.Sprintf("At p99, %s of %s was %s (%s)", micros(us), micros(toMicros(cv.of.Quantile(0.99))), cv.own, percent(share))
		}
		list = append(list, f)
	}
	return list
}

// each says how long the stretches of t are, to end a note.
func each(t *timeline) string {
	if t.width == 1 {
		return ", each second"
	}
	return fmt.Sprintf(", each %d s", t.width)
}

// loadFigures are what was done and used over time.
func loadFigures(t *timeline) []figure {
	if t == nil {
		return nil
	}
	list := []figure{rateFigure(t), rampFigure(t)}
	if t.any(func(b *bin) bool { return b.resident >= 0 }) {
		ch := &chart{title: "Memory over time", text: size, fill: true,
			unit:   func(top float64) float64 { unit, _ := sizeUnit(top); return unit },
			series: []series{{"k-total", "resident", func(b *bin) (float64, bool) { return float64(b.resident), b.resident >= 0 }, true}}}
		list = append(list, figure{Title: ch.title, Note: "Resident memory of all processes of this load", SVG: drawn(ch.draw(t)), Over: true})
	}
	if t.any(func(b *bin) bool { return b.cpu > 0 }) {
		ch := &chart{title: "CPU over time", text: number, fill: true, unit: func(float64) float64 { return 0.01 },
			series: []series{{"k-total", "cores", func(b *bin) (float64, bool) { return b.cpu.Seconds() / b.seconds(), true }, false}}}
		list = append(list, figure{Title: ch.title, Note: "Cores busy with this load, user and system", SVG: drawn(ch.draw(t)), Over: true})
	}
	return list
}

// rateFigure is throughput, and failures below it if there were any.
func rateFigure(t *timeline) figure {
	ch := &chart{title: "Throughput over time", text: number, mark: short, fill: true, series: []series{
		{"k-total", "operations a second", func(b *bin) (float64, bool) { return b.perSecond(b.operations), true }, false}}}
	f := figure{Note: "Operations a second; none failed", Over: true}
	if t.any(func(b *bin) bool { return b.failed > 0 || b.lost > 0 }) {
		ch.title = "Throughput and failures over time"
		ch.belowName = "failures a second"
		ch.below = []series{{"k-failed", "failures a second", func(b *bin) (float64, bool) { return b.perSecond(b.failed), true }, false}}
		f.Note = "Operations a second, and failures a second on a scale of their own"
		f.Legend = []legend{{"k-total", "operations"}, {"k-failed", "failures"}}
		if t.any(func(b *bin) bool { return b.lost > 0 }) {
			ch.below = append(ch.below, series{"k-lost", "dropped a second", func(b *bin) (float64, bool) { return b.perSecond(b.lost), true }, false})
			f.Legend = append(f.Legend, legend{"k-lost", "connections dropped"})
		}
	}
	f.Title, f.SVG = ch.title, drawn(ch.draw(t))
	return f
}

// rampFigure is how many connections stood, and how many had been opened. Where they are opened again and again the latter
// would only hide the others.
func rampFigure(t *timeline) figure {
	ch := &chart{title: "Connections over time", text: number, mark: short, series: []series{
		{"k-total", "held", func(b *bin) (float64, bool) { return float64(b.held), true }, true},
		{"k-third", "in flight", func(b *bin) (float64, bool) { return float64(b.inFlight), true }, true},
	}}
	f := figure{Title: ch.title, Note: "Held and in flight at each moment", Over: true}
	most := uint64(0)
	for i := range t.bins {
		most = max(most, t.bins[i].held+t.bins[i].inFlight)
	}
	if opened := t.bins[len(t.bins)-1].openedSoFar; opened <= 3*most {
		f.Note = "The ramp: held and in flight at each moment, opened since the start"
		ch.series = slices.Insert(ch.series, 1, series{"k-opened", "opened", func(b *bin) (float64, bool) { return float64(b.openedSoFar), true }, true})
	}
	for _, s := range ch.series {
		f.Legend = append(f.Legend, legend{s.key, s.name})
	}
	f.SVG = drawn(ch.draw(t))
	return f
}
