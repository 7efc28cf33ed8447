// Package smtp asks a mail server for its greeting and capabilities (RFC 5321).
package smtp

import (
	"strings"

	"sonde/internal/jsonappend"
	"sonde/probes"
	"sonde/probes/internal/conclude"
	"sonde/protocol"
	"sonde/protocol/reply"
	"sonde/target"
)

// Probe waits for a greeting of 220, sends EHLO (HELO to a server that does not know that) and wants 250. It takes its
// leave with QUIT and does not wait for the answer: the verdict is known, and a server slow to say goodbye is not slow to
// serve. A server that answers with another code is Refused. Behind STARTTLS there is no greeting: EHLO comes first, for
// the capabilities may be others than before (RFC 3207 s.4.2).
type Probe struct {
	greeted bool // the greeting was read before the exchange begins
}

var _ probes.Configurable = Probe{}

// What the probe sends (RFC 5321 s.4.1.1). The name is one that can't exist (RFC 6761 s.6.4): ours is not known here, and
// an address literal would need the connection's address.
var (
	ehlo = [][]byte{[]byte("EHLO sonde.invalid\r\n")}
	helo = [][]byte{[]byte("HELO sonde.invalid\r\n")}
	quit = [][]byte{[]byte("QUIT\r\n")}
)

// Reply codes (RFC 5321 s.4.2.3).
const (
	codeReady          = 220
	codeOK             = 250
	codeNotAvailable   = 421 // the server closes the connection
	codeUnrecognized   = 500
	codeBadParameters  = 501
	codeNotImplemented = 502
	codeBadParameter   = 504
)

// About implements [probes.Probe].
func (Probe) About() probes.About {
	return probes.About{
		Name:    "smtp",
		Summary: "greets a mail server with EHLO and is content when it is greeted back",
		Port:    25,
		Schemes: []string{"smtp"},
		TLSPort: 465, TLSSchemes: []string{"smtps"}, // RFC 8314 s.3.3
		Options: []string{"--starttls"},
		Reports: []probes.Field{
			{Name: "code", Type: "integer", Doc: "code of the greeting, 220 on success; absent behind STARTTLS"},
			{Name: "greeting", Type: "string", Doc: "text of the greeting; absent behind STARTTLS"},
			{Name: "esmtp", Type: "boolean", Doc: "whether the server knows EHLO"},
			{Name: "capabilities", Type: "list", Doc: "extensions that the server offers"},
			{Name: "starttls", Type: "boolean", Doc: "whether STARTTLS is among them"},
			{Name: "received", Type: "string", Doc: "the first bytes of what is not an SMTP reply, or not whole"},
		},
	}
}

// Configure implements [probes.Configurable]. It never fails.
func (Probe) Configure(o probes.Options) (probes.Probe, error) { return Probe{greeted: o.Greeted}, nil }

// Exchange implements [probes.Probe].
func (p Probe) Exchange(*target.Target) protocol.Exchange {
	if p.greeted {
		return &exchange{state: awaitEHLO}
	}
	return &exchange{}
}

// state is the reply that comes next.
type state uint8

const (
	awaitGreeting state = iota
	awaitEHLO
	awaitHELO
)

// String is how a reason names the reply.
func (s state) String() string {
	return [...]string{"the greeting", "the answer to EHLO", "the answer to HELO"}[s]
}

type exchange struct {
	parser  reply.Code
	state   state
	verdict protocol.Verdict
	reason  string
	finding finding
}

func (e *exchange) Begin() protocol.Step {
	if e.state == awaitEHLO {
		return protocol.Step{Send: ehlo}
	}
	return protocol.Step{}
}

func (e *exchange) Parser() protocol.FrameParser { return &e.parser }

func (e *exchange) OnFrame(protocol.Frame) protocol.Step {
	code := e.parser.Code()
	switch e.state {
	case awaitGreeting:
		e.finding.code = code
		e.finding.greeting = conclude.Lines(e.parser.Lines())
		if code != codeReady {
			return e.refused()
		}
		e.state = awaitEHLO
		return protocol.Step{Send: ehlo}
	case awaitEHLO:
		e.finding.answered = true
		switch code {
		case codeOK:
			e.takeCapabilities()
			return protocol.Step{Send: quit, Then: protocol.Done}
		case codeUnrecognized, codeBadParameters, codeNotImplemented, codeBadParameter:
			e.state = awaitHELO // RFC 5321 s.3.2
			return protocol.Step{Send: helo}
		}
		return e.refused()
	}
	if code != codeOK {
		return e.refused()
	}
	return protocol.Step{Send: quit, Then: protocol.Done}
}

// takeCapabilities reads the answer to EHLO: the server's name, then one extension a line (RFC 5321 s.4.1.1.1).
func (e *exchange) takeCapabilities() {
	e.finding.esmtp = true
	first := true
	for line := range e.parser.Lines() {
		if !first {
			capability := conclude.Text(line)
			e.finding.capabilities = append(e.finding.capabilities, capability)
			keyword, _, _ := strings.Cut(capability, " ")
			e.finding.startTLS = e.finding.startTLS || strings.EqualFold(keyword, "STARTTLS") // RFC 3207 s.4
		}
		first = false
	}
}

// refused ends the exchange on the code of the last reply.
func (e *exchange) refused() protocol.Step {
	e.verdict = protocol.Refused
	e.reason = conclude.Code(e.state.String(), e.parser.Code(), conclude.Lines(e.parser.Lines()))
	if e.parser.Code() == codeNotAvailable {
		return protocol.Step{Then: protocol.Done} // the server does not listen any more (RFC 5321 s.3.8)
	}
	return protocol.Step{Send: quit, Then: protocol.Done}
}

func (e *exchange) OnEnd(end protocol.End, rest []byte, err error) {
	e.verdict, e.reason = conclude.Ended(end, err, e.state.String())
	e.finding.received = conclude.Received(rest)
}

func (e *exchange) Conclusion() protocol.Conclusion {
	c := protocol.Conclusion{Verdict: e.verdict, Reason: e.reason}
	if e.finding.code != 0 || e.finding.answered || e.finding.received != "" {
		c.Finding = e.finding
	}
	return c
}

type finding struct {
	code         int
	greeting     string
	answered     bool // EHLO was
	esmtp        bool
	capabilities []string
	startTLS     bool
	received     string
}

func (f finding) AppendJSON(dst []byte) []byte {
	o := jsonappend.Begin(dst)
	if f.code != 0 {
		o.Int("code", int64(f.code))
		o.Bytes("greeting", []byte(f.greeting))
	}
	if f.answered {
		o.Bool("esmtp", f.esmtp)
		o.Strings("capabilities", f.capabilities)
		o.Bool("starttls", f.startTLS)
	}
	conclude.AddText(&o, "received", f.received)
	return o.End()
}

func (f finding) Brief() string {
	switch {
	case f.code != 0:
		return conclude.Code("", f.code, f.greeting)
	case f.answered:
		return conclude.Quote(strings.Join(f.capabilities, ", "))
	}
	return conclude.Quote(f.received)
}
