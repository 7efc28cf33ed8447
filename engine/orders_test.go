package engine

import (
	"testing"
	"time"

	"sonde/internal/kernel/socket"
	"sonde/internal/testpeer"
)

// TestEnd ends jobs in the intake, in the loops and on the wire, while others are handed over: each comes back, once.
func TestEnd(t *testing.T) {
	peer := testpeer.New(t, testpeer.Silent, testpeer.Options{})
	limits := Limits{Connect: time.Hour, Read: time.Hour}
	e, err := New(Config{Loops: 2, Connections: 40, Strict: true, Profiles: []Profile{{Dialogue: listener{}, Reset: true, Limits: limits}}})
	if err != nil {
		t.Fatal(err)
	}
	const jobs, batch = 3000, 100 // what is not ended at once fits into the intake
	go func() {
		for first := range jobs / batch {
			list, ids := make([]Job, batch), make([]uint64, batch)
			for i := range list {
				ids[i] = uint64(first*batch + i)
				list[i] = Job{ID: ids[i], Remote: socket.AddrFrom(peer.Addr(), 0)}
			}
			if _, err := e.Submit(t.Context(), list); err != nil {
				t.Error(err)
			}
			if first%5 > 0 { // the others wait in the intake, behind what is never answered
				e.End(ids)
			} else {
				defer e.End(ids)
			}
		}
	}()
	seen := make([]int, jobs)
	for _, o := range outcomesOf(e, jobs) {
		if seen[o.ID]++; o.Cause != NotDialed && o.Cause != Cancelled {
			t.Errorf("job %d: got cause %d, want one of a job that was ended", o.ID, o.Cause)
		}
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("job %d came back %d times, want once", id, n)
		}
	}
	end(t, e)
	e.End([]uint64{1}) // there is nobody to ask
}
