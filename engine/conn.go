package engine

import (
	"syscall"

	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
)

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
			l.noConnection(slot, ConnectFailed, socket.CallSOError, errno)
			return
		case info.Known:
			f.pending, f.pendingCall = syscall.ECONNRESET, socket.CallSOError // closed already, and nobody says why
		case ready&poller.Writable == 0:
			return
		}
	}
	if (info.SegsIn > 1 || !info.Known) && l.isSelfConnected(slot) {
		l.noConnection(slot, ConnectFailed, socket.CallSOError, syscall.ECONNREFUSED)
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
	token := l.table.token(slot)
	l.open(slot)
	if !l.isHeard(token) {
		return
	}
	if f := l.flight(slot); f.pending != 0 || ready&(poller.Readable|poller.Hangup|poller.Failed) != 0 {
		l.hear(slot)
	}
}
