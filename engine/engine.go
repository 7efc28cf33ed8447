// Package engine opens and keeps many TCP connections from few event loops. It knows no target and no probe: it is given
// jobs (an address and an opaque id), drives each connection through its states with a limit for every phase, lets a
// protocol.Exchange say what is sent and what the answer means, and hands back one Outcome per job.
//
// One goroutine owns a loop, its connection table, timing wheel and buffers; nothing in them is locked. Jobs go in and
// outcomes come out by two bounded queues; what else is asked of a loop (End, Export, Adopt) it finds in a list that it looks
// at once a turn. The engine never blames a peer for trouble on this side: waiting for a descriptor, a local port or a buffer
// stops the peer's clocks, and a deadline is believed only after a last look at the socket.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sonde/internal/clock"
	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
	"sonde/internal/rate"
	"sonde/internal/timewheel"
	"sonde/protocol"
	"sonde/ringbuf"
)

// Config is what an Engine works by. The zero value of a field means its default.
type Config struct {
	// Loops is the number of event loops; default one for each CPU this process may use. Never more than Connections.
	Loops int
	// Connections is how many connections may be in flight at once, from dial to verdict; default 1000.
	Connections int
	// Descriptors is how many sockets may be open at once, connections that are only closing included; 0 means no limit
	// but the kernel's. Reaching it before Connections pauses admission and is counted in Stats.FDWaits.
	Descriptors int
	// Rate limits dials per second; nil does not.
	Rate *rate.Limiter
	// Sources are local addresses to dial from in turn, of either family; empty lets the kernel choose.
	Sources []netip.Addr
	// Profiles are the ways in which connections are treated; a Job names one by its index. At least one; SetProfile adds more.
	Profiles []Profile
	// BufferBytes caps the ring buffers of all loops together; default 32 MiB. At the cap reads pause.
	BufferBytes int
	// Resolution is that of deadlines and pauses: never early, and late by at most so much and the loop's own lag. Default
	// 1 ms, at least 50 us; a finer one is for schedules and costs more wakings.
	Resolution time.Duration
	// DrainLimit is how long Stop waits for connections in flight before it cancels them; default 10 s.
	DrainLimit time.Duration
	// Clock tells the time; default the system's. Moments in Outcomes are of this clock.
	Clock clock.Clock
	// Log hears of our own bugs and of trouble that is not one connection's; nil is silent.
	Log *slog.Logger
	// Strict makes an illegal change of state panic, for tests; otherwise it is counted and logged.
	Strict bool
}

// Profile is how a class of connections is treated.
type Profile struct {
	// Dialogue opens the exchange of each connection; nil only connects.
	Dialogue protocol.Dialogue
	Limits   Limits
	// Reset ends connections by RST (no TIME_WAIT, no wait for the peer); otherwise by FIN, and the descriptor is held
	// until the peer's FIN or the close limit.
	Reset bool
	// Heartbeat is the interval at which a parked connection gets a new exchange; 0 means never. The first comes within it, so
	// that connections opened together do not beat together; each is put off by at most a half percent of it, and 50 ms, to share a
	// wake of the loop with others.
	Heartbeat time.Duration
	// Heartbeats opens the exchanges of heartbeats; nil has Dialogue open them too. Over TLS they begin at once: the
	// connection is secured.
	Heartbeats protocol.Dialogue
	// KernelTimestamps has the moment at which bytes arrive told by the kernel (socket(7)), where it can: FirstByte and
	// protocol.Timed are then free of the time that they lay there.
	KernelTimestamps bool
	// TellHeartbeats has each heartbeat that was answered told by an Outcome of its own.
	TellHeartbeats bool
}

// Limits bound the phases of a connection's life. Zero means the default; a negative limit is off.
type Limits struct {
	Connect   time.Duration // SYN to established; default 3.5 s, half a second after the fourth SYN
	Handshake time.Duration // TLS handshake; default 5 s
	Read      time.Duration // from a request to the end of its answer; default 5 s
	Idle      time.Duration // parked without a heartbeat answered; default 60 s
	Close     time.Duration // from our FIN to the peer's; default 30 s
	Target    time.Duration // from the dial to the verdict; default off
}

// off is a limit that never passes: about 292 years.
const off = time.Duration(1<<63 - 1)

// WithDefaults returns l with its zero fields set; a negative limit becomes one that never passes.
func (l Limits) WithDefaults() Limits {
	set := func(d *time.Duration, def time.Duration) {
		switch {
		case *d == 0:
			*d = def
		case *d < 0:
			*d = off
		}
	}
	set(&l.Connect, 3500*time.Millisecond)
	set(&l.Handshake, 5*time.Second)
	set(&l.Read, 5*time.Second)
	set(&l.Idle, 60*time.Second)
	set(&l.Close, 30*time.Second)
	set(&l.Target, off)
	return l
}

