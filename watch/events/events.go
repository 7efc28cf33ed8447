// Package events delivers what changes of targets to a web hook: each change once or more, in order, as JSON (docs/watch-events.md).
//
// [Queue.Add] is for the goroutine that owns the table: it takes a lock that nobody holds over anything that waits, and puts the event
// into a bounded queue. [Queue.Run] delivers, one request of up to [MaxBatch] events at a time; a request that fails is made again
// after a wait that grows and is drawn at random, for as long as it takes. When the queue is full the oldest event leaves it, and is
// counted: what is new is worth more than what is old.
//
// # What survives
//
// Without a spool the queue is memory: what is not delivered when Run returns is lost, and the log says how much. With one, each
// event is appended to a file of JSON lines and synced (fsync(2)) as soon as Run comes to it, which is at once but for the
// time that the disk takes; from then on it survives a crash of the process and of the machine. What was delivered is marked in the file
// without a sync, so a crash may have some events delivered twice: their id is the same, by which a receiver knows them. The file is
// emptied when all is delivered, and written anew when it is longer than twice what is queued and [SpoolSlack]. A disk that
// is full is told once; the events are delivered all the same. A spool belongs to one process at a time.
package events

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sonde/internal/clock"
	"sonde/policy/breaker"
	"sonde/policy/flap"
	"sonde/report"
	"sonde/watch/track"
)

// Limits.
const (
	// DefaultQueue is how many events wait at most: 10,000 are some 3 MB.
	DefaultQueue = 10_000
	// MaxBatch is how many events one request carries at most: some 200 KB.
	MaxBatch = 500
	// SpoolSlack is how long the spool may be, in bytes, whatever is queued.
	SpoolSlack = 16 << 20
	// maxReason is how much of an error an event repeats, in bytes.
	maxReason = 1000
)

// State is what a target, or its breaker, was or is.
type State uint8

// The states.
const (
	Unknown         State = iota // not probed often enough to know
	Up                           // by the job's rise and fall
	Down                         // likewise
	Stale                        // the last good answer stands in for the present one
	BreakerClosed                // asked as often as the job says
	BreakerOpen                  // asked less often
	BreakerHalfOpen              // being tried
	numStates
)

var stateWords = [numStates]string{"unknown", "up", "down", "stale", "breaker-closed", "breaker-open", "breaker-half-open"}

// String returns the word of the event.
func (s State) String() string { return stateWords[s] }

// Flap is the state of a target by its rise and fall.
func Flap(s flap.State) State { return Unknown + State(s) }

// Breaker is the state of a target's breaker.
func Breaker(s breaker.State) State { return BreakerClosed + State(s) }

// Event is one change of a target.
type Event struct {
	Time          time.Time
	Job, Instance string
	Labels        []track.Label // not to be changed once it is added
	From, To      State
	// Status, Side and Reason are those of the probe that brought the change.
	Status report.Status
	Side   report.Side
	Reason string // for a person; empty for success
	// Since is when the target became From; zero if that is not known.
	Since time.Time
}

// Options of a Queue. Only URL must be given.
type Options struct {
	URL   string // http or https
	Queue int    // how many events wait at most; default DefaultQueue
	Spool string // path of a file that keeps them; empty: none
	// Client makes the requests; nil: http.DefaultClient. Redirects are not followed.
	Client *http.Client
	Log    *slog.Logger // nil: nowhere
	Clock  clock.Clock  // nil: the machine's
	// Before is the queue that this one takes the place of at a reload; its Run has returned by the time that this one's is
	// called. What it has not delivered comes first, and what is added to it from then on comes here.
	Before *Queue
}

// Queue holds events until they are delivered. Make one with [Open].
type Queue struct {
	options Options
	client  http.Client
	run     string // of the ids
	spool   *spool // of Run's goroutine; nil if there is none
	wake    chan struct{}
	hasHeir atomic.Bool // another is open that takes the place of this one

	mu      sync.Mutex // held for no longer than it takes to copy a batch
	waiting []entry    // in order; entries that are being sent are still in it
	last    uint64     // the number of the youngest
	sending uint64     // the number of the youngest that is being sent; 0: none
	lost    uint64     // how many that are being sent have left the queue
	stats   Stats
	heir    *Queue // that has what was in this one; nil: none
}

