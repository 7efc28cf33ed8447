// Package enumerate finds out all that a TLS server takes: versions, cipher suites and groups, each in the server's order
// of preference where it has one. It asks with ClientHellos, one connection after the other, and reads no further than to
// what the server chose. There is no cryptography on our side, and little on the server's: in TLS 1.3 no key share is
// offered, so that the server says what it would like in a HelloRetryRequest (RFC 8446 s.4.1.4) and signs nothing.
//
// Everything is found by elimination: offer all, strike out what was chosen, offer the rest, until the server refuses.
//
// # What a refusal is
//
// An alert, and an answer with something in it that was not offered. The server's FIN or reset is one too, but it may as
// well be that the server has had enough of us: the offer that was taken last is then made again, and only if it is taken
// once more the refusal counts. So does silence below a version that is taken, for there are middleboxes that drop the
// hellos of old versions. Else, and when a connection can't be had or an answer does not come in time, the enumeration
// stops, keeps what it has and says that it is incomplete.
//
// A server of TLS 1.2 and below that takes an offer and whose flight can't be read as far as its group has refused nothing
// either: the enumeration goes on to the next question, and says that groups are missing.
//
// # What can't be seen
//
// Which groups are taken in TLS 1.2 depends on the certificate: a server with an ECDSA certificate refuses every hello
// without the certificate's curve (RFC 8422 s.5.1.1 has it so), and that curve can't stay in the hello when others are asked
// about. A version that the server takes only together with rare suites is not found if it takes another one with common
// suites.
package enumerate

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"strconv"
	"strings"

	"sonde/probes"
	"sonde/probes/internal/conclude"
	"sonde/probes/internal/tlsfacts"
	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// maxConnections is the most connections that one server is asked by: a server that takes every suite, group and
// version that OpenSSL 3.0 has, with an RSA and an ECDSA certificate, takes 277.
const maxConnections = 400

// maxRecords is how many records of an answer are read: a chain of 256 KiB, the most that tlswire takes, in records of 1 KiB.
// A server that says nothing in more of them keeps us busy, and so refuses.
const maxRecords = 256

// Exchange is an enumeration under way. It is used once.
type Exchange struct {
	name   string
	alpn   []string
	render func(*tlsfacts.Facts) protocol.Finding
	plan   *plan

	parser    tlswire.RecordParser
	assembler tlswire.Assembler
	records   int // of the present connection
	random    [64]byte
	hello     []byte

	current     offer // that was made last
	got         answer
	taken       *offer // the last one that the server took
	doubted     bool   // current is taken, made again to hold a FIN, a reset or a silence against
	asking      bool   // an offer was made and not yet answered
	more        bool   // another connection is wanted
	connections int

	spoken     bool   // a record of TLS came
	alert      string // the name of the last alert
	firstBytes []byte
	incomplete string
	cut        bool             // incomplete because it was interrupted
	fickle     bool             // by the server, which answered, but by a refusal of what it had taken
	verdict    protocol.Verdict // of the last connection, for a server that spoke no TLS
	reason     string
}

var _ interface {
	protocol.Handshaker
	protocol.Series
} = (*Exchange)(nil)

// New returns an exchange that finds what o.Enum asks for. name is the server_name of the hellos, as
// [tlswire.CheckServerName] wants it; empty sends none. Of o it heeds Enum, ALPN, MinVersion, MaxVersion and Groups. render
// makes the finding of the facts, which it may keep; of these Enum, SNI, Alert and FirstBytes are set.
func New(o probes.TLSOptions, name string, render func(*tlsfacts.Facts) protocol.Finding) *Exchange {
	return &Exchange{name: name, alpn: o.ALPN, render: render, plan: newPlan(o)}
}

// Handshake implements [protocol.Handshaker]: the hellos are the exchange's own.
func (e *Exchange) Handshake() (protocol.Security, *tls.Config) { return protocol.TLSOwn, nil }

// OnHandshake implements [protocol.Handshaker]; it is never called.
func (e *Exchange) OnHandshake(*protocol.Handshake) bool { return false }

// OnControl implements [protocol.Handshaker]; it is never called.
func (e *Exchange) OnControl() protocol.Step { return protocol.Step{} }

// Begin implements [protocol.Exchange]: it makes the next offer.
func (e *Exchange) Begin() protocol.Step {
	e.connections++
	if e.connections == 1 {
		e.advance()
	}
	e.parser.Reset()
	e.assembler.Reset()
	e.got, e.records = answer{}, 0
	_, _ = rand.Read(e.random[:]) // never fails, see its doc
	hello, err := e.current.appendHello(e.hello[:0], e.name, e.alpn, &e.random)
	if err != nil {
		e.more, e.verdict, e.reason = false, protocol.Incapable, err.Error()
		return protocol.Step{Then: protocol.Done}
	}
	e.hello, e.asking = hello, true
	return protocol.Step{Send: [][]byte{e.hello}}
}

// Parser implements [protocol.Exchange].
func (e *Exchange) Parser() protocol.FrameParser { return &e.parser }

// OnFrame implements [protocol.Exchange].
func (e *Exchange) OnFrame(f protocol.Frame) protocol.Step {
	e.spoken = true
	over := true
	switch tlswire.ContentType(f.Kind) {
	case tlswire.RecordHandshake:
		over = e.onHandshake(f.Data)
	case tlswire.RecordAlert:
		over = e.onAlert(f.Data)
	}
	if e.records++; !over && e.records < maxRecords {
		return protocol.Step{}
	}
	if !over {
		e.got.cutOff()
	}
	e.answered()
	return protocol.Step{Then: protocol.Done}
}

