package show

import (
	"fmt"
	"strconv"
	"time"

	"sonde/bench/result"
	"sonde/report/draw"
)

// hold shows connections that were held.
func (p *page) hold() {
	t := p.t
	p.End()
	ramp := draw.Plural(t.Opened, "connection") + " opened"
	if t.Ramp >= 0 {
		ramp += " in " + p.Duration(t.Ramp)
	}
	if t.Ramp > 0 {
		ramp += ", " + draw.Rate(float64(t.Opened)/t.Ramp.Seconds())
	}
	if rate := p.rateWanted(); rate > 0 {
		ramp += " of " + draw.Rate(rate) + " asked for"
	}
	p.line("RAMP", ramp)
	_, lost := t.Failures.Total()
	p.line("HELD", draw.Count(t.Held)+" when all had been opened, "+draw.Count(t.HeldAtEnd)+" at the end, "+draw.Count(lost)+" lost")
	p.memory()
	fds := "not known"
	if t.Usage.Descriptors >= 0 {
		fds = draw.Plural(uint64(t.Usage.Descriptors), "descriptor") + " with all connections"
	}
	p.line("FDS", fds+", in "+pluralEs(uint64(max(t.Usage.Processes, 0)), "process"))
	cpu := p.Duration(t.Usage.CPU) + " in all"
	if t.Measured > 0 {
		cpu = percentOf(t.Usage.MeasuredCPU, t.Measured) + " of a core while held (" + p.Duration(t.Usage.MeasuredCPU) + " of CPU time in " +
			p.Duration(t.Measured) + "), " + cpu
	}
	p.line("CPU", cpu)
	if t.Operations > 0 {
		p.line("HEARTBEATS", draw.Count(t.Operations)+" answered, "+draw.Rate(t.OperationsPerSecond())+
			", "+p.cpuPerOperation()+" of CPU time each, all that holding costs included")
	}
	p.percentileTable("HEARTBEAT")
	p.phaseTable("OPENING", p.handshakePhases())
	p.openingNotes()
}

// memory shows what a held connection costs in RAM, ours and the kernel's.
func (p *page) memory() {
	t, u, k := p.t, &p.t.Usage, &p.r.Kernel
	if t.Held == 0 {
		return // nothing to divide by
	}
	ours := "ours: not known"
	if bytes, ok := t.MemoryPerConnection(); ok {
		ours = "ours: " + draw.Bytes(bytes) + " a connection (resident " + draw.Bytes(float64(u.ResidentBefore)) + " before the first, " +
			draw.Bytes(float64(u.ResidentHeld)) + " with all"
		if u.ResidentMax >= 0 {
			ours += ", " + draw.Bytes(float64(u.ResidentMax)) + " at most"
		}
		ours += ")"
	}
	p.line("MEMORY", ours)
	kernel := "the kernel's: not known"
	if t.Held > 0 && k.Memory >= 0 && k.Slab >= 0 {
		kernel = "the kernel's: " + draw.Bytes(float64(k.Memory+k.Slab)/float64(t.Held)) + " a connection (buffers " +
			draw.Bytes(float64(k.Memory)) + ", slabs " + draw.Bytes(float64(k.Slab))
		if k.Sockets >= 0 {
			kernel += ", sockets " + draw.Count(uint64(k.Sockets))
		}
		kernel += "); it counts for the whole machine: over loopback both ends are in it"
	}
	p.more(kernel)
}

// handshake shows connections opened and closed.
func (p *page) handshake() {
	t := p.t
	p.End()
	p.asked()
	if t.Usage.MeasuredCPU > 0 && t.Operations > 0 {
		p.line("PER CORE", draw.Rate(t.OperationsPerCore())+" a core, "+p.cpuPerOperation()+" of CPU time a handshake, "+
			percentOf(t.Usage.MeasuredCPU, t.Measured)+" of a core used")
	}
	full, resumed := p.phase(result.TLS).Count(), p.phase(result.TLSResumed).Count()
	if full+resumed > 0 {
		p.line("TLS", draw.Count(full)+" full, "+draw.Count(resumed)+" resumed ("+draw.Share(resumed, full+resumed)+")")
	}
	p.phaseTable("LATENCY", p.handshakePhases())
	p.openingNotes()
	switch {
	case full+resumed > 0:
		p.Histogram("TLS FULL", p.phase(result.TLS))
		p.Histogram("TLS RESUMED", p.phase(result.TLSResumed))
	default:
		p.Histogram("CONNECT", p.phase(result.Connect))
	}
}

// request shows requests over kept connections.
func (p *page) request() {
	t := p.t
	p.End()
	p.asked()
	p.line("CONNECTIONS", draw.Count(t.Wanted)+" wanted, "+draw.Count(t.Opened)+" opened"+p.again())
	if t.Usage.MeasuredCPU > 0 && t.Operations > 0 {
		p.line("CPU", p.cpuPerOperation()+" a request, "+draw.Rate(t.OperationsPerCore())+" a core, "+
			percentOf(t.Usage.MeasuredCPU, t.Measured)+" of a core used")
	}
	if t.BytesIn > 0 && t.Measured > 0 {
		p.line("ANSWERS", draw.Bytes(float64(t.BytesIn))+", "+draw.Bytes(float64(t.BytesIn)/t.Measured.Seconds())+"/s")
	}
	p.percentileTable("PERCENTILE")
	p.phaseTable("OPENING", p.handshakePhases())
	p.openingNotes()
}

// again tells that connections that had ended were opened again.
func (p *page) again() string {
	if p.t.Opened <= p.t.Wanted {
		return ""
	}
	return ", since some that had ended were opened again"
}

// asked shows the rate that was asked for beside the one that was had.
func (p *page) asked() {
	t := p.t
	had := draw.Rate(t.OperationsPerSecond())
	text := "closed loop, as fast as the answers came: " + had
	if rate := p.rateWanted(); rate > 0 {
		text = "open loop: " + draw.Rate(rate) + " asked for, " + had + " achieved (" +
			strconv.FormatFloat(t.OperationsPerSecond()/rate*100, 'f', 1, 64) + "%)"
	}
	if t.WarmUp > 0 {
		text += "; " + draw.Plural(t.WarmUp, noun(p.r.Kind)) + " of the warm-up left out"
	}
	p.line("RATE", text)
}

func (p *page) cpuPerOperation() string {
	unit := "µs"
	if p.Style.ASCII {
		unit = "us"
	}
	return fmt.Sprintf("%.2f%s", float64(p.t.CPUPerOperation())/float64(time.Microsecond), unit)
}

// percentOf is part of whole in percent; it may be above a hundred.
func percentOf(part, whole time.Duration) string {
	if whole <= 0 {
		return "0%"
	}
	share := float64(part) / float64(whole) * 100
	if share > 0 && share < 0.1 {
		return "<0.1%"
	}
	return strconv.FormatFloat(share, 'f', 1, 64) + "%"
}

func pluralEs(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return draw.Count(n) + " " + noun + "es"
}
