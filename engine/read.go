package engine

import (
	"syscall"

	"sonde/internal/clock"
	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
	"sonde/protocol"
)

// bytesPerWake is how much one connection may read in one batch before the others have their turn.
const bytesPerWake = 64 << 10

// hear reads what there is for a connection whose verdict is still to come, whoever listens: its exchange or the TLS
// handshake.
func (l *loop) hear(slot uint32) {
	if l.table.rows[slot].state == Handshaking && l.table.session(slot) != nil {
		l.onHandshakeReadable(slot)
		return
	}
	l.onReadable(slot)
}

// isHeard reports whether the connection of the token is there and its verdict still to come.
func (l *loop) isHeard(token poller.Token) bool {
	return l.is(token, Active) || l.is(token, Handshaking)
}

// onReadable reads until the socket is empty, the exchange is over, the share of this batch is used up or no buffer can
// be had. It returns false when the exchange is over.
func (l *loop) onReadable(slot uint32) (more bool) {
	more = l.readOn(slot)
	l.drained = false
	return more
}

func (l *loop) readOn(slot uint32) (more bool) {
	r, f := &l.table.rows[slot], l.flight(slot)
	if f.pausedAt != 0 || f.parking || l.table.unsent[r.seat] != nil {
		return true // resume or onWritable will read
	}
	for budget := bytesPerWake; budget > 0; {
		if !l.makeRoom(slot) {
			return r.state == Active || r.state == Handshaking
		}
		got, errno := l.receive(slot)
		switch {
		case errno == syscall.EAGAIN:
			l.returnIfEmpty(slot)
			if f.pending != 0 {
				l.finish(slot, protocol.EndReset, nil, Reset, f.pendingCall, f.pending)
				return false
			}
			return true
		case errno != 0:
			l.finish(slot, protocol.EndReset, nil, Reset, socket.CallRead, errno)
			return false
		case got.err != nil:
			l.finish(slot, protocol.EndMalformed, got.err, Answered, socket.CallNone, 0)
			return false
		case got.end:
			l.onEndOfStream(slot)
			return false
		}
		budget -= got.read
		// Less than there was room for, right after an edge: the socket is empty, and what comes now makes an edge of its own
		// (epoll(7), questions and answers, 9). But where the peer has closed there may be no other, and before a mark of urgent
		// data a read ends short of what there is.
		l.drained = l.fresh && got.short
		if got.plain == 0 {
			if got.control && !l.onControl(slot) {
				return false
			}
			continue
		}
		l.noteArrival(slot)
		if f.quiet > 0 {
			l.rearm(slot)
		}
		if !l.feed(slot) {
			return false
		}
		if l.table.unsent[r.seat] != nil {
			return true // the exchange hears of nothing until its Send is out: onWritable reads on
		}
		if l.drained && f.pending == 0 {
			return true
		}
	}
	l.goOn(slot)
	return true
}

// received is what came of one read.
type received struct {
	read    int   // bytes off the socket
	plain   int   // bytes for the exchange, now in the ring; the same, without TLS
	short   bool  // the socket had less than was asked for
	end     bool  // the peer has ended its side
	control bool  // TLS records without data for the exchange
	err     error // what TLS refused
}

// receive reads once into the ring, which has room.
func (l *loop) receive(slot uint32) (received, syscall.Errno) {
	f := l.flight(slot)
	if s := l.table.session(slot); s != nil {
		return l.receiveSecured(slot, s)
	}
	a, b := l.pool.Free(&f.in)
	n, errno := l.read(slot, a, b)
	if errno == 0 {
		l.pool.Commit(&f.in, n)
	}
	return received{read: n, plain: n, short: n < len(a)+len(b), end: n == 0}, errno
}

// arrival is when the bytes of a read came.
type arrival struct {
	at int64
	// stamped: as the kernel says. Else the poll returned then that told of them, or, where a connection has used up its share
	// of a batch, the next: nobody can say whether the rest was there before.
	stamped bool
}

// read reads from the socket, and notes when what it got came.
func (l *loop) read(slot uint32, a, b []byte) (n int, errno syscall.Errno) {
	fd := int(l.table.rows[slot].fd)
	l.arrived = arrival{at: l.toldAt}
	if !l.profile(slot).KernelTimestamps {
		n, errno = l.sockets.Readv(fd, a, b)
		return n, errno
	}
	var stamp int64
	n, stamp, errno = l.sockets.ReadStamped(fd, a, b)
	if stamp != 0 {
		l.arrived = arrival{at: l.clk.Now() - max(clock.RealTime()-stamp, 0), stamped: true}
	}
	return n, errno
}

// noteArrival notes that bytes for the exchange are here, or the end of the stream that ends a frame: those of the last read.
func (l *loop) noteArrival(slot uint32) {
	f := l.flight(slot)
	f.stopWaiting(l.now)
	f.lastByteAt = l.now
	if l.table.rows[slot].state != Active {
		return
	}
	at := l.arrived.at
	switch {
	case at >= f.askedAt:
	case l.arrived.stamped: // two clocks are compared, and one may have been set
		at = f.askedAt
	default: // it answers what was sent since that poll
		at = l.clk.Now()
	}
	if f.firstByteAt == 0 {
		f.firstByteAt = at
	}
	if x, ok := l.table.exchanges[l.table.rows[slot].seat].(protocol.Timed); ok {
		x.Arrived(at, l.clk.Now())
	}
}

// goOn puts the connection on the list of those that go on in the next batch without an edge.
func (l *loop) goOn(slot uint32) {
	if r := &l.table.rows[slot]; r.flags&unfinished == 0 {
		r.flags |= unfinished
		l.unfinished = append(l.unfinished, l.table.token(slot))
	}
}

// makeRoom sees to it that the ring has room for a read. When it can't, the connection is paused, or its exchange ended
// because a frame is larger than the largest ring.
func (l *loop) makeRoom(slot uint32) bool {
	f := l.flight(slot)
	switch {
	case !f.in.Held():
		if l.pool.Borrow(&f.in, 1) {
			return true
		}
	case l.pool.Len(&f.in) < l.pool.Cap(&f.in):
		return true
	case l.pool.Cap(&f.in) >= protocol.MaxFrameSize:
		l.finish(slot, protocol.EndTooLarge, protocol.ErrTooLarge, Answered, socket.CallNone, 0)
		return false
	default:
		if l.pool.Grow(&f.in) {
			return true
		}
	}
	if !f.out.Held() {
		l.pause(slot)
	} // else it is the peer's turn to take what we wrote: its clocks run, and onWritable reads
	return false
}

// returnIfEmpty gives the ring back when no bytes are in flight.
func (l *loop) returnIfEmpty(slot uint32) {
	if f := l.flight(slot); f.in.Held() && l.pool.Len(&f.in) == 0 {
		l.giveBack(&f.in)
	}
}
