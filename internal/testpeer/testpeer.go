// Package testpeer is a cast of TCP servers on loopback, the healthy ones and those that misbehave, each in one known
// way. `sonde serve` and the tests share it, so that what a user can try is what the tests have tried.
//
// [Kinds] lists the cast with the status that an honest prober must report for each; [Start] puts one of them on stage.
// A healthy kind is also there as a [Session], without I/O, for a server that brings its own event loop (package serve).
//
// A Peer owns its listener, its connections and its goroutines; after Close none of them is left. Peers bind loopback
// addresses only. They use one goroutine per connection: they are meant for thousands of clients, not for millions.
package testpeer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// The defaults of Options.
const (
	// DefaultInterval is the pause between two bytes of a Drip peer.
	DefaultInterval = time.Second
	// DefaultDelay is how long a Delayed peer waits before it greets: long enough to be seen in a report, far below the
	// usual read limit of 5 s.
	DefaultDelay = 500 * time.Millisecond
	// DefaultMaxConns is how many connections a peer holds at once. It keeps one peer from taking all descriptors of a
	// process with the usual hard limit of 4,096.
	DefaultMaxConns = 1024
)

// Options shape a peer. The zero value is a peer on a free port of 127.0.0.1 with the default times.
type Options struct {
	// Addr is where to listen: a loopback address, else Start fails. The zero value is 127.0.0.1; port 0 is any free port.
	Addr netip.AddrPort
	// Interval is the pause between two bytes of a Drip peer; 0 means DefaultInterval.
	Interval time.Duration
	// Delay is how long a Delayed peer waits before it greets; 0 means DefaultDelay. A TLS peer waits so long after the
	// first byte of the ClientHello before it answers; 0 means not at all.
	Delay time.Duration
	// MaxConns is how many connections the peer holds at once; 0 means DefaultMaxConns. More wait in the accept queue of the
	// kernel, where they look like connections to a Silent peer.
	MaxConns int
	// Seed moves the delays of a Late peer along their order.
	Seed uint64
	// Accepts is how many connections a Full peer takes; 0 means DefaultAccepts. MaxConns is raised to it.
	Accepts int
	// Life is how long a Mortal peer lives from its first connection on; 0 means DefaultLife.
	Life time.Duration
	// Slots, if not nil, is a limit that this peer shares with others, besides MaxConns.
	Slots *Slots
	// Credentials are the certificates of a TLS peer; nil means those that all peers of the process share.
	Credentials *Credentials
}

// Slots bounds how many connections the peers that share it hold together. A connection beyond that is reset: many
// listeners that each kept one waiting would take the descriptors that the limit is there to save.
type Slots struct{ tokens chan struct{} }

// NewSlots returns a limit of n connections, at least 1.
func NewSlots(n int) *Slots { return &Slots{make(chan struct{}, max(1, n))} }

// take reports whether there was room for one more. A nil Slots has no limit.
func (s *Slots) take() bool {
	if s == nil {
		return true
	}
	select {
	case s.tokens <- struct{}{}:
		return true
	default:
		return false
	}
}

// release makes room for another.
func (s *Slots) release() {
	if s != nil {
		<-s.tokens
	}
}

// Peer is one running server. Its methods are safe for concurrent use.
type Peer struct {
	about About
	addr  netip.AddrPort
	opts  Options
	ln    *net.TCPListener // nil for Refuse
	held  []net.Conn       // connections of the peer's own: the reserved port of Refuse, the fillers of DropSYN

	creds  *Credentials // nil for a kind without TLS
	tls    *tls.Config  // nil for a kind that shakes no hands
	script *script      // nil for a kind that does
	load   load         // for the kinds for loads

	done  chan struct{} // closed by Close
	slots chan struct{} // one token per connection held
	wg    sync.WaitGroup

	mu     sync.Mutex // guards what is below
	conns  map[*net.TCPConn]struct{}
	closed bool
	dead   bool // a Mortal peer's life is over
}

// Start puts a peer of the given kind on stage. When it returns, the peer behaves as its kind says: a client that connects
// next meets it. It fails on an unknown kind, on an address that is not loopback, or with the errno of bind(2) or
// listen(2) (EADDRINUSE for a port that is taken), wrapped.
func Start(kind Kind, o Options) (*Peer, error) {
	about, ok := Lookup(kind)
	if !ok {
		return nil, fmt.Errorf("start peer: unknown kind %q", string(kind))
	}
	o, err := o.withDefaults(kind)
	if err != nil {
		return nil, fmt.Errorf("start peer %s: %w", kind, err)
	}
	p := &Peer{
		about: about,
		opts:  o,
		done:  make(chan struct{}),
		slots: make(chan struct{}, o.MaxConns),
		conns: make(map[*net.TCPConn]struct{}),
		load:  load{start: time.Now()},
	}
	if err := p.prepareTLS(); err != nil {
		return nil, fmt.Errorf("start peer %s: %w", kind, err)
	}
	if err := p.open(); err != nil {
		p.Close()
		return nil, fmt.Errorf("start peer %s on %v: %w", kind, o.Addr, err)
	}
	return p, nil
}

