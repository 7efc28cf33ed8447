// Package serve runs the embedded fleet of targets: healthy services on one gnet engine, and the faulty peers and the TLS
// peers of internal/testpeer beside them. A first run of sonde needs no other server, and a demonstration no network.
//
// Everything is bound to loopback addresses. [Config.AllLoopback] is the one exception, and there a connection that came to
// any other address is reset before a byte is exchanged. The package prints nothing and handles no signals: cmd does.
package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sonde/internal/kernel/limits"
	"sonde/internal/testpeer"
)

const (
	// DefaultPortBase is the first port that Start tries: below the range of ports that kernels choose from (RFC 6335 s.6),
	// so no connection holds it by accident.
	DefaultPortBase = 9740
	// MaxTargets is the largest fleet, bounded by its addresses: see replicaAddr.
	MaxTargets = 50_000
	// fdReserve is how many descriptors stay free: standard streams, pollers, the claim to the ports, and the accepted connection that is found to
	// be one too many.
	fdReserve = 32
)

// Config says what to run. The zero value is one target of each kind.
type Config struct {
	// Host is the first address, a loopback one; the zero value is 127.0.0.1.
	Host netip.Addr
	// PortBase is the first port; a port that is taken is then an error. 0 means DefaultPortBase if that block of ports is
	// free, else a later block.
	PortBase uint16
	// Kinds are the kinds to run; empty means all of testpeer.Kinds without TLS, or all with it, but not those for loads.
	Kinds []testpeer.Kind
	// TLS chooses the kinds with TLS where Kinds is empty.
	TLS bool
	// Delay is how long each TLS target waits before it answers a ClientHello; 0 does not.
	Delay time.Duration
	// Demo is how many targets to list, at most MaxTargets: a fleet in which most are healthy, in mixed order, the same each
	// time. Kinds that begin TLS on request are in it only if Kinds names them. 0 lists one target of each kind.
	Demo int
	// AllLoopback makes the healthy kinds answer on every address of 127.0.0.0/8 (Linux; elsewhere only 127.0.0.1 is
	// there), for scans over millions of targets. It binds 0.0.0.0, since no address stands for a part of the
	// loopback network; connections to an address that is not loopback are reset.
	AllLoopback bool
	// Descriptors is how many file descriptors the fleet may use for listeners and connections together; 0 means what this
	// process may still open. Half of them at most go to listeners: a fleet with more targets than that lists
	// an address more than once, each time under another name.
	Descriptors int
	// Loops is how many event loops serve the healthy kinds; 0 means 1. Each has listeners of its own.
	Loops int
}

// Endpoint is one target of the fleet.
type Endpoint struct {
	// Name is the target's own name, under .test (RFC 6761 s.6.2), which resolves nowhere.
	Name string         `json:"name"`
	Addr netip.AddrPort `json:"addr"`
	Kind testpeer.Kind  `json:"kind"`
	// Doc says what the target does.
	Doc     string `json:"doc"`
	Healthy bool   `json:"healthy"`
	// Probe is the probe that suits the target and Expect the status that an honest prober must report with it, a word of
	// report.Status.
	Probe  string `json:"probe"`
	Expect string `json:"expect"`
	// StartTLS is the protocol in which TLS is asked for ("smtp"); empty where TLS comes first, or never.
	StartTLS string `json:"starttls,omitempty"`
	// PID is the worker process that serves it; 0 if it is this one.
	PID int `json:"pid,omitempty"`
}

// Line is the endpoint as a target line of `sonde scan`, "ip,domain,tag,port", with the kind as the tag.
func (e Endpoint) Line() string {
	return fmt.Sprintf("%s,%s,%s,%d", e.Addr.Addr(), e.Name, e.Kind, e.Addr.Port())
}

// Fleet is a running fleet. Its methods are safe for concurrent use.
type Fleet struct {
	services *services // nil without a healthy kind that plain does not do
	plain    *plain    // nil without one that it does
	peers    []*testpeer.Peer
	creds    *testpeer.Credentials // nil without a TLS kind
	plan     plan

	closeOnce sync.Once
	done      chan struct{}
	err       error // set before done is closed
}

// Kinds returns what there is to know of all kinds that a fleet may have, the healthy ones first. The caller owns the slice.
func Kinds() []testpeer.About { return testpeer.Kinds() }

// Start runs a fleet until ctx ends or Close is called. When it returns, every target behaves as its kind says. It fails on
// a Config that makes no sense, when a port is taken (EADDRINUSE, wrapped), or when there are too few descriptors.
func Start(ctx context.Context, cfg Config) (*Fleet, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	f := &Fleet{done: make(chan struct{})}
	if f.plan, err = makePlan(cfg); err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	if err := f.launch(cfg, f.plan); err != nil {
		f.stop()
		return nil, fmt.Errorf("serve: %w", err)
	}
	go f.watch(ctx)
	return f, nil
}

// Targets returns the targets of the fleet in the order in which they are to be listed. The caller owns the slice.
func (f *Fleet) Targets() []Endpoint { return slices.Clone(f.plan.endpoints) }

// RootPEM returns the root that a client must trust to accept the certificates of the TLS targets, as a CA file has it; nil
// for a fleet without any. It is another each time a fleet starts.
func (f *Fleet) RootPEM() []byte {
	if f.creds == nil {
		return nil
	}
	return f.creds.RootPEM()
}

// ClientPEM returns a certificate that the TLS targets accept from a client, and its key, as files have them; nil for a
// fleet without a TLS kind.
func (f *Fleet) ClientPEM() (cert, key []byte, err error) {
	if f.creds == nil {
		return nil, nil, nil
	}
	return f.creds.ClientPEM()
}

