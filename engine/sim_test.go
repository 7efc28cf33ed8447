package engine

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"sonde/internal/kernel/socket"
	"sonde/internal/simkernel"
	"sonde/protocol"
)

var (
	simSeeds = flag.Int("sim.seeds", 1000, "how many seeds TestSimulation runs")
	simFirst = flag.Uint64("sim.first", 0, "the first of them")
)

// TestSimulation runs a loop over the simulated kernel with every liberty that a kernel may take, from seeds that it
// prints. Whatever happens: each job has one outcome, the one that its peer's script allows; it comes within its limit
// plus a tick and the loop's own lag; no connection hears another's bytes; opened equals closed; nothing stays behind.
func TestSimulation(t *testing.T) {
	for seed := *simFirst; seed < *simFirst+uint64(*simSeeds); seed++ {
		w := newWorld(seed)
		w.run()
		if len(w.problems) > 0 {
			for _, p := range w.problems[:min(len(w.problems), 10)] {
				t.Errorf("seed %d: %s", seed, p)
			}
			t.Fatalf("go on with: go test ./engine -run TestSimulation -sim.first %d -sim.seeds 1", seed)
		}
	}
}

// world is one simulated run.
type world struct {
	kernel   *simkernel.Kernel
	shared   *shared
	loop     *loop
	jobs     []simJob
	limits   Limits
	wild     bool // failures out of the blue: predictions hold only for dials that none hit
	outcomes []Outcome
	problems []string
}

// simJob is a job and what may come of it.
type simJob struct {
	talk       simkernel.Talk
	prediction simkernel.Prediction
	exchange   *simExchange
	outcomes   int
}

func (w *world) problem(format string, args ...any) {
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

// newWorld makes up a run from its seed: 50 peers, a loop that is too small for all of them at once, faults, and in every
// fourth seed failures out of the blue.
func newWorld(seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 1))
	options := simkernel.Options{Seed: seed, Faults: simkernel.RandomFaults(rng)}
	w := &world{wild: seed%4 == 3}
	if w.wild {
		options.Errnos = simkernel.RandomErrnos(rng)
	}
	if rng.IntN(3) == 0 {
		options.MaxFDs = 3 + rng.IntN(20)
	}
	if rng.IntN(3) == 0 {
		options.Ports = 1 + rng.IntN(3)
	}
	w.kernel = simkernel.New(options)
	w.limits = Limits{Connect: 3 * time.Second, Read: 5 * time.Second, Close: 2 * time.Second, Target: 30 * time.Second}
	cfg := Config{
		Loops: 1, Connections: 1 + rng.IntN(40), Clock: w.kernel, Strict: true,
		Profiles: []Profile{{Dialogue: w, Limits: w.limits, Reset: rng.IntN(2) == 0}},
	}
	if rng.IntN(3) == 0 {
		cfg.Descriptors = 1 + rng.IntN(10)
	}
	if rng.IntN(3) == 0 {
		cfg.BufferBytes = 1 << 10 // one ring: all others wait
	}
	cfg = cfg.withDefaults()
	w.shared = newShared(&cfg)
	w.shared.wake = w.kernel.Wake
	w.loop = newLoop(&cfg, w.shared, 0, w.kernel, w.kernel.Sockets())
	w.plan(rng)
	return w
}

// plan makes up the peers and lets their jobs arrive over time.
func (w *world) plan(rng *rand.Rand) {
	const count = 50
	at := int64(0)
	for id := range count {
		addr := socket.AddrFrom(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(id)}), 80), 0)
		talk := simkernel.Talk{Request: simText(rng, id, "ask"), Reply: simText(rng, id, "say"), Patience: w.limits.Connect}
		if rng.IntN(3) == 0 {
			talk.Request = nil
		}
		script, prediction := simkernel.RandomScript(rng, talk)
		w.kernel.Peer(addr, script)
		w.jobs = append(w.jobs, simJob{talk: talk, prediction: prediction})
		job := Job{ID: uint64(id), Remote: addr}
		w.kernel.At(at, func() {
			if n, err := w.shared.inbox.put(context.Background(), []Job{job}); n != 1 || err != nil {
				w.problem("submit: took %d jobs: %v", n, err)
			}
		})
		if rng.IntN(4) == 0 {
			at += rng.Int64N(int64(time.Second))
		}
	}
	w.kernel.At(at+1, func() { w.shared.inbox.finish(); w.kernel.Wake() })
}

// simText is bytes that no other job says, of any length up to some rings' worth.
func simText(rng *rand.Rand, id int, word string) []byte {
	text := fmt.Appendf(nil, "%s-%d;", word, id)
	if rng.IntN(4) == 0 {
		text = bytes.Repeat(text, 1+rng.IntN(4000)/len(text))
	}
	return text
}

func (w *world) run() {
	if err := w.loop.run(); err != nil {
		w.problem("%v", err)
		return
	}
	w.outcomes, _ = w.shared.outbox.take(nil)
	for i := range w.outcomes {
		w.checkOutcome(&w.outcomes[i])
	}
	for id := range w.jobs {
		if w.jobs[id].outcomes != 1 {
			w.problem("job %d has %d outcomes, want 1", id, w.jobs[id].outcomes)
		}
		if ex := w.jobs[id].exchange; ex != nil && ex.concluded != 1 {
			w.problem("the exchange of job %d was concluded %d times, want once", id, ex.concluded)
		}
	}
	w.checkRemains()
}

