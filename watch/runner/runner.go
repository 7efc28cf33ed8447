// Package runner asks targets again and again, and keeps connections to some: the schedule, the policies, the engine and what is
// known of the targets, joined by one goroutine, the owner.
//
//	schedule ─► turn ─► breaker ─► name ─► pace ─► engine ─► outcome ─┬─ leads elsewhere: name, pace, engine again
//	                                                                  ├─ failed, may pass: waits, then the same again
//	                                                                  ├─ failed: the module's fallback
//	                                                                  └─ result ─► table, events; the turn is over
//
// All state belongs to the owner, and nothing is locked: what others want of it they have done in a visit, between two probes.
package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"sonde/engine"
	"sonde/internal/clock"
	"sonde/internal/timewheel"
	"sonde/policy/pace"
	"sonde/target"
	"sonde/watch/modules"
	"sonde/watch/schedule"
	"sonde/watch/track"
)

// Options is what a Runner works by. The zero value of a field means its default.
type Options struct {
	// Table has the targets; it is the Runner's from New on. Not nil.
	Table *track.Table
	// Descriptors is how many sockets may be open, of which kept connections leave a tenth or a thousand; default 1000. Connections is
	// how many probes may be in flight, without what is kept; default Descriptors. Loops is as engine.Config has it.
	Connections, Descriptors, Loops int
	// Names is how names are resolved.
	Names target.ResolverOptions
	// Changed is called by the owner with each change of a target's state; it must not block.
	Changed func(id uint32, c track.Change, r *track.Result)
	// Told is called by the owner with each result of a target's turn; it must not block nor keep r.
	Told func(id uint32, r *track.Result)
	// Once has each target asked one time, at once, and no connection kept.
	Once bool
	// Held begins no turn and keeps no connection before Follow.
	Held bool
	// Drain is how long probes in flight may take when Run is to end; default 10 s.
	Drain time.Duration
	Clock clock.Clock
	Log   *slog.Logger
}

// Runner asks targets. Make one with New; Run it once.
type Runner struct {
	options  Options
	clk      clock.Clock
	log      *slog.Logger
	engine   *engine.Engine
	profiles *profiles
	flights  *flights
	schedule *schedule.Schedule
	waits    *timewheel.Wheel // of flights
	names    *names
	limits   Limits
	paces    []*pace.Limiter
	rng      *rand.Rand

	jobs    map[string]*job
	watched allWatched

	visits  chan func()
	over    chan struct{} // closed when Run returns
	pending []engine.Job  // probes that there was no room for
	keeps   []engine.Job  // the same for connections to be kept
	probing int           // probes that wait in pending or are the engine's
	keeping int           // likewise, connections that are kept or to be
	room    int           // how many there may be of both
	left    bool          // somebody who asked went away, and his probe may wait in pending
	stopped bool          // no turn comes any more
	// toldFull says that the log knows that more connections are to be kept than can be.
	toldFull bool

	// Of a handover (handover.go):
	frozen    bool     // no turn is begun
	giving    bool     // no connection that is to be kept is begun
	handing   *handing // nil: there is none, or it is to us
	unclaimed map[owner]past
	elsewhere map[uint32]int   // turns under way in the process that we follow, by row
	coming    map[uint32]int64 // their next turns there, until Follow

	gap time.Duration // until the next pass, at least

	turns    []schedule.Turn
	outcomes []engine.Outcome
	answers  []answer
	expired  []uint32
	counts   Counts
	result   track.Result // used again for each
}

// Limits are what the runner keeps to, whatever the jobs.
type Limits struct {
	// HostRate and SubnetRate limit dials; zero does not.
	HostRate, SubnetRate pace.Settings
	// Allow is what may be asked by Ask; nil is nothing.
	Allow *target.Set
}

// SetLimits has other limits hold from here on. To be called in a visit.
func (r *Runner) SetLimits(l Limits) {
	if was := r.limits; was.HostRate != l.HostRate || was.SubnetRate != l.SubnetRate {
		r.paces = nil
		for _, s := range []pace.Settings{l.HostRate, l.SubnetRate} {
			if s.PerSecond > 0 {
				r.paces = append(r.paces, pace.New(s))
			}
		}
	}
	r.limits = l
}