// Job asks for one connection.
type Job struct {
	// ID is the submitter's and comes back in the Outcome; Dialogue.Open is called with it.
	ID      uint64
	Remote  socket.Addr
	Profile uint16 // index into Config.Profiles, or as SetProfile said
	// Source is which of Config.Sources to dial from, counted from 1, for a submitter that spreads connections itself; 0 takes
	// them in turn, as the further connections of a Series do in any case.
	Source uint16
	// Budget is what the target has left of its profile's Limits.Target, for one that was dialled before by another job; 0: all of
	// it.
	Budget time.Duration
}

// Cause says how a connection ended.
type Cause uint8

const (
	// Answered: the exchange came to its end and its Conclusion says the rest; without an exchange, the connection was
	// established.
	Answered Cause = iota
	// ConnectFailed: the dial gave Errno from Call.
	ConnectFailed
	// ConnectTimeout: not established within the connect limit.
	ConnectTimeout
	// HandshakeTimeout: no whole TLS handshake within the handshake limit.
	HandshakeTimeout
	// ReadTimeout: no whole answer within the read limit.
	ReadTimeout
	// TargetTimeout: the whole time budget passed; State says in which phase.
	TargetTimeout
	// Reset: an established connection failed with Errno from Call.
	Reset
	// IdleTimeout: a parked connection passed its idle limit.
	IdleTimeout
	// PeerClosed: the peer closed a parked connection.
	PeerClosed
	// Parked: not an end: the first exchange of a connection that is kept is over. Another Outcome follows at its end.
	Parked
	// HeartbeatAnswered: not an end: a kept connection has answered a heartbeat (Profile.TellHeartbeats).
	HeartbeatAnswered
	// FDLimit: no descriptor could be had for over a minute without any progress.
	FDLimit
	// PortsExhausted: no local port could be had for over a minute without any progress.
	PortsExhausted
	// BuffersExhausted: no buffer could be had for over a minute.
	BuffersExhausted
	// Cancelled: we stopped while the connection was in flight, or were told to End it.
	Cancelled
	// NotDialed: we stopped before the job was dialled, or were told to End it. The peer saw nothing of it.
	NotDialed
)

// Absent is a phase that did not happen.
const Absent time.Duration = -1

// Outcome is the end of a job.
type Outcome struct {
	ID         uint64
	Cause      Cause
	State      State         // in which the connection was when it ended
	Call       socket.Call   // which call gave Errno
	Errno      syscall.Errno // as the kernel gave it; 0 if none
	Conclusion protocol.Conclusion
	Kept       bool          // the connection was kept: an earlier Outcome said that it was Parked
	DialedAt   int64         // moment of the dial; 0 if there was none, and of a kept connection
	EndedAt    int64         // moment of the verdict
	SchedDelay time.Duration // from when it should have been dialled until it was; of a heartbeat, until it was sent
	Connect    time.Duration // connect(2) to established, as this process saw it
	KernelRTT  time.Duration // the same as the kernel measured it
	TLS        time.Duration // the TLS handshake, of the first connection of several; Absent if it failed
	TLSWait    time.Duration // what of it was waiting for the peer and the network; the rest is ours
	FirstByte  time.Duration // from the first request, or the start of listening, to the first byte
	Total      time.Duration // from the dial to the verdict; of a heartbeat, from its being sent to the end of the answer
}

// Engine runs the loops. All its methods are safe for concurrent use, but Outcomes is for one consumer.
type Engine struct {
	cfg     Config
	loops   []*loop
	shared  *shared
	ended   chan struct{} // closed when every loop has ended
	adopted atomic.Uint64 // turns that loops had to adopt connections
	mu      sync.Mutex    // guards err, and one SetProfile against another
	err     error         // the first loop that failed
}

// New opens an engine and starts its loops. The caller must see it to its end: Finish or Stop, then Outcomes until it
// reports the end, then Wait.
func New(cfg Config) (*Engine, error) {
	if len(cfg.Profiles) == 0 {
		return nil, errors.New("engine: no profile given")
	}
	cfg = cfg.withDefaults()
	e := &Engine{cfg: cfg, shared: newShared(&cfg), ended: make(chan struct{})}
	for i := range cfg.Loops {
		p, err := poller.Open(cfg.Clock)
		if err != nil {
			for _, l := range e.loops {
				l.poller.Close()
			}
			return nil, fmt.Errorf("engine: loop %d of %d: %w", i+1, cfg.Loops, err)
		}
		e.loops = append(e.loops, newLoop(&e.cfg, e.shared, i, p, socket.System{}))
	}
	e.shared.wake = func() {
		for _, l := range e.loops {
			l.poller.Wake()
		}
	}
	e.start()
	return e, nil
}

