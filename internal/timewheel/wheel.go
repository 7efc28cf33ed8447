// Package timewheel keeps the deadlines of a loop's connections: a hierarchical timing wheel with ticks of one
// millisecond, in which arming, moving and cancelling cost the same however many are armed (G. Varghese and A. Lauck,
// "Hashed and Hierarchical Timing Wheels", SOSP 1987, scheme 7).
//
// # How it works
//
// The wheel has eight levels of 64 slots. A slot of level k spans 64^k ticks: 1 ms, 64 ms, 4.1 s, 4.4 min, 4.7 h, 12
// days, 2.2 years, 139 years; together they reach past the end of an int64 of nanoseconds. Write the wheel's tick and
// the deadline's tick in base 64: the deadline belongs to the level of the highest digit in which the two differ, in the
// slot which that digit names. Two things follow, and the code rests on them:
//
//   - An occupied slot lies ahead of the wheel's own digit on its level. Nothing wraps around.
//   - All that a level holds comes before all that the next level holds. So the next slot is the lowest bit that is set
//     in the bitmap of the lowest level that is not empty.
//
// When time reaches a slot of level 0, what it holds has expired. When it reaches a coarser slot, what that holds moves
// to lower levels (a cascade), at most seven times in the life of a deadline.
//
// # Promises
//
// A deadline never expires early. It is rounded up to a whole tick, so it expires less than a tick late, plus however
// late Advance is called. A deadline that has passed already when it is set expires with the next Advance.
//
// # Ownership
//
// A Wheel belongs to one loop and has no lock. It reads no clock: moments are those of package clock, in nanoseconds.
package timewheel

import (
	"fmt"
	"math"
	"math/bits"
	"time"
)

// Tick is the resolution of a wheel that is not told another, in nanoseconds. FinestTick is the finest: with it the
// wheel's levels still reach past the end of an int64 of nanoseconds.
const (
	Tick       = int64(time.Millisecond)
	FinestTick = 50 * int64(time.Microsecond)
)

// MaxID is the largest id that can be set: links keep one bit to tell a slot from an entry, and the last page is left
// out so that the limit needs checking only when a page is made.
const MaxID = 1<<31 - 1 - pageSize

// EntryBytes is what one entry costs, armed or not, in bytes. Entries are made in pages of 4,096 (64 KiB), so a wheel
// whose ids go up to n takes n x 16 B rounded up to a page, 2 KiB for the slots, and 8 B a page. A million connections
// take 16 MB. There are no pointers in a page: the garbage collector does not scan it.
const EntryBytes = 16

const (
	digitBits = 6
	slots     = 1 << digitBits // in a level: one machine word of bitmap
	levels    = 8              // 48 bits of ticks; an int64 of nanoseconds has 44, and 48 of FinestTick

	pageBits = 12
	pageSize = 1 << pageBits

	dueList = levels * slots // the list of the deadlines that had passed when they were set
)

// A link is 0 for none, an entry's id + 1, or, only as the link to what comes before, headBit | the list that the entry
// is the first of.
const headBit = 1 << 31

// node is the entry of one id. A node is armed when before is not 0.
type node struct {
	at            int64 // the deadline as it was set, in nanoseconds
	before, after uint32
}

// Wheel holds at most one deadline for each id. Ids are the rows of a table: small, dense numbers that are used again.
type Wheel struct {
	step  int64  // how long a tick is, in nanoseconds
	now   int64  // the moment of the last Advance
	tick  uint64 // now, in whole ticks
	count int

	occupied [levels]uint64           // one bit for each slot whose list is not empty
	heads    [levels*slots + 1]uint32 // the first entry of each slot's list, and of dueList
	pages    []*[pageSize]node        // by id; pages never move, so growing copies no entries
}

// New returns an empty wheel whose time is start, which must not be negative.
func New(start int64) *Wheel { return NewWithTick(start, Tick) }

// NewWithTick returns one whose tick is so many nanoseconds, at least FinestTick. A finer one is served more often: for
// schedules that must be kept closer than a millisecond.
func NewWithTick(start, tick int64) *Wheel {
	if start < 0 || tick < FinestTick {
		panic(fmt.Sprintf("timewheel: start %d, tick %d: want at least 0 and %d", start, tick, FinestTick))
	}
	return &Wheel{step: tick, now: start, tick: uint64(start / tick)}
}

// Set gives id the deadline at, whether it had one or not. Any moment will do: one that is not after the last Advance
// expires with the next. Set allocates only when id is in a page that no id was in before.
func (w *Wheel) Set(id uint32, at int64) {
	page := int(id >> pageBits)
	if page >= len(w.pages) || w.pages[page] == nil {
		w.addPage(id)
	}
	n := &w.pages[page][id%pageSize]
	if n.before != 0 {
		w.unlink(n)
	} else {
		w.count++
	}
	n.at = at
	w.place(id, n)
}

// Cancel takes id's deadline away, if it has one.
func (w *Wheel) Cancel(id uint32) {
	n := w.find(id)
	if n == nil {
		return
	}
	w.unlink(n)
	n.before = 0
	w.count--
}

// At returns id's deadline as it was set, and whether it has one.
func (w *Wheel) At(id uint32) (at int64, ok bool) {
	n := w.find(id)
	if n == nil {
		return 0, false
	}
	return n.at, true
}