// checkRemains looks for what should be gone.
func (w *world) checkRemains() {
	l, s := w.loop, &w.shared.stats
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
	if most, want := s.inFlightMax.Load(), int64(l.admission.connections); most > want {
		w.problem("%d were in flight, want at most %d", most, want)
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
}

// checkOutcome holds one outcome against the script of its peer.
func (w *world) checkOutcome(o *Outcome) {
	job := &w.jobs[o.ID]
	job.outcomes++
	fate := fateOf(o)
	if o.DialedAt != 0 {
		w.checkLimit(o)
	}
	if w.wild && w.wasHit(o.ID) {
		return
	}
	if fate&job.prediction.Fates == 0 {
		w.problem("job %d: got cause %d, errno %v in %v (fate %b), want fate %b", o.ID, o.Cause, o.Errno, o.State, fate, job.prediction.Fates)
		return
	}
	if fate&(simkernel.NoRoute|simkernel.Lost) != 0 && o.Errno != job.prediction.Errno {
		w.problem("job %d: got %v, want %v", o.ID, o.Errno, job.prediction.Errno)
	}
	if fate == simkernel.Refused && (o.Call == socket.CallConnect) && !job.prediction.AtOnce && o.DialedAt == 0 {
		w.problem("job %d was refused without a dial", o.ID)
	}
	if ex := job.exchange; ex != nil && fate != simkernel.Silence && len(ex.heard) != job.prediction.Bytes {
		w.problem("job %d: heard %d bytes, want %d", o.ID, len(ex.heard), job.prediction.Bytes)
	}
}

// wasHit reports whether a failure out of the blue may have touched the job.
func (w *world) wasHit(id uint64) bool {
	for _, d := range w.kernel.Dials() {
		if d.Fault != "" && d.Remote.IP[15] == byte(id) {
			return true
		}
	}
	return false
}

// checkLimit holds the time of the verdict against the limits. Waiting for a buffer stops the clocks, so runs that had
// to wait are left to the target's count of outcomes.
func (w *world) checkLimit(o *Outcome) {
	if w.shared.stats.bufferWaits.Load() > 0 {
		return
	}
	limit := w.limits.Connect
	if o.Connect != Absent {
		limit = o.Connect + w.limits.Read
		if len(w.jobs[o.ID].talk.Request) > 0 {
			limit += w.limits.Read // it starts anew when the last byte of the request is out
		}
	}
	slack := time.Millisecond + w.loop.lag.Max()
	if o.Total > limit+slack {
		w.problem("job %d ended after %v, want at most %v and %v", o.ID, o.Total, limit, slack)
	}
	timedOut := o.Cause == ConnectTimeout && o.Total < w.limits.Connect || o.Cause == ReadTimeout && o.Total < o.Connect+w.limits.Read-w.loop.lag.Max()
	if timedOut {
		w.problem("job %d timed out early: after %v of which %v to connect", o.ID, o.Total, o.Connect)
	}
}

// fateOf is the outcome in the simulator's words.
func fateOf(o *Outcome) simkernel.Fate {
	switch o.Cause {
	case Answered:
		switch o.Conclusion.Verdict {
		case protocol.Success:
			return simkernel.Answered
		case protocol.Closed:
			return simkernel.WasClosed
		}
	case ConnectFailed:
		if o.Errno == syscall.ECONNREFUSED {
			return simkernel.Refused
		}
		return simkernel.NoRoute
	case ConnectTimeout:
		return simkernel.Unanswered
	case ReadTimeout:
		return simkernel.Silence
	case Reset:
		if o.Errno == syscall.ECONNRESET || o.Errno == syscall.EPIPE {
			return simkernel.WasReset
		}
		return simkernel.Lost
	}
	return 0
}

// Open implements protocol.Dialogue.
func (w *world) Open(id uint64) protocol.Exchange {
	ex := &simExchange{world: w, id: id}
	if w.jobs[id].exchange != nil {
		w.problem("job %d: a second exchange is opened", id)
	}
	w.jobs[id].exchange = ex
	return ex
}

// simExchange has the talk of its job and objects to any byte that is not of it.
type simExchange struct {
	world     *world
	id        uint64
	heard     []byte
	ended     bool
	verdict   protocol.Verdict
	concluded int
}

func (x *simExchange) talk() *simkernel.Talk { return &x.world.jobs[x.id].talk }

func (x *simExchange) Begin() protocol.Step {
	request := x.talk().Request
	if len(request) == 0 {
		return protocol.Step{}
	}
	half := len(request) / 2
	return protocol.Step{Send: [][]byte{request[:half], request[half:]}}
}

func (x *simExchange) Parser() protocol.FrameParser { return simParser(len(x.talk().Reply)) }

func (x *simExchange) OnFrame(f protocol.Frame) protocol.Step {
	x.hear(f.Data)
	return protocol.Step{Then: protocol.Done}
}

func (x *simExchange) OnEnd(end protocol.End, rest []byte, err error) {
	x.hear(rest)
	x.verdict = protocol.Unfinished
	if end == protocol.EndOfStream {
		x.verdict = protocol.Closed
	}
}

func (x *simExchange) hear(data []byte) {
	if x.ended {
		x.world.problem("job %d: the exchange is called after its end", x.id)
	}
	x.ended = true
	x.heard = append(x.heard, data...)
	if !bytes.HasPrefix(x.talk().Reply, x.heard) {
		x.world.problem("job %d heard %.40q, which is not its own reply", x.id, x.heard)
	}
}

func (x *simExchange) Conclusion() protocol.Conclusion {
	x.concluded++
	return protocol.Conclusion{Verdict: x.verdict}
}

// simParser takes one frame of so many bytes.
type simParser int

func (n simParser) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	if len(buf) < int(n) {
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	return protocol.Frame{Data: buf[:n]}, int(n), nil
}
func (n simParser) MinFrameSize() int { return 1 }
func (n simParser) Reset()            {}
