package load

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"sonde/bench/result"
	"sonde/internal/histogram"
)

// recorder counts what several loops do at once. Each connection belongs to one of its shards, so that loops seldom wait for
// each other.
type recorder struct {
	main   result.Phase // that of the intervals
	from   atomic.Int64 // the moment from which operations count; until then they are the warm-up
	until  atomic.Int64 // the moment until which they do
	shards []shard
}

// shard counts for some of the connections.
type shard struct {
	mu         sync.Mutex
	phases     result.Phases
	interval   *histogram.Histogram // of the interval that is under way; nil before the first
	operations uint64               // that count
	warmUp     uint64
	bytes      uint64
	failures   result.Failures
	tally      tally    // of the interval
	_          [64]byte // a cache line of its own at the end
}

// tally is what an interval counts.
type tally struct{ opened, lost, operations, failed uint64 }

func newRecorder(shards int, main result.Phase) *recorder {
	r := &recorder{main: main, shards: make([]shard, shards)}
	r.from.Store(math.MaxInt64)
	return r
}

// setWindow has operations count from the moment at, for so long.
func (r *recorder) setWindow(at int64, length time.Duration) {
	r.until.Store(at + int64(length))
	r.from.Store(at)
}

// endWindow has none count from the moment at, and returns how long they did.
func (r *recorder) endWindow(at int64) time.Duration {
	if r.until.Load() > at {
		r.until.Store(at)
	}
	return time.Duration(r.until.Load() - r.from.Load())
}

func (r *recorder) shard(id uint64) *shard { return &r.shards[id%uint64(len(r.shards))] }

// counts tells whether a moment lies in the time that counts.
func (r *recorder) counts(at int64) bool { return at >= r.from.Load() && at < r.until.Load() }

// timing is a latency of a phase.
type timing struct {
	phase result.Phase
	took  time.Duration
}

// operation counts one that was due at one moment and ended well at another, with its latencies. It is an operation of the time
// in which it ended, for that is the rate that was had; but its latencies are of the time in which it was due, however late it
// ended: else those that a peer's last stall held up would be missing.
func (r *recorder) operation(id uint64, due, ended int64, bytes int, timings ...timing) {
	s := r.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally.operations++
	if r.counts(ended) {
		s.operations++
		s.bytes += uint64(bytes)
	} else if ended < r.from.Load() {
		s.warmUp++
	}
	measured := r.counts(due)
	for _, t := range timings {
		if measured {
			s.phases.Of(t.phase).Record(t.took)
		}
		if t.phase == r.main {
			s.note(t.took)
		}
	}
}

// note counts a latency for the interval.
func (s *shard) note(took time.Duration) {
	if s.interval == nil {
		s.interval = histogram.New()
	}
	s.interval.Record(took)
}

// latencies counts some that are of no operation.
func (r *recorder) latencies(id uint64, timings ...timing) {
	s := r.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range timings {
		s.phases.Of(t.phase).Record(t.took)
		if t.phase == r.main {
			s.note(t.took)
		}
	}
}

// fail counts failures, those of the warm-up too: a load that fails there is not what was asked for.
func (r *recorder) fail(id uint64, f result.Failure) {
	s := r.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures.Add(f)
	s.tally.failed += f.Count
	if f.Lost {
		s.tally.lost += f.Count
	}
}

// opened counts a connection that was established.
func (r *recorder) opened(id uint64) {
	s := r.shard(id)
	s.mu.Lock()
	s.tally.opened++
	s.mu.Unlock()
}

// endInterval writes what was counted since the last call into i.
func (r *recorder) endInterval(i *result.Interval, scratch *histogram.Histogram) {
	scratch.Reset()
	for k := range r.shards {
		s := &r.shards[k]
		s.mu.Lock()
		i.Opened += s.tally.opened
		i.Lost += s.tally.lost
		i.Operations += s.tally.operations
		i.Failed += s.tally.failed
		s.tally = tally{}
		if s.interval != nil && s.interval.Count() > 0 {
			scratch.Merge(s.interval)
			s.interval.Reset()
		}
		s.mu.Unlock()
	}
	i.Latency = scratch.Compact()
}

// sum writes what was counted in all into p.
func (r *recorder) sum(p *result.Part) {
	for k := range r.shards {
		s := &r.shards[k]
		s.mu.Lock()
		p.Phases.Merge(&s.phases)
		p.Failures.Merge(s.failures)
		p.Operations += s.operations
		p.WarmUp += s.warmUp
		p.BytesIn += s.bytes
		s.mu.Unlock()
	}
}
