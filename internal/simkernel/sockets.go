package simkernel

import (
	"syscall"

	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
)

// Sockets is the kernel's socket calls. See [Kernel.Sockets].
type Sockets struct{ k *Kernel }

var _ socket.Sockets = Sockets{}

// Sockets returns the socket calls of k; they belong to the goroutine that owns k.
func (k *Kernel) Sockets() Sockets { return Sockets{k} }

// Dial is what became of one call of Connect, as the kernel and the network know it: the truth that a record can be
// held against. Moments are those of the Kernel's clock; zero means that it did not happen.
type Dial struct {
	Remote, Local socket.Addr
	FD            int           // -1 if Connect failed
	Call          socket.Call   // the call that failed within Connect
	Errno         syscall.Errno // with what
	At            int64         // when Connect was called
	Established   int64         // when the handshake ended well
	Ended         int64         // when the connection ended for both sides, or failed
	Err           syscall.Errno // what it failed with on the network's account
	Closed        int64         // when Close was called
	Reset         bool          // Close was asked for a reset
	Read, Written int           // bytes that Readv and Writev reported
	// Fault names the failure out of the blue (Errnos) that hit this dial; empty if none did.
	Fault string
}

// Dials returns a copy of what became of each call of Connect so far, in their order.
func (k *Kernel) Dials() []Dial {
	all := make([]Dial, len(k.dials))
	for i, d := range k.dials {
		all[i] = *d
	}
	return all
}

// Connect implements [socket.Sockets].
func (s Sockets) Connect(remote, source socket.Addr) (fd int, call socket.Call, errno syscall.Errno) {
	k := s.k
	k.enter()
	d := &Dial{Remote: remote, FD: -1, At: k.now}
	k.dials = append(k.dials, d)
	d.Call, d.Errno = k.connect(d, source)
	line := traceLine{what: "connect", fd: d.FD, addr: remote, errno: d.Errno, answered: true}
	switch {
	case d.Errno != 0:
		line.call = d.Call
	case d.Established == 0:
		line.errno = syscall.EINPROGRESS
	}
	k.note(line)
	return d.FD, d.Call, d.Errno
}

// connect makes socket(2), bind(2) and connect(2) in a row and fills in d.
func (k *Kernel) connect(d *Dial, source socket.Addr) (socket.Call, syscall.Errno) {
	if !d.Remote.IsValid() {
		k.violation("connect to no address")
		return socket.CallConnect, syscall.EINVAL
	}
	if k.opts.MaxFDs > 0 && k.fds.count() >= k.opts.MaxFDs {
		return socket.CallSocket, syscall.EMFILE
	}
	if call, e := k.drawRefusal(source.IsValid()); e != 0 {
		d.Fault = call.String() + " failed: " + errnoName(e)
		return call, e
	}
	script := k.nextScript(d.Remote)
	if script.Answer == Unreachable && script.AtOnce {
		k.useScript(d.Remote)
		return socket.CallConnect, script.errno()
	}
	local, hasPort := d.Remote, false
	if script.Answer != SelfConnect {
		if local, hasPort = k.takePort(source, d.Remote); !hasPort {
			return socket.CallConnect, syscall.EADDRNOTAVAIL // no SYN has left: the script stays
		}
	}
	k.useScript(d.Remote)
	if script.Answer == Refuse && (script.AtOnce || k.chance(k.opts.Faults.AtOnce)) {
		k.freePort(local, d.Remote)
		return socket.CallConnect, syscall.ECONNREFUSED
	}
	c := &conn{k: k, local: local, remote: d.Remote, dial: d, hasPort: hasPort}
	c.peer = newPeer(c, script)
	c.fd = k.fds.add(c)
	d.FD, d.Local = c.fd, local
	k.startHandshake(c, script)
	return socket.CallNone, 0
}

// startHandshake puts the end of the connect on the agenda, or makes it end at once.
func (k *Kernel) startHandshake(c *conn, script *Script) {
	roundTrip := 2*c.peer.delay() + int64(script.Delay)
	end := occurrence{at: k.now + roundTrip, kind: connectionFails, c: c}
	switch script.Answer {
	case SelfConnect:
		c.segsIn = 2 // its own SYN and SYN-ACK; the ACK is the third (simultaneous open, RFC 9293 s.3.5)
		fallthrough
	case Accept:
		end.kind = synAnswered
	case Refuse:
		end.errno = syscall.ECONNREFUSED
	case Unreachable:
		end.errno = script.errno()
	case BlackHole:
		end.at, end.errno = k.now+int64(k.opts.SynTimeout), syscall.ETIMEDOUT
	}
	if e, hit := k.drawConnectFailure(); hit {
		end.kind, end.errno = connectionDies, e
	}
	if end.kind == synAnswered && (script.AtOnce || k.chance(k.opts.Faults.AtOnce)) {
		c.onEstablished(k.now)
		return
	}
	k.agenda.add(end)
}

