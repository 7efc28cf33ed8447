package engine

import (
	"errors"
	"syscall"
	"time"

	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
	"sonde/protocol"
)

// bytesPerWake is how much one connection may read in one batch before the others have their turn.
const bytesPerWake = 64 << 10

// onConnectEvent is called when the poller says something about a connect, or when its limit has passed.
func (l *loop) onConnectEvent(slot uint32, ready poller.Ready) {
	r, f := &l.table.rows[slot], l.flight(slot)
	info := l.sockets.Info(int(r.fd))
	switch {
	case info.Connecting:
		return // an edge without a meaning
	case !info.Established:
		errno := l.sockets.Error(int(r.fd))
		switch {
		case errno == syscall.ECONNRESET || errno == syscall.EPIPE || errno != 0 && errno != syscall.ECONNREFUSED && info.SegsIn > 0:
			// The kernel says ECONNREFUSED for a RST to our SYN, and ICMP is no segment: this came after the
			// handshake, and what the peer sent before it can still be read. SO_ERROR is told once only, so it is kept.
			f.pending, f.pendingCall = errno, socket.CallSOError
		case errno != 0:
			l.verdict(slot, ConnectFailed, socket.CallSOError, errno)
			return
		case info.Known:
			f.pending, f.pendingCall = syscall.ECONNRESET, socket.CallSOError // closed already, and nobody says why
		case ready&poller.Writable == 0:
			return
		}
	}
	if (info.SegsIn > 1 || !info.Known) && l.isSelfConnected(slot) {
		l.verdict(slot, ConnectFailed, socket.CallSOError, syscall.ECONNREFUSED)
		return
	}
	if !info.Known {
		ready |= poller.Readable // the edge of early bytes may have come before it could be told that we are connected
	}
	l.onEstablished(slot, info.RTTMicros, ready)
}

// isSelfConnected reports a connection to itself: a dial of a dead port that the kernel also chose as our local port
// (simultaneous open, RFC 9293 s.3.5). Nobody listens there. A handshake with itself takes three segments in, so
// connections with one need not be asked.
func (l *loop) isSelfConnected(slot uint32) bool {
	r := &l.table.rows[slot]
	local := l.sockets.Local(int(r.fd))
	return local.IsValid() && local.Port == r.remote.Port && local.IP == r.remote.IP
}

func (l *loop) onEstablished(slot uint32, rttMicros uint32, ready poller.Ready) {
	f := l.flight(slot)
	f.establishedAt, f.kernelRTT = l.now, rttMicros
	l.shared.stats.established.Add(1)
	l.transition(slot, Active)
	l.startExchange(slot)
	if l.table.rows[slot].state != Active {
		return
	}
	if f := l.flight(slot); f.pending != 0 || ready&(poller.Readable|poller.Hangup|poller.Failed) != 0 {
		l.onReadable(slot)
	}
}

// startExchange opens the exchange of an ACTIVE connection and takes its first step.
func (l *loop) startExchange(slot uint32) {
	r, profile := &l.table.rows[slot], l.profile(slot)
	var ex protocol.Exchange
	if profile.Dialogue != nil {
		ex = profile.Dialogue.Open(r.id)
	}
	if ex == nil {
		if f := l.flight(slot); f.pending != 0 {
			l.verdict(slot, Reset, f.pendingCall, f.pending)
			return
		}
		l.verdict(slot, Answered, socket.CallNone, 0)
		return
	}
	l.table.exchanges[r.seat] = ex
	f := l.flight(slot)
	f.requestAt = l.now
	f.phaseUntil = after(l.now, profile.Limits.Read)
	l.rearm(slot)
	l.take(slot, ex.Begin())
}

// take carries out a step. It returns false when the exchange is over.
func (l *loop) take(slot uint32, step protocol.Step) (more bool) {
	f := l.flight(slot)
	if len(step.Send) > 0 {
		f.lastByteAt = 0 // the answer is still to come: silence before it is no end
	}
	if f.quiet != int64(step.Quiet) {
		f.quiet = int64(step.Quiet)
		l.rearm(slot)
	}
	if len(step.Send) > 0 {
		errno := l.send(slot, step.Send, step.Then)
		switch {
		case step.Then == protocol.Done: // the verdict stands, whatever becomes of a farewell
		case errno != 0:
			l.onWriteError(slot, errno) // all who call take read on
		default:
			l.noteRequest(slot)
		}
	}
	switch step.Then {
	case protocol.Done:
		l.verdict(slot, Answered, socket.CallNone, 0)
		return false
	case protocol.Park:
		f.parking = l.isSending(slot)
		switch {
		case f.pending != 0:
			l.verdict(slot, Reset, f.pendingCall, f.pending)
		case !f.parking: // else onWritable parks it
			l.park(slot)
		}
		return false
	}
	return true
}

// noteRequest starts the read limit: it runs from each request to the end of its answer, and nothing the peer does moves it.
func (l *loop) noteRequest(slot uint32) {
	f := l.flight(slot)
	now := l.clk.Now()
	if f.firstByteAt == 0 {
		f.requestAt = now
	}
	f.phaseUntil = after(now, l.profile(slot).Limits.Read)
	l.rearm(slot)
}

