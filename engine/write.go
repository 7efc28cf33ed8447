package engine

import (
	"bytes"
	"syscall"

	"sonde/internal/kernel/socket"
	"sonde/protocol"
	"sonde/ringbuf"
)

// send writes what a Step says, at once as far as the kernel takes it; the rest is copied to the out ring. It returns the
// errno of a connection that takes no more.
func (l *loop) send(slot uint32, bufs [][]byte, then protocol.Action) syscall.Errno {
	if f := l.flight(slot); f.pending != 0 || f.mute {
		return 0 // the connection is lost already and its end is about to be read, or this is its last look
	}
	if s := l.table.session(slot); s != nil {
		return l.sendSecured(slot, s, bufs)
	}
	seat := l.table.rows[slot].seat
	if l.table.unsent[seat] != nil { // what came before a StartTLS waits still, and goes first
		l.table.unsent[seat] = append(l.table.unsent[seat], keep(bufs, then)...)
		return 0
	}
	if !l.isSending(slot) {
		var errno syscall.Errno
		if bufs, errno = l.writeOut(slot, bufs); errno != 0 {
			return errno
		}
	}
	for len(bufs) > 0 {
		if !l.stash(slot, bufs[0]) {
			l.table.unsent[seat] = keep(bufs, then)
			return 0
		}
		bufs = bufs[1:]
	}
	return 0
}

// keep is what a Step sends while no ring can be had for it. An exchange that goes on keeps its memory as it is until it
// hears of the next event, so the memory serves; one that is over does not.
func keep(bufs [][]byte, then protocol.Action) [][]byte {
	if then == protocol.Read {
		return append([][]byte(nil), bufs...)
	}
	return [][]byte{bytes.Join(bufs, nil)}
}

// isSending reports whether something that a Step sent is not written yet.
func (l *loop) isSending(slot uint32) bool {
	if s := l.table.session(slot); s != nil && s.isSending() {
		return true
	}
	return l.flight(slot).out.Held() || l.table.unsent[l.table.rows[slot].seat] != nil
}

// writeOut writes until all is out or the kernel takes no more, and returns what is left.
func (l *loop) writeOut(slot uint32, bufs [][]byte) ([][]byte, syscall.Errno) {
	for bufs = skip(bufs, 0); len(bufs) > 0; {
		n, errno := l.write(&l.table.rows[slot], bufs)
		if errno != 0 {
			return bufs, l.heedBusy(slot, errno)
		}
		bufs = skip(bufs, n)
	}
	return nil, 0
}

// write hands bytes to the kernel, once. From the second write of a connection on they go out at once: a request that
// follows the end of a TLS handshake, or a command before it, would otherwise wait for the peer's delayed ACK, some 40 ms
// that would be taken for the peer's (RFC 9293 s.3.7.4). The first write waits for nothing in any case, and most connections
// have no other.
func (l *loop) write(r *row, bufs [][]byte) (int, syscall.Errno) {
	switch {
	case r.flags&written == 0:
		r.flags |= written
	case r.flags&undelayed == 0:
		r.flags |= undelayed
		l.sockets.NoDelay(int(r.fd))
	}
	return l.sockets.Writev(int(r.fd), bufs)
}

// heedBusy returns 0 for an errno of writev(2) that means "not now". A full send buffer makes an edge when it has room
// again; memory that our kernel lacks does not, so it is asked anew with the next batch.
func (l *loop) heedBusy(slot uint32, errno syscall.Errno) syscall.Errno {
	switch errno {
	case syscall.EAGAIN:
		return 0
	case syscall.ENOBUFS, syscall.ENOMEM:
		l.goOn(slot)
		return 0
	}
	return errno
}

// skip drops the first n bytes of bufs, and empty buffers after them. The caller's slices stay as they are.
func skip(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if n > 0 {
		bufs = append([][]byte{bufs[0][n:]}, bufs[1:]...)
	}
	return bufs
}

// stash copies p whole to the out ring, or nothing of it.
func (l *loop) stash(slot uint32, p []byte) bool {
	f := l.flight(slot)
	if len(p) > ringbuf.MaxSize || !f.out.Held() && !l.pool.Borrow(&f.out, len(p)) {
		return false
	}
	for l.pool.Cap(&f.out)-l.pool.Len(&f.out) < len(p) {
		if !l.pool.Grow(&f.out) {
			return false
		}
	}
	l.pool.Write(&f.out, p)
	return true
}

// onWritable goes on with what could not be written at once.
func (l *loop) onWritable(slot uint32) {
	if !l.isSending(slot) {
		return
	}
	r, f := &l.table.rows[slot], l.flight(slot)
	asking := l.isAsking(slot)
	errno := l.flush(slot)
	switch {
	case r.state == Closing && errno != 0:
		l.drop(slot, true)
	case r.state == Closing && !l.isSending(slot):
		l.sendFIN(slot)
	case r.state == Closing:
	case errno != 0 && f.parking:
		l.verdict(slot, Reset, socket.CallWrite, errno)
	case errno != 0:
		l.onWriteError(slot, errno)
		l.hear(slot)
	case l.isSending(slot):
	case f.parking:
		l.park(slot)
	case r.state == Handshaking && l.table.session(slot) != nil:
		f.waitFrom = l.clk.Now()
	default:
		if asking {
			l.noteRequest(slot, l.clk.Now())
		}
		if l.feed(slot) { // frames that waited for the write
			l.onReadable(slot)
		}
	}
}

