package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"
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

// pick returns the flags of those names, in their order.
func pick(flags []flagSpec, names ...string) []flagSpec {
	var picked []flagSpec
	for _, f := range flags {
		if slices.Contains(names, f.name) {
			picked = append(picked, f)
		}
	}
	return picked
}

func (o *benchOptions) flags() []flagSpec {
	flags := pick(targetFlags(&o.scan), "input-file", "ports", "exclude", "blocklist-file", "all-ips", "ipv4", "ipv6")
	flags = append(flags, o.loadFlags()...)
	flags = append(flags, pick(loadFlags(&o.scan), "source-ip", "loops", "close")...)
	if o.kind != result.Handshake {
		flags = append(flags, o.talkFlags()...)
	}
	secure := []string{"tls", "sni", "alpn", "min-version", "max-version", "groups", "insecure", "cacert", "cert", "key"}
	if o.kind == result.Handshake {
		secure = append(secure, "session-reuse")
	}
	flags = append(flags, pick(tlsFlags(&o.scan), secure...)...)
	limits := []string{"connect-timeout", "tls-handshake-timeout", "read-timeout"}
	flags = append(flags, pick(limitFlags(&o.scan), limits...)...)
	if o.kind == result.Hold {
		flags = append(flags, flagSpec{group: limitFlags(&o.scan)[0].group, name: "idle-timeout", arg: "TIME", def: "none", set: toDuration(&o.idle),
			help: "drop a held connection whose heartbeats were not answered for so long; at least --ping-interval and --read-timeout"})
	}
	return append(flags, o.outputFlags()...)
}

func (o *benchOptions) loadFlags() []flagSpec {
	const group = "The load"
	connections := flagSpec{group: group, name: "connections", short: "c", arg: "N", def: fmt.Sprint(o.connections()), set: toCount(&o.scan.cfg.Connections, 1, maxBenchConnections),
		help: map[string]string{
			result.Hold:      "how many connections are opened and kept",
			result.Handshake: "how many are in flight at once",
			result.Request:   "how many connections are asked over",
		}[o.kind]}
	rate := flagSpec{group: group, name: "rate", short: "r", arg: "N", def: "no limit", set: o.scan.setRate,
		help: map[string]string{
			result.Hold:      "open at most N connections a second; 5k is 5,000",
			result.Handshake: "begin N handshakes a second (an open loop), --connections of them in flight at most; without it, as many as --connections allows (a closed loop)",
			result.Request:   "send N requests a second, by a schedule that waits for no answer (an open loop); without it, each connection asks as soon as it has its answer (a closed loop)",
		}[o.kind]}
	flags := []flagSpec{
		connections, rate,
		{group: group, name: "duration", arg: "TIME", def: o.duration.String(), set: toDuration(&o.duration),
			help: map[string]string{
				result.Hold: "how long they are kept, from the moment when all of them stand",
			}[o.kind] + map[bool]string{true: "how long it is measured, behind the warm-up"}[o.kind != result.Hold]},
		{group: group, name: "workers", arg: "N|auto", def: "auto", set: o.setWorkers,
			help: "processes to share the load; auto is one, or as many as the limit on open files wants"},
		{group: group, name: "allow-fewer", set: toSwitch(&o.allowFewer),
			help: "where this machine's limits allow fewer connections, go on with those"},
		{group: group, name: "dryrun", set: toSwitch(&o.dryrun), help: "print the plan and what this machine's limits allow, and open nothing"},
		{group: group, name: "runs", arg: "N", def: "1", set: toCount(&o.runs, 1, maxRuns),
			help: "do it all N times; the report is that of the run in the middle, with the figures of all, so that --baseline can tell a difference from noise"},
	}
	if o.kind == result.Hold {
		return append(flags, flagSpec{group: group, name: "ping-interval", arg: "TIME", def: "no heartbeats", set: toDuration(&o.ping),
			help: "ask over each connection every TIME, and time the answer"})
	}
	return append(flags,
		flagSpec{group: group, name: "warm-up", arg: "TIME", def: o.warmUp.String(), set: o.setWarmUp, help: "leave out the first TIME; 0 leaves out nothing"},
		flagSpec{group: group, name: "find-rate", arg: "PROMISE", set: o.setPromise,
			help: `look for the highest rate that keeps a promise, as in "p99<10ms": runs of --duration, from --rate up or down`},
		flagSpec{group: group, name: "kernel-timestamps", set: toSwitch(&o.stamps),
			help: "take the moments at which answers arrived from the kernel (Linux), so that the time they lay there is told apart as ours"},
	)
}

// maxBenchConnections is more than a machine holds.
const maxBenchConnections = 1 << 24

// connections is how many there are by default.
func (o *benchOptions) connections() int {
	if o.kind == result.Hold {
		return benchHeld
	}
	return benchAtOnce
}

