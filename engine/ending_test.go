package engine

import (
	"strings"
	"testing"
	"time"
)

// TestTotalRunsToTheVerdict has peers that speak first and a loop that comes late: what it says to them and their answer
// are of one batch, and the total is to tell of it all the same.
func TestTotalRunsToTheVerdict(t *testing.T) {
	s := &stage{t: t}
	s.options.Faults.Late, s.options.Faults.LateMax = 1, 50*time.Millisecond
	s.cfg = Config{Loops: 1, Strict: true, Profiles: []Profile{{Limits: worldLimits}}}
	for line := range strings.Lines(`profile reset
		job handshake, say hello, hear server-hello, done | accept, send server-hello
		job say hello, hear server-hello, done | accept, send server-hello
		job say hello, hear server-hello, done | accept, send garbage-garbage`) {
		s.obey(strings.TrimSpace(line))
	}
	s.build()
	verdicts := map[uint32]int64{} // by slot, which each job has for itself
	s.loop.observe = func(slot uint32, _, to State) {
		if to == Closing {
			verdicts[slot] = s.kernel.Now()
		}
	}
	if err := s.loop.run(); err != nil {
		t.Fatal(err)
	}
	outcomes, _ := s.engine.Outcomes(nil)
	if len(outcomes) != 3 {
		t.Fatalf("got %d outcomes, want 3", len(outcomes))
	}
	for _, o := range outcomes {
		const call = int64(time.Microsecond) // the least that any takes, and none comes between
		if ended := o.DialedAt + int64(o.Total); verdicts[uint32(o.ID)]-ended >= call {
			t.Errorf("job %d: got a total of %v (connect %v), want %v", o.ID, o.Total, o.Connect, time.Duration(verdicts[uint32(o.ID)]-o.DialedAt))
		}
	}
}
