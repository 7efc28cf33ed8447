//go:build darwin || freebsd

package poller

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/panjf2000/gnet/v2/pkg/errors"
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"github.com/panjf2000/gnet/v2/pkg/queue"

	"sonde/internal/clock"
)

// Gnet is the Poller over gnet's pkg/netpoll.
//
// netpoll calls back once per event and does not say where a batch begins or ends, but it runs its tasks after the events
// of a poll. So the first event of a batch takes the time and triggers the task deliver; the events gather until that task
// hands them on. No descriptor is closed or opened while they gather, so a bare fd names one connection throughout.
type Gnet struct {
	np      *netpoll.Poller
	clk     clock.Clock
	handler Handler
	tokens  []Token // by descriptor; 0 where nothing is registered

	gathering bool    // a batch has begun and deliver has been triggered
	now       int64   // when it began
	batch     []Event // its events so far
	err       error   // what ended the run, if it was not the handler
	timerAt   int64   // what the timer was last set to; 0: it is not

	nudge  nudge
	timer  timer
	woken  atomic.Bool // a Wake is on its way; later ones need not write
	mu     sync.Mutex  // guards closed against Wake's write
	closed bool
}

var _ Poller = (*Gnet)(nil)

// Open makes a Poller that takes its times from clk.
func Open(clk clock.Clock) (*Gnet, error) {
	np, err := netpoll.OpenPoller()
	if err != nil {
		return nil, fmt.Errorf("open a poller: %w", err)
	}
	p := &Gnet{np: np, clk: clk, batch: make([]Event, 0, netpoll.MaxPollEventsCap)}
	if err := p.openNudge(); err != nil {
		np.Close()
		return nil, fmt.Errorf("open the poller's wake-up: %w", err)
	}
	if err := p.openTimer(); err != nil {
		p.closeNudge()
		np.Close()
		return nil, fmt.Errorf("open the poller's timer: %w", err)
	}
	return p, nil
}

// ArmTimer implements [Poller].
func (p *Gnet) ArmTimer(at int64) {
	p.timerAt = at
	p.setTimer(at)
}

// Add implements [Poller].
func (p *Gnet) Add(fd int, t Token) error {
	if err := p.np.AddReadWrite(&netpoll.PollAttachment{FD: fd}, true); err != nil {
		return err
	}
	for fd >= len(p.tokens) {
		p.tokens = append(p.tokens, make([]Token, max(64, len(p.tokens)))...)
	}
	p.tokens[fd] = t
	return nil
}

// Remove implements [Poller]. It makes no system call: close(2) ends the registration, as we hold the only descriptor of
// each socket (epoll(7), question 6).
func (p *Gnet) Remove(fd int) { p.tokens[fd] = 0 }

// Detach implements [Poller]. kqueue's registration is of this process's descriptor, not of the socket: it ends when that is
// closed, whoever else has the socket (kqueue(2)), and what it tells until then is dropped for want of a Token.
func (p *Gnet) Detach(fd int) { p.tokens[fd] = 0 }

// Again implements [Poller].
func (p *Gnet) Again() { p.nudgeSelf() }

// Wake implements [Poller].
func (p *Gnet) Wake() {
	if !p.woken.CompareAndSwap(false, true) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.nudgeSelf()
	}
}

// Run implements [Poller].
func (p *Gnet) Run(h Handler) error {
	p.handler = h
	err := p.np.Polling(p.onEvent)
	if err == errors.ErrEngineShutdown {
		return p.err
	}
	return fmt.Errorf("poll: %w", err)
}

// Close implements [Poller].
func (p *Gnet) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.closeTimer()
	p.closeNudge()
	return p.np.Close()
}

// onEvent gathers one event. netpoll drops any error but its own sentinels, so trouble is kept in p.err.
func (p *Gnet) onEvent(fd int, event netpoll.IOEvent, flags netpoll.IOFlags) error {
	if !p.gathering {
		p.gathering = true
		p.now = p.clk.Now()
		if err := p.np.Trigger(queue.HighPriority, p.deliver, nil); err != nil {
			p.err = fmt.Errorf("trigger a batch: %w", err)
			return errors.ErrEngineShutdown
		}
	}
	if p.isOwn(fd) || fd >= len(p.tokens) || p.tokens[fd] == 0 {
		return nil
	}
	p.batch = append(p.batch, Event{Token: p.tokens[fd], Ready: readiness(event, flags)})
	return nil
}

// deliver hands the gathered batch to the handler.
func (p *Gnet) deliver(any) error {
	p.gathering = false
	p.woken.Store(false)
	if p.timerAt > p.now && p.clk.Now() >= p.timerAt {
		// The events of two polls are in this batch, and the timer's may be among those of the second. It fires once, so
		// the batch that takes it must not look as if its moment were still to come.
		p.now = p.timerAt
	}
	more := p.handler(p.now, p.batch)
	p.batch = p.batch[:0]
	if !more {
		return errors.ErrEngineShutdown
	}
	return nil
}