// onReadable reads until the socket is empty, the exchange is over, the share of this batch is used up or no buffer can
// be had. It returns false when the exchange is over.
func (l *loop) onReadable(slot uint32) (more bool) {
	r, f := &l.table.rows[slot], l.flight(slot)
	if f.pausedAt != 0 || f.parking || l.table.unsent[r.seat] != nil {
		return true // resume or onWritable will read
	}
	for budget := bytesPerWake; budget > 0; {
		if !l.makeRoom(slot) {
			return r.state == Active
		}
		a, b := l.pool.Free(&f.in)
		n, errno := l.sockets.Readv(int(r.fd), a, b)
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
		case n == 0:
			l.onEndOfStream(slot)
			return false
		}
		l.pool.Commit(&f.in, n)
		budget -= n
		if f.firstByteAt == 0 {
			f.firstByteAt = l.now
		}
		f.lastByteAt = l.now
		if f.quiet > 0 {
			l.rearm(slot)
		}
		if !l.feed(slot) {
			return false
		}
		if l.table.unsent[r.seat] != nil {
			return true // the exchange hears of nothing until its Send is out: onWritable reads on
		}
	}
	l.goOn(slot)
	return true
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

// feed gives the bytes to the parser, and its frames to the exchange. It returns false when the exchange is over.
func (l *loop) feed(slot uint32) (more bool) {
	ex := l.table.exchanges[l.table.rows[slot].seat]
	for {
		f := l.flight(slot)
		data := l.pool.Bytes(&f.in)
		parser := ex.Parser()
		if len(data) < parser.MinFrameSize() {
			l.returnIfEmpty(slot)
			return true
		}
		frame, consumed, err := parser.ParseFrame(data)
		switch {
		case errors.Is(err, protocol.ErrIncomplete):
			return true
		case errors.Is(err, protocol.ErrTooLarge):
			l.finish(slot, protocol.EndTooLarge, err, Answered, socket.CallNone, 0)
			return false
		case err != nil:
			l.finish(slot, protocol.EndMalformed, err, Answered, socket.CallNone, 0)
			return false
		}
		step := ex.OnFrame(frame)
		l.pool.Consume(&f.in, consumed) // after OnFrame: the frame lies in the ring
		if !l.take(slot, step) {
			return false
		}
		if l.table.unsent[l.table.rows[slot].seat] != nil {
			return true // no more events for the exchange until its Send is out
		}
	}
}

// onEndOfStream is called at the peer's FIN, which may also end a frame.
func (l *loop) onEndOfStream(slot uint32) {
	r, f := &l.table.rows[slot], l.flight(slot)
	r.flags |= peerClosed
	ex := l.table.exchanges[r.seat]
	if f.pending != 0 {
		l.finish(slot, protocol.EndReset, nil, Reset, f.pendingCall, f.pending)
		return
	}
	if parser, ok := ex.Parser().(protocol.EndParser); ok {
		frame, consumed, err := parser.ParseEnd(l.pool.Bytes(&f.in))
		if err == nil {
			step := ex.OnFrame(frame)
			l.pool.Consume(&f.in, consumed)
			if step.Then != protocol.Read {
				l.verdict(slot, Answered, socket.CallNone, 0)
				return
			}
		}
	}
	l.finish(slot, protocol.EndOfStream, nil, Answered, socket.CallNone, 0)
}

// finish ends an exchange that was not Done, then the connection.
func (l *loop) finish(slot uint32, end protocol.End, err error, cause Cause, call socket.Call, errno syscall.Errno) {
	f := l.flight(slot)
	l.forgetUnsent(slot)
	if ex := l.table.exchanges[l.table.rows[slot].seat]; ex != nil && !f.parking {
		ex.OnEnd(end, l.pool.Bytes(&f.in), err)
	}
	l.verdict(slot, cause, call, errno)
}

// verdict reports how a connection ended and begins to close it.
func (l *loop) verdict(slot uint32, cause Cause, call socket.Call, errno syscall.Errno) {
	l.end(slot, l.outcome(slot, cause, call, errno))
}

// end hands on the last outcome of a connection and begins to close it.
func (l *loop) end(slot uint32, o Outcome) {
	l.outcomes = append(l.outcomes, o)
	l.admission.inFlight--
	l.shared.stats.inFlight.Add(-1)
	l.close(slot, o.Cause)
}

// outcome makes the outcome of a connection and lets its exchange go.
func (l *loop) outcome(slot uint32, cause Cause, call socket.Call, errno syscall.Errno) Outcome {
	r, f := &l.table.rows[slot], l.flight(slot)
	o := Outcome{ID: r.id, Cause: cause, State: r.state, Call: call, Errno: errno, DialedAt: f.dialedAt, EndedAt: l.now,
		SchedDelay: Absent, Connect: Absent, KernelRTT: Absent, TLS: Absent, TLSWait: Absent, FirstByte: Absent, Total: Absent}
	if f.dialedAt != 0 {
		o.SchedDelay = time.Duration(max(f.dialedAt-f.dueAt, 0))
		o.Total = time.Duration(max(l.now-f.dialedAt, 0))
	}
	if f.establishedAt != 0 {
		o.Connect = time.Duration(max(f.establishedAt-f.dialedAt, 0))
	}
	if f.kernelRTT != 0 {
		o.KernelRTT = time.Duration(f.kernelRTT) * time.Microsecond
	}
	if f.firstByteAt != 0 {
		o.FirstByte = time.Duration(max(f.firstByteAt-f.requestAt, 0))
	}
	if ex := l.table.exchanges[r.seat]; ex != nil {
		o.Conclusion = ex.Conclusion()
		l.table.exchanges[r.seat] = nil
	}
	return o
}

// cancel ends a connection because we stop.
func (l *loop) cancel(slot uint32) {
	r := &l.table.rows[slot]
	switch {
	case r.state == Closing:
		l.drop(slot, true)
	case r.seat == none: // IDLE
		l.table.board(slot)
		l.verdict(slot, Cancelled, socket.CallNone, 0)
	default:
		l.finish(slot, protocol.EndCancelled, nil, Cancelled, socket.CallNone, 0)
	}
}
