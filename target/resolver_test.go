package target

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// answered is what a callback was given.
type answered struct {
	Addrs string
	Took  time.Duration
	Err   error
}

// collector gathers the answers by the label of their question.
type collector struct {
	mu  sync.Mutex
	got map[string]answered
}

func (c *collector) done(t *testing.T, label string) ResolveFunc {
	return func(addrs []netip.Addr, took time.Duration, err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if _, twice := c.got[label]; twice {
			t.Errorf("%s: the callback was called twice", label)
		}
		if c.got == nil {
			c.got = make(map[string]answered)
		}
		if (err == nil) != (len(addrs) > 0) {
			t.Errorf("%s: got %v and %v, want one of both", label, addrs, err)
		}
		c.got[label] = answered{strings.Trim(fmt.Sprint(addrs), "[]"), took, err}
	}
}

func (c *collector) check(t *testing.T, label, addrs string, took time.Duration, err error) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	got, ok := c.got[label]
	if !ok {
		t.Errorf("%s: got no answer", label)
		return
	}
	if got.Addrs != addrs || got.Took != took || !errors.Is(got.Err, err) {
		t.Errorf("%s: got %+v, want %q after %v, error %v", label, got, addrs, took, err)
	}
}

// names is a resolver of the system that knows some names, takes a second for each lookup, and counts.
type names struct {
	known     map[string][]string
	fail      map[string]error
	lookups   atomic.Int64
	now, most atomic.Int64 // lookups under way, and the most there ever were
}

func (n *names) lookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	n.lookups.Add(1)
	now := n.now.Add(1)
	defer n.now.Add(-1)
	for most := n.most.Load(); now > most && !n.most.CompareAndSwap(most, now); most = n.most.Load() {
	}
	wait := time.Second
	if strings.HasPrefix(host, "slow.") {
		wait = time.Hour
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return nil, &net.DNSError{Err: ctx.Err().Error(), Name: host, IsTimeout: errors.Is(ctx.Err(), context.DeadlineExceeded)}
	}
	if err := n.fail[host]; err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, text := range n.known[host] {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

// bubble runs test with a resolver whose time is synctest's.
func bubble(t *testing.T, o ResolverOptions, n *names, test func(*testing.T, *Resolver)) {
	synctest.Test(t, func(t *testing.T) {
		o.Lookup = n.lookup
		r := NewResolver(o)
		defer r.Close()
		test(t, r)
	})
}

func submit(t *testing.T, r *Resolver, host string, family Family, done ResolveFunc) {
	t.Helper()
	if err := r.Submit(t.Context(), host, family, done); err != nil {
		t.Errorf("Submit(%s): %v", host, err)
	}
}

// pass lets the bubble's time go on.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestResolverFamilies(t *testing.T) {
	n := &names{known: map[string][]string{
		"both.test": {"2001:db8::1", "::ffff:192.0.2.2", "192.0.2.1"}, "four.test": {"192.0.2.4"},
	}}
	bubble(t, ResolverOptions{}, n, func(t *testing.T, r *Resolver) {
		var c collector
		submit(t, r, "both.test", AnyFamily, c.done(t, "any"))
		submit(t, r, "both.test", IPv4, c.done(t, "4"))
		submit(t, r, "both.test", IPv6, c.done(t, "6"))
		submit(t, r, "four.test", IPv6, c.done(t, "none"))
		pass(time.Second)
		c.check(t, "any", "2001:db8::1 192.0.2.2 192.0.2.1", time.Second, nil)
		c.check(t, "4", "192.0.2.2 192.0.2.1", time.Second, nil)
		c.check(t, "6", "2001:db8::1", time.Second, nil)
		c.check(t, "none", "", time.Second, ErrNameNotFound)
	})
}

func TestResolverFailures(t *testing.T) {
	refused := errors.New("connection refused")
	n := &names{fail: map[string]error{
		"servfail.test": &net.DNSError{Err: "server misbehaving", IsTemporary: true},
		"systime.test":  &net.DNSError{Err: "i/o timeout", IsTimeout: true, IsTemporary: true},
		"plain.test":    refused,
		"other.test":    &net.AddrError{Err: "no suitable address found", Addr: "other.test"},
	}}
	bubble(t, ResolverOptions{Timeout: 3 * time.Second}, n, func(t *testing.T, r *Resolver) {
		var c collector
		for _, host := range []string{"absent.test", "servfail.test", "systime.test", "plain.test", "other.test", "slow.test"} {
			submit(t, r, host, AnyFamily, c.done(t, host))
		}
		pass(3 * time.Second)
		c.check(t, "absent.test", "", time.Second, ErrNameNotFound)
		c.check(t, "servfail.test", "", time.Second, ErrNameServer)
		c.check(t, "systime.test", "", time.Second, ErrNameTimeout)
		c.check(t, "plain.test", "", time.Second, ErrNameServer)
		c.check(t, "other.test", "", time.Second, ErrNameNotFound)
		c.check(t, "plain.test", "", time.Second, refused)
		c.check(t, "slow.test", "", 3*time.Second, ErrNameTimeout)
		var dns *net.DNSError
		if !errors.As(c.got["absent.test"].Err, &dns) || !strings.Contains(c.got["absent.test"].Err.Error(), "absent.test") {
			t.Errorf("absent.test: got %v, want the resolver's error kept and the name told", c.got["absent.test"].Err)
		}
	})
}

