package transport

import (
	"sync"
	"sync/atomic"
	"time"

	"sonde/internal/histogram"
	"sonde/report"
)

// Tally counts the operations of a Run and hands out the right to begin one. Its methods are safe for concurrent use and
// allocate nothing, so that they cost every transport the same.
type Tally struct {
	operations int
	taken      atomic.Int64
	shards     [shards]shard
}

// shards is in how many parts the count is kept, so that goroutines seldom wait for each other: several for each of the
// CPUs of the machines on which this is run, and few enough that their histograms (190 KiB each) are no burden.
const shards = 16

// shard is the count of some of the slots.
type shard struct {
	mu      sync.Mutex
	done    int
	failed  [report.NumStatuses]int
	latency *histogram.Histogram
	_       [64]byte // a cache line of its own at the end: the next shard is another CPU's
}

func newTally(operations int) *Tally {
	t := &Tally{operations: operations}
	for i := range t.shards {
		t.shards[i].latency = histogram.New()
	}
	return t
}

// Take gives the right to begin one operation, and its number, from 0; not ok when as many as the job has were begun. In an
// Echo each connection has its first from the beginning, so that all are opened however fast the first of them are. Who
// takes must end it by Done or Fail, unless the run is cancelled before anything was done for it.
func (t *Tally) Take() (op int, ok bool) {
	op = int(t.taken.Add(1)) - 1
	return op, op < t.operations
}

// Done counts an operation that ended well. slot, from 0, spreads the counting: each connection has its own.
func (t *Tally) Done(slot int, took time.Duration) {
	s := &t.shards[slot%shards]
	s.mu.Lock()
	s.done++
	s.latency.Record(took)
	s.mu.Unlock()
}

// Fail counts an operation that failed, or a held connection that was lost or not to be had.
func (t *Tally) Fail(slot int, status report.Status) {
	s := &t.shards[slot%shards]
	s.mu.Lock()
	s.failed[status]++
	s.mu.Unlock()
}

// done is how many operations have ended well.
func (t *Tally) done() int {
	n := 0
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		n += s.done
		s.mu.Unlock()
	}
	return n
}

// sum writes the counts into r.
func (t *Tally) sum(r *Result) {
	r.Latency, r.Failed, r.Operations = histogram.New(), map[string]int{}, 0
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		r.Operations += s.done
		r.Latency.Merge(s.latency)
		for status, n := range s.failed {
			if n > 0 {
				r.Failed[report.Status(status).String()] += n
			}
		}
		s.mu.Unlock()
	}
}
