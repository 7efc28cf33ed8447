package engine

import (
	"syscall"

	"sonde/protocol"
	"sonde/ringbuf"
)

// send writes what a Step says, at once as far as the kernel takes it; the rest is copied to the out ring. It returns the
// errno of a connection that takes no more.
func (l *loop) send(slot uint32, bufs [][]byte, then protocol.Action) syscall.Errno {
	r, f := &l.table.rows[slot], l.flight(slot)
	if l.pool.Len(&f.out) == 0 && l.table.unsent[r.seat] == nil {
		var errno syscall.Errno
		if bufs, errno = l.writeOut(int(r.fd), bufs); errno != 0 {
			return errno
		}
	}
	for len(bufs) > 0 {
		if !l.stash(slot, bufs[0]) {
			// No room: the exchange's own memory serves until it is out, and the exchange hears of nothing meanwhile. A
			// Done exchange is let go with its memory, and what does not fit is not said.
			if then != protocol.Done {
				l.table.unsent[r.seat] = append([][]byte(nil), bufs...)
			}
			return 0
		}
		bufs = bufs[1:]
	}
	return 0
}

// writeOut writes until all is out or the kernel takes no more, and returns what is left.
func (l *loop) writeOut(fd int, bufs [][]byte) ([][]byte, syscall.Errno) {
	for len(bufs) > 0 {
		n, errno := l.sockets.Writev(fd, bufs)
		if errno == syscall.EAGAIN || errno == syscall.ENOBUFS {
			return bufs, 0
		}
		if errno != 0 {
			return bufs, errno
		}
		bufs = skip(bufs, n)
	}
	return nil, 0
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
	if !f.out.Held() && !l.pool.Borrow(&f.out, len(p)) {
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
	r, f := &l.table.rows[slot], l.flight(slot)
	if l.pool.Len(&f.out) == 0 && l.table.unsent[r.seat] == nil {
		return
	}
	errno := l.flush(slot)
	if r.state == Closing {
		if errno != 0 {
			l.drop(slot, true)
		} else if l.pool.Len(&f.out) == 0 {
			l.sendFIN(slot)
		}
		return
	}
	if errno != 0 {
		l.onWriteError(slot, errno)
		return
	}
	if l.pool.Len(&f.out) == 0 && l.table.unsent[r.seat] == nil {
		l.noteRequest(slot)
		if l.feed(slot) { // frames that waited for the write
			l.onReadable(slot)
		}
	}
}

// onWriteError ends the sending. A peer that has reset us may have said why: what it sent is read first, and the end
// of it then tells the first error, which the kernel tells once only.
func (l *loop) onWriteError(slot uint32, errno syscall.Errno) (more bool) {
	f := l.flight(slot)
	if f.pending == 0 {
		f.pending = errno
	}
	l.giveBack(&f.out)
	l.table.unsent[l.table.rows[slot].seat] = nil
	return l.onReadable(slot)
}

// flush writes the out ring, then what waits in the exchange's own memory.
func (l *loop) flush(slot uint32) syscall.Errno {
	r, f := &l.table.rows[slot], l.flight(slot)
	for l.pool.Len(&f.out) > 0 {
		a, b := l.pool.Segments(&f.out)
		n, errno := l.sockets.Writev(int(r.fd), [][]byte{a, b})
		if errno == syscall.EAGAIN || errno == syscall.ENOBUFS {
			return 0
		}
		if errno != 0 {
			return errno
		}
		l.pool.Consume(&f.out, n)
	}
	l.giveBack(&f.out)
	rest, errno := l.writeOut(int(r.fd), l.table.unsent[r.seat])
	if len(rest) == 0 {
		rest = nil
	}
	l.table.unsent[r.seat] = rest
	return errno
}

// close begins to end the connection after its verdict.
func (l *loop) close(slot uint32, cause Cause) {
	r := &l.table.rows[slot]
	if r.state == Connecting {
		l.drop(slot, false) // nothing was established: close(2) is enough
		return
	}
	l.transition(slot, Closing)
	r.flags |= reported
	f := l.flight(slot)
	l.giveBack(&f.in)
	l.table.unsent[r.seat] = nil
	f.quiet, f.pausedAt = 0, 0
	if l.profile(slot).Reset || cause == Reset || cause == Cancelled {
		l.drop(slot, cause != Reset)
		return
	}
	f.targetUntil = 0
	f.phaseUntil = after(l.now, l.profile(slot).Limits.Close)
	if l.pool.Len(&f.out) > 0 {
		l.rearm(slot)
		return // onWritable sends the FIN when the last byte is out
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
		case n == 0 && l.pool.Len(&f.out) > 0 && errno == 0:
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
		l.ringFreed = l.now
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
	l.transition(slot, Closed)
	l.table.remove(slot)
	l.admission.open--
	l.admission.freed++
	l.admission.moved = l.now
	l.shared.stats.closed.Add(1)
}
