package starttls

import (
	"sonde/internal/jsonappend"
	"sonde/probes/internal/conclude"
	"sonde/protocol"
)

// prelude is the part of a protocol that asks for TLS. It is an exchange but for its end, which [account] keeps.
type prelude interface {
	begin() protocol.Step
	parser() protocol.FrameParser
	// onFrame answers with a StartTLS step when the server agrees, and with a Done step that a has made when not.
	onFrame(f protocol.Frame, a *account) protocol.Step
	// awaited is how a reason names what comes next from the server.
	awaited() string
}

// startTLS is the step of a server that agreed. What it sent behind its agreement is left in the engine's buffer.
var startTLS = protocol.Step{Then: protocol.StartTLS}

// maxAside is how many responses, lines or tags that are no answer a server may send in one prelude: a list of
// capabilities has some dozens.
const maxAside = 256

// Texts of reasons.
const (
	notOffered = "no STARTTLS on offer"
	refusedBy  = "STARTTLS refused: "
	tooMuch    = "no answer among more than 256 others"
)

// account is what a prelude makes of the server, if that does not lead to TLS.
type account struct {
	heard    bool // the server said something
	verdict  protocol.Verdict
	reason   string
	greeting string
	received string
}

// refuse ends a prelude on an answer which is not the one wanted; goodbye, if any, is sent. reason may quote the server.
func (a *account) refuse(reason string, answer []byte, goodbye [][]byte) protocol.Step {
	return a.done(protocol.Refused, reason, answer, goodbye)
}

// notSpoken ends a prelude on an answer that is not of its protocol.
func (a *account) notSpoken(reason string, answer []byte) protocol.Step {
	return a.done(protocol.NotSpoken, reason, answer, nil)
}

func (a *account) done(verdict protocol.Verdict, reason string, answer []byte, goodbye [][]byte) protocol.Step {
	a.verdict, a.reason = verdict, conclude.Quote(reason)
	a.received = conclude.Received(answer)
	return protocol.Step{Send: goodbye, Then: protocol.Done}
}

// end is OnEnd of a prelude that waited for what is awaited.
func (a *account) end(end protocol.End, rest []byte, err error, awaited string) {
	if end == protocol.EndNoConnection {
		return // there was nothing to make anything of: why is the outcome's to tell
	}
	a.verdict, a.reason = conclude.Ended(end, err, awaited)
	a.received = conclude.Received(rest)
	a.heard = a.heard || len(rest) > 0
}

func (a *account) conclusion(name string) protocol.Conclusion {
	c := protocol.Conclusion{Verdict: a.verdict, Reason: a.reason}
	if a.heard {
		c.Finding = finding{name, a.greeting, a.received}
	}
	return c
}

// finding is what was heard of a server that did not come to TLS.
type finding struct{ name, greeting, received string }

func (f finding) AppendJSON(dst []byte) []byte {
	o := jsonappend.Begin(dst)
	o.String("starttls", f.name)
	conclude.AddText(&o, "greeting", f.greeting)
	conclude.AddText(&o, "received", f.received)
	return o.End()
}

func (f finding) Brief() string {
	if f.greeting != "" {
		return conclude.Quote(f.greeting)
	}
	return conclude.Quote(f.received)
}
