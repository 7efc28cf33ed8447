// Package watch joins what `sonde watch` is made of: the configuration becomes modules and jobs, discovery says who the targets of a
// job are, the runner asks them, and the web server tells what is known.
//
//	config ─► modules ──┐
//	   │                ▼
//	   └─► discovery ─► runner ─► track ─► metrics, web
//	                       └────► events
//
// A configuration is read whole, made ready and then put to work at once, or not at all: one that is bad leaves the old one running.
package watch

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"sonde/internal/clock"
	"sonde/target"
	"sonde/watch/fleet"
	"sonde/watch/runner"
	"sonde/watch/takeover"
	"sonde/watch/track"
	"sonde/watch/web"
)

// Options is how a Watch works. The zero value of a field means its default.
type Options struct {
	// File is the configuration's name. Not empty.
	File string
	// Listeners are where the web server answers; it closes them. None: there is no server.
	Listeners []net.Listener
	Web       web.Options
	// Version is that of the program, for the page and the metrics.
	Version string
	// Lookup resolves names; default the system's.
	Lookup target.LookupFunc
	Log    *slog.Logger
	Clock  clock.Clock
	// Drain is how long probes in flight may take when the watch is to end; default 10 s.
	Drain time.Duration
	// Ready is called once the first configuration runs.
	Ready func()
	// Once has each target asked one time; see [Watch.Once].
	Once bool
	// Control is where another process may ask to take over.
	Control Control
	// Takeover has Run take over from the process that listens at Control, or fail. Its listeners are handed to Listen, which says what
	// those of this process are, in place of Listeners.
	Takeover bool
	Listen   func(taken []net.Listener) ([]net.Listener, error)
	// Workers are the processes that watch in place of this one.
	Workers Workers

	share *share // of a worker; nil: it has all targets
	text  []byte // that File held when the parent read it; nil: it is read
}

// Watch is one run of `sonde watch`. Make one with [New]; Run it once.
type Watch struct {
	options   Options
	clk       clock.Clock
	log       *slog.Logger
	table     *track.Table // the runner's
	runner    *runner.Runner
	start     time.Time
	turns     *turnLog
	fails     *failures
	life      context.Context                   // of Run
	part      func(func(context.Context) error) // runs a part of Run, whose error ends it
	stop      context.CancelFunc                // ends Run
	answering []*takeover.Pausing               // the web server's listeners
	once      *once                             // nil: it asks again and again
	fleet     *fleet.Fleet                      // has the targets; nil: the runner has them

	delivery atomic.Pointer[delivery] // nil: changes are delivered nowhere
	export   atomic.Pointer[export]   // nil: no collector is told

	loading sync.Mutex // held by one load at a time; guards finders and ends their predecessors
	finders *finders
	held    bool         // nothing is begun before a takeover; guarded by loading, too
	gate    sync.Mutex   // held while targets are set, and while they must not be
	lists   sync.RWMutex // held while jobs or their targets change, and read while they are copied: a copy has them as before or as after

	scraping sync.Mutex // held by one scrape at a time; guards scrape
	scrape   scrape
	ended    sync.Mutex // held by one visit at a time when there is no owner any more

	mu      sync.Mutex // guards what follows
	finding *finders   // those that are at work
	current *loaded
	config  web.Config // of current, and of the last load that failed
	loads   loadCounts
	tried   [sha256.Size]byte // of the file when it was last read, whatever came of it
	ending  bool
	given   bool // to another process
}

// loadCounts is how often a configuration was read, for metrics.
type loadCounts struct{ taken, refused uint64 }

// New reads the configuration and opens the engine. Nothing is dialled before Run. An error is that of the file (config.Errors), or
// of the machine.
func New(o Options) (*Watch, error) {
	w := &Watch{options: o, clk: o.Clock, log: o.Log, held: o.Takeover}
	if w.clk == nil {
		w.clk = clock.NewSystem()
	}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	w.start = w.clk.Wall(w.clk.Now())
	w.turns, w.fails = newTurnLog(w.log), &failures{}
	if o.Workers.Count > 0 {
		w.fleet = w.newFleet()
	}
	first, err := w.first()
	if err != nil {
		return nil, err
	}
	w.current = first
	if w.fleet != nil {
		return w, nil
	}
	begin := w.start
	if o.Takeover {
		begin = begin.Add(-historyBefore)
	}
	w.table = track.New(begin, first.config.History)
	connections, descriptors, visits, err := budget(first.config, len(o.Listeners) > 0 || o.Takeover)
	if err != nil {
		return nil, err
	}
	w.options.Web.Connections = visits
	w.runner, err = runner.New(runner.Options{
		Table: w.table, Connections: connections, Descriptors: descriptors, Loops: first.config.Loops, Drain: o.Drain,
		Names: target.ResolverOptions{Lookup: o.Lookup, TTL: first.config.DNS.TTL}, Changed: w.changed, Told: w.told,
		Once: o.Once, Held: o.Takeover, Clock: w.clk, Log: w.log,
	})
	if err != nil {
		return nil, err
	}
	return w, nil
}

// Run watches until ctx ends: then probes in flight have the drain limit, kept connections are closed and the web server ends.
// It returns the first error that ended it before that.
func (w *Watch) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w.life = ctx
	var running sync.WaitGroup
	w.stop = func() { cancel(nil) }
	w.part = func(run func(context.Context) error) {
		running.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	if w.fleet == nil {
		w.part(w.runner.Run)
		w.part(w.turns.run)
	}
	if err := w.begin(ctx); err != nil {
		cancel(err)
	}
	<-ctx.Done()
	w.mu.Lock()
	w.ending = true
	w.mu.Unlock()
	running.Wait()
	w.fleet.Wait()
	w.loading.Lock()
	w.finders.end()
	w.delivery.Load().end()
	w.export.Load().end()
	w.loading.Unlock()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// begin puts the first configuration to work, and tells who waits for that.
func (w *Watch) begin(ctx context.Context) error {
	var err error
	if w.options.Takeover {
		err = w.takeOver(ctx)
	} else {
		w.answer(w.options.Listeners)
		err = w.apply(w.current)
	}
	if err == nil {
		err = w.listenControl(w.options.Takeover)
	}
	if err != nil {
		return err
	}
	if !w.options.Once && w.options.share == nil {
		w.part(w.follow)
	}
	if w.options.Ready != nil {
		w.options.Ready()
	}
	return nil
}

// answer answers over HTTP on listeners, which it closes, until Run ends.
func (w *Watch) answer(listeners []net.Listener) {
	if len(listeners) == 0 {
		return
	}
	all := make([]net.Listener, len(listeners))
	for i, l := range listeners {
		p := takeover.NewPausing(l)
		w.answering = append(w.answering, p)
		all[i] = p
	}
	o := w.options.Web
	o.Clock = w.clk
	w.part(func(ctx context.Context) error { return web.New(w.backend(), o).Serve(ctx, all...) })
}

// told is called by the runner's owner with each result.
func (w *Watch) told(id uint32, res *track.Result) {
	w.fails.note(w.table.Target(id), res)
	w.trace(id, res)
	if w.once != nil {
		w.once.take(w.table, id, w.recordOf(id, res))
	}
}

// changed is called by the runner's owner when a target's state is another.
func (w *Watch) changed(id uint32, c track.Change, res *track.Result) {
	if t := w.table.Target(id); w.once == nil {
		w.turns.note(t, c, res)
		w.tell(t, c, res)
	}
}
