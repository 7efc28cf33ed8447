package engine

import (
	"testing"
	"time"

	"sonde/internal/kernel/socket"
	"sonde/internal/testpeer"
	"sonde/protocol"
)

// TestSetProfile adds and replaces profiles while loops run: each job is treated by what its profile was when it was handed over.
func TestSetProfile(t *testing.T) {
	peer := testpeer.New(t, testpeer.SSH, testpeer.Options{})
	limits := Limits{Connect: time.Minute, Read: time.Minute}
	connects, listens := Profile{Reset: true, Limits: limits}, Profile{Dialogue: listener{}, Reset: true, Limits: limits}
	e, err := New(Config{Loops: 2, Strict: true, Profiles: []Profile{connects}})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.SetProfile(2, listens); err == nil {
		t.Error("a profile was set beyond the end")
	}
	// In flight at each moment are jobs of one profile, while another is replaced or added.
	const rounds, jobs = 50, 10
	for i := range rounds {
		for _, p := range []struct {
			index   uint16
			profile Profile
			heard   bool
		}{{uint16(i + 1), listens, true}, {1, connects, false}} {
			if err := e.SetProfile(p.index, p.profile); err != nil {
				t.Fatal(err)
			}
			for range jobs {
				if n, err := e.Offer([]Job{{Remote: socket.AddrFrom(peer.Addr(), 0), Profile: p.index}}); n != 1 || err != nil {
					t.Fatalf("got %d, %v; want the job taken", n, err)
				}
			}
			for _, o := range outcomesOf(e, jobs) {
				if o.Cause != Answered || (o.FirstByte != Absent) != p.heard {
					t.Fatalf("round %d, profile %d: got cause %d, the first byte after %v; want one: %v", i, p.index, o.Cause, o.FirstByte, p.heard)
				}
			}
		}
	}
	end(t, e)
}

// outcomesOf waits for so many outcomes, or the end.
func outcomesOf(e *Engine, n int) (outcomes []Outcome) {
	for more := true; more && len(outcomes) < n; {
		<-e.Ready()
		outcomes, more = e.Outcomes(outcomes)
	}
	return outcomes
}

// end ends an engine, and wants to see nothing left.
func end(t *testing.T, e *Engine) {
	t.Helper()
	e.Abort()
	for _, more := e.Outcomes(nil); more; _, more = e.Outcomes(nil) {
		<-e.Ready()
	}
	if err := e.Wait(); err != nil {
		t.Error(err)
	}
	if s := e.Stats(); s.Opened != s.Closed || s.InFlight != 0 || s.Illegal != 0 || s.Buffers.InUseRings != 0 {
		t.Errorf("opened %d, closed %d, in flight %d, illegal %d, rings %d", s.Opened, s.Closed, s.InFlight, s.Illegal, s.Buffers.InUseRings)
	}
}

// listener is content with five bytes.
type listener struct{}

func (listener) Open(uint64) protocol.Exchange { return &listening{} }

type listening struct{ verdict protocol.Verdict }

func (*listening) Begin() protocol.Step                 { return protocol.Step{} }
func (*listening) Parser() protocol.FrameParser         { return simParser(5) }
func (*listening) OnFrame(protocol.Frame) protocol.Step { return protocol.Step{Then: protocol.Done} }
func (x *listening) OnEnd(protocol.End, []byte, error)  { x.verdict = protocol.Unfinished }
func (x *listening) Conclusion() protocol.Conclusion    { return protocol.Conclusion{Verdict: x.verdict} }
