package secure

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"sonde/probes/internal/tlsfacts"
	"sonde/protocol"
	"sonde/protocol/fixed"
	"sonde/protocol/tlswire"
)

// exchange secures one connection, or several one after the other.
//
//	Handshake ─► shaking ─┬─ OnHandshake: failed, cut off, not believed ─► Conclusion: the layer's
//	                      └─ OnHandshake: true ─► secured ─┬─ inner speaks ─► Conclusion: inner's
//	                                                       └─ without inner: Done, or the server's last word is
//	                                                          awaited (see await) ─► Conclusion: the layer's
//
// One of [Layer.Later] begins before that:
//
//	Handshake ─► clearText ─► inner speaks ─┬─ its StartTLS step ─► Handshake ─► shaking ─► as above
//	                                        └─ Done step or OnEnd ─► Conclusion: inner's
//
// What TLS says behind the handshake comes as OnEnd with EndMalformed and crypto/tls' error. An alert of the peer's before
// any data is its judgement of the handshake (RFC 8446 s.4.6.2, s.6.2: of our certificate, of our Finished), and so
// HandshakeRefused; one behind data is the end of the conversation, and so Closed. Either overrules inner, which is told
// that the connection was reset. Whatever else is wrong with the records is inner's to judge, as malformed bytes are.
type exchange struct {
	layer *Layer
	inner protocol.Exchange // nil: nothing is said behind the handshake
	top   bool

	sni, identity string // asked for, and what the certificate must be for
	alpn          []string

	facts  tlsfacts.Facts
	judged tlsfacts.Judgement
	heard  bool // anything from the server
	broken broken

	phase    phase
	begun    bool // inner was begun, on this connection or on one before
	overrule bool // verdict stands whatever inner says
	asked    bool // the server of this connection asked for a certificate
	data     bool // application data came
	verdict  protocol.Verdict
	reason   string
	quiet    time.Duration // of inner's last Step
	reuse    *reuse        // nil: one connection is enough
}

// phase is how far an exchange got on its present connection.
type phase uint8

const (
	shaking   phase = iota // the handshake has not ended well (yet)
	secured                // it has, and the certificate is believed
	byHand                 // the exchange reads the handshake itself; see reuse
	clearText              // inner has not asked for TLS yet
)

var (
	_ protocol.Handshaker = (*exchange)(nil)
	_ protocol.Series     = (*exchange)(nil)
)

// Handshake implements [protocol.Handshaker].
func (e *exchange) Handshake() (protocol.Security, *tls.Config) {
	switch e.phase {
	case byHand:
		return protocol.TLSOwn, nil
	case clearText:
		return protocol.TLSLater, nil
	}
	e.asked, e.data = false, false
	return protocol.TLSNow, e.layer.config(e)
}

// onCertificateRequest is crypto/tls' callback of one connection.
func (e *exchange) onCertificateRequest(wanted *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	e.asked = true
	return e.layer.certificate(wanted), nil
}

// OnHandshake implements [protocol.Handshaker].
func (e *exchange) OnHandshake(h *protocol.Handshake) bool {
	if e.reuse.second() {
		return e.onResumption(h)
	}
	e.learn(h)
	if h.Err != nil {
		e.onFailure(h)
		return false
	}
	if !e.judged.Verified && !e.layer.options.Insecure {
		e.verdict, e.reason, e.overrule = protocol.Untrusted, e.judged.Reason, true
		e.leave()
		return false
	}
	e.phase, e.facts.Established = secured, true
	if e.reuse != nil {
		e.reuse.onFirst(h, e.layer.options.Now)
	}
	return true
}

// Begin implements [protocol.Exchange].
func (e *exchange) Begin() protocol.Step {
	switch {
	case e.phase == byHand:
		return e.reuse.begin(e)
	case e.inner != nil:
		e.begun = true
		return e.keep(e.inner.Begin())
	default:
		return e.await()
	}
}

// keep notes inner's quiet time, so that a record that inner never hears of does not end it, and that it asks for TLS.
func (e *exchange) keep(s protocol.Step) protocol.Step {
	e.quiet = s.Quiet
	if s.Then == protocol.StartTLS {
		e.phase = shaking
	}
	return s
}