// Len is the number of deadlines that are set.
func (w *Wheel) Len() int { return w.count }

// Advance moves the wheel's time to now and appends to expired the id of each deadline that has come. Their entries are
// gone when it returns, so the caller may set any of them again while it goes through the list. The order within one
// call is fixed by what was called before, but means nothing. A now before the last one counts as the last one.
//
// It costs O(expired + moved down by cascades), however far the time has jumped. A slot is cascaded in one go:
// BenchmarkCascadeMillion has 6 ms for a million entries in one slot in the order of the table.
func (w *Wheel) Advance(now int64, expired []uint32) []uint32 {
	before := len(expired)
	w.now = max(w.now, now)
	target := uint64(w.now / w.step)
	if w.heads[dueList] != 0 {
		expired = w.empty(dueList, expired)
	}
	for {
		list, start, ok := w.nextSlot()
		if !ok || start > target {
			break
		}
		w.tick = start // what stays must be placed as seen from here: the slots after this one still count on it
		expired = w.empty(list, expired)
	}
	w.tick = target
	w.count -= len(expired) - before
	return expired
}

// Next returns the earliest moment at which Advance has something to do: the end of a deadline's tick, or the start of
// a coarser slot that is to be cascaded. Before it, Advance does nothing but note the time. It is false when no
// deadline is set. The moment may have passed already.
//
// A loop that sleeps until Next wakes up for nothing at most once for each coarse slot in use: for deadlines that are
// 60 s ahead every 4.1 s, and every 64 ms during the last 4.1 s.
func (w *Wheel) Next() (at int64, ok bool) {
	if w.heads[dueList] != 0 {
		return w.now, true
	}
	_, start, ok := w.nextSlot()
	if !ok {
		return 0, false
	}
	if start > uint64(math.MaxInt64/w.step) {
		return math.MaxInt64, true // the last tick of all ends after the last moment of all
	}
	return int64(start) * w.step, true
}

// nextSlot finds the first slot that is not empty: its list and the tick at which it starts.
func (w *Wheel) nextSlot() (list uint32, start uint64, ok bool) {
	for level := range w.occupied {
		bitmap := w.occupied[level]
		if bitmap == 0 {
			continue
		}
		slot := uint64(bits.TrailingZeros64(bitmap))
		shift := level * digitBits
		above := w.tick >> (shift + digitBits) << digitBits
		return uint32(level*slots) + uint32(slot), (above | slot) << shift, true
	}
	return 0, 0, false
}

// empty takes all entries off a list: those whose deadline has come are appended to expired, the others placed anew.
func (w *Wheel) empty(list uint32, expired []uint32) []uint32 {
	link := w.heads[list]
	w.setHead(list, 0)
	for link != 0 {
		id := link - 1
		n := w.node(link)
		link = n.after
		if n.at <= w.now {
			n.before = 0
			expired = append(expired, id)
		} else {
			w.place(id, n)
		}
	}
	return expired
}

// place links n, which is in no list, into the list where its deadline belongs.
func (w *Wheel) place(id uint32, n *node) {
	list := uint32(dueList)
	if n.at > w.now {
		when := w.tickOf(n.at)
		level := uint32(bits.Len64(w.tick^when)-1) / digitBits
		list = level*slots + uint32(when>>(level*digitBits))%slots
	}
	first := w.heads[list]
	if first != 0 {
		w.node(first).before = id + 1
	}
	n.before, n.after = headBit|list, first
	w.setHead(list, id+1)
}

// unlink takes n, which is armed, out of its list. Its links stay as they were: the caller sets them.
func (w *Wheel) unlink(n *node) {
	if n.after != 0 {
		w.node(n.after).before = n.before
	}
	if n.before&headBit != 0 {
		w.setHead(n.before&^headBit, n.after)
	} else {
		w.node(n.before).after = n.after
	}
}

// setHead makes link the start of a list and keeps the bitmap in step.
func (w *Wheel) setHead(list, link uint32) {
	w.heads[list] = link
	if list == dueList {
		return
	}
	bit := uint64(1) << (list % slots)
	if link != 0 {
		w.occupied[list/slots] |= bit
	} else {
		w.occupied[list/slots] &^= bit
	}
}

// node returns the entry that a link leads to.
func (w *Wheel) node(link uint32) *node {
	id := link - 1
	return &w.pages[id>>pageBits][id%pageSize]
}

// find returns id's entry if it is armed, else nil.
func (w *Wheel) find(id uint32) *node {
	page := int(id >> pageBits)
	if page >= len(w.pages) || w.pages[page] == nil {
		return nil
	}
	if n := &w.pages[page][id%pageSize]; n.before != 0 {
		return n
	}
	return nil
}

// addPage makes the page that id is in. An id far above all others costs its own page only.
func (w *Wheel) addPage(id uint32) {
	if id > MaxID {
		panic(fmt.Sprintf("timewheel: id %d is above MaxID", id))
	}
	page := int(id >> pageBits)
	for len(w.pages) <= page {
		w.pages = append(w.pages, nil)
	}
	w.pages[page] = new([pageSize]node)
}

// tickOf rounds a moment above 0 up to the tick at which it has surely come.
func (w *Wheel) tickOf(at int64) uint64 { return uint64(at-1)/uint64(w.step) + 1 }
