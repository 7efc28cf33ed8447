// Package pop3 asks a POP3 server for its greeting and capabilities (RFC 1939, RFC 2449).
package pop3

import (
	"strings"

	"sonde/internal/jsonappend"
	"sonde/probes"
	"sonde/probes/internal/conclude"
	"sonde/protocol"
	"sonde/protocol/reply"
	"sonde/target"
)

// Probe waits for a positive greeting, asks for the capabilities and takes its leave with QUIT, without waiting for the
// answer to that. A server that knows no CAPA is well all the same. A negative greeting is Refused. Behind STLS there is no
// greeting: it asks at once (RFC 2595 s.4).
type Probe struct {
	greeted bool // the greeting was read before the exchange begins
}

var _ probes.Configurable = Probe{}

// What the probe sends (RFC 2449 s.5, RFC 1939 s.5).
var (
	capa = [][]byte{[]byte("CAPA\r\n")}
	quit = [][]byte{[]byte("QUIT\r\n")}
)

// About implements [probes.Probe].
func (Probe) About() probes.About {
	return probes.About{
		Name:    "pop3",
		Summary: "waits for a POP3 server's greeting and is content with +OK",
		Port:    110,
		Schemes: []string{"pop3"},
		TLSPort: 995, TLSSchemes: []string{"pop3s"}, // RFC 8314 s.3.2
		Options: []string{"--starttls"},
		Reports: []probes.Field{
			{Name: "ok", Type: "boolean", Doc: "whether the greeting is positive; absent behind STLS"},
			{Name: "greeting", Type: "string", Doc: "text of the greeting; absent behind STLS"},
			{Name: "capabilities", Type: "list", Doc: "capabilities that the server tells before a login"},
			{Name: "stls", Type: "boolean", Doc: "whether STLS, the change to TLS, is among them"},
			{Name: "received", Type: "string", Doc: "the first bytes of what is not a POP3 response, or not whole"},
		},
	}
}

// Configure implements [probes.Configurable]. It never fails.
func (Probe) Configure(o probes.Options) (probes.Probe, error) { return Probe{greeted: o.Greeted}, nil }

// Exchange implements [probes.Probe].
func (p Probe) Exchange(*target.Target) protocol.Exchange { return &exchange{asked: p.greeted} }

type exchange struct {
	parser  reply.POP3
	asked   bool // CAPA is what is sent first, or was sent
	verdict protocol.Verdict
	reason  string
	finding finding
}

func (e *exchange) Begin() protocol.Step {
	if e.asked {
		return e.ask()
	}
	return protocol.Step{}
}

// ask sends CAPA.
func (e *exchange) ask() protocol.Step {
	e.asked = true
	e.parser.MultiLine = true
	return protocol.Step{Send: capa}
}

func (e *exchange) Parser() protocol.FrameParser { return &e.parser }

func (e *exchange) OnFrame(protocol.Frame) protocol.Step {
	if !e.asked {
		e.finding.greeted = true
		e.finding.ok = e.parser.OK()
		e.finding.greeting = conclude.Text(e.parser.Text())
		if !e.finding.ok {
			e.verdict, e.reason = protocol.Refused, conclude.Quote("the greeting is -ERR "+e.finding.greeting)
			return protocol.Step{Then: protocol.Done}
		}
		return e.ask()
	}
	e.finding.answered = true
	for line := range e.parser.Lines() {
		capability := conclude.Text(line)
		e.finding.capabilities = append(e.finding.capabilities, capability)
		e.finding.stls = e.finding.stls || strings.EqualFold(capability, "STLS") // RFC 2595 s.4
	}
	return protocol.Step{Send: quit, Then: protocol.Done}
}

func (e *exchange) OnEnd(end protocol.End, rest []byte, err error) {
	what := "the greeting"
	if e.asked {
		what = "the answer to CAPA"
	}
	e.verdict, e.reason = conclude.Ended(end, err, what)
	e.finding.received = conclude.Received(rest)
}

func (e *exchange) Conclusion() protocol.Conclusion {
	c := protocol.Conclusion{Verdict: e.verdict, Reason: e.reason}
	if e.finding.greeted || e.finding.answered || e.finding.received != "" {
		c.Finding = e.finding
	}
	return c
}

type finding struct {
	greeted, ok  bool
	greeting     string
	answered     bool // CAPA was answered
	capabilities []string
	stls         bool
	received     string
}

func (f finding) AppendJSON(dst []byte) []byte {
	o := jsonappend.Begin(dst)
	if f.greeted {
		o.Bool("ok", f.ok)
		o.Bytes("greeting", []byte(f.greeting))
	}
	if f.answered {
		o.Strings("capabilities", f.capabilities)
		o.Bool("stls", f.stls)
	}
	conclude.AddText(&o, "received", f.received)
	return o.End()
}

func (f finding) Brief() string {
	switch {
	case f.ok:
		return conclude.Quote("+OK " + f.greeting)
	case f.greeted:
		return conclude.Quote("-ERR " + f.greeting)
	case f.answered:
		return conclude.Quote(strings.Join(f.capabilities, ", "))
	}
	return conclude.Quote(f.received)
}
