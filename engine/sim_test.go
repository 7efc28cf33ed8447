package engine

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sonde/internal/kernel/socket"
	"sonde/internal/rate"
	"sonde/internal/simkernel"
)

var (
	simSeeds = flag.Uint64("sim.seeds", 250, "how many seeds TestSimulation runs")
	simFirst = flag.Uint64("sim.first", 0, "the first of them")
)

// TestSimulation runs a loop over the simulated kernel with every liberty that a kernel may take, from seeds that it
// prints. Whatever happens: each job has the outcomes that its peer's script allows and no others; they come within their
// limits plus a tick and the loop's own lag; no connection hears another's bytes; opened equals closed; nothing stays
// behind.
func TestSimulation(t *testing.T) { simulate(t, *simFirst, *simSeeds) }

// TestSimulationSoak is TestSimulation for as many seeds as SONDE_SOAK_SEEDS says, from where TestSimulation ends.
func TestSimulationSoak(t *testing.T) {
	seeds, err := strconv.ParseUint(os.Getenv("SONDE_SOAK_SEEDS"), 10, 64)
	if err != nil {
		t.Skip("the long run is `make soak`")
	}
	simulate(t, *simFirst+*simSeeds, seeds)
}

// simulate runs seeds on all CPUs until one of them finds something.
func simulate(t *testing.T, first, count uint64) {
	var (
		workers sync.WaitGroup
		next    atomic.Uint64
		failed  atomic.Bool
	)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for !failed.Load() {
				seed := first + next.Add(1) - 1
				if seed >= first+count {
					return
				}
				w := newWorld(seed)
				w.run()
				if len(w.problems) == 0 || failed.Swap(true) {
					continue
				}
				for _, p := range w.problems[:min(len(w.problems), 10)] {
					t.Errorf("seed %d: %s", seed, p)
				}
				t.Errorf("to see it again: go test ./engine -run 'TestSimulation$' -sim.first %d -sim.seeds 1", seed)
			}
		})
	}
	workers.Wait()
}

// world is one simulated run.
type world struct {
	kernel    *simkernel.Kernel
	told      int     // how many of the profiles the engine knows
	leaving   *export // what it was asked to give up, until that is adopted
	adopted   int     // how many connections it was given back
	engine    *Engine // without goroutines: its one loop is run by the test
	loop      *loop
	options   simkernel.Options
	cfg       Config
	jobs      []simJob
	perSecond float64 // the rate, if there is one
	wild      bool    // failures out of the blue: predictions hold only for dials that none hit
	stoppedAt int64   // when Stop or Abort was called; 0: it was not
	outcomes  []Outcome
	servers   []*simServer // their coroutines are the test's to stop
	problems  []string
}

func (w *world) problem(format string, args ...any) {
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

// The profiles of a world, by index.
const (
	talks    = iota // one exchange
	connects        // no exchange
	beats           // kept, with heartbeats
	idles           // kept, without
	series          // one exchange on several connections
)

// worldLimits bound the phases in every world.
var worldLimits = Limits{Connect: 3 * time.Second, Handshake: 4 * time.Second, Read: 5 * time.Second, Close: 2 * time.Second, Target: 2 * time.Minute}

const (
	worldHeartbeat = time.Second
	worldIdle      = 8 * time.Second
	seriesTarget   = 12 * time.Second
	worldDrain     = 3 * time.Second
	worldStall     = 6 * time.Second // longer than any limit but the idle one
	worldBatches   = 1 << 18         // none of 8,000 seeds takes half of it
)

// newWorld makes up a run from its seed: 50 peers, a loop that is too small for all of them at once, faults, and in every
// fourth seed failures out of the blue.
func newWorld(seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 1))
	oneIn := func(n int) bool { return rng.IntN(n) == 0 }
	w := &world{wild: seed%4 == 3}
	w.options = simkernel.Options{Seed: seed, Faults: simkernel.RandomFaults(rng), SeparateFilters: oneIn(3), NoInfo: oneIn(4), TimeWait: 2 * time.Second, MaxBatches: worldBatches}
	if !w.options.NoInfo && oneIn(3) { // now and then we are suspended: the answers lie there when we come back
		w.options.Faults.Late, w.options.Faults.LateMax = 0.003, worldStall
		w.options.Faults.SurpriseAgain = 0 // no kernel hides from a last look what has long been there
	}
	if w.wild {
		w.options.Errnos = simkernel.RandomErrnos(rng)
	}
	if oneIn(3) {
		w.options.MaxFDs = 3 + rng.IntN(20)
	}
	if oneIn(3) {
		w.options.Ports = 1 + rng.IntN(3)
	}
	if oneIn(3) {
		w.options.SendBuffer, w.options.ReceiveBuffer = 4<<10, 8<<10
	}
	if oneIn(3) {
		w.options.ReceiveBuffer = 256 << 10 // more than a connection's share of a batch
	}
	if oneIn(4) {
		w.options.MaxBatch = 1 + rng.IntN(8)
	}
	w.kernel = simkernel.New(w.options)
	w.cfg = Config{
		Loops: 1, Connections: 1 + rng.IntN(40), Clock: w.kernel, Strict: true, DrainLimit: worldDrain,
		Profiles: w.profiles(rng),
	}
	if oneIn(3) {
		w.cfg.Descriptors = 1 + rng.IntN(10)
	}
	if oneIn(2) {
		w.cfg.BufferBytes = 1 << 10 << rng.IntN(6) // one ring to a few: others wait
	}
	if oneIn(4) {
		w.perSecond = 5 + 200*rng.Float64()
		w.cfg.Rate = rate.New(w.perSecond)
	}
	if oneIn(4) {
		w.cfg.Sources = []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("192.0.2.8")}
	}
	w.cfg = w.cfg.withDefaults()
	w.start(1 + rng.IntN(len(w.cfg.Profiles)))
	if oneIn(4) {
		w.loop.tellEvery = TellEvery
		w.watchFigures(rng)
	}
	if oneIn(2) {
		w.loop.beatBudget = 1 // few of these connections are kept
	}
	w.plan(rng)
	return w
}

