// Package keep has the connection of a probe stay: where the probe would be done with a good answer, the connection is parked.
package keep

import (
	"sonde/probes"
	"sonde/protocol"
	"sonde/target"
)

// Under returns p with connections that stay. p must be one whose question may be asked again over the same connection: the
// heartbeats are p's question, too. TLS goes above it (secure.Layer.Under).
func Under(p probes.Probe) probes.Probe { return probe{p} }

type probe struct{ probes.Probe }

// Exchange implements [probes.Probe].
func (p probe) Exchange(t *target.Target) protocol.Exchange {
	inner := p.Probe.Exchange(t)
	if inner == nil {
		return silent{}
	}
	return &exchange{inner: inner}
}

// exchange parks where its inner one is done and content. That one has come to its conclusion by then, so it is asked for it
// before what it sends last is written: inner exchanges keep the memory of that.
type exchange struct {
	inner      protocol.Exchange
	conclusion protocol.Conclusion
	concluded  bool
}

func (e *exchange) step(s protocol.Step) protocol.Step {
	if s.Then != protocol.Done {
		return s
	}
	e.conclusion, e.concluded = e.inner.Conclusion(), true
	if e.conclusion.Verdict == protocol.Success {
		s.Then = protocol.Park
	}
	return s
}

func (e *exchange) Begin() protocol.Step                           { return e.step(e.inner.Begin()) }
func (e *exchange) Parser() protocol.FrameParser                   { return e.inner.Parser() }
func (e *exchange) OnFrame(f protocol.Frame) protocol.Step         { return e.step(e.inner.OnFrame(f)) }
func (e *exchange) OnEnd(end protocol.End, rest []byte, err error) { e.inner.OnEnd(end, rest, err) }
func (e *exchange) Conclusion() protocol.Conclusion {
	if e.concluded {
		return e.conclusion
	}
	return e.inner.Conclusion()
}

// silent is the exchange of a probe that says nothing: an established connection is all that is wanted.
type silent struct{}

func (silent) Begin() protocol.Step                 { return protocol.Step{Then: protocol.Park} }
func (silent) Parser() protocol.FrameParser         { return nil }
func (silent) OnFrame(protocol.Frame) protocol.Step { return protocol.Step{Then: protocol.Park} }
func (silent) OnEnd(protocol.End, []byte, error)    {}
func (silent) Conclusion() protocol.Conclusion      { return protocol.Conclusion{} }
