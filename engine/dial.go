package engine

import (
	"errors"
	"syscall"

	"sonde/internal/kernel/socket"
)

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
		fd, call, errno = l.sockets.Connect(job.Remote, l.sourceOf(job))
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
	if l.profile(slot).KernelTimestamps {
		l.sockets.Timestamps(fd)
	}
	limits := &l.profile(slot).Limits
	f.phaseUntil = after(dialedAt, limits.Connect)
	f.targetUntil = after(dialedAt, limits.Target)
	if w.job.Budget > 0 {
		f.targetUntil = min(f.targetUntil, after(dialedAt, w.job.Budget))
	}
	if c := w.carried; c != nil {
		f.targetUntil = after(dialedAt, c.budget)
		l.table.exchanges[l.table.rows[slot].seat], l.table.firsts[l.table.rows[slot].seat] = c.exchange, c.first
	}
	l.transition(slot, Connecting)
	l.rearm(slot)
	l.shared.stats.begun()
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

// sourceOf is the address to dial from: the one that the job names, or those of the destination's family in turn.
func (l *loop) sourceOf(job Job) socket.Addr {
	if job.Source != 0 {
		return l.shared.sources[job.Source-1]
	}
	sources := l.shared.sources4
	if job.Remote.V6 {
		sources = l.shared.sources6
	}
	if len(sources) == 0 {
		return socket.Addr{}
	}
	l.admission.source++
	return sources[l.admission.source%len(sources)]
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
