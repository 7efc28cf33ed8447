package engine

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"time"

	"sonde/engine/internal/tlsdrive"
	"sonde/internal/kernel/socket"
	"sonde/protocol"
)

// session is the TLS of a connection, for as long as that is open: what a secured connection costs beside its row.
type session struct {
	driver *tlsdrive.Driver
	ahead  []byte // what was said in the clear and is not written yet: it goes before the handshake; nil almost always
	flight []byte // during the handshake: the first that the server sent, at most protocol.FlightSize bytes
	// left is ciphertext that was read while the ring had no room for what is in it. more says that the driver holds
	// plaintext still, or an error that comes after some.
	left    []byte
	more    bool
	arrived arrival // of the last read of application data: what is left of that came with it
	// asking says that a Step's bytes are among those that wait to be written. answers is how many bytes of TLS' own, which
	// answer key updates, were put behind what waits.
	asking  bool
	answers int
}

// answersLimit is how many bytes of answers to key updates may wait for a peer that takes none: a peer that asks for more
// of them than it reads would have us keep them all (RFC 8446 s.4.6.3 bounds them in no way). It is some 500 answers.
const answersLimit = 16 << 10

// errDeaf ends a connection above answersLimit.
var errDeaf = errors.New("tls: key updates without end, and no answer is taken")

// session returns the TLS of the connection, nil without.
func (t *table) session(slot uint32) *session {
	if int(slot) >= len(t.sessions) {
		return nil
	}
	return t.sessions[slot]
}

// setSession gives the connection its TLS. The list grows with the first TLS connection only: scans without it pay nothing.
func (t *table) setSession(slot uint32, s *session) {
	for int(slot) >= len(t.sessions) {
		t.sessions = append(t.sessions, nil)
	}
	t.sessions[slot] = s
}

// unsecure lets the TLS of a connection go, and with it the goroutine of a handshake that is parked.
func (t *table) unsecure(slot uint32) {
	if s := t.session(slot); s != nil {
		s.driver.Release()
		t.sessions[slot] = nil
	}
}

// isSending reports whether there is something to be written.
func (s *session) isSending() bool { return len(s.ahead)+len(s.driver.Outgoing()) > 0 }

// forgetOutgoing gives up what is to be written.
func (s *session) forgetOutgoing() {
	s.ahead, s.asking, s.answers = nil, false, 0
	s.driver.Sent(len(s.driver.Outgoing()))
}

// secure does what a Handshaker wants now: it is asked when the connection is established, and after a StartTLS step.
func (l *loop) secure(slot uint32, h protocol.Handshaker) {
	r, f := &l.table.rows[slot], l.flight(slot)
	security, cfg := h.Handshake()
	if security != protocol.TLSNow && security != protocol.TLSOwn {
		if r.state != Active {
			l.transition(slot, Active)
		}
		l.begin(slot, h)
		return
	}
	l.transition(slot, Handshaking)
	now := l.clk.Now() // what waited for our CPU until here is no part of the handshake
	f.handshakeAt, f.tlsTook, f.tlsWait, f.waitFrom = now, 0, 0, 0
	f.quiet, f.lastByteAt, f.waitUntil = 0, 0, 0 // silence was meant of what was said in the clear
	f.phaseUntil = after(now, l.profile(slot).Limits.Handshake)
	l.rearm(slot)
	if security == protocol.TLSOwn {
		l.take(slot, h.Begin())
		return
	}
	l.table.setSession(slot, &session{driver: tlsdrive.New(cfg), ahead: l.takeUnsent(slot)})
	l.handshakes++
	l.shake(slot, nil)
}

