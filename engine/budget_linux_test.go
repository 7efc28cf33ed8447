package engine

import (
	"testing"
	"time"

	"sonde/internal/kernel/socket"
	"sonde/internal/testpeer"
)

// TestBudget: a job that says what its target has left ends when that is spent, and one that has more left than its profile gives
// ends by the profile.
func TestBudget(t *testing.T) {
	const budget = 50 * time.Millisecond
	silent := testpeer.New(t, testpeer.Silent, testpeer.Options{})
	e, err := New(Config{Loops: 1, Strict: true, Profiles: []Profile{
		{Dialogue: listener{}, Reset: true, Limits: Limits{Read: time.Hour, Target: time.Hour}},
		{Dialogue: listener{}, Reset: true, Limits: Limits{Read: time.Hour, Target: budget}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	remote := socket.AddrFrom(silent.Addr(), 0)
	jobs := []Job{{ID: 0, Remote: remote, Budget: budget}, {ID: 1, Remote: remote, Profile: 1, Budget: time.Hour}}
	if _, err := e.Submit(t.Context(), jobs); err != nil {
		t.Fatal(err)
	}
	e.Finish()
	n := 0
	for more := true; more; {
		<-e.Ready()
		var outcomes []Outcome
		outcomes, more = e.Outcomes(nil)
		for _, o := range outcomes {
			n++
			if o.Cause != TargetTimeout || o.Total < budget {
				t.Errorf("job %d: got cause %d after %v, want the target's time spent after %v", o.ID, o.Cause, o.Total, budget)
			}
		}
	}
	if err := e.Wait(); err != nil || n != 2 {
		t.Errorf("got %d outcomes, %v; want 2", n, err)
	}
}
