package engine

import (
	"math/bits"
	"syscall"
	"time"

	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
	"sonde/protocol"
)

// park sends a connection IDLE: exchange, parser, buffers and flight go back, and what stays is its row and its place in
// the wheel. The outcome of the first exchange is reported; of later ones (heartbeats) only a failure is, unless the profile has all told.
func (l *loop) park(slot uint32) {
	r, f := &l.table.rows[slot], l.flight(slot)
	o := l.outcome(slot, Parked, socket.CallNone, 0)
	if o.Conclusion.Verdict != protocol.Success {
		o.Cause = Answered
		l.end(slot, o)
		return
	}
	profile := l.profile(slot)
	if o.Kept {
		o.Cause = HeartbeatAnswered
	}
	if !o.Kept || profile.TellHeartbeats {
		l.outcomes = append(l.outcomes, o)
	}
	l.giveBack(&f.in)
	l.giveBack(&f.out)
	l.table.alight(slot)
	l.transition(slot, Idle)
	// A heartbeat only ever extends the deadline: one set earlier by whatever else is never cut short.
	r.idleUntil = max(r.idleUntil, after(l.now, profile.Limits.Idle))
	r.nextHeartbeat = 0
	switch {
	case profile.Heartbeat <= 0:
	case o.Kept:
		r.nextHeartbeat = l.together(after(l.now, profile.Heartbeat), r.idleUntil, profile.Heartbeat)
	default:
		r.nextHeartbeat = l.together(after(l.now, spread(r.id, profile.Heartbeat)), r.idleUntil, profile.Heartbeat)
	}
	l.armIdle(slot)
	token := l.table.token(slot)
	if !l.drained {
		l.onIdleReadable(slot) // bytes or a FIN that came with the answer make no new edge
	}
	if r.flags&leaving != 0 && l.is(token, Idle) {
		x := l.leaving[slot]
		delete(l.leaving, slot)
		r.flags &^= leaving
		l.leave(slot, x)
		x.arrived()
	}
}

// spread is when the first heartbeat of a connection comes, within the interval: connections that were opened together do
// not beat together.
func spread(id uint64, interval time.Duration) time.Duration {
	const golden = 0x9e3779b97f4a7c15 // 2^64 over the golden ratio: ids in a row are spread evenly (Knuth, TAOCP 3, 6.4)
	part, _ := bits.Mul64(id*golden, uint64(interval))
	return time.Duration(part) + 1
}

// together puts off a heartbeat to a moment that it shares with others: at 300 a second a loop would wake for each of them alone,
// and most of what a heartbeat costs is the wake. The moments are the loop's own, so that not all loops wake at once. It is not
// put off past the idle limit, which an answer in time is to move.
func (l *loop) together(at, idleUntil int64, interval time.Duration) int64 {
	grid := int64(HeartbeatGrid(interval))
	if at == int64(off) || grid < 2 {
		return at
	}
	past := (at - l.began) % grid
	if shared := at + grid - past; past > 0 && shared < idleUntil {
		return shared
	}
	return at
}

// HeartbeatGrid is by how much a heartbeat may be put off: a half percent of the interval, at most 50 ms. What is in flight at
// once takes memory.
func HeartbeatGrid(interval time.Duration) time.Duration {
	return min(interval/200, 50*time.Millisecond)
}

func (l *loop) armIdle(slot uint32) {
	r := &l.table.rows[slot]
	if at := earlier(r.idleUntil, r.nextHeartbeat); at != int64(off) {
		l.wheel.Set(slot, at)
	} else {
		l.wheel.Cancel(slot)
	}
}

// onIdleTimer ends an IDLE connection past its limit, or has its heartbeat sent. If the moment of both has passed, it goes by
// which came first: a peer that we were late to ask was not silent for too long.
func (l *loop) onIdleTimer(slot uint32) {
	r := &l.table.rows[slot]
	switch {
	case r.nextHeartbeat != 0 && r.nextHeartbeat <= l.now && r.nextHeartbeat < r.idleUntil:
		l.beats = append(l.beats, dueBeat{l.table.token(slot), r.nextHeartbeat})
	case r.idleUntil <= l.now:
		l.onIdleReadable(slot) // the last look: the peer may have closed while we were away
		if r.state == Idle {
			l.table.board(slot)
			l.verdict(slot, IdleTimeout, socket.CallNone, 0)
		}
	default:
		l.armIdle(slot)
	}
}

// beatsPerRound is how many heartbeats are begun between two polls. A shared moment may have hundreds: the first would be
// answered long before the last is written, and nobody would read the answer.
const beatsPerRound = 32

// dueBeat is a heartbeat whose moment has come.
type dueBeat struct {
	token poller.Token
	dueAt int64
}

// beat begins heartbeats that are due, at most beatBudget of them.
func (l *loop) beat() {
	n := min(l.beatBudget, len(l.beats)-l.beaten)
	for _, b := range l.beats[l.beaten : l.beaten+n] {
		if !l.is(b.token, Idle) {
			continue // it has ended meanwhile
		}
		slot := b.token.Slot()
		l.table.board(slot).dueAt = b.dueAt
		l.transition(slot, Active)
		l.open(slot)
		if l.isHeard(b.token) {
			l.hear(slot) // what came while nobody asked makes no new edge
		}
	}
	if l.beaten += n; 2*l.beaten >= len(l.beats) { // then to move the others costs no more than they do
		l.beats, l.beaten = append(l.beats[:0], l.beats[l.beaten:]...), 0
	}
}

// waitingBeat is when the oldest heartbeat was due that waits for its round; 0: none does.
func (l *loop) waitingBeat() int64 {
	if l.beaten == len(l.beats) {
		return 0
	}
	return l.beats[l.beaten].dueAt
}

// onIdleReadable notices the peer's FIN or reset on an IDLE connection. Bytes nobody asked for are thrown away.
func (l *loop) onIdleReadable(slot uint32) {
	r := &l.table.rows[slot]
	for range bytesPerWake / scratchSize {
		n, errno := l.discard(slot)
		switch {
		case errno == syscall.EAGAIN:
			return
		case errno != 0:
			l.table.board(slot)
			l.verdict(slot, Reset, socket.CallRead, errno)
			return
		case n == 0:
			r.flags |= peerClosed
			l.table.board(slot)
			l.verdict(slot, PeerClosed, socket.CallNone, 0)
			return
		}
		if !l.flushIdle(slot) {
			return
		}
	}
	l.goOn(slot) // there may be a FIN behind them
}

// flushIdle writes what the TLS of a parked connection has to say, the answer to a key update. It returns false when that
// shows that the connection has failed: the kernel tells it once only.
func (l *loop) flushIdle(slot uint32) (ok bool) {
	s := l.table.session(slot)
	if s == nil || !s.isSending() {
		return true
	}
	errno := l.flushSession(slot, s)
	if errno != 0 {
		l.table.board(slot)
		l.verdict(slot, Reset, socket.CallWrite, errno)
	}
	return errno == 0
}

// discard reads what a parked connection was not asked for; 0 bytes are the end of the peer's side.
func (l *loop) discard(slot uint32) (int, syscall.Errno) {
	if s := l.table.session(slot); s != nil {
		return l.discardSecured(slot, s)
	}
	return l.sockets.Readv(int(l.table.rows[slot].fd), l.scratch, nil)
}
