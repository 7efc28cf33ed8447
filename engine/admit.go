package engine

import (
	"slices"
	"time"

	"sonde/internal/kernel/socket"
)

const (
	// dialsPerRound is how many dials are made between two polls: with 2,000 in one go, the first would wait 30 to 45 ms on
	// loopback before its event is seen; with 32 it is 0.3 ms, and the CPU's caches are warmer too.
	dialsPerRound = 32
	// noProgressLimit is how long admission waits for a descriptor, a local port or a buffer, with nothing at all
	// moving, before the job is given up as a local fault. Local ports that all stand in TIME_WAIT come back after 60 s,
	// and the kernel's timer may be late by an eighth: to give up before would be to lie.
	noProgressLimit = int64(75 * time.Second)
	// retryFloor and retryCeiling bound how often a wait for a descriptor or port looks again when no connection of ours
	// closes: another process may hold them.
	retryFloor   = int64(5 * time.Millisecond)
	retryCeiling = int64(100 * time.Millisecond)
	// paceGrain is the shortest sleep between dials under a rate: above 1,000 a second several go at each waking.
	paceGrain = int64(time.Millisecond)
)

// admission decides when a job becomes a connection.
type admission struct {
	connections int // how many may be in flight
	descriptors int // how many sockets may be open
	inFlight    int // this loop's connections between dial and verdict
	open        int // this loop's sockets

	pending    []Job // taken from the inbox, not dialled yet
	first      int   // of pending
	takenAt    int64
	readySince int64    // since when there has been both room and a job; 0: there is not
	turnAt     int64    // when the rate gave a turn that is not used yet; 0: it did not
	waiters    []waiter // jobs without a local port, in order
	redials    []waiter // connections that a Series wants next, in order
	fd, port   shortage
	freed      int   // sockets closed since the waiters were last tried
	moved      int64 // when a dial was last made or a socket closed: progress
	source     int   // the next of Config.Sources
	retryAt    int64 // when to look again; 0: when something happens
	again      bool  // more dials are due at once
	isOver     bool  // the inbox will give no more jobs
}

// waiter is a job that waits to be dialled, for want of a local port or for its turn.
type waiter struct {
	job     Job
	dueAt   int64
	carried *carried // nil on a job's first connection
}

// shortage is a time without descriptors or local ports.
type shortage struct {
	since   int64 // 0: there is none
	retryAt int64 // when to try though no socket of ours was closed: another process may have let go of some
	backoff int64
}

// isStuck reports that nothing at all has moved for as long as patience goes.
func (s *shortage) isStuck(now, moved int64) bool {
	return s.since != 0 && now-max(s.since, moved) >= noProgressLimit
}

// begin notes that a try at now failed.
func (s *shortage) begin(now int64) {
	if s.since == 0 {
		*s = shortage{since: now, backoff: retryFloor / 2}
	}
	if now >= s.retryAt {
		s.backoff = min(2*s.backoff, retryCeiling)
		s.retryAt = now + s.backoff
	}
}

func newAdmission(connections, descriptors int) admission {
	return admission{connections: connections, descriptors: descriptors, pending: make([]Job, 0, 2*dialsPerRound)}
}

// admit dials what may be dialled now, at most dialsPerRound.
func (l *loop) admit() {
	a := &l.admission
	a.again, a.retryAt = false, 0
	if l.shared.stopping.Load() {
		return // heedStop turns the jobs away
	}
	if a.freed > 0 {
		a.fd.retryAt = l.now // a descriptor of ours came free: no need to wait
	}
	budget := l.retryWaiters(l.redial(dialsPerRound))
	for ; budget > 0; budget-- {
		if !l.hasRoom() || !l.hasJob() || !l.hasDescriptor() {
			return
		}
		if l.isPaced(budget) {
			return
		}
		dueAt, ok := l.turn()
		if !ok {
			return
		}
		w := waiter{job: a.pending[a.first], dueAt: dueAt}
		switch l.dial(w) {
		case noDescriptor:
			return // the job stays where it is
		case noPort: // no SYN has left: the next dial may have the turn
			l.shared.stats.portWaits.Add(1)
			a.waiters = append(a.waiters, w)
			a.retryAt = earlier(a.retryAt, a.port.retryAt)
		case underWay:
			a.turnAt = 0
		}
		a.first++
	}
	a.again = true
}

// handshakeTurn is how long a turn of the loop may take before it opens no more than one further connection while it makes
// handshakes: so what would queue for our CPU in the middle of one waits before its connect. Those that an exchange makes
// itself cost little and do not count.
const handshakeTurn = int64(time.Millisecond)

// isPaced reports that no more is to be dialled in this turn, of whose budget so much is left: the rest comes with the next.
func (l *loop) isPaced(budget int) bool {
	if budget == dialsPerRound || l.handshakes == 0 || l.clk.Now()-l.now <= handshakeTurn {
		return false
	}
	l.admission.again = true
	return true
}

// hasRoom reports whether one more connection may be opened. When it reports false, something will run admit again: a
// batch in which a connection ends, the timer, or the consumer.
func (l *loop) hasRoom() bool {
	a := &l.admission
	if a.inFlight+len(a.waiters)+len(a.redials) >= a.connections {
		a.readySince = 0
		return false
	}
	if !l.shared.outbox.isFull() {
		return true
	}
	l.shared.hungry.Store(true)
	return !l.shared.outbox.isFull() // the consumer may have emptied it before it could see the flag
}

