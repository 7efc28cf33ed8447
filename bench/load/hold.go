package load

import (
	"context"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"sonde/bench/result"
	"sonde/bench/talk"
	"sonde/engine"
	"sonde/protocol"
	"sonde/protocol/fixed"
)

// hold opens connections and keeps them.
//
//	dial ─► [TLS] ─► parked ─┬─ each Ping: a heartbeat ─► parked
//	                         └─ lost: counted, not opened again
type hold struct {
	*run
	began   int64         // when the first was dialled; 0: not yet
	talk    *talk.Talk    // nil: no heartbeats
	settled atomic.Uint64 // connections that stand or have failed, each once
	failed  atomic.Uint64
	all     chan struct{} // closed when all have settled
	none    chan struct{} // closed when, behind that, none stands any more: there is nothing left to hold
}

func newHold(r *run) (*hold, error) {
	h := &hold{run: r, all: make(chan struct{}), none: make(chan struct{})}
	r.rec = newRecorder(1, result.Latency)
	if r.spec.Ping > 0 {
		t, err := talk.New(r.spec.Talk)
		if err != nil {
			return nil, err
		}
		h.talk = t
	}
	return h, nil
}

func (h *hold) profile(p *engine.Profile) {
	p.Dialogue = dialogue(func(id uint64) protocol.Exchange {
		if h.layer == nil {
			return opener{}
		}
		t := h.plan.Target(id).Target()
		return h.layer.Exchange(&t, opener{}, nil, false)
	})
	p.Limits.Idle = -1 // held connections are held
	if h.spec.Limits.Idle != 0 {
		p.Limits.Idle = h.spec.Limits.Idle
	}
	if h.talk != nil {
		beats := &beats{talk: h.talk, run: h.run}
		p.Heartbeat, p.Heartbeats, p.TellHeartbeats = h.spec.Ping, beats, true
	}
}

// By how much the heap may grow between two collections while connections are opened over TLS, and while they are held. What
// a session keeps lies among what its handshake leaves behind, and a page with both stays in RAM: at 100 % a session was
// measured at 8.1 KB, at 50 % at 6.8 and at 25 % at 6.6, for up to a fifth more CPU.
const (
	rampGCPercent = 25
	holdGCPercent = 5
)

// submit opens all of them, has them held, and lets them go.
func (h *hold) submit(ctx context.Context) {
	defer h.engine.Abort()
	defer func() { // also when it was stopped on the way
		h.over.Store(true)
		h.part.HeldAtEnd = uint64(max(h.held.Load(), 0))
		if h.part.Ramp == 0 {
			h.ramped()
		}
	}()
	if h.layer != nil {
		defer debug.SetGCPercent(debug.SetGCPercent(rampGCPercent))
	}
	if !wait(ctx, time.Duration(h.start-h.clk.Now())) {
		return
	}
	h.began = h.clk.Now()
	if h.submitRange(ctx) != nil {
		return
	}
	select {
	case <-ctx.Done():
		return
	case <-h.all:
	}
	// Heartbeats make little garbage, and what lies about uncollected would count as memory of connections.
	defer debug.SetGCPercent(debug.SetGCPercent(holdGCPercent))
	h.ramped()
	if h.hooks.Ramped != nil {
		h.hooks.Ramped(h.part.Held, h.failed.Load())
	}
	if h.hooks.Hold != nil {
		select {
		case <-ctx.Done():
			return
		case <-h.hooks.Hold:
		}
	}
	h.measure(h.clk.Now(), h.spec.Duration)
	held, end := context.WithTimeout(ctx, h.spec.Duration)
	defer end()
	select {
	case <-held.Done():
	case <-h.none:
	}
	h.measured()
}

// ramped notes what stands when all have been opened, or when it was stopped before, and what that takes.
func (h *hold) ramped() {
	if h.began != 0 {
		h.part.Ramp = time.Duration(h.clk.Now() - h.began)
	}
	h.part.Held = uint64(max(h.held.Load(), 0))
	if h.part.Held > 0 {
		h.look()
	}
}

