// Package poller tells a loop which of its sockets are ready: epoll on Linux (docs/adr/0007), kqueue on the BSDs and macOS,
// through gnet's pkg/netpoll (docs/adr/0001). This file is the contract; one file per mechanism provides Open.
//
// What a platform must provide:
//
//   - Readiness in batches. All events of a batch are turned into Tokens before the first of them is handled, so a
//     descriptor that is closed and opened again while a batch is handled can't be mistaken for its predecessor.
//   - Edge-triggered read and write readiness for the whole life of a socket: one Add, one Remove.
//   - One timer, one wake-up from outside, and a way to ask for another batch at once.
//
// A Poller belongs to the goroutine that calls Run; only Wake may be called from elsewhere.
package poller

// Token names a connection past the adapter: the slot of its row and the generation of that slot. A Token of an earlier
// generation is stale and its event is to be ignored.
type Token uint64

// MakeToken packs a slot and its generation.
func MakeToken(slot, generation uint32) Token { return Token(slot)<<32 | Token(generation) }

// Slot is the index of the row in the connection table.
func (t Token) Slot() uint32 { return uint32(t >> 32) }

// Generation tells one use of a slot from the next.
func (t Token) Generation() uint32 { return uint32(t) }

// Ready is the set of things that a socket is ready for.
type Ready uint8

const (
	// Readable: a read would not block: bytes, the peer's FIN or an error are there.
	Readable Ready = 1 << iota
	// Writable: a write would not block, or a connect has ended, well or not.
	Writable
	// Hangup: the peer has closed its side (EPOLLRDHUP, EV_EOF) or both sides are closed (EPOLLHUP).
	Hangup
	// Failed: an error is pending (EPOLLERR, EV_ERROR); SO_ERROR tells which.
	Failed
	// Urgent: there is urgent data, at whose mark a read stops short though there may be more behind it (EPOLLPRI, tcp(7)).
	// It comes with Readable. kqueue does not tell.
	Urgent
)

// Event is the readiness of one socket in a batch. A batch may name the same Token more than once.
type Event struct {
	Token Token
	Ready Ready
}

// Handler is called with each batch. now is the moment the poll returned (package clock), taken once, before any
// event of the batch is handled. events may be empty (the timer, Again or Wake) and is valid only during the call.
// Returning false ends Run.
type Handler func(now int64, events []Event) bool

// Poller waits for readiness. See the package comment for who may call what.
type Poller interface {
	// Add watches fd, edge-triggered, for reading and writing, and gives its events the Token t. It fails with the errno
	// of epoll_ctl(2) or kevent(2): ENOMEM or ENOSPC when the kernel's limits on watches are reached.
	Add(fd int, t Token) error
	// Remove forgets fd. Call it before fd is closed: no later batch names its Token. It is called within a batch whose
	// later events may still name the Token; generations take care of those.
	Remove(fd int)
	// Detach forgets fd, which stays open: to be handed to another poller, or another process. Nothing is owed to it from then on;
	// whoever Adds it gets an edge at once if it is ready. As with Remove, later events of the batch may still name the Token.
	Detach(fd int)
	// ArmTimer asks for a batch whose time is at the given moment or after it; batches before that do not use it up.
	// There is one timer: a new call replaces the old moment; zero disarms it. The moment may have passed already.
	ArmTimer(at int64)
	// Again asks for another batch as soon as this one is handled, whether or not anything is ready.
	Again()
	// Wake asks for a batch soon. Safe from any goroutine; many calls may give one batch. After Close it does nothing.
	Wake()
	// Run polls and calls h until h returns false, then returns nil, or returns the error that polling failed with.
	Run(h Handler) error
	// Close frees the poller's own descriptors. Call it after Run has returned.
	Close() error
}
