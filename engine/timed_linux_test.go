package engine

import (
	"crypto/tls"
	"syscall"
	"testing"
	"time"

	"sonde/internal/clock"
	"sonde/internal/simkernel"
	"sonde/protocol"
)

// timing asks and hears one frame, and notes when it was begun and when what it heard last had come.
type timing struct {
	clk            clock.Clock
	parser         protocol.FrameParser
	tls            *tls.Config
	begun, at, now int64
}

var _ protocol.Timed = (*timing)(nil)

func (x *timing) Begin() protocol.Step {
	x.begun = x.clk.Now()
	if x.tls != nil { // the server says the first word
		return protocol.Step{}
	}
	return protocol.Step{Send: [][]byte{[]byte("ask")}}
}
func (x *timing) Arrived(at, now int64)               { x.at, x.now = at, now }
func (x *timing) Parser() protocol.FrameParser        { return x.parser }
func (x *timing) OnEnd(protocol.End, []byte, error)   {}
func (x *timing) Conclusion() (c protocol.Conclusion) { return c }
func (x *timing) OnFrame(protocol.Frame) protocol.Step {
	return protocol.Step{Then: protocol.Done}
}
func (x *timing) Handshake() (protocol.Security, *tls.Config) {
	if x.tls == nil {
		return protocol.TLSNever, nil
	}
	return protocol.TLSNow, x.tls
}
func (x *timing) OnHandshake(h *protocol.Handshake) bool { return h.Err == nil }
func (x *timing) OnControl() protocol.Step               { return protocol.Step{} }

// timings are the exchanges of jobs, by id.
type timings []*timing

func (all timings) Open(id uint64) protocol.Exchange { return all[id] }

// play has each exchange meet the peer of the same index, and returns the outcomes by index.
func (all timings) play(t *testing.T, cfg Config, m meddling, peers ...simkernel.Script) []Outcome {
	t.Helper()
	w := &world{kernel: simkernel.New(simkernel.Options{})}
	cfg.Profiles[0].Dialogue = all
	cfg.Loops, cfg.Clock, cfg.Strict = 1, w.kernel, true
	w.cfg = cfg.withDefaults()
	w.engine = &Engine{cfg: w.cfg, shared: newShared(&w.cfg)}
	w.engine.shared.wake = w.kernel.Wake
	m.Sockets = w.kernel.Sockets()
	w.loop = newLoop(&w.engine.cfg, w.engine.shared, 0, w.kernel, m)
	jobs := make([]Job, len(all))
	for i, x := range all {
		x.clk = w.kernel
		jobs[i] = Job{ID: uint64(i), Remote: address(i)}
		w.kernel.Peer(jobs[i].Remote, peers[i])
	}
	if _, err := w.engine.Submit(t.Context(), jobs); err != nil {
		t.Fatal(err)
	}
	w.engine.Finish()
	if err := w.loop.run(); err != nil {
		t.Fatal(err)
	}
	w.checkRemains()
	for _, p := range w.problems {
		t.Error(p)
	}
	outcomes, _ := w.engine.Outcomes(nil)
	ends := make([]Outcome, len(all))
	for _, o := range outcomes {
		ends[o.ID] = o
	}
	return ends
}

// isNear reports whether got is want, but for the time that some calls take.
func isNear(got, want time.Duration) bool { return (got - want).Abs() < 100*time.Microsecond }

// TestTheEndArrives: an answer that the end of the stream ends has come when that has.
func TestTheEndArrives(t *testing.T) {
	x := &timing{parser: toTheEnd{simParser(1 << 10)}}
	o := timings{x}.play(t, Config{Profiles: []Profile{{Reset: true}}}, meddling{}, simkernel.Script{Steps: []simkernel.Step{
		simkernel.Expect([]byte("ask")), simkernel.Send([]byte("body")), simkernel.Wait(300 * time.Millisecond), simkernel.CloseWrite(), simkernel.Hold(),
	}})[0]
	if got, want := time.Duration(x.at-x.begun), simkernel.DefaultRTT+300*time.Millisecond; !isNear(got, want) || x.now < x.at {
		t.Errorf("the answer came after %v, want %v, when its end did", got, want)
	}
	if o.Cause != Answered || !isNear(o.FirstByte, simkernel.DefaultRTT) {
		t.Errorf("got cause %d, first byte after %v; want that after %v", o.Cause, o.FirstByte, simkernel.DefaultRTT)
	}
}