// take counts an outcome.
func (h *hold) take(o *engine.Outcome) {
	switch {
	case o.Cause == engine.HeartbeatAnswered:
		// Nobody waits for the moment of a heartbeat: it counts from when it was sent, and how late that was stands apart.
		h.rec.operation(o.ID, o.EndedAt, o.EndedAt, 0, timing{result.Latency, o.Total}, timing{result.Lag, o.SchedDelay}, timing{result.FirstByte, o.FirstByte})
	case o.Cause == engine.Parked:
		h.held.Add(1)
		h.rec.opened(o.ID)
		var room [6]timing
		h.rec.latencies(o.ID, phasesOf(o, room[:0])...)
		h.settle(1)
	case o.Kept:
		h.held.Add(-1)
		if o.Cause != engine.Cancelled || !h.over.Load() {
			h.rec.fail(o.ID, h.failure(o, 1))
		}
		h.settle(0)
	case o.Cause == engine.Cancelled && h.over.Load():
	default:
		h.failed.Add(1)
		h.rec.fail(o.ID, h.failure(o, 1))
		h.settle(1)
	}
}

// conclude implements driver.
func (h *hold) conclude() {}

// settle counts connections that now stand or have failed.
func (h *hold) settle(n uint64) {
	if h.settled.Add(n) < uint64(h.spec.Connections) {
		return
	}
	if n > 0 {
		close(h.all)
	}
	if h.held.Load() == 0 {
		close(h.none)
	}
}

// dialogue opens exchanges by a function.
type dialogue func(id uint64) protocol.Exchange

// Open implements [protocol.Dialogue].
func (d dialogue) Open(id uint64) protocol.Exchange { return d(id) }

// nothing is the part of an exchange that hears nothing.
type nothing struct{}

// aByte is for who has to name a parser and never hears anything.
var aByte = sync.OnceValue(func() protocol.FrameParser { return fixed.New(fixed.Options{Size: 1}) })

func (nothing) Parser() protocol.FrameParser         { return aByte() }
func (nothing) OnEnd(protocol.End, []byte, error)    {}
func (nothing) OnFrame(protocol.Frame) protocol.Step { return protocol.Step{Then: protocol.Park} }
func (nothing) Conclusion() (c protocol.Conclusion)  { return c }

// opener parks a connection without a word.
type opener struct{ nothing }

// Begin implements [protocol.Exchange].
func (opener) Begin() protocol.Step { return protocol.Step{Then: protocol.Park} }

// beats are the heartbeats of held connections.
type beats struct {
	run  *run
	talk *talk.Talk
	pool sync.Pool
}

// Open implements [protocol.Dialogue].
func (b *beats) Open(id uint64) protocol.Exchange {
	x, _ := b.pool.Get().(*beat)
	if x == nil {
		x = &beat{home: b}
	}
	x.session, x.heard = b.talk.Open(b.run.host(id)), talk.Heard{Verdict: protocol.Unfinished}
	return x
}

// host is what the Host field of connection id says.
func (r *run) host(id uint64) string {
	if r.spec.Talk.Kind != talk.HTTP {
		return "" // nobody asks
	}
	usual := uint16(80)
	if r.layer != nil {
		usual = 443
	}
	return r.plan.Target(id).Host(usual)
}

// beat is one heartbeat: a request and its answer.
type beat struct {
	home    *beats
	session *talk.Session
	heard   talk.Heard
}

// Begin implements [protocol.Exchange].
func (x *beat) Begin() protocol.Step { return protocol.Step{Send: x.session.Request()} }

// Parser implements [protocol.Exchange].
func (x *beat) Parser() protocol.FrameParser { return x.session.Parser() }

// OnFrame implements [protocol.Exchange].
func (x *beat) OnFrame(f protocol.Frame) protocol.Step {
	x.heard = x.session.Hear(f)
	switch {
	case !x.heard.Done:
		return protocol.Step{}
	case x.heard.Verdict == protocol.Success:
		return protocol.Step{Then: protocol.Park}
	}
	return protocol.Step{Then: protocol.Done}
}

// OnEnd implements [protocol.Exchange].
func (x *beat) OnEnd(end protocol.End, _ []byte, err error) { x.heard = x.session.End(end, err) }

// Conclusion implements [protocol.Exchange].
func (x *beat) Conclusion() protocol.Conclusion {
	c := protocol.Conclusion{Verdict: x.heard.Verdict, Reason: x.heard.Reason}
	x.session.Close()
	x.session = nil
	x.home.pool.Put(x)
	return c
}
