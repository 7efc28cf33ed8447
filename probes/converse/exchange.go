package converse

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"sonde/probes"
	"sonde/probes/internal/conclude"
	"sonde/protocol"
	"sonde/protocol/line"
)

const (
	// maxHeard is the most bytes of lines that are looked at in one conversation. Who says so much has another one in mind,
	// and each line costs a search.
	maxHeard = 1 << 20
	// maxLabel is the most bytes of a label's value: a monitoring system keeps it of each target for long.
	maxLabel = 256
	// maxIdle is the capacity in bytes of a buffer that is kept for another conversation.
	maxIdle = 4 << 10
)

// exchange is one conversation. It lives from probe.Exchange to Conclusion and then goes back to the pool of its script.
type exchange struct {
	script *script
	at     int // the step that is taken; len(steps) when all are done
	lines  line.Parser

	send [][]byte // of the last Step
	out  []byte   // what stands in send and is not the script's

	total  int    // bytes of lines heard
	heard  []byte // the first lines, at most conclude.MaxText bytes
	last   []byte // what came last and did not match, clipped
	missed bool   // a line came in this step that did not match
	expect []probes.Capture
	failed bool // by a regular expression

	verdict protocol.Verdict
	reason  string
}

// open returns an exchange that is as new.
func (s *script) open() *exchange {
	if x, ok := s.idle.Get().(*exchange); ok {
		return x
	}
	return &exchange{script: s, lines: *line.New(line.Options{})}
}

// Begin implements [protocol.Exchange]. Behind a StartTLS step, whose Send must stay as it is, it goes on with the next.
func (x *exchange) Begin() protocol.Step {
	if x.at > 0 {
		x.send, x.out = nil, nil
	}
	return x.goOn()
}

// Parser implements [protocol.Exchange].
func (x *exchange) Parser() protocol.FrameParser {
	if x.at < len(x.script.steps) && x.script.steps[x.at].exact != nil {
		return x.script.steps[x.at].exact
	}
	return &x.lines
}

// goOn takes steps until one awaits something.
func (x *exchange) goOn() protocol.Step {
	for x.at < len(x.script.steps) {
		s := &x.script.steps[x.at]
		if s.awaits() {
			return protocol.Step{Send: x.send}
		}
		if x.finish(s) {
			return protocol.Step{Send: x.send, Then: protocol.StartTLS}
		}
	}
	return protocol.Step{Send: x.send, Then: protocol.Done}
}

// finish does what stands behind the expectation of s and counts the step as done. It reports whether TLS begins.
func (x *exchange) finish(s *step) (startTLS bool) {
	if s.line != nil {
		x.send = append(x.send, s.line)
	}
	x.at++
	x.missed = false
	return s.startTLS
}

// OnFrame implements [protocol.Exchange].
func (x *exchange) OnFrame(f protocol.Frame) protocol.Step {
	x.send, x.out = x.send[:0], x.out[:0]
	x.hear(f.Data)
	s := &x.script.steps[x.at]
	switch {
	case s.exact != nil && !bytes.Equal(f.Data, s.bytes):
		x.miss(f.Data)
		return x.fail(protocol.Refused, s.awaited()+" did not come"+x.lastWords())
	case s.expect != nil && !x.match(s, f.Data):
		x.missed = true
		x.miss(f.Data)
		if x.total > maxHeard {
			return x.fail(protocol.OverLimit, s.awaited()+" did not come within 1 MiB"+x.lastWords())
		}
		return protocol.Step{}
	}
	x.last = x.last[:0]
	if x.finish(s) {
		return protocol.Step{Send: x.send, Then: protocol.StartTLS}
	}
	return x.goOn()
}

// match reports whether a line is the one awaited by s, and makes of it what s wants.
func (x *exchange) match(s *step, text []byte) bool {
	if !s.isTold() {
		return s.expect.Match(text)
	}
	found := s.expect.FindSubmatchIndex(text)
	if found == nil {
		return false
	}
	if s.template != nil {
		from := len(x.out)
		x.out = s.expect.Expand(x.out, s.template, text, found)
		if len(x.out) > from {
			x.out = append(x.out, '\n')
			x.send = append(x.send, x.out[from:])
		}
	}
	for _, l := range s.labels {
		value := conclude.Clip(s.expect.Expand(nil, l.template, text, found), maxLabel)
		x.expect = append(x.expect, probes.Capture{Name: l.name, Value: strings.ToValidUTF8(value, "\ufffd")})
	}
	return true
}

// hear keeps a line for the finding, as far as that shows it.
func (x *exchange) hear(text []byte) {
	x.total += len(text) + len("\n")
	if len(x.heard) > conclude.MaxText {
		return
	}
	if len(x.heard) > 0 {
		x.heard = append(x.heard, '\n')
	}
	x.heard = append(x.heard, text[:min(len(text), conclude.MaxText)]...)
}

// miss keeps a line that was not the one awaited, as far as the finding shows it.
func (x *exchange) miss(text []byte) {
	x.last = append(x.last[:0], text[:min(len(text), conclude.MaxReceived+utf8.UTFMax)]...)
}

// OnEnd implements [protocol.Exchange].
func (x *exchange) OnEnd(end protocol.End, rest []byte, err error) {
	if end == protocol.EndNoConnection {
		// TLS was to come: why it did not is for who makes it to tell.
		x.verdict, x.reason = protocol.Unfinished, "no TLS"
		return
	}
	if len(rest) > 0 {
		x.hear(rest)
		x.miss(rest)
	}
	s := &x.script.steps[x.at]
	verdict, reason := conclude.Ended(end, err, s.awaited())
	switch end {
	case protocol.EndOfStream:
		x.failed = s.expect != nil
		if x.missed {
			verdict = protocol.Refused
		}
	case protocol.EndTimeout, protocol.EndQuiet:
		reason = s.awaited() + " did not come in time"
	}
	x.fail(verdict, reason+x.lastWords())
}

// lastWords tells what came last, for a reason.
func (x *exchange) lastWords() string {
	if len(x.last) == 0 {
		return ""
	}
	return fmt.Sprintf("; last came %.60q", x.last)
}

// fail ends the conversation in its present step.
func (x *exchange) fail(verdict protocol.Verdict, reason string) protocol.Step {
	x.verdict = verdict
	x.reason = conclude.Quote(fmt.Sprintf("step %d of %d: %s", x.at+1, len(x.script.steps), reason))
	return protocol.Step{Then: protocol.Done}
}

// Conclusion implements [protocol.Exchange]. It is the last call: x goes back to the pool and must not be touched again.
func (x *exchange) Conclusion() protocol.Conclusion {
	c := protocol.Conclusion{Verdict: x.verdict, Reason: x.reason, Finding: x.finding()}
	x.recycle()
	return c
}

// recycle makes x as new and hands it to the pool. Large buffers are not kept: a few long lines must not make every later
// conversation dear.
func (x *exchange) recycle() {
	out := x.out[:0]
	if cap(out) > maxIdle {
		out = nil
	}
	x.lines.Reset()
	*x = exchange{script: x.script, lines: x.lines, send: x.send[:0], out: out, heard: x.heard[:0], last: x.last[:0]}
	x.script.idle.Put(x)
}
