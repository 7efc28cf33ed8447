package target

import (
	"fmt"
	"net/netip"
	"slices"
)

// Limits on blocks and ranges taken together.
const (
	// maxRanges is how many that do not touch are kept, at 8 bytes for IPv4 and 32 for IPv6.
	maxRanges = 1 << 20
	// maxGroups is how many kinds of block (see blockKind) there may be, at some hundred bytes each.
	maxGroups = 1 << 16
	// maxBlockTargets is how many targets they may come to: at a million a second, 146,000 years. Sums of two such fit 63
	// bits, and float64 finds the square root of one.
	maxBlockTargets = 1 << 62
)

// blocks gathers the CIDR blocks and ranges of the input until its end. Blocks of one kind become one list, in which what
// overlaps counts once.
type blocks struct {
	limitRanges  int
	limitTargets uint64

	groups  map[blockKind]*blockGroup
	order   []*blockGroup // as they came, so that a seed gives the same walk every time
	ranges  int           // kept in all groups
	targets uint64        // what they come to, overlaps counted each time until the next merge
	isTight bool          // a merge has gained little: the next will be the last
	isFull  bool          // nothing that is not in the lists already is taken any more; they are in order
}

// blockKind is what blocks must have in common to be merged. Port 0 stands for the ports of the options; probe is empty for
// the probes of the options. TLS is not among it: the tag decides.
type blockKind struct {
	port               uint16
	domain, tag, probe string
}

// blockGroup is the blocks of one kind.
type blockGroup struct {
	kind blockKind
	plan expansion
	v4   spans[num4]
	v6   spans[num6]
}

func newBlocks() *blocks {
	return &blocks{limitRanges: maxRanges, limitTargets: maxBlockTargets, groups: make(map[blockKind]*blockGroup)}
}

// group returns the group of a kind, made if it is new, or a refusal when there are too many.
func (b *blocks) group(kind blockKind, plan expansion) (*blockGroup, *refusal) {
	if g := b.groups[kind]; g != nil {
		return g, nil
	}
	if len(b.order) == maxGroups {
		return nil, malformed(fmt.Sprintf("more than %d kinds of block (port, domain and tag)", maxGroups), "split the list")
	}
	g := &blockGroup{kind: kind, plan: plan}
	b.groups[kind] = g
	b.order = append(b.order, g)
	return g, nil
}

// add puts a block or range into a group, or says why there is no room for it.
func (b *blocks) add(g *blockGroup, first, last netip.Addr) *refusal {
	if first.Is4() {
		return addSpan(b, g, &g.v4, span[num4]{number4(first), number4(last)})
	}
	return addSpan(b, g, &g.v6, span[num6]{number6(first), number6(last)})
}

func addSpan[T ordinal[T]](b *blocks, g *blockGroup, list *spans[T], run span[T]) *refusal {
	size, ok := run.size()
	if perAddress := g.plan.count(); !ok || size > b.limitTargets/perAddress {
		return malformed("a block of more than 2^62 targets", "name smaller blocks, or the addresses themselves")
	} else {
		size *= perAddress
	}
	if !b.isFull && !b.fits(size) {
		b.merge()
		// But for the last two, each merge makes an eighth of the room: else every line of a list far over the limit could
		// cost one.
		b.isFull = b.isTight || !b.fits(size)
		b.isTight = b.ranges > b.limitRanges/8*7 || b.targets > b.limitTargets/8*7
	}
	if b.isFull {
		if list.contains(run.first, run.last) {
			return nil
		}
		return malformed(fmt.Sprintf("more blocks than can be kept: %d, or 2^62 targets", b.limitRanges), "split the list")
	}
	*list = append(*list, run)
	b.ranges++
	b.targets += size
	return nil
}

// fits reports whether one more range of so many targets is within the limits.
func (b *blocks) fits(targets uint64) bool {
	return b.ranges < b.limitRanges && targets <= b.limitTargets-b.targets
}

