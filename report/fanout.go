package report

import "errors"

// FanOut hands each record to several sinks. A sink that fails is left alone from then on; the others go on, so that a
// full disk does not lose what goes to a pipe.
type FanOut struct {
	sinks  []Sink
	errs   []error // by sink; the first error of each
	alive  int
	taken  uint64
	closed bool
}

var _ Sink = (*FanOut)(nil)

// NewFanOut returns a sink over sinks, which it owns from now on. Without any sink it takes every record and keeps none.
func NewFanOut(sinks ...Sink) *FanOut {
	return &FanOut{sinks: sinks, errs: make([]error, len(sinks)), alive: len(sinks)}
}

// Write implements [Sink]. It fails only when no sink is left that takes the record; Err tells of single failures.
func (f *FanOut) Write(r *Record) error {
	return f.each(func(s Sink) error { return s.Write(r) }, &f.taken)
}

// Flush implements [Sink]. It fails only when no sink is left.
func (f *FanOut) Flush() error { return f.each(Sink.Flush, nil) }

// each calls do on every sink that has not failed yet, and counts in taken, if given, that one of them succeeded.
func (f *FanOut) each(do func(Sink) error, taken *uint64) error {
	for i, s := range f.sinks {
		if f.errs[i] != nil {
			continue
		}
		if err := do(s); err != nil {
			f.errs[i] = err
			f.alive--
		}
	}
	if f.alive == 0 && len(f.sinks) > 0 {
		return f.Err()
	}
	if taken != nil {
		*taken++
	}
	return nil
}

// Records is the number of records that at least one sink has taken (or that were given, if there are no sinks).
func (f *FanOut) Records() uint64 { return f.taken }

// Err returns the errors of the sinks that have failed so far, joined, or nil. errors.Is and errors.As see each of them.
func (f *FanOut) Err() error { return errors.Join(f.errs...) }

// Close closes every sink, failed or not, and returns the errors of all, as Err does.
func (f *FanOut) Close() error {
	if f.closed {
		return f.Err()
	}
	f.closed = true
	for i, s := range f.sinks {
		if err := s.Close(); err != nil && f.errs[i] == nil {
			f.errs[i] = err
		}
	}
	return f.Err()
}
