// Package retry says whether a target that failed is asked again, and when: faults that pass by themselves are, inside the time that
// the target has, with delays that grow and are drawn at random, so that those that failed together do not come back together. It
// has no clock and no lock.
package retry

import (
	"fmt"
	"math/rand/v2"
	"time"

	"sonde/report"
)

// Settings are what the targets of one kind share. The zero value repeats nothing.
type Settings struct {
	// Retries is how often a target is asked again at most, 0 to Max.
	Retries int
	// Delay is the mean of the first wait; default 200 ms. It doubles with each, up to MaxDelay; default 10 s.
	Delay, MaxDelay time.Duration
	// Budget is the time from the first dial in which the last must begin; 0: no limit.
	Budget time.Duration
}

// Max is the most retries.
const Max = 100

// Defaults of Settings.
const (
	DefaultDelay    = 200 * time.Millisecond
	DefaultMaxDelay = 10 * time.Second
)

// Check says what is wrong with s.
func (s Settings) Check() error {
	switch {
	case s.Retries < 0 || s.Retries > Max:
		return fmt.Errorf("%d retries: want 0 to %d", s.Retries, Max)
	case s.Delay < 0 || s.MaxDelay < 0 || s.Budget < 0:
		return fmt.Errorf("a time below 0: delay %v, at most %v, budget %v", s.Delay, s.MaxDelay, s.Budget)
	}
	return nil
}

// Transient reports whether a fault may pass by itself: nothing was heard of the target, or not to the end, or this machine had
// not what it takes. What the target said, it would say again; what was excluded or cancelled is not asked at all.
func Transient(s report.Status) bool {
	switch s {
	case report.ConnectionTimeout, report.ConnectionReset, report.ConnectionClosed, report.TLSTimeout, report.IOTimeout,
		report.HostUnreachable, report.NetworkUnreachable, report.DNSError, report.LocalFDLimit, report.LocalPortExhausted:
		return true
	}
	return false
}

// Next returns how long to wait before a target is asked again that has been asked so many times, of which the first began so long
// ago; false if it is not asked again. The wait is drawn evenly from 0 to twice its mean (full jitter, Brooker, "Exponential
// Backoff and Jitter", 2015).
func (s *Settings) Next(rng *rand.Rand, status report.Status, asked int, since time.Duration) (wait time.Duration, again bool) {
	if asked > s.Retries || !Transient(status) {
		return 0, false
	}
	wait = s.Delayed(rng, asked)
	if s.Budget > 0 && since+wait >= s.Budget {
		return 0, false
	}
	return wait, true
}

// Delayed is the wait behind so many attempts that failed, whatever their number.
func (s *Settings) Delayed(rng *rand.Rand, failed int) time.Duration {
	mean, most := s.Delay, s.MaxDelay
	if mean == 0 {
		mean = DefaultDelay
	}
	if most == 0 {
		most = DefaultMaxDelay
	}
	for ; failed > 1 && mean < most; failed-- {
		mean *= 2
	}
	return time.Duration(rng.Int64N(2*int64(min(mean, most)) + 1))
}
