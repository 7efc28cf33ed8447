package track

import (
	"time"

	"sonde/policy/breaker"
	"sonde/policy/flap"
	"sonde/report"
)

// JobSettings are what the targets of a job share. Both must pass their Check.
type JobSettings struct {
	Flap    flap.Settings
	Breaker breaker.Settings
}

// Job is what is counted of the targets of a job together, since the job was first named.
type Job struct {
	Name     string
	Settings JobSettings
	// Targets is how many there are.
	Targets int
	// Probes counts outcomes by report.Status, Skipped the turns that were not taken by Skip.
	Probes  [report.NumStatuses]uint64
	Skipped [NumSkips]uint64
	// Drops counts the kept connections that ended, by Cause.
	Drops  [NumCauses]uint64
	Phases [NumPhases]Histogram
}

// buckets are the upper bounds of a Histogram's buckets: three a decade from 100 us, where a loopback ends, to 30 s, the longest
// that a target has by default. They are classic ones, since every scraper and every dashboard can read those: native histograms
// need the protobuf format.
var buckets = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	1 * time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	1 * time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second,
}

// NumBuckets is how many bounds a Histogram has.
const NumBuckets = len(buckets)

// Bucket is the upper bound of a Histogram's bucket i, which belongs to it.
func Bucket(i int) time.Duration { return buckets[i] }

// Histogram counts durations.
type Histogram struct {
	// Counts are of those in each bucket alone; the last is of what is longer than all bounds.
	Counts [NumBuckets + 1]uint64
	Sum    time.Duration
}

// Add counts d, which must not be below 0, n times.
func (h *Histogram) Add(d time.Duration, n uint64) {
	i := 0
	for i < NumBuckets && d > buckets[i] {
		i++
	}
	h.Counts[i] += n
	h.Sum += d * time.Duration(n)
}

// Merge adds what other has counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.Counts {
		h.Counts[i] += n
	}
	h.Sum += other.Sum
}

// Above is how many were longer than d, which is one of the bounds.
func (h *Histogram) Above(d time.Duration) (n uint64) {
	for i, c := range h.Counts {
		if i == NumBuckets || buckets[i] > d {
			n += c
		}
	}
	return n
}

// Count is how many were counted.
func (h *Histogram) Count() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}
