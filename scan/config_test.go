package scan

import (
	"errors"
	"math"
	"testing"
)

// TestRateOutOfRange gives rates that no limiter can hold: an error for the user, not a panic.
func TestRateOutOfRange(t *testing.T) {
	for _, perSecond := range []float64{-1, 0.001, 20e6, math.NaN(), math.Inf(1)} {
		s, err := New(Config{Args: []string{"127.0.0.1:1"}, Rate: perSecond})
		if s != nil {
			s.Close()
		}
		var usage *UsageError
		if !errors.As(err, &usage) || usage.Flag != "--rate" {
			t.Errorf("rate %v: got %v, want a UsageError of --rate", perSecond, err)
		}
	}
}
