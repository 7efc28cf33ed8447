package engine

import (
	"time"

	"sonde/internal/clock"
	"sonde/internal/histogram"
	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
	"sonde/internal/timewheel"
	"sonde/ringbuf"
)

// loop is one event loop and all that it owns. Only its own goroutine touches it, but for the shared queues and counters.
type loop struct {
	cfg     *Config
	shared  *shared
	index   int
	poller  poller.Poller
	sockets socket.Sockets
	clk     clock.Clock

	profiles   []Profile // as they were when jobs were last taken: all that those jobs, and any before them, may name
	table      table
	wheel      *timewheel.Wheel
	pool       *ringbuf.Pool
	admission  admission
	growing    []poller.Token // reads that wait for a larger ring than the full one they hold, oldest first
	paused     []poller.Token // reads that wait for a ring at all
	unfinished []poller.Token // those that go on in the next batch without an edge
	spare      []poller.Token // memory for the next unfinished
	outcomes   []Outcome      // not delivered yet
	holdUntil  int64          // when they are; 0: there are none
	expired    []uint32       // scratch of expire
	beats      []dueBeat      // heartbeats whose moment has come, oldest first
	beaten     int            // how many of them have had their round
	beatBudget int            // beatsPerRound; tests have fewer
	scratch    []byte         // where bytes go that nobody wants, and ciphertext on its way
	waste      []byte         // where plaintext goes that nobody wants; made when first needed
	iov        [1][]byte      // scratch of flushSession
	handshakes int            // that the loop itself makes now
	ringFreed  int64          // when a ring was last given back: those that wait for one get on
	ringCame   bool           // one was given back since resume began
	fresh      bool           // what is read now was just reported by the poller: no end of the stream with it, nothing urgent
	drained    bool           // the socket that is read now has been emptied, and any more will make an edge

	orders  orders             // what others ask for
	leaving map[uint32]*export // by slot: who waits for the end of a heartbeat

	observe func(slot uint32, from, to State) // hears of each transition; nil outside tests

	began      int64 // when the loop was made
	now        int64 // when the poll of this batch returned
	toldAt     int64 // when the poll returned that told of what is read now
	arrived    arrival
	armedAt    int64                // what the poller's timer is set to; 0: nothing
	drainUntil int64                // once stopping: when to cancel what is left
	partUntil  int64                // once only closing connections are left: when to leave them to the kernel
	lag        *histogram.Histogram // since tellNow
	tellAt     int64                // when to tell the figures; 0: nothing has happened since they were told
	tellEvery  time.Duration        // TellEvery; 0, of tests: at the end only
	cancelling bool                 // everything is being cancelled, which is nobody's latency: the lag is told no more
	tracing    tracing
}

// scratchSize is how much is thrown away by one read of a connection that is closing.
const scratchSize = 16 << 10

func newLoop(cfg *Config, shared *shared, index int, p poller.Poller, s socket.Sockets) *loop {
	share := func(total int) int { // of what the loops divide among them
		n := total / cfg.Loops
		if index < total%cfg.Loops {
			n++
		}
		return n
	}
	l := &loop{
		cfg:     cfg,
		shared:  shared,
		index:   index,
		poller:  p,
		sockets: s,
		clk:     cfg.Clock,
		wheel:   timewheel.NewWithTick(cfg.Clock.Now(), int64(cfg.Resolution)),
		pool:    ringbuf.New(ringbuf.Options{CapBytes: share(cfg.BufferBytes)}),
		scratch: make([]byte, scratchSize),

		profiles: *shared.profiles.Load(),
		lag:      histogram.New(),

		beatBudget: beatsPerRound,
		tellEvery:  TellEvery,
		leaving:    make(map[uint32]*export),
	}
	l.admission = newAdmission(share(cfg.Connections), share(cfg.Descriptors))
	// Room for all rows at once: it takes no memory until it is used, and rows that grew by copies would leave those behind,
	// twice as much as they take themselves.
	l.table.rows = make([]row, 0, min(l.admission.connections, l.admission.descriptors))
	l.began = cfg.Clock.Now()
	l.admission.moved = l.began
	return l
}

