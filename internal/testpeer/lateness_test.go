package testpeer

import (
	"slices"
	"testing"
	"time"
)

func TestStallLeft(t *testing.T) {
	const ms = time.Millisecond
	for running, want := range map[time.Duration]time.Duration{
		0: 200 * ms, 1 * ms: 199 * ms, 199 * ms: ms, 200 * ms: 0, 999 * ms: 0, 1000 * ms: 200 * ms, 61_150 * ms: 50 * ms,
	} {
		if got := stallLeft(running); got != want {
			t.Errorf("after %v: got %v, want %v", running, got, want)
		}
	}
}

// TestLateness holds the percentiles of any thousand answers in a row to a millisecond.
func TestLateness(t *testing.T) {
	for seed := range uint64(20) {
		for _, first := range []uint64{0, 1, 777, 1 << 40} {
			delays := make([]time.Duration, 1000)
			for i := range delays {
				delays[i] = lateness(seed, first+uint64(i))
			}
			slices.Sort(delays)
			for _, percent := range []int{1, 10, 50, 90, 99} {
				got := delays[len(delays)*percent/100]
				want := MinLateness + (MaxLateness-MinLateness)*time.Duration(percent)/100
				if d := (got - want).Abs(); d > time.Millisecond {
					t.Errorf("seed %d, from %d on: p%d is %v, want %v", seed, first, percent, got, want)
				}
			}
			if delays[0] < MinLateness || delays[len(delays)-1] >= MaxLateness {
				t.Errorf("seed %d: got %v to %v", seed, delays[0], delays[len(delays)-1])
			}
		}
	}
	if lateness(1, 1) == lateness(2, 1) {
		t.Error("the seed changes nothing")
	}
}
