package tlswire

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
)

// MaxExtensions is the most extensions that a message may have. The registry has about 60; the limit bounds the search
// for one that comes twice.
const MaxExtensions = 128

// Extensions is a block of extensions as it came (RFC 8446 s.4.2), without the length before it. One that a Parse
// function returned is well formed and holds each type at most once.
type Extensions []byte

// All yields the types and contents in the order in which they came. The contents are parts of x.
func (x Extensions) All() iter.Seq2[ExtensionType, []byte] {
	return func(yield func(ExtensionType, []byte) bool) {
		for rest := x; len(rest) >= 4; {
			end := 4 + int(binary.BigEndian.Uint16(rest[2:]))
			if end > len(rest) || !yield(ExtensionType(binary.BigEndian.Uint16(rest)), rest[4:end:end]) {
				return
			}
			rest = rest[end:]
		}
	}
}

// Find returns the content of the extension of type t and whether there is one.
func (x Extensions) Find(t ExtensionType) (content []byte, ok bool) {
	for have, content := range x.All() {
		if have == t {
			return content, true
		}
	}
	return nil, false
}

// AppendTypes appends the types in the order in which they came.
func (x Extensions) AppendTypes(dst []ExtensionType) []ExtensionType {
	for t := range x.All() {
		dst = append(dst, t)
	}
	return dst
}

// typeSet is the types that a block has had, to find one that comes twice (RFC 8446 s.4.2).
type typeSet struct {
	types [MaxExtensions]ExtensionType
	n     int
}

// enterExtension takes the type of the next extension of a block and enters its content.
func (c *cursor) enterExtension(seen *typeSet) (t ExtensionType, outer int) {
	t = ExtensionType(c.uint16("extension"))
	switch {
	case c.faulty:
	case seen.n == MaxExtensions:
		c.fail("extensions", fmt.Sprintf("more than %d", MaxExtensions))
	case slices.Contains(seen.types[:seen.n], t):
		c.fail(t.String(), "extension comes twice")
	default:
		seen.types[seen.n] = t
		seen.n++
	}
	return t, c.enter(2, 0, 1<<16-1, "extension")
}

// leaveExtension ends what enterExtension began. A content that is not known is passed over.
func (c *cursor) leaveExtension(t ExtensionType, outer int, known bool) {
	if !known {
		c.all()
	}
	if c.at < c.limit { // the name is looked up only for a fault
		c.fail(t.String(), "bytes behind the end")
	}
	c.limit = outer
}

// protocolName takes the list of exactly one name that a server's ALPN extension is (RFC 7301 s.3.1).
func (c *cursor) protocolName() []byte {
	outer := c.enter(2, 2, 1<<16-1, "alpn")
	name := c.opaque(1, 1, 255, "alpn")
	c.leave(outer, "alpn")
	return name
}

// SCTList is the content of a signed_certificate_timestamp extension without the length before it (RFC 6962 s.3.3).
type SCTList []byte

// All yields the timestamps; each is a part of l.
func (l SCTList) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := l; len(rest) >= 2; {
			end := 2 + int(binary.BigEndian.Uint16(rest))
			if end > len(rest) || !yield(rest[2:end:end]) {
				return
			}
			rest = rest[end:]
		}
	}
}

// scts takes a list of timestamps, which has at least one, each of at least a byte.
func (c *cursor) scts() SCTList {
	const field = "signed_certificate_timestamp"
	outer := c.enter(2, 1, 1<<16-1, field)
	list := SCTList(c.rest())
	for c.more() {
		c.opaque(2, 1, 1<<16-1, field)
	}
	c.leave(outer, field)
	return list
}

// ocspResponse takes a CertificateStatus (RFC 6066 s.8): the type ocsp and one response.
func (c *cursor) ocspResponse() []byte {
	if t := c.uint8("status_type"); t != 1 {
		c.fail("status_type", "not ocsp")
	}
	return c.opaque(3, 1, 1<<24-1, "ocsp_response")
}
