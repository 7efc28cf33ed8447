package flight

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"

	"sonde/probes/internal/conclude"
	"sonde/probes/internal/tlsfacts"
	"sonde/probes/tls/internal/tls13"
	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// stage is the message that is awaited.
//
//	awaitHello ─┬─ ServerHello of TLS 1.2 and below ─► awaitDone ─ ServerHelloDone ► Done
//	            ├─ HelloRetryRequest ─┬─ hello ► Done
//	            │                     └─ certs: the second ClientHello is sent ─► awaitHello
//	            └─ ServerHello of TLS 1.3 ─┬─ hello ► Done
//	                                       └─ certs ─► awaitExtensions ─► awaitCertificate ─ Certificate ► Done
type stage uint8

const (
	awaitHello       stage = iota
	awaitDone              // what follows the ServerHello in the clear, up to ServerHelloDone
	awaitExtensions        // EncryptedExtensions
	awaitCertificate       // CertificateRequest or Certificate of TLS 1.3
)

// maxIdle is how many records may come that say nothing (warnings, change_cipher_spec of TLS 1.3, empty ones), as many as
// crypto/tls takes: more are an attempt to keep us reading.
const maxIdle = 16

// maxFirstBytes is how much is kept of what is not TLS.
const maxFirstBytes = 64

// reader is what an exchange borrows from its first record on.
type reader struct {
	facts    tlsfacts.Facts
	messages tlswire.Assembler
	keys     tls13.Reader
	plain    []byte // the record that was decrypted last
	ja3s     ja3s
}

// exchange is one connection. It belongs to the loop that drives it.
type exchange struct {
	client *Client
	names  Names
	hello  []byte // the first ClientHello, a record; shared
	send   [1][]byte
	parser tlswire.RecordParser

	stage stage
	idle  int
	// step is what the messages of the present record come to.
	step protocol.Step

	// reader and facts, which is the reader's, are nil until the first byte.
	reader *reader
	facts  *tlsfacts.Facts

	// retry is the transcript up to the second ClientHello, nil without one; asked the group that it has a share for.
	retry []byte
	asked tlswire.Group
	// clear holds what the flight of TLS 1.2 and below has brought.
	clear clearFlight

	verdict   protocol.Verdict
	reason    string
	judgement tlsfacts.Judgement
}

var _ protocol.Handshaker = (*exchange)(nil)

func (e *exchange) Handshake() (protocol.Security, *tls.Config) { return protocol.TLSOwn, nil }

// OnHandshake is not called: the engine makes no handshake.
func (e *exchange) OnHandshake(*protocol.Handshake) bool { return false }

// OnControl is not called.
func (e *exchange) OnControl() protocol.Step { return protocol.Step{} }

func (e *exchange) Begin() protocol.Step {
	e.send[0] = e.hello
	return protocol.Step{Send: e.send[:]}
}

func (e *exchange) Parser() protocol.FrameParser { return &e.parser }

func (e *exchange) OnFrame(f protocol.Frame) protocol.Step {
	e.begin()
	e.step = protocol.Step{}
	kind := tlswire.ContentType(f.Kind)
	switch {
	case kind == tlswire.RecordApplicationData && e.reader.keys.Ready():
		e.onProtected(f.Data)
	case kind == tlswire.RecordHandshake && e.reader.keys.Ready():
		e.refuse("a handshake message in the clear behind the ServerHello")
	case kind == tlswire.RecordApplicationData:
		e.refuse("application data before the handshake is over")
	default:
		e.onRecord(kind, f.Data)
	}
	return e.step
}

// begin borrows what it takes to read.
func (e *exchange) begin() {
	if e.facts != nil {
		return
	}
	e.reader = e.client.readers.Get().(*reader)
	e.facts = &e.reader.facts
	*e.facts = tlsfacts.Facts{Depth: e.client.depth, StartTLS: e.names.StartTLS, SNI: e.names.Server, PEM: e.client.pem}
}

// onProtected decrypts a record of TLS 1.3.
func (e *exchange) onProtected(fragment []byte) {
	plain, err := e.reader.keys.Open(e.reader.plain[:0], e.parser.Version(), fragment)
	e.reader.plain = plain
	if err != nil {
		e.fail(err)
		return
	}
	content, kind, err := tlswire.SplitInner(plain)
	switch {
	case err != nil:
		e.fail(err)
	case kind == tlswire.RecordHandshake && len(content) == 0:
		e.refuse("an empty handshake record") // RFC 8446 s.5.4
	case kind == tlswire.RecordHandshake || kind == tlswire.RecordAlert:
		e.onRecord(kind, content)
	default:
		e.refuse(fmt.Sprintf("%v before the handshake is over", kind))
	}
}

// onRecord takes a record, decrypted if it was protected.
func (e *exchange) onRecord(kind tlswire.ContentType, data []byte) {
	switch {
	case len(data) > tlswire.MaxPlaintext:
		e.fail(fmt.Errorf("tls record: %d bytes in the clear, more than %d: %w", len(data), tlswire.MaxPlaintext, protocol.ErrTooLarge))
	case kind == tlswire.RecordHandshake:
		e.onMessages(data)
	case kind == tlswire.RecordAlert:
		e.onAlert(data)
	case e.reader.messages.Pending():
		e.refuse(fmt.Sprintf("%v in the middle of a handshake message", kind)) // RFC 8446 s.5.1
	case kind == tlswire.RecordChangeCipherSpec:
		e.onChangeCipherSpec(data)
	default:
		e.refuse(fmt.Sprintf("a record of type %v", kind))
	}
}