func TestResolverJoins(t *testing.T) {
	n := &names{known: map[string][]string{"a.test": {"192.0.2.1"}, "a.test.": {"192.0.2.2"}}}
	bubble(t, ResolverOptions{Concurrency: 2}, n, func(t *testing.T, r *Resolver) {
		var c collector
		submit(t, r, "a.test", AnyFamily, c.done(t, "first"))
		pass(400 * time.Millisecond)
		submit(t, r, "A.Test", AnyFamily, c.done(t, "joined"))
		submit(t, r, "a.test.", AnyFamily, c.done(t, "rooted")) // no search domains: another question
		pass(2 * time.Second)
		submit(t, r, "a.TEST", AnyFamily, c.done(t, "kept"))
		c.check(t, "first", "192.0.2.1", time.Second, nil)
		c.check(t, "joined", "192.0.2.1", 600*time.Millisecond, nil)
		c.check(t, "rooted", "192.0.2.2", time.Second, nil)
		c.check(t, "kept", "192.0.2.1", 0, nil)
		if got := n.lookups.Load(); got != 2 {
			t.Errorf("lookups: got %d, want 2", got)
		}
	})
}

// Two callers that waited for slots with one question share a lookup, though each got a slot.
func TestResolverJoinsAfterWaiting(t *testing.T) {
	n := &names{known: map[string][]string{"a.test": {"192.0.2.1"}}}
	bubble(t, ResolverOptions{Concurrency: 2}, n, func(t *testing.T, r *Resolver) {
		var c collector
		submit(t, r, "x.test", AnyFamily, c.done(t, "x"))
		submit(t, r, "y.test", AnyFamily, c.done(t, "y"))
		for _, label := range []string{"one", "two"} {
			go submit(t, r, "a.test", AnyFamily, c.done(t, label))
		}
		synctest.Wait()
		pass(2 * time.Second)
		c.check(t, "one", "192.0.2.1", time.Second, nil)
		c.check(t, "two", "192.0.2.1", time.Second, nil)
		if got := n.lookups.Load(); got != 3 {
			t.Errorf("lookups: got %d, want 3", got)
		}
	})
}

func TestResolverExpiry(t *testing.T) {
	n := &names{known: map[string][]string{"a.test": {"192.0.2.1"}}}
	bubble(t, ResolverOptions{TTL: 10 * time.Second, NegativeTTL: 4 * time.Second}, n, func(t *testing.T, r *Resolver) {
		ignore := func([]netip.Addr, time.Duration, error) {}
		lookups := func(host string) int64 {
			before := n.lookups.Load()
			submit(t, r, host, AnyFamily, ignore)
			pass(time.Second)
			return n.lookups.Load() - before
		}
		for i, c := range []struct {
			host string
			wait time.Duration // before asking
			want int64
		}{
			{"a.test", 0, 1}, {"a.test", 8 * time.Second, 0}, {"a.test", time.Second, 1},
			{"b.test", 0, 1}, {"b.test", 2 * time.Second, 0}, {"b.test", time.Second, 1},
		} {
			pass(c.wait)
			_, cached, err := r.Cached(c.host, AnyFamily)
			if cached != (c.want == 0) || cached && (err != nil) != (c.host == "b.test") {
				t.Errorf("question %d, %s: in the cache %v with error %v", i, c.host, cached, err)
			}
			if got := lookups(c.host); got != c.want {
				t.Errorf("question %d, %s: got %d lookups, want %d", i, c.host, got, c.want)
			}
		}
	})
}

// TestResolverBounds: many names at once make Concurrency goroutines, the rest waits in Submit.
func TestResolverBounds(t *testing.T) {
	const all, concurrency = 1000, 8
	n := &names{}
	bubble(t, ResolverOptions{Concurrency: concurrency, CacheSize: 50}, n, func(t *testing.T, r *Resolver) {
		var answers atomic.Int64
		start := time.Now()
		for i := range all {
			submit(t, r, fmt.Sprintf("n%d.test", i), AnyFamily, func([]netip.Addr, time.Duration, error) { answers.Add(1) })
		}
		pass(time.Second)
		if got := answers.Load(); got != all {
			t.Errorf("answers: got %d, want %d", got, all)
		}
		if got, want := time.Since(start), all/concurrency*time.Second; got != want {
			t.Errorf("time: got %v, want %v: all slots at work", got, want)
		}
		if got := n.most.Load(); got != concurrency {
			t.Errorf("most lookups at once: got %d, want %d", got, concurrency)
		}
		if got := len(r.cache.answers); got != 50 {
			t.Errorf("cache: got %d answers, want 50", got)
		}
	})
}

