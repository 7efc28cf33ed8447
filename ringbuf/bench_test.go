package ringbuf

import "testing"

func TestNoAllocation(t *testing.T) {
	p := New(Options{})
	request := make([]byte, 700)
	rings := make([]Ring, 50)
	got := testing.AllocsPerRun(200, func() {
		for i := range rings {
			p.Borrow(&rings[i], MinSize)
		}
		for i := range rings {
			r := &rings[i]
			p.Write(r, request)
			p.Consume(r, 650)
			p.Write(r, request) // wraps
			p.Bytes(r)
			p.Grow(r)
			a, b := p.Free(r)
			p.Commit(r, (len(a)+len(b))/2)
			p.Segments(r)
		}
		for i := range rings {
			p.Return(&rings[i])
		}
	})
	if got != 0 {
		t.Errorf("got %v allocations a round, want 0", got)
	}
}

func BenchmarkBorrowReturn(b *testing.B) {
	for _, bench := range []struct {
		name string
		size int
	}{{"1KiB", 1 << 10}, {"4KiB", 4 << 10}, {"64KiB", 64 << 10}} {
		b.Run(bench.name, func(b *testing.B) {
			p := New(Options{})
			var r Ring
			b.ReportAllocs()
			for b.Loop() {
				p.Borrow(&r, bench.size)
				p.Return(&r)
			}
		})
	}
}

// 1,000 connections that hold a ring while others come and go.
func BenchmarkBorrowReturnOf1000(b *testing.B) {
	p := New(Options{})
	rings := make([]Ring, 1000)
	for i := range rings {
		p.Borrow(&rings[i], 4<<10)
	}
	for i := 0; b.Loop(); i++ {
		r := &rings[i*37%1000]
		p.Return(r)
		p.Borrow(r, 4<<10)
	}
}

// One answer read in one piece: the room, the read, the bytes, and their end.
func BenchmarkCommitConsume(b *testing.B) {
	p := New(Options{})
	var r Ring
	p.Borrow(&r, 4<<10)
	b.ReportAllocs()
	for b.Loop() {
		p.Free(&r)
		p.Commit(&r, 300)
		p.Consume(&r, len(p.Bytes(&r)))
	}
}

// Bytes of a ring that wraps: 3,000 bytes are moved each time.
func BenchmarkBytesWrapped(b *testing.B) {
	p := New(Options{})
	var r Ring
	p.Borrow(&r, 4<<10)
	b.SetBytes(3000)
	b.ReportAllocs()
	for b.Loop() {
		r.head, r.length = 2500, 3000
		p.Bytes(&r)
	}
}

func BenchmarkWrite(b *testing.B) {
	p := New(Options{})
	var r Ring
	p.Borrow(&r, 4<<10)
	request := make([]byte, 200)
	b.SetBytes(200)
	for b.Loop() {
		p.Write(&r, request)
		p.Consume(&r, 200)
	}
}