func (c Config) withDefaults() Config {
	if c.Connections <= 0 {
		c.Connections = 1000
	}
	if c.Loops <= 0 {
		c.Loops = runtime.GOMAXPROCS(0)
	}
	if c.Descriptors <= 0 {
		c.Descriptors = 1<<31 - 1
	}
	c.Loops = min(c.Loops, c.Connections, c.Descriptors)
	if c.BufferBytes <= 0 {
		c.BufferBytes = 32 << 20
	}
	c.BufferBytes = max(c.BufferBytes, c.Loops*ringbuf.MinSize) // with less, a loop could not read at all
	if c.Resolution == 0 {
		c.Resolution = time.Duration(timewheel.Tick)
	}
	c.Resolution = max(c.Resolution, time.Duration(timewheel.FinestTick))
	if c.DrainLimit <= 0 {
		c.DrainLimit = 10 * time.Second
	}
	if c.Clock == nil {
		c.Clock = clock.NewSystem()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	profiles := make([]Profile, len(c.Profiles))
	for i, p := range c.Profiles {
		profiles[i] = p.withDefaults()
	}
	c.Profiles = profiles
	return c
}

func (p Profile) withDefaults() Profile {
	p.Limits = p.Limits.WithDefaults()
	return p
}

func (e *Engine) start() {
	var running sync.WaitGroup
	for _, l := range e.loops {
		running.Go(func() {
			if err := l.run(); err != nil {
				e.mu.Lock()
				if e.err == nil {
					e.err = fmt.Errorf("engine: loop %d: %w", l.index, err)
				}
				e.mu.Unlock()
				e.Stop() // the others drain; the user gets what they found
			}
		})
	}
	go func() {
		running.Wait()
		e.shared.outbox.close()
		close(e.ended)
	}()
}

// Submit hands jobs to the loops, in order, and blocks while the intake is full. It fails with ctx's error, or with
// ErrStopped after Finish or Stop; jobs not taken then are the caller's still: it returns how many were taken.
func (e *Engine) Submit(ctx context.Context, jobs []Job) (int, error) {
	return e.shared.inbox.put(ctx, jobs)
}

// SetProfile replaces the profile of that index, or adds one if the index is the number of those that there are. It holds for all jobs
// that are handed over after it has returned. Jobs of the old profile that are still between Submit and their last outcome, kept
// connections among them, go over to the new one, each at some moment of its own: only who knows that there are none may replace
// one. It fails if the index is beyond the end.
func (e *Engine) SetProfile(index uint16, p Profile) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	old := *e.shared.profiles.Load()
	if int(index) > len(old) {
		return fmt.Errorf("engine: profile %d, where there are %d", index, len(old))
	}
	profiles := slices.Clone(old) // loops read the old list meanwhile
	if int(index) == len(profiles) {
		profiles = append(profiles, p)
	}
	profiles[index] = p.withDefaults()
	e.shared.profiles.Store(&profiles)
	return nil
}

// Offer hands as many jobs to the loops, in order, as the intake has room for, and returns how many: it never blocks, so it is for
// who takes outcomes and gives jobs in one goroutine. It fails with ErrStopped after Finish or Stop; jobs not taken are the
// caller's still.
//
// A short Offer means that the intake is full of jobs that have no outcome yet, so one is to come: whoever offers what is left
// each time that it has taken outcomes never waits for ever. It may wait for long, where all Config.Connections are taken up by
// kept ones that nobody ends.
func (e *Engine) Offer(jobs []Job) (taken int, err error) { return e.shared.inbox.offer(jobs) }

// Ready returns a channel that gets a token when there are outcomes to take, or when the last was taken.
func (e *Engine) Ready() <-chan struct{} { return e.shared.outbox.ready }

// Outcomes appends the outcomes that are there to buf, without waiting. It reports false when all loops have ended and
// every outcome has been handed out.
func (e *Engine) Outcomes(buf []Outcome) (outcomes []Outcome, more bool) {
	buf, more = e.shared.outbox.take(buf)
	e.shared.wakeHungry()
	return buf, more
}

// QueueBound is how many jobs can be between Submit and Outcomes at most.
func (c Config) QueueBound() int {
	c = c.withDefaults()
	return inboxSize + outboxSize + c.Connections + c.Loops*(2*dialsPerRound+deliverAt)
}

// Finish says that no more jobs will come. The loops end when all jobs have ended.
func (e *Engine) Finish() { e.shared.inbox.finish(); e.shared.wake() }

// Stop ends admission: jobs not dialled come back as NotDialed, connections in flight have until the drain limit.
func (e *Engine) Stop() { e.shared.stopping.Store(true); e.Finish() }

// Abort cancels everything at once.
func (e *Engine) Abort() { e.shared.aborting.Store(true); e.Stop() }

// Wait returns when all loops have ended, with the first error of a loop. Outcomes must be taken meanwhile.
func (e *Engine) Wait() error {
	<-e.ended
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}
