package ringbuf

// Ring is a ring buffer on loan from a Pool. The zero Ring is none: it has no room and no bytes. Copying a Ring does not
// copy its bytes; only one of the copies may be used from then on.
type Ring struct {
	slab   uint32 // index + 1; 0 for none
	head   uint32 // where the first byte is
	length uint32 // bytes held
	unit   uint8  // which ring of the slab
	class  uint8
	loan   uint8 // tells this loan from the one before of the same memory
}

// Held says whether r is a ring at all: borrowed and not returned.
func (r *Ring) Held() bool { return r.slab != 0 }

// Cap is the size of r in bytes; 0 for none.
func (p *Pool) Cap(r *Ring) int {
	if r.slab == 0 {
		return 0
	}
	return sizeOf(r.class)
}

// Len is the number of bytes that r holds.
func (p *Pool) Len(r *Ring) int { return int(r.length) }

// Free returns the room in r as up to two pieces for readv(2), in the order in which they fill. A piece without room is
// nil. They are valid until the next call that changes r or until Bytes moves it.
func (p *Pool) Free(r *Ring) (a, b []byte) {
	if r.slab == 0 {
		return nil, nil
	}
	memory := p.memory(r)
	size := uint32(len(memory))
	if r.length == size {
		return nil, nil
	}
	tail := r.head + r.length
	if tail >= size {
		return memory[tail-size : r.head : r.head], nil
	}
	if r.head == 0 {
		return memory[tail:], nil
	}
	return memory[tail:], memory[:r.head:r.head]
}

// Commit says that n bytes were put into the room that Free returned. More than there was room for panics.
func (p *Pool) Commit(r *Ring, n int) {
	if uint(n) > uint(p.Cap(r)-int(r.length)) {
		panic("ringbuf: Commit of more than was free")
	}
	r.length += uint32(n)
}

// Segments returns what r holds as up to two pieces for writev(2), in order. An empty piece is nil. They are valid until
// Consume, Grow or Return of r, or until Bytes moves it.
func (p *Pool) Segments(r *Ring) (a, b []byte) {
	if r.length == 0 {
		return nil, nil
	}
	memory := p.memory(r)
	tail := r.head + r.length
	size := uint32(len(memory))
	if tail <= size {
		return memory[r.head:tail:tail], nil
	}
	return memory[r.head:], memory[: tail-size : tail-size]
}

// Bytes returns what r holds as one piece, nil if that is nothing. If it wraps around the end of the ring it is first
// moved, in place, to the ring's start, so that later calls don't move it again; each byte then costs one copy or two.
// The slice is valid until the next Bytes, Consume, Grow or Return of the same r; Commit and Write put more behind
// it, and calls for other rings leave it alone.
func (p *Pool) Bytes(r *Ring) []byte {
	a, b := p.Segments(r)
	if b == nil {
		return a
	}
	memory := p.memory(r)
	if p.scratch == nil {
		p.scratch = make([]byte, MaxSize/2)
	}
	// The smaller piece steps aside: it is never more than half of a ring.
	if len(b) <= len(a) {
		n := copy(p.scratch, b)
		n2 := copy(memory, a)
		copy(memory[n2:], p.scratch[:n])
	} else {
		n := copy(p.scratch, a)
		copy(memory[n:], b)
		copy(memory, p.scratch[:n])
	}
	r.head = 0
	return memory[:r.length:r.length]
}

// Consume drops the first n bytes. More than r holds panics. An empty ring starts over at its beginning, which keeps
// what comes next in one piece.
func (p *Pool) Consume(r *Ring, n int) {
	if uint(n) > uint(r.length) {
		panic("ringbuf: Consume of more than is held")
	}
	r.length -= uint32(n)
	if r.length == 0 {
		r.head = 0
		return
	}
	r.head = (r.head + uint32(n)) & uint32(sizeOf(r.class)-1)
}

// Write appends a copy of as much of b as there is room for and returns how much that was.
func (p *Pool) Write(r *Ring, b []byte) int {
	x, y := p.Free(r)
	n := copy(x, b)
	n += copy(y, b[n:])
	r.length += uint32(n)
	return n
}

// memory is the whole of r's memory, in the ring's own order of offsets.
func (p *Pool) memory(r *Ring) []byte {
	if r.slab == emergencySlab {
		return p.emergency
	}
	slab := int(r.slab - 1)
	size := sizeOf(r.class)
	offset := slab%blockSlabs*slabSize + int(r.unit)*size
	return p.blocks[slab/blockSlabs].mem[offset : offset+size : offset+size]
}
