package report

import (
	"io"
	"strings"
	"time"
)

// The end summary keeps to these widths in columns, whatever the terminal: narrower, its tables would break; wider, the
// eye would lose the row.
const (
	summaryMin = 76 // the latency table
	summaryMax = 120
	// causesShown is how many texts of one status are shown, the most frequent ones.
	causesShown = 3
	// oursLimit is the p99 of sonde's own part of the connect time above which the summary warns: the figure that the
	// engine is built to keep (docs/records.md).
	oursLimit = 2 * time.Millisecond
)

// WriteSummary writes the end of a run for a person: statuses, latencies with a drawn histogram, failures by cause with
// what to do about each, and what the engine counted. It makes one call of w.Write and returns its error.
func WriteSummary(w io.Writer, r *Run, style Style) error {
	p := page{style: style, width: min(max(style.width(), summaryMin), summaryMax)}
	p.headline(r)
	p.statuses(r.Summary)
	p.probes(r.Summary)
	p.latencies(r.Summary)
	p.resumption(r.Summary.Resumption())
	p.histogram("CONNECT", r.Summary.Phase(PhaseConnect))
	p.failures(r.Summary)
	p.engine(&r.Engine)
	_, err := w.Write(p.buf)
	return err
}

// page is a text under way.
type page struct {
	style Style
	width int
	buf   []byte
}

// text appends the parts as they are.
func (p *page) text(parts ...string) {
	for _, part := range parts {
		p.buf = append(p.buf, part...)
	}
}

// end ends a line and takes the blanks off its end.
func (p *page) end() {
	for len(p.buf) > 0 && p.buf[len(p.buf)-1] == ' ' {
		p.buf = p.buf[:len(p.buf)-1]
	}
	p.buf = append(p.buf, '\n')
}

// colored appends s in a colour.
func (p *page) colored(color sgr, s string) {
	if !p.style.Color || s == "" {
		p.text(s)
		return
	}
	p.text(string(color), s, string(sgrReset))
}

// section begins a section: an empty line, then its bold title in a cell of that width.
func (p *page) section(title string, width int) {
	p.end()
	p.colored(sgrBold, title)
	p.buf = appendSpaces(p.buf, width-len(title))
}

// right appends s at the right of a cell of that width.
func (p *page) right(s string, width int) {
	p.buf = appendSpaces(p.buf, width-displayWidth(s))
	p.text(s)
}

// left appends s at the left of a cell of that width.
func (p *page) left(s string, width int) {
	p.text(s)
	p.buf = appendSpaces(p.buf, width-displayWidth(s))
}

func (p *page) headline(r *Run) {
	p.text(plural(r.Summary.Records(), "record"), " of ", plural(r.Targets, "target"), " in ",
		formatDuration(r.Duration(), p.style.ASCII), ", ", formatRate(r.Rate()))
	if r.Excluded > 0 {
		noun := " addresses"
		if r.Excluded == 1 {
			noun = " address"
		}
		p.text(", ", formatCount(r.Excluded), noun, " excluded")
	}
	if r.Stopped != "" {
		p.text(", ")
		p.colored(sgrYellow, "stopped early: "+r.Stopped)
	}
	p.end()
}

// Cells of the tables, in columns.
const (
	nameCell  = 22 // the longest status and a gap
	countCell = 13 // up to 9,999,999,999
	shareCell = 8
	timeCell  = 8
)

func (p *page) statuses(s *Summary) {
	counts := s.Counts()
	total := counts.Total()
	if total == 0 {
		return
	}
	p.section("STATUS", nameCell)
	p.right("RECORDS", countCell)
	p.right("SHARE", shareCell)
	p.end()
	for _, status := range counts.top(int(NumStatuses)) {
		p.colored(sgrOf(status), status.String())
		p.buf = appendSpaces(p.buf, nameCell-len(status.String()))
		p.right(formatCount(counts[status]), countCell)
		p.right(formatShare(counts[status], total), shareCell)
		p.text("  ")
		p.colored(sgrOf(status), bar(counts[status], total, p.width-nameCell-countCell-shareCell-2, p.style.ASCII))
		p.end()
	}
}

