// Package ftp asks an FTP server for its greeting and features (RFC 959, RFC 2389).
package ftp

import (
	"strings"

	"sonde/internal/jsonappend"
	"sonde/probes"
	"sonde/probes/internal/conclude"
	"sonde/protocol"
	"sonde/protocol/reply"
	"sonde/target"
)

// Probe waits for a greeting of 220, asks for the features and takes its leave with QUIT, without waiting for the answer
// to that. It does not log in, and a server that tells its features only after a login, or knows no FEAT, is well all the
// same. As an SMTP server greets with 220 and knows no FEAT either, such a server is asked for NOOP, which the two
// answer differently. A server that greets with another code is Refused. Behind AUTH TLS there is no greeting: it asks at
// once (RFC 4217 s.4).
type Probe struct {
	greeted bool // the greeting was read before the exchange begins
}

var _ probes.Configurable = Probe{}

// What the probe sends (RFC 2389 s.3.1, RFC 959 s.4.1.1).
var (
	feat = [][]byte{[]byte("FEAT\r\n")}
	noop = [][]byte{[]byte("NOOP\r\n")}
	quit = [][]byte{[]byte("QUIT\r\n")}
)

// Reply codes (RFC 959 s.4.2.2).
const (
	codeLater        = 120 // ready in some minutes; 220 follows (s.5.4)
	codeFeatures     = 211 // RFC 2389 s.3.2
	codeReady        = 220
	codeNotAvailable = 421 // the server closes the connection
	codeUnrecognized = 500
	codeNotKnown     = 502

	// codeSMTPOK is how an SMTP server answers NOOP (RFC 5321 s.4.2.3); FTP's answer is 200.
	codeSMTPOK = 250
)

// maxLater is how often a server may put us off: once is all the RFC knows.
const maxLater = 4

// About implements [probes.Probe].
func (Probe) About() probes.About {
	return probes.About{
		Name:    "ftp",
		Summary: "waits for an FTP server's greeting and is content with 220",
		Port:    21,
		Schemes: []string{"ftp"},
		TLSPort: 990, TLSSchemes: []string{"ftps"}, // the IANA's registry of ports
		Options: []string{"--starttls"},
		Reports: []probes.Field{
			{Name: "code", Type: "integer", Doc: "code of the greeting, 220 on success; absent behind AUTH TLS"},
			{Name: "greeting", Type: "string", Doc: "text of the greeting; absent behind AUTH TLS"},
			{Name: "features", Type: "list", Doc: "features that the server tells before a login"},
			{Name: "auth_tls", Type: "boolean", Doc: "whether AUTH TLS is among them"},
			{Name: "received", Type: "string", Doc: "the first bytes of what is not an FTP reply, or not whole"},
		},
	}
}

// Configure implements [probes.Configurable]. It never fails.
func (Probe) Configure(o probes.Options) (probes.Probe, error) { return Probe{greeted: o.Greeted}, nil }

// Exchange implements [probes.Probe].
func (p Probe) Exchange(*target.Target) protocol.Exchange {
	e := &exchange{parser: reply.Code{Dialect: reply.FTP}}
	if p.greeted {
		e.asked = "FEAT"
	}
	return e
}

type exchange struct {
	parser  reply.Code
	later   int
	asked   string // the command whose answer comes next; empty before the greeting
	verdict protocol.Verdict
	reason  string
	finding finding
}

func (e *exchange) Begin() protocol.Step {
	if e.asked == "FEAT" {
		return protocol.Step{Send: feat}
	}
	return protocol.Step{}
}

func (e *exchange) Parser() protocol.FrameParser { return &e.parser }

func (e *exchange) OnFrame(protocol.Frame) protocol.Step {
	code := e.parser.Code()
	switch e.asked {
	case "FEAT":
		e.finding.answered = true
		switch code {
		case codeFeatures:
			e.takeFeatures()
		case codeNotAvailable:
			return e.refused()
		case codeUnrecognized, codeNotKnown:
			e.asked = "NOOP"
			return protocol.Step{Send: noop}
		}
		return protocol.Step{Send: quit, Then: protocol.Done}
	case "NOOP":
		if code == codeSMTPOK {
			e.verdict, e.reason = protocol.NotSpoken, "not ftp: NOOP is answered as SMTP does"
		}
		return protocol.Step{Send: quit, Then: protocol.Done}
	}
	e.finding.code = code
	e.finding.greeting = conclude.Lines(e.parser.Lines())
	switch {
	case code == codeReady:
		e.asked = "FEAT"
		return protocol.Step{Send: feat}
	case code == codeLater && e.later < maxLater:
		e.later++
		return protocol.Step{}
	}
	return e.refused()
}

// takeFeatures reads the lines that begin with a space, one feature each (RFC 2389 s.3.2).
func (e *exchange) takeFeatures() {
	for line := range e.parser.Lines() {
		if len(line) < 2 || line[0] != ' ' {
			continue
		}
		feature := strings.TrimSpace(conclude.Text(line))
		e.finding.features = append(e.finding.features, feature)
		e.finding.authTLS = e.finding.authTLS || isAuthTLS(feature)
	}
}

// isAuthTLS reports whether a feature is the AUTH command with TLS among its mechanisms, "AUTH SSL;TLS;" (RFC 4217 s.6).
func isAuthTLS(feature string) bool {
	command, mechanisms, _ := strings.Cut(strings.ToUpper(feature), " ")
	for mechanism := range strings.FieldsFuncSeq(mechanisms, func(r rune) bool { return r == ' ' || r == ';' || r == ',' }) {
		if command == "AUTH" && mechanism == "TLS" {
			return true
		}
	}
	return false
}

// refused ends the exchange on the code of the last reply.
func (e *exchange) refused() protocol.Step {
	e.verdict = protocol.Refused
	e.reason = conclude.Code(e.awaited(), e.parser.Code(), conclude.Lines(e.parser.Lines()))
	if e.parser.Code() == codeNotAvailable {
		return protocol.Step{Then: protocol.Done}
	}
	return protocol.Step{Send: quit, Then: protocol.Done}
}

func (e *exchange) OnEnd(end protocol.End, rest []byte, err error) {
	e.verdict, e.reason = conclude.Ended(end, err, e.awaited())
	e.finding.received = conclude.Received(rest)
}

// awaited is how a reason names the reply that comes next.
func (e *exchange) awaited() string {
	if e.asked != "" {
		return "the answer to " + e.asked
	}
	return "the greeting"
}

func (e *exchange) Conclusion() protocol.Conclusion {
	c := protocol.Conclusion{Verdict: e.verdict, Reason: e.reason}
	if e.finding.code != 0 || e.finding.answered || e.finding.received != "" {
		c.Finding = e.finding
	}
	return c
}

type finding struct {
	code     int
	greeting string
	answered bool // FEAT was answered
	features []string
	authTLS  bool
	received string
}

func (f finding) AppendJSON(dst []byte) []byte {
	o := jsonappend.Begin(dst)
	if f.code != 0 {
		o.Int("code", int64(f.code))
		o.Bytes("greeting", []byte(f.greeting))
	}
	if f.answered {
		o.Strings("features", f.features)
		o.Bool("auth_tls", f.authTLS)
	}
	conclude.AddText(&o, "received", f.received)
	return o.End()
}

func (f finding) Brief() string {
	switch {
	case f.code != 0:
		return conclude.Code("", f.code, f.greeting)
	case f.answered:
		return conclude.Quote(strings.Join(f.features, ", "))
	}
	return conclude.Quote(f.received)
}
