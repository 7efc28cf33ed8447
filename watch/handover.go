package watch

import (
	"context"
	"errors"
	"net"
	"time"

	"sonde/engine"
	"sonde/internal/kernel/socket"
	"sonde/watch/runner"
	"sonde/watch/takeover"
	"sonde/watch/web"
)

// Control is the socket over which another process may take the place of this one (package takeover).
type Control struct {
	// Path is that of the socket's file; empty: there is none.
	Path string
	// Optional has a socket that can't be made be told in the log, and no more.
	Optional bool
}

// The limits of a takeover.
const (
	// exportLimit is how long the heartbeats under way may take to end when connections are given up. Those that take longer are not
	// handed over.
	exportLimit = 10 * time.Second
	// knownLimit is how long the new process waits for lists of targets before it asks for anything.
	knownLimit = 10 * time.Second
	// unclaimedLimit is for how long it remembers what was known of targets that it has not found.
	unclaimedLimit = time.Minute
	// unreadLimit is for how long the old one waits for requests on connections that it has accepted.
	unreadLimit = time.Second
	// historyBefore is how old points of history may be that are taken over.
	historyBefore = 100 * 24 * time.Hour
	// rowsPart is how many bytes of rows go into a message, more or less.
	rowsPart = 1 << 20
)

// errGiven is what is said to who asks for something that another process does by now.
var errGiven = errors.New("another process has taken over")

// answer answers over HTTP on listeners, which it closes, until Run ends.
func (w *Watch) answer(listeners []net.Listener) {
	if len(listeners) == 0 {
		return
	}
	all := make([]net.Listener, len(listeners))
	for i, l := range listeners {
		p := newPausing(l)
		w.answering = append(w.answering, p)
		all[i] = p
	}
	o := w.options.Web
	o.Clock = w.clk
	var b web.Backend = backend{w}
	if w.fleet != nil {
		b = fleetBackend{backend{w}}
	}
	w.part(func(ctx context.Context) error { return web.New(b, o).Serve(ctx, all...) })
}

// listenControl has other processes ask to take over from now on. follows says that the socket is that of the process we follow.
func (w *Watch) listenControl(follows bool) error {
	path := w.options.Control.Path
	if path == "" {
		return nil
	}
	l, err := takeover.Listen(path, follows)
	switch {
	case err == nil:
		w.part(func(ctx context.Context) error {
			w.serveControl(ctx, l)
			return nil
		})
	case errors.Is(err, errors.ErrUnsupported) && w.options.Control.Optional:
	case w.options.Control.Optional || follows:
		w.log.Warn("no other process can take over from this one", "error", err)
	default:
		return err
	}
	return nil
}

// serveControl serves those who ask to take over until ctx ends, or one has.
func (w *Watch) serveControl(ctx context.Context, l *takeover.Listener) {
	defer context.AfterFunc(ctx, l.Close)()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() == nil {
				w.log.Error("no other process can take over any more", "error", err)
			}
			l.Remove()
			return
		}
		if w.handOver(ctx, c, l) {
			return
		}
	}
}

// handOver hands over to who asks on c. It reports whether this process has nothing any more, and Run is to end.
func (w *Watch) handOver(ctx context.Context, c *takeover.Conn, l *takeover.Listener) (given bool) {
	version, err := c.Greet()
	if err != nil {
		w.log.Debug("somebody asked to take over", "error", err)
		return false
	}
	if w.fleet != nil {
		c.Refuse("worker processes have its targets (workers: in the configuration), and those can't be handed over: stop it and start the other")
		return false
	}
	w.log.Info("another process takes over", "version", version)
	w.loading.Lock() // no other configuration meanwhile,
	defer w.loading.Unlock()
	w.gate.Lock() // and no other targets
	defer w.gate.Unlock()
	g := &giver{watch: w}
	if err := c.Give(ctx, g); err != nil {
		w.log.Error("the takeover broke, this process goes on", "error", err)
		g.back()
		return false
	}
	l.Close()
	w.mu.Lock()
	w.ending, w.given = true, true
	w.mu.Unlock()
	g.letGo()
	w.rest(ctx, c)
	w.finishAnswers(ctx)
	w.log.Info("handed over", "connections", len(g.moved))
	w.stop()
	return true
}

