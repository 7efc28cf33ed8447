package page

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"sonde/bench/result"
	"sonde/internal/histogram"
)

// latencies is a histogram of them.
func latencies(list ...time.Duration) *histogram.Compact {
	h := histogram.New()
	for _, d := range list {
		h.Record(d)
	}
	return h.Compact()
}

func timelineOf(t *testing.T, intervals ...result.Interval) *timeline {
	t.Helper()
	line, err := newTimeline(intervals)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func TestTimelineJoins(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for _, n := range []int{1, 2, maxBins, maxBins + 1, 3600, 20_000} {
		var list []result.Interval
		var want result.Interval
		latencyCount := uint64(0)
		for i := range n {
			in := result.Interval{Index: i, Held: uint64(i), Opened: uint64(rnd.IntN(9)), Operations: uint64(rnd.IntN(9)), Failed: uint64(rnd.IntN(3)),
				Lost: uint64(rnd.IntN(2)), CPU: time.Duration(rnd.IntN(1e6)), Resident: int64(i)}
			if i%997 == 0 {
				in.Latency = latencies(time.Duration(1+rnd.IntN(1e6)) * time.Microsecond)
				latencyCount++
			}
			want.Opened += in.Opened
			want.Operations += in.Operations
			want.Failed += in.Failed
			want.Lost += in.Lost
			want.CPU += in.CPU
			list = append(list, in)
		}
		rnd.Shuffle(n, func(i, j int) { list[i], list[j] = list[j], list[i] })
		line := timelineOf(t, list...)
		if len(line.bins) > maxBins {
			t.Errorf("%d intervals: got %d bins", n, len(line.bins))
		}
		if line.start() != 0 || line.end() != n {
			t.Errorf("%d intervals: got from %d to %d", n, line.start(), line.end())
		}
		var got result.Interval
		cells, count := 0.0, uint64(0)
		for i := range line.bins {
			b := &line.bins[i]
			got.Opened += b.opened
			got.Operations += b.operations
			got.Failed += b.failed
			got.Lost += b.lost
			got.CPU += b.cpu
			count += b.count
			for _, c := range b.cells {
				cells += c
			}
		}
		if got != want || count != latencyCount || math.Abs(cells-float64(latencyCount)) > 1e-6 {
			t.Errorf("%d intervals: got %+v with %d latencies and %v in cells, want %+v with %d", n, got, count, cells, want, latencyCount)
		}
		last := line.bins[len(line.bins)-1]
		if last.held != uint64(n-1) || last.resident != int64(n-1) || last.openedSoFar != want.Opened {
			t.Errorf("%d intervals: got held %d, resident %d, opened %d at the end", n, last.held, last.resident, last.openedSoFar)
		}
	}
}

// TestTimelineFillsHoles holds that an interval that was left out is one in which nothing happened.
func TestTimelineFillsHoles(t *testing.T) {
	line := timelineOf(t, result.Interval{Index: 4, Held: 7, Opened: 7, Resident: 100, Latency: latencies(time.Millisecond)}, result.Interval{Index: 6, Held: 8, Opened: 1, Resident: 120})
	if len(line.bins) != 3 {
		t.Fatalf("got %d bins, want 3", len(line.bins))
	}
	b := line.bins[1]
	if b.from != 5 || b.held != 7 || b.opened != 0 || b.openedSoFar != 7 || b.resident != 100 || b.count != 0 {
		t.Errorf("got %+v", b)
	}
}

func TestTimelineRefusesNonsense(t *testing.T) {
	if line := timelineOf(t); line != nil {
		t.Error("a line of no intervals")
	}
	if line := timelineOf(t, result.Interval{Index: -5}, result.Interval{Index: math.MaxInt32}); line != nil {
		t.Errorf("got a line from %d to %d", line.start(), line.end())
	}
	if line := timelineOf(t, result.Interval{}, result.Interval{Index: math.MaxInt32 - 1}); len(line.bins) > maxBins {
		t.Errorf("68 years are %d bins", len(line.bins))
	}
}

// TestLinesBreak holds that a line has a hole where there is no value, and that a value alone can be seen.
func TestLinesBreak(t *testing.T) {
	ms := latencies(time.Millisecond)
	line := timelineOf(t, result.Interval{Index: 0, Latency: ms}, result.Interval{Index: 1, Latency: ms}, result.Interval{Index: 4, Latency: ms},
		result.Interval{Index: 6, Latency: ms}, result.Interval{Index: 7, Latency: ms})
	ch := &chart{title: "a chart", series: percentileSeries(), text: micros, log: true}
	s := parse(t, ch.draw(line)).picture("a chart")
	d, _ := s.path("line k-p99")
	if strings.Count(d, "M") != 2 || strings.Count(d, "L") != 2 {
		t.Errorf("got the line %q, want two pieces of two points", d)
	}
	if d, _ := s.path("line dot k-p99"); strings.Count(d, "M") != 1 {
		t.Errorf("got the dots %q, want one", d)
	}
}

// TestHeatMapPlaces finds the cells of latencies that are known.
func TestHeatMapPlaces(t *testing.T) {
	var many []time.Duration
	for range 1000 {
		many = append(many, time.Millisecond)
	}
	line := timelineOf(t, result.Interval{Index: 0, Latency: latencies(many...)}, result.Interval{Index: 1, Latency: latencies(time.Second)}, result.Interval{Index: 3, Latency: latencies(time.Millisecond)})
	m := newHeatMap(line)
	if m.rowCount > maxHeatRows {
		t.Errorf("got %d rows", m.rowCount)
	}
	row := func(us float64) int {
		for r := range m.rowCount {
			if m.value(r) <= us && us < m.value(r+1) {
				return r
			}
		}
		t.Fatalf("no row has %v us", us)
		return 0
	}
	most := len(m.bounds) - 1
	for _, tt := range []struct {
		bin, row, want int
	}{{0, row(1000), most}, {0, row(1_000_000), -1}, {1, row(1_000_000), 0}, {1, row(1000), -1}, {3, row(1000), 0}} {
		if got := m.level(m.rows[tt.bin][tt.row]); got != tt.want {
			t.Errorf("bin %d, row %d: got level %d, want %d", tt.bin, tt.row, got, tt.want)
		}
	}
	if m.rows[2] != nil {
		t.Error("a bin without latencies has cells")
	}
	if got := m.class(most); got != "h6" {
		t.Errorf("the most have colour %s, want h6", got)
	}
}

func TestHeatMapLevels(t *testing.T) {
	m := &heatMap{bounds: []float64{1, 10, 100}}
	for n, want := range map[float64]int{0: -1, 0.01: 0, 1: 0, 9.9: 0, 10: 1, 99: 1, 100: 2, 1e9: 2} {
		if got := m.level(n); got != want {
			t.Errorf("%v: got level %d, want %d", n, got, want)
		}
	}
}

// TestFineLatenciesLeaveNoStripes: whole microseconds are wider than the rows of a logarithmic scale near 1.
func TestFineLatenciesLeaveNoStripes(t *testing.T) {
	var list []time.Duration
	for us := 1; us <= 8; us++ {
		for range 100 {
			list = append(list, time.Duration(us)*time.Microsecond)
		}
	}
	m := newHeatMap(timelineOf(t, result.Interval{Latency: latencies(list...)}))
	for row, n := range m.rows[0] {
		if m.level(n) < 0 {
			t.Errorf("row %d from %v us is empty", row, m.value(row))
		}
	}
}
