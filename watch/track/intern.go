package track

import (
	"encoding/binary"
	"iter"
	"unicode/utf8"

	"sonde/probes"
)

// ref is the number of a value in a store; 0 is the zero value, which takes no room.
type ref uint32

// store keeps one copy of each different value, for as long as somebody refers to it. What it hands out is never changed, so
// others may read it while the store goes on.
type store[T comparable] struct {
	refs  map[T]ref
	slots []slot[T]
	free  []ref
}

type slot[T comparable] struct {
	value *T
	users uint32
}

func newStore[T comparable]() store[T] {
	return store[T]{refs: make(map[T]ref), slots: make([]slot[T], 1)}
}

// at returns a value; nil for the zero value.
func (s *store[T]) at(r ref) *T { return s.slots[r].value }

// replace lets go of r and returns the number of v.
func (s *store[T]) replace(r ref, v T) ref {
	var zero T
	if r != 0 && *s.slots[r].value == v || r == 0 && v == zero {
		return r
	}
	s.release(r)
	if v == zero {
		return 0
	}
	to, known := s.refs[v]
	if !known {
		to = s.room()
		own := v // v itself would be on the heap each time
		s.slots[to].value = &own
		s.refs[v] = to
	}
	s.slots[to].users++
	return to
}

// swap lets go of r and returns to, which has one more user.
func (s *store[T]) swap(r, to ref) ref {
	if to != 0 {
		s.slots[to].users++
	}
	s.release(r)
	return to
}

// release lets go of r.
func (s *store[T]) release(r ref) {
	if r == 0 {
		return
	}
	at := &s.slots[r]
	if at.users--; at.users == 0 {
		delete(s.refs, *at.value)
		*at = slot[T]{}
		s.free = append(s.free, r)
	}
}

// room is a slot that nobody uses.
func (s *store[T]) room() ref {
	if n := len(s.free); n > 0 {
		r := s.free[n-1]
		s.free = s.free[:n-1]
		return r
	}
	s.slots = append(s.slots, slot[T]{})
	return ref(len(s.slots) - 1)
}

// The most that is kept of texts that peers have a say in, in bytes.
const (
	maxError   = 512
	maxCapture = 1024
)

// cut is the beginning of s, at most n bytes, and no part of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// packCaptures is captures as one text: each name and value behind its length. None at all are the empty text.
func packCaptures(captures []probes.Capture) string {
	if len(captures) == 0 {
		return ""
	}
	var packed []byte
	for _, c := range captures {
		for _, s := range [...]string{c.Name, cut(c.Value, maxCapture)} {
			packed = binary.AppendUvarint(packed, uint64(len(s)))
			packed = append(packed, s...)
		}
	}
	return string(packed)
}

// captures are those that packCaptures packed.
func captures(packed string) iter.Seq[probes.Capture] {
	return func(yield func(probes.Capture) bool) {
		for packed != "" {
			var words [2]string
			for i := range words {
				n, size := binary.Uvarint([]byte(packed[:min(len(packed), binary.MaxVarintLen64)]))
				words[i], packed = packed[size:size+int(n)], packed[size+int(n):]
			}
			if !yield(probes.Capture{Name: words[0], Value: words[1]}) {
				return
			}
		}
	}
}