// TestArrivalWithoutABuffer: an answer that lies there until a buffer comes free has come when it was told of.
func TestArrivalWithoutABuffer(t *testing.T) {
	const wait = 1900 * time.Millisecond
	greedy, x := &timing{parser: simParser(2)}, &timing{parser: simParser(2)}
	ends := timings{greedy, x}.play(t, Config{BufferBytes: 1 << 10, Profiles: []Profile{{Reset: true}}}, meddling{},
		simkernel.Script{Steps: []simkernel.Step{simkernel.Send([]byte("a")), simkernel.Wait(wait), simkernel.Send([]byte("a")), simkernel.Hold()}},
		simkernel.Script{Steps: []simkernel.Step{simkernel.Expect([]byte("ask")), simkernel.Send([]byte("bb")), simkernel.Hold()}})
	if got := time.Duration(x.at - x.begun); !isNear(got, simkernel.DefaultRTT) || time.Duration(x.now-x.at) < wait-2*simkernel.DefaultRTT {
		t.Errorf("the answer came after %v, %v before it was read; want %v, and some %v before", got, time.Duration(x.now-x.at), simkernel.DefaultRTT, wait)
	}
	if o := ends[1]; o.Cause != Answered || !isNear(o.FirstByte, simkernel.DefaultRTT) || o.Total < wait {
		t.Errorf("got cause %d, first byte after %v, %v in all; want that after %v, of some %v", o.Cause, o.FirstByte, o.Total, simkernel.DefaultRTT, wait)
	}
}

// TestArrivalWithTheHandshake: what came with the end of a TLS handshake has come with that.
func TestArrivalWithTheHandshake(t *testing.T) {
	w := &world{} // only its list of servers
	x := &timing{parser: simParser(5), tls: simTLS().client}
	step := w.serve(simTLS().server12, 0, func(_ *simServer, c *tls.Conn) error {
		if _, err := c.Write([]byte("hello")); err != nil { // shakes hands first
			return err
		}
		return hold(c)
	})
	o := timings{x}.play(t, Config{Profiles: []Profile{{Reset: true}}}, meddling{}, simkernel.Script{Steps: []simkernel.Step{step}})[0]
	for _, s := range w.servers {
		s.stop()
	}
	if before := time.Duration(x.begun - x.at); o.Cause != Answered || before < 0 || before > 100*time.Microsecond {
		t.Errorf("got cause %d, and what came %v before the exchange was begun; want it to come right before", o.Cause, before)
	}
}

// TestStampBeforeTheRequest: what the kernel stamped earlier than its request was written came with that, and not when it was
// read.
func TestStampBeforeTheRequest(t *testing.T) {
	x := &timing{parser: simParser(4)}
	longAgo := func() int64 { return clock.RealTime() - int64(time.Hour) }
	o := timings{x}.play(t, Config{Profiles: []Profile{{Reset: true, KernelTimestamps: true}}}, meddling{stamp: longAgo}, simkernel.Script{
		Steps: []simkernel.Step{simkernel.Expect([]byte("ask")), simkernel.Send([]byte("body")), simkernel.Hold()},
	})[0]
	if got := time.Duration(x.at - x.begun); o.Cause != Answered || !isNear(got, 0) {
		t.Errorf("got cause %d, and an answer %v after its request, want it at once", o.Cause, got)
	}
}

// TestTheWriteCounts: a request counts from before its write, which may take longer than the answer.
func TestTheWriteCounts(t *testing.T) {
	const long = 2 * time.Millisecond
	x := &timing{parser: simParser(4)}
	slowly := func() (syscall.Errno, bool) {
		for until := x.clk.Now() + int64(long); x.clk.Now() < until; {
		}
		return 0, false
	}
	o := timings{x}.play(t, Config{Profiles: []Profile{{Reset: true}}}, meddling{writev: slowly}, simkernel.Script{
		Steps: []simkernel.Step{simkernel.Expect([]byte("ask")), simkernel.Send([]byte("body")), simkernel.Hold()},
	})[0]
	if want := long + simkernel.DefaultRTT; o.Cause != Answered || !isNear(o.FirstByte, want) {
		t.Errorf("got cause %d, first byte after %v, want %v", o.Cause, o.FirstByte, want)
	}
}