// onMessages takes the messages of a handshake record.
func (e *exchange) onMessages(data []byte) {
	e.reader.messages.Add(data)
	for e.step.Then == protocol.Read {
		m, err := e.reader.messages.Next()
		if err == protocol.ErrIncomplete {
			return
		}
		if err != nil {
			e.fail(err)
			return
		}
		e.onMessage(m)
	}
}

// onMessage takes a message in its turn.
func (e *exchange) onMessage(m tlswire.Message) {
	switch {
	case m.Type == tlswire.HandshakeHelloRequest && e.stage != awaitExtensions && e.stage != awaitCertificate:
		e.idles() // RFC 5246 s.7.4.1.1: ignored while a handshake is under way
	case e.stage == awaitHello && m.Type == tlswire.HandshakeServerHello:
		e.onServerHello(m)
	case e.stage == awaitDone:
		e.onClear(m)
	case e.stage == awaitExtensions && m.Type == tlswire.HandshakeEncryptedExtensions:
		e.onEncryptedExtensions(m)
	case e.stage == awaitCertificate && m.Type == tlswire.HandshakeCertificateRequest && e.facts.ClientCert == tlsfacts.Unknown:
		e.onCertificateRequest(m)
	case e.stage == awaitCertificate && m.Type == tlswire.HandshakeCertificate:
		if e.onCertificate(m) {
			e.judge()
		}
	default:
		e.refuse(fmt.Sprintf("%v in place of %s", m.Type, e.awaited()))
	}
}

// awaited is what the server has yet to send.
func (e *exchange) awaited() string {
	switch e.stage {
	case awaitDone:
		return "the end of the server's flight"
	case awaitExtensions:
		return "the EncryptedExtensions"
	case awaitCertificate:
		return "the certificates"
	}
	return tlsfacts.TheHello
}

// onAlert takes an alert. Below TLS 1.3 a warning ends nothing (RFC 5246 s.7.2.2; unrecognized_name is a common one, RFC
// 6066 s.3); from there on all but user_canceled do (RFC 8446 s.6).
func (e *exchange) onAlert(data []byte) {
	const userCanceled tlswire.AlertDescription = 90 // RFC 8446 s.6.1
	a, err := tlswire.ParseAlert(data)
	if err != nil {
		e.fail(err)
		return
	}
	warning := a.Level == tlswire.AlertWarning && a.Description != tlswire.AlertCloseNotify
	if warning && (e.facts.Version < tlswire.TLS13 || a.Description == userCanceled) {
		e.idles()
		return
	}
	e.facts.Alert = a.Description.String()
	e.refuse("alert " + e.facts.Alert)
}

// onChangeCipherSpec takes what only TLS 1.3 may send so early, for the sake of middleboxes (RFC 8446 s.D.4).
func (e *exchange) onChangeCipherSpec(data []byte) {
	switch err := tlswire.ParseChangeCipherSpec(data); {
	case err != nil:
		e.fail(err)
	case e.facts.Version < tlswire.TLS13:
		e.refuse("change_cipher_spec in place of " + e.awaited())
	default:
		e.idles()
	}
}

// idles counts what says nothing.
func (e *exchange) idles() {
	if e.idle++; e.idle > maxIdle {
		e.refuse(fmt.Sprintf("more than %d records that say nothing", maxIdle))
	}
}

// fail ends the exchange for an error of a parser's.
func (e *exchange) fail(err error) {
	var m *protocol.MalformedError
	switch {
	case errors.Is(err, protocol.ErrTooLarge):
		e.done(protocol.OverLimit, err.Error())
	case errors.As(err, &m):
		e.refuse("malformed " + m.Format + ": " + m.Reason)
	default:
		e.refuse(err.Error())
	}
}

// refuse ends the exchange: the server's part of the handshake is wrong.
func (e *exchange) refuse(reason string) { e.done(protocol.HandshakeRefused, reason) }

func (e *exchange) done(v protocol.Verdict, reason string) {
	e.verdict, e.reason = v, reason
	e.step = protocol.Step{Then: protocol.Done}
}

// judge ends the exchange with what the certificates are worth.
func (e *exchange) judge() {
	c := e.client
	if c.judge != nil {
		e.judgement = c.judge.Judge(e.facts.Chain, e.names.Certificate)
		if !e.judgement.Verified && !c.insecure {
			e.done(protocol.Untrusted, e.judgement.Reason)
			return
		}
	}
	e.done(protocol.Success, "")
}

func (e *exchange) OnEnd(end protocol.End, rest []byte, err error) {
	heard := e.facts != nil
	switch {
	case end == protocol.EndMalformed:
		e.verdict, e.reason = tlsfacts.Broken(err, heard)
	case heard:
		e.verdict, e.reason = conclude.Ended(end, err, e.awaited())
	default:
		e.verdict, e.reason = tlsfacts.Ended(end, err)
	}
	if !heard && len(rest) == 0 {
		return
	}
	e.begin()
	if e.verdict == protocol.NotSpoken {
		e.facts.FirstBytes = slices.Clone(rest[:min(len(rest), maxFirstBytes)])
	}
}

// Conclusion gives what was borrowed back, the exchange with it.
func (e *exchange) Conclusion() protocol.Conclusion {
	done := protocol.Conclusion{Verdict: e.verdict, Reason: e.reason}
	if e.facts != nil {
		done.Finding = e.facts.Finding(e.judgement)
	}
	if r := e.reader; r != nil {
		r.messages.Reset()
		r.keys, r.facts = tls13.Reader{}, tlsfacts.Facts{}
		e.client.readers.Put(r)
	}
	c := e.client
	*e = exchange{client: c}
	c.exchanges.Put(e)
	return done
}
