package simkernel

import (
	"syscall"

	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
)

// tcpState is as much of TCP's states as shows through the calls of a client.
type tcpState uint8

const (
	connecting  tcpState = iota // SYN-SENT
	established                 // ESTABLISHED, FIN-WAIT-1, FIN-WAIT-2, CLOSE-WAIT: finSent and finSeen tell which
	closed                      // both FINs exchanged, reset or failed
)

// conn is our end of a connection: the socket, and after Close what the kernel keeps of it.
type conn struct {
	k             *Kernel
	fd            int // -1 once closed by its owner: an orphan
	local, remote socket.Addr
	peer          *peer
	dial          *Dial
	watch         *watch // nil if not watched
	state         tcpState
	finSent       bool // SEND_SHUTDOWN: CloseWrite was called, or the connection ended
	finSeen       bool // RCV_SHUTDOWN: the peer's FIN came, or the connection ended
	streamEnded   bool // the peer's FIN came: reads end with 0 whatever follows
	hasPort       bool
	portUntil     int64         // when the local port goes back, if it is in TIME_WAIT
	err           syscall.Errno // SO_ERROR

	received  []byte // not yet read by the owner
	backlog   []byte // sent by the peer, held back for want of room in received
	finQueued bool   // the peer's FIN is behind backlog
	opening   bool   // a windowOpens is on the agenda
	hidden    bool   // a surprise EAGAIN hides received and the FIN for the moment

	unsent  int  // bytes in the send buffer that the peer's kernel has not taken
	noSpace bool // SOCK_NOSPACE: somebody waits for room in the send buffer
	jammed  bool // a surprise EAGAIN: no room for the moment

	outbox []byte // the bytes of unsent that the peer has not seen

	segsIn uint32
}

// readiness is what poll(2) would say, as tcp_poll does it.
func (c *conn) readiness() poller.Ready {
	if c.state == connecting {
		return 0
	}
	var r poller.Ready
	if c.finSeen { // EPOLLRDHUP; EPOLLHUP too once finSent, which the contract tells not apart
		r |= poller.Hangup
	}
	if (c.finSeen || len(c.received) > 0) && !c.hidden {
		r |= poller.Readable
	}
	if c.finSent || c.hasSpace() {
		r |= poller.Writable
	} else {
		c.noSpace = true // so that the edge comes when there is room again
	}
	if c.err != 0 {
		r |= poller.Failed
	}
	return r
}

// hasSpace reports whether a third of the send buffer is free, which is when the kernel calls a socket writable.
func (c *conn) hasSpace() bool { return !c.jammed && c.unsent*3 <= c.k.opts.SendBuffer*2 }

func (c *conn) onEstablished(at int64) {
	if c.state != connecting {
		return
	}
	c.k.note(traceLine{at: at, what: "net established", fd: c.fd, addr: c.remote})
	c.state = established
	c.dial.Established = at
	c.segsIn++
	c.wake(poller.Writable)
	if e, after, hit := c.k.drawDeath(); hit {
		c.k.agenda.add(occurrence{at: at + after, kind: connectionDies, c: c, errno: e})
	}
	c.peer.onConnected(at + c.peer.delay())
}

func (c *conn) onData(at int64, data []byte) {
	if c.state != established {
		c.k.agenda.add(occurrence{at: c.peer.reachedBy(at), kind: peerHearsReset, c: c})
		return
	}
	c.k.note(traceLine{at: at, what: "net data", fd: c.fd, addr: c.remote, n: int64(len(data)), counted: true})
	c.segsIn++
	if c.fd < 0 { // nobody will read it: RFC 9293 s.3.6.1 asks for a reset
		c.abort(at)
		return
	}
	room := c.k.opts.ReceiveBuffer - len(c.received)
	if len(c.backlog) > 0 {
		room = 0
	}
	take := max(0, min(room, len(data)))
	c.received = append(c.received, data[:take]...)
	c.backlog = append(c.backlog, data[take:]...)
	if take > 0 {
		c.wake(poller.Readable)
	}
}

