// Package clock is the one place where sonde reads the time. Everything below cmd takes a time as an argument or a
// Clock; the simulated kernel brings a Clock of its own, so that a run over simulated hours takes microseconds.
//
// Inside sonde a moment is an int64: nanoseconds on the monotonic clock since the Clock was made. Moments of two Clocks
// can't be compared. Zero means "no moment"; a Clock never returns it.
package clock

import "time"

// Clock tells the time. Implementations are safe for concurrent use unless they say otherwise.
type Clock interface {
	// Now returns the monotonic time in nanoseconds, always above zero. It never goes back.
	Now() int64
	// Wall converts a moment returned by Now into UTC wall time. It does not follow steps of the wall clock that came
	// after the Clock was made, so that two records of one run always stand in their true order.
	Wall(moment int64) time.Time
}

// RealTime is the machine's wall time now (CLOCK_REALTIME, clock_gettime(2)), in nanoseconds since 1970. It may be set, and is for
// what is told by this clock elsewhere: moments of the kernel's, or of another process, and the validity of certificates.
func RealTime() int64 { return time.Now().UnixNano() }

// Deadline is the moment so long from now for package net, which looks at the wall clock where a Time is of that alone: after a step
// of it, a deadline made by [Clock].Wall would have passed already, or come hours later. This one has a reading of the monotonic clock.
func Deadline(in time.Duration) time.Time { return time.Now().Add(in) }

// System is the machine's clock (CLOCK_MONOTONIC, see clock_gettime(2)).
type System struct{ start time.Time }

var _ Clock = System{}

// NewSystem returns a clock whose moments count from now.
func NewSystem() System { return System{start: time.Now()} }

// Now implements [Clock].
func (s System) Now() int64 { return int64(time.Since(s.start)) + 1 }

// Wall implements [Clock].
func (s System) Wall(moment int64) time.Time { return s.start.Add(time.Duration(moment - 1)).UTC() }
