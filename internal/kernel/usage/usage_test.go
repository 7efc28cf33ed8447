package usage

import (
	"runtime"
	"testing"
	"time"
)

// TestCPU burns CPU and sees it counted, and counted once.
func TestCPU(t *testing.T) {
	before, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for n := uint32(1); time.Since(start) < 50*time.Millisecond || n == 0; n = n*1664525 + 1013904223 {
	}
	after, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	used, most := after.CPU()-before.CPU(), time.Since(start)*time.Duration(runtime.NumCPU()+1)
	if used <= 0 || used > most {
		t.Errorf("got %v of CPU time for %v of work, want above 0 and at most %v", used, time.Since(start), most)
	}
	if only, err := CPU(); err != nil || only < after.CPU() {
		t.Errorf("CPU: got %v, %v; want at least %v", only, err, after.CPU())
	}
}