// startTLS secures a connection on which its protocol has agreed to it. Bytes that came behind the agreement were sent in
// the clear by whoever could: they go to the handshake, where they are no TLS, and never to the exchange
// (CVE-2011-0411). An exchange that makes the handshake itself is given them as the start of it.
func (l *loop) startTLS(slot uint32) {
	h, ok := l.table.exchanges[l.table.rows[slot].seat].(protocol.Handshaker)
	if !ok {
		panic("engine: StartTLS of an exchange that is no Handshaker")
	}
	if l.table.session(slot) != nil {
		panic("engine: StartTLS over TLS")
	}
	token := l.table.token(slot)
	early := bytes.Clone(l.pool.Bytes(&l.flight(slot).in))
	l.secure(slot, h)
	if !l.isHeard(token) {
		return
	}
	switch seat := l.table.rows[slot].seat; {
	case l.table.session(slot) != nil:
		l.giveBack(&l.flight(slot).in)
		if len(early) > 0 && !l.shake(slot, early) {
			return
		}
	case l.table.unsent[seat] == nil && !l.flight(slot).parking: // else onWritable feeds
		if !l.feed(slot) {
			return
		}
	}
	l.goOn(slot) // what the socket holds by now makes no new edge
}

// takeUnsent takes what a Step sent and is not written yet, nil if that is nothing.
func (l *loop) takeUnsent(slot uint32) []byte {
	f, seat := l.flight(slot), l.table.rows[slot].seat
	var rest []byte
	if f.out.Held() {
		rest = append(rest, l.pool.Bytes(&f.out)...)
		l.giveBack(&f.out)
	}
	for _, b := range l.table.unsent[seat] {
		rest = append(rest, b...)
	}
	l.table.unsent[seat] = nil
	return rest
}

// onHandshakeReadable feeds the handshake until the socket is empty or the handshake over.
func (l *loop) onHandshakeReadable(slot uint32) {
	r, f := &l.table.rows[slot], l.flight(slot)
	for budget := bytesPerWake; budget > 0; {
		n, errno := l.sockets.Readv(int(r.fd), l.scratch, nil)
		switch {
		case errno == syscall.EAGAIN && f.pending == 0:
			return
		case errno == syscall.EAGAIN, n == 0 && errno == 0 && f.pending != 0:
			l.finish(slot, protocol.EndReset, nil, Reset, f.pendingCall, f.pending)
			return
		case errno != 0:
			l.finish(slot, protocol.EndReset, nil, Reset, socket.CallRead, errno)
			return
		case n == 0:
			r.flags |= peerClosed
			l.finish(slot, protocol.EndOfStream, nil, Answered, socket.CallNone, 0)
			return
		}
		budget -= n
		if !l.shake(slot, l.scratch[:n]) {
			return
		}
	}
	l.goOn(slot)
}

// shake goes on with the handshake by what the peer sent; nil starts it. It returns false when the handshake is over.
func (l *loop) shake(slot uint32, in []byte) (more bool) {
	f, s := l.flight(slot), l.table.session(slot)
	f.stopWaiting(l.now)
	if room := protocol.FlightSize - len(s.flight); room > 0 {
		s.flight = append(s.flight, in[:min(len(in), room)]...)
	}
	used, done, err := s.driver.Handshake(in)
	// Taken before the write: the peer can't have begun earlier, and who takes our processor away meanwhile shortens no wait.
	turned := l.clk.Now()
	if errno := l.flushSession(slot, s); errno != 0 {
		l.onWriteError(slot, errno) // what the peer said is still to be read
		l.goOn(slot)
	}
	switch {
	case !done && err == nil:
		f.waitFrom = turned
		return true
	case done && f.pending != 0: // the peer never got our Finished
		l.finish(slot, protocol.EndReset, nil, Reset, f.pendingCall, f.pending)
		return false
	}
	l.noteHandshake(slot)
	rest := in[used:]
	ex := l.table.exchanges[l.table.rows[slot].seat].(protocol.Handshaker)
	goOn := ex.OnHandshake(&protocol.Handshake{
		State: s.driver.State(), Err: err, Flight: s.flight, Took: time.Duration(f.tlsTook), Wait: time.Duration(f.tlsWait),
	})
	s.flight = nil
	if err != nil || !goOn {
		l.verdict(slot, Answered, socket.CallNone, 0)
		return false
	}
	l.goOnSecured(slot, s, ex, rest)
	return false
}

