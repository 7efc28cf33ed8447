package scan

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"sonde/engine"
	"sonde/report"
)

// flushEvery is how often records are handed to the operating system: half of what is promised.
const flushEvery = 50 * time.Millisecond

// collector turns outcomes and notes into records. It belongs to the goroutine of Run.
type collector struct {
	scan     *Scan
	repeater *repeater // nil if nothing is asked again
	summary  *report.Summary
	record   report.Record // used again for each
	released []uint32
	sinkErr  error // the first; nothing is written after it
	start    time.Time
	end      time.Time
}

func newCollector(s *Scan) *collector {
	return &collector{scan: s, repeater: newRepeater(s), summary: report.NewSummary(), start: s.clk.Wall(s.clk.Now())}
}

// collect writes records until the feeder and the engine have ended. It returns what ended the scan early, if that was
// trouble: of the sink, the engine or the input.
func (c *collector) collect(ctx context.Context, cancel context.CancelCauseFunc, fed <-chan error) error {
	s := c.scan
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	var feedErr error
	abort := s.abort
	var dialed <-chan struct{}
	if s.dialer != nil {
		dialed = s.dialer.done
	}
	var outcomes []engine.Outcome
	for running := true; running; {
		select {
		case <-s.engine.Ready():
			outcomes, running = s.engine.Outcomes(outcomes[:0])
			c.takeOutcomes(outcomes)
		case n := <-s.notes:
			c.takeNote(&n)
		case feedErr = <-fed:
			fed = nil
		case <-dialed:
			dialed = nil
			c.takeWaiting()
		case <-ticker.C:
			c.flush()
		case <-abort:
			abort = nil
			cancel(errAborted)
			s.engine.Abort()
		}
		if c.sinkErr != nil && abort != nil {
			abort = nil // nobody will see what is in flight
			cancel(c.sinkErr)
			s.engine.Abort()
		}
	}
	engineErr := s.engine.Wait() // at once: its loops have ended
	if engineErr != nil {
		cancel(engineErr) // nobody takes what the feeder still has
	}
	if dialed != nil {
		<-dialed // at once: nothing is fed any more, or ctx has ended
		c.takeWaiting()
	}
	if fed != nil {
		select {
		case feedErr = <-fed:
		case <-ctx.Done(): // it may wait for its input for ever
		}
	}
	c.drainNotes()
	c.flush()
	c.end = s.clk.Wall(s.clk.Now())
	return cmp.Or(c.sinkErr, engineErr, feedErr)
}

// drainNotes takes what the feeder left.
func (c *collector) drainNotes() {
	for {
		select {
		case n := <-c.scan.notes:
			c.takeNote(&n)
		default:
			return
		}
	}
}

func (c *collector) takeOutcomes(outcomes []engine.Outcome) {
	c.released = c.released[:0]
	for i := range outcomes {
		o := &outcomes[i]
		e := &c.scan.flights.entries[o.ID]
		if e.course != nil {
			if o = c.follow(e, o); o == nil {
				continue // it is asked again
			}
		}
		if o.Cause != engine.NotDialed {
			c.takeOutcome(e, o)
		}
		c.released = append(c.released, uint32(outcomes[i].ID))
	}
	c.scan.flights.release(c.released)
	if d := c.scan.dialer; d != nil {
		d.cameBack(len(outcomes), len(c.released))
	}
	clear(outcomes) // lets the findings go
}

// takeOutcome writes the record of an entry's target and clears the entry.
func (c *collector) takeOutcome(e *entry, o *engine.Outcome) {
	s := c.scan
	j := s.statusOf(o)
	r := &c.record
	*r = report.Record{
		IP: e.target.Addr, Port: e.target.Port, Domain: e.target.Domain, Tag: e.target.Tag, Probe: e.target.Probe,
		Status: j.status, Side: j.side, Error: j.text,
		Timing: report.Timing{
			SchedDelay: o.SchedDelay, DNS: e.dns, Connect: o.Connect, KernelRTT: o.KernelRTT,
			TLS: o.TLS, TLSCPU: ownPart(o.TLS, o.TLSWait), TLSWait: o.TLSWait, FirstByte: o.FirstByte, Total: o.Total,
		},
	}
	if o.DialedAt != 0 {
		r.Timestamp, r.Attempts = s.clk.Wall(o.DialedAt), 1
	} else {
		r.Timestamp = s.clk.Wall(o.EndedAt)
	}
	if e.course != nil {
		r.Attempts = e.course.dials
	}
	if o.Conclusion.Finding != nil {
		r.Result = o.Conclusion.Finding
	}
	*e = entry{} // lets the strings go
	c.write(r)
}

// ownPart is what of a handshake was not spent waiting. Both are of whole microseconds, so that the parts in a record add up.
func ownPart(whole, wait time.Duration) time.Duration {
	if whole < 0 || wait < 0 {
		return report.Absent
	}
	return max(whole.Truncate(time.Microsecond)-wait.Truncate(time.Microsecond), 0)
}

func (c *collector) takeNote(n *note) {
	r := &c.record
	t := &n.target
	*r = report.Record{
		Timestamp: c.scan.clk.Wall(c.scan.clk.Now()), IP: t.Addr, Port: t.Port, Domain: t.Domain, Tag: t.Tag, Probe: t.Probe,
		Status: n.status, Side: n.side, Error: n.text, Timing: report.NoTiming,
	}
	r.Timing.DNS = n.dns
	c.write(r)
}

func (c *collector) write(r *report.Record) {
	if c.sinkErr != nil {
		return
	}
	if err := c.scan.cfg.Sink.Write(r); err != nil {
		c.sinkErr = fmt.Errorf("write the records: %w", err)
		return
	}
	c.summary.Add(r)
	c.scan.progress.statuses[r.Status].Add(1)
}

func (c *collector) flush() {
	if c.sinkErr != nil {
		return
	}
	if err := c.scan.cfg.Sink.Flush(); err != nil {
		c.sinkErr = fmt.Errorf("write the records: %w", err)
	}
}

// report sums up the run.
func (s *Scan) report(ctx context.Context, c *collector) *report.Run {
	stats := s.engine.Stats()
	run := &report.Run{
		Start: c.start, End: c.end, Targets: s.progress.targets.Load(), Summary: c.summary,
		Config: s.settings(&stats),
		Engine: engineReport(&stats),
	}
	if cause := context.Cause(ctx); cause != nil {
		run.Stopped = cause.Error()
		if shot := s.progress.snapshot(); shot.Exact {
			run.Targets = shot.Total // not how far the feeder had read ahead
		}
	} else {
		in := s.source.Stats() // the feeder has ended
		run.Excluded = in.BlockExcluded + in.BlockUnroutable
	}
	return run
}

func engineReport(stats *engine.Stats) report.Engine {
	return report.Engine{
		Loops: stats.Loops, InFlightMax: uint64(stats.InFlightMax), Opened: stats.Opened, Closed: stats.Closed,
		Established: stats.Established, HandshakesMax: uint64(stats.HandshakesMax),
		FDWaits: stats.FDWaits, PortWaits: stats.PortWaits, BufferWaits: stats.BufferWaits,
		StaleEvents: stats.StaleEvents, Illegal: stats.Illegal, LoopLag: report.DistributionOf(stats.LoopLag),
		Buffers: report.Buffers{
			HighWaterBytes: uint64(stats.Buffers.HighWaterBytes), BlockBytes: uint64(stats.Buffers.BlockBytes), Refused: stats.Buffers.Refused,
		},
	}
}
