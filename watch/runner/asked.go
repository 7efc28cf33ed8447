package runner

import (
	"cmp"
	"context"
	"time"

	"sonde/target"
	"sonde/watch/modules"
	"sonde/watch/track"
)

// Question is what is asked once, whatever the schedule.
type Question struct {
	Target target.Target
	Module *modules.Module
	// Timeout is the whole time that the probe has, from the first dial. Above zero.
	Timeout time.Duration
}

// asked is a probe that somebody waits for.
type asked struct {
	timeout time.Duration
	replies chan reply // of capacity one: the owner never waits
}

type reply struct {
	result *track.Result
	err    error
}

// answer is called once.
func (a *asked) answer(res *track.Result, err error) {
	if res != nil {
		kept := *res // the owner's is used again
		res = &kept
	}
	a.replies <- reply{res, err}
}

// NotAllowedError says that a target may not be asked for. Host is its name, if it has one: who may not ask for it is not told
// what our resolver knows of it.
type NotAllowedError struct{ Host string }

// Error implements error.
func (e *NotAllowedError) Error() string {
	return e.Host + " is not within the networks that may be probed on request (allow:)"
}

// Ask has an answer to q. The target's address, that of its name and those where it leads to must be allowed: it fails with a
// *NotAllowedError otherwise, and with ErrEnded when Run ends meanwhile. A name is looked up anew.
func (r *Runner) Ask(ctx context.Context, q Question) (*track.Result, error) {
	a := &asked{timeout: q.Timeout, replies: make(chan reply, 1)}
	var id uint32
	err := r.Visit(ctx, func() {
		if r.stopped {
			a.answer(nil, ErrEnded)
			return
		}
		r.counts.Asked++
		var f *flight
		id, f = r.flights.take()
		f.use, f.row, f.asked, f.start, f.module = request, noRow, a, q.Target, q.Module
		r.begin(r.clk.Now(), id, f)
		r.offer()
	})
	if err != nil {
		return nil, err
	}
	select {
	case reply := <-a.replies:
		return reply.result, reply.err
	case <-ctx.Done():
		_ = r.Visit(context.WithoutCancel(ctx), func() { r.leave(id, a) }) // else all has ended
		return nil, ctx.Err()
	case <-r.over:
	}
	select {
	case reply := <-a.replies:
		return reply.result, reply.err
	default:
		return nil, ErrEnded // its name was still being looked up
	}
}

// leave takes back what somebody asked for who waits no more, unless it is over. A probe that is under way comes to its end by itself.
func (r *Runner) leave(id uint32, a *asked) {
	f := r.flights.at(id)
	if f.asked != a {
		return
	}
	f.asked = nil
	switch f.stage {
	case waiting:
		r.waits.Cancel(id)
		r.flights.release(id)
	case inEngine:
		r.left = true
	}
}

// refuse ends a flight that somebody asked for and may not have.
func (r *Runner) refuse(id uint32, f *flight) {
	f.asked.answer(nil, &NotAllowedError{cmp.Or(f.target.Domain, f.target.Addr.String())})
	r.flights.release(id)
}
