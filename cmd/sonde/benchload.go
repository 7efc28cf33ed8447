package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"time"

	"sonde/bench"
	"sonde/bench/load"
	"sonde/bench/plan"
	"sonde/bench/result"
	"sonde/bench/talk"
	"sonde/report/draw"
	"sonde/scan"
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
	if err := o.out.check(); err != nil {
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
			return &valueError{err.Error(), short.Raise + "; --allow-fewer goes on with " + draw.Count(uint64(max(short.Allows, 0)))}
		}
		return err
	}
	if prepared.Short != nil {
		o.p.stderr.warn("%v: going on with %d; to raise it: %s", prepared.Short, prepared.Load.Connections, prepared.Short.Raise)
	}
	return o.measure(ctx, prepared)
}

func isShortage(err error) bool {
	var short *bench.Shortage
	return errors.As(err, &short)
}

// config is what the flags ask for.
func (o *benchOptions) config(ctx context.Context, args []string) (*bench.Config, error) {
	s := &o.scan
	if s.cfg.Connections == 0 {
		s.cfg.Connections = o.connections()
	}
	s.cfg.Args = args
	s.completeInput()
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
		Family: family, AllIPs: s.cfg.AllIPs, Sources: sources, Most: s.cfg.Connections,
	})
	if err != nil {
		return nil, usageOfTarget(err)
	}
	spec, err := o.spec(p)
	if err != nil {
		return nil, err
	}
	return &bench.Config{
		Load: *spec, Plan: p, Workers: o.workers, AllowFewer: o.allowFewer, Runs: o.runs, Promise: o.promise,
		WorkerArgs: o.p.workerArgs(bench.Role), Stderr: o.p.stderr, Tell: o.tell, Log: slog.New(consoleLog{console: o.p.stderr}),
	}, nil
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

// usageOfTarget makes the errors of targets those of the command line.
func usageOfTarget(err error) error {
	if errors.Is(err, plan.ErrNoTarget) {
		return &usageError{"there is no target", "name one, as in 127.0.0.1:8080 or http://127.0.0.1:8080/"}
	}
	if errors.Is(err, plan.ErrUnlike) {
		return &usageError{err.Error(), "a load is over TLS or is not, and asks for one path: --tls and --http-path say which"}
	}
	var bad *target.InputError
	if errors.As(err, &bad) {
		return &usageError{bad.Error(), "a load wants every one of its targets"}
	}
	return err
}

// spec is the load for all processes together.
func (o *benchOptions) spec(p *plan.Plan) (*load.Spec, error) {
	s, first := &o.scan, p.Targets()[0]
	for _, t := range p.Targets() {
		if t.TLS != first.TLS && !s.cfg.TLS {
			with, without := t, first
			if first.TLS {
				with, without = first, t
			}
			return nil, &usageError{fmt.Sprintf("%v wants TLS and %v does not", with.Addr, without.Addr), "a load is over TLS or is not: --tls has all of it be"}
		}
		if o.kind != result.Handshake && t.Redis != first.Redis && o.talk.Kind == "" && o.talk.Frame == "" {
			return nil, &usageError{fmt.Sprintf("%v and %v are named with two protocols", first.Addr, t.Addr), "a load speaks one: --talk says which"}
		}
		if o.kind == result.Request && t.Path != first.Path && o.talk.HTTP.Path == "" && o.message == "" {
			return nil, &usageError{fmt.Sprintf("%v and %v are named with two paths", first.Addr, t.Addr), "a load asks for one path: --http-path says which"}
		}
	}
	spec := &load.Spec{
		Kind: o.kind, Connections: s.cfg.Connections, WarmUp: o.warmUp, Duration: o.duration, Limits: s.cfg.Limits, FIN: s.cfg.Close == scan.CloseFIN,
		Loops: s.cfg.Loops, Pipeline: o.pipeline, KernelTimestamps: o.stamps,
	}
	if o.kind == result.Request {
		spec.Requests = s.cfg.Rate
	} else {
		spec.Dials = s.cfg.Rate
	}
	if s.cfg.TLS || first.TLS {
		t := &s.cfg.Options.TLS
		spec.TLS = &load.TLS{ServerName: t.ServerName, ALPN: t.ALPN, MinVersion: t.MinVersion, MaxVersion: t.MaxVersion, Groups: t.Groups,
			Insecure: t.Insecure, Roots: s.tlsFiles.roots, Certificate: s.tlsFiles.cert, Key: s.tlsFiles.key, SessionReuse: t.SessionReuse}
		if o.kind != result.Handshake && o.speaks(first) == talk.HTTP && len(t.ALPN) == 0 {
			spec.TLS.ALPN = []string{"http/1.1"}
		}
	} else if given := o.p.parsed.given; given["session-reuse"] {
		return nil, &usageError{"--session-reuse without --tls", "--tls has the handshakes be those of TLS"}
	}
	if o.kind == result.Hold {
		spec.Ping = o.ping
		if o.idle > 0 {
			least := o.ping + spec.Limits.WithDefaults().Read
			if o.ping > 0 && o.idle < least {
				return nil, &usageError{fmt.Sprintf("--idle-timeout %v is less than --ping-interval and --read-timeout together, %v", o.idle, least), "a connection would be dropped for our own silence"}
			}
			spec.Limits.Idle = o.idle
		}
	}
	if o.kind == result.Request || o.ping > 0 {
		if err := o.completeTalk(first); err != nil {
			return nil, err
		}
		spec.Talk = o.talk
	}
	return spec, nil
}

