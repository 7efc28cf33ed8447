package tlswire

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
)

// named is a row of a registry's table. Tables are in the order of their values.
type named[T ~uint8 | ~uint16] struct {
	value T
	name  string
}

// find returns the name of v in table.
func find[T ~uint8 | ~uint16](table []named[T], v T) (string, bool) {
	i, ok := slices.BinarySearchFunc(table, v, func(row named[T], v T) int { return cmp.Compare(row.value, v) })
	if !ok {
		return "", false
	}
	return table[i].name, true
}

// nameOf returns the name of v, or its number in hexadecimal, with "GREASE_" before it for a value of RFC 8701.
func nameOf[T ~uint8 | ~uint16](table []named[T], v T) string {
	if name, ok := find(table, v); ok {
		return name
	}
	switch wide := uint16(^T(0)) > 0xff; {
	case wide && IsGREASE(uint16(v)):
		return fmt.Sprintf("GREASE_0x%04x", uint16(v))
	case wide:
		return fmt.Sprintf("0x%04x", uint16(v))
	}
	return fmt.Sprintf("0x%02x", uint16(v))
}

// values yields the values of a table in order.
func values[T ~uint8 | ~uint16](table []named[T]) iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, row := range table {
			if !yield(row.value) {
				return
			}
		}
	}
}

// GREASE returns one of the sixteen values that no suite, group, extension, version or signature scheme will ever have:
// 0x0A0A for 0, 0x1A1A for 1, up to 0xFAFA for 15 (RFC 8701 s.2). i is taken modulo 16.
func GREASE(i int) uint16 { return 0x0A0A + uint16(i&15)*0x1010 }

// IsGREASE reports whether v is one of the values of [GREASE].
func IsGREASE(v uint16) bool { return v&0x0F0F == 0x0A0A && v>>8 == v&0xff }