// probes tells the probes apart where there were several.
func (p *page) probes(s *Summary) {
	probes := s.Probes()
	if len(probes) < 2 {
		return
	}
	p.section("PROBE", nameCell)
	p.right("RECORDS", countCell)
	p.right("SUCCESS", shareCell)
	p.end()
	for _, probe := range probes {
		name := probe.Probe
		if name == "" {
			name = "(none)" // an entry that made no target
		}
		cell, used := appendFitted(nil, name, nameCell-gap, "~")
		p.text(string(cell))
		p.buf = appendSpaces(p.buf, nameCell-used)
		p.right(formatCount(probe.Records), countCell)
		p.right(formatShare(probe.Successes, probe.Records), shareCell)
		p.end()
	}
}

var phaseNames = [NumPhases]string{"connect", "  kernel rtt", "  ours", "tls", "  tls cpu", "  tls wait", "first byte", "total"}

func (p *page) latencies(s *Summary) {
	if s.Phase(PhaseConnect).Count() == 0 && s.Phase(PhaseTotal).Count() == 0 {
		return
	}
	p.section("LATENCY", len(phaseNames[PhaseKernelRTT])+1)
	p.right("COUNT", countCell)
	for _, title := range []string{"MIN", "P50", "P90", "P99", "P99.9", "MAX"} {
		p.right(title, timeCell)
	}
	p.end()
	for phase := range NumPhases {
		h := s.Phase(phase)
		if h.Count() == 0 {
			continue
		}
		p.left(phaseNames[phase], len(phaseNames[PhaseKernelRTT])+1)
		p.right(formatCount(h.Count()), countCell)
		for _, d := range []time.Duration{h.Min(), h.Quantile(0.5), h.Quantile(0.9), h.Quantile(0.99), h.Quantile(0.999), h.Max()} {
			p.right(formatDuration(d, p.style.ASCII), timeCell)
		}
		p.end()
	}
	ours := s.Phase(PhaseOurs)
	if ours.Count() == 0 {
		return
	}
	p.colored(sgrDim, "ours = connect - kernel rtt: what this machine and sonde added")
	p.end()
	if p99 := ours.Quantile(0.99); p99 > oursLimit {
		p.colored(sgrYellow, "warning: ")
		p.wrapped("ours is high: this machine is short of CPU for the load; lower -c or --rate, or read kernel rtt and not connect",
			len("warning: "), 0)
	}
}

// failures shows, for each status, the most frequent reasons and what to do.
func (p *page) failures(s *Summary) {
	if s.Failed() == 0 {
		return
	}
	p.section("FAILURES", len("FAILURES")+gap)
	p.text(formatCount(s.Failed()))
	separator := ": "
	for _, side := range []Side{SideRemote, SideLocal, SidePolicy} {
		if n := s.Side(side); n > 0 {
			p.text(separator, formatCount(n), " ", side.String())
			separator = ", "
		}
	}
	p.end()
	counts, causes := s.Counts(), s.Causes()
	for _, status := range counts.top(int(NumStatuses)) {
		if status == Success {
			continue
		}
		p.colored(sgrOf(status), status.String())
		p.end()
		p.causes(causes, status)
		p.text("  -> ")
		p.wrapped(advice[status], len("  -> "), len("  -> "))
	}
}

// causes lists the reasons of one status, most frequent first.
func (p *page) causes(causes []Cause, status Status) {
	ellipsis := "…"
	if p.style.ASCII {
		ellipsis = "..."
	}
	shown, rest := 0, uint64(0)
	for _, c := range causes {
		switch {
		case c.Status != status:
			continue
		case shown == causesShown:
			rest += c.Count
			continue
		}
		shown++
		text := c.Text
		if text == "" {
			text = "(other)"
		}
		p.right(formatCount(c.Count), countCell)
		p.text("  ")
		example := " (first: " + string(appendVisible(nil, c.Example)) + ")"
		room := p.width - countCell - gap
		cell, used := appendFitted(nil, text, room, ellipsis)
		p.text(string(cell))
		if used+displayWidth(example) <= room {
			p.colored(sgrDim, example)
		}
		p.end()
	}
	if rest > 0 {
		p.right(formatCount(rest), countCell)
		p.text("  for other reasons")
		p.end()
	}
}

// wrapped appends words in lines of the page's width. The first line has used columns already; the others begin with
// indent blanks.
func (p *page) wrapped(text string, used, indent int) {
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case used+1+len(word) > p.width:
			p.end()
			p.buf = appendSpaces(p.buf, indent)
			used = indent
		default:
			p.text(" ")
			used++
		}
		p.text(word)
		used += len(word)
	}
	p.end()
}