// onAlert reports whether the alert ends the handshake. Servers that do not know the name may say so by a warning and go
// on (RFC 6066 s.3).
func (e *Exchange) onAlert(data []byte) (over bool) {
	a, err := tlswire.ParseAlert(data)
	if err == nil && a.Level == tlswire.AlertWarning && a.Description == tlswire.AlertUnrecognizedName {
		return false
	}
	e.got = answer{}
	if err == nil {
		e.alert = a.Description.String()
		e.got.alert = a.Description
	}
	return true
}

// onHandshake reads the messages of a record and reports whether the offer is answered.
func (e *Exchange) onHandshake(data []byte) (over bool) {
	e.assembler.Add(data)
	for {
		m, err := e.assembler.Next()
		if err == protocol.ErrIncomplete {
			return false
		}
		if err != nil || e.current.read(m, &e.got) {
			return true
		}
	}
}

// OnEnd implements [protocol.Exchange].
func (e *Exchange) OnEnd(end protocol.End, rest []byte, err error) {
	switch end {
	case protocol.EndOfStream, protocol.EndReset:
		if !e.asking { // before the offer: another one would fare alike
			e.interrupted(wordOf(end))
			return
		}
		e.got.cutOff()
		if !e.spoken {
			e.verdict, e.reason = tlsfacts.Ended(end, err)
		}
		e.bare(end)
	case protocol.EndMalformed, protocol.EndTooLarge:
		if e.spoken || tlsfacts.IsTLS(err) {
			e.spoken = true
			e.got.cutOff()
			e.answered()
			return
		}
		e.more = false
		if e.verdict, e.reason = tlsfacts.Ended(end, err); e.verdict == protocol.NotSpoken {
			e.firstBytes = bytes.Clone(rest[:min(len(rest), conclude.MaxReceived)])
		}
	case protocol.EndNoConnection:
		e.interrupted("no connection")
	case protocol.EndCancelled:
		e.interrupted("cancelled")
	default:
		if !e.asking || e.taken == nil || !e.plan.seeksVersions() {
			e.interrupted(wordOf(end))
			return
		}
		e.got.cutOff()
		e.bare(end)
	}
}

// Next implements [protocol.Series].
func (e *Exchange) Next() bool { return e.more }

// Conclusion implements [protocol.Exchange]. The verdict is Success if the server took any version and the enumeration
// was not cut short; a server that takes nothing, or refuses what it had taken, is HandshakeRefused if it speaks TLS.
func (e *Exchange) Conclusion() protocol.Conclusion {
	if e.more && !e.cut { // no other connection was to be had in the target's time
		e.interrupted("out of time")
	}
	facts := &tlsfacts.Facts{
		Depth: probes.DepthHello, SNI: e.name, FirstBytes: e.firstBytes, Enum: e.plan.result(),
	}
	facts.Enum.Connections = e.connections
	if e.incomplete != "" {
		facts.Enum.Incomplete = e.incomplete
	}
	c := protocol.Conclusion{Verdict: e.verdict, Reason: e.reason}
	switch {
	case e.fickle:
		if e.got.alert != 0 {
			facts.Alert = e.alert
		}
		c.Verdict, c.Reason = protocol.HandshakeRefused, e.incomplete
	case e.cut:
		c.Verdict, c.Reason = protocol.Unfinished, e.incomplete
	case e.plan.tookAny():
		c.Verdict, c.Reason = protocol.Success, ""
	case e.verdict == protocol.Incapable, !e.spoken:
	case e.alert != "":
		facts.Alert = e.alert
		c.Verdict, c.Reason = protocol.HandshakeRefused, "alert "+e.alert
	default:
		c.Verdict, c.Reason = protocol.HandshakeRefused, "nothing of what was offered is taken"
	}
	c.Finding = e.render(facts)
	return c
}

// bare deals with an end that may be a refusal.
func (e *Exchange) bare(end protocol.End) {
	switch {
	case e.doubted:
		e.interrupted(wordOf(end))
	case e.taken != nil && !e.got.half: // what took the offer refuses nothing
		e.asking, e.doubted = false, true
		e.current = *e.taken
		e.more = e.mayDial()
	default:
		e.answered()
	}
}

// wordOf is the word for an end that interrupts.
func wordOf(end protocol.End) string {
	switch end {
	case protocol.EndReset:
		return "connection-reset"
	case protocol.EndOfStream:
		return "connection-closed"
	}
	return "timeout"
}

// answered takes e.got for the answer to the current offer and makes up the next one.
func (e *Exchange) answered() {
	e.asking = false
	if e.got.accepted {
		taken := e.current
		e.taken = &taken
	}
	if e.doubted {
		e.doubted = false
		if !e.got.accepted {
			e.fickle = true
			e.interrupted("refused what it had taken")
			return
		}
		e.got = answer{} // the offer in doubt was refused
	}
	e.plan.hear(e.got)
	e.advance()
}

// advance makes the plan's next offer the current one.
func (e *Exchange) advance() {
	e.current, e.more = e.plan.ask()
	e.more = e.more && e.mayDial()
}

func (e *Exchange) mayDial() bool {
	if e.connections < maxConnections {
		return true
	}
	e.incomplete = "limit of " + strconv.Itoa(maxConnections) + " connections"
	return false
}

// interrupted ends the enumeration early.
func (e *Exchange) interrupted(why string) {
	e.asking, e.more, e.cut = false, false, true
	e.incomplete = why + " after " + strconv.Itoa(e.connections) + " connections"
	if e.connections == 1 {
		e.incomplete = strings.TrimSuffix(e.incomplete, "s")
	}
}
