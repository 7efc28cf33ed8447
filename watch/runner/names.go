package runner

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"sonde/target"
)

// lookup is a name whose address a flight waits for.
type lookup struct {
	flight uint32
	host   string
	family target.Family
	fresh  bool // nothing from a cache: somebody measures the lookup
}

// answer is what came of it.
type answer struct {
	flight uint32
	addrs  []netip.Addr
	took   time.Duration
	err    error
}

// names looks up names for the owner, who never waits: it leaves lookups, and finds answers later. What waits is as much as there
// are flights.
type names struct {
	usual, slow, fresh asking
	ready              chan struct{}   // holds a token when there are answers
	dead               map[string]bool // whose last lookup timed out; the owner's

	mu      sync.Mutex
	answers []answer
}

// maxDead is how many names are known as such; the others stand in the way.
const maxDead = 1 << 16

// asking are the lookups of one resolver, which has so many under way at once and no more. Each has its own queue: names whose server
// is dead take all the time that they may, and neither other names stand behind them nor what somebody waits for.
type asking struct {
	resolver *target.Resolver
	over     chan struct{} // closed when run has ended

	mu   sync.Mutex
	list []lookup
	more chan struct{} // holds a token when there are lookups
}

func newAsking(o target.ResolverOptions) asking {
	return asking{resolver: target.NewResolver(o), more: make(chan struct{}, 1), over: make(chan struct{})}
}

func newNames(o target.ResolverOptions) *names {
	n := &names{usual: newAsking(o), slow: newAsking(o), ready: make(chan struct{}, 1), dead: make(map[string]bool)}
	o.CacheSize = -1
	n.fresh = newAsking(o)
	return n
}

// cached is what is known of a name already.
func (n *names) cached(l *lookup) (addrs []netip.Addr, ok bool, err error) {
	if l.fresh {
		return nil, false, nil
	}
	return n.of(l).resolver.Cached(l.host, l.family)
}

// of is who is asked.
func (n *names) of(l *lookup) *asking {
	switch {
	case l.fresh:
		return &n.fresh
	case n.dead[l.host]:
		return &n.slow
	}
	return &n.usual
}

// note takes what came of a lookup.
func (n *names) note(host string, err error) {
	if !errors.Is(err, target.ErrNameTimeout) {
		delete(n.dead, host)
	} else if len(n.dead) < maxDead {
		n.dead[host] = true
	}
}

// ask leaves a lookup.
func (n *names) ask(l lookup) {
	a := n.of(&l)
	a.mu.Lock()
	a.list = append(a.list, l)
	a.mu.Unlock()
	signal(a.more)
}

// take appends the answers that are there.
func (n *names) take(to []answer) []answer {
	n.mu.Lock()
	defer n.mu.Unlock()
	to = append(to, n.answers...)
	clear(n.answers)
	n.answers = n.answers[:0]
	return to
}

func (n *names) all() []*asking { return []*asking{&n.usual, &n.slow, &n.fresh} }

// run hands lookups to the resolvers until ctx ends.
func (n *names) run(ctx context.Context) {
	for _, a := range n.all() {
		go a.run(ctx, n)
	}
}

// run hands lookups to the resolver, which may have it wait.
func (a *asking) run(ctx context.Context, n *names) {
	defer close(a.over)
	var batch []lookup
	for {
		a.mu.Lock()
		batch = append(batch[:0], a.list...)
		clear(a.list)
		a.list = a.list[:0]
		a.mu.Unlock()
		for _, l := range batch {
			n.submit(ctx, a.resolver, l)
		}
		clear(batch)
		select {
		case <-a.more:
		case <-ctx.Done():
			return
		}
	}
}

func (n *names) submit(ctx context.Context, r *target.Resolver, l lookup) {
	done := func(addrs []netip.Addr, took time.Duration, err error) {
		n.mu.Lock()
		n.answers = append(n.answers, answer{l.flight, addrs, took, err})
		n.mu.Unlock()
		signal(n.ready)
	}
	if err := r.Submit(ctx, l.host, l.family, done); err != nil {
		done(nil, 0, err)
	}
}

// close ends what is under way, once run's context has ended.
func (n *names) close() {
	for _, a := range n.all() {
		<-a.over
		a.resolver.Close()
	}
}

// signal puts a token into a channel of capacity one, if there is none.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