// speaks is what is spoken, by the flag or the first target.
func (o *benchOptions) speaks(first plan.Target) talk.Kind {
	switch {
	case o.talk.Kind != "":
		return o.talk.Kind
	case o.talk.Frame != "":
		return talk.Frame
	case first.Redis:
		return talk.Redis
	case first.Path != "" || o.kind == result.Request:
		return talk.HTTP
	}
	return talk.Echo
}

// completeTalk fills in what the flags leave open of what is said, and tries it.
func (o *benchOptions) completeTalk(first plan.Target) error {
	t := &o.talk
	t.Kind = o.speaks(first)
	if t.Kind == talk.HTTP {
		for _, f := range []struct {
			flag, name string
			into       *[]byte
		}{{"--http-body", o.body, &t.HTTP.Body}, {"--message", o.message, &t.HTTP.Message}} {
			if f.name == "" {
				continue
			}
			data, err := os.ReadFile(f.name)
			if err != nil {
				return fileError(f.flag, err)
			}
			*f.into = data
		}
		if len(t.HTTP.Message) == 0 {
			if t.HTTP.Path == "" {
				t.HTTP.Path = first.Path
			}
			if t.HTTP.Method == "" && o.kind == result.Hold && len(t.HTTP.Body) == 0 {
				t.HTTP.Method = "HEAD"
			}
		}
	} else if o.body != "" || o.message != "" {
		return &usageError{"--http-body and --message are for --talk http", ""}
	}
	if _, err := talk.New(*t); err != nil {
		return &usageError{err.Error(), ""}
	}
	return nil
}

func (o *benchOptions) tell(format string, args ...any) {
	if !o.scan.quiet {
		o.p.stderr.note(format, args...)
	}
}

// settings are what was asked for, as the report has it.
func (o *benchOptions) settings(p *bench.Prepared) map[string]any {
	s := p.Load
	m := map[string]any{
		"connections": s.Connections, "duration_s": s.Duration.Seconds(), "targets": len(p.Plan.Targets()), "tls": s.TLS != nil,
	}
	add := func(name string, value any, is bool) {
		if is {
			m[name] = value
		}
	}
	add("warm_up_s", s.WarmUp.Seconds(), s.WarmUp > 0)
	add("rate_per_s", math.Max(s.Requests, s.Dials), s.Requests > 0 || s.Dials > 0)
	add("ping_interval_s", s.Ping.Seconds(), s.Ping > 0)
	add("talk", string(s.Talk.Kind), s.Talk.Kind != "")
	add("pipeline", s.Pipeline, s.Pipeline > 1)
	add("http_method", s.Talk.HTTP.Method, s.Talk.HTTP.Method != "")
	add("http_path", s.Talk.HTTP.Path, s.Talk.HTTP.Path != "")
	add("kernel_timestamps", true, s.KernelTimestamps)
	add("session_reuse", true, s.TLS != nil && s.TLS.SessionReuse)
	if p.Promise != nil {
		m["find_rate"] = p.Promise.Text
	}
	return m
}
