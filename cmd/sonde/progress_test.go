package main

import (
	"testing"
	"time"

	"sonde/report"
)

// The rate is that of the last second or two, however often one looks.
func TestRateMeter(t *testing.T) {
	var r rateMeter
	shot := func(at time.Duration, done uint64) float64 {
		return r.take(report.Snapshot{Elapsed: at, Done: done, Rate: -1}).Rate
	}
	if got := shot(500*time.Millisecond, 50); got != 100 {
		t.Errorf("rate after half a second: got %v, want 100", got)
	}
	for at := time.Second; at <= 5*time.Second; at += 200 * time.Millisecond {
		shot(at, uint64(at/(10*time.Millisecond)))
	}
	if got := shot(5200*time.Millisecond, 500); got < 70 || got > 99 {
		t.Errorf("rate of 100 a second when nothing was done for 0.2 s: got %v, want a little below 100", got)
	}
	if got := shot(9*time.Second, 500); got > 50 {
		t.Errorf("rate when nothing was done for 4 s: got %v, want it to fall", got)
	}
	shot(10*time.Second, 500)
	shot(11*time.Second, 500)
	if got := shot(12*time.Second, 500); got != 0 {
		t.Errorf("rate when nothing was done for 7 s: got %v, want 0", got)
	}
}