// One name asked for without end does not pile up callbacks.
func TestResolverBoundsJoined(t *testing.T) {
	n := &names{known: map[string][]string{"a.test": {"192.0.2.1"}}}
	bubble(t, ResolverOptions{}, n, func(t *testing.T, r *Resolver) {
		start := time.Now()
		var answers atomic.Int64
		for i := range maxJoined + 1 {
			submit(t, r, "a.test", AnyFamily, func([]netip.Addr, time.Duration, error) { answers.Add(1) })
			if waited := time.Since(start); (waited > 0) != (i == maxJoined) {
				t.Fatalf("Submit %d: got a wait of %v", i, waited)
			}
		}
		synctest.Wait()
		if got := answers.Load(); got != maxJoined+1 {
			t.Errorf("answers: got %d, want %d", got, maxJoined+1)
		}
	})
}

func TestResolverSubmitEndsWithContext(t *testing.T) {
	n := &names{}
	bubble(t, ResolverOptions{Concurrency: 1, Timeout: time.Hour}, n, func(t *testing.T, r *Resolver) {
		ignore := func([]netip.Addr, time.Duration, error) {}
		submit(t, r, "slow.test", AnyFamily, ignore)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		fail := func([]netip.Addr, time.Duration, error) { t.Error("a callback of a refused Submit was called") }
		for range 2 { // once while it waits, once before
			if err := r.Submit(ctx, "other.test", AnyFamily, fail); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Submit: got %v, want the error of its context", err)
			}
		}
	})
}

func TestResolverClose(t *testing.T) {
	n := &names{}
	synctest.Test(t, func(t *testing.T) {
		r := NewResolver(ResolverOptions{Lookup: n.lookup, Concurrency: 1, Timeout: time.Hour})
		var c collector
		submit(t, r, "slow.test", AnyFamily, c.done(t, "under way"))
		submit(t, r, "slow.test", AnyFamily, c.done(t, "joined"))
		waiting := make(chan error)
		go func() { waiting <- r.Submit(context.Background(), "b.test", AnyFamily, c.done(t, "waiting")) }()
		synctest.Wait()
		pass(time.Second)
		r.Close()
		c.check(t, "under way", "", time.Second, context.Canceled)
		c.check(t, "joined", "", time.Second, context.Canceled)
		if err := <-waiting; !errors.Is(err, ErrResolverClosed) {
			t.Errorf("Submit that waited: got %v, want ErrResolverClosed", err)
		}
		if err := r.Submit(t.Context(), "c.test", AnyFamily, c.done(t, "late")); !errors.Is(err, ErrResolverClosed) {
			t.Errorf("Submit after Close: got %v, want ErrResolverClosed", err)
		}
		if len(c.got) != 2 || len(r.cache.answers) != 0 {
			t.Errorf("got %v and %d kept answers, want two callbacks and nothing kept", c.got, len(r.cache.answers))
		}
		r.Close() // twice is once
	})
}

// Many callers at once, for the race detector.
func TestResolverConcurrentCallers(t *testing.T) {
	n := &names{}
	bubble(t, ResolverOptions{Concurrency: 4, CacheSize: 8}, n, func(t *testing.T, r *Resolver) {
		var callers sync.WaitGroup
		var answers atomic.Int64
		for caller := range 16 {
			callers.Go(func() {
				for i := range 50 {
					submit(t, r, fmt.Sprintf("n%d.test", (i*7+caller)%30), AnyFamily,
						func([]netip.Addr, time.Duration, error) { answers.Add(1) })
				}
			})
		}
		callers.Wait()
		pass(time.Second)
		if got := answers.Load(); got != 16*50 {
			t.Errorf("answers: got %d, want %d", got, 16*50)
		}
		if len(r.flights) != 0 || len(r.slots) != 0 {
			t.Errorf("at rest: got %d flights and %d slots taken, want none", len(r.flights), len(r.slots))
		}
	})
}

func TestAnswerCache(t *testing.T) {
	ask := func(name string) question { return question{name: name} }
	c := newAnswerCache(2)
	for i, name := range []string{"a", "b", "a", "c"} { // a is renewed in place, and still the oldest
		c.keep(ask(name), keptAnswer{expiry: int64(10 + i)})
	}
	var got []string
	for _, name := range []string{"a", "b", "c"} {
		if _, ok := c.find(ask(name), 9); ok {
			got = append(got, name)
		}
	}
	if diff := cmp.Diff([]string{"b", "c"}, got); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if _, ok := c.find(ask("b"), 11); ok {
		t.Error("find at its expiry: got b, want nothing")
	}
	c.keep(ask("d"), keptAnswer{expiry: 99})
	if len(c.answers) != 2 || len(c.ring) != 2 {
		t.Errorf("size: got %d answers, %d in the ring, want 2", len(c.answers), len(c.ring))
	}
	off := newAnswerCache(-1)
	off.keep(ask("a"), keptAnswer{expiry: 99})
	if len(off.answers) != 0 {
		t.Error("a cache of size -1 kept an answer")
	}
}
