package engine

import "fmt"

// State is where a connection stands in its life:
//
//	  ┌───────────────────adopted──────────────────────┐
//	  │                                                ▼
//	INIT ──► CONNECTING ──► HANDSHAKING ──► ACTIVE ◄──► IDLE ──exported──► CLOSED
//	  │        │    └──────────────────────►  │          │
//	  │        │            │  ▲──STARTTLS────┤          │
//	  │        │            ▼                 ▼          │
//	  │        │          CLOSING ◄───────────┴──────────┘
//	  ▼        ▼            ▼
//	CLOSED ◄───┴────────────┘
//
// The edges are the table below and no others. Only ACTIVE goes IDLE, and INIT for a connection that is adopted. IDLE past its limit goes to CLOSING and nowhere
// else; back to ACTIVE it goes for a heartbeat, due before that. CLOSING takes no new writes but lets queued bytes and the FIN out.
type State uint8

// The states.
const (
	Init        State = iota // a row, but no socket yet
	Connecting               // connect(2) is under way
	Handshaking              // TLS handshake
	Active                   // an exchange is going on
	Idle                     // kept, with nothing borrowed
	Closing                  // the verdict is known; our FIN or reset is on its way
	Closed                   // the descriptor is gone
	numStates
)

var stateNames = [numStates]string{"INIT", "CONNECTING", "HANDSHAKING", "ACTIVE", "IDLE", "CLOSING", "CLOSED"}

// String returns the state's name as documents write it.
func (s State) String() string {
	if s < numStates {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// edges holds, for each state, the set of states that may follow, as bits.
var edges = [numStates]uint8{
	Init:        1<<Connecting | 1<<Idle | 1<<Closed,
	Connecting:  1<<Handshaking | 1<<Active | 1<<Closed,
	Handshaking: 1<<Active | 1<<Closing,
	Active:      1<<Handshaking | 1<<Idle | 1<<Closing,
	Idle:        1<<Active | 1<<Closing | 1<<Closed,
	Closing:     1 << Closed,
	Closed:      0,
}

// MayBecome reports whether the edge from s to next is legal.
func (s State) MayBecome(next State) bool {
	return s < numStates && next < numStates && edges[s]&(1<<next) != 0
}