// Error implements [socket.Sockets].
func (s Sockets) Error(fd int) syscall.Errno {
	s.k.enter()
	c := s.k.open("getsockopt", fd)
	if c == nil {
		return syscall.EBADF
	}
	e := c.err
	c.err = 0
	s.k.note(traceLine{what: "so_error", fd: fd, errno: e, answered: true})
	return e
}

// Info implements [socket.Sockets].
func (s Sockets) Info(fd int) socket.Info {
	s.k.enter()
	c := s.k.open("getsockopt", fd)
	if c == nil || s.k.opts.NoInfo {
		return socket.Info{}
	}
	info := socket.Info{
		Known:       true,
		Established: c.state == established,
		Connecting:  c.state == connecting,
		SegsIn:      c.segsIn,
	}
	if c.dial.Established != 0 {
		info.RTTMicros = uint32(2 * c.peer.delay() / 1000)
	}
	return info
}

// Local implements [socket.Sockets].
func (s Sockets) Local(fd int) socket.Addr {
	s.k.enter()
	c := s.k.open("getsockname", fd)
	if c == nil {
		return socket.Addr{}
	}
	return c.local
}

// Readv implements [socket.Sockets].
func (s Sockets) Readv(fd int, a, b []byte) (n int, errno syscall.Errno) {
	s.k.enter()
	c := s.k.open("readv", fd)
	if c == nil {
		return 0, syscall.EBADF
	}
	if len(a)+len(b) == 0 {
		s.k.violation("readv of fd %d into no room: its 0 can't be told from the peer's fin", fd)
	}
	n, errno = c.read(a, b)
	c.dial.Read += n
	s.k.note(traceLine{what: "readv", fd: fd, n: int64(n), counted: true, errno: errno, answered: errno != 0})
	return n, errno
}

// read follows tcp_recvmsg: data first, then the end of the stream, then the error.
func (c *conn) read(a, b []byte) (int, syscall.Errno) {
	k := c.k
	switch {
	case c.state == connecting || c.hidden:
		return 0, syscall.EAGAIN
	case len(c.received) > 0:
	case c.streamEnded:
		return 0, 0
	case c.err != 0:
		e := c.err
		c.err = 0
		return 0, e
	case c.finSeen:
		return 0, 0
	default:
		return 0, syscall.EAGAIN
	}
	if c.state == established && k.chance(k.opts.Faults.SurpriseAgain) {
		c.hidden = true
		k.agenda.add(occurrence{at: k.now + 1 + k.upTo(surpriseMax), kind: readsAgain, c: c})
		return 0, syscall.EAGAIN
	}
	most := min(len(a)+len(b), len(c.received))
	n := most
	if most > 1 && k.chance(k.opts.Faults.ShortRead) {
		// A caller may take a short read for an empty buffer (epoll(7)), so the rest counts as having just arrived.
		n = 1 + k.rng.IntN(most-1)
		c.wake(poller.Readable)
	}
	first := copy(a, c.received[:n])
	copy(b, c.received[first:n])
	c.received = c.received[n:]
	if len(c.backlog) > 0 && !c.opening && n > 0 {
		c.opening = true
		k.agenda.add(occurrence{at: k.now + 2*c.peer.delay(), kind: windowOpens, c: c})
	}
	return n, 0
}

// Timestamps implements [socket.Sockets]: this kernel has none.
func (s Sockets) Timestamps(int) bool { return false }

// ReadStamped implements [socket.Sockets], without a stamp.
func (s Sockets) ReadStamped(fd int, a, b []byte) (int, int64, syscall.Errno) {
	n, errno := s.Readv(fd, a, b)
	return n, 0, errno
}

// NoDelay implements [socket.Sockets]. Time in here knows no delayed acknowledgement, so it is only written down.
func (s Sockets) NoDelay(fd int) {
	s.k.enter()
	if s.k.open("setsockopt", fd) != nil {
		s.k.note(traceLine{what: "nodelay", fd: fd})
	}
}

