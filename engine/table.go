package engine

import (
	"syscall"

	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
	"sonde/protocol"
	"sonde/ringbuf"
)

// table holds the connections of one loop. A row is what a connection costs for as long as it lives; a flight is what it
// borrows only while something is going on, so that an idle connection is a row, a node of the wheel and nothing
// else. Neither holds a pointer (a test proves it), so the garbage collector does not look into them; exchanges do, and
// stand apart.
type table struct {
	rows      []row
	freeRows  []uint32
	flights   []flight
	exchanges []protocol.Exchange // by flight; nil where nothing is said
	unsent    [][][]byte          // by flight; what a Step sends and no buffer could be had for
	firsts    []*phases           // by flight; those of the first connection of a Series, on a later one
	sessions  []*session          // by row, as far as there is TLS; nil without
	freeSeats []uint32            // flights to be used again
	live      int                 // rows in use
	inState   [numStates]int64    // how many of them are in each state; in CLOSED, how many ever were
}

// none is the index of no flight.
const none = ^uint32(0)

// row is one connection. Its index is its slot.
type row struct {
	id            uint64      // the submitter's
	idleUntil     int64       // while IDLE: when it has been idle for too long; 0: never
	nextHeartbeat int64       // while IDLE: when to open the next exchange; 0: never
	remote        socket.Addr // 24 bytes
	fd            int32       // -1 while INIT
	generation    uint32      // of the slot; never 0
	seat          uint32      // the flight, or none
	profile       uint16
	state         State
	flags         rowFlags
}

type rowFlags uint8

const (
	peerClosed rowFlags = 1 << iota // the peer's FIN has been read
	unfinished                      // it stands in the loop's list of those that go on without an edge
	written                         // something was written
	undelayed                       // what is written goes out at once
	leaving                         // it is to be exported when its heartbeat has come to its end
)

// flight is what a connection borrows from its dial to its verdict, and again for each heartbeat. Moments are those of
// the loop's clock; 0 is "not yet".
type flight struct {
	phases
	lastByteAt  int64
	handshakeAt int64 // when the TLS handshake began
	waitFrom    int64 // in the handshake: since when it is the peer's turn; 0: it is ours
	askedAt     int64 // when the last request was handed to the kernel
	phaseUntil  int64 // the limit of the phase: connect, handshake or read
	targetUntil int64 // the target's whole time budget
	quiet       int64 // nanoseconds of silence that end the exchange; 0: none
	waitUntil   int64 // when the last step waits no longer; 0: for ever
	pausedAt    int64 // its reads wait for a buffer since then; 0: they do not
	in          ringbuf.Ring
	out         ringbuf.Ring
	pending     syscall.Errno // what the connection failed with, while its last bytes are still read; 0: it did not
	discarded   uint32        // bytes thrown away while CLOSING
	pendingCall socket.Call   // that told it
	mute        bool          // half a request was given up at its limit: nothing more can be said
	resting     bool          // its exchange is paused, and begins again at waitUntil
	parking     bool          // its exchange is over; it goes IDLE once all that it sent is written
}

// phases are the moments and durations that an outcome tells.
type phases struct {
	dueAt         int64 // when it should have been dialled; of a heartbeat, when it should have been sent
	dialedAt      int64
	establishedAt int64
	requestAt     int64  // when the last request was handed to the kernel, or listening began
	firstByteAt   int64  // the first byte after the first request
	tlsTook       int64  // nanoseconds; 0: there was no handshake, or it came to no end
	tlsWait       int64  // of which the peer and the network had so many
	tlsEndedAt    int64  // later than the poll that told of its last bytes by what we computed since
	kernelRTT     uint32 // microseconds
}

// isHeartbeat reports that these are the phases of a heartbeat, not of the life of a connection.
func (p *phases) isHeartbeat() bool { return p.dialedAt == 0 && p.dueAt != 0 }

// insert takes a row for a new connection, in INIT, with a flight.
func (t *table) insert(id uint64, remote socket.Addr, profile uint16) uint32 {
	var slot uint32
	if n := len(t.freeRows); n > 0 {
		slot = t.freeRows[n-1]
		t.freeRows = t.freeRows[:n-1]
	} else {
		slot = uint32(len(t.rows))
		t.rows = append(t.rows, row{generation: 1})
	}
	generation := t.rows[slot].generation
	t.rows[slot] = row{id: id, remote: remote, fd: -1, generation: generation, seat: none, profile: profile}
	t.board(slot)
	t.live++
	t.inState[Init]++
	return slot
}

// board gives the row a flight.
func (t *table) board(slot uint32) *flight {
	var seat uint32
	if n := len(t.freeSeats); n > 0 {
		seat = t.freeSeats[n-1]
		t.freeSeats = t.freeSeats[:n-1]
	} else {
		seat = uint32(len(t.flights))
		t.flights = append(t.flights, flight{})
		t.exchanges = append(t.exchanges, nil)
		t.unsent = append(t.unsent, nil)
		t.firsts = append(t.firsts, nil)
	}
	t.flights[seat] = flight{targetUntil: int64(off)} // a heartbeat has no budget but its own limits
	t.rows[slot].seat = seat
	return &t.flights[seat]
}

// alight takes the row's flight back. Its rings must have been returned.
func (t *table) alight(slot uint32) {
	seat := t.rows[slot].seat
	t.exchanges[seat] = nil
	t.unsent[seat] = nil
	t.firsts[seat] = nil
	t.freeSeats = append(t.freeSeats, seat)
	t.rows[slot].seat = none
}

// remove frees the row. Tokens of its generation are stale from now on.
func (t *table) remove(slot uint32) {
	r := &t.rows[slot]
	if r.seat != none {
		t.alight(slot)
	}
	r.generation++
	if r.generation == 0 { // after 2^32 uses of one slot; a Token of 0 is no Token
		r.generation = 1
	}
	r.state = Closed
	t.freeRows = append(t.freeRows, slot)
	t.live--
}

// find returns the slot of a token, false if the token is stale.
func (t *table) find(token poller.Token) (uint32, bool) {
	slot := token.Slot()
	if int(slot) >= len(t.rows) {
		return 0, false
	}
	r := &t.rows[slot]
	return slot, r.generation == token.Generation() && r.state != Closed && r.fd >= 0
}

func (t *table) token(slot uint32) poller.Token {
	return poller.MakeToken(slot, t.rows[slot].generation)
}
