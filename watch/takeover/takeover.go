// Package takeover is what two processes of `sonde watch` say to each other, so that a new one takes the place of the old one: its
// listeners, its kept connections and what it knows. It knows the order of that and the form of it, and who owns a connection at
// each moment; what is handed over is the [Giver]'s and the [Taker]'s.
//
//	new                                    old: watches, and listens on the control socket
//	ask: its version             ─────►    another version: refuse, and watch on
//	           ◄───── connections, by 253  takes them out of its engine, and keeps its own descriptors of them
//	taken (of each message)      ─────►
//	           ◄───── frozen, listeners    begins no turn and answers no HTTP from here on
//	           ◄───── rows, as many as are
//	           ◄───── all
//	taken: it could begin now    ─────►
//	           ◄───── commit               THE MOMENT: what was given is the new one's
//	live: it watches             ─────►    ends what it had begun
//	           ◄───── late                 results of probes that were under way
//	           ◄───── over                 exit 0
//
// Whatever breaks before the commit, a message that is none, a time limit, the end of either process, leaves the old one watching, if
// it lives: it takes back what it had given up, and closes the socket. The new one then closes what it was given, which ends no
// connection, since the old one has descriptors of its own, and fails. What a peer sent meanwhile has stayed with the kernel.
//
//	           ask             Connections        Freeze, rows, all        Commit           live
//	old:  watches ──► gives connections ──► stands still ──► waits for the new one ──► ends
//	         ▲             │ breaks              │ breaks              │ the new one has died
//	         └─────────────┴──────── Back ───────┴─────────────────────┘
//
// Behind the commit the new one is the owner for as long as it lives. It closes the socket before it has said live only by dying, so that
// this, and nothing else, has the old one take back everything still. If it is the old one that dies before the commit, seen by
// its closed socket and by nobody who listens for another takeover any more, the new one goes on with what it has by then.
package takeover

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Version is that of the protocol: processes with different ones don't take over from each other. What is known of targets has versions
// of its own (package track).
const Version = 1

// Connection is one kept connection.
type Connection struct {
	// Job and Key say whose it is, Module by what fingerprint it is asked, and Every how often.
	Job    string        `json:"job"`
	Key    uint64        `json:"key"`
	Module uint64        `json:"module"`
	Every  time.Duration `json:"every"`
	// Addr is the peer's, with its zone.
	Addr netip.AddrPort `json:"addr"`
	// Idle and Heartbeat are how long it was until its idle limit and next heartbeat, as engine.Kept has them.
	Idle      time.Duration `json:"idle"`
	Heartbeat time.Duration `json:"heartbeat"`
	// FD is this process' descriptor.
	FD int `json:"-"`
}

// State is where the old process stands still.
type State struct {
	// Epoch is what it counts turns from, by the wall clock as it is now (clock.RealTime), in nanoseconds since 1970. 0 is that of a
	// process that died.
	Epoch int64
	// Listeners are the addresses of its listeners.
	Listeners []string
	// Jobs are the counts of its jobs.
	Jobs json.RawMessage `json:",omitempty"`
}

// The limits of messages.
const (
	maxBatch   = 253      // descriptors in one: socket.MaxFDs
	maxMessage = 64 << 20 // bytes
	headerSize = 5
)

// Time limits: the other process is on this machine and asked for nothing that takes long, but the machine may be busy.
const (
	answerLimit = 30 * time.Second // for the answer to a message
	nextLimit   = 2 * time.Minute  // for the old one to have the next message: a heartbeat may have to end
)

// kind is that of a message.
type kind uint8

const (
	ask kind = iota + 1
	refuse
	taken
	connections
	frozen
	rows
	all
	commit
	live
	late
	over
	lastKind = over
)

// String is the message's name.
func (k kind) String() string {
	if k < ask || k > lastKind {
		return fmt.Sprintf("message %d", uint8(k))
	}
	return [...]string{"ask", "refuse", "taken", "connections", "frozen", "rows", "all", "commit", "live", "late", "over"}[k-1]
}

// errMessage says that bytes are no message of this protocol.
var errMessage = errors.New("malformed message")

// appendHeader appends the header of a message.
func appendHeader(dst []byte, k kind, size int) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(k)), uint32(size))
}

// parseHeader reads a header, of headerSize bytes.
func parseHeader(b []byte) (k kind, size int, err error) {
	n := binary.BigEndian.Uint32(b[1:])
	if k = kind(b[0]); k < ask || k > lastKind || n > maxMessage {
		return 0, 0, fmt.Errorf("%w: %v of %d bytes", errMessage, k, n)
	}
	return k, int(n), nil
}

// hello is what ask says.
type hello struct {
	Protocol int    `json:"sonde_watch_takeover"`
	Version  string `json:"version"` // of the program
	PID      int    `json:"pid"`
}

// parse reads what a message says, which comes with so many descriptors.
func parse(data []byte, into any, fds int) error {
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%w: %w", errMessage, err)
	}
	var of int
	switch v := into.(type) {
	case *hello:
	case *[]Connection:
		of = len(*v)
		for i := range *v {
			if c := &(*v)[i]; !c.Addr.IsValid() || c.Addr.Addr().IsUnspecified() {
				return fmt.Errorf("%w: a connection without an address", errMessage)
			}
		}
	case *State:
		of = len(v.Listeners)
	}
	if of != fds {
		return fmt.Errorf("%w: %d descriptors of %d", errMessage, fds, of)
	}
	return nil
}

// RefusedError is why the old process hands nothing over.
type RefusedError struct{ Reason string }

// Error implements error.
func (e *RefusedError) Error() string { return "the running process hands nothing over: " + e.Reason }

// ErrNobody says that no process listens on the control socket.
var ErrNobody = errors.New("no running process listens there")