// Entry is what a row's target is and how it is asked. To be called in a visit, or by Told.
func (r *Runner) Entry(row uint32) (target.Target, *modules.Module) {
	w := r.watched.at(row)
	return w.target, w.job.Module
}

// Stats are figures of the runner since New.
type Stats struct {
	Engine   engine.Stats
	Schedule schedule.Stats
	Counts
}

// Stats are the figures so far. To be called in a visit.
func (r *Runner) Stats() Stats { return Stats{r.engine.Stats(), r.schedule.Stats(), r.counts} }

// Counts are the runner's own.
type Counts struct {
	Paced uint64 // dials that waited for their host's turn or their subnet's
	Asked uint64 // probes that somebody asked for
	Beats uint64 // heartbeats that were answered
}

// Passes of the owner are at least a tick apart: what comes within it is handled together. The more a pass had to do, the longer is
// the gap behind it: at ten thousand probes a second, the kernel takes 3 us less for each if they are dialled 200 at a time and not 10.
const tick = time.Millisecond

// maxGap is the longest of these gaps, and minGaps how many at least are in the shortest interval: a turn that is late by a tenth of
// it is missed (package schedule).
const (
	maxGap  = 20 * time.Millisecond
	minGaps = 25
)

// gapBehind is that behind a pass which handled so many turns and outcomes.
func (r *Runner) gapBehind(handled int) time.Duration {
	gap := tick
	switch {
	case handled >= 64:
		gap = maxGap
	case handled >= 8:
		gap = 4 * tick
	}
	for _, j := range r.jobs { // a few
		gap = min(gap, max(j.Interval/minGaps, tick))
	}
	return gap
}

// New opens the engine. The caller must Run the Runner.
func New(o Options) (*Runner, error) {
	r := &Runner{
		options: o, clk: o.Clock, log: o.Log, flights: newFlights(), jobs: make(map[string]*job),
		visits: make(chan func()), over: make(chan struct{}),
		frozen: o.Held, unclaimed: make(map[owner]past), elsewhere: make(map[uint32]int), coming: make(map[uint32]int64),
	}
	if r.clk == nil {
		r.clk = clock.NewSystem()
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.room = o.Descriptors; r.room == 0 {
		r.room = 1000
	}
	if r.options.Connections == 0 {
		r.options.Connections = r.room
	}
	var err error
	r.engine, err = engine.New(engine.Config{
		Loops: o.Loops, Connections: r.room, Descriptors: o.Descriptors, Clock: r.clk, Log: r.log, DrainLimit: o.Drain,
		Profiles: []engine.Profile{{Dialogue: dialogue{r.flights}}},
	})
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	r.profiles = newProfiles(r.engine, r.flights)
	now := r.clk.Now()
	wall := r.clk.Wall(now)
	r.schedule, r.waits = schedule.New(now, wall), timewheel.New(now)
	r.rng = rand.New(rand.NewPCG(uint64(wall.UnixNano()), uint64(now)))
	o.Names.Clock = r.clk
	r.names = newNames(o.Names)
	return r, nil
}

// Run asks until ctx ends. Probes in flight then have the drain limit, and kept connections are closed.
func (r *Runner) Run(ctx context.Context) error {
	defer close(r.over)
	looking, stopLooking := context.WithCancel(context.Background())
	r.names.run(looking)
	defer func() {
		stopLooking()
		r.names.close()
	}()
	stopping := ctx.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		passed := r.clk.Now()
		if !r.pass(passed) {
			return r.engine.Wait()
		}
		if at, ok := r.next(); ok {
			timer.Reset(max(time.Duration(at-r.clk.Now()), r.gap))
		} else {
			timer.Stop()
		}
		select {
		case <-r.engine.Ready():
		case <-r.names.ready:
		case <-timer.C:
			continue
		case do := <-r.visits:
			do()
			continue
		case <-stopping:
			stopping = nil
			r.stop()
			continue
		}
		if early := r.gap - time.Duration(r.clk.Now()-passed); early > 0 {
			timer.Reset(early)
			<-timer.C
		}
	}
}

