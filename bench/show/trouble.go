package show

import (
	"strconv"
	"time"

	"sonde/bench/result"
	"sonde/report"
	"sonde/report/draw"
)

// Above these the figures say more of this machine than of the peer.
const (
	oursLimit = 2 * time.Millisecond   // p99 of ours of a connect, and of the loop's lag; what the engine is built to keep
	oursShare = 0.10                   // of the latency at a percentile
	oursLeast = 500 * time.Microsecond // what the timer of an open loop adds is told, and is no reason to warn
	rateShort = 0.99                   // of the rate asked for
)

// rates draws the line of time: operations of each second, or connections while there is nothing else.
func (p *page) rates() {
	if len(p.t.Intervals) < 3 {
		return
	}
	operations, opened := p.perSecond(func(i *result.Interval) uint64 { return i.Operations }), p.perSecond(func(i *result.Interval) uint64 { return i.Opened })
	if p.r.Kind != result.Hold {
		opened = nil
	}
	if most(operations) == 0 && most(opened) == 0 {
		return
	}
	p.End()
	p.spark("OPENED", opened)
	p.spark("OVER TIME", operations)
}

// most is the greatest of the values, none of which is below zero.
func most(values []float64) (greatest float64) {
	for _, v := range values {
		greatest = max(greatest, v)
	}
	return greatest
}

// perSecond is a count of each second of the load, a few seconds together if there are more than columns.
func (p *page) perSecond(of func(*result.Interval) uint64) []float64 {
	intervals := p.t.Intervals
	seconds := intervals[len(intervals)-1].Index + 1
	room := p.Width - nameCell - len("  most 10,000,000/s")
	each := (seconds + room - 1) / room
	values := make([]float64, (seconds+each-1)/each)
	for i := range intervals {
		if at := intervals[i].Index / each; at >= 0 {
			values[at] += float64(of(&intervals[i]))
		}
	}
	for i := range values {
		values[i] /= float64(min(each, seconds-i*each)) // the last may hold fewer seconds
	}
	return values
}

func (p *page) spark(title string, values []float64) {
	most := most(values)
	if most == 0 {
		return
	}
	p.Colored(draw.Bold, title)
	p.Spaces(nameCell - len(title))
	p.Colored(draw.Green, draw.Spark(values, len(values), p.Style.ASCII))
	p.Text("  most ", draw.Rate(most))
	p.End()
}

// searched shows the rates that were tried.
func (p *page) searched() {
	if len(p.r.Searched) == 0 {
		return
	}
	p.Section("SEARCH", nameCell)
	if promise := p.word("find_rate"); promise != "" {
		p.Text("for the highest rate that keeps ", promise)
	}
	p.End()
	p.Right("ASKED FOR", nameCell)
	p.Right("ACHIEVED", nameCell)
	p.Right("QUANTILE", nameCell)
	p.End()
	for _, trial := range p.r.Searched {
		p.Right(draw.Rate(trial.Rate), nameCell)
		p.Right(draw.Rate(trial.Achieved), nameCell)
		p.Right(p.Duration(trial.Value), nameCell)
		p.Text("  ")
		if trial.Kept {
			p.Colored(draw.Green, "kept")
		} else {
			p.Colored(draw.Red, "broken")
		}
		p.End()
	}
	if best := p.bestTrial(); best >= 0 {
		p.Text("the highest that kept it, of which all of this is: ", draw.Rate(p.r.Searched[best].Rate))
	} else {
		p.Colored(draw.Yellow, "none that was tried kept it; all of this is of the last")
	}
	p.End()
}

// failures shows what failed by cause, and what to do about it.
func (p *page) failures() {
	failed, lost := p.t.Failures.Total()
	if failed == 0 {
		return
	}
	p.Section("FAILURES", nameCell)
	p.Text(draw.Count(failed))
	if lost > 0 {
		p.Text(", ", draw.Count(lost), " of them connections that had stood")
	}
	p.End()
	var causes []report.Cause
	for _, f := range p.t.Failures.ByCount() {
		status, known := report.ParseStatus(f.Status)
		if !known || status == report.Success {
			status = report.LocalError // a worker of another version
		}
		text := f.Text
		if text == "" {
			text = "(other)"
		}
		switch {
		case f.Lost && f.State != "":
			text = "lost in " + f.State + ": " + text
		case f.Lost:
			text = "lost: " + text
		case f.State != "":
			text = "in " + f.State + ": " + text
		}
		causes = append(causes, report.Cause{Status: status, Text: text, Example: f.Example, Count: f.Count})
	}
	report.DrawCauses(&p.Page, causes, advise)
}