// goOnSecured begins the exchange over TLS. rest is what came behind the handshake.
func (l *loop) goOnSecured(slot uint32, s *session, ex protocol.Exchange, rest []byte) {
	token := l.table.token(slot)
	if len(rest) > 0 {
		s.left, s.arrived = bytes.Clone(rest), arrival{at: l.toldAt}
	}
	l.transition(slot, Active)
	l.begin(slot, ex)
	if l.is(token, Active) {
		l.onReadable(slot)
	}
}

// cutHandshake ends a handshake of ours that is not over, because the connection is.
func (l *loop) cutHandshake(slot uint32) {
	r, s := &l.table.rows[slot], l.table.session(slot)
	if r.state != Handshaking || s == nil {
		return
	}
	s.driver.Close()
	if h, ok := l.table.exchanges[r.seat].(protocol.Handshaker); ok {
		h.OnHandshake(&protocol.Handshake{State: s.driver.State(), Err: protocol.ErrHandshakeCut, Flight: s.flight})
	}
}

// noteHandshake takes the time of a handshake that came to an end.
func (l *loop) noteHandshake(slot uint32) {
	f := l.flight(slot)
	if l.table.rows[slot].state == Handshaking && f.tlsTook == 0 {
		f.tlsEndedAt = l.clk.Now()
		f.tlsTook = max(f.tlsEndedAt-f.handshakeAt, 1)
	}
}

// noteWaiting notes that it is the peer's turn in a handshake that an exchange makes itself.
func (l *loop) noteWaiting(slot uint32) {
	if l.table.rows[slot].state == Handshaking {
		l.flight(slot).waitFrom = l.clk.Now()
	}
}

// stopWaiting counts what passed until the poll at which the peer's bytes were there as its time and the network's.
func (f *flight) stopWaiting(polledAt int64) {
	if f.waitFrom != 0 {
		f.tlsWait += max(polledAt-f.waitFrom, 0)
		f.waitFrom = 0
	}
}

// onControl tells the exchange of TLS records that hold nothing for it. It returns false when that ends the exchange.
func (l *loop) onControl(slot uint32) (more bool) {
	h, ok := l.table.exchanges[l.table.rows[slot].seat].(protocol.Handshaker)
	if !ok {
		return true
	}
	step := h.OnControl()
	if f := l.flight(slot); f.waitUntil != 0 && step.Then == protocol.Read && step.Wait == 0 {
		// What is waited for is still to come, or nothing would ever end a pause.
		step.Wait = time.Duration(max(f.waitUntil-l.clk.Now(), 1))
		if f.resting {
			step.Then = protocol.Pause
		}
	}
	return l.take(slot, step)
}

// receiveSecured decrypts what is at hand or comes by one read.
func (l *loop) receiveSecured(slot uint32, s *session) (received, syscall.Errno) {
	f := l.flight(slot)
	var got received
	in := s.left
	if in == nil && !s.more {
		n, errno := l.read(slot, l.scratch, nil)
		if errno != 0 || n == 0 {
			return received{end: n == 0}, errno
		}
		got.read, in = n, l.scratch[:n]
		got.short = n < len(l.scratch)
		s.arrived = l.arrived
	}
	l.arrived = s.arrived
	records, waiting := s.driver.Records(), len(s.driver.Outgoing())
	full := false // the ring is; the driver may hold more
	a, b := l.pool.Free(&f.in)
	for _, dst := range [2][]byte{a, b} {
		if len(dst) == 0 {
			continue
		}
		var n, used int
		n, used, got.err = s.driver.Read(dst, in)
		in = in[used:]
		got.plain += n
		if full = n == len(dst); !full || got.err != nil {
			break
		}
	}
	l.pool.Commit(&f.in, got.plain)
	got.control = got.plain == 0 && s.driver.Records() != records
	s.more = full || got.plain > 0 && got.err != nil // the error is told again, after the data
	got.short = got.short && !s.more
	if s.left = nil; len(in) > 0 && s.more {
		s.left = bytes.Clone(in)
	}
	if s.answers += len(s.driver.Outgoing()) - waiting; s.answers > 0 { // to a key update, or our alert
		if errno := l.flushSession(slot, s); errno != 0 {
			l.onWriteError(slot, errno)
		}
	}
	switch {
	case s.answers > answersLimit:
		got.err = errDeaf
	case s.more:
		got.err = nil
	case got.err == io.EOF:
		got.end, got.err = true, nil
	}
	return got, 0
}

