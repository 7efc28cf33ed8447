// Package show makes text for a person of what a load did: the report at its end, and the view of it while it runs. What is
// drawn here is all in package result; it counts and judges nothing that a reader of the JSON could not.
package show

import (
	"io"
	"strings"

	"sonde/bench/result"
	"sonde/internal/histogram"
	"sonde/report"
	"sonde/report/draw"
)

// The report keeps to these widths in columns, as the summary of a scan does.
const (
	leastWidth = 76
	mostWidth  = 120
	// nameCell is the width of the titles of lines and sections, with the gap behind them.
	nameCell = 13
	timeCell = 9
)

// page is a report under way.
type page struct {
	draw.Page
	r *result.Report
	t *result.Part // r.Total
}

// Write writes the end of a load for a person by one call of w.Write, and returns its error: what was done, what it cost, how
// long it took and how much of that was our own, what failed and what to do about it, and whether the figures can be believed.
func Write(w io.Writer, r *result.Report, style report.Style) error {
	p := &page{Page: draw.NewPage(style, leastWidth, mostWidth), r: r, t: r.Total}
	p.headline()
	switch r.Kind {
	case result.Hold:
		p.hold()
	case result.Handshake:
		p.handshake()
	default:
		p.request()
	}
	p.rates()
	p.searched()
	p.failures()
	p.workers()
	p.engine()
	p.warnings()
	_, err := p.WriteTo(w)
	return err
}

// headline is what was done in one line, or two where it is narrow.
func (p *page) headline() {
	t := p.t
	failed, lost := t.Failures.Total()
	var parts []cell
	if p.r.Kind == result.Hold {
		parts = []cell{
			{draw.Count(t.Held) + " of " + draw.Plural(t.Wanted, "connection") + " held for " + p.Duration(t.Measured), ""},
			judged(failed-lost, "failed"), judged(lost, "lost"),
		}
	} else {
		parts = []cell{
			{draw.Plural(t.Operations, noun(p.r.Kind)) + " in " + p.Duration(t.Measured), ""},
			{draw.Rate(t.OperationsPerSecond()), ""}, judged(failed, "failed"),
		}
	}
	if p.r.Stopped != "" {
		text, _ := draw.AppendFitted(nil, "stopped early: "+p.r.Stopped, p.Width/2, "~")
		parts = append(parts, cell{string(text), draw.Yellow})
	}
	start := "bench " + visible(p.r.Kind) + ": "
	p.Text(start)
	used := len(start)
	for i, part := range parts {
		if i > 0 {
			p.Text(", ")
			used += 2
		}
		if used+draw.Width(part.text)+1 > p.Width {
			p.End()
			p.Spaces(len(start))
			used = len(start)
		}
		p.Colored(part.color, part.text)
		used += draw.Width(part.text)
	}
	p.End()
}

// judged is a number that had better be 0.
func judged(n uint64, what string) cell {
	if n == 0 {
		return cell{"none " + what, draw.Green}
	}
	return cell{draw.Count(n) + " " + what, draw.Red}
}

// noun is what an operation of a load is called.
func noun(kind string) string {
	switch kind {
	case result.Hold:
		return "heartbeat"
	case result.Handshake:
		return "handshake"
	}
	return "request"
}

// line appends a line that begins with a title; text is wrapped below itself.
func (p *page) line(title, text string) {
	p.Colored(draw.Bold, title)
	p.Spaces(nameCell - len(title))
	p.Wrapped(text, nameCell, nameCell)
}

// more appends a line below another one's text.
func (p *page) more(text string) {
	p.Spaces(nameCell)
	p.Wrapped(text, nameCell, nameCell)
}

// note appends a remark to the table above it.
func (p *page) note(text string) {
	p.Text(string(p.startOf(draw.Dim)))
	p.Wrapped(text, 0, 0)
	p.Text(string(p.startOf(draw.Reset)))
}

// startOf is the sequence of a colour that goes over several lines.
func (p *page) startOf(color draw.Color) draw.Color {
	if !p.Style.Color {
		return ""
	}
	return color
}

// phase is the latencies of a phase; never nil.
func (p *page) phase(phase result.Phase) *histogram.Histogram {
	if h := p.t.Phases[phase]; h != nil {
		return h
	}
	return histogram.New()
}

// rateWanted is the rate that was asked for, a second; 0 for as fast as the answers came.
func (p *page) rateWanted() float64 {
	if len(p.r.Searched) > 0 { // the report is of the highest that kept the promise, or of the last
		best := p.r.Searched[len(p.r.Searched)-1].Rate
		if i := p.bestTrial(); i >= 0 {
			best = p.r.Searched[i].Rate
		}
		return best
	}
	rate, _ := p.r.Config["rate_per_s"].(float64)
	return rate
}

// bestTrial is the index of the highest rate that kept the promise, -1 if none did.
func (p *page) bestTrial() int {
	best := -1
	for i, trial := range p.r.Searched {
		if trial.Kept && (best < 0 || trial.Rate > p.r.Searched[best].Rate) {
			best = i
		}
	}
	return best
}

// word is a text of the config; empty if it is not there or none.
func (p *page) word(name string) string {
	s, _ := p.r.Config[name].(string)
	return visible(s)
}

func visible(s string) string { return strings.TrimSpace(string(draw.AppendVisible(nil, s))) }
