package timewheel

import (
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

const ms = Tick

func advance(w *Wheel, now int64) []uint32 {
	expired := w.Advance(now, nil)
	slices.Sort(expired)
	return expired
}

func wantNext(t *testing.T, w *Wheel, want int64) {
	t.Helper()
	if got, ok := w.Next(); !ok || got != want {
		t.Errorf("Next: got %d, %v, want %d, true", got, ok, want)
	}
}

func TestNeverEarlyAndLessThanATickLate(t *testing.T) {
	tests := []struct {
		name           string
		start, at      int64
		quiet, expires int64 // nothing by quiet, the deadline by expires
	}{
		{"on the tick", 0, 5 * ms, 5*ms - 1, 5 * ms},
		{"just after a tick", 0, 5*ms + 1, 6*ms - 1, 6 * ms},
		{"just before a tick", 0, 6*ms - 1, 6*ms - 1, 6 * ms},
		{"the next nanosecond", 0, 1, ms - 1, ms},
		{"later in the wheel's own tick", 7*ms + 100, 7*ms + 200, 8*ms - 1, 8 * ms},
		{"one tick across a level 1 slot", 63 * ms, 64 * ms, 64*ms - 1, 64 * ms},
		{"one tick across a level 3 slot", (1<<18 - 1) * ms, 1 << 18 * ms, 1<<18*ms - 1, 1 << 18 * ms},
		{"a hundred years", 1, 100 * 365 * 86_400_000 * ms, 100*365*86_400_000*ms - 1, 100 * 365 * 86_400_000 * ms},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := New(test.start)
			w.Set(9, test.at)
			if got := advance(w, test.quiet); len(got) != 0 {
				t.Errorf("at %d: got %v expired, want none", test.quiet, got)
			}
			if diff := cmp.Diff([]uint32{9}, advance(w, test.expires)); diff != "" {
				t.Errorf("at %d (-want +got):\n%s", test.expires, diff)
			}
			if w.Len() != 0 {
				t.Errorf("Len: got %d, want 0", w.Len())
			}
		})
	}
}

// Each level's first and last slot, and both sides of each edge between two levels, seen from starts that lie at, just
// before and just after an edge themselves. The wheel is driven the way an idle loop drives it, by Next alone.
func TestEveryLevelBoundary(t *testing.T) {
	last := uint64(math.MaxInt64 / Tick)
	edges := []uint64{0}
	for level := range levels {
		for _, slot := range []uint64{1, 2, slots - 1} {
			edges = append(edges, slot<<(level*digitBits))
		}
	}
	near := func(edge uint64) []uint64 { return []uint64{edge - 1, edge, edge + 1} }
	for _, base := range edges {
		for _, start := range near(base) {
			if start > last {
				continue
			}
			for _, ahead := range edges {
				for _, distance := range near(ahead) {
					if when := start + distance; distance > 0 && distance <= last && when <= last {
						checkDrivenByNext(t, int64(start)*ms, int64(when)*ms)
					}
				}
			}
		}
	}
}

func checkDrivenByNext(t *testing.T, start, at int64) {
	t.Helper()
	w := New(start)
	w.Set(1, at)
	for wake := 0; w.Len() > 0; wake++ {
		next, ok := w.Next()
		if !ok || next > at || wake > levels {
			t.Fatalf("start %d, deadline %d: wake-up %d: Next says %d, %v", start, at, wake, next, ok)
		}
		if wake > 0 && next <= w.now {
			t.Fatalf("start %d, deadline %d: Next says %d, which has passed", start, at, next)
		}
		if early := w.Advance(next-1, nil); len(early) != 0 {
			t.Fatalf("start %d, deadline %d: expired at %d, before Next", start, at, next-1)
		}
		if got := w.Advance(next, nil); len(got) == 1 != (next == at) {
			t.Fatalf("start %d, deadline %d: got %v at %d", start, at, got, next)
		}
	}
}

