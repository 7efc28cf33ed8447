package scan

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"sonde/engine"
	"sonde/internal/histogram"
	"sonde/internal/workers"
	"sonde/report"
)

// WorkersConfig says how a scan is shared out among worker processes.
type WorkersConfig struct {
	// Count is how many.
	Count int
	// Args are the arguments by which this program calls Work; Assignment is as workers.Options has it.
	Args       []string
	Assignment func(worker int) ([]byte, error)
	// Stderr receives what workers write to stderr; nil throws it away.
	Stderr io.Writer
	// Share counts the targets of a worker's share, entries that make none included. It is asked about a worker that died
	// without having told that.
	Share func(ctx context.Context, worker int) (uint64, error)
	// OnDeath hears of each worker that dies, from one goroutine at a time. nil is silent.
	OnDeath func(worker int, err error)
}

// crew is a scan in several processes, as the parent sees it. It belongs to the goroutine of RunWorkers.
type crew struct {
	scan     *Scan
	cfg      WorkersConfig
	group    *workers.Group
	summary  *report.Summary
	record   report.Record // used again for each
	states   []state       // the last of each worker
	received []uint64      // records of each worker
	deaths   []death
	inFlight atomic.Int64
	err      error // the first of: the sink, what a worker ended early by, a message that can't be read
	isSink   bool  // it is the sink's: nothing more is written
}

// death is a worker that died.
type death struct {
	worker  int
	stopped bool // the scan was ending anyway
}

// errWorkerDied is what the targets of a dead worker have for an error.
const errWorkerDied = "the worker process that had the target died"

// RunWorkers is Run in several processes. Each does a share of the targets, as Config.Shards has it, with a share of the rate
// and of the connections (see Config.Divide); this one does none, takes all records and writes them. A worker that dies ends
// nothing: the others go on, the targets that it had and that have no record are counted as local-error, and RunWorkers returns
// an error that says so, with the report.
func (s *Scan) RunWorkers(ctx context.Context, cfg WorkersConfig) (*report.Run, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if s.cfg.MaxRuntime > 0 {
		stop := time.AfterFunc(s.cfg.MaxRuntime, func() { cancel(ErrMaxRuntime) })
		defer stop.Stop()
	}
	c := &crew{scan: s, cfg: cfg, summary: report.NewSummary(), states: make([]state, cfg.Count), received: make([]uint64, cfg.Count)}
	s.progress.begin(s.clk, func() engine.Stats { return engine.Stats{InFlight: c.inFlight.Load()} })
	start := s.clk.Wall(s.clk.Now())
	var err error
	// Not with ctx: a worker that is told to stop has as long as its connections take.
	c.group, err = workers.Start(context.WithoutCancel(ctx), workers.Options{
		Count: cfg.Count, Args: cfg.Args, Assignment: cfg.Assignment, Stderr: cfg.Stderr,
	})
	if err != nil {
		return nil, fmt.Errorf("start the workers: %w", err)
	}
	c.collect(ctx, cancel)
	missing := c.countMissing(ctx)
	run := c.report(ctx)
	run.Start, run.End = start, s.clk.Wall(s.clk.Now())
	return run, cmp.Or(c.err, missing)
}

// collect takes what the workers say until the last has ended.
func (c *crew) collect(ctx context.Context, cancel context.CancelCauseFunc) {
	events := make(chan workers.Event) // none waits here: while a record is written the pipes fill and the workers wait
	go func() {
		c.group.Wait(func(e workers.Event) { events <- e })
		close(events)
	}()
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	stop, abort := ctx.Done(), c.scan.abort
	for {
		select {
		case e, ok := <-events:
			if !ok {
				c.flush()
				return
			}
			c.take(ctx, e)
		case <-ticker.C:
			c.flush()
		case <-stop:
			stop = nil
			c.tell(commandStop)
		case <-abort:
			abort = nil
			cancel(errAborted)
			c.tell(commandAbort)
			c.group.Stop() // one that does not heed it is ended by a signal
		}
		switch {
		case c.isSink && abort != nil: // nobody will see what is in flight
			cancel(c.err)
			c.scan.Abort()
		case c.err != nil:
			cancel(c.err)
		}
	}
}

// tell sends a command to all workers. One that has ended needs none, and one that does not take it is as good as stuck:
// the user's next signal ends it.
func (c *crew) tell(command string) { _ = c.group.Broadcast([]byte(command)) }

func (c *crew) take(ctx context.Context, e workers.Event) {
	switch e := e.(type) {
	case workers.Death:
		c.deaths = append(c.deaths, death{e.Worker, ctx.Err() != nil})
		st := &c.states[e.Worker]
		st.InFlight, st.Engine.Closed = 0, st.Engine.Opened // the kernel has closed its sockets
		c.sumUp()
		if c.cfg.OnDeath != nil {
			c.cfg.OnDeath(e.Worker, e.Err)
		}
	case workers.Message:
		err := errWire
		switch {
		case len(e.Data) > 0 && e.Data[0] == wireRecords:
			err = c.takeRecords(e.Worker, e.Data[1:])
		case len(e.Data) > 0 && e.Data[0] == wireState:
			err = c.takeState(e.Worker, e.Data[1:])
		}
		if err != nil {
			c.fail(fmt.Errorf("worker %d: %w", e.Worker, err))
		}
	}
}

func (c *crew) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *crew) takeRecords(worker int, data []byte) error {
	reader := wireReader{left: data}
	for len(reader.left) > 0 {
		if err := reader.next(&c.record); err != nil {
			return err
		}
		c.received[worker]++
		c.write()
	}
	return nil
}

