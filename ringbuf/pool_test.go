package ringbuf

import (
	"bytes"
	"math/bits"
	"math/rand/v2"
	"reflect"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// borrow gets n rings of a size, all of which must be lent.
func borrow(t *testing.T, p *Pool, n, size int) []Ring {
	t.Helper()
	rings := make([]Ring, n)
	for i := range rings {
		if !p.Borrow(&rings[i], size) {
			t.Fatalf("Borrow %d of %d B: refused with %+v", i, size, p.Stats())
		}
	}
	return rings
}

func giveBack(p *Pool, rings []Ring) {
	for i := range rings {
		p.Return(&rings[i])
	}
}

func TestRingHoldsNoPointer(t *testing.T) {
	if got := unsafe.Sizeof(Ring{}); got > 16 {
		t.Errorf("size: got %d B, want at most 16", got)
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Ring]()) {
		switch field.Type.Kind() {
		case reflect.Uint8, reflect.Uint32:
		default:
			t.Errorf("Ring.%s is a %v: a ring must hold no pointer", field.Name, field.Type)
		}
	}
}

func TestZeroRing(t *testing.T) {
	p := New(Options{})
	var r Ring
	a, b := p.Free(&r)
	c, d := p.Segments(&r)
	if a != nil || b != nil || c != nil || d != nil || p.Bytes(&r) != nil {
		t.Error("got memory from no ring")
	}
	if r.Held() || p.Cap(&r) != 0 || p.Len(&r) != 0 || p.Write(&r, []byte("x")) != 0 {
		t.Error("no ring holds something or has room")
	}
	p.Commit(&r, 0)
	p.Consume(&r, 0)
}

