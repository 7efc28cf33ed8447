// Package redis asks a Redis server for a PONG.
package redis

import (
	"bytes"
	"strings"

	"sonde/internal/jsonappend"
	"sonde/probes"
	"sonde/probes/internal/conclude"
	"sonde/protocol"
	"sonde/protocol/resp"
	"sonde/target"
)

// Probe sends PING and wants PONG. A server that wants a password first, or refuses for another reason, speaks Redis but
// does not serve us: Refused, with its error in the finding.
type Probe struct{}

var _ probes.Probe = Probe{}

// ping is an array of one string, as a client sends commands (the RESP specification on redis.io). An inline PING would
// do, but some proxies take only this form.
var ping = [][]byte{[]byte("*1\r\n$4\r\nPING\r\n")}

// maxAside is how many pushes and attributes may come before the answer: some modules greet with one.
const maxAside = 16

// About implements [probes.Probe].
func (Probe) About() probes.About {
	return probes.About{
		Name:    "redis",
		Summary: "sends PING and is content with PONG",
		Port:    6379,
		Schemes: []string{"redis"},
		TLSPort: 6379, TLSSchemes: []string{"rediss"},
		Reports: []probes.Field{
			{Name: "reply", Type: "string", Doc: "the answer if it is no error"},
			{Name: "error", Type: "string", Doc: "the server's error reply"},
			{Name: "auth_required", Type: "boolean", Doc: "whether the server wants a password first"},
			{Name: "received", Type: "string", Doc: "the first bytes of an answer that is not Redis, or not whole"},
		},
	}
}

// Exchange implements [probes.Probe].
func (Probe) Exchange(*target.Target) protocol.Exchange { return &exchange{} }

type exchange struct {
	parser  resp.Parser
	aside   int
	verdict protocol.Verdict
	reason  string
	finding finding
	heard   bool
}

func (e *exchange) Begin() protocol.Step { return protocol.Step{Send: ping} }

func (e *exchange) Parser() protocol.FrameParser { return &e.parser }

func (e *exchange) OnFrame(f protocol.Frame) protocol.Step {
	e.heard = true
	text := conclude.Text(f.Data)
	switch f.Kind {
	case resp.Push, resp.Attribute:
		if e.aside++; e.aside <= maxAside {
			return protocol.Step{}
		}
		e.verdict, e.reason = protocol.Refused, "no answer among 17 frames"
		return protocol.Step{Then: protocol.Done}
	case resp.SimpleError, resp.BulkError:
		e.finding.err = text
		e.finding.authRequired = wantsPassword(text)
		e.verdict, e.reason = protocol.Refused, conclude.Quote(text)
	case resp.SimpleString, resp.BulkString:
		e.finding.reply = text
		if !bytes.Equal(f.Data, []byte("PONG")) {
			e.verdict, e.reason = protocol.Refused, "answer is not PONG"
		}
	default:
		e.finding.reply = text
		e.verdict, e.reason = protocol.Refused, "answer is not PONG"
	}
	return protocol.Step{Then: protocol.Done}
}

func (e *exchange) OnEnd(end protocol.End, rest []byte, err error) {
	e.verdict, e.reason = conclude.Ended(end, err, "the answer to PING")
	e.finding.received = conclude.Received(rest)
	e.heard = e.heard || len(rest) > 0
}

func (e *exchange) Conclusion() protocol.Conclusion {
	c := protocol.Conclusion{Verdict: e.verdict, Reason: e.reason}
	if e.heard {
		c.Finding = e.finding
	}
	return c
}

// wantsPassword tells the error for a missing password; servers before Redis 2.8 said it in words.
func wantsPassword(text string) bool {
	return strings.HasPrefix(text, "NOAUTH") || text == "ERR operation not permitted"
}

type finding struct {
	reply, err   string
	authRequired bool
	received     string
}

func (f finding) AppendJSON(dst []byte) []byte {
	o := jsonappend.Begin(dst)
	conclude.AddText(&o, "reply", f.reply)
	conclude.AddText(&o, "error", f.err)
	if f.reply != "" || f.err != "" {
		o.Bool("auth_required", f.authRequired)
	}
	conclude.AddText(&o, "received", f.received)
	return o.End()
}

func (f finding) Brief() string {
	for _, s := range []string{f.reply, f.err, f.received} {
		if s != "" {
			return conclude.Quote(s)
		}
	}
	return ""
}
