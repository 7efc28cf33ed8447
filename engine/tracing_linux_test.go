package engine

import (
	"bytes"
	"runtime/trace"
	"testing"
)

// TestTracing asks for the names of the task and of all phases in an execution trace that holds one batch: names are kept as
// they are in the trace's table of strings.
func TestTracing(t *testing.T) {
	var b bytes.Buffer
	if err := trace.Start(&b); err != nil {
		t.Fatal(err)
	}
	e, err := New(Config{Loops: 1, Strict: true, Profiles: []Profile{{Dialogue: listener{}}}})
	if err != nil {
		trace.Stop()
		t.Fatal(err)
	}
	e.Finish()
	err = e.Wait()
	trace.Stop()
	if err != nil {
		t.Error(err)
	}
	for _, name := range []string{"loop", "events", "timers", "admit", "deliver"} {
		if !bytes.Contains(b.Bytes(), append([]byte{byte(len(name))}, name...)) {
			t.Errorf("the trace has no %q", name)
		}
	}
}

// TestTracingOff: a loop that nobody traces pays no allocation for it.
func TestTracingOff(t *testing.T) {
	var tr tracing
	tr.begin()
	got := testing.AllocsPerRun(100, func() {
		tr.batch("events")
		tr.next("timers")
		tr.batchEnd()
	})
	tr.end()
	if got != 0 {
		t.Errorf("got %v allocations a batch, want 0", got)
	}
}
