// Package starttls asks a server for TLS in the words of its own protocol, and then leaves the connection to an exchange
// that wants TLS: the part before the handshake, which this package calls the prelude, of nine protocols.
//
//	Handshake: TLSLater ─► Begin, OnFrame ... the prelude ─┬─ StartTLS step ─► Handshake: the inner exchange's ─► ...
//	                                                       └─ Done step or OnEnd ─► Conclusion: the prelude's
//
// It speaks no TLS and judges no certificate. Nothing is ever sent behind the request before the server has agreed (but
// for MySQL, whose server never does in words), so that no command of ours can be slipped into what follows. What a server
// sends in the clear behind its agreement is not taken for an answer over TLS, the fault of CVE-2011-0411 seen from the
// client: the engine hands what is left in its buffer to the handshake, where it is no TLS record.
package starttls

import (
	"crypto/tls"
	"maps"
	"slices"

	"sonde/probes"
	"sonde/protocol"
)

// preludes has for each protocol how its prelude is made. domain is the target's, which only XMPP says.
var preludes = map[string]func(domain string) prelude{
	"ftp":      newFTP,
	"imap":     func(string) prelude { return new(imap) },
	"ldap":     func(string) prelude { return new(ldap) },
	"mysql":    func(string) prelude { return new(mysql) },
	"pop3":     func(string) prelude { return new(pop3) },
	"postgres": func(string) prelude { return new(postgres) },
	"sieve":    newSieve,
	"smtp":     func(string) prelude { return new(smtp) },
	"xmpp":     newXMPP,
}

// Protocols returns the names that [Before] knows, sorted. The slice is the caller's.
func Protocols() []string { return slices.Sorted(maps.Keys(preludes)) }

// For returns the protocol that is spoken on a port by custom (the IANA's registry of ports; 2525 is the mail providers'
// own), and whether there is one. Ports on which TLS begins with the first byte (465, 993) have none.
func For(port uint16) (name string, ok bool) {
	switch port {
	case 21:
		name = "ftp"
	case 25, 587, 2525:
		name = "smtp"
	case 110:
		name = "pop3"
	case 143:
		name = "imap"
	case 389:
		name = "ldap"
	case 3306:
		name = "mysql"
	case 4190:
		name = "sieve"
	case 5222:
		name = "xmpp"
	case 5432:
		name = "postgres"
	}
	return name, name != ""
}

// Fields are the fields of the Finding of a prelude that did not lead to TLS. The slice is the caller's.
func Fields() []probes.Field {
	return []probes.Field{
		{Name: "starttls", Type: "string", Doc: "protocol in which TLS was asked for, in vain"},
		{Name: "greeting", Type: "string", Doc: "what the server said of itself before that"},
		{Name: "received", Type: "string", Doc: "the first bytes of the answer that kept TLS from beginning, or of one not whole"},
	}
}

// Before returns an exchange that asks for TLS as the protocol of that name does, one of [Protocols], and then is ex.
// domain is the target's name, without which ("") an XMPP server chooses a host of its own. An unknown name panics:
// whoever takes it from a user checks it.
//
// ex is begun once the server has agreed; from then on everything is ex's, its verdict too. If the server does not agree
// ex never begins, and the Conclusion is the prelude's: Refused where the protocol was spoken, NotSpoken where not,
// Closed, OverLimit or Unfinished as the connection ended, with a Finding of [Fields] if anything was heard.
//
// The exchange is a [protocol.Series] if ex is one: on each further connection the prelude runs again. Should it fail
// there, ex is told by OnEnd with EndNoConnection, and a verdict that it leaves open (Unfinished) is the prelude's.
func Before(name, domain string, ex protocol.Handshaker) protocol.Handshaker {
	e := &exchange{name: name, domain: domain, inner: ex}
	e.reset()
	return e
}

// phase is how far an exchange got on its present connection.
type phase uint8

const (
	asking phase = iota // the prelude runs
	agreed              // a StartTLS step was returned
	handed              // the connection is the inner exchange's
	failed              // the prelude ended without TLS
)

type exchange struct {
	name, domain string
	phase        phase
	begun        bool // inner had a connection, this one or one before
	prelude      prelude
	account      account
	inner        protocol.Handshaker
}

var (
	_ protocol.Handshaker = (*exchange)(nil)
	_ protocol.Series     = (*exchange)(nil)
)

// reset makes ready for a connection.
func (e *exchange) reset() {
	e.phase = asking
	e.prelude = preludes[e.name](e.domain)
	e.account = account{}
}

func (e *exchange) Handshake() (protocol.Security, *tls.Config) {
	if e.phase == asking {
		return protocol.TLSLater, nil
	}
	e.phase, e.begun = handed, true
	return e.inner.Handshake()
}

func (e *exchange) OnHandshake(h *protocol.Handshake) bool { return e.inner.OnHandshake(h) }

func (e *exchange) OnControl() protocol.Step { return e.inner.OnControl() }

func (e *exchange) Begin() protocol.Step {
	if e.phase == handed {
		return e.inner.Begin()
	}
	return e.prelude.begin()
}

func (e *exchange) Parser() protocol.FrameParser {
	if e.phase == handed {
		return e.inner.Parser()
	}
	return e.prelude.parser()
}

func (e *exchange) OnFrame(f protocol.Frame) protocol.Step {
	if e.phase == handed {
		return e.inner.OnFrame(f)
	}
	e.account.heard = true
	step := e.prelude.onFrame(f, &e.account)
	switch step.Then {
	case protocol.StartTLS:
		e.phase = agreed
	case protocol.Done:
		e.fail()
	}
	return step
}

func (e *exchange) OnEnd(end protocol.End, rest []byte, err error) {
	if e.phase == handed {
		e.inner.OnEnd(end, rest, err)
		return
	}
	awaited := e.prelude.awaited()
	if e.phase == agreed {
		awaited = "the TLS handshake"
	}
	e.account.end(end, rest, err, awaited)
	e.fail()
}

// fail ends the connection without TLS.
func (e *exchange) fail() {
	e.phase = failed
	if e.begun {
		// What ended the prelude is no answer to what inner asks by its connections: it gets none.
		e.inner.OnEnd(protocol.EndNoConnection, nil, nil)
	}
}

func (e *exchange) Next() bool {
	series, ok := e.inner.(protocol.Series)
	if !ok || !e.begun || !series.Next() {
		return false
	}
	e.reset()
	return true
}

func (e *exchange) Conclusion() protocol.Conclusion {
	if !e.begun {
		return e.account.conclusion(e.name)
	}
	c := e.inner.Conclusion()
	if e.account.reason != "" && c.Verdict == protocol.Unfinished {
		c.Verdict, c.Reason = e.account.verdict, e.account.reason
	}
	return c
}