// run polls until all jobs have ended.
func (l *loop) run() error {
	l.tracing.begin()
	defer l.tracing.end()
	l.poller.Wake() // the first batch: there may be jobs already
	err := l.poller.Run(l.onBatch)
	if err != nil { // what was given to this loop is handed back, so that nothing waits for it
		l.shared.stopping.Store(true)
		l.shared.inbox.finish()
		l.turnAway()
		for over := false; !over; over = l.orders.close() {
			l.obey()
		}
		l.cancelAll()
		l.deliver()
	}
	l.tellNow()
	if closeErr := l.poller.Close(); err == nil {
		err = closeErr
	}
	return err
}

// onBatch is one turn of the loop. Its phases, in this order: what the network did comes before any deadline, so that an
// answer that is already here is never called late; dials come last, so that no event waits behind them.
func (l *loop) onBatch(now int64, events []poller.Event) (more bool) {
	l.now, l.toldAt = now, now
	due := l.armedAt
	if due <= now {
		l.armedAt = 0 // the poller's timer is one-shot
	} else {
		due = 0
	}
	due = earlier(due, l.waitingBeat())

	l.tracing.batch("events")
	for _, ev := range events {
		l.onEvent(ev)
	}
	l.goOnAll()
	l.tracing.next("timers")
	l.expire()
	l.beat()
	l.resume()
	l.obey()
	l.tracing.next("admit")
	l.admit()
	l.heedStop()
	l.partLast()
	l.tracing.next("deliver")
	l.deliver()
	l.tell()
	l.arm()
	l.tracing.batchEnd()

	l.lag.Record(lagOf(now, l.clk.Now(), due))
	return !l.isOver()
}

func (l *loop) onEvent(ev poller.Event) {
	slot, ok := l.table.find(ev.Token)
	if !ok {
		l.shared.stats.stale.Add(1)
		return
	}
	inbound := ev.Ready&(poller.Readable|poller.Hangup|poller.Failed) != 0
	switch l.table.rows[slot].state {
	case Connecting:
		l.onConnectEvent(slot, ev.Ready)
	case Handshaking, Active:
		if ev.Ready&poller.Writable != 0 {
			l.onWritable(slot)
		}
		if inbound && l.isHeard(ev.Token) {
			l.fresh = ev.Ready&^poller.Writable == poller.Readable
			l.hear(slot)
			l.fresh = false
		}
	case Idle:
		if inbound {
			l.onIdleReadable(slot)
		}
		if ev.Ready&poller.Writable != 0 && l.is(ev.Token, Idle) {
			l.flushIdle(slot)
		}
	case Closing:
		if ev.Ready&poller.Writable != 0 {
			l.onWritable(slot)
		}
		if inbound && l.is(ev.Token, Closing) {
			l.onClosingReadable(slot)
		}
	}
}

// is reports whether the connection of the token is still there and in the given state.
func (l *loop) is(token poller.Token, s State) bool {
	slot, ok := l.table.find(token)
	return ok && l.table.rows[slot].state == s
}

// expire serves the deadlines that have passed.
func (l *loop) expire() {
	l.expired = l.wheel.Advance(l.now, l.expired[:0])
	for _, slot := range l.expired {
		l.onTimeout(slot)
	}
}

// goOnAll serves the connections that used up their share of the last batch, or whose write was put off: an edge-triggered
// poller will not name them again.
func (l *loop) goOnAll() {
	turn := l.unfinished
	l.unfinished = l.spare[:0]
	for _, token := range turn {
		slot, ok := l.table.find(token)
		if !ok {
			continue
		}
		l.table.rows[slot].flags &^= unfinished
		// Hangup, since the peer may have closed: the poller's word on that may have come and gone.
		l.onEvent(poller.Event{Token: token, Ready: poller.Readable | poller.Writable | poller.Hangup})
	}
	l.spare = turn
}

const (
	// deliverAt is how many outcomes are worth waking the consumer for, and deliverDelay is how long one waits for others at
	// most. Each waking may cost two switches of threads, as much as a tenth of a connection's whole price.
	deliverAt    = 64
	deliverDelay = int64(5 * time.Millisecond)
)

// deliver hands outcomes to the consumer: many at once, or what there is when the oldest has waited long enough, or when no
// more is in flight.
func (l *loop) deliver() {
	if len(l.outcomes) == 0 {
		return
	}
	if l.holdUntil == 0 {
		l.holdUntil = l.now + deliverDelay
	}
	if len(l.outcomes) < deliverAt && l.now < l.holdUntil && l.admission.inFlight > 0 && !l.shared.stopping.Load() {
		return
	}
	l.holdUntil = 0
	l.shared.outbox.put(l.outcomes)
	clear(l.outcomes) // lets the findings go
	l.outcomes = l.outcomes[:0]
}

