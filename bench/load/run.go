package load

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"sonde/bench/plan"
	"sonde/bench/result"
	"sonde/engine"
	"sonde/internal/clock"
	"sonde/internal/histogram"
	"sonde/internal/kernel/usage"
	"sonde/internal/rate"
	"sonde/probes/secure"
	"sonde/report"
	"sonde/scan"
)

// Hooks are what a Run tells of itself, and is told. All of them may be nil. Each is called by one goroutine at a time, but Ramped
// may be while Interval is.
type Hooks struct {
	// Interval hears of each second that is over.
	Interval func(*result.Interval)
	// Ramped hears once, of a held load, when all connections stand or have failed.
	Ramped func(held, failed uint64)
	// Hold is closed when a held load is to begin its Duration; nil has it begin at once.
	Hold <-chan struct{}
	// Log hears of our own bugs.
	Log *slog.Logger
}

// Run does the share and returns what it counted. When ctx ends it stops: nothing is begun, and what is in flight has a
// moment to end; it returns what was done all the same. An error says that the share makes no sense or that this machine
// does not let it be done, and comes without a part; or it is the engine's own, which ended before its time, and comes with
// what was done.
func Run(ctx context.Context, spec Spec, hooks Hooks) (*result.Part, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	p, err := plan.New(spec.Targets, spec.Sources)
	if err != nil {
		return nil, err
	}
	clk := clock.NewSystem()
	r := &run{
		spec: spec, hooks: hooks, plan: p, clk: clk, limits: spec.Limits.WithDefaults(),
		part: result.Part{Wanted: uint64(spec.Connections), Usage: result.Usage{
			Processes: 1, ResidentHeld: usage.Unknown, Descriptors: int(usage.Unknown), // until somebody looks
		}},
	}
	r.cpuBefore, _ = usage.CPU() // of a run before in this process, and of what it took to begin
	r.stoppedAt.Store(math.MaxInt64)
	r.start = clk.Now() - int64(clk.Wall(clk.Now()).Sub(spec.Start))
	if spec.TLS != nil {
		if r.layer, err = spec.TLS.layer(func() time.Time { return clk.Wall(clk.Now()) }); err != nil {
			return nil, err
		}
	}
	driver, err := r.newDriver()
	if err != nil {
		return nil, err
	}
	return r.do(ctx, driver)
}

// driver is what is particular to a kind of load.
type driver interface {
	// profile fills in what the engine is to do with each connection.
	profile(p *engine.Profile)
	// submit submits jobs until there are no more, or ctx ends. The engine is finished or stopped behind it.
	submit(ctx context.Context)
	// take is called with each outcome, but for those of jobs that were never dialled.
	take(o *engine.Outcome)
	// conclude is called behind the last of them.
	conclude()
}

// run is one Run.
type run struct {
	spec    Spec
	hooks   Hooks
	plan    *plan.Plan
	clk     clock.System
	limits  engine.Limits
	layer   *secure.Layer // nil: no TLS
	start   int64         // the moment of Spec.Start
	rec     *recorder
	engine  *engine.Engine
	over    atomic.Bool  // nothing is begun any more
	stopped atomic.Bool  // by the caller, before its time
	held    atomic.Int64 // connections that stand

	stoppedAt atomic.Int64 // when it was; else far off

	part      result.Part
	sawMost   int64         // of the memory in RAM
	cpuBefore time.Duration // used by the process before the run
	cpuFrom   time.Duration // used when operations began to count
	measuring bool
}

func (r *run) newDriver() (driver, error) {
	switch r.spec.Kind {
	case result.Hold:
		return newHold(r)
	case result.Request:
		return newRequests(r)
	}
	return newHandshakes(r), nil
}

