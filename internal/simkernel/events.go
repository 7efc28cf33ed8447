package simkernel

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"sonde/internal/kernel/poller"
)

// everything is all that a socket can be ready for.
const everything = poller.Readable | poller.Writable | poller.Hangup | poller.Failed

// noToken overwrites the events of a batch once its handler has returned, so that a handler that kept them is found out.
const noToken = ^poller.Token(0)

// watch is one registration, from Add to Remove.
type watch struct {
	c       *conn
	token   poller.Token
	owed    poller.Ready // what has had an edge and is not reported yet
	queued  bool         // it is in Kernel.ready
	removed bool
}

// slotUse is the last use of a slot of the caller's table.
type slotUse struct {
	generation uint32
	watched    bool
}

// DeadlockError ends a run in which nothing can ever happen again: no timer is armed, nothing is on the way, no edge is
// owed. The text tells what each open descriptor was waiting for.
type DeadlockError struct {
	// At is the moment when everything had stopped.
	At int64
	// Open describes the descriptors that are open, in rising order.
	Open []string
}

// Error implements error. It names at most the first ten descriptors.
func (e *DeadlockError) Error() string {
	text := fmt.Sprintf("deadlock: nothing can happen after %v, no timer is armed, %d descriptors open",
		time.Duration(e.At), len(e.Open))
	if len(e.Open) > 0 {
		text += ": " + strings.Join(e.Open[:min(len(e.Open), 10)], "; ")
	}
	return text
}

// Add implements [poller.Poller]. An edge is owed at once if the socket is ready already (epoll_ctl(2), EPOLL_CTL_ADD).
func (k *Kernel) Add(fd int, t poller.Token) error {
	k.enter()
	c := k.open("add", fd)
	if c == nil {
		return syscall.EBADF
	}
	line := traceLine{what: "add", fd: fd, token: t, hasToken: true, answered: true}
	if c.watch != nil {
		k.violation("fd %d watched twice", fd)
		line.errno = syscall.EEXIST
	} else if e, hit := k.drawPollRefusal(); hit {
		c.dial.Fault = "poll failed: " + errnoName(e)
		line.errno = e
	}
	k.note(line)
	if line.errno != 0 {
		return line.errno
	}
	k.checkToken(fd, t)
	c.watch = &watch{c: c, token: t}
	if c.readiness() != 0 {
		c.wake(everything)
	}
	return nil
}

// checkToken sees to it that a token names one registration ever.
func (k *Kernel) checkToken(fd int, t poller.Token) {
	last, known := k.slots[t.Slot()]
	if known && last.watched {
		k.violation("fd %d watched with slot %d, which another descriptor has", fd, t.Slot())
	}
	if known && last.generation == t.Generation() {
		k.violation("fd %d watched with slot %d generation %d, which was used before", fd, t.Slot(), t.Generation())
	}
	k.slots[t.Slot()] = slotUse{generation: t.Generation(), watched: true}
}

// Remove implements [poller.Poller].
func (k *Kernel) Remove(fd int) { k.unwatch("remove", fd) }

// Detach implements [poller.Poller].
func (k *Kernel) Detach(fd int) { k.unwatch("detach", fd) }

func (k *Kernel) unwatch(call string, fd int) {
	k.enter()
	c := k.open(call, fd)
	if c == nil {
		return
	}
	if c.watch == nil {
		k.violation("%s of fd %d, which is not watched", call, fd)
		return
	}
	k.note(traceLine{what: call, fd: fd, token: c.watch.token, hasToken: true})
	k.forget(c)
}

func (k *Kernel) forget(c *conn) {
	slot := c.watch.token.Slot()
	k.slots[slot] = slotUse{generation: k.slots[slot].generation}
	c.watch.removed = true
	c.watch = nil
}

// ArmTimer implements [poller.Poller].
func (k *Kernel) ArmTimer(at int64) {
	k.enter()
	if at < 0 {
		k.violation("timer armed for the negative moment %d", at)
	}
	k.timer = at
	k.note(traceLine{what: "arm", n: at, moment: true})
}

// Again implements [poller.Poller].
func (k *Kernel) Again() { k.again = true }

// Wake implements [poller.Poller]. It is safe from any goroutine, but only calls from the goroutine that runs the kernel
// (from the handler, or a function given to At) keep a run a function of its seed.
func (k *Kernel) Wake() { k.wake.Store(true) }

// Run implements [poller.Poller]. It returns a *DeadlockError when nothing can happen any more, and another error after
// Options.MaxBatches batches.
func (k *Kernel) Run(h poller.Handler) error {
	if k.running || k.pollClosed {
		k.violation("run of a poller that runs already or is closed")
		return syscall.EBADF
	}
	k.running = true
	defer func() { k.running = false }()
	for {
		if err := k.wait(); err != nil {
			return err
		}
		if k.batches++; k.batches > k.opts.MaxBatches {
			return fmt.Errorf("livelock: %d batches and no end at %v", k.opts.MaxBatches, time.Duration(k.now))
		}
		events := k.collect()
		k.noteBatch(events)
		more := h(k.now, events)
		for i := range events {
			events[i] = poller.Event{Token: noToken, Ready: everything}
		}
		if !more {
			return nil
		}
	}
}