// start makes the engine and its loop. It is told of so many profiles now and of the others when they are needed.
func (w *world) start(profiles int) {
	w.told = profiles
	cfg := w.cfg
	cfg.Profiles = slices.Clone(cfg.Profiles[:profiles])
	w.engine = &Engine{cfg: cfg, shared: newShared(&cfg)}
	w.engine.shared.wake = w.kernel.Wake
	w.loop = newLoop(&w.engine.cfg, w.engine.shared, 0, w.kernel, w.kernel.Sockets())
	w.loop.tellEvery = 0 // what wakes the loop each second would hide that nothing else did
	w.engine.loops = []*loop{w.loop}
}

func (w *world) profiles(rng *rand.Rand) []Profile {
	kept := worldLimits
	kept.Idle = worldIdle
	bounded := worldLimits
	bounded.Target = seriesTarget
	return []Profile{
		talks:    {Dialogue: w, Limits: worldLimits, Reset: rng.IntN(2) == 0},
		connects: {Limits: worldLimits, Reset: rng.IntN(2) == 0},
		beats:    {Dialogue: w, Limits: kept, Heartbeat: worldHeartbeat, Reset: rng.IntN(4) == 0},
		idles:    {Dialogue: w, Limits: kept, Reset: rng.IntN(4) == 0},
		series:   {Dialogue: w, Limits: bounded, Reset: rng.IntN(2) == 0},
	}
}

// plan makes up the peers, lets their jobs arrive over time, and now and then stops it all in the middle or leaves the
// outcomes lying about.
func (w *world) plan(rng *rand.Rand) {
	const count = 50
	at := int64(0)
	for id := range count {
		job := w.makeJob(rng, id)
		w.kernel.At(at, func() { w.submit(job) })
		if rng.IntN(4) == 0 {
			at += rng.Int64N(int64(time.Second))
		}
	}
	if rng.IntN(3) == 0 {
		at = max(at, w.planMoves(rng))
	}
	w.kernel.At(at+1, w.engine.Finish)
	if rng.IntN(4) == 0 {
		stop := w.engine.Stop
		if rng.IntN(3) == 0 {
			stop = w.engine.Abort
		}
		w.kernel.At(rng.Int64N(2*at+int64(time.Second)), func() {
			w.stoppedAt = w.kernel.Now()
			stop()
		})
	}
	if rng.IntN(4) == 0 {
		for range 1 + rng.IntN(3) {
			w.kernel.At(rng.Int64N(2*at+int64(time.Second)), func() { w.endSome(rng) })
		}
	}
	if rng.IntN(4) == 0 {
		w.clog(rng.Int64N(int64(20 * time.Second)))
	}
}

// endSome ends some jobs, whatever they are at.
func (w *world) endSome(rng *rand.Rand) {
	var ids []uint64
	for id := range w.jobs {
		if job := &w.jobs[id]; job.taken && job.endedAt == 0 && rng.IntN(2) == 0 {
			job.endedAt = w.kernel.Now()
			ids = append(ids, uint64(id))
		}
	}
	w.engine.End(ids)
}

// watchFigures looks now and then at the figures that the loop has told, and at the loop: what it told is no older than it should be.
func (w *world) watchFigures(rng *rand.Rand) {
	var changedAt int64
	w.loop.observe = func(uint32, State, State) { changedAt = w.kernel.Now() }
	for at := int64(0); at < int64(20*time.Second); at += 1 + rng.Int64N(int64(500*time.Millisecond)) {
		w.kernel.At(at, func() {
			l, now := w.loop, w.kernel.Now()
			var told Stats // as Engine.Stats makes it
			told.addFigures(w.engine.shared.stats.loops)
			var states [Closed]int64
			for slot := range l.table.rows {
				if state := l.table.rows[slot].state; state != Closed {
					states[state]++
				}
			}
			old := now - int64(TellEvery+w.options.Faults.LateMax) - w.slack()
			if told.States != states && changedAt < old {
				w.problem("told: %v in states; there have been %v for %v", told.States, states, time.Duration(now-changedAt))
			}
			if l.now >= old {
				return
			} // else it sleeps, and has told all but how long the last batch took
			if n := int64(l.wheel.Len()); told.Deadlines != n {
				w.problem("told: %d deadlines; there have been %d since the last batch, %v ago", told.Deadlines, n, time.Duration(now-l.now))
			}
			if n := l.lag.Count(); n > 1 {
				w.problem("not told: the lag of %d batches, since %v", n, time.Duration(now-l.now))
			}
		})
	}
}

