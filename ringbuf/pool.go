// Package ringbuf lends ring buffers to connections while bytes of theirs are in flight, out of memory that the garbage
// collector does not scan.
//
// A [Pool] takes memory in blocks of 1 MiB and cuts a block into slabs of 64 KiB. A slab holds the rings of one size
// class (64 of 1 KiB, 16 of 4 KiB, 4 of 16 KiB or 1 of 64 KiB) for as long as one of them is lent; then it is free for
// any class again, so that many small rings of a minute ago don't stand in the way of large ones. Which rings of a slab
// are free is one machine word. A block that is wholly free is given up when more than half of all blocks are.
//
// # The cap
//
// A Pool never lends more than its cap. The memory that it holds is at most the cap plus one slab for each class (256
// KiB), since rings of two classes don't share a slab. At the cap Borrow and Grow answer false and count it; the
// connection waits and nothing fails. Small rings that are spread over many slabs can bring large ones to the cap
// earlier: they are refused until slabs come free. There is one exception to the cap, so that rings
// which are full of an unfinished frame can't all wait for each other: a single emergency ring of 64 KiB beyond the cap,
// which only Grow gives out, to one connection at a time. As long as its holder's exchange has a time limit, one of
// those that wait gets on, and then the next.
//
// # Ownership
//
// A Pool and all its Rings belong to one loop and have no lock. A [Ring] is a value without pointers that lives in the
// connection's row; all that can be done with it is a method of the Pool it was borrowed from. Misuse is a bug of ours
// and panics: a second return, a ring of another pool where that can be seen, more bytes committed than there was room
// for or consumed than there were.
package ringbuf

import "math/bits"

const (
	// MinSize is the smallest ring, in bytes.
	MinSize = 1 << 10
	// MaxSize is the largest ring, in bytes. It is the largest frame that a parser may ask for.
	MaxSize = 64 << 10
	// DefaultCap is the cap of the zero Options, in bytes: 4 KiB for each of 4,096 connections with bytes in flight, well
	// inside the 64 MiB that a scan may take.
	DefaultCap = 16 << 20
)

const (
	classes    = 4 // 1, 4, 16, 64 KiB
	slabSize   = MaxSize
	blockSlabs = 16 // blocks of 1 MiB: large enough that the allocator maps them on their own

	emergencySlab = 1<<32 - 1
)

// Options are a Pool's limits. The zero value works.
type Options struct {
	// CapBytes is the most that is lent at a time, in bytes; DefaultCap if 0. Less than MinSize lends nothing at all.
	CapBytes int
}

// Stats are a Pool's counters at one moment.
type Stats struct {
	InUseBytes     int    // size of all rings that are lent now, the emergency ring included
	InUseRings     int    // their number
	HighWaterBytes int    // the most that InUseBytes ever was
	Refused        uint64 // how often Borrow or Grow answered false at the cap
	Blocks         int    // blocks held now
	BlockBytes     int    // their size; the emergency ring, once it was needed, comes on top
	Emergency      bool   // the emergency ring is lent now
}

// Pool lends rings. Make it with New.
type Pool struct {
	capBytes int
	maxSlabs int // how many the blocks may have in all
	slabs    int // in the blocks that are held

	blocks     []*block        // an index stays what it is; a block that was given up keeps its place, without memory
	firstFree  int             // no block before this one has a free slab
	freeBlocks int             // wholly free
	partial    [classes]uint32 // list of the slabs with a ring to lend: index + 1, 0 for none

	emergency     []byte // made when it is first needed
	emergencyLoan uint8
	scratch       []byte // half of the largest ring, for Bytes; made when it is first needed
	stats         Stats
}

// block is memory and what it is cut into.
type block struct {
	mem   []byte // nil when given up
	free  uint16 // one bit for each slab that no class has
	slabs [blockSlabs]slab
}

// slab is 64 KiB of a block, cut into rings of one class.
type slab struct {
	free           uint64    // one bit for each ring that is not lent
	loans          [64]uint8 // of each ring, counted up with each return
	class          uint8
	previous, next uint32 // in the list of its class while some rings are free and some lent
}