// entry is an event in the queue. Its number is its place in the order of this run.
type entry struct {
	number uint64
	event  Event
	id     string // of one from the spool
	line   []byte // its JSON, once it is made
}

// Stats count since Open.
type Stats struct {
	Waiting   int    // that are not delivered yet
	Added     uint64 // by Add, and from the spool
	Delivered uint64
	Dropped   uint64 // since the queue was full
	Refused   uint64 // by the receiver, for good
	Failures  uint64 // requests that failed
	// Error is why the last request failed, and SpoolError why the last write to the spool; empty if it did not.
	Error, SpoolError string
	LastSuccess       time.Time // of a request
	Spooled           int64     // bytes in the spool
}

// Open makes a Queue and reads what its spool kept, all of which will be delivered before what is new.
func Open(o Options) (*Queue, error) {
	address, err := url.Parse(o.URL)
	if err != nil || address.Scheme != "http" && address.Scheme != "https" || address.Host == "" {
		return nil, errors.New("events: the URL must begin with http:// or https:// and a host") // it may hold a secret
	}
	if o.Queue < 0 {
		return nil, fmt.Errorf("events: a queue of %d", o.Queue)
	}
	if o.Queue == 0 {
		o.Queue = DefaultQueue
	}
	if o.Client == nil {
		o.Client = http.DefaultClient
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = clock.NewSystem()
	}
	var run [8]byte
	rand.Read(run[:]) // it never fails
	q := &Queue{options: o, client: *o.Client, run: hex.EncodeToString(run[:]), wake: make(chan struct{}, 1)}
	// A redirect that is followed makes a GET of the request (RFC 9110 s.15.4).
	q.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	switch {
	case o.Before != nil && o.Spool != "" && o.Spool == o.Before.options.Spool:
		q.spool = &spool{path: o.Spool, isStale: true} // what is in it is in that queue too, which may use it still
	case o.Spool != "":
		var kept []entry
		if q.spool, kept, err = openSpool(o.Spool, o.Queue); err != nil {
			return nil, fmt.Errorf("events: %w", err)
		}
		for _, e := range kept {
			q.last++
			e.number = q.last
			q.waiting = append(q.waiting, e)
		}
		q.spool.through = q.last
		q.stats.Added = q.last
	}
	if o.Before != nil {
		o.Before.hasHeir.Store(true)
	}
	return q, nil
}

// Add puts an event into the queue. It waits for nothing and never fails; any goroutine may call it, also when Run has returned.
func (q *Queue) Add(e Event) {
	q.mu.Lock()
	if heir := q.heir; heir != nil {
		q.mu.Unlock()
		heir.Add(e)
		return
	}
	if len(q.waiting) == q.options.Queue {
		q.drop()
	}
	q.last++
	q.waiting = append(q.waiting, entry{number: q.last, event: e})
	q.stats.Added++
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default: // it is awake, or will be
	}
}

// inherit takes what the queue before this one has not delivered, ahead of what is new and behind what the spool kept.
func (q *Queue) inherit() {
	before := q.options.Before
	if before == nil {
		return
	}
	q.options.Before = nil // and with it all those before it
	before.mu.Lock()
	left := before.waiting
	before.waiting, before.heir = nil, q
	before.mu.Unlock()
	for i := range left {
		before.encode(&left[i]) // under its own id
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.last = 0
	if q.spool != nil {
		q.last = q.spool.through
	}
	kept := 0
	for kept < len(q.waiting) && q.waiting[kept].number <= q.last {
		kept++
	}
	q.waiting = slices.Insert(q.waiting, kept, left...)
	for i := kept; i < len(q.waiting); i++ {
		q.last++
		q.waiting[i].number = q.last
	}
	q.stats.Added += uint64(len(left))
	for len(q.waiting) > q.options.Queue {
		q.drop()
	}
}

// drop has the oldest event leave the queue. One that is being sent is not lost before that has failed.
func (q *Queue) drop() {
	if q.waiting[0].number <= q.sending {
		q.lost++
	} else {
		q.stats.Dropped++
	}
	q.shift(1)
}

// shift takes the first count events off the queue.
func (q *Queue) shift(count int) {
	clear(q.waiting[:count]) // the array lives on
	q.waiting = q.waiting[count:]
}

// Stats returns the counts so far. Any goroutine may call it.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	stats := q.stats
	stats.Waiting = len(q.waiting)
	return stats
}