// clog fills the outbox, and has the consumer come so late.
func (w *world) clog(late int64) {
	filler := make([]Outcome, outboxSize)
	for i := range filler {
		filler[i].ID = fillerID
	}
	w.engine.shared.outbox.put(filler)
	w.kernel.At(late, func() {
		if len(w.kernel.Dials()) > 0 {
			w.problem("a dial though the outbox was full")
		}
		w.outcomes, _ = w.engine.Outcomes(w.outcomes)
	})
}

// fillerID marks outcomes that stand for those of an earlier time.
const fillerID = ^uint64(0)

// submit hands over one job; after a stop it must be refused.
func (w *world) submit(job Job) {
	for ; w.told <= int(job.Profile); w.told++ {
		if err := w.engine.SetProfile(uint16(w.told), w.cfg.Profiles[w.told]); err != nil {
			w.problem("profile %d: %v", w.told, err)
			return
		}
	}
	n, err := w.engine.Offer([]Job{job})
	switch {
	case w.stoppedAt != 0 && n == 0 && err == ErrStopped:
	case n != 1 || err != nil:
		w.problem("submit: took %d jobs: %v", n, err)
	default:
		w.jobs[job.ID].taken = true
	}
}

// address is where the peer of a job lives.
func address(id int) socket.Addr {
	return socket.AddrFrom(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(id)}), 80), 0)
}

func (w *world) run() {
	defer func() {
		for _, s := range w.servers {
			s.stop()
		}
	}()
	if err := w.loop.run(); err != nil {
		w.problem("%v", err)
		return
	}
	if w.leaving != nil { // we were stopped meanwhile
		w.adopt(w.kernel.Now())
	}
	w.outcomes, _ = w.engine.Outcomes(w.outcomes)
	for i := range w.outcomes {
		if w.outcomes[i].ID != fillerID {
			w.checkOutcome(&w.outcomes[i])
		}
	}
	w.checkDials()
	for id := range w.jobs {
		w.checkJob(id)
	}
	w.checkRemains()
}

// checkRemains looks for what should be gone.
func (w *world) checkRemains() {
	l, s := w.loop, &w.engine.shared.stats
	w.problems = append(w.problems, w.kernel.Violations()...)
	if fds := w.kernel.OpenFDs(); len(fds) > 0 {
		w.problem("descriptors left open: %v", fds)
	}
	if o, c := s.opened.Load(), s.closed.Load(); o != c {
		w.problem("opened %d, closed %d", o, c)
	}
	if n := s.inFlight.Load(); n != 0 || l.admission.inFlight != 0 || l.admission.open != 0 {
		w.problem("left in flight: %d, of the loop %d, open %d", n, l.admission.inFlight, l.admission.open)
	}
	if most, want := s.inFlightMax.Load(), int64(l.admission.connections+w.adopted); most > want {
		w.problem("%d were in flight, want at most %d", most, want)
	}
	if told := w.engine.Stats(); told.States != [Closed]int64{} || told.Deadlines != 0 || told.Waiting != 0 || told.LoopLag.Count() == 0 {
		w.problem("told at the end: %v in states, %d deadlines, %d waiting, %d batches", told.States, told.Deadlines, told.Waiting, told.LoopLag.Count())
	}
	if n := l.pool.Stats().InUseRings; n != 0 {
		w.problem("%d rings not returned", n)
	}
	if n := l.wheel.Len(); n != 0 {
		w.problem("%d timers left armed", n)
	}
	if l.table.live != 0 || len(l.table.freeSeats) != len(l.table.flights) {
		w.problem("%d rows live, %d of %d flights free", l.table.live, len(l.table.freeSeats), len(l.table.flights))
	}
	if len(l.leaving) > 0 {
		w.problem("%d exports still wait for a heartbeat", len(l.leaving))
	}
	for slot, s := range l.table.sessions {
		if s != nil {
			w.problem("slot %d still has its TLS", slot)
		}
	}
	if l.handshakes != 0 || s.handshakes.Load() != 0 {
		w.problem("%d handshakes left, of the loop %d", s.handshakes.Load(), l.handshakes)
	}
	for seat := range l.table.flights {
		if l.table.exchanges[seat] != nil || l.table.unsent[seat] != nil || l.table.firsts[seat] != nil {
			w.problem("seat %d still has an exchange or its bytes", seat)
		}
	}
}
