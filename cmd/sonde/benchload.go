package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"sonde/bench"
	"sonde/bench/plan"
	"sonde/bench/result"
	"sonde/bench/talk"
	"sonde/report/draw"
	"sonde/target"
)

// benchOptions is what the flags of bench hold, handshake and request say. Those that scan has too are scan's.
type benchOptions struct {
	p    *program
	kind string
	scan scanOptions

	workers    int
	allowFewer bool
	duration   time.Duration
	warmUp     time.Duration
	ping       time.Duration
	idle       time.Duration
	pipeline   int
	talk       talk.Options
	body       string // files
	message    string
	said       talkDigest
	stamps     bool
	promise    *bench.Promise
	runs       int
	dryrun     bool
	out        benchOutputs
}

// Defaults of bench.
const (
	defaultHold     = 30 * time.Second
	defaultMeasure  = 10 * time.Second
	defaultWarmUp   = time.Second
	maxBenchWorkers = plan.MaxWorkers
	maxPipeline     = 1024
	maxRuns         = 100
	benchAtOnce     = 100 // connections of handshake and request
	benchHeld       = 1000
)

func newBenchOptions(p *program, kind string) *benchOptions {
	o := &benchOptions{p: p, kind: kind, duration: defaultMeasure, warmUp: defaultWarmUp, runs: 1}
	o.scan.p = p
	if kind == result.Hold {
		o.duration, o.warmUp = defaultHold, 0
	}
	return o
}

// run is the command.
func (o *benchOptions) run(ctx context.Context, args []string) error {
	if err := o.out.check(o.p.parsed.files); err != nil {
		return err
	}
	if o.promise != nil && o.runs > 1 {
		return &usageError{"--find-rate and --runs don't go together", "--find-rate looks at one run for each rate; --runs repeats a load at a rate that is known"}
	}
	cfg, err := o.config(ctx, args)
	if err != nil {
		return err
	}
	prepared, err := bench.Prepare(*cfg)
	if o.dryrun && (err == nil || isShortage(err)) {
		return o.printPlan(cfg, prepared, err)
	}
	if err != nil {
		var short *bench.Shortage
		if errors.As(err, &short) {
			return &valueError{err.Error(), benchRaise(short) + "; --allow-fewer goes on with " + draw.Count(uint64(max(short.Allows, 0)))}
		}
		return err
	}
	if prepared.Short != nil {
		o.p.stderr.warn("%v: going on with %d; to raise it: %s", prepared.Short, prepared.Load.Connections, benchRaise(prepared.Short))
		prepared.Plan = o.used(prepared.Plan, prepared.Load.Connections)
	}
	return o.measure(ctx, prepared)
}

func isShortage(err error) bool {
	var short *bench.Shortage
	return errors.As(err, &short)
}

// benchRaise is how to make room, in the words of a load's flags.
func benchRaise(s *bench.Shortage) string {
	more := map[plan.Lack]string{
		plan.LackWorkers:   "share the load among processes by --workers auto",
		plan.LackProcesses: "take more --workers",
		plan.LackPairs:     "name more targets (a block of addresses), or more source addresses by --source-ip",
	}[s.Lack]
	return joinWays(more, s.Raise)
}

// joinWays joins what may be done instead of each other; an empty one is none.
func joinWays(ways ...string) string {
	return strings.Join(slices.DeleteFunc(ways, func(way string) bool { return way == "" }), ", or ")
}

// config is what the flags ask for.
func (o *benchOptions) config(ctx context.Context, args []string) (*bench.Config, error) {
	s := &o.scan
	if s.cfg.Connections == 0 {
		s.cfg.Connections = o.connections()
	}
	s.cfg.Args = args
	if err := s.completeInput(); err != nil {
		return nil, err
	}
	if s.ipv4 && s.ipv6 {
		return nil, &usageError{"--ipv4 and --ipv6 leave no address", "without either, both kinds are taken"}
	}
	if err := s.completeExclusions(); err != nil {
		return nil, err
	}
	sources, err := expandSources(s.sources)
	if err != nil {
		return nil, err
	}
	if s.cfg.Options.TLS.Insecure && s.tlsFiles.roots != "" {
		return nil, &usageError{"--cacert with --insecure, which takes any certificate", "leave one out"}
	}
	if err := s.loadTLSFiles(); err != nil {
		return nil, err
	}
	family := target.AnyFamily
	switch {
	case s.ipv4:
		family = target.IPv4
	case s.ipv6:
		family = target.IPv6
	}
	p, err := plan.Load(ctx, plan.Options{
		Args: args, Files: s.cfg.InputFiles, Stdin: s.cfg.Stdin, Ports: s.cfg.Ports, Port: o.usualPort(), Exclude: s.cfg.Exclude,
		Family: family, AllIPs: s.cfg.AllIPs, Sources: sources,
	})
	if err != nil {
		return nil, usageOfTarget(err, "a load is over TLS or is not, and asks for one path: --tls and --http-path say which")
	}
	spec, err := o.spec(p)
	if err != nil {
		return nil, err
	}
	return &bench.Config{
		Load: *spec, Plan: o.used(p, spec.Connections), Workers: o.workers, AllowFewer: o.allowFewer, Runs: o.runs, Promise: o.promise,
		WorkerArgs: o.p.workerArgs(bench.Role), Stderr: o.p.stderr, Tell: o.tell, Log: slog.New(consoleLog{console: o.p.stderr}),
	}, nil
}

// used is p over the targets that so many connections go to. Handshakes go to all, one after the other.
func (o *benchOptions) used(p *plan.Plan, connections int) *plan.Plan {
	named := len(p.Targets())
	if o.kind == result.Handshake || named <= connections {
		return p
	}
	o.p.stderr.warn("%d of %d targets are used: there are as many connections", connections, named)
	return p.First(connections)
}

// usualPort is that of targets that name none.
func (o *benchOptions) usualPort() uint16 {
	switch {
	case o.talk.Kind == talk.Redis:
		return 6379
	case o.kind == result.Request && o.scan.cfg.TLS:
		return 443
	case o.kind == result.Request && (o.talk.Kind == "" || o.talk.Kind == talk.HTTP):
		return 80
	}
	return 0
}

// usageOfTarget makes the errors of targets those of the command line. unlike is the hint to one that is named in two ways.
func usageOfTarget(err error, unlike string) error {
	var bad *target.InputError
	var unfit *plan.TargetError
	switch {
	case errors.Is(err, plan.ErrNoTarget):
		return &usageError{"there is no target", "name one, as in 127.0.0.1:8080 or http://127.0.0.1:8080/"}
	case errors.Is(err, plan.ErrTooMany):
		return &usageError{err.Error(), "name fewer: these carry more connections than a machine holds"}
	case errors.Is(err, plan.ErrUnlike):
		return &usageError{err.Error(), unlike}
	case errors.As(err, &bad):
		return &usageError{bad.Error(), "a load wants every one of its targets"}
	case errors.As(err, &unfit):
		return &usageError{unfit.Error(), "a load wants every one of its targets"}
	}
	return err
}

func (o *benchOptions) tell(format string, args ...any) {
	if !o.scan.quiet {
		o.p.stderr.note(format, args...)
	}
}