func TestPastDeadlineExpiresWithTheNextAdvance(t *testing.T) {
	w := New(10*ms + 5)
	for id, at := range []int64{math.MinInt64, -1, 0, 10 * ms, 10*ms + 5} {
		w.Set(uint32(id), at)
	}
	wantNext(t, w, 10*ms+5)
	if diff := cmp.Diff([]uint32{0, 1, 2, 3, 4}, advance(w, 10*ms+5)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, ok := w.Next(); ok {
		t.Error("Next: got a moment from an empty wheel")
	}
}

func TestMove(t *testing.T) {
	w := New(0)
	w.Set(1, 10*ms)
	w.Set(1, 5000*ms)
	if got := advance(w, 10*ms); len(got) != 0 {
		t.Errorf("moved to later: got %v at the old deadline, want none", got)
	}
	w.Set(1, 20*ms)
	if diff := cmp.Diff([]uint32{1}, advance(w, 20*ms)); diff != "" {
		t.Errorf("moved to earlier (-want +got):\n%s", diff)
	}
	w.Set(1, 0)
	w.Set(1, 30*ms)
	if got := advance(w, 21*ms); len(got) != 0 {
		t.Errorf("moved out of the past: got %v, want none", got)
	}
	if w.Len() != 1 {
		t.Errorf("Len: got %d, want 1", w.Len())
	}
}

func TestCancel(t *testing.T) {
	w := New(0)
	for id := range uint32(3) {
		w.Set(id, 10*ms) // one list: the first, the middle and the last entry leave it in turn
	}
	w.Set(7, 0)
	w.Cancel(7)
	w.Cancel(7)       // not armed
	w.Cancel(1 << 20) // never seen
	for i, id := range []uint32{1, 2, 0} {
		w.Cancel(id)
		if _, ok := w.At(id); ok || w.Len() != 2-i {
			t.Errorf("after Cancel(%d): got armed %v, Len %d, want false, %d", id, ok, w.Len(), 2-i)
		}
	}
	if at, ok := w.Next(); ok {
		t.Errorf("Next of an empty wheel: got %d", at)
	}
	if got := advance(w, 1000*ms); len(got) != 0 {
		t.Errorf("got %v expired, want none", got)
	}
}

func TestAt(t *testing.T) {
	w := New(0)
	w.Set(5, 12_345_678)
	if at, ok := w.At(5); at != 12_345_678 || !ok {
		t.Errorf("got %d, %v, want the deadline as it was set", at, ok)
	}
	for _, id := range []uint32{4, 1 << 20} {
		if at, ok := w.At(id); at != 0 || ok {
			t.Errorf("id %d: got %d, %v, want 0, false", id, at, ok)
		}
	}
}

func TestSetAgainWhileExpiredAreHandled(t *testing.T) {
	w := New(0)
	for id := range uint32(4) {
		w.Set(id, 10*ms)
	}
	expired := w.Advance(10*ms, nil)
	for _, id := range expired {
		w.Set(id, 10*ms+int64(id)*ms) // 0 is in the past, the others are ahead
	}
	if diff := cmp.Diff([]uint32{0}, advance(w, 10*ms)); diff != "" {
		t.Errorf("same moment (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]uint32{1, 2, 3}, advance(w, 13*ms)); diff != "" {
		t.Errorf("later (-want +got):\n%s", diff)
	}
}

func TestTimeDoesNotGoBack(t *testing.T) {
	w := New(100 * ms)
	w.Set(1, 150*ms)
	w.Advance(140*ms, nil)
	w.Advance(-5, nil)
	w.Advance(20*ms, nil)
	w.Set(2, 130*ms) // in the past, whatever the last call said
	if diff := cmp.Diff([]uint32{2}, advance(w, 20*ms)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]uint32{1}, advance(w, 150*ms)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAdvanceAppends(t *testing.T) {
	w := New(0)
	w.Set(3, ms)
	if diff := cmp.Diff([]uint32{8, 3}, w.Advance(ms, []uint32{8})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if w.Len() != 0 {
		t.Errorf("Len: got %d, want 0", w.Len())
	}
}

func TestLastMomentOfAll(t *testing.T) {
	w := New(0)
	w.Set(1, math.MaxInt64)
	for range levels {
		next, ok := w.Next()
		if !ok || next < 0 {
			t.Fatalf("Next: got %d, %v", next, ok)
		}
		if got := w.Advance(next, nil); len(got) > 0 && next < math.MaxInt64 {
			t.Fatalf("expired at %d, early", next)
		}
	}
}

func TestPanics(t *testing.T) {
	tests := []struct {
		name string
		call func()
	}{
		{"id above MaxID", func() { New(0).Set(MaxID+1, 1) }},
		{"largest id", func() { New(0).Set(math.MaxUint32, 1) }},
		{"negative start", func() { New(-1) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("got no panic")
				}
			}()
			test.call()
		})
	}
}

// An idle loop that holds 18,000 connections with limits of about 60 s sleeps for seconds at a time.
func TestIdleLoopSleeps(t *testing.T) {
	const connections = 18_000
	random := rand.New(rand.NewPCG(1, 1))
	for _, start := range []int64{0, 1000 * ms, (1<<24 - 3) * ms} {
		w := New(start)
		first := start + 60_000*ms
		for id := range uint32(connections) {
			w.Set(id, first+random.Int64N(3000*ms)) // the dials took 3 s
		}
		wakeups, idle := 0, 0
		for w.Len() > 0 {
			next, _ := w.Next()
			w.Advance(next, nil)
			wakeups++
			if next < first {
				idle++
			}
		}
		if idle > 20 {
			t.Errorf("start %d: got %d wake-ups in the 60 s before the first deadline, want at most 20", start, idle)
		}
		if ticks := 3000; wakeups > ticks+ticks/slots+20 {
			t.Errorf("start %d: got %d wake-ups in all, want about one for each tick with a deadline, at most %d", start, wakeups, ticks)
		}
	}
}

// A big jump of the time costs by what is armed, not by how far it goes: this test would not end otherwise.
func TestJumpOfYears(t *testing.T) {
	const year = 365 * 86_400_000 * ms
	w := New(0)
	for id := range uint32(1000) {
		w.Set(id, int64(id)*year/1000+1)
	}
	w.Set(1000, 90*year)
	if got := len(w.Advance(80*year, nil)); got != 1000 {
		t.Errorf("got %d expired, want 1000", got)
	}
	w.Set(1, 80*year+ms)
	wantNext(t, w, 80*year+ms)
	if diff := cmp.Diff([]uint32{1, 1000}, advance(w, 90*year)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMemoryPerEntry(t *testing.T) {
	if got := unsafe.Sizeof(node{}); got != EntryBytes {
		t.Errorf("size of an entry: got %d B, want %d", got, EntryBytes)
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[node]()) {
		switch field.Type.Kind() {
		case reflect.Int64, reflect.Uint32:
		default:
			t.Errorf("node.%s is a %v: an entry must hold no pointer", field.Name, field.Type)
		}
	}
	const armed = 1_000_000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w := New(0)
	for id := range uint32(armed) {
		w.Set(id, int64(id)*ms)
	}
	runtime.ReadMemStats(&after)
	// Everything that was ever allocated counts, so growing must not copy either.
	if got := float64(after.TotalAlloc-before.TotalAlloc) / armed; got > EntryBytes+0.2 {
		t.Errorf("got %.2f B allocated an entry, want %d", got, EntryBytes)
	}
	runtime.KeepAlive(w)
}