func (c *crew) write() {
	if c.isSink {
		return
	}
	if err := c.scan.cfg.Sink.Write(&c.record); err != nil {
		c.failSink(err)
		return
	}
	c.summary.Add(&c.record)
	c.scan.progress.statuses[c.record.Status].Add(1)
}

func (c *crew) flush() {
	if c.isSink {
		return
	}
	if err := c.scan.cfg.Sink.Flush(); err != nil {
		c.failSink(err)
	}
}

func (c *crew) failSink(err error) {
	c.isSink = true
	c.err = fmt.Errorf("write the records: %w", err) // before what it makes workers say
}

func (c *crew) takeState(worker int, data []byte) error {
	var st state
	if err := json.Unmarshal(data, &st); err != nil {
		return fmt.Errorf("%w: %w", errWire, err)
	}
	c.states[worker] = st
	c.sumUp()
	if st.Err != "" {
		return errors.New(st.Err)
	}
	return nil
}

// sumUp tells the progress what the workers told.
func (c *crew) sumUp() {
	p := &c.scan.progress
	inFlight, targets, total, known, exact := uint64(0), uint64(0), uint64(0), true, true
	for i := range c.states {
		st := &c.states[i]
		inFlight += st.InFlight
		targets += st.Targets
		total += st.Total
		exact = exact && st.Exact
		known = known && (st.Total > 0 || st.Exact)
	}
	if !known {
		total = 0
	}
	c.inFlight.Store(int64(inFlight))
	p.targets.Store(targets)
	p.total.Store(total)
	p.exact.Store(exact)
}

// countMissing counts the targets of dead workers that have no record, and returns what there is to say of them.
func (c *crew) countMissing(ctx context.Context) error {
	var unknown error
	for _, d := range c.deaths {
		st := &c.states[d.worker]
		share := st.Targets
		switch {
		case d.stopped: // what its source had not given yet would not have been dialled
		case st.Exact:
			share = st.Total
		default:
			n, err := c.cfg.Share(context.WithoutCancel(ctx), d.worker)
			if err != nil {
				unknown = err
				break
			}
			share = n
			st.Targets = n
		}
		st.Targets = share
		if got := c.received[d.worker]; share > got {
			c.summary.AddMissing(share-got, errWorkerDied)
		}
	}
	switch {
	case len(c.deaths) == 0:
		return nil
	case unknown != nil:
		return fmt.Errorf("%d of %d workers died; how many targets have no record can't be told: %w", len(c.deaths), c.cfg.Count, unknown)
	}
	return fmt.Errorf("%d of %d workers died: %d targets have no record and count as local-error", len(c.deaths), c.cfg.Count, c.summary.Missing())
}

// report sums up the run; its times are the caller's to set.
func (c *crew) report(ctx context.Context) *report.Run {
	total := engine.Stats{LoopLag: histogram.New()}
	run := &report.Run{Summary: c.summary}
	for i := range c.states {
		st := &c.states[i]
		run.Targets += st.Targets
		run.Excluded = max(run.Excluded, st.Excluded) // each tells of the blocks as a whole
		addStats(&total, &st.Engine)
	}
	run.Engine = engineReport(&total)
	settings := c.scan.settings(&total)
	settings.Workers = c.cfg.Count
	settings.Descriptors *= c.cfg.Count
	run.Config = settings
	if cause := context.Cause(ctx); cause != nil {
		run.Stopped = cause.Error()
	}
	return run
}

// addStats adds another engine's figures. What is a maximum becomes a bound: not all engines had theirs at one moment.
func addStats(sum, s *engine.Stats) {
	sum.Loops += s.Loops
	sum.InFlightMax += s.InFlightMax
	sum.Opened += s.Opened
	sum.Closed += s.Closed
	sum.Established += s.Established
	sum.HandshakesMax += s.HandshakesMax
	sum.FDWaits += s.FDWaits
	sum.PortWaits += s.PortWaits
	sum.BufferWaits += s.BufferWaits
	sum.StaleEvents += s.StaleEvents
	sum.Illegal += s.Illegal
	sum.Buffers.HighWaterBytes += s.Buffers.HighWaterBytes
	sum.Buffers.BlockBytes += s.Buffers.BlockBytes
	sum.Buffers.Refused += s.Buffers.Refused
	if s.LoopLag != nil {
		sum.LoopLag.Merge(s.LoopLag)
	}
}

// Divide returns the part of a worker in what cfg asks for: the share of the targets, of the rates, of the connections and of
// --max-targets. Of a host and a subnet each worker may have targets, so all of them together keep to their rates; one whose targets
// are all with one worker is dialled at that one's share. The time limit of the run is the parent's to keep. workers must not be above Connections.
func (cfg Config) Divide(workers, worker int) Config {
	part := func(whole uint64) uint64 {
		n := whole / uint64(workers)
		if uint64(worker) < whole%uint64(workers) {
			n++
		}
		return n
	}
	shards := max(cfg.Shards, 1)
	cfg.Shard += worker * shards
	cfg.Shards = shards * workers
	cfg.Connections = int(part(uint64(cmp.Or(cfg.Connections, defaultConnections))))
	cfg.Rate /= float64(workers)
	cfg.HostRate /= float64(workers)
	cfg.SubnetRate.PerSecond /= float64(workers)
	cfg.MaxRuntime = 0
	if cfg.MaxTargets > 0 {
		cfg.MaxTargets = part(cfg.MaxTargets)
	}
	return cfg
}