// New returns a pool that holds no memory yet.
func New(o Options) *Pool {
	if o.CapBytes == 0 {
		o.CapBytes = DefaultCap
	}
	o.CapBytes = max(o.CapBytes, 0)
	return &Pool{capBytes: o.CapBytes, maxSlabs: o.CapBytes/slabSize + classes}
}

// Stats returns the counters.
func (p *Pool) Stats() Stats { return p.stats }

// Borrow makes r, which must be none, an empty ring of at least size bytes: the smallest of 1, 4, 16 and 64 KiB that
// will do. It returns false, and leaves r as it was, when the cap allows no such ring now. A size above MaxSize panics.
func (p *Pool) Borrow(r *Ring, size int) bool {
	if r.slab != 0 {
		panic("ringbuf: Borrow into a ring that is held")
	}
	if size > MaxSize {
		panic("ringbuf: Borrow of more than MaxSize")
	}
	if !p.lend(r, classFor(size), 0) {
		p.stats.Refused++
		return false
	}
	return true
}

// Grow exchanges r for a ring of the next class with the same bytes. It returns false, and leaves r as it was, when r is
// of the largest class or the cap allows no larger ring now. At the cap it may give out the emergency ring, which is of
// the largest class, if no other connection has it. Slices of r's memory are invalid after a true.
func (p *Pool) Grow(r *Ring) bool {
	p.verify(r)
	if r.class == classes-1 {
		return false
	}
	var larger Ring
	if !p.lend(&larger, r.class+1, sizeOf(r.class)) && !p.lendEmergency(&larger) {
		p.stats.Refused++
		return false
	}
	a, b := p.Segments(r)
	memory := p.memory(&larger)
	copy(memory[copy(memory, a):], b)
	larger.length = r.length
	p.release(r)
	*r = larger
	p.stats.HighWaterBytes = max(p.stats.HighWaterBytes, p.stats.InUseBytes)
	return true
}

// Return gives r's memory back and makes r none. What it held is lost.
func (p *Pool) Return(r *Ring) {
	p.verify(r)
	p.release(r)
	*r = Ring{}
}

// lend finds a ring of a class. leaving is what the caller is about to give back, in bytes.
func (p *Pool) lend(r *Ring, class uint8, leaving int) bool {
	size := sizeOf(class)
	lent := p.stats.InUseBytes - leaving
	if p.stats.Emergency {
		lent -= MaxSize
	}
	if lent+size > p.capBytes {
		return false
	}
	if p.partial[class] == 0 && !p.carve(class) {
		return false
	}
	link := p.partial[class]
	s := p.slab(link)
	unit := bits.TrailingZeros64(s.free)
	s.free &^= 1 << unit
	if s.free == 0 {
		p.unlink(s)
	}
	*r = Ring{slab: link, unit: uint8(unit), class: class, loan: s.loans[unit]}
	p.count(size)
	if leaving == 0 {
		p.stats.HighWaterBytes = max(p.stats.HighWaterBytes, p.stats.InUseBytes)
	}
	return true
}

// lendEmergency lends the one ring beyond the cap.
func (p *Pool) lendEmergency(r *Ring) bool {
	if p.stats.Emergency {
		return false
	}
	if p.emergency == nil {
		p.emergency = make([]byte, MaxSize)
	}
	p.stats.Emergency = true
	*r = Ring{slab: emergencySlab, class: classes - 1, loan: p.emergencyLoan}
	p.count(MaxSize)
	return true
}

func (p *Pool) count(size int) {
	p.stats.InUseBytes += size
	p.stats.InUseRings++
}

// verify panics if r is not on loan from p.
func (p *Pool) verify(r *Ring) {
	if r.slab == 0 {
		panic("ringbuf: no ring, or returned twice")
	}
	if r.slab == emergencySlab {
		if !p.stats.Emergency || r.loan != p.emergencyLoan {
			panic("ringbuf: returned twice, or a ring of another pool")
		}
		return
	}
	if int(r.slab-1)/blockSlabs >= len(p.blocks) {
		panic("ringbuf: a ring of another pool")
	}
	s := p.slab(r.slab)
	if s.free>>r.unit&1 != 0 || s.class != r.class || s.loans[r.unit] != r.loan {
		panic("ringbuf: returned twice, or a ring of another pool")
	}
}

