package histogram

import (
	"bytes"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// TestLogReadBack has HdrHistogram's own reader read a log: the intervals, their times and all counts are there.
func TestLogReadBack(t *testing.T) {
	start := time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC)
	var text bytes.Buffer
	log := NewLog(&text, start)
	want := []*Histogram{New(), New(), New()}
	for i, h := range want {
		for k := range 1000 * (i + 1) {
			h.Record(time.Duration(k) * 37 * time.Microsecond)
		}
		log.Add(time.Duration(i)*time.Second, time.Second, h.Compact())
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	r := hdr.NewHistogramLogReader(&text)
	for i, h := range want {
		got, err := r.NextIntervalHistogram()
		if err != nil || got == nil {
			t.Fatalf("interval %d: got %v and error %v", i, got, err)
		}
		if got.TotalCount() != int64(h.Count()) || got.Max() < int64(h.Max()/Unit) || got.Min() != int64(h.Min()/Unit) {
			t.Errorf("interval %d: got %d values from %d to %d, want %d from %v to %v", i, got.TotalCount(), got.Min(), got.Max(), h.Count(), h.Min(), h.Max())
		}
		for _, q := range []float64{50, 90, 99, 99.9} {
			if at := h.counts.ValueAtQuantile(q); got.ValueAtQuantile(q) != at {
				t.Errorf("interval %d: p%v is %d, want %d", i, q, got.ValueAtQuantile(q), at)
			}
		}
		if from := start.UnixMilli() + int64(i)*1000; got.StartTimeMs() != from || got.EndTimeMs() != from+1000 {
			t.Errorf("interval %d: from %d to %d, want %d to %d", i, got.StartTimeMs(), got.EndTimeMs(), from, from+1000)
		}
	}
	if got, err := r.NextIntervalHistogram(); got != nil {
		t.Errorf("got a fourth interval %v, error %v", got, err)
	}
}