// Triggers returns the values for `sonde scan --trigger`, "tag=probe", one for each kind in the fleet but those that begin
// TLS on request: a trigger can't say how.
func (f *Fleet) Triggers() []string {
	var triggers []string
	for _, a := range testpeer.Kinds() {
		if a.StartTLS != "" {
			continue
		}
		if slices.ContainsFunc(f.plan.endpoints, func(e Endpoint) bool { return e.Kind == a.Kind }) {
			triggers = append(triggers, string(a.Kind)+"="+a.Probe)
		}
	}
	return triggers
}

// WriteTargets writes one target line for each endpoint.
func (f *Fleet) WriteTargets(w io.Writer) error { return writeTargets(w, f.plan.endpoints) }

func writeTargets(w io.Writer, endpoints []Endpoint) error {
	for _, e := range endpoints {
		if _, err := io.WriteString(w, e.Line()+"\n"); err != nil {
			return fmt.Errorf("write targets: %w", err)
		}
	}
	return nil
}

// Done is closed when the fleet has ended, by Close, by its context or by a fault.
func (f *Fleet) Done() <-chan struct{} { return f.done }

// Err says why the fleet ended of its own accord; nil while it runs and after an end that was asked for.
func (f *Fleet) Err() error {
	select {
	case <-f.done:
		return f.err
	default:
		return nil
	}
}

// Close ends the fleet and returns when all of its listeners, connections and goroutines are gone. Calling it again waits
// for the same.
func (f *Fleet) Close() {
	f.end(nil)
	<-f.done
}

func (f *Fleet) end(err error) {
	f.closeOnce.Do(func() {
		f.stop()
		f.err = err
		close(f.done)
	})
}

// launch opens everything in the plan. What it has opened when it fails is left for stop.
func (f *Fleet) launch(cfg Config, p plan) error {
	most := p.connLimits(cfg.Descriptors)
	slots := testpeer.NewSlots(most.tls)
	for _, s := range p.sites {
		if s.onEngine() {
			continue
		}
		o := testpeer.Options{Addr: s.addr, MaxConns: most.peer}
		if isForLoads(s.kind) {
			o.MaxConns = most.load
		}
		if speaksTLS(s.kind) {
			if err := f.makeCredentials(); err != nil {
				return err
			}
			o.MaxConns, o.Slots, o.Delay, o.Credentials = most.tls, slots, cfg.Delay, f.creds
		}
		peer, err := testpeer.Start(s.kind, o)
		if err != nil {
			return err
		}
		f.peers = append(f.peers, peer)
	}
	return f.launchHealthy(cfg, p, most.healthy)
}

// launchHealthy has the healthy kinds played, by plain where it can; they share the connections.
func (f *Fleet) launchHealthy(cfg Config, p plan, most int) (err error) {
	var plainSites, others []site
	for _, s := range p.sites {
		switch {
		case s.onEngine() && isPlain(s.kind):
			plainSites = append(plainSites, s)
		case s.onEngine():
			others = append(others, s)
		}
	}
	conns := new(atomic.Int64)
	if len(plainSites) > 0 {
		if f.plain, err = startPlain(plainSites, cfg.Loops, most, conns); err != nil {
			return err
		}
	}
	if len(others) > 0 {
		f.services, err = startServices(others, cfg.Loops, most, conns)
	}
	return err
}

// makeCredentials makes the certificates' authorities for the first TLS target.
func (f *Fleet) makeCredentials() (err error) {
	if f.creds == nil {
		f.creds, err = testpeer.NewCredentials()
	}
	return err
}

// watch ends the fleet with ctx, or when the engine has ended by itself.
func (f *Fleet) watch(ctx context.Context) {
	var ended, plainEnded chan struct{} // nil, which is never ready, without them
	if f.services != nil {
		ended = f.services.ended
	}
	if f.plain != nil {
		plainEnded = f.plain.ended
	}
	select {
	case <-ctx.Done():
		f.end(nil)
	case <-ended:
		f.end(f.services.err)
	case <-plainEnded:
		f.end(f.plain.err)
	case <-f.done:
	}
}

// stop closes whatever runs; the peers one beside the other, since each waits for its own goroutines.
func (f *Fleet) stop() {
	var wg sync.WaitGroup
	for _, p := range f.peers {
		wg.Go(p.Close)
	}
	if f.services != nil {
		f.services.close()
	}
	if f.plain != nil {
		f.plain.close()
	}
	wg.Wait()
	f.plan.giveBack() // when nothing stands there any more
}

func (c Config) withDefaults() (Config, error) {
	if !c.Host.IsValid() {
		c.Host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	c.Host = c.Host.Unmap()
	if !c.Host.IsLoopback() {
		return c, fmt.Errorf("host %v is not a loopback address", c.Host)
	}
	if c.AllLoopback && !c.Host.Is4() {
		return c, errors.New("all of loopback is IPv4 only")
	}
	if c.Demo < 0 || c.Demo > MaxTargets {
		return c, fmt.Errorf("a fleet of %d: want 0 to %d targets", c.Demo, MaxTargets)
	}
	if c.Loops < 0 || c.Descriptors < 0 || c.Delay < 0 {
		return c, errors.New("an option is below zero")
	}
	c.Loops = cmp.Or(c.Loops, 1)
	for i, k := range c.Kinds {
		if _, ok := testpeer.Lookup(k); !ok {
			return c, fmt.Errorf("unknown kind %q", string(k))
		}
		if slices.Contains(c.Kinds[:i], k) {
			return c, fmt.Errorf("kind %q is named twice", string(k))
		}
	}
	if c.Descriptors == 0 {
		l, err := limits.Read()
		if err != nil {
			return c, fmt.Errorf("read this machine's limits: %w", err)
		}
		c.Descriptors = l.FDBudget(fdReserve)
	}
	return c, nil
}
