package engine

import (
	"time"

	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
	"sonde/protocol"
	"sonde/ringbuf"
)

// deadline returns the moment at which the connection's flight ends if nothing happens: the earliest of its phase's limit,
// the target's budget, the wait of the last step and, once bytes have come, the quiet time.
func (f *flight) deadline() int64 {
	at := earlier(f.phaseUntil, f.targetUntil)
	if f.quiet > 0 && f.lastByteAt != 0 {
		at = earlier(at, after(f.lastByteAt, time.Duration(f.quiet)))
	}
	return earlier(at, f.waitUntil)
}

// rearm moves the connection's one timer to its deadline.
func (l *loop) rearm(slot uint32) {
	f := l.flight(slot)
	if f.pausedAt != 0 {
		return // the clocks stand still
	}
	if at := f.deadline(); at != 0 && at != int64(off) {
		l.wheel.Set(slot, at)
	} else {
		l.wheel.Cancel(slot)
	}
}

// onTimeout serves a deadline. Before a peer is called late, its socket is looked at once more: after a stall of
// ours (a suspended process, a CPU taken away) the answer may lie there, its event not yet polled.
func (l *loop) onTimeout(slot uint32) {
	token := l.table.token(slot)
	switch state := l.table.rows[slot].state; state {
	case Connecting:
		l.onConnectEvent(slot, poller.Readable)
		if l.is(token, Connecting) {
			l.noConnection(slot, l.whichLimit(slot, ConnectTimeout), socket.CallNone, 0)
		}
	case Handshaking, Active:
		if since := l.flight(slot).pausedAt; since != 0 {
			if stuckAt := max(since, l.ringFreed) + noProgressLimit; stuckAt > l.now {
				l.wheel.Set(slot, stuckAt)
				return
			}
			l.finish(slot, protocol.EndCancelled, nil, BuffersExhausted, socket.CallNone, 0)
			return
		}
		if f := l.flight(slot); f.resting && f.waitUntil <= l.now && f.targetUntil > l.now && f.pending == 0 {
			f.waitUntil = 0
			l.begin(slot, l.table.exchanges[l.table.rows[slot].seat])
			return // without a last look: nobody is late
		}
		l.cutOff(slot)
		l.hear(slot)
		if l.isHeard(token) {
			l.onPhaseTimeout(slot, state)
		}
	case Idle:
		l.onIdleTimer(slot)
	case Closing:
		l.onWritable(slot)
		if l.is(token, Closing) {
			l.onClosingReadable(slot) // the peer's FIN may be there
		}
		if l.is(token, Closing) {
			l.drop(slot, true)
		}
	}
}

// cutOff gives up a request that is not wholly sent when its limit has passed, if it stands in the way of the last look:
// its ring may be the only one, and an exchange whose memory is still being written hears of nothing. What TLS has to send
// stands in no way: it is in memory of its own.
func (l *loop) cutOff(slot uint32) {
	if l.table.session(slot) != nil {
		return
	}
	f := l.flight(slot)
	late := f.phaseUntil <= l.now || f.targetUntil <= l.now
	if late && !f.parking && l.isSending(slot) && (!f.in.Held() || l.table.unsent[l.table.rows[slot].seat] != nil) {
		l.forgetUnsent(slot)
		f.mute = true
	}
}

// onPhaseTimeout ends an exchange or a handshake whose deadline has passed, if it still has after the last look. state is
// that of before the look, which may have brought an exchange to its handshake, or a handshake to its end.
func (l *loop) onPhaseTimeout(slot uint32, state State) {
	f := l.flight(slot)
	if f.pausedAt != 0 {
		return
	}
	if at := f.deadline(); at > l.now && !f.mute {
		l.wheel.Set(slot, at)
		return
	}
	if f.phaseUntil > l.now && f.targetUntil > l.now && !f.mute {
		l.finish(slot, protocol.EndQuiet, nil, Answered, socket.CallNone, 0)
		return
	}
	phase := ReadTimeout
	if state == Handshaking {
		phase = HandshakeTimeout
	}
	l.finish(slot, protocol.EndTimeout, nil, l.whichLimit(slot, phase), socket.CallNone, 0)
}

// whichLimit tells the target's budget from the limit of the phase.
func (l *loop) whichLimit(slot uint32, phase Cause) Cause {
	if f := l.flight(slot); f.targetUntil <= l.now && f.targetUntil < f.phaseUntil {
		return TargetTimeout
	}
	return phase
}

// pause stops a connection's reads and clocks until a buffer can be had.
func (l *loop) pause(slot uint32) {
	f := l.flight(slot)
	l.shared.stats.bufferWaits.Add(1)
	f.pausedAt = l.now
	l.wheel.Set(slot, l.now+noProgressLimit)
	if f.in.Held() {
		l.growing = append(l.growing, l.table.token(slot))
	} else {
		l.paused = append(l.paused, l.table.token(slot))
	}
}

// resume lets paused connections read on, in the order in which they were paused, as far as there are buffers. Those that
// hold a ring and need a larger one come first: they keep from the others what they wait with.
func (l *loop) resume() {
	l.ringCame = false
	l.resumeFrom(&l.growing, l.pool.Grow)
	l.resumeFrom(&l.paused, func(r *ringbuf.Ring) bool { return l.pool.Borrow(r, 1) })
}

// resumeFrom resumes the connections of a list until have fails to give one a ring. Those that pause anew meanwhile stand
// at the end and wait for the next batch.
func (l *loop) resumeFrom(list *[]poller.Token, have func(*ringbuf.Ring) bool) {
	for n := len(*list); n > 0; n-- {
		slot, ok := l.table.find((*list)[0])
		ok = ok && l.table.rows[slot].seat != none && l.flight(slot).pausedAt != 0
		if ok && !have(&l.flight(slot).in) {
			return
		}
		*list = (*list)[1:]
		if ok {
			l.unpause(slot)
		}
	}
}

// unpause sets a connection's clocks going again, later by as long as they stood still, and reads what has been here since.
func (l *loop) unpause(slot uint32) {
	f := l.flight(slot)
	since := f.pausedAt
	stood := l.now - since
	f.pausedAt = 0
	f.phaseUntil = shift(f.phaseUntil, stood)
	f.targetUntil = shift(f.targetUntil, stood)
	if f.lastByteAt != 0 {
		f.lastByteAt += stood
	}
	f.waitUntil = shift(f.waitUntil, stood)
	if f.waitFrom != 0 {
		f.waitFrom += stood
	}
	l.rearm(slot)
	l.toldAt = since
	l.onReadable(slot)
	l.toldAt = l.now
}

// shift moves a deadline by d, leaving "never" as it is.
func shift(at, d int64) int64 {
	if at == 0 || at > int64(off)-d {
		return at
	}
	return at + d
}

// after returns the moment d after t, never overflowing.
func after(t int64, d time.Duration) int64 {
	if d == off || t > int64(off)-int64(d) {
		return int64(off)
	}
	return t + int64(d)
}
