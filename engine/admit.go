package engine

import (
	"errors"
	"slices"
	"syscall"
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
		if budget < dialsPerRound && l.isBusy() {
			break
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

// handshakeTurn is how long a turn of the loop may take before it opens no more than one further connection while
// handshakes are under way: so what would queue for our CPU in the middle of a handshake waits before its connect.
const handshakeTurn = int64(time.Millisecond)

// isBusy reports that this turn has taken long enough.
func (l *loop) isBusy() bool { return l.handshakes > 0 && l.clk.Now()-l.now > handshakeTurn }

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

// dialed is what came of a dial.
type dialed uint8

const (
	underWay     dialed = iota // or over already, with an outcome
	noDescriptor               // not now, for want of a descriptor
	noPort                     // not now, for want of a local port
)

// dial opens a connection for w.
func (l *loop) dial(w waiter) dialed {
	a, job := &l.admission, w.job
	dialedAt := l.clk.Now()
	fd, call, errno := -1, socket.CallSocket, syscall.EMFILE // our own limit counts as the kernel's
	if a.open < a.descriptors {
		fd, call, errno = l.sockets.Connect(job.Remote, l.nextSource(job.Remote))
	}
	if errno == 0 {
		slot := l.table.insert(job.ID, job.Remote, job.Profile)
		if errno = errnoOf(l.poller.Add(fd, l.table.token(slot))); errno == 0 {
			l.launch(slot, fd, w, dialedAt)
			return underWay
		}
		l.transition(slot, Closed)
		l.table.remove(slot)
		l.sockets.Close(fd, true)
		call = socket.CallPoll
	}
	switch {
	case isShortOfFDs(call, errno):
		if !a.fd.isStuck(l.now, a.moved) {
			l.waitForFD()
			a.retryAt = earlier(a.retryAt, a.fd.retryAt)
			return noDescriptor
		}
		l.giveUp(w, FDLimit, call, errno, dialedAt)
	case isShortOfPorts(call, errno):
		a.fd.since = 0 // there was a descriptor
		if !a.port.isStuck(l.now, a.moved) {
			a.port.begin(l.now)
			return noPort
		}
		l.giveUp(w, PortsExhausted, call, errno, dialedAt)
	default:
		a.moved, a.fd.since = l.now, 0
		l.giveUp(w, ConnectFailed, call, errno, dialedAt)
	}
	return underWay
}

// giveUp ends a job for which no connection can be had.
func (l *loop) giveUp(w waiter, cause Cause, call socket.Call, errno syscall.Errno, dialedAt int64) {
	if w.carried != nil {
		l.giveUpSeries(w, cause, call, errno)
		return
	}
	p := phases{}
	if cause == ConnectFailed {
		p.dueAt, p.dialedAt = w.dueAt, dialedAt
	}
	o := p.outcome(l.clk.Now())
	o.ID, o.Cause, o.Call, o.Errno = w.job.ID, cause, call, errno
	l.outcomes = append(l.outcomes, o)
}

// launch puts a new socket on its way.
func (l *loop) launch(slot uint32, fd int, w waiter, dialedAt int64) {
	a := &l.admission
	l.table.rows[slot].fd = int32(fd)
	f := l.flight(slot)
	f.dueAt, f.dialedAt = w.dueAt, dialedAt
	limits := &l.profile(slot).Limits
	f.phaseUntil = after(dialedAt, limits.Connect)
	f.targetUntil = after(dialedAt, limits.Target)
	if c := w.carried; c != nil {
		f.targetUntil = after(dialedAt, c.budget)
		l.table.exchanges[l.table.rows[slot].seat], l.table.firsts[l.table.rows[slot].seat] = c.exchange, c.first
	}
	l.transition(slot, Connecting)
	l.rearm(slot)
	l.shared.stats.dialed()
	a.inFlight++
	a.open++
	a.moved = l.now
	a.fd.since = 0
}

// isShortOfFDs tells the errnos that mean "not now" because a resource of this process or system is out: socket(2),
// epoll_ctl(2).
func isShortOfFDs(call socket.Call, errno syscall.Errno) bool {
	switch errno {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
		return true
	case syscall.ENOSPC: // fs.epoll.max_user_watches
		return call == socket.CallPoll
	}
	return false
}

// isShortOfPorts tells the errnos of connect(2) that mean that every local port is taken for this destination. The same
// errno from bind(2) means that the source address is not ours, which waiting does not mend.
func isShortOfPorts(call socket.Call, errno syscall.Errno) bool {
	return call == socket.CallConnect && (errno == syscall.EADDRNOTAVAIL || errno == syscall.EAGAIN || errno == syscall.EADDRINUSE)
}

// nextSource takes the source addresses of the destination's family in turn.
func (l *loop) nextSource(remote socket.Addr) socket.Addr {
	sources := l.shared.sources4
	if remote.V6 {
		sources = l.shared.sources6
	}
	if len(sources) == 0 {
		return socket.Addr{}
	}
	l.admission.source++
	return sources[l.admission.source%len(sources)]
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
		if !l.hasDescriptor() {
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

// after returns the moment d after t, never overflowing.
func after(t int64, d time.Duration) int64 {
	if d == off || t > int64(off)-int64(d) {
		return int64(off)
	}
	return t + int64(d)
}

// errnoOf finds the errno in an error of the poller's; 0 for nil.
func errnoOf(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return syscall.EINVAL
}
