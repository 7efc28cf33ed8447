package loop

import (
	"bytes"
	"crypto/tls"
	"errors"
	"sync"

	"sonde/bench/transport"
	"sonde/protocol"
	"sonde/protocol/fixed"
	"sonde/report"
)

// pooled opens exchanges that go back to a pool at their Conclusion, as those of probes do.
type pooled[T protocol.Exchange] struct {
	pool  sync.Pool
	reset func(t T, id uint64)
}

// Open implements [protocol.Dialogue].
func (p *pooled[T]) Open(id uint64) protocol.Exchange {
	x := p.pool.Get().(T)
	p.reset(x, id)
	return x
}

// talker says the line until there is no operation left.
type talker struct {
	run     *run
	home    *sync.Pool
	send    [][]byte
	parser  *fixed.Parser
	slot    int
	saidAt  int64
	verdict protocol.Verdict
}

func newTalkers(r *run) protocol.Dialogue {
	d := &pooled[*talker]{reset: func(x *talker, id uint64) { x.slot, x.verdict = int(id), protocol.Success }}
	send := [][]byte{r.job.Payload}
	parser := fixed.New(fixed.Options{Size: len(r.job.Payload)}) // it has no state: one for all
	d.pool.New = func() any { return &talker{run: r, home: &d.pool, send: send, parser: parser} }
	return d
}

// Begin implements [protocol.Exchange].
func (x *talker) Begin() protocol.Step {
	x.saidAt = x.run.job.Clock.Now()
	return protocol.Step{Send: x.send}
}

// Parser implements [protocol.Exchange].
func (x *talker) Parser() protocol.FrameParser { return x.parser }

// OnFrame implements [protocol.Exchange].
func (x *talker) OnFrame(f protocol.Frame) protocol.Step {
	if !x.hear(f) {
		return protocol.Step{Then: protocol.Done}
	}
	if _, ok := x.run.tally.Take(); !ok {
		return protocol.Step{Then: protocol.Done}
	}
	return x.Begin()
}

// hear counts a line that came back.
func (x *talker) hear(f protocol.Frame) (ok bool) {
	if !bytes.Equal(f.Data, x.run.job.Payload) {
		x.verdict = protocol.NotSpoken
		return false
	}
	x.run.tally.Done(x.slot, x.run.since(x.saidAt))
	return true
}

// OnEnd implements [protocol.Exchange]: the line did not come back whole.
func (x *talker) OnEnd(protocol.End, []byte, error) { x.verdict = protocol.Unfinished }

// Conclusion implements [protocol.Exchange].
func (x *talker) Conclusion() protocol.Conclusion {
	c := protocol.Conclusion{Verdict: x.verdict}
	x.home.Put(x)
	return c
}

// keeper parks a connection at once, and after each ping.
type keeper struct {
	talker
	first bool // the connection is new: it is parked without a word
}

func newKeepers(r *run) protocol.Dialogue {
	known := make([]bool, r.job.Connections) // each by the loop that has the connection
	d := &pooled[*keeper]{reset: func(x *keeper, id uint64) {
		x.slot, x.verdict, x.first = int(id), protocol.Success, !known[id]
		known[id] = true
	}}
	send := [][]byte{r.job.Payload}
	parser := fixed.New(fixed.Options{Size: max(len(r.job.Payload), 1)})
	d.pool.New = func() any { return &keeper{talker: talker{run: r, home: &d.pool, send: send, parser: parser}} }
	return d
}

// Begin implements [protocol.Exchange].
func (x *keeper) Begin() protocol.Step {
	if x.first {
		return protocol.Step{Then: protocol.Park}
	}
	return x.talker.Begin()
}

// OnFrame implements [protocol.Exchange].
func (x *keeper) OnFrame(f protocol.Frame) protocol.Step {
	if !x.hear(f) {
		return protocol.Step{Then: protocol.Done}
	}
	return protocol.Step{Then: protocol.Park}
}

// Conclusion implements [protocol.Exchange].
func (x *keeper) Conclusion() protocol.Conclusion {
	c := protocol.Conclusion{Verdict: x.verdict}
	x.home.Put(x) // all of it, not only the talker
	return c
}

// shaker is a TLS handshake and nothing else.
type shaker struct {
	home    *sync.Pool
	cfg     *tls.Config
	verdict protocol.Verdict
}

var _ protocol.Handshaker = (*shaker)(nil)

func newShakers(cfg *tls.Config) protocol.Dialogue {
	d := &pooled[*shaker]{reset: func(x *shaker, _ uint64) { x.verdict = protocol.Success }}
	d.pool.New = func() any { return &shaker{home: &d.pool, cfg: cfg} }
	return d
}

// Handshake implements [protocol.Handshaker].
func (x *shaker) Handshake() (protocol.Security, *tls.Config) { return protocol.TLSNow, x.cfg }

// OnHandshake implements [protocol.Handshaker].
func (x *shaker) OnHandshake(h *protocol.Handshake) bool {
	switch {
	case h.Err == nil:
	case errors.Is(h.Err, protocol.ErrHandshakeCut):
		x.verdict = protocol.Unfinished // the outcome tells by what
	case transport.StatusOf(transport.Shaking, h.Err) == report.CertificateError:
		x.verdict = protocol.Untrusted
	default:
		x.verdict = protocol.HandshakeRefused
	}
	return h.Err == nil
}

// OnControl implements [protocol.Handshaker].
func (x *shaker) OnControl() protocol.Step { return protocol.Step{} }

// Begin implements [protocol.Exchange].
func (x *shaker) Begin() protocol.Step { return protocol.Step{Then: protocol.Done} }

// Parser implements [protocol.Exchange]. Nothing is read.
func (x *shaker) Parser() protocol.FrameParser { return fixed.New(fixed.Options{Size: 1}) }

// OnFrame implements [protocol.Exchange].
func (x *shaker) OnFrame(protocol.Frame) protocol.Step { return protocol.Step{Then: protocol.Done} }

// OnEnd implements [protocol.Exchange].
func (x *shaker) OnEnd(protocol.End, []byte, error) { x.verdict = protocol.Unfinished }

// Conclusion implements [protocol.Exchange].
func (x *shaker) Conclusion() protocol.Conclusion {
	c := protocol.Conclusion{Verdict: x.verdict}
	x.home.Put(x)
	return c
}
