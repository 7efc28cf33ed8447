package runner

import (
	"context"
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
	kept, fresh *target.Resolver
	ready       chan struct{} // holds a token when there are answers

	mu      sync.Mutex
	asked   []lookup
	answers []answer
	more    chan struct{} // holds a token when there are lookups
	over    chan struct{} // closed when the goroutine has ended
}

func newNames(o target.ResolverOptions) *names {
	n := &names{kept: target.NewResolver(o), ready: make(chan struct{}, 1), more: make(chan struct{}, 1), over: make(chan struct{})}
	o.CacheSize = -1
	n.fresh = target.NewResolver(o)
	return n
}

// ask leaves a lookup.
func (n *names) ask(l lookup) {
	n.mu.Lock()
	n.asked = append(n.asked, l)
	n.mu.Unlock()
	signal(n.more)
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

// run hands lookups to the resolvers, which may have it wait, until ctx ends.
func (n *names) run(ctx context.Context) {
	defer close(n.over)
	var batch []lookup
	for {
		n.mu.Lock()
		batch = append(batch[:0], n.asked...)
		clear(n.asked)
		n.asked = n.asked[:0]
		n.mu.Unlock()
		for _, l := range batch {
			n.submit(ctx, l)
		}
		select {
		case <-n.more:
		case <-ctx.Done():
			return
		}
	}
}

func (n *names) submit(ctx context.Context, l lookup) {
	r := n.kept
	if l.fresh {
		r = n.fresh
	}
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

// close ends what run left, once that has returned.
func (n *names) close() {
	<-n.over
	n.kept.Close()
	n.fresh.Close()
}

// signal puts a token into a channel of capacity one, if there is none.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
