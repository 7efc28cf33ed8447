package show

import (
	"io"
	"strings"
	"sync"
	"time"

	"sonde/bench/result"
	"sonde/report"
	"sonde/report/draw"
)

// sparkSeconds is how many seconds the live view's line of time goes back.
const sparkSeconds = 60

// Live is the view of a load while it runs: on a terminal a block that is drawn over and over, on anything else a line each
// second. All methods are safe for concurrent use; errors of the output have nobody to be told. Make one with [NewLive].
type Live struct {
	w     io.Writer
	kind  string
	block *draw.Block // nil where there is no terminal

	mu    sync.Mutex
	style report.Style
	seen  bool
	last  result.Interval
	// failed and lost are those of all intervals before last.
	failed, lost uint64
	rates        []float64 // of the last seconds, that of last included
}

// NewLive returns a view of a load of that kind (result.Hold and so on) that draws on w. A width of [report.Unbounded] says that w is no terminal. Nothing is written before
// the first Update.
func NewLive(w io.Writer, kind string, style report.Style) *Live {
	l := &Live{w: w, kind: kind, style: style}
	if style.Width != report.Unbounded {
		l.block = draw.NewBlock(w)
	}
	return l
}

// Above returns a Writer of whole lines to w, which ends at the same terminal: what else is to be told while the view stands
// must go through it.
func (l *Live) Above(w io.Writer) io.Writer {
	if l.block == nil {
		return w
	}
	return l.block.Above(w)
}

// Resize tells that the terminal has another width now, in columns.
func (l *Live) Resize(width int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.block != nil {
		l.style.Width = max(width, 0)
	}
}

// Update shows an interval of all processes together, and how many connections are wanted. An interval
// with the index of the one before replaces it, and writes no line of its own where there is no terminal; a lower index begins a
// new run.
func (l *Live) Update(i *result.Interval, wanted uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen && i.Index < l.last.Index { // the load runs again
		l.seen, l.failed, l.lost, l.rates = false, 0, 0, nil
	}
	again := l.seen && i.Index == l.last.Index
	if l.seen && !again {
		l.failed += l.last.Failed
		l.lost += l.last.Lost
	}
	rate, _ := rateOf(i)
	switch {
	case again:
		l.rates[len(l.rates)-1] = rate
	default:
		for missing := i.Index - l.last.Index - 1; l.seen && missing > 0 && missing < sparkSeconds; missing-- {
			l.rates = append(l.rates, 0) // seconds in which nothing was
		}
		l.rates = append(l.rates, rate)
		l.rates = l.rates[max(len(l.rates)-sparkSeconds, 0):]
	}
	l.last, l.seen = *i, true
	if l.block != nil {
		l.block.Show(l.drawn(wanted))
	} else if !again {
		io.WriteString(l.w, l.line(wanted)+"\n")
	}
}

// Close takes the view off the terminal. An Update after that would draw it again.
func (l *Live) Close() {
	if l.block != nil {
		l.block.Clear()
	}
}

// rateOf is what a load is about in that second: operations or, while there are none, connections opened.
func rateOf(i *result.Interval) (rate float64, what string) {
	n, what := i.Operations, ""
	if n == 0 && i.Opened > 0 {
		n, what = i.Opened, " opened"
	}
	return float64(n) / result.IntervalLength.Seconds(), what
}

// cell is a figure of the view.
type cell struct {
	text  string
	color draw.Color
}

// figures are those of the last second, the most telling first but for the elapsed time.
func (l *Live) figures(wanted uint64) []cell {
	i := &l.last
	rate, what := rateOf(i)
	cells := []cell{
		{draw.Elapsed(time.Duration(i.Index+1) * result.IntervalLength), ""},
		{draw.Rate(rate) + what, draw.Bold},
	}
	if l.kind != result.Handshake {
		cells = append(cells, cell{draw.Count(i.Held) + " of " + draw.Count(wanted) + " held", ""})
	}
	cells = append(cells, judged(l.failed+i.Failed, "failed"))
	if lost := l.lost + i.Lost; lost > 0 {
		cells = append(cells, judged(lost, "lost"))
	}
	if l.kind == result.Hold { // all of them are in flight, as the engine has it
		return append(cells, cell{draw.Count(i.InFlight-min(i.Held, i.InFlight)) + " opening", ""})
	}
	return append(cells, cell{draw.Count(i.InFlight) + " in flight", ""})
}

// latency are the percentiles of the last second.
func (l *Live) latency(ascii bool) []cell {
	var cells []cell
	if l.last.WarmUp && l.kind != result.Hold {
		cells = append(cells, cell{"warm-up", draw.Yellow})
	}
	h, err := l.last.Latency.Histogram()
	if err != nil || h.Count() == 0 {
		return cells
	}
	for _, q := range []struct {
		name string
		q    float64
	}{{"p50 ", 0.5}, {"p99 ", 0.99}} {
		cells = append(cells, cell{q.name + draw.Duration(h.Quantile(q.q), ascii), ""})
	}
	return append(cells, cell{"max " + draw.Duration(h.Max(), ascii), ""})
}

// line is the view where there is no terminal: one line in ASCII and without colour.
func (l *Live) line(wanted uint64) string {
	figures := l.figures(wanted)
	parts := make([]string, 0, len(figures))
	for _, c := range append(figures[1:], l.latency(true)...) {
		parts = append(parts, c.text)
	}
	return figures[0].text + ": " + strings.Join(parts, ", ")
}

// drawn is the view on a terminal: three lines, none as wide as the terminal is, since some break a full line.
func (l *Live) drawn(wanted uint64) string {
	width := l.style.Columns() - 1
	latency := l.latency(l.style.ASCII)
	if len(latency) == 0 {
		latency = []cell{{"no answer in this second", draw.Dim}}
	}
	return l.joined(l.figures(wanted), width) + "\n" + l.joined(latency, width) + "\n" + l.spark(width)
}

// joined is as many cells as fit, in a line.
func (l *Live) joined(cells []cell, width int) string {
	var line strings.Builder
	used := 0
	for _, c := range cells {
		columns := draw.Width(c.text)
		if used > 0 {
			columns += 2
		}
		if used += columns; used > width {
			break
		}
		if line.Len() > 0 {
			line.WriteString("  ")
		}
		line.WriteString(l.style.Paint(c.color, c.text))
	}
	return line.String()
}

func (l *Live) spark(width int) string {
	most := 0.0
	for _, rate := range l.rates {
		most = max(most, rate)
	}
	label := "  most " + draw.Rate(most)
	columns := min(width-len(label), sparkSeconds)
	if columns < 1 || most == 0 {
		return ""
	}
	return l.style.Paint(draw.Green, draw.Spark(l.rates, columns, l.style.ASCII)) + label
}
