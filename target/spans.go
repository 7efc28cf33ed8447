package target

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
)

// ordinal is an address as a number. There are two kinds, because nearly all lists are IPv4 and a span of those takes 8
// bytes where one of 128-bit numbers takes 32.
type ordinal[T any] interface {
	compare(T) int
	succ() T // the next number; the largest has none and must not be asked
	pred() T // the number before; zero has none and must not be asked
	// since returns the distance down to an earlier number, or false if it does not fit 63 bits.
	since(T) (uint64, bool)
	plus(uint64) T
}

// num4 is an IPv4 address as a number.
type num4 uint32

func (n num4) compare(m num4) int             { return cmp.Compare(n, m) }
func (n num4) succ() num4                     { return n + 1 }
func (n num4) pred() num4                     { return n - 1 }
func (n num4) since(from num4) (uint64, bool) { return uint64(n - from), true }
func (n num4) plus(d uint64) num4             { return n + num4(d) }

func number4(addr netip.Addr) num4 {
	octets := addr.As4()
	return num4(binary.BigEndian.Uint32(octets[:]))
}

func (n num4) addr() netip.Addr {
	var octets [4]byte
	binary.BigEndian.PutUint32(octets[:], uint32(n))
	return netip.AddrFrom4(octets)
}

// num6 is an IPv6 address as a number. A zone is not part of it.
type num6 struct{ high, low uint64 }

func (n num6) compare(m num6) int {
	if n.high != m.high {
		return cmp.Compare(n.high, m.high)
	}
	return cmp.Compare(n.low, m.low)
}

func (n num6) succ() num6 { return n.plus(1) }

func (n num6) pred() num6 {
	low, borrow := bits.Sub64(n.low, 1, 0)
	return num6{n.high - borrow, low}
}

func (n num6) since(from num6) (uint64, bool) {
	low, borrow := bits.Sub64(n.low, from.low, 0)
	high, _ := bits.Sub64(n.high, from.high, borrow)
	return low, high == 0 && low < 1<<63
}

func (n num6) plus(d uint64) num6 {
	low, carry := bits.Add64(n.low, d, 0)
	return num6{n.high + carry, low}
}

func number6(addr netip.Addr) num6 {
	octets := addr.As16()
	return num6{binary.BigEndian.Uint64(octets[:8]), binary.BigEndian.Uint64(octets[8:])}
}

func (n num6) addr() netip.Addr {
	var octets [16]byte
	binary.BigEndian.PutUint64(octets[:8], n.high)
	binary.BigEndian.PutUint64(octets[8:], n.low)
	return netip.AddrFrom16(octets)
}

// span is a run of addresses, both ends included.
type span[T ordinal[T]] struct{ first, last T }

// size is how many addresses the span holds, or false if that does not fit 63 bits.
func (s span[T]) size() (uint64, bool) {
	distance, ok := s.last.since(s.first)
	return distance + 1, ok && distance < 1<<63-1
}

// spans is a list of runs. "In order" means sorted, without overlap, and with a hole between any two.
type spans[T ordinal[T]] []span[T]

// merge puts the list in order, in place, and returns what is left of it.
func (s spans[T]) merge() spans[T] {
	if len(s) == 0 {
		return s
	}
	slices.SortFunc(s, func(a, b span[T]) int { return a.first.compare(b.first) })
	kept := 0
	for _, next := range s[1:] {
		current := &s[kept]
		// The second test can't overflow: were current.last the largest number, the first would have held.
		if next.first.compare(current.last) <= 0 || next.first.compare(current.last.succ()) == 0 {
			if next.last.compare(current.last) > 0 {
				current.last = next.last
			}
			continue
		}
		kept++
		s[kept] = next
	}
	return s[:kept+1]
}

// search returns the index of the first span that ends at x or later. The list is in order.
func (s spans[T]) search(x T) int {
	low, high := 0, len(s)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if s[middle].last.compare(x) < 0 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// contains reports whether the list, which is in order, holds every number from first to last.
func (s spans[T]) contains(first, last T) bool {
	i := s.search(first)
	return i < len(s) && s[i].first.compare(first) <= 0 && last.compare(s[i].last) <= 0
}

// without returns the list less the holes. Both are in order, and so is the answer, in new memory unless nothing was cut.
func (s spans[T]) without(holes spans[T]) spans[T] {
	if !s.touches(holes) {
		return s
	}
	kept := make(spans[T], 0, len(s))
	for _, run := range s {
		whole := true
		for i := holes.search(run.first); i < len(holes) && holes[i].first.compare(run.last) <= 0; i++ {
			if holes[i].first.compare(run.first) > 0 {
				kept = append(kept, span[T]{run.first, holes[i].first.pred()})
			}
			if holes[i].last.compare(run.last) >= 0 {
				whole = false
				break
			}
			run.first = holes[i].last.succ()
		}
		if whole {
			kept = append(kept, run)
		}
	}
	return kept
}

// touches reports whether any number is in both lists, which are in order.
func (s spans[T]) touches(other spans[T]) bool {
	for _, run := range s {
		if i := other.search(run.first); i < len(other) && other[i].first.compare(run.last) <= 0 {
			return true
		}
	}
	return false
}

// total is how many addresses a list in order holds. The caller has made sure that the sum fits (blocks.add).
func (s spans[T]) total() uint64 {
	var sum uint64
	for _, run := range s {
		size, _ := run.size()
		sum += size
	}
	return sum
}
