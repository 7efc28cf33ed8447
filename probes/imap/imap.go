// Package imap asks an IMAP server for its greeting and capabilities (RFC 9051).
package imap

import (
	"strings"

	"sonde/internal/jsonappend"
	"sonde/probes"
	"sonde/probes/internal/conclude"
	"sonde/protocol"
	"sonde/protocol/reply"
	"sonde/target"
)

// Probe waits for a greeting, asks for the capabilities if the greeting does not tell them, and takes its leave with
// LOGOUT, without waiting for the answer to that. A server that says BYE, or NO or BAD to the question, is Refused. Behind
// STARTTLS there is no greeting: it asks at once, for what was told before counts no more (RFC 9051 s.6.2.1).
type Probe struct {
	greeted bool // the greeting was read before the exchange begins
}

var _ probes.Configurable = Probe{}

// What the probe sends (RFC 9051 s.6.1.1, s.6.1.3).
var (
	capability = [][]byte{[]byte("a1 CAPABILITY\r\n")}
	logout     = [][]byte{[]byte("a2 LOGOUT\r\n")}
)

// maxUntagged is how many untagged responses a server may send with its answer; one is needed.
const maxUntagged = 64

// About implements [probes.Probe].
func (Probe) About() probes.About {
	return probes.About{
		Name:    "imap",
		Summary: "waits for an IMAP server's greeting and is content when it tells its capabilities",
		Port:    143,
		Schemes: []string{"imap"},
		TLSPort: 993, TLSSchemes: []string{"imaps"}, // RFC 8314 s.3.2
		Options: []string{"--starttls"},
		Reports: []probes.Field{
			{Name: "status", Type: "string", Doc: "status of the greeting: OK, PREAUTH or BYE; absent behind STARTTLS"},
			{Name: "greeting", Type: "string", Doc: "text of the greeting; absent behind STARTTLS"},
			{Name: "capabilities", Type: "list", Doc: "capabilities that the server tells before a login"},
			{Name: "starttls", Type: "boolean", Doc: "whether STARTTLS is among them"},
			{Name: "received", Type: "string", Doc: "the first bytes of what is not an IMAP greeting or response, or not whole"},
		},
	}
}

// Configure implements [probes.Configurable]. It never fails.
func (Probe) Configure(o probes.Options) (probes.Probe, error) { return Probe{greeted: o.Greeted}, nil }

// Exchange implements [probes.Probe].
func (p Probe) Exchange(*target.Target) protocol.Exchange { return &exchange{asked: p.greeted} }

type exchange struct {
	parser   reply.IMAP
	asked    bool // CAPABILITY is what is sent first, or was sent
	heard    bool // a response behind the greeting
	untagged int
	verdict  protocol.Verdict
	reason   string
	finding  finding
}

func (e *exchange) Begin() protocol.Step {
	if e.asked {
		return protocol.Step{Send: capability}
	}
	return protocol.Step{}
}

func (e *exchange) Parser() protocol.FrameParser { return &e.parser }

func (e *exchange) OnFrame(f protocol.Frame) protocol.Step {
	if !e.asked {
		return e.greeted(f)
	}
	e.heard = true
	switch {
	case f.Kind == reply.Tagged && e.parser.Is("OK"):
		return protocol.Step{Send: logout, Then: protocol.Done}
	case f.Kind == reply.Tagged:
		return e.refused("the answer to CAPABILITY", logout)
	case e.parser.Is("BYE"):
		return e.refused("the answer to CAPABILITY", nil)
	case e.parser.Is("CAPABILITY"):
		e.takeCapabilities(string(e.parser.Text()))
	}
	if e.untagged++; e.untagged > maxUntagged {
		e.verdict, e.reason = protocol.Refused, "no answer to CAPABILITY among 65 responses"
		return protocol.Step{Then: protocol.Done}
	}
	return protocol.Step{}
}

// greeted reads the first response: OK, PREAUTH or BYE (RFC 9051 s.7.1).
func (e *exchange) greeted(f protocol.Frame) protocol.Step {
	status := strings.ToUpper(conclude.Text(e.parser.Word()))
	if f.Kind != reply.Untagged || status != "OK" && status != "PREAUTH" && status != "BYE" {
		e.finding.received = conclude.Received(f.Data)
		e.verdict, e.reason = protocol.NotSpoken, "not imap: first response is no greeting"
		return protocol.Step{Then: protocol.Done}
	}
	e.finding.status = status
	e.finding.greeting = conclude.Text(e.parser.Text())
	if status == "BYE" {
		return e.refused("the greeting", nil)
	}
	if list, ok := e.parser.Capabilities(); ok {
		e.takeCapabilities(string(list))
		return protocol.Step{Send: logout, Then: protocol.Done}
	}
	e.asked = true
	return protocol.Step{Send: capability}
}

func (e *exchange) takeCapabilities(list string) {
	e.finding.told = true
	e.finding.capabilities, e.finding.startTLS = nil, false
	for name := range strings.FieldsSeq(list) {
		e.finding.capabilities = append(e.finding.capabilities, name)
		e.finding.startTLS = e.finding.startTLS || strings.EqualFold(name, "STARTTLS") // RFC 9051 s.6.2.1
	}
}

// refused ends the exchange on the status that came last.
func (e *exchange) refused(what string, goodbye [][]byte) protocol.Step {
	e.verdict = protocol.Refused
	e.reason = conclude.Quote(what + " is " + string(e.parser.Word()) + " " + string(e.parser.Text()))
	return protocol.Step{Send: goodbye, Then: protocol.Done}
}

func (e *exchange) OnEnd(end protocol.End, rest []byte, err error) {
	what := "the greeting"
	if e.asked {
		what = "the answer to CAPABILITY"
	}
	e.verdict, e.reason = conclude.Ended(end, err, what)
	e.finding.received = conclude.Received(rest)
}

func (e *exchange) Conclusion() protocol.Conclusion {
	c := protocol.Conclusion{Verdict: e.verdict, Reason: e.reason}
	if e.heard || e.finding.status != "" || e.finding.received != "" {
		c.Finding = e.finding
	}
	return c
}

type finding struct {
	status, greeting string
	told             bool // the capabilities are known
	capabilities     []string
	startTLS         bool
	received         string
}

func (f finding) AppendJSON(dst []byte) []byte {
	o := jsonappend.Begin(dst)
	if f.status != "" {
		o.String("status", f.status)
		o.Bytes("greeting", []byte(f.greeting))
	}
	if f.told {
		o.Strings("capabilities", f.capabilities)
		o.Bool("starttls", f.startTLS)
	}
	conclude.AddText(&o, "received", f.received)
	return o.End()
}

func (f finding) Brief() string {
	switch {
	case f.status != "":
		return conclude.Quote(f.status + " " + f.greeting)
	case f.told:
		return conclude.Quote(strings.Join(f.capabilities, " "))
	}
	return conclude.Quote(f.received)
}