// discardSecured decrypts what a parked connection was not asked for: tickets and key updates must be heeded, a
// close_notify is the end of the peer's side (0 bytes), and what TLS refuses ends the connection with EPROTO.
func (l *loop) discardSecured(slot uint32, s *session) (int, syscall.Errno) {
	in := s.left
	if s.left = nil; in == nil && !s.more {
		n, errno := l.sockets.Readv(int(l.table.rows[slot].fd), l.scratch, nil)
		if errno != 0 || n == 0 {
			return n, errno
		}
		in = l.scratch[:n]
	}
	if l.waste == nil {
		l.waste = make([]byte, scratchSize)
	}
	read, waiting := max(len(in), 1), len(s.driver.Outgoing())
	for s.more = true; s.more; {
		n, used, err := s.driver.Read(l.waste, in)
		in = in[used:]
		s.more = n == len(l.waste)
		switch {
		case err == io.EOF:
			return 0, 0
		case err != nil:
			return 0, syscall.EPROTO
		}
	}
	if s.answers += len(s.driver.Outgoing()) - waiting; s.answers > answersLimit {
		return 0, syscall.EPROTO
	}
	return read, 0 // the caller flushes
}

// sendSecured encrypts what a Step sends and writes it as far as the kernel takes it.
func (l *loop) sendSecured(slot uint32, s *session, bufs [][]byte) syscall.Errno {
	p := bufs[0]
	if len(bufs) > 1 {
		p = bytes.Join(bufs, nil) // one record rather than one for each piece
	}
	if _, err := s.driver.Write(p); err != nil {
		return syscall.EPIPE // TLS has ended our side; what the peer said of it is still to be read
	}
	s.asking = true
	return l.flushSession(slot, s)
}

// flushSession writes the ciphertext that is due, as far as the kernel takes it.
func (l *loop) flushSession(slot uint32, s *session) syscall.Errno {
	r := &l.table.rows[slot]
	if r.seat != none {
		if f := l.flight(slot); f.pending != 0 || f.mute {
			s.forgetOutgoing() // nobody would get it
			return 0
		}
	}
	for len(s.ahead) > 0 {
		l.iov[0] = s.ahead
		n, errno := l.write(r, l.iov[:])
		if errno != 0 {
			return l.heedBusy(slot, errno)
		}
		s.ahead = s.ahead[n:]
	}
	for out := s.driver.Outgoing(); len(out) > 0; out = s.driver.Outgoing() {
		l.iov[0] = out
		n, errno := l.write(r, l.iov[:])
		if errno != 0 {
			return l.heedBusy(slot, errno)
		}
		s.driver.Sent(n)
	}
	s.asking, s.answers = false, 0
	return 0
}

// sayGoodbye puts the close_notify (RFC 8446 s.6.1) before our FIN.
func (l *loop) sayGoodbye(slot uint32, s *session) {
	if s.driver.CloseNotify() == nil {
		l.flushSession(slot, s) // a peer that is gone does not mind
	}
}
