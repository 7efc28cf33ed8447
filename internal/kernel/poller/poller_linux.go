package poller

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/clock"
)

// Epoll is the Poller over epoll(7). One epoll_wait(2) is one batch: its events carry Tokens, so that no descriptor is
// looked up, and none is mistaken for another that had its number.
type Epoll struct {
	fd        int
	clk       clock.Clock
	events    []unix.EpollEvent
	batch     []Event
	again     bool
	yieldedAt int64

	timer  int         // a timerfd (timerfd_create(2)), one-shot
	wake   int         // an eventfd (eventfd(2))
	woken  atomic.Bool // a Wake is on its way; later ones need not write
	mu     sync.Mutex  // guards closed against Wake's write
	closed bool
}

var _ Poller = (*Epoll)(nil)

// Tokens of our own descriptors: no connection has generation 0. Both are registered edge-triggered and never read: each
// write or setting is an edge of its own.
var (
	wakeToken  = MakeToken(0, 0)
	timerToken = MakeToken(1, 0)
)

const (
	// fewestEvents and mostEvents bound how many events one poll takes. The list grows when it was full: a large one costs a
	// loop with few connections its cache.
	fewestEvents = 128
	mostEvents   = 1024
	// yieldEvery is how often Run yields at most. A goroutine that does not is preempted by the runtime's monitor after
	// 10 ms, from which on it wakes every 20 us and takes the processor of each sleep: measured as one switch of threads
	// more for every connection.
	yieldEvery = int64(4 * time.Millisecond)
)

// Open makes a Poller that takes its times from clk.
func Open(clk clock.Clock) (*Epoll, error) {
	p := &Epoll{fd: -1, timer: -1, wake: -1, clk: clk, events: make([]unix.EpollEvent, fewestEvents), batch: make([]Event, 0, mostEvents)}
	if err := p.open(); err != nil {
		p.Close()
		return nil, fmt.Errorf("open a poller: %w", err)
	}
	return p, nil
}

func (p *Epoll) open() (err error) {
	if p.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if p.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	if p.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return os.NewSyscallError("timerfd_create", err)
	}
	if err := p.register(p.wake, unix.EPOLLIN|unix.EPOLLET, wakeToken); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	return os.NewSyscallError("epoll_ctl", p.register(p.timer, unix.EPOLLIN|unix.EPOLLET, timerToken))
}

// register watches fd. The token takes the place of the descriptor in the event's data.
func (p *Epoll) register(fd int, events uint32, t Token) error {
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(t.Slot()), Pad: int32(t.Generation())})
}

// Add implements [Poller].
func (p *Epoll) Add(fd int, t Token) error {
	return p.register(fd, unix.EPOLLIN|unix.EPOLLPRI|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET, t)
}

// Remove implements [Poller]. There is nothing to be done: close(2) ends the registration, as we hold the only descriptor
// of each socket (epoll(7), question 6).
func (p *Epoll) Remove(int) {}

// Detach implements [Poller]. Other descriptors may refer to the same socket, in another process too: the registration would
// outlive the close of ours, and name a Token that is stale, but wake us all the same (epoll(7), question 6).
func (p *Epoll) Detach(fd int) {
	_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, nil) // can't fail: fd is registered
}

// ArmTimer implements [Poller].
func (p *Epoll) ArmTimer(at int64) {
	var spec unix.ItimerSpec // zero disarms
	if at != 0 {
		spec.Value = unix.NsecToTimespec(max(at-p.clk.Now(), 1))
	}
	_ = unix.TimerfdSettime(p.timer, 0, &spec, nil) // can't fail: the descriptor and the value are valid
}

// Again implements [Poller].
func (p *Epoll) Again() { p.again = true }

// nudge is a host-order uint64 that is not zero on any machine.
var nudge = [8]byte{1}

// Wake implements [Poller].
func (p *Epoll) Wake() {
	if !p.woken.CompareAndSwap(false, true) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		_, _ = unix.Write(p.wake, nudge[:]) // can't fail: its counter would have to overflow first, after 2^55 nudges
	}
}

// Run implements [Poller].
func (p *Epoll) Run(h Handler) error {
	for {
		wait := -1
		if p.again {
			wait = 0
		}
		n, err := unix.EpollWait(p.fd, p.events, wait)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("poll: %w", os.NewSyscallError("epoll_wait", err))
		}
		now := p.clk.Now()
		p.again = false
		p.gather(p.events[:n])
		if !h(now, p.batch) {
			return nil
		}
		if n == len(p.events) && n < mostEvents {
			p.events = make([]unix.EpollEvent, 2*n)
		}
		if now-p.yieldedAt >= yieldEvery {
			p.yieldedAt = now
			runtime.Gosched()
		}
	}
}

// gather makes the batch.
func (p *Epoll) gather(events []unix.EpollEvent) {
	p.batch = p.batch[:0]
	for i := range events {
		ev := &events[i]
		switch t := MakeToken(uint32(ev.Fd), uint32(ev.Pad)); t {
		case wakeToken:
			p.woken.Store(false) // before the handler looks: what comes after wakes anew
		case timerToken:
		default:
			p.batch = append(p.batch, Event{Token: t, Ready: readiness(ev.Events)})
		}
	}
}

// Close implements [Poller].
func (p *Epoll) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	var err error
	for _, fd := range [3]int{p.timer, p.wake, p.fd} {
		if fd >= 0 {
			err = os.NewSyscallError("close", unix.Close(fd))
		}
	}
	return err
}

// readiness translates epoll_ctl(2)'s event bits.
func readiness(events uint32) Ready {
	var r Ready
	if events&(unix.EPOLLIN|unix.EPOLLPRI) != 0 {
		r |= Readable
	}
	if events&unix.EPOLLPRI != 0 {
		r |= Urgent
	}
	if events&unix.EPOLLOUT != 0 {
		r |= Writable
	}
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP) != 0 {
		r |= Hangup
	}
	if events&unix.EPOLLERR != 0 {
		r |= Failed
	}
	return r
}
