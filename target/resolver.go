package target

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"sonde/internal/clock"
)

// Family says which addresses of a name are wanted.
type Family uint8

const (
	// AnyFamily takes both kinds, in the order in which the system gives them (RFC 6724).
	AnyFamily Family = iota
	// IPv4 takes IPv4 only.
	IPv4
	// IPv6 takes IPv6 only.
	IPv6
)

// network is the family's word for net.Resolver.LookupNetIP.
func (f Family) network() string { return [...]string{"ip", "ip4", "ip6"}[f] }

// Why a name gave no address. The error given to a [ResolveFunc] wraps one of these, and the resolver's own error too; a lookup that
// was cancelled wraps context.Canceled instead.
var (
	// ErrNameNotFound: the name does not exist, or has no address of the family.
	ErrNameNotFound = errors.New("no such name, or no address of this family")
	// ErrNameTimeout: no answer within ResolverOptions.Timeout or the system's own limit.
	ErrNameTimeout = errors.New("name lookup timed out")
	// ErrNameServer: the name server or the way to it failed (SERVFAIL, REFUSED, no route). Another try may do better.
	ErrNameServer = errors.New("name server failed")
)

// ErrResolverClosed is what Submit returns after Close.
var ErrResolverClosed = errors.New("resolver is closed")

// LookupFunc asks the system for the addresses of a host; network is "ip", "ip4" or "ip6". It must return soon after ctx
// ends, and be safe for concurrent use. net.Resolver.LookupNetIP is one.
type LookupFunc func(ctx context.Context, network, host string) ([]netip.Addr, error)

// ResolverOptions tune a Resolver. The zero value works.
type ResolverOptions struct {
	// Lookup defaults to the system's resolver.
	Lookup LookupFunc
	// Concurrency is how many lookups may be under way, each in a goroutine of its own; default 64.
	Concurrency int
	// CacheSize is how many answers are kept, the oldest leaving first; default 65536, which takes about 20 MB when full.
	// Below 0 nothing is kept.
	CacheSize int
	// TTL is how long an answer is kept, default 60 s: the system tells no TTL. NegativeTTL is the same for failures, default
	// 5 s, which is within what RFC 2308 s.7 allows.
	TTL, NegativeTTL time.Duration
	// Timeout is for one lookup, all tries of the system's resolver included; default 5 s.
	Timeout time.Duration
	// Clock tells how old an answer is and how long a lookup took; default the system's.
	Clock clock.Clock
}

// maxJoined is how many callbacks may wait for one lookup. A list that has one slow name a million times then waits in
// Submit, rather than in memory.
const maxJoined = 1024

// Resolver turns names into addresses, many at once in bounded memory: at most Concurrency goroutines, at most 1024 callbacks
// waiting for each, and a bounded cache. Its methods are safe for concurrent use.
type Resolver struct {
	options ResolverOptions
	life    context.Context // of all lookups
	end     context.CancelFunc
	slots   chan struct{} // holds a token for each lookup under way
	lookups sync.WaitGroup

	mu      sync.Mutex
	flights map[question]*flight // lookups under way
	cache   answerCache
	closed  bool
}

// question is what is looked up. The name is in lower case; a dot at its end stays, as it keeps search domains out.
type question struct {
	name   string
	family Family
}

// ResolveFunc takes the answer of a lookup.
//
// addrs are the addresses as the system ordered them, IPv4 never in its IPv6-mapped form; they are shared and must not be
// changed. There is none if and only if err is set, which wraps ErrNameNotFound, ErrNameTimeout, ErrNameServer or
// context.Canceled. took is how long this caller waited for the lookup: 0 from the cache, and less than the lookup took if
// that was under way already. A wait in Submit for a free slot is not in it: that is our limit and not the name server's.
type ResolveFunc func(addrs []netip.Addr, took time.Duration, err error)

// flight is a lookup under way. waiting is guarded by Resolver.mu; landed is closed when the answer is in.
type flight struct {
	question question
	waiting  []waiter
	landed   chan struct{}
}

type waiter struct {
	since int64
	done  ResolveFunc
}

// NewResolver returns a Resolver. Close it when done.
func NewResolver(o ResolverOptions) *Resolver {
	if o.Lookup == nil {
		o.Lookup = net.DefaultResolver.LookupNetIP
	}
	if o.Clock == nil {
		o.Clock = clock.NewSystem()
	}
	o.Concurrency = cmp.Or(max(o.Concurrency, 0), 64)
	o.CacheSize = cmp.Or(o.CacheSize, 1<<16)
	o.TTL = cmp.Or(o.TTL, time.Minute)
	o.NegativeTTL = cmp.Or(o.NegativeTTL, 5*time.Second)
	o.Timeout = cmp.Or(o.Timeout, 5*time.Second)
	r := &Resolver{
		options: o,
		slots:   make(chan struct{}, o.Concurrency),
		flights: make(map[question]*flight),
		cache:   newAnswerCache(o.CacheSize),
	}
	r.life, r.end = context.WithCancel(context.Background())
	return r
}

