package report

import (
	"time"

	"sonde/report/draw"
)

func (p *page) engine(e *Engine) { DrawEngine(&p.Page, e) }

// DrawEngine appends what a run cost and whether it gave everything back; nothing if there was no loop.
func DrawEngine(p *draw.Page, e *Engine) {
	if e.Loops == 0 {
		return // nothing ran: a dry run
	}
	const indent = len("ENGINE") + gap
	p.Section("ENGINE", indent)
	line := draw.Plural(uint64(e.Loops), "loop")
	if e.InFlightMax > 0 {
		line += ", at most " + draw.Count(e.InFlightMax) + " in flight"
	}
	if e.HandshakesMax > 0 {
		line += ", " + draw.Count(e.HandshakesMax) + " in a TLS handshake"
	}
	if e.LoopLag.Count > 0 {
		line += ", loop lag p99 " + draw.Duration(micros(e.LoopLag.P99), p.Style.ASCII) +
			", max " + draw.Duration(micros(e.LoopLag.Max), p.Style.ASCII)
	}
	p.Wrapped(line, indent, indent)
	p.Spaces(indent)
	p.Text("sockets opened ", draw.Count(e.Opened), ", closed ", draw.Count(e.Closed), ", ")
	switch leaked := e.Leaked(); {
	case leaked == 0:
		p.Colored(draw.Green, "leaked 0")
	default:
		p.Colored(draw.Red, "leaked "+draw.Signed(leaked)+": a fault of sonde, please report it")
	}
	p.End()
	if e.FDWaits+e.PortWaits+e.BufferWaits > 0 {
		p.Spaces(indent)
		p.Text("waited ", draw.Count(e.FDWaits), " times for a descriptor, ", draw.Count(e.PortWaits), " for a local port, ",
			draw.Count(e.BufferWaits), " for a buffer")
		p.End()
	}
	if e.Illegal > 0 {
		p.Spaces(indent)
		p.Colored(draw.Red, draw.Plural(e.Illegal, "illegal change")+" of state: a fault of sonde, please report it")
		p.End()
	}
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
