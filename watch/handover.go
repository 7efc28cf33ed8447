package watch

import (
	"context"
	"errors"
	"time"

	"sonde/internal/kernel/socket"
	"sonde/watch/runner"
	"sonde/watch/takeover"
)

// Control is the socket over which another process may take the place of this one (package takeover).
type Control struct {
	// Path is that of the socket's file; empty: there is none.
	Path string
	// Optional has a socket that can't be made be told in the log, and no more.
	Optional bool
}

// The limits of handing over.
const (
	// exportLimit is how long the heartbeats under way may take to end when connections are given up. Those that take longer are not
	// handed over.
	exportLimit = 10 * time.Second
	// unreadLimit is for how long it is waited for requests on connections that were accepted.
	unreadLimit = time.Second
	// rowsPart is how many bytes of rows go into a message, more or less.
	rowsPart = 1 << 20
)

// errGiven is what is said to who asks for something that another process does by now.
var errGiven = errors.New("another process has taken over")

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
			unread += p.Unread()
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
		fd, err := p.Pause() // who connects from now on waits in the backlog
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
		p.Resume()
	}
}

// letGo closes this process' descriptors of what another has.
func (g *giver) letGo() {
	for i := range g.moved {
		socket.System{}.Close(g.moved[i].FD, false)
	}
}