// TB is the part of testing.TB that New uses; named here so that a program with peers in it does not link package testing.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// New is Start for a test: it fails the test on an error and closes the peer when the test ends.
func New(t TB, kind Kind, o Options) *Peer {
	t.Helper()
	p, err := Start(kind, o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(p.Close)
	return p
}

// Addr is where the peer is to be found.
func (p *Peer) Addr() netip.AddrPort { return p.addr }

// Kind is what the peer was started as.
func (p *Peer) Kind() Kind { return p.about.Kind }

// Credentials are the certificates of a TLS peer; nil for a kind without TLS.
func (p *Peer) Credentials() *Credentials { return p.creds }

// Clients is how many connections the peer is busy with now.
func (p *Peer) Clients() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// Close ends the peer: it stops listening, resets every connection that is left and returns when the last of its
// goroutines has ended. Calling it again does nothing.
func (p *Peer) Close() {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	if first {
		close(p.done)
		for c := range p.conns {
			reset(c)
		}
	}
	p.mu.Unlock()
	if first {
		if p.ln != nil {
			p.ln.Close()
		}
		for _, c := range p.held {
			reset(c)
		}
	}
	p.wg.Wait()
}

func (o Options) withDefaults(kind Kind) (Options, error) {
	if !o.Addr.Addr().IsValid() {
		o.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), o.Addr.Port())
	}
	if !o.Addr.Addr().Unmap().IsLoopback() {
		return o, fmt.Errorf("%v is not a loopback address", o.Addr.Addr())
	}
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	if o.Delay == 0 && kind == Delayed {
		o.Delay = DefaultDelay
	}
	if o.MaxConns == 0 {
		o.MaxConns = DefaultMaxConns
	}
	if o.Accepts == 0 {
		o.Accepts = DefaultAccepts
	}
	if o.Life == 0 {
		o.Life = DefaultLife
	}
	if kind == Full {
		o.MaxConns = max(o.MaxConns, o.Accepts)
	}
	if o.Interval < 0 || o.Delay < 0 || o.MaxConns < 0 || o.Accepts < 0 || o.Life < 0 {
		return o, errors.New("an option is below zero")
	}
	return o, nil
}

// open makes the peer reachable, or for Refuse and DropSYN unreachable.
func (p *Peer) open() error {
	if p.about.Kind == Refuse {
		return p.reserve()
	}
	// Go listens with the largest backlog that somaxconn allows, so a fast scan does not overflow the accept queue.
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", p.opts.Addr.String())
	if err != nil {
		return err
	}
	p.ln = ln.(*net.TCPListener)
	p.addr = addrPortOf(ln.Addr())
	if p.about.Kind == DropSYN {
		return p.fillBacklog()
	}
	p.wg.Go(p.accept)
	return nil
}

// accept hands each connection to a goroutine of its own until the listener is closed.
func (p *Peer) accept() {
	for n := 1; ; {
		select {
		case p.slots <- struct{}{}:
		case <-p.done:
			return
		}
		c, err := p.ln.AcceptTCP()
		if err != nil {
			<-p.slots
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// EMFILE, ENFILE, ECONNABORTED and the like (accept(2)): the peer stays; a pause keeps it from spinning.
			if !p.pause(10 * time.Millisecond) {
				return
			}
			continue
		}
		if !p.opts.Slots.take() {
			<-p.slots
			reset(c)
			continue
		}
		if !p.track(c) {
			p.opts.Slots.release()
			<-p.slots
			reset(c)
			return
		}
		more := p.taken(n)
		n++
		p.wg.Go(func() {
			p.behave(c)
			p.forget(c)
			p.opts.Slots.release()
			<-p.slots
		})
		if !more {
			return
		}
	}
}

// track notes c, so that Close can reset it. It reports false when the peer is closed already.
func (p *Peer) track(c *net.TCPConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.dead {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Peer) forget(c *net.TCPConn) {
	c.Close()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// pause waits for d. It reports false when the peer was closed meanwhile.
func (p *Peer) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.done:
		return false
	}
}

// reset closes c by RST, without TIME_WAIT: SO_LINGER with a zero timeout, socket(7).
func reset(c net.Conn) {
	if tc, ok := c.(*net.TCPConn); ok {
		_ = tc.SetLinger(0) // fails only on a connection that is gone already
	}
	c.Close()
}

func addrPortOf(a net.Addr) netip.AddrPort {
	ap := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