// Close implements [poller.Poller].
func (k *Kernel) Close() error {
	if k.running || k.pollClosed {
		k.violation("close of a poller that runs or is closed already")
		return syscall.EBADF
	}
	k.pollClosed = true
	return nil
}

// wait moves time on to the next batch.
func (k *Kernel) wait() error {
	k.now += pollCost + k.upTo(k.opts.Faults.Jitter)
	k.unroll(true)
	for !k.takeWake() && !k.timerDue() && !k.anyReady() {
		next := k.agenda.next()
		if k.timer > 0 {
			next = min(next, k.timer)
		}
		if next == never {
			return k.deadlock()
		}
		if k.chance(k.opts.Faults.EmptyBatch) {
			break
		}
		k.now = max(k.now, next)
		k.unroll(true)
	}
	if k.chance(k.opts.Faults.Late) {
		k.now += k.upTo(k.opts.Faults.LateMax)
		k.unroll(true)
	}
	if k.timerDue() && !(k.anyReady() && k.chance(k.opts.Faults.TimerApart)) {
		k.timer = 0
	}
	return nil
}

// takeWake reports whether a batch was asked for, and forgets it.
func (k *Kernel) takeWake() bool {
	asked := k.wake.Swap(false) || k.again
	k.again = false
	return asked
}

func (k *Kernel) timerDue() bool { return k.timer > 0 && k.timer <= k.now }

func (k *Kernel) deadlock() error {
	e := &DeadlockError{At: k.now}
	for _, fd := range k.fds.list() {
		e.Open = append(e.Open, k.fds.at(fd).String())
	}
	return e
}

// queue puts a registration among those that the next poll looks at.
func (k *Kernel) queue(w *watch) {
	if !w.queued {
		w.queued = true
		k.ready = append(k.ready, w)
	}
}

// report is what of a registration is to be reported now.
func (w *watch) report() poller.Ready {
	if w.removed {
		return 0
	}
	return w.owed & w.c.readiness()
}

// anyReady drops what was queued but is not ready (any more), and tells whether anything is left.
func (k *Kernel) anyReady() bool {
	kept := k.ready[:0]
	for _, w := range k.ready {
		if w.report() != 0 {
			kept = append(kept, w)
			continue
		}
		w.queued, w.owed = false, 0
	}
	k.ready = kept
	return len(kept) > 0
}

// collect makes the next batch of what is ready, with the liberties that Faults allow.
func (k *Kernel) collect() []poller.Event {
	f := &k.opts.Faults
	shuffled := k.chance(f.Shuffle)
	ready := k.ready
	k.ready = k.spare[:0]
	k.events = k.events[:0]
	if shuffled {
		k.rng.Shuffle(len(ready), func(i, j int) { ready[i], ready[j] = ready[j], ready[i] })
	}
	for _, w := range ready {
		w.queued = false
		if w.removed {
			continue
		}
		if len(k.events) >= k.opts.MaxBatch || k.chance(f.Withhold) {
			k.queue(w)
			continue
		}
		k.emit(w)
	}
	k.spare = ready
	k.addNoise()
	if shuffled {
		k.rng.Shuffle(len(k.events), func(i, j int) { k.events[i], k.events[j] = k.events[j], k.events[i] })
	}
	return k.events
}

// emit reports a registration: in one event, in two, or half of it now and half in the next batch.
func (k *Kernel) emit(w *watch) {
	now := w.report()
	w.owed = 0
	if now == 0 {
		return
	}
	if k.chance(k.opts.Faults.Split) {
		part := now & poller.Ready(k.rng.IntN(int(everything)+1))
		if rest := now &^ part; part != 0 && rest != 0 {
			now = part
			if k.rng.IntN(2) == 0 {
				k.events = append(k.events, poller.Event{Token: w.token, Ready: rest})
			} else {
				w.owed = rest
				k.queue(w)
			}
		}
	}
	k.events = append(k.events, poller.Event{Token: w.token, Ready: now})
}

// addNoise repeats events, which become stale ones when the first of them makes the handler close its socket, and adds
// spurious ones.
func (k *Kernel) addNoise() {
	f := &k.opts.Faults
	if f.Repeat > 0 {
		for _, e := range k.events {
			if k.chance(f.Repeat) {
				k.events = append(k.events, e)
			}
		}
	}
	if len(k.fds.conns) == 0 || !k.chance(f.Spurious) {
		return
	}
	c := k.fds.conns[k.rng.IntN(len(k.fds.conns))]
	if c == nil || c.watch == nil {
		return
	}
	e := poller.Event{Token: c.watch.token, Ready: poller.Writable}
	switch {
	case c.state == connecting && k.opts.NoInfo:
		return
	case c.state == established:
		e.Ready = poller.Ready(1 + k.rng.IntN(int(poller.Readable|poller.Writable)))
	}
	k.events = append(k.events, e)
}