// Writev implements [socket.Sockets].
func (s Sockets) Writev(fd int, bufs [][]byte) (n int, errno syscall.Errno) {
	s.k.enter()
	c := s.k.open("writev", fd)
	if c == nil {
		return 0, syscall.EBADF
	}
	total := 0
	for _, b := range bufs {
		total += len(b)
	}
	if total == 0 {
		s.k.violation("writev of nothing to fd %d", fd)
	}
	n, errno = c.write(bufs, total)
	c.dial.Written += n
	s.k.note(traceLine{what: "writev", fd: fd, n: int64(n), counted: true, errno: errno, answered: errno != 0})
	return n, errno
}

// write follows tcp_sendmsg.
func (c *conn) write(bufs [][]byte, total int) (int, syscall.Errno) {
	k := c.k
	if c.err != 0 {
		e := c.err
		c.err = 0
		return 0, e
	}
	if c.state == connecting {
		return 0, syscall.EAGAIN
	}
	if c.finSent {
		return 0, syscall.EPIPE
	}
	if e, hit := k.drawWriteRefusal(); hit {
		c.dial.Fault = "writev failed: " + errnoName(e)
		return 0, e
	}
	if !c.jammed && k.chance(k.opts.Faults.SurpriseAgain) {
		c.jam()
	}
	room := k.opts.SendBuffer - c.unsent
	if room <= 0 || c.jammed {
		c.noSpace = true
		return 0, syscall.EAGAIN
	}
	n := min(room, total)
	if total > 1 && k.chance(k.opts.Faults.ShortWrite) {
		n = min(n, 1+k.rng.IntN(total-1))
		c.jam() // the buffer was full for the moment, so an edge is due
	}
	if n < total {
		c.noSpace = true
	}
	left := n
	for _, b := range bufs {
		part := b[:min(left, len(b))]
		c.outbox = append(c.outbox, part...)
		left -= len(part)
	}
	c.unsent += n
	if n > 0 {
		k.agenda.add(occurrence{at: c.peer.reachedBy(k.now), kind: peerHears, c: c, n: n})
	}
	return n, 0
}

// jam makes the send buffer look full for a moment; an edge comes when it is over.
func (c *conn) jam() {
	c.jammed = true
	c.k.agenda.add(occurrence{at: c.k.now + 1 + c.k.upTo(surpriseMax), kind: writesAgain, c: c})
}

// CloseWrite implements [socket.Sockets].
func (s Sockets) CloseWrite(fd int) syscall.Errno {
	s.k.enter()
	c := s.k.open("shutdown", fd)
	if c == nil {
		return syscall.EBADF
	}
	e := syscall.Errno(0)
	if c.state != established { // shutdown(2): ENOTCONN
		e = syscall.ENOTCONN
	} else if !c.finSent {
		c.sendFin()
		c.wake(poller.Writable)
	}
	s.k.note(traceLine{what: "shutdown", fd: fd, errno: e, answered: true})
	return e
}

// sendFin sends our FIN behind what was written. If the peer's came first, the connection is over once ours is
// acknowledged.
func (c *conn) sendFin() {
	k := c.k
	c.finSent = true
	k.agenda.add(occurrence{at: c.peer.reachedBy(k.now), kind: peerHearsFin, c: c})
	if c.finSeen {
		c.finish(k.now)
		c.holdPort(k.now, 2*c.peer.delay())
	}
}

// Close implements [socket.Sockets].
func (s Sockets) Close(fd int, reset bool) {
	k := s.k
	k.enter()
	c := k.open("close", fd)
	if c == nil {
		return
	}
	if c.watch != nil {
		k.violation("fd %d closed while it is watched", fd)
		k.forget(c)
	}
	k.note(traceLine{what: closeWord(reset), fd: fd})
	k.fds.remove(fd)
	c.fd = -1
	c.dial.Closed, c.dial.Reset = k.now, reset
	switch {
	case c.state == closed:
	case c.state == connecting || reset || len(c.received)+len(c.backlog) > 0:
		// Bytes that nobody read make the kernel reset the connection too (RFC 2525 s.2.17).
		c.abort(k.now)
	case !c.finSent:
		c.sendFin()
		fallthrough
	default:
		if c.state == established { // FIN-WAIT: until the peer's FIN, at most this long (tcp_fin_timeout in tcp(7))
			c.holdPort(k.now, int64(k.opts.TimeWait))
		}
	}
	c.received, c.backlog = nil, nil
}

func closeWord(reset bool) string {
	if reset {
		return "close by reset"
	}
	return "close"
}