// rest hands over what comes of probes that were under way.
func (w *Watch) rest(ctx context.Context, c *takeover.Conn) {
	defer c.Over()
	drain := w.options.Drain
	if drain == 0 {
		drain = defaultDrain
	}
	ctx, cancel := context.WithTimeout(ctx, drain)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		var data []byte
		under := 0
		if w.runner.Visit(ctx, func() { data, under = w.runner.Late() }) != nil {
			return
		}
		if data != nil && c.Late(data) != nil || under == 0 {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// finishAnswers waits until what was asked on connections that were accepted has been heard: a server that ends drops what it has
// not read.
func (w *Watch) finishAnswers(ctx context.Context) {
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for range unreadLimit / (50 * time.Millisecond) {
		select {
		case <-look.C: // at least once: what was read is to be understood
		case <-ctx.Done():
			return
		}
		var unread int64
		for _, p := range w.answering {
			unread += p.unread.Load()
		}
		if unread == 0 {
			return
		}
	}
}

// Given reports whether another process has taken the place of this one.
func (w *Watch) Given() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.given
}

// giver is the Watch as the process that hands over.
type giver struct {
	watch     *Watch
	moved     []runner.Moved
	committed bool
}

var _ takeover.Giver = (*giver)(nil)

// Connections implements takeover.Giver.
func (g *giver) Connections(ctx context.Context) ([]takeover.Connection, error) {
	limited, cancel := context.WithTimeout(ctx, exportLimit)
	defer cancel()
	var err error
	if g.moved, err = g.watch.runner.GiveUp(limited); err != nil {
		return nil, err
	}
	list := make([]takeover.Connection, len(g.moved))
	for i := range g.moved {
		m := &g.moved[i]
		list[i] = takeover.Connection{
			Job: m.Job, Key: m.Key, Module: m.Module, Every: m.Heartbeat, Addr: m.Addr, Idle: m.Idle, Heartbeat: m.Kept.Heartbeat, FD: m.FD,
		}
	}
	return list, nil
}

// Freeze implements takeover.Giver.
func (g *giver) Freeze(ctx context.Context) (*takeover.State, []int, error) {
	w := g.watch
	s := &takeover.State{}
	var fds []int
	for _, p := range w.answering {
		fd, err := p.pause() // who connects from now on waits in the backlog
		if err != nil {
			return nil, nil, err
		}
		fds = append(fds, fd)
		s.Listeners = append(s.Listeners, p.Addr().String())
	}
	err := w.runner.Visit(ctx, func() {
		s.Epoch = w.runner.Freeze()
		s.Jobs = w.table.AppendJobs(nil)
	})
	return s, fds, err
}

// Rows implements takeover.Giver.
func (g *giver) Rows(ctx context.Context, send func([]byte) error) error {
	r := g.watch.runner
	var data []byte
	for from, done := uint32(0), false; !done; {
		if err := r.Visit(ctx, func() { data, from, done = r.AppendRows(data, from, 256) }); err != nil {
			return err
		}
		if len(data) < rowsPart && !done {
			continue
		}
		if err := send(data); err != nil {
			return err
		}
		data = data[:0]
	}
	return nil
}

// Commit implements takeover.Giver. Two processes can't have one spool of events.
func (g *giver) Commit() error {
	g.committed = true
	return g.watch.deliverTo(nil)
}

// back has the Watch go on as before.
func (g *giver) back() {
	w := g.watch
	if w.runner.Visit(context.Background(), func() { w.runner.Thaw(g.moved) }) != nil { // it has ended
		g.letGo()
		return
	}
	if g.committed {
		if err := w.deliverTo(w.current.config.Events); err != nil {
			w.log.Error("changes of state are delivered no more", "error", err)
		}
	}
	for _, p := range w.answering {
		p.resume()
	}
}

// letGo closes this process' descriptors of what another has.
func (g *giver) letGo() {
	for i := range g.moved {
		socket.System{}.Close(g.moved[i].FD, false)
	}
}

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
