package watch

import (
	"context"
	"net"
	"time"

	"sonde/engine"
	"sonde/watch/runner"
	"sonde/watch/takeover"
)

// The limits of taking over.
const (
	// knownLimit is how long it is waited for lists of targets before anything is asked for.
	knownLimit = 10 * time.Second
	// unclaimedLimit is for how long is remembered what was known of targets that were not found.
	unclaimedLimit = time.Minute
	// historyBefore is how old points of history may be that are taken over.
	historyBefore = 100 * 24 * time.Hour
)

// takeOver applies the first configuration, and takes over from the process that listens at the control socket.
func (w *Watch) takeOver(ctx context.Context) error {
	if err := w.apply(w.current); err != nil {
		return err
	}
	w.loading.Lock()
	defer w.loading.Unlock()
	select {
	case <-w.finders.known:
	case <-ctx.Done():
	case <-time.After(knownLimit):
		w.log.Warn("some lists of targets are not known yet; connections to their targets are not taken over")
	}
	t := &taker{watch: w}
	c, err := takeover.Take(ctx, w.options.Control.Path, w.options.Version, t)
	if err != nil {
		for _, l := range w.options.Listeners {
			l.Close()
		}
		return err
	}
	w.part(func(ctx context.Context) error {
		c.Rest(ctx, t)
		return w.runner.Visit(ctx, w.runner.EndLate)
	})
	w.part(func(ctx context.Context) error {
		select {
		case <-time.After(unclaimedLimit):
			return w.runner.Visit(ctx, w.runner.DropUnclaimed)
		case <-ctx.Done():
			return nil
		}
	})
	return nil
}

// taker is the Watch as the process that takes over.
type taker struct {
	watch *Watch
	state takeover.State
}

var _ takeover.Taker = (*taker)(nil)

// Rows implements takeover.Taker.
func (t *taker) Rows(data []byte) (err error) {
	if visitErr := t.watch.runner.Visit(t.watch.life, func() { err = t.watch.runner.TakeRows(data) }); visitErr != nil {
		return visitErr
	}
	return err
}

// Ready implements takeover.Taker.
func (t *taker) Ready(s *takeover.State, listeners []net.Listener) (err error) {
	t.state = *s
	t.watch.options.Listeners, err = t.watch.options.Listen(listeners)
	return err
}

// Live implements takeover.Taker.
func (t *taker) Live(connections []takeover.Connection) {
	w := t.watch
	moved := make([]runner.Moved, len(connections))
	for i := range connections {
		c := &connections[i]
		moved[i] = runner.Moved{
			Job: c.Job, Key: c.Key, Module: c.Module, Heartbeat: c.Every, Addr: c.Addr,
			Kept: engine.Kept{FD: c.FD, Idle: c.Idle, Heartbeat: c.Heartbeat},
		}
	}
	w.held = false
	if err := w.deliverTo(w.current.config.Events); err != nil {
		w.log.Error("changes of state are delivered nowhere", "error", err)
	}
	var taken int
	_ = w.runner.Visit(w.life, func() { // else we end
		if len(t.state.Jobs) > 0 {
			if err := w.table.TakeJobs(t.state.Jobs); err != nil {
				w.log.Warn("what was counted of jobs is lost", "error", err)
			}
		}
		w.runner.SetLimits(limitsOf(w.current.config, w.onLoopback(), w.options.share))
		taken = w.runner.Follow(t.state.Epoch, moved)
	})
	w.log.Info("taken over", "connections", taken, "released", len(moved)-taken)
	w.answer(w.options.Listeners)
}

// Late implements takeover.Taker.
func (t *taker) Late(data []byte) {
	_ = t.watch.runner.Visit(t.watch.life, func() {
		if err := t.watch.runner.TakeLate(data); err != nil {
			t.watch.log.Warn("results of the process before are lost", "error", err)
		}
	})
}