// pass handles all that has come by now. It reports false when the engine has ended.
func (r *Runner) pass(now int64) (more bool) {
	r.outcomes, more = r.engine.Outcomes(r.outcomes[:0])
	done := len(r.outcomes)
	for i := range r.outcomes {
		r.land(now, &r.outcomes[i])
	}
	clear(r.outcomes) // lets the findings go
	r.answers = r.names.take(r.answers[:0])
	for i := range r.answers {
		r.named(now, &r.answers[i])
	}
	clear(r.answers)
	r.expired = r.waits.Advance(now, r.expired[:0])
	for _, id := range r.expired {
		r.expire(now, id)
	}
	if !r.stopped && !r.frozen {
		r.turns = r.schedule.Due(now, r.turns[:0])
		for _, s := range r.schedule.Skips() {
			r.skipped(s)
		}
		for _, t := range r.turns {
			r.turn(now, t)
		}
		done += len(r.turns)
	}
	r.gap = r.gapBehind(done)
	r.offer()
	return more
}

// next is when something is to be done at the latest, unless something comes.
func (r *Runner) next() (at int64, ok bool) {
	at, ok = r.waits.Next()
	if !r.stopped && !r.frozen {
		if turn, is := r.schedule.Next(); is && (!ok || turn < at) {
			at, ok = turn, true
		}
	}
	if len(r.keeps) > 0 || r.free() > 0 && len(r.pending) > 0 { // the engine has room as soon as a loop has looked
		return r.clk.Now(), true
	}
	return at, ok
}

// maxDropped is how many jobs of targets that are gone are thrown away in a pass: there may be as many as targets.
const maxDropped = 1024

// free is how many probes more the engine may be given.
func (r *Runner) free() int { return r.options.Connections - (r.probing - len(r.pending)) }

// offer hands jobs to the engine, as many as there is room for.
func (r *Runner) offer() {
	if r.left {
		r.withdraw()
	}
	r.keeps = r.hand(r.keeps, len(r.keeps))
	r.pending = r.hand(r.pending, min(r.free(), len(r.pending)))
}

// hand gives the first so many jobs to the engine, without those that are nobody's any more, and returns the ones that are left.
func (r *Runner) hand(jobs []engine.Job, most int) (left []engine.Job) {
	if most <= 0 {
		return jobs
	}
	now := r.clk.Now()
	n, seen := 0, 0
	for ; seen < len(jobs) && n < most && seen-n < maxDropped; seen++ {
		if j := jobs[seen]; r.flights.at(uint32(j.ID)).isNobodys() {
			r.land(now, &engine.Outcome{ID: j.ID, Cause: engine.NotDialed})
		} else {
			jobs[n] = j
			n++
		}
	}
	taken, err := r.engine.Offer(jobs[:n])
	left = append(append(jobs[:0], jobs[taken:n]...), jobs[seen:]...)
	if err == nil {
		return left
	}
	// It was stopped, by us or since a loop has failed: nothing is dialled any more.
	for _, j := range left {
		r.land(now, &engine.Outcome{ID: j.ID, Cause: engine.NotDialed})
	}
	return nil
}

// withdraw takes back what is nobody's any more and was not given to the engine.
func (r *Runner) withdraw() {
	r.left = false
	now := r.clk.Now()
	for _, list := range []*[]engine.Job{&r.pending, &r.keeps} {
		rest := (*list)[:0]
		for _, j := range *list {
			if r.flights.at(uint32(j.ID)).isNobodys() {
				r.land(now, &engine.Outcome{ID: j.ID, Cause: engine.NotDialed})
			} else {
				rest = append(rest, j)
			}
		}
		*list = rest
	}
}

// stop has no turn come any more, and ends what only waits and what would stand for ever.
func (r *Runner) stop() {
	r.stopped = true
	now := r.clk.Now()
	var keeping []uint32
	r.flights.each(func(id uint32, f *flight) {
		switch {
		case f.use == kept && f.row != noRow:
			keeping = append(keeping, id)
		case f.stage == waiting:
			r.waits.Cancel(id)
			r.abandon(now, id)
		}
	})
	r.orphan(keeping)
	r.engine.Stop()
}

// ErrEnded is what a visit gets when Run has returned.
var ErrEnded = errors.New("the runner has ended")

// Visit has do called by the owner, between two probes, and returns when it has. do must be short: nothing is dialled meanwhile.
func (r *Runner) Visit(ctx context.Context, do func()) error {
	done := make(chan struct{})
	select {
	case r.visits <- func() { defer close(done); do() }:
		<-done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-r.over:
		return ErrEnded
	}
}
