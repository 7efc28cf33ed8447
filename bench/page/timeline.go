package page

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"sonde/bench/result"
	"sonde/internal/histogram"
)

// maxBins is how many stretches of time a line has at most: a page stays below a megabyte, and a picture half a screen wide
// shows no more.
const maxBins = 180

// percentiles are those that have a line over time.
var percentiles = [...]float64{0.50, 0.90, 0.99, 0.999}

// rowsPerDecade is how finely latencies are told apart for the heat map; its picture joins rows as it has room.
const rowsPerDecade = 48

// bin is a stretch of a load's time: one interval or several in a row.
type bin struct {
	from, to int // seconds since the load's start, to not in it
	// What stood or was used when it ended.
	held, inFlight uint64
	resident       int64 // bytes; -1 if not known
	opened         uint64
	openedSoFar    uint64
	lost           uint64
	operations     uint64
	failed         uint64
	cpu            time.Duration
	warmUp         bool
	// count is how many latencies there were; quantiles in microseconds, as in percentiles.
	count     uint64
	quantiles [len(percentiles)]float64
	// cells is how many latencies fell into each row of the heat map, the row of 1 us first; nil if none.
	cells []float64
}

func (b *bin) seconds() float64 { return float64(b.to - b.from) }
func (b *bin) middle() float64  { return float64(b.from+b.to) / 2 }

// perSecond is n of the bin as a rate.
func (b *bin) perSecond(n uint64) float64 { return float64(n) / b.seconds() }

// timeline is a load from its first interval to its last, without holes.
type timeline struct {
	bins  []bin
	width int // seconds of each bin; the last may be shorter
}

func (t *timeline) start() int { return t.bins[0].from }
func (t *timeline) end() int   { return t.bins[len(t.bins)-1].to }

// newTimeline joins intervals to at most maxBins bins; nil if there are none. In an interval that was left out nothing
// happened: what stood still stands. It fails for latencies that can't be read.
func newTimeline(intervals []result.Interval) (*timeline, error) {
	sorted := make([]*result.Interval, 0, len(intervals))
	for i := range intervals {
		if intervals[i].Index >= 0 && intervals[i].Index < math.MaxInt32 { // 68 years
			sorted = append(sorted, &intervals[i])
		}
	}
	if len(sorted) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(sorted, func(a, b *result.Interval) int { return cmp.Compare(a.Index, b.Index) })
	first, end := sorted[0].Index, sorted[len(sorted)-1].Index+1
	t := &timeline{width: binWidth(end - first)}
	before := bin{resident: -1}
	for from := first; from < end; from += t.width {
		b := bin{from: from, to: min(from+t.width, end), held: before.held, inFlight: before.inFlight, resident: before.resident,
			openedSoFar: before.openedSoFar}
		n := 0
		for n < len(sorted) && sorted[n].Index < b.to {
			b.add(sorted[n])
			n++
		}
		if err := b.takeLatencies(sorted[:n]); err != nil {
			return nil, err
		}
		sorted = sorted[n:]
		t.bins = append(t.bins, b)
		before = b
	}
	return t, nil
}

// binWidth is the least length, of those that people count in, by which maxBins bins hold so many seconds.
func binWidth(seconds int) int {
	for _, w := range []int{1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600} {
		if w*maxBins >= seconds {
			return w
		}
	}
	hours := (seconds + maxBins*3600 - 1) / (maxBins * 3600)
	return hours * 3600
}

func (b *bin) add(i *result.Interval) {
	b.held, b.inFlight, b.resident = i.Held, i.InFlight, i.Resident
	b.opened += i.Opened
	b.openedSoFar += i.Opened
	b.lost += i.Lost
	b.operations += i.Operations
	b.failed += i.Failed
	b.cpu += i.CPU
	b.warmUp = b.warmUp || i.WarmUp
}

func (b *bin) takeLatencies(intervals []*result.Interval) error {
	var all *histogram.Histogram
	for _, i := range intervals {
		if i.Latency.Count() == 0 {
			continue
		}
		h, err := i.Latency.Histogram()
		if err != nil {
			return fmt.Errorf("interval %d: %w", i.Index, err)
		}
		if all == nil {
			all = h
		} else {
			all.Merge(h)
		}
	}
	if all == nil {
		return nil
	}
	b.count = all.Count()
	for i, q := range percentiles {
		b.quantiles[i] = toMicros(all.Quantile(q))
	}
	b.cells = make([]float64, int(math.Ceil(math.Log10(toMicros(histogram.Max))*rowsPerDecade))+1)
	for bucket := range all.Buckets() {
		spread(b.cells, bucket)
	}
	return nil
}

// spread adds a bucket to the rows that it covers, to each its share: latencies are cut to whole microseconds, so that one
// of 3 us may be anything below 4 and must not leave stripes.
func spread(cells []float64, b histogram.Bucket) {
	row := func(us float64) float64 { return math.Log10(max(us, 1)) * rowsPerDecade }
	from, to := row(toMicros(b.From)), row(toMicros(b.To)+1)
	if to <= from { // below 1 us
		cells[0] += float64(b.Count)
		return
	}
	for r := int(from); r < len(cells) && float64(r) < to; r++ {
		part := min(float64(r+1), to) - max(float64(r), from)
		cells[r] += float64(b.Count) * part / (to - from)
	}
}

// any tells whether a bin is such.
func (t *timeline) any(such func(*bin) bool) bool {
	return slices.ContainsFunc(t.bins, func(b bin) bool { return such(&b) })
}