func TestClasses(t *testing.T) {
	tests := []struct {
		name       string
		size, want int
	}{
		{"nothing asked", 0, 1 << 10},
		{"one byte", 1, 1 << 10},
		{"all of the smallest", 1 << 10, 1 << 10},
		{"one more", 1<<10 + 1, 4 << 10},
		{"all of the second", 4 << 10, 4 << 10},
		{"third", 4<<10 + 1, 16 << 10},
		{"largest", 16<<10 + 1, 64 << 10},
		{"all of the largest", MaxSize, MaxSize},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := New(Options{})
			r := borrow(t, p, 1, test.size)[0]
			if got := p.Cap(&r); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

// Rings that are lent at one time share no byte.
func TestRingsAreApart(t *testing.T) {
	p := New(Options{CapBytes: 2 << 20})
	var rings []Ring
	for _, size := range []int{1 << 10, 64 << 10, 4 << 10, 16 << 10} {
		rings = append(rings, borrow(t, p, 24, size)...)
	}
	for i := range rings {
		p.Write(&rings[i], bytes.Repeat([]byte{byte(i)}, MaxSize))
	}
	for i := range rings {
		if got, want := p.Bytes(&rings[i]), bytes.Repeat([]byte{byte(i)}, p.Cap(&rings[i])); !bytes.Equal(got, want) {
			t.Errorf("ring %d was written over", i)
		}
	}
}

func TestCap(t *testing.T) {
	p := New(Options{CapBytes: 10 << 10})
	rings := borrow(t, p, 2, 4<<10)
	rings = append(rings, borrow(t, p, 2, 1<<10)...)
	var r Ring
	if p.Borrow(&r, 1) || r.Held() {
		t.Error("Borrow at the cap: got a ring")
	}
	want := Stats{InUseBytes: 10 << 10, InUseRings: 4, HighWaterBytes: 10 << 10, Refused: 1, Blocks: 1, BlockBytes: 256 << 10}
	if diff := cmp.Diff(want, p.Stats()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	giveBack(p, rings)
	borrow(t, p, 10, 1<<10)
}

func TestOptions(t *testing.T) {
	tests := []struct {
		name     string
		capBytes int
		lends    int // rings of MaxSize
		smallest int // then rings of MinSize
	}{
		{"zero is the default", 0, DefaultCap / MaxSize, 0},
		{"negative lends nothing", -1, 0, 0},
		{"below a ring", MinSize - 1, 0, 0},
		{"one ring", MinSize, 0, 1},
		{"no whole slab", MaxSize + MinSize, 1, 1},
		{"more than a block", 20 * MaxSize, 20, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := New(Options{CapBytes: test.capBytes})
			borrow(t, p, test.lends, MaxSize)
			borrow(t, p, test.smallest, MinSize)
			var r Ring
			if p.Borrow(&r, MinSize) {
				t.Errorf("got a ring above the cap: %+v", p.Stats())
			}
		})
	}
}

func TestHighWater(t *testing.T) {
	p := New(Options{})
	giveBack(p, borrow(t, p, 3, 16<<10))
	r := borrow(t, p, 1, 16<<10)
	p.Grow(&r[0])
	if got, want := p.Stats().HighWaterBytes, MaxSize; got != want {
		t.Errorf("got %d, want %d: a ring that grows counts once", got, want)
	}
}

func TestGrow(t *testing.T) {
	p := New(Options{})
	r := borrow(t, p, 1, 1<<10)[0]
	p.Write(&r, bytes.Repeat([]byte("a"), 1000))
	p.Consume(&r, 1000-1)
	p.Write(&r, bytes.Repeat([]byte("b"), 1023)) // wraps, and is full
	for _, size := range []int{4 << 10, 16 << 10, 64 << 10} {
		if !p.Grow(&r) || p.Cap(&r) != size {
			t.Fatalf("got %d, want %d", p.Cap(&r), size)
		}
		if got, want := p.Bytes(&r), append([]byte("a"), bytes.Repeat([]byte("b"), 1023)...); !bytes.Equal(got, want) {
			t.Fatalf("at %d: the bytes changed", size)
		}
	}
	if p.Grow(&r) {
		t.Error("the largest ring grew")
	}
	if s := p.Stats(); s.Refused != 0 || s.InUseBytes != MaxSize || s.InUseRings != 1 {
		t.Errorf("got %+v, want one ring and none refused", s)
	}
}

// Everyone at the cap needs a larger ring. One at a time gets the emergency ring, so all get on.
func TestEmergencyRing(t *testing.T) {
	p := New(Options{CapBytes: 4 << 10})
	rings := borrow(t, p, 4, 1<<10)
	for i := range rings {
		p.Write(&rings[i], []byte{byte(i)})
		p.Commit(&rings[i], 1023)
	}
	if !p.Grow(&rings[0]) || p.Cap(&rings[0]) != MaxSize || !p.Stats().Emergency {
		t.Fatalf("got %d B, %+v, want the emergency ring", p.Cap(&rings[0]), p.Stats())
	}
	if p.Bytes(&rings[0])[0] != 0 || p.Len(&rings[0]) != 1024 {
		t.Error("the bytes did not move along")
	}
	fifth := borrow(t, p, 1, 1<<10) // takes what rings[0] left
	if p.Grow(&rings[1]) || p.Stats().Refused != 1 {
		t.Errorf("a second emergency ring: %+v", p.Stats())
	}
	stale := rings[0]
	p.Return(&rings[0])
	if !p.Grow(&rings[1]) || p.Bytes(&rings[1])[0] != 1 {
		t.Error("the emergency ring is not lent again after its return")
	}
	mustPanic(t, "a stale emergency ring", func() { p.Return(&stale) })
	giveBack(p, append(rings[1:], fifth...))
	if s := p.Stats(); s.InUseBytes != 0 || s.Emergency {
		t.Errorf("all returned: got %+v", s)
	}
}

// Small rings that went back make room for large ones, and the reverse.
func TestMemoryChangesClass(t *testing.T) {
	p := New(Options{CapBytes: 4 << 20})
	for range 3 {
		for size := MinSize; size <= MaxSize; size *= 4 {
			giveBack(p, borrow(t, p, 4<<20/size, size))
		}
	}
}

// With rings of one class the pool lends up to its cap, whatever was borrowed and returned before, and in whatever order:
// no ring and no slab is lost.
func TestChurnOfOneClass(t *testing.T) {
	const rings = 256
	for seed := range uint64(20) {
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		p := New(Options{CapBytes: rings * MinSize})
		lent := borrow(t, p, rings, MinSize)
		for range 50 {
			random.Shuffle(rings, func(i, j int) { lent[i], lent[j] = lent[j], lent[i] })
			n := 1 + random.IntN(rings)
			giveBack(p, lent[:n])
			copy(lent, borrow(t, p, n, MinSize))
			if got, want := p.slabs-free(p), rings*MinSize/slabSize; got > want {
				t.Fatalf("got %d slabs in use, want at most %d", got, want)
			}
		}
	}
}

// free is the number of slabs that no class has.
func free(p *Pool) int {
	n := 0
	for _, b := range p.blocks {
		n += bits.OnesCount16(b.free)
	}
	return n
}

// A ring that was emptied starts over, so that what comes next is in one piece.
func TestEmptyRingStartsOver(t *testing.T) {
	p := New(Options{})
	r := borrow(t, p, 1, MinSize)[0]
	p.Commit(&r, 700)
	p.Consume(&r, 300)
	p.Consume(&r, 400)
	if a, b := p.Free(&r); len(a) != MinSize || b != nil {
		t.Errorf("got %d and %d, want all in one piece", len(a), len(b))
	}
}

func TestTrim(t *testing.T) {
	p := New(Options{CapBytes: 8 << 20})
	rings := borrow(t, p, 8*blockSlabs, MaxSize)
	for i, want := range []int{8, 8, 8, 8, 6, 4, 2, 1} { // at most half of them idle, but one stays
		busy := 7 - i
		giveBack(p, rings[busy*blockSlabs:(busy+1)*blockSlabs])
		if s := p.Stats(); s.Blocks != want || s.BlockBytes != want<<20 {
			t.Errorf("%d blocks busy: got %d blocks, %d B, want %d", busy, s.Blocks, s.BlockBytes, want)
		}
	}
	for i, r := range borrow(t, p, 8*blockSlabs, MaxSize) { // dropped blocks come back
		p.Write(&r, []byte{byte(i)})
	}
	if s := p.Stats(); s.Blocks != 8 {
		t.Errorf("all lent again: got %d blocks, want 8", s.Blocks)
	}
}

// A loop with one connection must not make and drop a block for each answer.
func TestOneBlockStays(t *testing.T) {
	p := New(Options{})
	giveBack(p, borrow(t, p, 1, 1))
	var r Ring
	if got := testing.AllocsPerRun(100, func() { p.Borrow(&r, 1); p.Return(&r) }); got != 0 {
		t.Errorf("got %v allocations, want no new block", got)
	}
}

func mustPanic(t *testing.T, what string, call func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: got no panic", what)
		}
	}()
	call()
}

