package tlswire

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
)

// MaxExtensions is the most extensions that a message may have. The registry has about 60; the limit bounds the search for
// one that comes twice.
const MaxExtensions = 128

// Extensions is a block of extensions as it came (RFC 8446 s.4.2), without the length before it. One that a Parse function
// returned is well formed and holds each type at most once.
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

// blockReader takes the extensions of a block one by one and looks for one that comes twice (RFC 8446 s.4.2).
type blockReader struct {
	block cursor
	seen  [MaxExtensions]ExtensionType
	n     int
}

// next returns the next extension's type and content; ok is false at the end or at a fault.
func (r *blockReader) next() (t ExtensionType, content cursor, ok bool) {
	if !r.block.more() {
		return 0, cursor{}, false
	}
	t = ExtensionType(r.block.uint16("extension"))
	switch {
	case r.n == MaxExtensions:
		r.block.fail("extensions", fmt.Sprintf("more than %d", MaxExtensions))
	case slices.Contains(r.seen[:r.n], t):
		r.block.fail(t.String(), "extension comes twice")
	default:
		r.seen[r.n] = t
		r.n++
	}
	content = r.block.vector(2, 0, 1<<16-1, "extension")
	return t, content, !r.block.fault.found
}

// extensions takes a block with its length and returns it with a reader over it.
func (c *cursor) extensions(least int) (Extensions, blockReader) {
	block := c.vector(2, least, 1<<16-1, "extensions")
	return Extensions(block.rest), blockReader{block: block}
}

// protocolName takes the list of exactly one name that a server's ALPN extension is (RFC 7301 s.3.1).
func (c *cursor) protocolName() []byte {
	list := c.vector(2, 2, 1<<16-1, "alpn")
	name := list.opaque(1, 1, 255, "alpn")
	list.end("alpn")
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
	list := c.vector(2, 1, 1<<16-1, field)
	whole := SCTList(list.rest)
	for list.more() {
		list.opaque(2, 1, 1<<16-1, field)
	}
	return whole
}

// ocspResponse takes a CertificateStatus (RFC 6066 s.8): the type ocsp and one response.
func (c *cursor) ocspResponse() []byte {
	if t := c.uint8("status_type"); t != 1 {
		c.fail("status_type", "not ocsp")
	}
	return c.opaque(3, 1, 1<<24-1, "ocsp_response")
}
