package engine

import (
	"sync"
	"sync/atomic"

	"sonde/internal/kernel/socket"
)

// order is what a loop is asked for besides jobs.
type order interface{ carryOut(l *loop) }

// orders are what other goroutines ask of a loop and it has not looked at yet. There are few in the life of an engine, so a lock
// will do; in a batch without one the loop looks at a flag.
type orders struct {
	some   atomic.Bool
	mu     sync.Mutex
	list   []order
	closed bool // the loop looks no more
}

// ask gives the loop an order. It reports false if the loop has ended.
func (l *loop) ask(o order) bool {
	l.orders.mu.Lock()
	if l.orders.closed {
		l.orders.mu.Unlock()
		return false
	}
	l.orders.list = append(l.orders.list, o)
	l.orders.some.Store(true)
	l.orders.mu.Unlock()
	l.poller.Wake()
	return true
}

// obey carries out what the loop was asked for.
func (l *loop) obey() {
	if !l.orders.some.Load() {
		return
	}
	l.orders.mu.Lock()
	list := l.orders.list
	l.orders.list = nil
	l.orders.some.Store(false)
	l.orders.mu.Unlock()
	for _, o := range list {
		o.carryOut(l)
	}
}

// close takes no more orders from now on. It reports false, and takes them still, if there is one that nobody has looked at.
func (o *orders) close() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = len(o.list) == 0
	return o.closed
}

// idSet is ids to be looked up while a loop goes through its table. It is never changed, and all loops share it.
type idSet map[uint64]struct{}

func setOf(ids []uint64) idSet {
	set := make(idSet, len(ids))
	for _, id := range ids {
		set[id] = struct{}{}
	}
	return set
}

func (s idSet) has(id uint64) bool {
	_, ok := s[id]
	return ok
}

// End ends jobs that nobody wants any more, whether they are still queued, in flight or kept: each comes back with an Outcome, as
// Cancelled, or as NotDialed if the peer has seen nothing of it, or as what it had come to already. Connections end by FIN or RST
// as their profile says. It does not wait. Ids that are not known (any more) are ignored; all jobs of one id end.
//
// Each loop goes through its whole table once, whatever the number of ids, which takes it some 20 ns a connection: end many at once.
func (e *Engine) End(ids []uint64) {
	if len(ids) == 0 {
		return
	}
	set := setOf(ids)
	// First those that no loop has taken: what a loop takes before that, it has when it gets the order.
	e.shared.inbox.withdraw(set, e.cfg.Clock.Now())
	for _, l := range e.loops {
		l.ask(ending(set))
	}
}

// ending is the order to end jobs.
type ending idSet

func (e ending) carryOut(l *loop) {
	ids, a := idSet(e), &l.admission
	withdraw := func(waiting []waiter) (rest []waiter) {
		for _, w := range waiting {
			if ids.has(w.job.ID) {
				l.giveUp(w, NotDialed, socket.CallNone, 0, 0)
			} else {
				rest = append(rest, w)
			}
		}
		return rest
	}
	a.waiters, a.redials = withdraw(a.waiters), withdraw(a.redials)
	rest := a.pending[:0]
	for _, job := range a.pending[a.first:] {
		if ids.has(job.ID) {
			l.giveUp(waiter{job: job}, NotDialed, socket.CallNone, 0, 0)
		} else {
			rest = append(rest, job)
		}
	}
	a.pending, a.first = rest, 0
	for slot := range l.table.rows {
		if r := &l.table.rows[slot]; r.state != Closed && r.state != Closing && ids.has(r.id) {
			l.cancel(uint32(slot))
		}
	}
}

// withdraw takes jobs of these ids out of the ring and gives them back as not dialled. It does so under the lock: once the ring is
// seen to be empty, all outcomes of what was in it are where the consumer finds them.
func (q *inbox) withdraw(ids idSet, now int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var outcomes []Outcome
	kept := 0
	for i := range q.n {
		job := q.jobs[(q.head+i)%len(q.jobs)]
		if ids.has(job.ID) {
			o := (&phases{}).outcome(now)
			o.ID, o.Cause = job.ID, NotDialed
			outcomes = append(outcomes, o)
			continue
		}
		q.jobs[(q.head+kept)%len(q.jobs)] = job
		kept++
	}
	if len(outcomes) == 0 {
		return
	}
	if q.n = kept; q.n <= len(q.jobs)/2 {
		signal(q.room)
	}
	q.shared.outbox.put(outcomes)
}
