package engine

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"

	"sonde/internal/kernel/socket"
)

// ErrStopped is returned by Submit and Offer after Finish or Stop.
var ErrStopped = errors.New("engine: stopped")

const (
	// inboxSize is how many jobs wait at most: enough to keep loops busy while the submitter is woken (about 10 ms of the
	// fastest scan), little enough that a stop gives few of them back.
	inboxSize = 1024
	// outboxSize is how many outcomes may wait for the consumer before admission pauses. Connections in flight add
	// their own on top, so the queue is bounded by this and Config.Connections together.
	outboxSize = 4096
)

// shared is what the loops of one engine have in common.
type shared struct {
	inbox    inbox
	outbox   outbox
	stats    counters
	stopping atomic.Bool
	aborting atomic.Bool
	profiles atomic.Pointer[[]Profile] // what Profile of a Job is an index into; a list is never changed once it is here
	hungry   atomic.Bool               // a loop has room and found nothing to do, or found the outbox full
	wake     func()                    // wakes every loop
	sources  []socket.Addr             // all of them, as Config.Sources has them
	sources4 []socket.Addr
	sources6 []socket.Addr
}

func newShared(cfg *Config) *shared {
	s := &shared{wake: func() {}}
	s.profiles.Store(&cfg.Profiles)
	s.inbox = inbox{jobs: make([]Job, inboxSize), room: make(chan struct{}, 1), shared: s}
	s.outbox = outbox{ready: make(chan struct{}, 1)}
	for _, ip := range cfg.Sources {
		source := socket.AddrFrom(netip.AddrPortFrom(ip, 0), 0)
		s.sources = append(s.sources, source)
		if source.V6 {
			s.sources6 = append(s.sources6, source)
		} else {
			s.sources4 = append(s.sources4, source)
		}
	}
	return s
}

// wakeHungry wakes the loops if one of them waits for what the other side of a queue has just provided.
func (s *shared) wakeHungry() {
	if s.hungry.Load() && s.hungry.CompareAndSwap(true, false) {
		s.wake()
	}
}

// inbox is the bounded queue of jobs: a ring.
type inbox struct {
	shared   *shared
	mu       sync.Mutex
	jobs     []Job
	head, n  int
	finished bool
	room     chan struct{} // holds one token when half the ring is free or the end has come
}

// offer appends as many of the jobs as there is room for.
func (q *inbox) offer(jobs []Job) (taken int, err error) {
	q.mu.Lock()
	defer q.shared.wakeHungry() // after the unlock: a loop that is awake takes from here
	defer q.mu.Unlock()
	if q.finished {
		return 0, ErrStopped
	}
	return q.fill(jobs), nil
}

// fill moves as many of the jobs into the ring as it has room for. The caller holds the lock.
func (q *inbox) fill(jobs []Job) (taken int) {
	for taken < len(jobs) && q.n < len(q.jobs) {
		q.jobs[(q.head+q.n)%len(q.jobs)] = jobs[taken]
		q.n++
		taken++
	}
	return taken
}

// put appends jobs and blocks while the ring is full.
func (q *inbox) put(ctx context.Context, jobs []Job) (int, error) {
	taken, waited := 0, false
	for {
		q.mu.Lock()
		if q.finished {
			q.mu.Unlock()
			signal(q.room) // for the next submitter that waits: there is one token for all
			return taken, ErrStopped
		}
		taken += q.fill(jobs[taken:])
		if waited && q.n < len(q.jobs) {
			signal(q.room)
		}
		q.mu.Unlock()
		q.shared.wakeHungry()
		if taken == len(jobs) {
			return taken, nil
		}
		select {
		case <-q.room:
			waited = true
		case <-ctx.Done():
			return taken, ctx.Err()
		}
	}
}

// take moves jobs into dst and returns how many; over reports that no more will ever come.
func (q *inbox) take(dst []Job) (n int, over bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n = min(len(dst), q.n)
	for i := range n {
		dst[i] = q.jobs[(q.head+i)%len(q.jobs)]
	}
	q.head = (q.head + n) % len(q.jobs)
	q.n -= n
	if n > 0 && q.n <= len(q.jobs)/2 {
		signal(q.room)
	}
	return n, q.finished && q.n == 0
}

func (q *inbox) length() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return int64(q.n)
}

func (q *inbox) isFinished() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.finished
}

func (q *inbox) finish() {
	q.mu.Lock()
	q.finished = true
	q.mu.Unlock()
	signal(q.room)
}

// outbox is the queue of outcomes.
type outbox struct {
	mu     sync.Mutex
	done   []Outcome
	length atomic.Int64
	closed bool
	ready  chan struct{}
}

func (q *outbox) put(outcomes []Outcome) {
	q.mu.Lock()
	q.done = append(q.done, outcomes...)
	q.length.Store(int64(len(q.done)))
	q.mu.Unlock()
	signal(q.ready)
}

// isFull is a hint for admission: in-flight connections may still put theirs.
func (q *outbox) isFull() bool { return q.length.Load() >= outboxSize }

// keptOutcomes is how many outcomes the queue keeps room for: more than that is given back after a burst.
const keptOutcomes = 512

// take appends what is there to buf; more is false at the end. An empty buf changes places with the queue's own memory.
func (q *outbox) take(buf []Outcome) (outcomes []Outcome, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(buf) == 0 {
		outcomes = q.done
		if cap(buf) > keptOutcomes {
			buf = nil
		}
		clear(buf[:cap(buf)]) // lets the findings go
		q.done = buf
		q.length.Store(0)
		return outcomes, !q.closed
	}
	buf = append(buf, q.done...)
	clear(q.done) // lets the findings go
	q.done = q.done[:0]
	q.length.Store(0)
	return buf, !q.closed
}

func (q *outbox) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	signal(q.ready)
}

// signal puts a token into a channel of capacity one, if there is none.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