// How long the server's last word is awaited behind the handshake: from the handshake's end, and again from each
// word that comes.
const (
	// judgementTime: a server sends its alert as soon as it has read our certificate, so that a round trip and the check
	// must fit in. One that says nothing in this time is content.
	judgementTime = 200 * time.Millisecond
	// ticketTime: servers send their tickets with or right behind the answer to our Finished.
	ticketTime = 500 * time.Millisecond
)

// await is what comes after a handshake with nothing to say behind it: nothing, unless TLS 1.3 leaves a word of the server's
// for later (RFC 8446 s.4.6.1, s.4.4.2.4): the ticket that a second connection is to offer, or what it makes of our
// certificate, or of our having none.
func (e *exchange) await() protocol.Step {
	switch {
	case e.reuse.awaits():
		return protocol.Step{Wait: ticketTime}
	case e.asked && e.facts.Version == tlswire.TLS13 && !e.reuse.second():
		return protocol.Step{Wait: judgementTime}
	}
	return protocol.Step{Then: protocol.Done}
}

// OnControl implements [protocol.Handshaker].
func (e *exchange) OnControl() protocol.Step {
	if e.inner != nil {
		return protocol.Step{Quiet: e.quiet}
	}
	return e.onWord()
}

// onWord is a word of the server's behind the handshake, with nothing of ours to say: it has taken our certificate. If it
// is no ticket, though one is awaited, that goes on.
func (e *exchange) onWord() protocol.Step {
	if e.reuse.awaits() && e.reuse.mayHear() {
		return protocol.Step{Wait: ticketTime}
	}
	return protocol.Step{Then: protocol.Done}
}

// anything takes every byte for a frame: what is said behind a handshake by which all was said is not looked at.
var anything = fixed.New(fixed.Options{Size: 1})

// Parser implements [protocol.Exchange].
func (e *exchange) Parser() protocol.FrameParser {
	switch {
	case e.phase == byHand:
		return &e.reuse.records
	case e.inner != nil:
		return e.inner.Parser()
	}
	return anything
}

// OnFrame implements [protocol.Exchange].
func (e *exchange) OnFrame(f protocol.Frame) protocol.Step {
	e.data = true
	switch {
	case e.phase == byHand:
		return e.reuse.onRecord(e, f)
	case e.inner != nil:
		return e.keep(e.inner.OnFrame(f))
	}
	return e.onWord()
}

// OnEnd implements [protocol.Exchange].
func (e *exchange) OnEnd(end protocol.End, rest []byte, err error) {
	switch e.phase {
	case secured:
	case clearText:
		e.inner.OnEnd(end, rest, err)
		return
	default:
		e.onCut(end, rest, err)
		return
	}
	if end == protocol.EndMalformed && !isMalformed(err) {
		end, err = e.onTLSError(err)
	}
	if e.inner != nil {
		e.inner.OnEnd(end, rest, err)
	} else if !e.overrule {
		e.onSilence(end, err)
	}
}

// isMalformed tells what a parser says of plaintext from what crypto/tls says of its records.
func isMalformed(err error) bool {
	var m *protocol.MalformedError
	return errors.As(err, &m)
}

// onTLSError makes the verdict on an alert of the peer's behind the handshake, and returns what inner is told.
func (e *exchange) onTLSError(err error) (protocol.End, error) {
	f := e.explain(err)
	name := f.alert()
	if name == "" {
		return protocol.EndMalformed, fmt.Errorf("TLS behind the handshake: %s", f.Reason)
	}
	e.overrule = true
	e.facts.Alert = name
	e.verdict, e.reason = protocol.HandshakeRefused, f.reason
	if e.data {
		e.verdict, e.reason = protocol.Closed, "closed by alert "+name
	}
	return protocol.EndReset, nil
}

// Next implements [protocol.Series].
func (e *exchange) Next() bool {
	if e.phase == shaking {
		return false // what the first connection failed at, the next would too
	}
	again := e.reuse.next(e)
	if series, ok := e.inner.(protocol.Series); ok && !e.overrule {
		again = series.Next()
	}
	if again && e.phase != byHand {
		e.phase = shaking
	}
	return again
}

// Conclusion implements [protocol.Exchange].
func (e *exchange) Conclusion() protocol.Conclusion {
	c := protocol.Conclusion{Verdict: e.verdict, Reason: e.reason}
	if e.begun {
		c = e.inner.Conclusion()
		if e.overrule {
			c.Verdict, c.Reason = e.verdict, e.reason
		}
	}
	if e.heard {
		c.Finding = e.finding(c.Finding)
	}
	return c
}