// merge puts the lists of all groups in order and counts anew.
func (b *blocks) merge() {
	b.ranges, b.targets = 0, 0
	for _, g := range b.order {
		g.v4 = g.v4.merge()
		g.v6 = g.v6.merge()
		b.ranges += len(g.v4) + len(g.v6)
		b.targets += (g.v4.total() + g.v6.total()) * g.plan.count()
	}
}

// walk is the permuted walk over everything that blocks gathered, less what is excluded. All groups share one permutation,
// so that each is visited in proportion to its size from the start to the end, and its memory is the lists.
type walk struct {
	groups []walkGroup
	starts []uint64 // starts[i] is the number of the first target of groups[i]
	order  permutation
	at     uint64 // the next place in the order
	step   uint64

	excluded, unroutable uint64 // addresses that were left out, each counted once for each group
}

// walkGroup is a blockGroup made ready: starts4[i] is the number of the first address of v4[i], starts6 goes on from there.
type walkGroup struct {
	kind             blockKind
	plan             expansion
	v4               spans[num4]
	v6               spans[num6]
	starts4, starts6 []uint64
	addresses        uint64
}

// walk ends the gathering. Of the permuted order it takes every place that is shard modulo shards.
func (b *blocks) walk(exclude *Set, seed uint64, shards, shard int) *walk {
	b.merge()
	w := &walk{at: uint64(shard), step: uint64(shards)}
	exclude4, exclude6 := exclude.spans()
	var total uint64
	for _, g := range b.order {
		gathered := g.v4.total() + g.v6.total()
		v4, v6 := g.v4.without(unroutable4()), g.v6.without(unroutable6())
		routable := v4.total() + v6.total()
		v4, v6 = v4.without(exclude4), v6.without(exclude6)
		ready := walkGroup{kind: g.kind, plan: g.plan, v4: v4, v6: v6}
		ready.starts4, ready.addresses = v4.starts(0)
		ready.starts6, ready.addresses = v6.starts(ready.addresses)
		w.unroutable += gathered - routable
		w.excluded += routable - ready.addresses
		if ready.addresses == 0 {
			continue
		}
		w.groups = append(w.groups, ready)
		w.starts = append(w.starts, total)
		total += ready.addresses * g.plan.count()
	}
	*b = blocks{}
	w.order = newPermutation(total, seed)
	return w
}

// starts numbers the addresses of a list from base and returns the number of each span's first, and the one behind the last.
func (s spans[T]) starts(base uint64) ([]uint64, uint64) {
	starts := make([]uint64, len(s))
	for i, run := range s {
		starts[i] = base
		size, _ := run.size()
		base += size
	}
	return starts, base
}

// remaining is how many targets are left for this shard.
func (w *walk) remaining() uint64 {
	if w.at >= w.order.n {
		return 0
	}
	return (w.order.n-w.at-1)/w.step + 1
}

// next fills t, or reports false at the end.
func (w *walk) next(t *Target) bool {
	if w.at >= w.order.n {
		return false
	}
	number := w.order.at(w.at)
	w.at += w.step
	i := holder(w.starts, number)
	g := &w.groups[i]
	number -= w.starts[i]
	perAddress := g.plan.count()
	*t = Target{Addr: g.address(number / perAddress), Domain: g.kind.domain, Tag: g.kind.tag}
	g.plan.at(number%perAddress, t)
	return true
}

// address returns the group's address of a number.
func (g *walkGroup) address(number uint64) netip.Addr {
	if len(g.starts6) == 0 || number < g.starts6[0] {
		i := holder(g.starts4, number)
		return g.v4[i].first.plus(number - g.starts4[i]).addr()
	}
	i := holder(g.starts6, number)
	return g.v6[i].first.plus(number - g.starts6[i]).addr()
}

// holder returns the index of the last start at or below number; starts[0] is.
func holder(starts []uint64, number uint64) int {
	i, found := slices.BinarySearch(starts, number)
	if found {
		return i
	}
	return i - 1
}
