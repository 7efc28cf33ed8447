package timewheel

import (
	"math/rand/v2"
	"testing"
)

const million = 1_000_000

// armed is a wheel with a million deadlines that come within a minute, and the ids in random order.
func armed() (*Wheel, []uint32) {
	random := rand.New(rand.NewPCG(1, 2))
	w := New(0)
	ids := make([]uint32, million)
	for i, id := range random.Perm(million) {
		ids[i] = uint32(id)
	}
	for _, id := range ids {
		w.Set(id, random.Int64N(60_000*Tick))
	}
	return w, ids
}

func TestNoAllocation(t *testing.T) {
	w := New(0)
	expired := make([]uint32, 0, 100)
	for id := range uint32(100) {
		w.Set(id, int64(id)*Tick)
	}
	now := int64(0)
	got := testing.AllocsPerRun(1000, func() {
		now += 37 * Tick
		for id := range uint32(100) {
			w.Set(id, now+int64(id)*int64(id)*Tick)
		}
		w.Cancel(50)
		w.At(51)
		w.Next()
		expired = w.Advance(now, expired[:0])
	})
	if got != 0 {
		t.Errorf("got %v allocations a round, want 0", got)
	}
}

// A deadline moves while a million are armed: the hot path of a read limit. Ids in random order, so each step misses
// the caches; in table order it costs a fraction.
func BenchmarkMove(b *testing.B) {
	w, ids := armed()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w.Set(ids[i%million], int64(i%60_000)*Tick)
	}
}

func BenchmarkMoveInOrder(b *testing.B) {
	w := New(0)
	for id := range uint32(million) {
		w.Set(id, 60_000*Tick)
	}
	for i := 0; b.Loop(); i++ {
		w.Set(uint32(i%million), 60_000*Tick+int64(i/1000)*Tick)
	}
}

func BenchmarkCancelAndSet(b *testing.B) {
	w, ids := armed()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		id := ids[i%million]
		w.Cancel(id)
		w.Set(id, int64(i%60_000)*Tick)
	}
}

// The size of an ordinary scan: 2,000 in flight, all in cache.
func BenchmarkMoveOf2000(b *testing.B) {
	w := New(0)
	for i := 0; b.Loop(); i++ {
		w.Set(uint32(i%2000), 5000*Tick+int64(i/2000))
	}
}

// A million deadlines within a minute, all of them run through, tick by tick: the whole cost of a deadline's expiry,
// its cascades included.
func BenchmarkExpireMillion(b *testing.B) {
	var expired []uint32
	for b.Loop() {
		b.StopTimer()
		w, _ := armed()
		b.StartTimer()
		for now := int64(0); w.Len() > 0; now += Tick {
			expired = w.Advance(now, expired[:0])
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/million, "ns/deadline")
}

// The worst single call: a million deadlines in one coarse slot, which is cascaded in one go.
func BenchmarkCascadeMillion(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		w := New(0)
		for id := range uint32(million) {
			w.Set(id, 8200*Tick+int64(id%3800)*Tick)
		}
		b.StartTimer()
		w.Advance(8192*Tick, nil)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/million, "ns/deadline")
}

func BenchmarkNext(b *testing.B) {
	w, _ := armed()
	for b.Loop() {
		w.Next()
	}
}
