package simkernel

import "testing"

func TestRandomScriptsGoAsPredictedUnderFaults(t *testing.T) {
	for seed := range uint64(1000) {
		c, predictions := storm(seed, 50, seed%4 == 3)
		if err := c.run(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, problem := range c.problems(predictions) {
			t.Errorf("seed %d: %s", seed, problem)
		}
		if t.Failed() {
			return
		}
	}
}

// TestSimulatorBites gives the client one bug after the other; each must be found within a hundred seeds.
func TestSimulatorBites(t *testing.T) {
	for _, bug := range []string{
		"takes stale events at their word",
		"takes any Writable for the end of the connect",
		"reads once an event",
		"writes only when connected",
		"forgets what SO_ERROR said",
		"resets at a failed write",
		"takes Hangup for the end",
		"closes what is watched",
		"closes twice",
		"leaks",
		"uses a token again",
		"sends again what was sent",
	} {
		t.Run(bug, func(t *testing.T) {
			for seed := range uint64(100) {
				c, predictions := storm(seed, 50, false)
				c.bug = bug
				if err := c.run(); err != nil {
					return
				}
				if len(c.problems(predictions)) > 0 {
					return
				}
			}
			t.Error("got no problem in 100 seeds, want one")
		})
	}
}
