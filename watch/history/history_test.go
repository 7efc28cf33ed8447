package history

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	"unsafe"

	"sonde/report"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestPack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	before := packed(0)
	for us := int64(0); us < 1<<40; us += 1 + us/5000 + rng.Int64N(1+us/1000) {
		d := time.Duration(us) * time.Microsecond
		p := pack(d)
		if p < before {
			t.Fatalf("%v sorts before what is shorter", d)
		}
		before = p
		got := p.duration()
		if us < 1<<(mantissaBits+1) && got != d || math.Abs(float64(got-d)) > float64(d)/4096 {
			t.Fatalf("%v became %v", d, got)
		}
	}
	for d, want := range map[time.Duration]time.Duration{report.Absent: report.Absent, 0: 0, 999: 0, 1999: time.Microsecond} {
		if got := pack(d).duration(); got != want {
			t.Errorf("%v became %v, want %v", d, got, want)
		}
	}
	if got := pack(math.MaxInt64).duration(); got < 24*time.Hour {
		t.Errorf("292 years became %v", got)
	}
}

// TestRing holds the rings of many targets against lists.
func TestRing(t *testing.T) {
	for _, each := range []int{1, 2, 7, 60} {
		rng := rand.New(rand.NewPCG(uint64(each), 1))
		h := New(start, each)
		want := make([][]Point, 600) // more than two pages
		for n := range 20_000 {
			id := uint32(rng.IntN(len(want)))
			if rng.IntN(500) == 0 {
				h.Clear(id)
				want[id] = nil
				continue
			}
			p := Point{At: start.Add(time.Duration(n) * 10 * time.Millisecond), Status: report.Status(rng.IntN(int(report.NumStatuses))),
				Total: time.Duration(rng.IntN(4000)) * time.Microsecond, Connect: time.Duration(rng.IntN(4000)) * time.Microsecond, TLS: report.Absent}
			h.Add(id, p)
			want[id] = append(want[id], p)
			want[id] = want[id][max(len(want[id])-each, 0):]
		}
		for id := range want {
			if got := h.Points(uint32(id), nil); !slices.Equal(got, want[id]) {
				t.Fatalf("%d points each, target %d:\ngot  %v\nwant %v", each, id, got, want[id])
			}
		}
	}
}

// TestLongRun holds the moments of points when the process has run for longer than a point can say.
func TestLongRun(t *testing.T) {
	h := New(start, 3)
	const year = 365 * 24 * time.Hour
	h.Add(0, Point{At: start.Add(year)})
	h.Add(1, Point{At: start.Add(2 * year)})
	h.Add(1, Point{At: start.Add(2*year - time.Hour)}) // the wall clock was set back
	h.Add(1, Point{At: start.Add(3 * year)})
	for i, want := range []time.Time{start.Add(2 * year), start.Add(2*year - time.Hour), start.Add(3 * year)} {
		if got := h.Points(1, nil)[i].At; !got.Equal(want) {
			t.Errorf("point %d: got %v, want %v", i, got, want)
		}
	}
}

func TestUnknown(t *testing.T) {
	h := New(start, 3)
	h.Clear(9)
	if got := h.Points(9, nil); got != nil {
		t.Errorf("got %v of a target that has none", got)
	}
	h.Add(300, Point{At: start.Add(-time.Hour)})
	if got := h.Points(5, nil); got != nil {
		t.Errorf("got %v of a target that has none", got)
	}
	if got := h.Points(300, nil); len(got) != 1 || !got[0].At.Equal(start) {
		t.Errorf("got %v, want the moment not before the start", got)
	}
}

func TestSize(t *testing.T) {
	if n := unsafe.Sizeof(point{}); n != 12 {
		t.Errorf("a point takes %d bytes, want 12", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	h := New(start, 60)
	p := Point{At: start, Total: time.Millisecond, Connect: time.Millisecond, TLS: report.Absent}
	var id uint32
	for b.Loop() {
		h.Add(id%100_000, p)
		id += 7919
	}
}