// arm sets the poller's timer to the next moment at which there is something to do. A moment earlier than needed is left
// as it is: waking once for nothing is cheaper than setting the timer at each turn.
func (l *loop) arm() {
	ringWanted := l.ringCame && len(l.growing)+len(l.paused) > 0 // one came back after resume had given up
	if len(l.unfinished) > 0 || l.admission.again || ringWanted || l.waitingBeat() != 0 {
		l.poller.Again()
	}
	next, ok := l.wheel.Next()
	if !ok {
		next = 0
	}
	next = earlier(next, l.admission.retryAt)
	next = earlier(next, l.drainUntil)
	next = earlier(next, l.partUntil)
	next = earlier(next, l.holdUntil)
	next = earlier(next, l.tellAt)
	if next != 0 && (l.armedAt == 0 || next < l.armedAt) {
		l.armedAt = next
		l.poller.ArmTimer(next)
	}
}

// earlier returns the earlier of two moments of which either may be 0, "never".
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// heedStop acts on Stop and Abort.
func (l *loop) heedStop() {
	if !l.shared.stopping.Load() {
		return
	}
	l.turnAway()
	if l.drainUntil == 0 {
		l.drainUntil = after(l.now, l.cfg.DrainLimit)
	}
	if l.now >= l.drainUntil || l.shared.aborting.Load() {
		if !l.cancelling {
			l.tellNow()
			l.cancelling = true
		}
		l.cancelAll()
	}
}

// partLimit is how long a run that has all its outcomes waits for its peers' FINs.
const partLimit = time.Second

// partLast ends the wait for peers that do not close, once nothing else is left to do: the kernel goes on with what is
// left of our FIN. Connections with bytes still to be sent keep their limit.
func (l *loop) partLast() {
	if l.table.live == 0 || l.admission.inFlight > 0 || !l.isFed() {
		return
	}
	if l.partUntil == 0 {
		l.partUntil = after(l.now, partLimit)
	}
	if l.now < l.partUntil && !l.shared.stopping.Load() {
		return
	}
	l.partUntil = int64(off)
	for slot := range l.table.rows {
		if l.table.rows[slot].state == Closing && !l.isSending(uint32(slot)) {
			l.drop(uint32(slot), false)
		}
	}
}

// cancelAll ends every connection at once.
func (l *loop) cancelAll() {
	for slot := range l.table.rows {
		if l.table.rows[slot].state != Closed {
			l.cancel(uint32(slot))
		}
	}
}

// isOver reports that nothing is left and nothing will come.
func (l *loop) isOver() bool { return l.table.live == 0 && l.isFed() && l.orders.close() }

// isFed reports that no job is left to be dialled, here or in the inbox.
func (l *loop) isFed() bool {
	a := &l.admission
	return a.isOver && a.first == len(a.pending) && len(a.waiters) == 0 && len(a.redials) == 0
}

// transition moves a connection to another state. An illegal edge is a bug of ours: it panics where Config.Strict is set
// and is otherwise counted, logged and made all the same, since ending the run would lose more.
func (l *loop) transition(slot uint32, next State) {
	r := &l.table.rows[slot]
	if !r.state.MayBecome(next) {
		l.shared.stats.illegal.Add(1)
		l.cfg.Log.Error("illegal change of state", "from", r.state, "to", next, "slot", slot, "loop", l.index)
		if l.cfg.Strict {
			panic("engine: illegal change of state from " + r.state.String() + " to " + next.String())
		}
	}
	if l.observe != nil {
		l.observe(slot, r.state, next)
	}
	switch {
	case next == Handshaking:
		l.shared.stats.shaking(1)
	case r.state == Handshaking:
		l.shared.stats.shaking(-1)
		if l.table.session(slot) != nil {
			l.handshakes--
		}
	}
	l.table.inState[r.state]--
	l.table.inState[next]++
	r.state = next
}

func (l *loop) flight(slot uint32) *flight { return &l.table.flights[l.table.rows[slot].seat] }

func (l *loop) profile(slot uint32) *Profile { return &l.profiles[l.table.rows[slot].profile] }