func TestMisuse(t *testing.T) {
	tests := []struct {
		name string
		call func(p *Pool, r Ring)
	}{
		{"returned twice", func(p *Pool, r Ring) { p.Return(&r); p.Return(&r) }},
		{"a copy returned twice", func(p *Pool, r Ring) { c := r; p.Return(&r); p.Return(&c) }},
		{"a copy returned after the memory was lent again", func(p *Pool, r Ring) {
			c := r
			p.Return(&r)
			p.Borrow(&r, 1)
			p.Return(&c)
		}},
		{"a copy grown after the return", func(p *Pool, r Ring) { c := r; p.Return(&r); p.Grow(&c) }},
		{"no ring returned", func(p *Pool, _ Ring) { p.Return(new(Ring)) }},
		{"no ring grown", func(p *Pool, _ Ring) { p.Grow(new(Ring)) }},
		{"borrowed over a ring", func(p *Pool, r Ring) { p.Borrow(&r, 1) }},
		{"larger than the largest", func(p *Pool, _ Ring) { p.Borrow(new(Ring), MaxSize+1) }},
		{"a ring of another pool", func(_ *Pool, r Ring) { New(Options{}).Return(&r) }},
		{"a ring of another pool that lends the same memory in another class", func(_ *Pool, r Ring) {
			other := New(Options{})
			other.Borrow(new(Ring), 4<<10)
			other.Return(&r)
		}},
		{"an emergency ring of another pool", func(p *Pool, _ Ring) {
			p.Return(&Ring{slab: emergencySlab, class: classes - 1})
		}},
		{"committed more than was free", func(p *Pool, r Ring) { p.Commit(&r, 1025) }},
		{"committed less than nothing", func(p *Pool, r Ring) { p.Commit(&r, -1) }},
		{"consumed more than was held", func(p *Pool, r Ring) { p.Commit(&r, 5); p.Consume(&r, 6) }},
		{"consumed less than nothing", func(p *Pool, r Ring) { p.Commit(&r, 5); p.Consume(&r, -1) }},
		{"committed to no ring", func(p *Pool, _ Ring) { p.Commit(new(Ring), 1) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := New(Options{})
			r := borrow(t, p, 1, 1)[0]
			mustPanic(t, test.name, func() { test.call(p, r) })
		})
	}
}
