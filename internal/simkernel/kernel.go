// Package simkernel is a kernel in memory: a clock, a poller and TCP sockets whose peers follow scripts. One engine loop
// runs over it as it runs over the real one, through hours of virtual time in microseconds, and everything that happens
// follows from a seed, so that a run that went wrong can be run again.
//
// It is strict where a kernel is strict and nasty where a kernel may be nasty. Strict: readiness is edge-triggered and an
// edge that was reported is not reported again; descriptors are reused at once, lowest first; local ports and descriptors
// run out; a caller that breaks the contract of its calls is written down in [Kernel.Violations]. Nasty, as [Faults] and
// [Errnos] ask: events late, shuffled, repeated, split, merged and spurious; reads and writes cut at any byte; any errno
// that the manual page of the call lists. Where Linux has a peculiar but documented or observable way, the simulation has
// it too: bytes that came before a reset stay readable, a reset after the peer's FIN is EPIPE and reads as the end of the
// stream, SO_ERROR clears what it returns, a close with bytes unread sends a reset.
//
// A run in which nothing can ever happen again ends with a [DeadlockError] that names the open descriptors: that is how a
// lost edge or a forgotten timer shows.
//
// The package knows no engine and judges no outcome; [RandomScript] predicts what a simple client ought to see, and
// [Kernel.Dials] tells what did happen on the wire. Nothing here is safe for concurrent use but [Kernel.Wake].
package simkernel

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"sonde/internal/clock"
	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
)

// What things cost in virtual nanoseconds when no fault makes them dearer. They are above zero so that the order of calls
// shows in the time, and so that a loop that spins moves time on.
const (
	nowCost  = 1
	callCost = 1_000
	pollCost = 1_000
)

// Defaults of [Options].
const (
	// DefaultPorts is the size of Linux's default local port range, 32768 to 60999 (ip(7), ip_local_port_range).
	DefaultPorts = 60999 - 32768 + 1
	// DefaultTimeWait is how long Linux keeps a connection in TIME_WAIT.
	DefaultTimeWait = 60 * time.Second
	// DefaultSynTimeout is when Linux gives up a connect that nothing answers: the SYN and six more at doubling
	// intervals, tcp_syn_retries in tcp(7).
	DefaultSynTimeout = 127 * time.Second
	// DefaultBuffer is the size of the send and the receive buffer of a socket, in bytes.
	DefaultBuffer = 64 << 10
	// DefaultMaxBatch is how many events one batch holds at most.
	DefaultMaxBatch = 128
	// DefaultMaxBatches is how many batches a run may take before it is called a livelock.
	DefaultMaxBatches = 1 << 22
)

// Options shape a Kernel. The zero value is a calm one without limits: nothing random happens, calls take constant time.
type Options struct {
	// Seed decides everything that is left to chance.
	Seed uint64
	// Start is the wall time of the first moment; zero means 2026-01-01 UTC.
	Start time.Time
	// MaxFDs is how many sockets may be open at once; one more gives EMFILE (RLIMIT_NOFILE, getrlimit(2)). 0: no limit.
	MaxFDs int
	// Ports is how many local ports there are for each pair of a source and a destination; one connection more gives
	// EADDRNOTAVAIL (connect(2)). At most and by default DefaultPorts.
	Ports int
	// TimeWait and SynTimeout replace DefaultTimeWait and DefaultSynTimeout.
	TimeWait, SynTimeout time.Duration
	// SendBuffer and ReceiveBuffer replace DefaultBuffer, in bytes.
	SendBuffer, ReceiveBuffer int
	// MaxBatch and MaxBatches replace DefaultMaxBatch and DefaultMaxBatches.
	MaxBatch, MaxBatches int
	// NoInfo makes Info know nothing, as on a platform without TCP_INFO. It also turns off the spurious Writable of a
	// socket that is still connecting, which could not be told from the real one then.
	NoInfo bool
	// SeparateFilters reports only those sorts of readiness that have a new edge, as kqueue's two filters do. Otherwise any
	// edge reports all that the socket is ready for, as epoll(7) does.
	SeparateFilters bool
	// Trace keeps a line for each call, batch and arrival, for [Kernel.Trace].
	Trace bool
	// Faults are the liberties that the kernel takes. None of them excuses a wrong outcome.
	Faults Faults
	// Errnos are failures out of the blue. Each changes the fate of the connection it hits, and is named in its Dial.
	Errnos Errnos
}