// hasDescriptor reports whether a job that is at hand may ask for a descriptor now. With as many sockets open as there
// may be it waits until one of them is closed; kept ones may never be, so after some time dial gives the job up.
func (l *loop) hasDescriptor() bool {
	a := &l.admission
	if a.open >= a.descriptors {
		l.waitForFD()
		if !a.fd.isStuck(l.now, a.moved) {
			a.retryAt = earlier(a.retryAt, max(a.fd.since, a.moved)+noProgressLimit)
			return false
		}
		return true
	}
	if a.fd.since != 0 && l.now < a.fd.retryAt {
		a.retryAt = earlier(a.retryAt, a.fd.retryAt)
		return false
	}
	return true
}

// waitForFD notes that a job waits for a descriptor: its delay begins, no peer's clock runs.
func (l *loop) waitForFD() {
	a := &l.admission
	if a.fd.since == 0 {
		l.shared.stats.fdWaits.Add(1)
	}
	if a.readySince == 0 {
		a.readySince = l.now
	}
	a.fd.begin(l.now)
}

// hasJob reports whether a job is at hand, taking more from the inbox when none is.
func (l *loop) hasJob() bool {
	a := &l.admission
	if a.first < len(a.pending) {
		return true
	}
	for {
		n, over := l.shared.inbox.take(a.pending[:a.appetite()])
		a.pending, a.first = a.pending[:n], 0
		if n > 0 {
			a.takenAt = l.now
			l.profiles = *l.shared.profiles.Load() // after the jobs that may name a new one
			return true
		}
		a.isOver = over
		if l.cfg.Rate != nil {
			l.cfg.Rate.Idle(l.now)
		}
		if over || l.shared.hungry.Swap(true) {
			a.readySince = 0
			if len(a.waiters)+len(a.redials) == 0 {
				a.fd.since = 0 // nobody waits for one
			}
			return false
		}
		// Look once more: a job may have come before the submitter could see the flag.
	}
}

// appetite is how many jobs to take at once: no more than can be dialled now, as the others may go to a loop that has room.
func (a *admission) appetite() int {
	room := min(a.connections-a.inFlight-len(a.waiters)-len(a.redials), a.descriptors-a.open)
	return min(max(room, 1), cap(a.pending))
}

// turn returns the moment at which the next dial was due, false if that is still to come.
func (l *loop) turn() (dueAt int64, ok bool) {
	a := &l.admission
	if l.cfg.Rate == nil {
		if a.readySince == 0 {
			a.readySince = l.now
		}
		return max(a.readySince, a.takenAt), true
	}
	if a.turnAt == 0 {
		var due [1]int64
		if l.cfg.Rate.Take(l.now, 1, due[:]) == 0 {
			a.retryAt = earlier(a.retryAt, max(l.cfg.Rate.Next(l.now), l.now+paceGrain))
			return 0, false
		}
		a.turnAt = due[0]
	}
	return max(a.turnAt, a.takenAt), true
}

// retryWaiters dials again for jobs that wait for a local port: as many as sockets were closed since, or one when the
// backoff has passed, and each at a turn of the rate's. It returns what is left of the budget.
func (l *loop) retryWaiters(budget int) int {
	a := &l.admission
	if len(a.waiters) == 0 {
		a.freed, a.port.since = 0, 0
		return budget
	}
	tries := min(a.freed, len(a.waiters), budget)
	if tries == 0 && l.now >= a.port.retryAt {
		tries = 1
	}
	tried := 0
	var still []waiter
	for ; tried < tries; tried++ {
		if l.isPaced(budget-tried) || !l.hasDescriptor() {
			break
		}
		if _, ok := l.turn(); !ok { // which says when to go on
			break
		}
		if w := a.waiters[tried]; l.dial(w) == underWay {
			a.turnAt = 0
		} else {
			still = append(still, w)
		}
	}
	a.waiters = append(a.waiters[:0], append(a.waiters[tried:], still...)...)
	a.freed -= min(a.freed, tried) // what came free and is not used yet is for the next turn
	if tried == tries && len(a.waiters) > 0 {
		a.freed = 0
		a.retryAt = earlier(a.retryAt, max(a.port.retryAt, l.now+1))
	}
	return budget - tried
}

// turnAway gives back every job that was not dialled.
func (l *loop) turnAway() {
	a := &l.admission
	for _, w := range slices.Concat(a.redials, a.waiters) {
		l.giveUp(w, NotDialed, socket.CallNone, 0, 0)
	}
	a.waiters, a.redials = nil, nil
	for n, over := 0, false; ; {
		for _, job := range a.pending[a.first:] {
			l.giveUp(waiter{job: job}, NotDialed, socket.CallNone, 0, 0)
		}
		n, over = l.shared.inbox.take(a.pending[:cap(a.pending)])
		a.pending, a.first = a.pending[:n], 0
		if n == 0 {
			a.isOver = over // false for a moment only: Stop finishes the inbox and wakes us again
			return
		}
	}
}