func (o *benchOptions) talkFlags() []flagSpec {
	const group = "What is said"
	words := []string{string(talk.Echo), string(talk.Redis), string(talk.HTTP), string(talk.Frame)}
	def, what := "that of the URL, or http", "over the connections"
	if o.kind == result.Hold {
		def, what = "echo, or that of the URL", "as a heartbeat; http asks by HEAD"
	}
	flags := []flagSpec{
		{group: group, name: "talk", arg: "WORD", def: def, words: words,
			set: func(value string) error {
				return toWord(&o.talk.Kind, words, []talk.Kind{talk.Echo, talk.Redis, talk.HTTP, talk.Frame})(value)
			},
			help: "what is spoken " + what + ": echo (a line that comes back), redis, http (HTTP/1.1, kept alive) or frame (--send and --frame)"},
		{group: group, name: "send", arg: "TEXT", set: o.setSend,
			help: `the line of echo, the command of redis or the bytes of frame; \r \n \t \0 \xHH and \\ are escapes`},
		{group: group, name: "frame", arg: "SPEC", set: o.setFrame,
			help: `with --talk frame, the answer is one frame: line, delim:\r\n, fixed:size=16 or len:offset=0,size=4,order=be`},
	}
	if o.kind == result.Request {
		flags = append(flags, flagSpec{group: group, name: "pipeline", arg: "N", def: "1", set: toCount(&o.pipeline, 1, maxPipeline),
			help: "send N requests together on each connection, and the next N when all are answered"})
	}
	h := &o.talk.HTTP
	return append(flags,
		flagSpec{group: group, name: "http-method", arg: "WORD", def: "GET, HEAD for a heartbeat, POST with a body", set: toText(&h.Method), help: "the method of the request"},
		flagSpec{group: group, name: "http-host", arg: "HOST", def: "the target's name or address", set: toText(&h.Host), help: "the Host header"},
		flagSpec{group: group, name: "http-path", arg: "PATH", def: "that of the URL, or /", set: toText(&h.Path), help: "the path and query of the request"},
		flagSpec{group: group, name: "http-header", arg: "'NAME: VALUE'", many: true, set: toList(&h.Headers), help: "one more header of the request"},
		flagSpec{group: group, name: "http-status", arg: "LIST", many: true, def: "below 400", set: o.addStatus, help: "the status codes that count as success"},
		flagSpec{group: group, name: "http-body", arg: "FILE", files: true, set: toFile(&o.body), help: "the body of the request"},
		flagSpec{group: group, name: "message", arg: "FILE", files: true, set: toFile(&o.message), help: "a whole HTTP request, head and body, that is sent as it is"},
	)
}

func (o *benchOptions) setWorkers(value string) error {
	if value == "auto" {
		o.workers = 0
		return nil
	}
	return toCount(&o.workers, 1, maxBenchWorkers)(value)
}

// setWarmUp is as toDuration, and takes 0.
func (o *benchOptions) setWarmUp(value string) error {
	if value == "0" || value == "0s" {
		o.warmUp = 0
		return nil
	}
	return toDuration(&o.warmUp)(value)
}

func (o *benchOptions) setPromise(value string) (err error) {
	o.promise, err = bench.ParsePromise(value)
	return err
}

func (o *benchOptions) setSend(value string) error {
	var s scanOptions
	if err := s.setSend(value); err != nil {
		return err
	}
	o.talk.Payload = s.cfg.Options.Send
	return nil
}

func (o *benchOptions) setFrame(value string) error {
	var s scanOptions
	if err := s.setFrame(value); err != nil {
		return err
	}
	o.talk.Frame = value
	return nil
}

func (o *benchOptions) addStatus(value string) error {
	var s scanOptions
	if err := s.addHTTPStatus(value); err != nil {
		return err
	}
	o.talk.HTTP.Status = append(o.talk.HTTP.Status, s.cfg.Options.HTTP.Status...)
	return nil
}

// run is the command.
func (o *benchOptions) run(ctx context.Context, args []string) error {
	if err := o.out.check(); err != nil {
		return err
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
	var bad *target.InputError
	if errors.As(err, &bad) {
		return &usageError{bad.Error(), "a load wants every one of its targets"}
	}
	return err
}

// spec is the load for all processes together.
func (o *benchOptions) spec(p *plan.Plan) (*load.Spec, error) {
	s, first := &o.scan, p.Targets()[0]
	for i, t := range p.Targets() {
		if t.TLS != first.TLS && !s.cfg.TLS {
			return nil, &usageError{fmt.Sprintf("%v wants TLS and %v does not", p.Targets()[max(i, 0)].Addr, first.Addr), "a load is over TLS or is not: --tls has all of it be"}
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
