package scan

import (
	"bytes"
	"runtime/pprof"
	"testing"
	"time"
)

// runLimit is how long a scan of a test may take: far more than any needs under the race detector on a busy machine, and
// less than the limit of the test binary, so that a hang is told with the goroutines that hang.
const runLimit = 15 * time.Second

// within has f end before runLimit, or shows where all goroutines stand.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	limit := time.NewTimer(runLimit)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
		var stacks bytes.Buffer
		pprof.Lookup("goroutine").WriteTo(&stacks, 1)
		t.Fatalf("%s has not ended after %v:\n%s", what, runLimit, stacks.Bytes())
	}
}
