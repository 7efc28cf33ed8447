package draw

import (
	"testing"
	"time"

	"sonde/internal/histogram"
)

func TestBar(t *testing.T) {
	tests := []struct {
		part, whole uint64
		width       int
		ascii       bool
		want        string
	}{
		{0, 10, 8, false, ""}, {10, 10, 8, false, "████████"}, {5, 10, 8, false, "████"}, {1, 64, 8, false, "▏"}, {7, 64, 8, false, "▉"},
		{9, 64, 8, false, "█▏"}, {1, 1 << 40, 8, false, "▏"}, {3, 0, 8, false, ""}, {3, 3, 0, false, ""},
		{0, 10, 8, true, ""}, {10, 10, 8, true, "########"}, {1, 1000, 8, true, "."},
	}
	for _, tt := range tests {
		if got := Bar(tt.part, tt.whole, tt.width, tt.ascii); got != tt.want {
			t.Errorf("Bar(%d, %d, %d, %t): got %q, want %q", tt.part, tt.whole, tt.width, tt.ascii, got, tt.want)
		}
	}
}

// TestHistogramRows: whatever was recorded, the rows join each other, hold every count and are not too many to read.
func TestHistogramRows(t *testing.T) {
	tests := [][]time.Duration{
		{0}, {0, 1000}, {999, 1000}, {3 * time.Microsecond, 7 * time.Microsecond}, {time.Hour}, {0, time.Hour}, {2 * time.Hour},
		{100 * time.Microsecond, 3500 * time.Millisecond}, {200 * time.Microsecond, 201 * time.Microsecond, 999 * time.Microsecond},
		{10_005 * time.Microsecond}, make([]time.Duration, 5000), {time.Millisecond, 1200 * time.Microsecond}, {5 * time.Millisecond, 79 * time.Millisecond},
	}
	for _, durations := range tests {
		h := histogram.New()
		for _, d := range durations {
			h.Record(d)
		}
		rows := histogramRows(h)
		sum := uint64(0)
		for i, row := range rows {
			sum += row.Count
			if row.From >= row.To || i > 0 && row.From != rows[i-1].To {
				t.Errorf("%v: row %d of %v does not join the one before", durations, i, rows)
			}
		}
		first, last := rows[0], rows[len(rows)-1]
		if sum != h.Count() || first.Count == 0 || last.Count == 0 || len(rows) > 22 {
			t.Errorf("%v: got %d of %d counted in %d rows %v, want all, none empty at the ends", durations, sum, h.Count(), len(rows), rows)
		}
	}
}

func TestUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-1: "-", 0: "0µs", 999: "0µs", 999_999: "999µs", time.Millisecond: "1.00ms", 9_994_999: "9.99ms", 9_995_000: "10.0ms",
		99_950 * time.Microsecond: "100ms", 999_499 * time.Microsecond: "999ms", 999_500 * time.Microsecond: "1.00s", 99_949 * time.Millisecond: "99.9s",
		99_950 * time.Millisecond: "1m40s", 185 * time.Second: "3m05s", time.Hour - 1: "1h00m", 26 * time.Hour: "26h00m",
	} {
		if got := Duration(d, false); got != want {
			t.Errorf("%d ns: got %q, want %q", d, got, want)
		}
	}
	if got := Duration(5*time.Microsecond, true); got != "5us" {
		t.Errorf("got %q, want 5us", got)
	}
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1<<64 - 1: "18,446,744,073,709,551,615"} {
		if got := Count(n); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for part, want := range map[uint64]string{0: "0%", 1: "<0.1%", 100: "0.1%", 50_000: "50.0%", 99_999: ">99.9%", 100_000: "100%"} {
		if got := Share(part, 100_000); got != want {
			t.Errorf("%d: got %q, want %q", part, got, want)
		}
	}
}

func TestSpark(t *testing.T) {
	tests := []struct {
		values []float64
		width  int
		ascii  bool
		want   string
	}{
		{nil, 5, false, ""}, {[]float64{0, 0}, 5, false, "  "}, {[]float64{7}, 5, false, "█"}, {[]float64{7}, 0, false, ""}, {[]float64{7}, -1, false, ""},
		{[]float64{0.001, 1, 2, 3, 4, 5, 6, 7, 8}, 9, false, "▁▂▃▄▅▆▇██"}, {[]float64{9, 1, 2}, 2, false, "▅█"}, {[]float64{0, 1, 8}, 3, true, " :#"},
	}
	for _, tt := range tests {
		if got := Spark(tt.values, tt.width, tt.ascii); got != tt.want {
			t.Errorf("Spark(%v, %d, %t): got %q, want %q", tt.values, tt.width, tt.ascii, got, tt.want)
		}
	}
}

func TestBytes(t *testing.T) {
	for size, want := range map[float64]string{
		0: "0 B", 999: "999 B", 999.6: "0.98 KiB", 1234: "1.21 KiB", 10 << 20: "10.0 MiB", 999.6 * (1 << 20): "0.98 GiB", 5 << 40: "5.00 TiB", -2048: "-2.00 KiB",
	} {
		if got := Bytes(size); got != want {
			t.Errorf("%v: got %q, want %q", size, got, want)
		}
	}
}
