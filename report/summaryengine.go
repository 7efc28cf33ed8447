package report

// engine tells what a run cost and whether it gave everything back.
func (p *page) engine(e *Engine) {
	if e.Loops == 0 {
		return // nothing ran: a dry run
	}
	const indent = len("ENGINE") + gap
	p.section("ENGINE", indent)
	line := plural(uint64(e.Loops), "loop") + ", at most " + formatCount(e.InFlightMax) + " in flight"
	if e.HandshakesMax > 0 {
		line += ", " + formatCount(e.HandshakesMax) + " in a TLS handshake"
	}
	if e.LoopLag.Count > 0 {
		line += ", loop lag p99 " + formatDuration(micros(e.LoopLag.P99), p.style.ASCII) +
			", max " + formatDuration(micros(e.LoopLag.Max), p.style.ASCII)
	}
	p.wrapped(line, indent, indent)
	p.buf = appendSpaces(p.buf, indent)
	p.text("sockets opened ", formatCount(e.Opened), ", closed ", formatCount(e.Closed), ", ")
	switch leaked := e.Leaked(); {
	case leaked == 0:
		p.colored(sgrGreen, "leaked 0")
	default:
		p.colored(sgrRed, "leaked "+formatSigned(leaked)+": a fault of sonde, please report it")
	}
	p.end()
	if e.FDWaits+e.PortWaits+e.BufferWaits > 0 {
		p.buf = appendSpaces(p.buf, indent)
		p.text("waited ", formatCount(e.FDWaits), " times for a descriptor, ", formatCount(e.PortWaits), " for a local port, ",
			formatCount(e.BufferWaits), " for a buffer")
		p.end()
	}
	if e.Illegal > 0 {
		p.buf = appendSpaces(p.buf, indent)
		p.colored(sgrRed, plural(e.Illegal, "illegal change")+" of state: a fault of sonde, please report it")
		p.end()
	}
}
