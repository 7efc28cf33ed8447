// Package memcached asks a memcached server for its version: the worked example of docs/adding-a-probe.md. It is built
// and tested with everything else, but not listed in probes/builtin.
package memcached

import (
	"strings"

	"sonde/internal/jsonappend"
	"sonde/probes"
	"sonde/protocol"
	"sonde/protocol/delim"
	"sonde/target"
)

// Probe sends "version" and wants "VERSION ..." (memcached's doc/protocol.txt, section Version).
type Probe struct{}

var _ probes.Probe = Probe{}

// version is shared by all connections: what is in Step.Send is only read.
var version = [][]byte{[]byte("version\r\n")}

// maxLine is the most bytes of the answer: a version is some ten, an error message may be a sentence.
const maxLine = 512

// About implements [probes.Probe].
func (Probe) About() probes.About {
	return probes.About{
		Name:    "memcached",
		Summary: "sends version and is content with a version",
		Port:    11211,
		Schemes: []string{"memcached"},
		Reports: []probes.Field{
			{Name: "version", Type: "string", Doc: "the server's version"},
			{Name: "received", Type: "string", Doc: "what came instead"},
		},
	}
}

// Exchange implements [probes.Probe].
func (Probe) Exchange(*target.Target) protocol.Exchange {
	return &exchange{parser: delim.New(delim.Options{Delimiter: []byte("\r\n"), Max: maxLine})}
}

// exchange is the conversation over one connection.
type exchange struct {
	parser  *delim.Parser
	verdict protocol.Verdict
	reason  string
	finding *finding // nil if nothing was heard
}

// Begin implements [protocol.Exchange].
func (e *exchange) Begin() protocol.Step { return protocol.Step{Send: version} }

// Parser implements [protocol.Exchange].
func (e *exchange) Parser() protocol.FrameParser { return e.parser }

// OnFrame implements [protocol.Exchange]. The answer is one line.
func (e *exchange) OnFrame(f protocol.Frame) protocol.Step {
	answer := string(f.Data) // a copy: the frame is in the connection's buffer
	switch number, ok := strings.CutPrefix(answer, "VERSION "); {
	case ok:
		e.finding = &finding{version: number}
	case answer == "ERROR", strings.HasPrefix(answer, "SERVER_ERROR "):
		e.finding = &finding{received: answer}
		e.verdict, e.reason = protocol.Refused, "answer is an error"
	default:
		e.finding = &finding{received: answer}
		e.verdict, e.reason = protocol.NotSpoken, "not memcached: answer is no version"
	}
	return protocol.Step{Then: protocol.Done}
}

// OnEnd implements [protocol.Exchange]: there was no whole line.
func (e *exchange) OnEnd(end protocol.End, rest []byte, err error) {
	if len(rest) > 0 {
		e.finding = &finding{received: string(rest[:min(len(rest), maxLine)])}
	}
	switch end {
	case protocol.EndOfStream:
		e.verdict, e.reason = protocol.Closed, "closed before the answer"
	case protocol.EndTooLarge:
		e.verdict, e.reason = protocol.OverLimit, "answer is a line without end"
	default:
		e.verdict, e.reason = protocol.Unfinished, "no answer"
	}
}

// Conclusion implements [protocol.Exchange].
func (e *exchange) Conclusion() protocol.Conclusion {
	c := protocol.Conclusion{Verdict: e.verdict, Reason: e.reason}
	if e.finding != nil {
		c.Finding = e.finding
	}
	return c
}

// finding is what the server said.
type finding struct{ version, received string }

// AppendJSON implements [protocol.Finding].
func (f *finding) AppendJSON(dst []byte) []byte {
	o := jsonappend.Begin(dst)
	if f.version != "" {
		o.String("version", f.version)
	}
	if f.received != "" {
		o.Bytes("received", []byte(f.received))
	}
	return o.End()
}

// Brief implements [protocol.Finding].
func (f *finding) Brief() string { return f.version + f.received }