// do sees the engine from its beginning to its end.
func (r *run) do(ctx context.Context, d driver) (*result.Part, error) {
	profile := engine.Profile{Limits: r.spec.Limits, Reset: !r.spec.FIN, KernelTimestamps: r.spec.KernelTimestamps}
	d.profile(&profile)
	cfg := engine.Config{
		Loops: r.spec.Loops, Connections: r.spec.Connections, Sources: r.spec.Sources, Clock: r.clk, Log: r.hooks.Log,
		Profiles: []engine.Profile{profile}, DrainLimit: drainLimit,
	}
	if r.spec.Requests > 0 {
		cfg.Resolution = schedulePrecision
	}
	if r.spec.Dials > 0 {
		cfg.Rate = rate.New(r.spec.Dials)
	}
	e, err := engine.New(cfg)
	if err != nil {
		return nil, err
	}
	r.engine = e
	if loops := e.Stats().Loops; runtime.GOMAXPROCS(0) <= loops {
		runtime.GOMAXPROCS(loops + 1) // a sleeping loop keeps a processor, and others have work
	}
	debug.FreeOSMemory() // what a run before has left is not ours
	r.part.Usage.ResidentBefore = r.resident()
	r.part.Start = r.clk.Wall(max(r.clk.Now(), r.start)) // workers are there before the load's start
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	context.AfterFunc(ctx, func() {
		r.stopEarly()
		e.Stop()
	})
	var working sync.WaitGroup
	working.Go(func() {
		d.submit(ctx)
		r.over.Store(true)
	})
	ended := make(chan struct{})
	var ticking sync.WaitGroup
	ticking.Go(func() { r.tick(ended) })
	r.collect(d)
	d.conclude()
	stop()
	working.Wait()
	close(ended)
	ticking.Wait()
	err = e.Wait()
	r.finish()
	return &r.part, err
}

// stopEarly notes that the caller has ended the load now. It comes before the engine is stopped, so that who counts behind its
// last outcome knows when that was.
func (r *run) stopEarly() {
	r.stoppedAt.CompareAndSwap(math.MaxInt64, r.clk.Now())
	r.stopped.Store(true)
	r.over.Store(true)
}

// schedulePrecision is how late a request of an open loop may go out by the timing wheel.
const schedulePrecision = 50 * time.Microsecond

// drainLimit is how long operations that are under way when the time is over may go on. They count for no rate, but their
// latencies do.
const drainLimit = 2 * time.Second

// unfinished is why an operation failed that was under way even behind drainLimit. A peer that never answers would look as
// if it had not been asked otherwise.
const unfinished = "not over when the time was, nor 2s after"

// collect takes the outcomes until the last.
func (r *run) collect(d driver) {
	var batch []engine.Outcome
	for more := true; more; {
		<-r.engine.Ready()
		batch, more = r.engine.Outcomes(batch[:0])
		for i := range batch {
			if batch[i].Cause != engine.NotDialed {
				d.take(&batch[i])
			}
		}
	}
}

// tick ends an interval each second, on the second of the load's time.
func (r *run) tick(ended <-chan struct{}) {
	scratch := histogram.New()
	cpu, _ := usage.CPU()
	index := max(int((r.clk.Now()-r.start)/int64(result.IntervalLength)), 0)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for done := false; !done; index++ {
		timer.Reset(time.Duration(r.start + int64(index+1)*int64(result.IntervalLength) - r.clk.Now()))
		select {
		case <-ended:
			done = true
		case <-timer.C:
		}
		i := result.Interval{Index: index, Held: uint64(max(r.held.Load(), 0)), InFlight: uint64(r.engine.Stats().InFlight)}
		r.rec.endInterval(&i, scratch)
		i.WarmUp = !r.rec.counts(r.clk.Now() - int64(result.IntervalLength/2))
		if now, err := usage.CPU(); err == nil {
			i.CPU, cpu = now-cpu, now
		}
		i.Resident = r.resident()
		if done && i.Held+i.Opened+i.Lost+i.Operations+i.Failed == 0 {
			return // what is left of a second in which nothing was
		}
		r.part.AddInterval(&i)
		if r.hooks.Interval != nil {
			r.hooks.Interval(&i)
		}
	}
}

// resident is the memory in RAM now.
func (r *run) resident() int64 {
	u, err := usage.Read()
	if err != nil {
		return usage.Unknown
	}
	if u.Resident > atomic.LoadInt64(&r.sawMost) {
		atomic.StoreInt64(&r.sawMost, u.Resident)
	}
	return u.Resident
}