func (c *conn) onFin(at int64) {
	if c.state != established || c.streamEnded {
		return
	}
	if len(c.backlog) > 0 {
		c.finQueued = true
		return
	}
	c.k.note(traceLine{at: at, what: "net fin", fd: c.fd, addr: c.remote})
	c.segsIn++
	c.finSeen, c.streamEnded = true, true
	if c.finSent {
		c.finish(at)
		c.holdPort(at, int64(c.k.opts.TimeWait))
	}
	c.wake(poller.Readable | poller.Hangup)
}

// onReset is a RST from the peer. What was received stays readable; what was not yet delivered is lost.
func (c *conn) onReset(at int64) {
	e := syscall.ECONNRESET
	switch {
	case c.state == connecting:
		e = syscall.ECONNREFUSED
	case c.finSeen:
		e = syscall.EPIPE // CLOSE-WAIT: the stream had ended, only our writes are lost
	}
	c.segsIn++
	c.onFailure(at, e)
}

// onDeath is a failure out of the blue.
func (c *conn) onDeath(at int64, e syscall.Errno) {
	if c.state != closed && c.fd >= 0 {
		c.dial.Fault = "connection died: " + errnoName(e)
		c.onFailure(at, e)
	}
}

// onFailure ends the connection, or the connect, with a pending error.
func (c *conn) onFailure(at int64, e syscall.Errno) {
	if c.state == closed {
		return
	}
	c.k.note(traceLine{at: at, what: "net failure", fd: c.fd, addr: c.remote, errno: e, answered: true})
	c.err = e
	if c.fd >= 0 {
		c.dial.Err = e
	}
	c.finSent, c.finSeen = true, true
	c.backlog, c.outbox, c.finQueued, c.hidden, c.jammed = nil, nil, false, false, false
	c.finish(at)
	c.freePort()
	c.peer.onReset()
	c.wake(everything)
}

// finish is the end of the connection for both sides.
func (c *conn) finish(at int64) {
	c.state = closed
	c.dial.Ended = at
}

// abort resets the connection from our side.
func (c *conn) abort(at int64) {
	c.finish(at)
	c.outbox = nil
	c.freePort()
	c.k.agenda.add(occurrence{at: c.peer.reachedBy(at), kind: peerHearsReset, c: c})
}

func (c *conn) onAck(at int64, n int) {
	if c.state != established {
		return
	}
	c.segsIn++
	c.unsent -= n
	if c.noSpace && c.hasSpace() {
		c.noSpace = false
		c.wake(poller.Writable)
	}
}

// onWindow moves what was held back into the receive buffer, as far as it has room.
func (c *conn) onWindow(at int64) {
	c.opening = false
	if c.state != established || c.fd < 0 {
		return
	}
	take := min(c.k.opts.ReceiveBuffer-len(c.received), len(c.backlog))
	if take <= 0 {
		return
	}
	c.received = append(c.received, c.backlog[:take]...)
	c.backlog = c.backlog[take:]
	c.segsIn++
	c.wake(poller.Readable)
	if len(c.backlog) > 0 {
		return
	}
	if c.finQueued {
		c.finQueued = false
		c.onFin(at)
	}
	c.peer.run(at)
}

// onReadsAgain ends what a surprise EAGAIN began: the data shows, with an edge of its own.
func (c *conn) onReadsAgain(int64) {
	if c.hidden {
		c.hidden = false
		c.wake(poller.Readable)
	}
}

// onWritesAgain is the same for writes.
func (c *conn) onWritesAgain(int64) {
	if c.jammed && c.state == established {
		c.jammed = false
		c.wake(poller.Writable)
	}
}

// wake is a new edge: it makes the kernel look at the socket at the next poll. why says what is new; a kernel like epoll
// reports everything then, one like kqueue only that.
func (c *conn) wake(why poller.Ready) {
	if c.watch == nil {
		return
	}
	if !c.k.opts.SeparateFilters {
		why = everything
	}
	c.watch.owed |= why
	c.k.queue(c.watch)
}

func (c *conn) holdPort(at, nanoseconds int64) {
	c.portUntil = at + nanoseconds
	c.k.agenda.add(occurrence{at: c.portUntil, kind: portExpires, c: c})
}

func (c *conn) onPortExpires(at int64) {
	if at >= c.portUntil {
		c.state = closed
		c.freePort()
	}
}

func (c *conn) freePort() {
	if c.hasPort {
		c.hasPort = false
		c.k.freePort(c.local, c.remote)
	}
}
