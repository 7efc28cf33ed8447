package watch

import (
	"testing"

	"sonde/watch/config"
)

// TestBudget leaves descriptors for loops and for the web server.
func TestBudget(t *testing.T) {
	few, most, visits, err := budget(&config.Config{Loops: 1, Connections: 1}, false)
	if err != nil || few != 1 || visits != 0 {
		t.Fatalf("got %d connections, %d visits, %v", few, visits, err)
	}
	const slack = 50 // this process opens and closes others meanwhile
	loops := min(100, most/2/fdPerLoop)
	if _, left, _, err := budget(&config.Config{Loops: 1 + loops}, false); err != nil || left > most-loops*fdPerLoop+slack {
		t.Errorf("%d loops leave %d descriptors, %v, one leaves %d", 1+loops, left, err, most)
	}
	if _, left, visits, err := budget(&config.Config{Loops: 1}, true); err != nil || visits < 1 || left > most-visits+slack {
		t.Errorf("%d visitors leave %d descriptors, %v, none leave %d", visits, left, err, most)
	}
}