func (o Options) withDefaults() Options {
	setDefault := func(p *int, value int) {
		if *p <= 0 {
			*p = value
		}
	}
	setDefault(&o.Ports, DefaultPorts)
	o.Ports = min(o.Ports, DefaultPorts)
	setDefault(&o.SendBuffer, DefaultBuffer)
	setDefault(&o.ReceiveBuffer, DefaultBuffer)
	setDefault(&o.MaxBatch, DefaultMaxBatch)
	setDefault(&o.MaxBatches, DefaultMaxBatches)
	if o.TimeWait <= 0 {
		o.TimeWait = DefaultTimeWait
	}
	if o.SynTimeout <= 0 {
		o.SynTimeout = DefaultSynTimeout
	}
	if o.Start.IsZero() {
		o.Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return o
}

// Kernel is the simulated kernel: a [clock.Clock] and a [poller.Poller]; [Kernel.Sockets] gives its sockets. All of it
// belongs to one goroutine, but Wake.
type Kernel struct {
	opts Options
	rng  *rand.Rand
	now  int64

	// What is going to happen, and callbacks that came due while a call was under way: they wait for the next poll, so
	// that no call of the caller's is ever entered from within.
	agenda   agenda
	deferred []func()

	fds   fdTable
	ports map[route]*portSet
	peers map[socket.Addr]*scripted
	// otherwise gives the script of an address that has none of its own; nil: it refuses.
	otherwise func(socket.Addr) Script

	ready, spare []*watch
	events       []poller.Event
	slots        map[uint32]slotUse
	timer        int64
	again        bool
	wake         atomic.Bool
	running      bool
	pollClosed   bool
	batches      int

	dials      []*Dial
	violations []string
	trace      []traceLine
}

var (
	_ clock.Clock   = (*Kernel)(nil)
	_ poller.Poller = (*Kernel)(nil)
)

// New returns a kernel at its first moment, without peers.
func New(o Options) *Kernel {
	return &Kernel{
		opts:  o.withDefaults(),
		rng:   rand.New(rand.NewPCG(o.Seed, 0x736f6e6465)),
		now:   1,
		ports: make(map[route]*portSet),
		peers: make(map[socket.Addr]*scripted),
		slots: make(map[uint32]slotUse),
	}
}

// Now implements [clock.Clock]: virtual nanoseconds. Each call moves time on a little.
func (k *Kernel) Now() int64 {
	k.now += nowCost
	return k.now
}

// Wall implements [clock.Clock].
func (k *Kernel) Wall(moment int64) time.Time {
	return k.opts.Start.Add(time.Duration(moment - 1)).UTC()
}

// At calls f at the given moment, or at the next poll if that has passed. f runs between two batches, never within a
// call of the handler's: it stands for what other goroutines do, so it may call Wake.
func (k *Kernel) At(moment int64, f func()) {
	k.agenda.add(occurrence{at: max(moment, k.now), kind: callBack, f: f})
}

// Opened is how many descriptors were handed out so far.
func (k *Kernel) Opened() int { return k.fds.opened }

// Closed is how many descriptors were closed so far.
func (k *Kernel) Closed() int { return k.fds.closed }

// OpenFDs are the descriptors that are open now, in rising order.
func (k *Kernel) OpenFDs() []int { return k.fds.list() }

// enter begins a system call: it takes its time, and the network goes on meanwhile.
func (k *Kernel) enter() {
	k.now += callCost + k.upTo(k.opts.Faults.Jitter)
	if k.chance(k.opts.Faults.Stall) {
		k.now += k.upTo(k.opts.Faults.StallMax)
	}
	k.unroll(false)
}

// unroll lets everything happen that is due by now. polling tells whether callbacks may run.
func (k *Kernel) unroll(polling bool) {
	if polling && len(k.deferred) > 0 {
		due := k.deferred
		k.deferred = nil
		for _, f := range due {
			f()
		}
	}
	for k.agenda.next() <= k.now {
		o := k.agenda.pop()
		if o.kind != callBack {
			k.happen(o)
		} else if polling {
			o.f()
		} else {
			k.deferred = append(k.deferred, o.f)
		}
	}
}

// happen carries out one occurrence of the network at its own moment, which may lie before now.
func (k *Kernel) happen(o occurrence) {
	c := o.c
	switch o.kind {
	case synAnswered:
		c.onEstablished(o.at)
	case dataArrives:
		c.onData(o.at, o.data)
	case finArrives:
		c.onFin(o.at)
	case resetArrives:
		c.onReset(o.at)
	case connectionFails:
		c.onFailure(o.at, o.errno)
	case connectionDies:
		c.onDeath(o.at, o.errno)
	case ackArrives:
		c.onAck(o.at, o.n)
	case windowOpens:
		c.onWindow(o.at)
	case readsAgain:
		c.onReadsAgain(o.at)
	case writesAgain:
		c.onWritesAgain(o.at)
	case portExpires:
		c.onPortExpires(o.at)
	case peerHears:
		c.peer.onData(o.at, o.n)
	case peerHearsFin:
		c.peer.onFin(o.at)
	case peerHearsReset:
		c.peer.onReset()
	case peerRested:
		c.peer.onRested(o.at)
	}
}
