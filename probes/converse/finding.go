package converse

import (
	"sonde/internal/jsonappend"
	"sonde/probes"
	"sonde/probes/internal/conclude"
)

// finding is what was heard, and how far the conversation came.
type finding struct {
	steps, done int
	heard, last string
	expect      []probes.Capture // nil: no line that was awaited came
	judges      bool             // by regular expressions
	failed      bool             // by one of them
}

var _ probes.Measured = (*finding)(nil)

// finding copies what x learned.
func (x *exchange) finding() *finding {
	f := &finding{steps: len(x.script.steps), done: x.at, expect: x.expect, failed: x.failed}
	f.heard, f.last = conclude.Text(x.heard), conclude.Received(x.last)
	for i := range x.script.steps {
		if x.script.steps[i].expect == nil {
			continue
		}
		f.judges = true
		if i < x.at && f.expect == nil {
			f.expect = []probes.Capture{}
		}
	}
	return f
}

// AppendJSON implements [protocol.Finding].
func (f *finding) AppendJSON(dst []byte) []byte {
	o := jsonappend.Begin(dst)
	o.Int("steps", int64(f.steps))
	o.Int("done", int64(f.done))
	conclude.AddText(&o, "heard", f.heard)
	conclude.AddText(&o, "last", f.last)
	if len(f.expect) > 0 {
		o.Raw("labels", func(dst []byte) []byte {
			labels := jsonappend.Begin(dst)
			for _, c := range f.expect {
				labels.String(c.Name, c.Value)
			}
			return labels.End()
		})
	}
	return o.End()
}

// Brief implements [protocol.Finding].
func (f *finding) Brief() string {
	if f.last != "" {
		return conclude.Quote(f.last)
	}
	return conclude.Quote(f.heard)
}

// Figures implements [probes.Measured].
func (f *finding) Figures(out *probes.Figures) {
	out.Expect = f.expect
	if f.judges {
		out.RegexpFailed = &f.failed
	}
}
