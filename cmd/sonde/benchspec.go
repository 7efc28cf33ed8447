package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sonde/bench/load"
	"sonde/bench/plan"
	"sonde/bench/result"
	"sonde/bench/talk"
	"sonde/engine"
	"sonde/probes"
	"sonde/probes/secure"
	"sonde/protocol/tlswire"
	"sonde/scan"
)

// spec is the load for all processes together. Flags without effect on it are refused: the load would not be what they say.
func (o *benchOptions) spec(p *plan.Plan) (*load.Spec, error) {
	s, first := &o.scan, p.Targets()[0]
	if err := o.checkAlike(p); err != nil {
		return nil, err
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
	isSecure := s.cfg.TLS || first.TLS
	if err := o.checkIdle(isSecure); err != nil {
		return nil, err
	}
	if isSecure {
		var err error
		if spec.TLS, err = o.secure(first); err != nil {
			return nil, err
		}
	}
	if o.kind == result.Hold {
		spec.Ping = o.ping
		if o.idle > 0 {
			if err := o.checkIdleLimit(spec.Limits.WithDefaults().Read); err != nil {
				return nil, err
			}
			spec.Limits.Idle = o.idle
		}
	}
	if o.kind == result.Request || o.ping > 0 {
		if err := o.completeTalk(p); err != nil {
			return nil, err
		}
		spec.Talk = o.talk
	}
	return spec, nil
}

// checkAlike refuses targets of which a load can't be, since they are named with two protocols or paths.
func (o *benchOptions) checkAlike(p *plan.Plan) error {
	first := p.Targets()[0]
	for _, t := range p.Targets() {
		switch {
		case t.TLS != first.TLS && !o.scan.cfg.TLS:
			with, without := t, first
			if first.TLS {
				with, without = first, t
			}
			return &usageError{fmt.Sprintf("%v wants TLS and %v does not", with.Addr, without.Addr), "a load is over TLS or is not: --tls has all of it be"}
		case o.kind != result.Handshake && t.Redis != first.Redis && o.talk.Kind == "" && o.talk.Frame == "":
			return &usageError{fmt.Sprintf("%v and %v are named with two protocols", first.Addr, t.Addr), "a load speaks one: --talk says which"}
		case o.kind == result.Request && t.Path != first.Path && o.talk.HTTP.Path == "" && o.message == "":
			return &usageError{fmt.Sprintf("%v and %v are named with two paths", first.Addr, t.Addr), "a load asks for one path: --http-path says which"}
		}
	}
	return nil
}

// Flags that have an effect over TLS alone, and those that are about what is said.
var (
	secureFlags = []string{
		"session-reuse", "sni", "alpn", "min-version", "max-version", "groups", "insecure", "cacert", "cert", "key", "tls-handshake-timeout",
	}
	httpFlagNames = []string{"http-method", "http-host", "http-path", "http-header", "http-status", "http-body", "message"}
	saidFlags     = slices.Concat([]string{"talk", "send", "frame", "read-timeout", "idle-timeout"}, httpFlagNames)
)

// checkIdle refuses flags that have no effect.
func (o *benchOptions) checkIdle(isSecure bool) error {
	given := func(name string) bool { return o.p.parsed.given[name] }
	if i := slices.IndexFunc(secureFlags, given); i >= 0 && !isSecure {
		return &usageError{"--" + secureFlags[i] + " without --tls", "--tls, or a target https://HOST, has the load be over TLS; else leave it out"}
	}
	if i := slices.IndexFunc(saidFlags, given); i >= 0 && o.kind == result.Hold && o.ping == 0 {
		return &usageError{"--" + saidFlags[i] + " without --ping-interval: nothing is said over the connections", "--ping-interval has something be said over each; else leave it out"}
	}
	return nil
}

// checkIdleLimit refuses an idle limit by which a peer would be blamed for our own silence.
func (o *benchOptions) checkIdleLimit(read time.Duration) error {
	least := o.ping + engine.HeartbeatGrid(o.ping) + read
	if o.idle >= least {
		return nil
	}
	return &usageError{
		fmt.Sprintf("--idle-timeout %v is less than --ping-interval and --read-timeout together, and the %v by which a heartbeat may be put off: %v",
			o.idle, engine.HeartbeatGrid(o.ping), least),
		"a connection would be dropped for our own silence",
	}
}

// secure is the TLS of the load. It is tried here, so that what can't be is told as usage.
func (o *benchOptions) secure(first plan.Target) (*load.TLS, error) {
	t := o.scan.cfg.Options.TLS
	t.Depth, t.Now = probes.DepthFull, time.Now
	if o.kind != result.Handshake && o.speaks(first) == talk.HTTP && len(t.ALPN) == 0 {
		t.ALPN = []string{"http/1.1"}
	}
	if err := checkWhole(&t); err != nil {
		return nil, err
	}
	if _, err := secure.New(t); err != nil {
		return nil, &usageError{text: err.Error()}
	}
	files := &o.scan.tlsFiles
	return &load.TLS{ServerName: t.ServerName, ALPN: t.ALPN, MinVersion: t.MinVersion, MaxVersion: t.MaxVersion, Groups: t.Groups,
		Insecure: t.Insecure, Roots: files.roots, Certificate: files.cert, Key: files.key, SessionReuse: t.SessionReuse}, nil
}

// checkWhole refuses what a whole handshake does not have: a scan may go less far, a load makes no other.
func checkWhole(t *probes.TLSOptions) error {
	for _, v := range []struct {
		flag    string
		version tlswire.Version
	}{{"--min-version", t.MinVersion}, {"--max-version", t.MaxVersion}} {
		if v.version != 0 && v.version < tlswire.TLS10 {
			return &usageError{v.flag + " " + v.version.Word() + ": a handshake is TLS 1.0 or above", "use tls10"}
		}
	}
	for _, g := range t.Groups {
		alone := probes.TLSOptions{Depth: t.Depth, Insecure: true, Groups: []tlswire.Group{g}}
		if _, err := secure.New(alone); err != nil {
			return &usageError{"--groups: no handshake is made with " + strings.ToLower(g.String()), "there are x25519, p256, p384, p521 and the hybrids with ML-KEM"}
		}
	}
	return nil
}
