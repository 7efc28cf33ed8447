package engine

import (
	"testing"
	"time"

	"sonde/internal/kernel/socket"
	"sonde/internal/testpeer"
	"sonde/protocol"
)

// TestNoLoopHoards gives four loops with one connection each as many jobs that nobody answers, and ends those that are open
// once there are four: a loop that took more than it can dial would leave the others without any.
func TestNoLoopHoards(t *testing.T) {
	const loops, jobs = 4, 16
	peer := testpeer.New(t, testpeer.Silent, testpeer.Options{})
	opened := make(announcer, jobs)
	e, err := New(Config{Loops: loops, Connections: loops, Strict: true, Profiles: []Profile{{Dialogue: opened, Limits: patient, Reset: true}}})
	if err != nil {
		t.Fatal(err)
	}
	list := make([]Job, jobs)
	for i := range list {
		list[i] = Job{ID: uint64(i), Remote: socket.AddrFrom(peer.Addr(), 0)}
	}
	if n, err := e.Submit(t.Context(), list); n != jobs || err != nil {
		t.Fatalf("got %d jobs taken, %v; want all %d", n, err, jobs)
	}
	for range jobs / loops {
		var ids []uint64
		for limit := time.After(patient.Read / 2); len(ids) < loops; {
			select {
			case id := <-opened:
				ids = append(ids, id)
			case <-limit:
				t.Fatalf("only %d of %d loops have a connection", len(ids), loops)
			}
		}
		e.End(ids)
		for _, o := range outcomesOf(e, loops) {
			if o.Cause != Cancelled {
				t.Errorf("job %d: got cause %d, want it ended", o.ID, o.Cause)
			}
		}
	}
	end(t, e)
}

// announcer tells whose exchange was opened.
type announcer chan uint64

func (a announcer) Open(id uint64) protocol.Exchange {
	a <- id
	return &listening{}
}