// isAsking reports whether what is not written yet is of a Step's. An answer of TLS to a key update is not, and starts no
// limit anew, or the peer could keep us for ever.
func (l *loop) isAsking(slot uint32) bool {
	s := l.table.session(slot)
	return s == nil || s.asking
}

// onWriteError ends the sending. A peer that has reset us may have said why: what it sent is to be read first, and the
// end of that then tells the first error, which the kernel tells once only.
func (l *loop) onWriteError(slot uint32, errno syscall.Errno) {
	f := l.flight(slot)
	if f.pending == 0 {
		f.pending, f.pendingCall = errno, socket.CallWrite
	}
	l.forgetUnsent(slot)
}

// forgetUnsent gives up what is not written yet.
func (l *loop) forgetUnsent(slot uint32) {
	l.giveBack(&l.flight(slot).out)
	l.table.unsent[l.table.rows[slot].seat] = nil
	if s := l.table.session(slot); s != nil {
		s.forgetOutgoing()
	}
}

// flush writes the out ring, then what waits in memory of an exchange's.
func (l *loop) flush(slot uint32) syscall.Errno {
	if s := l.table.session(slot); s != nil {
		return l.flushSession(slot, s)
	}
	r, f := &l.table.rows[slot], l.flight(slot)
	for l.pool.Len(&f.out) > 0 {
		a, b := l.pool.Segments(&f.out)
		n, errno := l.write(r, [][]byte{a, b})
		if errno != 0 {
			return l.heedBusy(slot, errno)
		}
		l.pool.Consume(&f.out, n)
	}
	l.giveBack(&f.out)
	rest, errno := l.writeOut(slot, l.table.unsent[r.seat])
	if len(rest) == 0 {
		rest = nil
	}
	l.table.unsent[r.seat] = rest
	return errno
}

// close begins to end the connection after its verdict.
func (l *loop) close(slot uint32, cause Cause) {
	r := &l.table.rows[slot]
	l.letGo(slot)
	if r.state == Connecting {
		l.drop(slot, false) // nothing was established: close(2) is enough
		return
	}
	l.transition(slot, Closing)
	f := l.flight(slot)
	l.giveBack(&f.in)
	f.quiet, f.pausedAt = 0, 0
	if l.profile(slot).Reset || cause == Reset || cause == Cancelled && l.shared.stopping.Load() {
		l.drop(slot, cause != Reset)
		return
	}
	f.targetUntil = 0
	f.phaseUntil = after(l.now, l.profile(slot).Limits.Close)
	if s := l.table.session(slot); s != nil {
		l.sayGoodbye(slot, s)
	}
	if l.isSending(slot) {
		l.rearm(slot)
		l.onClosingReadable(slot) // a peer that can't write may not read either
		return                    // onWritable sends the FIN when the last byte is out
	}
	l.sendFIN(slot)
}

// sendFIN ends our side. The descriptor is kept until the peer's FIN, so that no late byte of the peer's makes the kernel
// answer with a RST.
func (l *loop) sendFIN(slot uint32) {
	r := &l.table.rows[slot]
	if r.flags&peerClosed != 0 || l.sockets.CloseWrite(int(r.fd)) != 0 {
		l.drop(slot, false)
		return
	}
	l.rearm(slot)
	l.onClosingReadable(slot)
}

// discardLimit is how much a peer may send after the verdict before it gets a RST instead of our patience.
const discardLimit = 256 << 10

// onClosingReadable throws away what the peer still sends, until its FIN.
func (l *loop) onClosingReadable(slot uint32) {
	r, f := &l.table.rows[slot], l.flight(slot)
	for {
		n, errno := l.sockets.Readv(int(r.fd), l.scratch, nil)
		switch {
		case errno == syscall.EAGAIN:
			return
		case n == 0 && errno == 0 && l.isSending(slot):
			r.flags |= peerClosed // it may still read: onWritable goes on
			return
		case n == 0 || errno != 0:
			l.drop(slot, false)
			return
		}
		if f.discarded += uint32(n); f.discarded > discardLimit {
			l.drop(slot, true)
			return
		}
	}
}

// giveBack returns a ring to the pool, if there is one.
func (l *loop) giveBack(r *ringbuf.Ring) {
	if r.Held() {
		l.pool.Return(r)
		l.ringFreed, l.ringCame = l.now, true
	}
}

// drop closes the descriptor and frees the row: CLOSED.
func (l *loop) drop(slot uint32, reset bool) {
	r := &l.table.rows[slot]
	f := l.flight(slot)
	l.giveBack(&f.in)
	l.giveBack(&f.out)
	l.wheel.Cancel(slot)
	l.poller.Remove(int(r.fd))
	l.sockets.Close(int(r.fd), reset)
	l.table.unsecure(slot)
	l.vacate(slot)
}

// vacate frees the row of a connection whose descriptor is gone, and which has no deadline and no buffer.
func (l *loop) vacate(slot uint32) {
	l.transition(slot, Closed)
	l.table.remove(slot)
	l.admission.open--
	l.admission.freed++
	l.admission.moved = l.now
	l.shared.stats.closed.Add(1)
}
