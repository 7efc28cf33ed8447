package engine

import (
	"syscall"
	"time"

	"sonde/internal/kernel/socket"
	"sonde/protocol"
)

// finish ends an exchange that was not Done, then the connection.
func (l *loop) finish(slot uint32, end protocol.End, err error, cause Cause, call socket.Call, errno syscall.Errno) {
	f := l.flight(slot)
	f.mute = f.mute || l.isSending(slot) // half a record may be out: a close_notify behind it would be no record
	l.forgetUnsent(slot)
	l.cutHandshake(slot)
	if ex := l.table.exchanges[l.table.rows[slot].seat]; ex != nil && !f.parking {
		ex.OnEnd(end, l.pool.Bytes(&f.in), err)
	}
	l.verdict(slot, cause, call, errno)
}

// noConnection ends a connection that was not established.
func (l *loop) noConnection(slot uint32, cause Cause, call socket.Call, errno syscall.Errno) {
	if ex := l.table.exchanges[l.table.rows[slot].seat]; ex != nil { // a Series that wanted one more
		ex.OnEnd(protocol.EndNoConnection, nil, nil)
	}
	l.verdict(slot, cause, call, errno)
}

// verdict reports how a connection ended and begins to close it, unless its exchange wants another one.
func (l *loop) verdict(slot uint32, cause Cause, call socket.Call, errno syscall.Errno) {
	if s, ok := l.table.exchanges[l.table.rows[slot].seat].(protocol.Series); ok {
		var again bool
		if cause, again = l.askNext(slot, s, cause); again {
			return
		}
	}
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
	phases := &f.phases
	if first := l.table.firsts[r.seat]; first != nil {
		phases = first
	}
	ex, now := l.table.exchanges[r.seat], l.now
	if ex != nil {
		now = l.clk.Now() // what was said since the poll is part of it
	}
	o := phases.outcome(now)
	o.Kept = phases.dialedAt == 0
	o.ID, o.Cause, o.State, o.Call, o.Errno = r.id, cause, r.state, call, errno
	if ex != nil {
		o.Conclusion = ex.Conclusion()
		l.table.exchanges[r.seat] = nil
	}
	if r.state == Handshaking && l.table.firsts[r.seat] == nil && !isShaken(o.Conclusion.Verdict) {
		o.TLS, o.TLSWait = Absent, Absent
	}
	return o
}

// isShaken reports whether a verdict in HANDSHAKING is about a handshake that came to its end: one that was refused took no
// time that compares with that of the others.
func isShaken(v protocol.Verdict) bool { return v == protocol.Success || v == protocol.Untrusted }

// outcome is an Outcome with the phases as far as they happened.
func (p *phases) outcome(now int64) Outcome {
	now = max(now, p.tlsEndedAt) // no total without the end of the handshake
	o := Outcome{DialedAt: p.dialedAt, EndedAt: now,
		SchedDelay: Absent, Connect: Absent, KernelRTT: Absent, TLS: Absent, TLSWait: Absent, FirstByte: Absent, Total: Absent}
	if p.dialedAt != 0 {
		o.SchedDelay = time.Duration(max(p.dialedAt-p.dueAt, 0))
		o.Total = time.Duration(max(now-p.dialedAt, 0))
	}
	if p.isHeartbeat() && p.requestAt != 0 {
		o.SchedDelay = time.Duration(max(p.requestAt-p.dueAt, 0))
		o.Total = time.Duration(max(now-p.requestAt, 0))
	}
	if p.establishedAt != 0 {
		o.Connect = time.Duration(max(p.establishedAt-p.dialedAt, 0))
	}
	if p.kernelRTT != 0 {
		o.KernelRTT = time.Duration(p.kernelRTT) * time.Microsecond
	}
	if p.tlsTook != 0 {
		o.TLS = time.Duration(p.tlsTook)
		o.TLSWait = time.Duration(min(p.tlsWait, p.tlsTook))
	}
	if p.firstByteAt != 0 {
		o.FirstByte = time.Duration(max(p.firstByteAt-p.requestAt, 0))
	}
	return o
}

// cancel ends a connection because we stop, or nobody wants it any more.
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