// Submit asks for the addresses of host and has done called exactly once, unless Submit returns an error: before it returns
// and on the caller's goroutine if the answer is in the cache, otherwise on another goroutine, which must not be blocked
// for long as it holds one of the slots. Equal questions share one lookup.
//
// Submit waits while all Concurrency slots are taken, until ctx ends; it then returns the error of ctx, or after Close
// ErrResolverClosed. ctx has no say in a lookup that is under way: others may wait for it too.
func (r *Resolver) Submit(ctx context.Context, host string, family Family, done ResolveFunc) error {
	q := question{lowerName(host), family}
	for {
		if r.life.Err() != nil {
			return ErrResolverClosed
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		settled, landed := r.tryJoin(q, done)
		if settled {
			return nil
		}
		var slots chan<- struct{}
		if landed == nil {
			slots = r.slots // there is no lookup to wait for: start one
		}
		select {
		case slots <- struct{}{}:
			if r.launch(q, done) {
				return nil
			}
			<-r.slots
		case <-landed:
		case <-ctx.Done():
		case <-r.life.Done():
		}
	}
}

// Cached returns the answer that the cache has for host, as a [ResolveFunc] gets it; false if it has none. It never waits.
func (r *Resolver) Cached(host string, family Family) (addrs []netip.Addr, ok bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept, ok := r.cache.find(question{lowerName(host), family}, r.options.Clock.Now())
	if !ok {
		return nil, false, nil
	}
	return kept.addrs, true, kept.err
}

// tryJoin answers from the cache or joins a lookup under way. If that has all the callbacks it may have, landed is closed
// when it is over; if there is none, landed is nil.
func (r *Resolver) tryJoin(q question, done ResolveFunc) (settled bool, landed <-chan struct{}) {
	now := r.options.Clock.Now()
	r.mu.Lock()
	if f := r.flights[q]; f != nil {
		defer r.mu.Unlock()
		if len(f.waiting) >= maxJoined {
			return false, f.landed
		}
		f.waiting = append(f.waiting, waiter{now, done})
		return true, nil
	}
	kept, ok := r.cache.find(q, now)
	r.mu.Unlock()
	if !ok {
		return false, nil
	}
	done(kept.addrs, 0, kept.err)
	return true, nil
}

// launch starts a lookup in the slot that the caller took. It reports false if meanwhile another did, or answered it, or
// the Resolver was closed.
func (r *Resolver) launch(q question, done ResolveFunc) bool {
	now := r.options.Clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.flights[q] != nil {
		return false
	}
	if _, ok := r.cache.find(q, now); ok {
		return false
	}
	f := &flight{question: q, waiting: []waiter{{now, done}}, landed: make(chan struct{})}
	r.flights[q] = f
	r.lookups.Go(func() { r.fly(f) })
	return true
}

// fly does one lookup, tells all who wait for it, and frees the slot.
func (r *Resolver) fly(f *flight) {
	defer func() { <-r.slots }()
	ctx, cancel := context.WithTimeout(r.life, r.options.Timeout)
	defer cancel()
	addrs, err := r.options.Lookup(ctx, f.question.family.network(), f.question.name)
	addrs = pick(addrs, f.question.family)
	if err != nil || len(addrs) == 0 {
		addrs, err = nil, r.explain(f.question.name, ctx, err)
	}

	now := r.options.Clock.Now()
	r.mu.Lock()
	delete(r.flights, f.question)
	switch {
	case err == nil:
		r.cache.keep(f.question, keptAnswer{addrs, nil, now + int64(r.options.TTL)})
	case !errors.Is(err, context.Canceled):
		r.cache.keep(f.question, keptAnswer{nil, err, now + int64(r.options.NegativeTTL)})
	}
	r.mu.Unlock()
	close(f.landed)
	for _, w := range f.waiting { // nobody joins any more: f has left the map
		w.done(addrs, time.Duration(now-w.since), err)
	}
}

// pick keeps the addresses of a family, in their order and without the mapped form, which LookupNetIP may return.
func pick(addrs []netip.Addr, family Family) []netip.Addr {
	kept := make([]netip.Addr, 0, len(addrs))
	for _, addr := range addrs {
		addr = addr.Unmap()
		if family == AnyFamily || addr.Is4() == (family == IPv4) {
			kept = append(kept, addr)
		}
	}
	return kept
}

// explain says by an error value why a lookup failed. err is nil if it gave no address of the family.
func (r *Resolver) explain(name string, ctx context.Context, err error) error {
	if err == nil {
		return fmt.Errorf("resolve %s: %w", name, ErrNameNotFound)
	}
	var dns *net.DNSError
	isDNS := errors.As(err, &dns)
	var other *net.AddrError // what package net says of a name that has addresses of the other family only, as localhost may
	kind := ErrNameServer
	switch {
	case isDNS && dns.IsNotFound, errors.As(err, &other):
		kind = ErrNameNotFound
	case r.life.Err() != nil:
		kind = context.Canceled
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || isDNS && dns.IsTimeout:
		kind = ErrNameTimeout
	}
	return fmt.Errorf("resolve %s: %w: %w", name, kind, err)
}

// Close cancels the lookups under way and returns when the last callback has; those get an error that wraps
// context.Canceled. Calls of Submit that wait return. It must not be called from a callback.
func (r *Resolver) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.end()
	r.lookups.Wait()
}

// lowerName is foldName with the dot kept.
func lowerName(name string) string {
	if folded := foldName(name); len(folded) == len(name) {
		return folded
	}
	return foldName(name[:len(name)-1]) + "."
}
