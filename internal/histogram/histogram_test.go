package histogram

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func Example() {
	h := New()
	for i := range 1000 {
		h.Record(time.Duration(i+1) * time.Millisecond)
	}
	fmt.Println(h.Count(), h.Min(), h.Mean(), h.Max())
	fmt.Println(h.Quantile(0.99).Round(time.Millisecond))
	// Output:
	// 1000 1ms 500.5ms 1s
	// 990ms
}

func TestEmpty(t *testing.T) {
	h := New()
	got := []time.Duration{h.Min(), h.Max(), h.Mean(), h.Quantile(0.5), h.Quantile(1), time.Duration(h.Count())}
	if want := make([]time.Duration, 6); !slices.Equal(got, want) {
		t.Errorf("got %v, want zeros", got)
	}
	for b := range h.Buckets() {
		t.Errorf("got bucket %v, want none", b)
	}
}

func TestRecordClamps(t *testing.T) {
	tests := []struct {
		name    string
		d, want time.Duration
	}{
		{"negative", -time.Second, 0},
		{"least", math.MinInt64, 0},
		{"zero", 0, 0},
		{"below the unit", 999 * time.Nanosecond, 0},
		{"cut, not rounded", 1999 * time.Nanosecond, time.Microsecond},
		{"the range's end", time.Hour, time.Hour},
		{"past the range", time.Hour + time.Microsecond, time.Hour},
		{"greatest", math.MaxInt64, time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := New()
			h.Record(tt.d)
			got := []time.Duration{h.Min(), h.Max(), h.Mean(), h.Quantile(0), h.Quantile(0.5), h.Quantile(1)}
			for _, g := range got {
				if g != tt.want {
					t.Errorf("got %v, want all %v", got, tt.want)
				}
			}
			if h.Count() != 1 {
				t.Errorf("got count %d, want 1", h.Count())
			}
		})
	}
}

// TestQuantileAgainstSorted compares with what sorting gives: never below the true value, at most a thousandth above it.
func TestQuantileAgainstSorted(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	h := New()
	var all []time.Duration
	for range 20_000 {
		d := time.Duration(math.Exp(rnd.Float64()*math.Log(float64(Max/Unit)))) * Unit
		h.Record(d)
		all = append(all, d)
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[max(int(math.Ceil(q*float64(len(all)))), 1)-1]
		got := h.Quantile(q)
		if got < want || float64(got-want) > float64(want)/1000 {
			t.Errorf("q %v: got %v, want %v to a thousandth more", q, got, want)
		}
	}
	var sum time.Duration
	for _, d := range all {
		sum += d
	}
	if want := sum / time.Duration(len(all)); (h.Mean() - want).Abs() > Unit {
		t.Errorf("got mean %v, want %v", h.Mean(), want)
	}
	if h.Quantile(-3) != all[0] || h.Quantile(7) != all[len(all)-1] {
		t.Errorf("got %v and %v for quantiles out of range, want the least and the greatest", h.Quantile(-3), h.Quantile(7))
	}
}

func TestMergeEqualsRecordingAll(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	one, two, all := New(), New(), New()
	for i := range 5000 {
		d := time.Duration(rnd.Int64N(int64(time.Minute)))
		all.Record(d)
		if i%3 == 0 {
			one.Record(d)
		} else {
			two.Record(d)
		}
	}
	one.Merge(New())
	one.Merge(two)
	merged := New()
	merged.Merge(one)
	if diff := cmp.Diff(slices.Collect(all.Buckets()), slices.Collect(merged.Buckets())); diff != "" {
		t.Errorf("buckets differ (-want +got):\n%s", diff)
	}
	if merged.Min() != all.Min() || merged.Max() != all.Max() || merged.Mean() != all.Mean() || merged.Count() != all.Count() {
		t.Errorf("got %v %v %v %v, want %v %v %v %v", merged.Min(), merged.Max(), merged.Mean(), merged.Count(),
			all.Min(), all.Max(), all.Mean(), all.Count())
	}
}

func TestBuckets(t *testing.T) {
	h := New()
	for _, d := range []time.Duration{0, 5 * Unit, 5 * Unit, 10_000 * Unit} {
		h.Record(d)
	}
	want := []Bucket{{0, 0, 1}, {5 * Unit, 5 * Unit, 2}, {10_000 * Unit, 10_007 * Unit, 1}}
	if diff := cmp.Diff(want, slices.Collect(h.Buckets())); diff != "" {
		t.Errorf("buckets differ (-want +got):\n%s", diff)
	}
	for range h.Buckets() {
		break // must stop without a panic
	}
}

func TestRecordDoesNotAllocate(t *testing.T) {
	h := New()
	d := time.Duration(0)
	if n := testing.AllocsPerRun(1000, func() { h.Record(d); d += 7777777 }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	h := New()
	b.ReportAllocs()
	for i := range b.N {
		h.Record(time.Duration(i&0xffff) * Unit)
	}
}
