// Package histogram counts durations by size with a fixed memory and a bounded error, for percentiles that can be merged
// from several loops. It is a thin layer over HdrHistogram that fixes unit and range, never refuses a value, and keeps the
// least, the greatest and the sum exactly.
package histogram

import (
	"iter"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// Unit is the resolution: durations are cut to whole units, as they are in records.
const Unit = time.Microsecond

// Max is the greatest duration that is told apart; a longer one counts as Max.
const Max = time.Hour

// significantDigits is the number of decimal digits that a quantile is true to.
const significantDigits = 3

// Histogram holds the counts: about 190 KiB each, however many values it is given. It belongs to one goroutine. Make
// one with [New].
type Histogram struct {
	counts   *hdr.Histogram
	min, max int64 // units; valid if counts is not empty
	sum      int64 // units; room for 292,000 years
}

// New returns an empty histogram.
func New() *Histogram {
	return &Histogram{counts: hdr.New(1, int64(Max/Unit), significantDigits)}
}

// Record counts one duration, cut to whole microseconds. Below zero counts as zero, above [Max] as Max. It does not
// allocate and its cost does not depend on what was counted before.
func (h *Histogram) Record(d time.Duration) {
	v := int64(min(max(d, 0), Max) / Unit)
	if h.counts.TotalCount() == 0 || v < h.min {
		h.min = v
	}
	h.max = max(h.max, v)
	h.sum += v
	h.mustRecord(v)
}

// mustRecord counts v, which is in range: an error would be a fault of ours in the range above.
func (h *Histogram) mustRecord(v int64) {
	if err := h.counts.RecordValue(v); err != nil {
		panic("histogram: " + err.Error())
	}
}

// Merge adds all that other has counted. other stays as it is.
func (h *Histogram) Merge(other *Histogram) {
	if other.Count() == 0 {
		return
	}
	if h.Count() == 0 || other.min < h.min {
		h.min = other.min
	}
	h.max = max(h.max, other.max)
	h.sum += other.sum
	if dropped := h.counts.Merge(other.counts); dropped != 0 {
		panic("histogram: two histograms of one range do not fit")
	}
}

// Count is the number of durations recorded.
func (h *Histogram) Count() uint64 { return uint64(h.counts.TotalCount()) }

// Min is the least duration recorded, exact but for the unit; 0 if there is none.
func (h *Histogram) Min() time.Duration { return time.Duration(h.min) * Unit }

// Max is the greatest duration recorded, exact but for the unit and the range; 0 if there is none.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max) * Unit }

// Mean is the exact mean of the recorded whole microseconds, rounded to the nearest microsecond; 0 if there is none.
func (h *Histogram) Mean() time.Duration {
	n := h.counts.TotalCount()
	if n == 0 {
		return 0
	}
	return time.Duration((h.sum+n/2)/n) * Unit
}

// Quantile returns the duration that a share of q of the recorded ones does not exceed, true to three decimal digits and
// never below the least nor above the greatest recorded. q is from 0 (the least) to 1 (the greatest) and is clamped to
// that. 0 if nothing is recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.counts.TotalCount() == 0 {
		return 0
	}
	v := h.counts.ValueAtQuantile(min(max(q, 0), 1) * 100)
	return time.Duration(min(max(v, h.min), h.max)) * Unit
}

// Bucket is one cell of the histogram: Count durations d with From <= d <= To, ends included.
type Bucket struct {
	From, To time.Duration
	Count    uint64
}

// Buckets yields the cells that are not empty, from the shortest to the longest. It is meant for drawing: it takes a
// copy of the whole histogram.
func (h *Histogram) Buckets() iter.Seq[Bucket] {
	return func(yield func(Bucket) bool) {
		for _, bar := range h.counts.Distribution() {
			if bar.Count == 0 {
				continue
			}
			b := Bucket{From: time.Duration(bar.From) * Unit, To: time.Duration(bar.To) * Unit, Count: uint64(bar.Count)}
			if !yield(b) {
				return
			}
		}
	}
}

// Reset forgets what was counted and keeps the memory.
func (h *Histogram) Reset() {
	h.counts.Reset()
	h.min, h.max, h.sum = 0, 0, 0
}
