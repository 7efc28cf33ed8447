package ringbuf

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// model is one connection: a ring, and what it ought to hold.
type model struct {
	ring    Ring
	want    bytes.Buffer
	size    int
	written byte // counts up, so that each byte tells where it belongs
}

// fleet is several connections that share one pool.
type fleet struct {
	t     *testing.T
	pool  *Pool
	conns []*model
}

func newFleet(t *testing.T, connections, capBytes int) *fleet {
	f := &fleet{t: t, pool: New(Options{CapBytes: capBytes})}
	for range connections {
		f.conns = append(f.conns, new(model))
	}
	return f
}

// step does operation op with connection c; n is how much.
func (f *fleet) step(c, op, n int) {
	m := f.conns[c%len(f.conns)]
	if !m.ring.Held() {
		if f.pool.Borrow(&m.ring, n%(MaxSize+1)) {
			m.size = f.pool.Cap(&m.ring)
			if want := n % (MaxSize + 1); m.size < want || m.size > 4*max(want, MinSize) {
				f.t.Fatalf("Borrow of %d: got a ring of %d", want, m.size)
			}
		}
		return
	}
	switch op % 7 {
	case 0:
		f.read(m, n)
	case 1:
		f.write(m, n)
	case 2, 3:
		n %= m.want.Len() + 1
		f.pool.Consume(&m.ring, n)
		m.want.Next(n)
	case 4:
		if got := f.pool.Bytes(&m.ring); !bytes.Equal(got, m.want.Bytes()) {
			f.t.Fatalf("Bytes: got %d bytes that differ from the %d written", len(got), m.want.Len())
		}
	case 5:
		if f.pool.Grow(&m.ring) {
			if got := f.pool.Cap(&m.ring); got != 4*m.size && got != MaxSize {
				f.t.Fatalf("Grow: got %d from %d", got, m.size)
			}
			m.size = f.pool.Cap(&m.ring)
		}
	case 6:
		if n%4 == 0 {
			f.pool.Return(&m.ring)
			m.want.Reset()
		}
	}
	f.check(m)
}

// read does as readv would: it fills both pieces, up to n bytes.
func (f *fleet) read(m *model, n int) {
	a, b := f.pool.Free(&m.ring)
	if len(a)+len(b) != m.size-m.want.Len() {
		f.t.Fatalf("Free: got %d and %d, want %d in all", len(a), len(b), m.size-m.want.Len())
	}
	if a == nil && b != nil || a != nil && len(a) == 0 || b != nil && len(b) == 0 {
		f.t.Fatalf("Free: got %d and %d: an empty piece is not nil, or comes first", len(a), len(b))
	}
	n %= len(a) + len(b) + 1
	for i := range n {
		m.written++
		m.want.WriteByte(m.written)
		if i < len(a) {
			a[i] = m.written
		} else {
			b[i-len(a)] = m.written
		}
	}
	f.pool.Commit(&m.ring, n)
}

func (f *fleet) write(m *model, n int) {
	p := make([]byte, n%(m.size+100))
	for i := range p {
		m.written++
		p[i] = m.written
	}
	got := f.pool.Write(&m.ring, p)
	if want := min(len(p), m.size-m.want.Len()); got != want {
		f.t.Fatalf("Write of %d: got %d, want %d", len(p), got, want)
	}
	m.want.Write(p[:got])
	m.written -= byte(len(p) - got)
}

func (f *fleet) check(m *model) {
	a, b := f.pool.Segments(&m.ring)
	if f.pool.Len(&m.ring) != m.want.Len() || !bytes.Equal(slices.Concat(a, b), m.want.Bytes()) {
		f.t.Fatalf("Segments: got %d and %d bytes, Len %d; they differ from the %d written",
			len(a), len(b), f.pool.Len(&m.ring), m.want.Len())
	}
	bytesLent, rings, emergency := 0, 0, 0
	for _, m := range f.conns {
		if m.ring.Held() {
			rings++
			bytesLent += f.pool.Cap(&m.ring)
		}
		if m.ring.slab == emergencySlab {
			emergency++
		}
	}
	s := f.pool.Stats()
	if s.InUseBytes != bytesLent || s.InUseRings != rings || s.Emergency != (emergency == 1) || emergency > 1 {
		f.t.Fatalf("got %+v, want %d B in %d rings, %d of them the emergency ring", s, bytesLent, rings, emergency)
	}
	if s.InUseBytes-emergency*MaxSize > f.pool.capBytes || s.BlockBytes > f.pool.maxSlabs*slabSize || s.HighWaterBytes < s.InUseBytes {
		f.t.Fatalf("got %+v with a cap of %d", s, f.pool.capBytes)
	}
}

// finish looks at every connection once more, returns all, and finds the pool idle.
func (f *fleet) finish() {
	for _, m := range f.conns {
		f.check(m)
		if m.ring.Held() {
			if got := f.pool.Bytes(&m.ring); !bytes.Equal(got, m.want.Bytes()) {
				f.t.Fatalf("Bytes: got %d bytes that differ from the %d written", len(got), m.want.Len())
			}
		}
	}
	for _, m := range f.conns {
		if m.ring.Held() {
			f.pool.Return(&m.ring)
		}
	}
	if s := f.pool.Stats(); s.InUseBytes != 0 || s.InUseRings != 0 || s.Emergency || s.Blocks > 1 {
		f.t.Fatalf("all returned: got %+v", s)
	}
}

func TestAgainstBuffers(t *testing.T) {
	seeds := uint64(100)
	if testing.Short() {
		seeds = 20
	}
	for seed := range seeds {
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		capBytes := MinSize << random.IntN(13)
		f := newFleet(t, 1+random.IntN(60), capBytes+random.IntN(5000))
		for range 1500 {
			n := random.IntN(1 << (1 + random.IntN(17)))
			f.step(random.IntN(1000), random.IntN(1000), n)
		}
		f.finish()
	}
}

// Each three bytes of the input are one operation: which connection, which operation, how much.
func FuzzPool(f *testing.F) {
	f.Add(byte(3), []byte{0, 0, 9, 0, 0, 255, 0, 2, 100, 0, 0, 255, 0, 4, 0, 1, 0, 255, 1, 5, 0, 0, 6, 4})
	f.Fuzz(func(t *testing.T, capKiB byte, ops []byte) {
		fleet := newFleet(t, 8, int(capKiB)*MinSize)
		for ; len(ops) >= 3; ops = ops[3:] {
			n := int(ops[2]) << (ops[1] >> 4) // the operation is in the low bits, the size's order in the high ones
			fleet.step(int(ops[0]), int(ops[1]&15), n)
		}
		fleet.finish()
	})
}
