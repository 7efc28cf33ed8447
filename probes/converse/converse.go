// Package converse is the probe that holds a conversation as a file describes it: steps in which a line is awaited that
// matches a regular expression, or certain bytes, something is sent in which the line's parts may stand, and TLS begins in the middle. It does
// what the tcp prober of blackbox_exporter does with query_response. It is not for the command line, whose flags can't say
// it: probes/builtin does not list it.
//
//	Begin ─► step: expect? ─┬─ no ──────────────────────────────► send? ─► StartTLS? ─► the next step ... Done
//	                        └─ lines are read until one matches ─►
//
// A line that does not match is passed over. A line ends at LF; a CR before it does not count as a part of it, and the last
// one before the peer's FIN needs no ending.
package converse

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"sonde/probes"
	"sonde/protocol"
	"sonde/protocol/fixed"
	"sonde/target"
)

// Options is a conversation.
type Options struct {
	// Steps are taken in order. Without any, an established connection is all that is wanted.
	Steps []Step
	// TLS makes TLS of an exchange from its StartTLS step on, as the Later of a secure.Layer does. It must be set if one of
	// Steps has StartTLS, and is not used otherwise.
	TLS func(*target.Target, protocol.Exchange) protocol.Handshaker
}

// Step is one step: Expect or Bytes, then Send, then StartTLS. The zero Step does nothing.
type Step struct {
	// Expect is what a line must match; nil awaits none.
	Expect *regexp.Regexp
	// Bytes are what must come, as they are; empty: nothing. At most protocol.MaxFrameSize, and not beside Expect.
	Bytes []byte
	// Labels are what is kept of the line that matched, for [probes.Figures]: Value is a template as that of
	// [regexp.Regexp.Expand] ("${1}").
	Labels []Label
	// Send is sent with a LF behind it. With Expect it is a template, as a Label's Value is; one that comes to nothing, and an
	// empty one, is not sent.
	Send string
	// StartTLS has TLS begin here. At most one step may have it, and none if the probe is over TLS from its first byte.
	StartTLS bool
}

// Label is a name, of letters, digits and "_" and not beginning with a digit, and a template.
type Label struct{ Name, Value string }

// New returns the probe that holds the conversation, or an error that names the step, counted from 1, and what is wrong with
// it. The options are copied, but for the regular expressions.
func New(o Options) (probes.Probe, error) {
	p := &probe{secure: o.TLS, script: script{steps: make([]step, len(o.Steps))}}
	named := map[string]bool{}
	for i := range o.Steps {
		s := &o.Steps[i]
		if err := check(s, named); err != nil {
			return nil, fmt.Errorf("step %d: %w", i+1, err)
		}
		if s.StartTLS {
			if o.TLS == nil {
				return nil, fmt.Errorf("step %d: StartTLS without Options.TLS", i+1)
			}
			if p.startTLS {
				return nil, fmt.Errorf("step %d: TLS has begun before: leave the first or the second out", i+1)
			}
			p.startTLS = true
		}
		p.script.steps[i] = newStep(s)
	}
	return p, nil
}

// labelName is what Prometheus takes for the name of a label.
var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// check finds what is wrong with a step, TLS aside; named has those of the steps before.
func check(s *Step, named map[string]bool) error {
	switch {
	case len(s.Labels) > 0 && s.Expect == nil:
		return errors.New("labels without expect: there is no line to take them from")
	case len(s.Bytes) > 0 && s.Expect != nil:
		return errors.New("both a line and bytes are expected: make two steps of it")
	case len(s.Bytes) > protocol.MaxFrameSize:
		return fmt.Errorf("%d bytes are expected: at most %d can be", len(s.Bytes), protocol.MaxFrameSize)
	}
	for _, l := range s.Labels {
		switch {
		case !labelName.MatchString(l.Name) || strings.HasPrefix(l.Name, "__"):
			return fmt.Errorf("label %q: a name is of letters, digits and _, and begins with no digit and no __", l.Name)
		case named[l.Name]:
			return fmt.Errorf("label %q: there is one of that name", l.Name)
		}
		named[l.Name] = true
	}
	return nil
}

// probe is a conversation. It is immutable.
type probe struct {
	script   script
	secure   func(*target.Target, protocol.Exchange) protocol.Handshaker
	startTLS bool
}

var _ probes.Probe = (*probe)(nil)

// About implements [probes.Probe].
func (p *probe) About() probes.About {
	about := probes.About{
		Name:    "converse",
		Summary: "holds a conversation that a file describes, and is content when all that it awaits has come",
		Reports: []probes.Field{
			{Name: "steps", Type: "integer", Doc: "how many steps the conversation has"},
			{Name: "done", Type: "integer", Doc: "how many were done"},
			{Name: "heard", Type: "string", Doc: "the lines that came, until 1 KiB of them"},
			{Name: "last", Type: "string", Doc: "the line, or the part of one, that came last, if it was not the one awaited"},
			{Name: "labels", Type: "object", Doc: "what was kept of the lines that matched, by name"},
		},
	}
	if p.startTLS {
		about.Reports = append(about.Reports,
			probes.Field{Name: "tls", Type: "object", Doc: "what was learned of TLS; its fields are those of the tls probe"})
	}
	return about
}

// Exchange implements [probes.Probe].
func (p *probe) Exchange(t *target.Target) protocol.Exchange {
	if len(p.script.steps) == 0 {
		return nil
	}
	x := p.script.open()
	if p.startTLS {
		return p.secure(t, x)
	}
	return x
}

// script is what all exchanges of a probe share. It is immutable but for the pool, which is safe for concurrent use.
type script struct {
	steps []step
	// idle holds exchanges whose Conclusion was called: nobody else has them then.
	idle sync.Pool
}

// step is a Step made ready.
type step struct {
	expect   *regexp.Regexp
	bytes    []byte
	exact    *fixed.Parser // of bytes; nil without any
	labels   []label
	line     []byte // what is sent whatever was heard, with its LF; nil: nothing, or a template
	template []byte // what is sent as the line that matched has it, without its LF; nil: line is all
	startTLS bool
}

// label is a Label made ready.
type label struct {
	name     string
	template []byte
}

func newStep(s *Step) step {
	out := step{expect: s.Expect, startTLS: s.StartTLS}
	if len(s.Bytes) > 0 {
		out.bytes, out.exact = bytes.Clone(s.Bytes), fixed.New(fixed.Options{Size: len(s.Bytes)})
	}
	for _, l := range s.Labels {
		out.labels = append(out.labels, label{l.Name, []byte(l.Value)})
	}
	switch {
	case s.Expect != nil && strings.Contains(s.Send, "$"):
		out.template = []byte(s.Send)
	case s.Send != "":
		out.line = []byte(s.Send + "\n")
	}
	return out
}

// awaits reports whether the step wants to hear something.
func (s *step) awaits() bool { return s.expect != nil || s.exact != nil }

// awaited is what the step wants to hear, for a reason.
func (s *step) awaited() string {
	if s.exact != nil {
		return fmt.Sprintf("the bytes %.60q", s.bytes)
	}
	return fmt.Sprintf("a line that matches %#.60q", s.expect)
}

// isTold reports whether it is not enough to know that a line matches.
func (s *step) isTold() bool { return s.template != nil || len(s.labels) > 0 }
