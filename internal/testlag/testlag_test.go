package testlag

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// TestWatch: where timers are never late there is no lag, and who takes the only CPU makes one.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := Watch()
		time.Sleep(time.Second)
		if got := stop(); got != 0 {
			t.Errorf("got a lag of %v of a clock that waits for all", got)
		}
	})
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	stop := Watch()
	runtime.Gosched()
	for began := time.Now(); time.Since(began) < 100*time.Millisecond; { // goroutines are preempted after 10 ms
	}
	if got := stop(); got < 2*time.Millisecond {
		t.Errorf("got a lag of %v, want that of a goroutine that had the CPU for itself", got)
	}
}