// measure says that operations count from the moment at, which is now, for so long. Who knows both ahead has told the
// recorder, so that no operation falls between.
func (r *run) measure(at int64, length time.Duration) {
	r.rec.setWindow(at, length)
	r.cpuFrom, _ = usage.CPU()
	r.measuring = true
	r.part.Measured = length
}

// measured says that they count no more.
func (r *run) measured() {
	if !r.measuring {
		return
	}
	r.measuring = false
	if now, err := usage.CPU(); err == nil {
		r.part.Usage.MeasuredCPU = now - r.cpuFrom
	}
	r.part.Measured = min(r.part.Measured, r.rec.endWindow(r.clk.Now()))
}

// look looks at what connections that stand take, after a full garbage collection that gives back what is free.
func (r *run) look() {
	debug.FreeOSMemory()
	r.part.Usage.ResidentHeld = r.resident()
	if open, err := os.ReadDir("/dev/fd"); err == nil {
		r.part.Usage.Descriptors = len(open) - 1 // but the folder's own
	}
}

// finish fills in the part.
func (r *run) finish() {
	r.measured()
	p := &r.part
	r.rec.sum(p)
	p.End = r.clk.Wall(r.clk.Now())
	if cpu, err := usage.CPU(); err == nil {
		p.Usage.CPU = cpu - r.cpuBefore
	}
	p.Usage.ResidentMax = r.sawMost
	if p.Usage.ResidentBefore == usage.Unknown {
		p.Usage.ResidentMax = usage.Unknown
	}
	st := r.engine.Stats()
	p.Engine = result.Engine{
		Loops: st.Loops, Opened: st.Opened, Closed: st.Closed, FDWaits: st.FDWaits, PortWaits: st.PortWaits, BufferWaits: st.BufferWaits,
		Illegal: st.Illegal, LoopLag: st.LoopLag,
	}
	p.Opened = st.Established
}

// wait waits for so long, or until ctx ends, which it tells by false.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// failure is what a connection's outcome says of why it failed, so many times.
func (r *run) failure(o *engine.Outcome, count uint64) result.Failure {
	status, side, text := scan.Judge(o, &r.limits)
	return result.Failure{
		Status: status.String(), Side: side.String(), State: o.State.String(), Text: text,
		Example: r.plan.Target(o.ID).Addr.String(), Lost: o.Kept, Count: count,
	}
}

// isSuccess reports whether the outcome is no failure.
func (r *run) isSuccess(o *engine.Outcome) bool {
	status, _, _ := scan.Judge(o, &r.limits)
	return status == report.Success
}

// phasesOf are the latencies of a connection that was established.
func phasesOf(o *engine.Outcome, timings []timing) []timing {
	timings = append(timings, timing{result.SchedDelay, o.SchedDelay}, timing{result.Connect, o.Connect})
	if o.KernelRTT > 0 {
		timings = append(timings, timing{result.KernelRTT, o.KernelRTT}, timing{result.Ours, o.Connect - o.KernelRTT})
	}
	if o.TLS != engine.Absent && o.TLS > 0 {
		timings = append(timings, timing{result.TLS, o.TLS}, timing{result.TLSWait, o.TLSWait})
	}
	return timings
}

// batchSize is how many jobs are submitted at once: enough that the queue's lock is no cost.
const batchSize = 256

// submitRange submits the share's connections, each once.
func (r *run) submitRange(ctx context.Context) error {
	batch := make([]engine.Job, 0, batchSize)
	for i := 0; i < r.spec.Connections; i += len(batch) {
		batch = batch[:0]
		for k := i; k < r.spec.Connections && len(batch) < batchSize; k++ {
			batch = append(batch, r.plan.Job(r.spec.First+uint64(k)))
		}
		if _, err := r.engine.Submit(ctx, batch); err != nil {
			return fmt.Errorf("submit: %w", err)
		}
	}
	return nil
}
