package load

import (
	"context"
	"sync/atomic"
	"time"

	"sonde/bench/result"
	"sonde/engine"
	"sonde/protocol"
)

// handshakes opens connections, with TLS or without, and closes them, again and again: so many in flight at once, or so many
// a second.
type handshakes struct {
	*run
	began  atomic.Int64 // when the first was asked for; 0: not yet
	failed uint64       // dials that did not get as far as a socket; the collector's
}

func newHandshakes(r *run) *handshakes {
	main := result.Connect
	if r.layer != nil {
		main = result.TLS
	}
	r.rec = newRecorder(1, main)
	return &handshakes{run: r}
}

func (h *handshakes) profile(p *engine.Profile) {
	if h.layer == nil {
		return
	}
	p.Dialogue = dialogue(func(id uint64) protocol.Exchange {
		t := h.plan.Target(id).Target()
		return h.layer.Exchange(&t, nil, nil, h.spec.TLS.SessionReuse)
	})
}

// submit submits until the time is over.
func (h *handshakes) submit(ctx context.Context) {
	defer h.engine.Stop()
	from := h.start + int64(h.spec.WarmUp)
	until := from + int64(h.spec.Duration)
	h.rec.setWindow(from, h.spec.Duration)
	if !wait(ctx, time.Duration(h.start-h.clk.Now())) {
		return
	}
	h.began.Store(h.clk.Now())
	caller := ctx
	ctx, stop := context.WithTimeout(caller, time.Duration(until-h.clk.Now()))
	defer stop()
	submitted := make(chan struct{})
	go func() {
		defer close(submitted)
		batch := make([]engine.Job, 0, batchSize)
		for next := h.spec.First; ctx.Err() == nil; {
			batch = batch[:0]
			for range min(batchSize, h.spec.Connections) {
				batch = append(batch, h.plan.Job(next))
				next++
			}
			if _, err := h.engine.Submit(ctx, batch); err != nil {
				return
			}
		}
	}()
	if wait(ctx, time.Duration(from-h.clk.Now())) {
		h.measure(from, h.spec.Duration)
	}
	<-submitted
	h.measured()
	if caller.Err() != nil {
		h.stopEarly() // as for requests
	}
}

// notResumed is the method of a second handshake that was a full one.
const notResumed = "none"

// resumption is what the finding of a TLS handshake tells if a second one resumed its session.
type resumption interface {
	Resumption() (fullUS, resumedUS int64, method string, ok bool)
}

// unbegunSlack is how long before the end what comes due need not be begun any more: a busy machine may not get to it.
const unbegunSlack = 50 * time.Millisecond

// conclude counts the handshakes of the schedule that were never begun: while all places are taken nobody has the limiter's turns,
// and those that are older than rate.StallLimit are lost.
func (h *handshakes) conclude() {
	began := h.began.Load()
	if h.spec.Dials == 0 || began == 0 {
		return
	}
	until := min(h.start+int64(h.spec.WarmUp+h.spec.Duration), h.stoppedAt.Load()) - int64(unbegunSlack)
	due := time.Duration(until-began).Seconds() * h.spec.Dials
	if n := int64(due) - int64(h.engine.Stats().Opened+h.failed); n > 0 {
		f := unsent(result.Failure{State: engine.Init.String(), Example: h.plan.Target(h.spec.First).Addr.String(), Count: uint64(n)})
		f.Text = unbegun
		h.rec.fail(h.spec.First, f)
	}
}

// unbegun is why a handshake failed that was due and never begun.
const unbegun = "due, but not begun: all places were taken"

// take counts an outcome.
func (h *handshakes) take(o *engine.Outcome) {
	if o.State == engine.Init && o.Cause != engine.Cancelled {
		h.failed++
	}
	switch {
	case o.Cause == engine.Cancelled && o.Total < drainLimit: // of a series, which has no next connection at the end
		return
	case o.Cause == engine.Cancelled:
		f := h.failure(o, 1)
		f.Text = unfinished
		h.rec.fail(o.ID, f)
		return
	case !h.isSuccess(o):
		h.rec.fail(o.ID, h.failure(o, 1))
		return
	}
	h.rec.opened(o.ID)
	due := o.DialedAt - int64(o.SchedDelay)
	var room [8]timing
	timings := phasesOf(o, room[:0])
	if f, ok := o.Conclusion.Finding.(resumption); ok {
		if _, second, method, ok := f.Resumption(); ok && second > 0 {
			phase := result.TLSResumed
			if method == notResumed {
				phase = result.TLS
			}
			h.rec.operation(o.ID, due, o.EndedAt, 0, timing{phase, time.Duration(second) * time.Microsecond})
		}
	}
	h.rec.operation(o.ID, due, o.EndedAt, 0, timings...)
}