// release takes back a ring that was verified; the caller overwrites r.
func (p *Pool) release(r *Ring) {
	p.stats.InUseBytes -= sizeOf(r.class)
	p.stats.InUseRings--
	if r.slab == emergencySlab {
		p.stats.Emergency = false
		p.emergencyLoan++
		return
	}
	s := p.slab(r.slab)
	if s.free == 0 {
		p.link(r.slab, s)
	}
	s.free |= 1 << r.unit
	s.loans[r.unit]++
	if s.free == allFree(r.class) {
		p.unlink(s)
		p.giveUp(r.slab)
	}
}

// carve takes a free slab for a class and puts it at the head of the class's list. It fails at the cap.
func (p *Pool) carve(class uint8) bool {
	for p.firstFree < len(p.blocks) && p.blocks[p.firstFree].free == 0 {
		p.firstFree++
	}
	if p.firstFree == len(p.blocks) && !p.addBlock() {
		return false
	}
	b := p.blocks[p.firstFree]
	if b.wholeFree() {
		p.freeBlocks--
	}
	i := bits.TrailingZeros16(b.free)
	b.free &^= 1 << i
	s := &b.slabs[i]
	s.free, s.class = allFree(class), class
	p.link(uint32(p.firstFree*blockSlabs+i)+1, s)
	return true
}

// addBlock makes a block, with fewer slabs if the cap is near, and points firstFree at it. No other has a free slab.
func (p *Pool) addBlock() bool {
	n := min(blockSlabs, p.maxSlabs-p.slabs)
	if n <= 0 {
		return false
	}
	i := 0
	for i < len(p.blocks) && p.blocks[i].mem != nil {
		i++
	}
	if i == len(p.blocks) {
		p.blocks = append(p.blocks, new(block))
	}
	p.firstFree = i
	p.blocks[i].mem = make([]byte, n*slabSize)
	p.blocks[i].free = 1<<n - 1
	p.slabs += n
	p.freeBlocks++
	p.stats.Blocks++
	p.stats.BlockBytes += n * slabSize
	return true
}

// giveUp makes a slab free for any class.
func (p *Pool) giveUp(link uint32) {
	i := int(link-1) / blockSlabs
	b := p.blocks[i]
	b.free |= 1 << ((link - 1) % blockSlabs)
	p.firstFree = min(p.firstFree, i)
	if b.wholeFree() {
		p.freeBlocks++
		p.trim()
	}
}

// trim drops blocks until no more than half are idle, the last ones first, because rings are lent from the first. One
// block always stays, so that a loop with a single connection does not make and drop one for each answer.
func (p *Pool) trim() {
	for i := len(p.blocks) - 1; p.stats.Blocks > 1 && 2*p.freeBlocks > p.stats.Blocks; i-- {
		b := p.blocks[i]
		if b.mem == nil || !b.wholeFree() {
			continue
		}
		p.freeBlocks--
		p.slabs -= len(b.mem) / slabSize
		p.stats.Blocks--
		p.stats.BlockBytes -= len(b.mem)
		b.mem, b.free = nil, 0
	}
}

func (b *block) wholeFree() bool { return int(b.free) == 1<<(len(b.mem)/slabSize)-1 }

// link puts a slab at the head of its class's list.
func (p *Pool) link(link uint32, s *slab) {
	s.previous, s.next = 0, p.partial[s.class]
	if s.next != 0 {
		p.slab(s.next).previous = link
	}
	p.partial[s.class] = link
}

// unlink takes a slab out of its class's list.
func (p *Pool) unlink(s *slab) {
	if s.next != 0 {
		p.slab(s.next).previous = s.previous
	}
	if s.previous != 0 {
		p.slab(s.previous).next = s.next
	} else {
		p.partial[s.class] = s.next
	}
}

func (p *Pool) slab(link uint32) *slab {
	return &p.blocks[(link-1)/blockSlabs].slabs[(link-1)%blockSlabs]
}

// classFor is the smallest class whose rings have at least size bytes.
func classFor(size int) uint8 {
	class := uint8(0)
	for sizeOf(class) < size {
		class++
	}
	return class
}

func sizeOf(class uint8) int { return MinSize << (2 * class) }

// allFree is the bitmap of a slab of which nothing is lent.
func allFree(class uint8) uint64 { return 1<<(slabSize/MinSize>>(2*class)) - 1 }
