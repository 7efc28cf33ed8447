package engine

import (
	"syscall"
	"time"

	"sonde/internal/kernel/socket"
	"sonde/protocol"
)

// carried is what goes from one connection of a Series to the next.
type carried struct {
	exchange protocol.Exchange
	first    *phases       // of the first connection: what the outcome tells
	budget   time.Duration // what is left of the target's; off: it has none
}

// askNext asks a Series whose connection is over whether it wants another one, and sees to it. again is false for a
// verdict, with its cause: that of the connection, unless time or the run ended before the Series did.
func (l *loop) askNext(slot uint32, s protocol.Series, cause Cause) (verdict Cause, again bool) {
	switch cause {
	case TargetTimeout, Cancelled, BuffersExhausted:
		return cause, false
	}
	if !s.Next() {
		return cause, false
	}
	switch {
	case l.shared.stopping.Load():
		s.OnEnd(protocol.EndCancelled, nil, nil)
		return Cancelled, false
	case l.flight(slot).targetUntil <= l.now:
		s.OnEnd(protocol.EndTimeout, nil, nil)
		return TargetTimeout, false
	}
	r, f := &l.table.rows[slot], l.flight(slot)
	c := &carried{exchange: s, first: l.table.firsts[r.seat], budget: off}
	if c.first == nil {
		p := f.phases
		c.first = &p
	}
	if f.targetUntil != int64(off) {
		c.budget = time.Duration(f.targetUntil - l.now)
	}
	l.table.exchanges[r.seat] = nil
	a := &l.admission
	a.redials = append(a.redials, waiter{job: Job{ID: r.id, Remote: r.remote, Profile: r.profile}, dueAt: l.now, carried: c})
	a.inFlight--
	l.shared.stats.inFlight.Add(-1)
	l.close(slot, cause)
	return cause, true
}

// redial dials for those that want another connection, each at a turn of the rate's: before any new job, since they are in
// flight to whoever counts. It returns what is left of the budget.
func (l *loop) redial(budget int) int {
	a := &l.admission
	for len(a.redials) > 0 && budget > 0 && !l.isPaced(budget) && l.hasDescriptor() {
		if _, ok := l.turn(); !ok { // which says when to go on
			break
		}
		w := a.redials[0]
		switch l.dial(w) {
		case noDescriptor:
			return budget
		case noPort:
			l.shared.stats.portWaits.Add(1)
			a.waiters = append(a.waiters, w)
			a.retryAt = earlier(a.retryAt, a.port.retryAt)
		case underWay:
			a.turnAt = 0
		}
		a.redials[0] = waiter{} // lets the exchange go
		a.redials = a.redials[1:]
		budget--
	}
	return budget
}

// giveUpSeries ends a Series that wanted a connection which can't be had, unless it wants to try once more.
func (l *loop) giveUpSeries(w waiter, cause Cause, call socket.Call, errno syscall.Errno) {
	s := w.carried.exchange.(protocol.Series)
	if cause == NotDialed { // but the peer has seen us
		cause = Cancelled
		s.OnEnd(protocol.EndCancelled, nil, nil)
	} else {
		s.OnEnd(protocol.EndNoConnection, nil, nil)
		if cause == ConnectFailed && s.Next() {
			l.admission.redials = append(l.admission.redials, w)
			l.admission.again = true // nothing else need ever happen
			return
		}
	}
	o := w.carried.first.outcome(l.clk.Now())
	o.ID, o.Cause, o.Call, o.Errno, o.Conclusion = w.job.ID, cause, call, errno, s.Conclusion()
	l.outcomes = append(l.outcomes, o)
}
