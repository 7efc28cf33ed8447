package engine

import (
	"errors"

	"sonde/internal/kernel/socket"
	"sonde/protocol"
)

// open begins the exchange of a connection that is established: at once, or after a TLS handshake. That of a heartbeat over
// TLS begins at once, since the connection is secured.
func (l *loop) open(slot uint32) {
	r := &l.table.rows[slot]
	ex := l.table.exchanges[r.seat] // of a Series, on its second connection and later
	if profile := l.profile(slot); ex == nil && profile.Dialogue != nil {
		dialogue := profile.Dialogue
		if profile.Heartbeats != nil && l.flight(slot).isHeartbeat() {
			dialogue = profile.Heartbeats
		}
		ex = dialogue.Open(r.id)
		l.table.exchanges[r.seat] = ex
	}
	if h, ok := ex.(protocol.Handshaker); ok && l.table.session(slot) == nil {
		l.secure(slot, h)
		return
	}
	if r.state != Active { // a heartbeat's connection is
		l.transition(slot, Active)
	}
	if ex == nil {
		if f := l.flight(slot); f.pending != 0 {
			l.verdict(slot, Reset, f.pendingCall, f.pending)
			return
		}
		l.verdict(slot, Answered, socket.CallNone, 0)
		return
	}
	l.begin(slot, ex)
}

// begin takes the first step of an exchange on an ACTIVE connection.
func (l *loop) begin(slot uint32, ex protocol.Exchange) {
	f := l.flight(slot)
	if f.firstByteAt == 0 {
		f.requestAt = l.now
	}
	f.resting = false
	f.phaseUntil = after(l.now, l.profile(slot).Limits.Read)
	l.rearm(slot)
	l.take(slot, ex.Begin())
}

// take carries out a step. It returns false when the exchange has nothing more to hear: it is over, or a handshake comes
// first.
func (l *loop) take(slot uint32, step protocol.Step) (more bool) {
	f := l.flight(slot)
	if len(step.Send) > 0 {
		f.lastByteAt = 0 // the answer is still to come: silence before it is no end
	}
	if f.quiet != int64(step.Quiet) {
		f.quiet = int64(step.Quiet)
		l.rearm(slot)
	}
	if f.resting = step.Then == protocol.Pause; f.resting || step.Wait > 0 || f.waitUntil != 0 {
		f.waitUntil = 0
		if f.resting || step.Wait > 0 {
			f.waitUntil = after(l.clk.Now(), max(step.Wait, 0))
		}
		l.rearm(slot)
	}
	if len(step.Send) > 0 {
		l.noteWaiting(slot)  // before the write, as for a handshake of ours
		asked := l.clk.Now() // before the write, too: a peer on this machine may have answered when it returns
		errno := l.send(slot, step.Send, step.Then)
		switch {
		case step.Then == protocol.Done: // the verdict stands, whatever becomes of a farewell
		case errno != 0:
			l.onWriteError(slot, errno) // all who call take read on
		default:
			l.noteRequest(slot, asked)
		}
	}
	switch step.Then {
	case protocol.Done:
		l.noteHandshake(slot) // of an exchange that is one
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
	case protocol.StartTLS:
		l.startTLS(slot)
		return false
	case protocol.Pause:
		f.phaseUntil = int64(off)
		l.rearm(slot)
	}
	return true
}

// noteRequest notes when a request was handed to the kernel, and starts the read limit: it runs from when all of it was there
// to the end of the answer, and nothing the peer does moves it.
func (l *loop) noteRequest(slot uint32, asked int64) {
	f := l.flight(slot)
	if l.table.rows[slot].state == Handshaking {
		return // its limit covers all of it
	}
	f.askedAt = asked
	if f.firstByteAt == 0 {
		f.requestAt = asked
	}
	f.phaseUntil = after(l.clk.Now(), l.profile(slot).Limits.Read)
	l.rearm(slot)
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
			l.noteWaiting(slot)
			return true
		}
		frame, consumed, err := parser.ParseFrame(data)
		switch {
		case errors.Is(err, protocol.ErrIncomplete):
			l.noteWaiting(slot)
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
			l.noteArrival(slot)
			step := ex.OnFrame(frame)
			l.pool.Consume(&f.in, consumed)
			if step.Then == protocol.Done || step.Then == protocol.Park { // no handshake is to be had of it any more
				l.noteHandshake(slot)
				l.verdict(slot, Answered, socket.CallNone, 0)
				return
			}
		}
	}
	l.finish(slot, protocol.EndOfStream, nil, Answered, socket.CallNone, 0)
}