// advise is report's advice, but where a load means another thing than a scan.
func advise(s report.Status) string {
	switch s {
	case report.ConnectionClosed:
		return "the peer closed a connection that was to stay: its limit on clients, its limit on idle connections or on requests over " +
			"one, or its end"
	case report.ConnectionReset:
		return "the peer or a box on the way cut a connection that stood: look into the peer's log and its limits; " +
			"if it defends itself against many connections, lower -c or --rate"
	case report.IOTimeout:
		return "connected, but the answer was not whole in time: the peer does not keep up (lower -c or --rate, or raise --read-timeout), " +
			"or what is sent is no request to it"
	case report.ProtocolError:
		return "what the peer said is no answer of that protocol: check the kind of request and the port"
	case report.ApplicationError:
		return "the peer answered, but not with what was wanted: the text says what it gave"
	case report.Cancelled:
		return "the load's time was over before these were done, and 2 s more did not help: the peer does not answer, or not as fast as it is asked"
	case report.LocalError:
		return "this machine refused, or a worker process died: the text says which; the usual causes are memory, firewall rules and " +
			"routes (`sonde doctor`)"
	}
	return s.Advice()
}

// workers shows the worker processes if one has died.
func (p *page) workers() {
	died := 0
	for _, w := range p.r.Workers {
		if w.Error != "" {
			died++
		}
	}
	if died == 0 {
		return
	}
	p.Section("WORKER", nameCell)
	p.Right("PID", 8)
	p.Right("CONNECTIONS", draw.CountCell)
	p.Right("CPU", timeCell)
	p.Text("  ENDED")
	p.End()
	for _, w := range p.r.Workers {
		p.Left(strconv.Itoa(w.Number), nameCell)
		p.Right(strconv.Itoa(w.PID), 8)
		p.Right(draw.Count(w.Connections), draw.CountCell)
		p.Right(p.Duration(w.CPU), timeCell)
		p.Text("  ")
		if w.Error == "" {
			p.Text("well")
		} else {
			cell, _ := draw.AppendFitted(nil, w.Error, p.Width-nameCell-8-draw.CountCell-timeCell-2, "~")
			p.Colored(draw.Red, string(cell))
		}
		p.End()
	}
	p.note("the share of a worker that died is among the failures as local-error, from when it died")
}

// engine shows what the loops say of themselves.
func (p *page) engine() {
	e := &p.t.Engine
	report.DrawEngine(&p.Page, &report.Engine{
		Loops: e.Loops, Opened: e.Opened, Closed: e.Closed, FDWaits: e.FDWaits, PortWaits: e.PortWaits, BufferWaits: e.BufferWaits,
		LoopLag: report.DistributionOf(e.LoopLag),
	})
	if n := len(p.r.Workers); n > 0 {
		p.Spaces(len("ENGINE") + 2)
		p.Text("in ", draw.Plural(uint64(n), "worker"))
		p.End()
	}
}

// warnings says where the figures are not what they seem.
func (p *page) warnings() {
	t := p.t
	p.slow()
	latency, peer := p.phase(result.Latency), p.phase(result.Peer)
	if latency.Count() > 0 && peer.Count() > 0 {
		for _, q := range []struct {
			name string
			q    float64
		}{{"p50", 0.5}, {"p99", 0.99}} {
			if ours, all := oursAt(latency, peer, q.q); ours >= oursLeast && float64(ours) > oursShare*float64(all) {
				p.warn(draw.Share(uint64(ours), uint64(all)) + " of the latency at " + q.name + " was sonde's own queueing: read PEER and " +
					"not LATENCY, lower -c or --rate, or give sonde more CPU (--workers, another machine than the peer's)")
				break
			}
		}
	}
	if ours := p.phase(result.Ours); ours.Count() > 0 && ours.Quantile(0.99) > oursLimit {
		p.warn("ours is " + p.Duration(ours.Quantile(0.99)) + " of connect at p99: this machine is short of CPU for the load; lower -c or --rate, " +
			"or read kernel rtt and not connect")
	}
	if lag := t.Engine.LoopLag; lag != nil && lag.Count() > 0 && lag.Quantile(0.99) > oursLimit {
		p.warn("the loops were late by " + p.Duration(lag.Quantile(0.99)) + " at p99: what is as short as that can't be told from it")
	}
}

// slow warns of less than was asked for.
func (p *page) slow() {
	rate, had := p.rateWanted(), p.t.OperationsPerSecond()
	if p.r.Kind != result.Hold && rate > 0 && had < rate*rateShort && p.t.Measured > 0 {
		p.warn("the rate was not reached: " + draw.Rate(had) + " of " + draw.Rate(rate) + "; latencies grow for as long as such a load lasts, " +
			"they are of this duration alone")
	}
	// Not what was opened, which counts connections again that were opened again. Without a warm-up requests have no moment at
	// which all should stand but the end.
	stood := p.t.Held
	if p.r.Kind == result.Request {
		stood = max(stood, p.t.HeldAtEnd)
	}
	if p.r.Kind != result.Handshake && stood < p.t.Wanted {
		p.warn("only " + draw.Count(stood) + " of " + draw.Plural(p.t.Wanted, "connection") + " stood: this is a smaller load than was asked for")
	}
}

func (p *page) warn(text string) {
	p.Colored(draw.Yellow, "warning: ")
	p.Wrapped(text, len("warning: "), len("warning: "))
}
