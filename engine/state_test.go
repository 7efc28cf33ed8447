package engine

import (
	"strings"
	"testing"
)

// TestEdges walks the whole square of states against the drawing in the package: any edge more or less is a decision.
func TestEdges(t *testing.T) {
	legal := map[string]bool{}
	for _, e := range strings.Fields(`
		INIT>CONNECTING INIT>IDLE INIT>CLOSED
		CONNECTING>HANDSHAKING CONNECTING>ACTIVE CONNECTING>CLOSED
		HANDSHAKING>ACTIVE HANDSHAKING>CLOSING
		ACTIVE>HANDSHAKING ACTIVE>IDLE ACTIVE>CLOSING
		IDLE>ACTIVE IDLE>CLOSING IDLE>CLOSED
		CLOSING>CLOSED`) {
		legal[e] = true
	}
	for from := range numStates {
		for to := range numStates {
			edge := from.String() + ">" + to.String()
			if got, want := from.MayBecome(to), legal[edge]; got != want {
				t.Errorf("%s: got legal=%v, want %v", edge, got, want)
			}
		}
	}
}

func TestStatesOutsideTheTable(t *testing.T) {
	if Init.MayBecome(numStates) || numStates.MayBecome(Closed) || State(200).MayBecome(State(201)) {
		t.Error("a state that does not exist has a legal edge")
	}
	if got := State(200).String(); got != "State(200)" {
		t.Errorf("got %q, want State(200)", got)
	}
}
