package engine

import (
	"testing"
	"time"

	"sonde/internal/kernel/socket"
	"sonde/internal/testpeer"
)

// TestNoLoopHoards gives four loops with one connection each as many jobs that take their whole limit: a loop that took
// more than it can dial would serve them one after another while the others sleep.
func TestNoLoopHoards(t *testing.T) {
	peer := testpeer.New(t, testpeer.Silent, testpeer.Options{})
	jobs := make([]Job, 16)
	for i := range jobs {
		jobs[i] = Job{ID: uint64(i), Remote: socket.AddrFrom(peer.Addr(), 0)}
	}
	const limit = 200 * time.Millisecond
	e, err := New(Config{Loops: 4, Connections: 4, Strict: true, Profiles: []Profile{
		{Dialogue: listener{}, Limits: Limits{Read: limit}, Reset: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if n, err := e.Submit(t.Context(), jobs); n != len(jobs) || err != nil {
		t.Fatalf("got %d jobs taken, %v; want all %d", n, err, len(jobs))
	}
	e.Finish()
	var outcomes []Outcome
	for more := true; more; {
		<-e.Ready()
		outcomes, more = e.Outcomes(outcomes)
	}
	if err := e.Wait(); err != nil {
		t.Error(err)
	}
	if len(outcomes) != len(jobs) {
		t.Errorf("got %d outcomes, want %d", len(outcomes), len(jobs))
	}
	// Four turns of 200 ms are enough; one loop alone takes 3.2 s.
	if took := time.Since(start); took > 8*limit {
		t.Errorf("took %v, want about %v: only %d connections were in flight at once", took, 4*limit, e.Stats().InFlightMax)
	}
}
