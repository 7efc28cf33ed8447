package secure

import (
	"bytes"
	"crypto/tls"
	"time"

	"sonde/internal/tlsclient"
	"sonde/probes/internal/tlsfacts"
	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// reuse is two connections to one target: the second offers the session of the first. The record's facts are those of the
// first connection, and what the second made of the session; a second connection that fails is the verdict.
//
//	first handshake ─┬─ TLS 1.3: a ticket is awaited ─┬─ has one ─► crypto/tls offers it ────────────────► psk or none
//	                 │                                └─ none ─► no second connection
//	                 └─ up to TLS 1.2 ─┬─ a ticket ─► crypto/tls offers it ─────────────────────────────► ticket or none
//	                                   ├─ a session ID alone ─► a hello of ours offers it (resume.go) ──► session-id or none
//	                                   └─ neither ─► no second connection
//
// A nil reuse is that of an exchange that wants one connection.
type reuse struct {
	session tlsclient.Session
	again   bool // the second connection has its turn
	words   int  // of the server's, that came in place of a ticket
	tls13   bool
	// expired is the last moment of a certificate that has expired, else zero.
	expired time.Time
	result  tlsfacts.Reuse

	// Of the first ServerHello, for a resumption by ID.
	sessionID      []byte
	extendedMaster bool

	send     [1][]byte
	records  tlswire.RecordParser
	messages tlswire.Assembler
}

// The words of tlsfacts.Reuse.
const (
	byPSK     = "psk"
	byTicket  = "ticket"
	byID      = "session-id"
	byNothing = "none"
)

// second reports whether the second connection has its turn.
func (r *reuse) second() bool { return r != nil && r.again }

// awaits reports whether a ticket may still come behind the handshake.
func (r *reuse) awaits() bool { return r != nil && !r.again && r.tls13 && !r.session.Held() }

// maxWords is how many bytes and messages are heard out while a ticket is awaited: more than the greeting of any protocol. A
// server that talks on without end would keep the loop at it until the target's time is over.
const maxWords = 4096

// mayHear counts a word and reports whether a ticket is awaited any longer.
func (r *reuse) mayHear() bool {
	r.words++
	return r.words <= maxWords
}

// join has a connection take part in the session.
func (r *reuse) join(cfg *tls.Config) {
	cfg.ClientSessionCache = &r.session
	if r.again && !r.expired.IsZero() {
		// crypto/tls offers no session whose certificate has expired. Whether the server would take it is still the
		// question, and the clock is asked for nothing else.
		at := r.expired
		cfg.Time = func() time.Time { return at }
	}
}

// keep copies what of the first ServerHello a resumption by ID needs.
func (r *reuse) keep(c *clear) {
	r.sessionID, r.extendedMaster = bytes.Clone(c.sessionID), c.extendedMaster
}

// onFirst is the end of the first handshake, which went well.
func (r *reuse) onFirst(h *protocol.Handshake, now func() time.Time) {
	r.tls13 = h.State.Version == tls.VersionTLS13
	r.result.FullUS = h.Took.Microseconds()
	if now != nil && len(h.State.PeerCertificates) > 0 {
		if end := h.State.PeerCertificates[0].NotAfter; now().After(end) {
			r.expired = end
		}
	}
}

// next decides, at the end of a connection that was secured, whether there is something to offer by another one.
func (r *reuse) next(e *exchange) bool {
	if r == nil || r.again || e.overrule {
		return false
	}
	e.facts.Reuse = &r.result
	if r.tls13 {
		e.facts.SessionTicket = tlsfacts.TriOf(r.session.Held())
	}
	r.result.Method = byNothing
	switch {
	case r.session.Held() && r.tls13:
		r.result.Offered = byPSK
	case r.session.Held():
		r.result.Offered = byTicket
	case len(r.sessionID) > 0:
		r.result.Offered = byID
		e.phase = byHand
	default:
		r.result.Offered, r.result.Ended = byNothing, true
		return false
	}
	r.again = true
	e.verdict, e.reason = protocol.Unfinished, "no second connection" // until there is one
	return true
}

// onResumption is the end of the second handshake, where crypto/tls makes it.
func (e *exchange) onResumption(h *protocol.Handshake) bool {
	r := e.reuse
	if h.Err != nil {
		if h.Err != protocol.ErrHandshakeCut {
			f := e.explain(h.Err)
			e.verdict, e.reason = f.verdict, onSecond+f.reason
		}
		return false
	}
	r.result.ResumedUS = h.Took.Microseconds()
	e.onSecondHello(h.State.DidResume)
	e.phase = secured
	return true
}

// onSecond begins the reasons that are about the second connection.
const onSecond = "second connection: "

// onSecondHello is the server's answer to the offer.
func (e *exchange) onSecondHello(resumed bool) {
	e.verdict, e.reason = protocol.Success, ""
	e.reuse.result.Ended = true
	e.facts.Resumed = tlsfacts.TriOf(resumed)
	if resumed {
		e.reuse.result.Method = e.reuse.result.Offered
	}
}
