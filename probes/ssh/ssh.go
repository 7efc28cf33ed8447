// Package ssh reads the identification of an SSH server (RFC 4253 s.4.2). It says nothing itself: the server speaks
// first, and without a key exchange there is no more to learn.
package ssh

import (
	"sonde/internal/jsonappend"
	"sonde/probes"
	"sonde/probes/internal/conclude"
	"sonde/protocol"
	"sonde/protocol/ssh"
	"sonde/target"
)

// Probe wants an identification of protocol version 2.0 or 1.99, which is 2.0 too (RFC 4253 s.5.1). A server that speaks
// only an older version is Refused.
type Probe struct{}

var _ probes.Probe = Probe{}

// About implements [probes.Probe].
func (Probe) About() probes.About {
	return probes.About{
		Name:    "ssh",
		Summary: "reads the server's identification and is content with SSH 2",
		Port:    22,
		Schemes: []string{"ssh"},
		Reports: []probes.Field{
			{Name: "version", Type: "string", Doc: "protocol version, 2.0 or 1.99 on success"},
			{Name: "software", Type: "string", Doc: "software version"},
			{Name: "comments", Type: "string", Doc: "what follows the software version"},
			{Name: "preamble", Type: "string", Doc: "lines before the identification, up to 1024 bytes"},
			{Name: "received", Type: "string", Doc: "the first bytes of what is not an identification, or not whole"},
		},
	}
}

// Exchange implements [probes.Probe].
func (Probe) Exchange(*target.Target) protocol.Exchange { return &exchange{} }

type exchange struct {
	parser   ssh.Parser
	preamble []byte
	verdict  protocol.Verdict
	reason   string
	finding  finding
	heard    bool
}

func (e *exchange) Begin() protocol.Step { return protocol.Step{} }

func (e *exchange) Parser() protocol.FrameParser { return &e.parser }

func (e *exchange) OnFrame(f protocol.Frame) protocol.Step {
	e.heard = true
	if f.Kind == ssh.Preamble {
		if len(e.preamble) < conclude.MaxText {
			e.preamble = append(append(e.preamble, f.Data...), '\n')
		}
		return protocol.Step{}
	}
	e.finding.version = conclude.Text(e.parser.ProtoVersion())
	e.finding.software = conclude.Text(e.parser.Software())
	e.finding.comments = conclude.Text(e.parser.Comments())
	if v := e.finding.version; v != "2.0" && v != "1.99" {
		e.verdict, e.reason = protocol.Refused, "protocol version "+v+", want 2.0 or 1.99"
	}
	return protocol.Step{Then: protocol.Done}
}

func (e *exchange) OnEnd(end protocol.End, rest []byte, err error) {
	e.verdict, e.reason = conclude.Ended(end, err, "the identification")
	e.finding.received = conclude.Received(rest)
	e.heard = e.heard || len(rest) > 0
}

func (e *exchange) Conclusion() protocol.Conclusion {
	c := protocol.Conclusion{Verdict: e.verdict, Reason: e.reason}
	if e.heard {
		e.finding.preamble = conclude.Text(e.preamble)
		c.Finding = e.finding
	}
	return c
}

type finding struct {
	version, software, comments string
	preamble, received          string
}

func (f finding) AppendJSON(dst []byte) []byte {
	o := jsonappend.Begin(dst)
	conclude.AddText(&o, "version", f.version)
	conclude.AddText(&o, "software", f.software)
	conclude.AddText(&o, "comments", f.comments)
	conclude.AddText(&o, "preamble", f.preamble)
	conclude.AddText(&o, "received", f.received)
	return o.End()
}

func (f finding) Brief() string {
	switch {
	case f.version != "":
		return conclude.Quote("SSH-" + f.version + "-" + f.software)
	case f.preamble != "":
		return conclude.Quote(f.preamble)
	}
	return conclude.Quote(f.received)
}
