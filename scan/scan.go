package scan

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sonde/engine"
	"sonde/internal/clock"
	"sonde/internal/kernel/limits"
	"sonde/internal/rate"
	"sonde/report"
	"sonde/target"
)

// Scan is one run over the targets of a Config.
type Scan struct {
	cfg       Config
	limits    engine.Limits
	clk       clock.Clock
	catalogue *catalogue
	source    *target.Inputs
	lookups   int // name lookups at once
	fdBudget  int
	engineCfg engine.Config
	engine    *engine.Engine
	flights   *inFlight
	dialer    *dialer // of a run that repeats or paces; else the feeder dials
	loadRoots func()  // reads the system's authorities; called before a target that needs them is dialled
	notes     chan note
	progress  progress
	zoneMu    sync.Mutex
	abort     chan struct{}
	abortOnce sync.Once

	sourceMu   sync.Mutex // guards the two below
	feeding    bool       // the source is the feeder's
	closeLater bool       // Close came meanwhile
}

// errAborted is why a scan stopped that was aborted before anything else stopped it.
var errAborted = errors.New("aborted")

// ErrMaxRuntime is why a scan stopped that reached Config.MaxRuntime.
var ErrMaxRuntime = errors.New("the maximum run time is over")

const (
	// fdReserve is for descriptors that are no connections: standard streams, input and output files, and per loop an
	// epoll, two eventfds and a timerfd.
	fdReserve = 24
	fdPerLoop = 4
	// fdPerLookup: a lookup asks for A and AAAA at once, with a socket each.
	fdPerLookup = 2
	maxLookups  = 64
	noteQueue   = 256
)

// New checks the configuration and opens the input; nothing is dialled before Run. It fails with a *UsageError for what the
// user got wrong on the command line.
func New(cfg Config) (*Scan, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Limits.Target == 0 {
		cfg.Limits.Target = defaultTargetLimit
		if asksManyHellos(&cfg.Options.TLS) {
			cfg.Limits.Target = manyTargetLimit
		}
	}
	if cfg.Connections == 0 {
		cfg.Connections = defaultConnections
	}
	s := &Scan{cfg: cfg, limits: cfg.Limits.WithDefaults(), clk: cfg.Clock, notes: make(chan note, noteQueue), abort: make(chan struct{}),
		loadRoots: loadSystemRoots}
	if s.clk == nil {
		s.clk = clock.NewSystem()
	}
	cfg.Options.TLS.Now = func() time.Time { return s.clk.Wall(s.clk.Now()) }
	var err error
	if s.catalogue, err = newCatalogue(&cfg); err != nil {
		return nil, err
	}
	if err := s.budget(); err != nil {
		return nil, err
	}
	s.source, err = target.Open(target.Options{
		Args: cfg.Args, Files: cfg.InputFiles, Stdin: cfg.Stdin, Ports: cfg.Ports,
		Probes: s.catalogue.chosen, Triggers: s.catalogue.tagged, Schemes: s.catalogue.schemes, Refused: s.catalogue.refused,
		Exclude: cfg.Exclude, Seed: cfg.Seed, Shards: cfg.Shards, Shard: cfg.Shard, Max: cfg.MaxTargets,
	})
	if err != nil {
		return nil, fmt.Errorf("open the targets: %w", err)
	}
	return s, nil
}

// budget finds out how many connections this process may have open.
func (s *Scan) budget() error {
	machine, err := limits.Read()
	if err != nil {
		return fmt.Errorf("read this machine's limits: %w", err)
	}
	loops := s.cfg.Loops
	if loops <= 0 {
		loops = int(max(machine.Procs, 1))
	}
	free := machine.FDBudget(fdReserve)
	s.lookups = min(maxLookups, max(free/16, 1))
	s.fdBudget = free - s.lookups*fdPerLookup - loops*fdPerLoop
	if s.fdBudget < 1 {
		return fmt.Errorf("the limit of %d open files leaves none for connections (raise it: ulimit -n 4096)", machine.Files.Soft)
	}
	s.engineCfg = engine.Config{
		Loops: loops, Connections: s.cfg.Connections, Descriptors: s.fdBudget, Sources: s.cfg.Sources,
		Clock: s.clk, Log: s.cfg.Log,
	}
	if s.cfg.Rate > 0 {
		s.engineCfg.Rate = rate.New(s.cfg.Rate)
	}
	entries := s.engineCfg.QueueBound() + noteQueue
	if s.cfg.needsDialer() {
		entries += waiters
	}
	s.flights = newInFlight(entries)
	for _, p := range s.catalogue.probes {
		s.engineCfg.Profiles = append(s.engineCfg.Profiles, engine.Profile{
			Dialogue: dialogue{p, s.flights}, Limits: s.cfg.Limits, Reset: s.cfg.Close == CloseReset,
		})
	}
	return nil
}

// Close frees what New opened. It is called once Run or DryRun has returned. A scan that was stopped while its input had
// nothing to say leaves a goroutine behind that still reads: no read can be called back. It ends with the next line or the
// end of the input, and closes the input then.
func (s *Scan) Close() error {
	s.sourceMu.Lock()
	defer s.sourceMu.Unlock()
	if s.feeding {
		s.closeLater = true
		return nil
	}
	return s.source.Close()
}

// letGo is called when the feeder is done with the source.
func (s *Scan) letGo() {
	s.sourceMu.Lock()
	defer s.sourceMu.Unlock()
	s.feeding = false
	if s.closeLater {
		_ = s.source.Close() // of files that were only read, and nobody is there to hear of it
	}
}

// Run scans. When ctx is cancelled it stops dialling, lets what is in flight end inside its limits and writes the rest;
// Abort ends that too. The cause of ctx is what the report says of why the scan stopped. Run returns an error only for
// trouble that ended the scan early: of the input, the sink or the engine. The report is whole and true in any case. Run
// is called once.
func (s *Scan) Run(ctx context.Context) (*report.Run, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if s.cfg.MaxRuntime > 0 {
		stop := time.AfterFunc(s.cfg.MaxRuntime, func() { cancel(ErrMaxRuntime) })
		defer stop.Stop()
	}
	var err error
	if s.engine, err = engine.New(s.engineCfg); err != nil {
		return nil, err
	}
	s.progress.begin(s.clk, s.engine.Stats)
	if s.cfg.needsDialer() {
		s.dialer = newDialer(s)
		go s.dialer.run(ctx)
	}
	c := newCollector(s)

	fed := make(chan error, 1)
	s.feeding = true
	go func() {
		err := s.feed(ctx)
		if s.dialer != nil {
			s.dialer.finish()
		}
		s.engine.Finish()
		s.letGo()
		fed <- err
	}()
	unstop := context.AfterFunc(ctx, s.engine.Stop)
	defer unstop()

	err = c.collect(ctx, cancel, fed)
	if err != nil {
		cancel(err)
	}
	return s.report(ctx, c), err
}

// Connections is how many targets Run has in flight at most, if this process may have descriptors for them, and how many it may
// have.
func (s *Scan) Connections() (wanted, perProcess int) { return s.cfg.Connections, s.fdBudget }

// Loops is how many event loops Run starts.
func (s *Scan) Loops() int { return s.engineCfg.Loops }

// Abort cancels what is in flight. Safe at any time from any goroutine.
func (s *Scan) Abort() { s.abortOnce.Do(func() { close(s.abort) }) }

// Snapshot tells how far the scan is. Safe at any time from any goroutine.
func (s *Scan) Snapshot() report.Snapshot { return s.progress.snapshot() }
