// Package flap keeps one odd outcome from turning a target's state: it is up once so many outcomes in a row were good, and down
// once so many were bad (rise and fall, as load balancers have them). It has no clock and no lock.
package flap

import "fmt"

// Max is the greatest rise or fall.
const Max = 255

// Settings are what the targets of one kind share. Zero counts as 1: each outcome is the state.
type Settings struct {
	Rise, Fall int // outcomes in a row, up to Max
}

// Check says what is wrong with s.
func (s Settings) Check() error {
	for _, n := range [...]int{s.Rise, s.Fall} {
		if n < 0 || n > Max {
			return fmt.Errorf("%d outcomes in a row: want 1 to %d", n, Max)
		}
	}
	return nil
}

// State is what is known of a target.
type State uint8

const (
	Unknown State = iota // no outcome yet
	Up                   // the last outcomes were good
	Down                 // they were bad
)

// String is the state in lower case.
func (s State) String() string { return [...]string{"unknown", "up", "down"}[s] }

// Flap is the state of one target. The zero value knows nothing. It belongs to one goroutine.
type Flap struct {
	state State
	run   uint8 // outcomes in a row that speak against the state
}

// At is the Flap of a target that has just turned to s.
func At(s State) Flap { return Flap{state: s} }

// Restore is a Flap that is in s, and has seen run outcomes in a row that speak against it.
func Restore(s State, run uint8) Flap { return Flap{state: s, run: run} }

// Run is how many outcomes in a row speak against the state by now.
func (f *Flap) Run() uint8 { return f.run }

// State is the target's state.
func (f *Flap) State() State { return f.state }

// Record takes an outcome and reports whether the state is another now. The first one of all decides alone: until then there is
// nothing to keep.
func (f *Flap) Record(s *Settings, success bool) (changed bool) {
	to, need := Down, s.Fall
	if success {
		to, need = Up, s.Rise
	}
	switch {
	case f.state == to:
		f.run = 0
		return false
	case f.state != Unknown && int(f.run)+1 < need:
		f.run++
		return false
	}
	*f = Flap{state: to}
	return true
}
