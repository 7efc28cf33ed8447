package report

import (
	"io"
	"time"

	"sonde/report/draw"
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
	p := page{draw.NewPage(style, summaryMin, summaryMax)}
	p.headline(r)
	p.statuses(r.Summary)
	p.probes(r.Summary)
	p.latencies(r.Summary)
	p.resumption(r.Summary.Resumption())
	p.Histogram("CONNECT", r.Summary.Phase(PhaseConnect))
	p.failures(r.Summary)
	p.engine(&r.Engine)
	_, err := p.WriteTo(w)
	return err
}

func (p *page) headline(r *Run) {
	p.Text(draw.Plural(r.Summary.Records(), "record"), " of ", draw.Plural(r.Targets, "target"), " in ",
		draw.Duration(r.Duration(), p.Style.ASCII), ", ", draw.Rate(r.Rate()))
	if r.Excluded > 0 {
		noun := " addresses"
		if r.Excluded == 1 {
			noun = " address"
		}
		p.Text(", ", draw.Count(r.Excluded), noun, " excluded")
	}
	if r.Stopped != "" {
		p.Text(", ")
		p.Colored(draw.Yellow, "stopped early: "+r.Stopped)
	}
	p.End()
	if again := r.Summary.Retried(); again != nil {
		p.Text(draw.Plural(again.Targets, "target"), " dialled more than once, ", draw.Count(again.Succeeded), " with success then")
		p.End()
	}
}

// page is a summary under way.
type page struct{ draw.Page }

// Cells of the tables, in columns.
const (
	nameCell = 22 // the longest status and a gap
	timeCell = 8
)

func (p *page) statuses(s *Summary) {
	counts := s.Counts()
	total := counts.Total()
	if total == 0 {
		return
	}
	p.Section("STATUS", nameCell)
	p.Right("RECORDS", draw.CountCell)
	p.Right("SHARE", draw.ShareCell)
	p.End()
	for _, status := range counts.top(int(NumStatuses)) {
		p.Colored(status.Color(), status.String())
		p.Spaces(nameCell - len(status.String()))
		p.Right(draw.Count(counts[status]), draw.CountCell)
		p.Right(draw.Share(counts[status], total), draw.ShareCell)
		p.Text("  ")
		p.Colored(status.Color(), draw.Bar(counts[status], total, p.Width-nameCell-draw.CountCell-draw.ShareCell-2, p.Style.ASCII))
		p.End()
	}
}

// probes tells the probes apart where there were several.
func (p *page) probes(s *Summary) {
	probes := s.Probes()
	if len(probes) < 2 {
		return
	}
	p.Section("PROBE", nameCell)
	p.Right("RECORDS", draw.CountCell)
	p.Right("SUCCESS", draw.ShareCell)
	p.End()
	for _, probe := range probes {
		name := probe.Probe
		if name == "" {
			name = "(none)" // an entry that made no target
		}
		cell, used := draw.AppendFitted(nil, name, nameCell-gap, "~")
		p.Text(string(cell))
		p.Spaces(nameCell - used)
		p.Right(draw.Count(probe.Records), draw.CountCell)
		p.Right(draw.Share(probe.Successes, probe.Records), draw.ShareCell)
		p.End()
	}
}

var phaseNames = [NumPhases]string{"connect", "  kernel rtt", "  ours", "tls", "  tls cpu", "  tls wait", "first byte", "total"}

func (p *page) latencies(s *Summary) {
	if s.Phase(PhaseConnect).Count() == 0 && s.Phase(PhaseTotal).Count() == 0 {
		return
	}
	p.Section("LATENCY", len(phaseNames[PhaseKernelRTT])+1)
	p.Right("COUNT", draw.CountCell)
	for _, title := range []string{"MIN", "P50", "P90", "P99", "P99.9", "MAX"} {
		p.Right(title, timeCell)
	}
	p.End()
	for phase := range NumPhases {
		h := s.Phase(phase)
		if h.Count() == 0 {
			continue
		}
		p.Left(phaseNames[phase], len(phaseNames[PhaseKernelRTT])+1)
		p.Right(draw.Count(h.Count()), draw.CountCell)
		for _, d := range []time.Duration{h.Min(), h.Quantile(0.5), h.Quantile(0.9), h.Quantile(0.99), h.Quantile(0.999), h.Max()} {
			p.Right(draw.Duration(d, p.Style.ASCII), timeCell)
		}
		p.End()
	}
	ours := s.Phase(PhaseOurs)
	if ours.Count() == 0 {
		return
	}
	p.Colored(draw.Dim, "ours = connect - kernel rtt: what this machine and sonde added")
	p.End()
	if p99 := ours.Quantile(0.99); p99 > oursLimit {
		p.Colored(draw.Yellow, "warning: ")
		p.Wrapped("ours is high: this machine is short of CPU for the load; lower -c or --rate, or read kernel rtt and not connect",
			len("warning: "), 0)
	}
}

// failures shows, for each status, the most frequent reasons and what to do.
func (p *page) failures(s *Summary) {
	if s.Failed() == 0 {
		return
	}
	p.Section("FAILURES", len("FAILURES")+gap)
	p.Text(draw.Count(s.Failed()))
	separator := ": "
	for _, side := range []Side{SideRemote, SideLocal, SidePolicy} {
		if n := s.Side(side); n > 0 {
			p.Text(separator, draw.Count(n), " ", side.String())
			separator = ", "
		}
	}
	p.End()
	DrawCauses(&p.Page, s.Causes(), Status.Advice)
}

// DrawCauses appends the failures by status, the most frequent first: for each its most frequent reasons, and what to do about
// it, which advice says. causes are in the order in which they are to be shown.
func DrawCauses(p *draw.Page, causes []Cause, advice func(Status) string) {
	var counts Counts
	for i := range causes {
		counts[causes[i].Status] += causes[i].Count
	}
	for _, status := range counts.top(int(NumStatuses)) {
		p.Colored(status.Color(), status.String())
		p.End()
		drawCauses(p, causes, status)
		p.Text("  -> ")
		p.Wrapped(advice(status), len("  -> "), len("  -> "))
	}
}

// drawCauses lists the reasons of one status.
func drawCauses(p *draw.Page, causes []Cause, status Status) {
	ellipsis := "…"
	if p.Style.ASCII {
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
		p.Right(draw.Count(c.Count), draw.CountCell)
		p.Text("  ")
		example := ""
		if c.Example != "" {
			example = " (first: " + string(draw.AppendVisible(nil, c.Example)) + ")"
		}
		room := p.Width - draw.CountCell - gap
		cell, used := draw.AppendFitted(nil, text, room, ellipsis)
		p.Text(string(cell))
		if used+draw.Width(example) <= room {
			p.Colored(draw.Dim, example)
		}
		p.End()
	}
	if rest > 0 {
		p.Right(draw.Count(rest), draw.CountCell)
		p.Text("  for other reasons")
		p.End()
	}
}
