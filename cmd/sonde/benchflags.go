package main

import (
	"fmt"
	"slices"

	"sonde/bench"
	"sonde/bench/result"
	"sonde/bench/talk"
)

// pick returns the flags of scan of those names, in their order, in the words of a load.
func pick(flags []flagSpec, names ...string) []flagSpec {
	var picked []flagSpec
	for _, f := range flags {
		if !slices.Contains(names, f.name) {
			continue
		}
		if help := benchHelp[f.name]; help != "" {
			f.help = help
		}
		if def := benchDefaults[f.name]; def != "" {
			f.def = def
		}
		picked = append(picked, f)
	}
	return picked
}

// benchHelp and benchDefaults are of flags that a load takes otherwise than a scan.
var (
	benchHelp = map[string]string{
		"all-ips":  "connect to each address of a name, not the first alone",
		"tls":      "connect over TLS; https:// chooses it too",
		"insecure": "take any certificate, and judge none",
		"close":    "end connections by RST, which holds no port afterwards, or by FIN, which holds one for a minute",
	}
	benchDefaults = map[string]string{
		"ports":       "that of the URL, or of what is spoken",
		"alpn":        "http/1.1 where that is spoken, or none",
		"min-version": "tls10",
	}
)

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
			help: "drop a held connection whose heartbeats were not answered for so long; at least --ping-interval and --read-timeout, and 50 ms by which a heartbeat may be put off"})
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
	flags = append(flags,
		flagSpec{group: group, name: "warm-up", arg: "TIME", def: o.warmUp.String(), set: o.setWarmUp, help: "leave out the first TIME; 0 leaves out nothing"},
		flagSpec{group: group, name: "find-rate", arg: "PROMISE", set: o.setPromise,
			help: `look for the highest rate that keeps a promise, as in "p99<10ms": runs of --duration, from --rate up or down`},
	)
	if o.kind == result.Handshake {
		return flags
	}
	return append(flags,
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
