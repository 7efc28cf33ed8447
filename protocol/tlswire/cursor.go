package tlswire

import "sonde/protocol"

// cursor reads a message from front to back (the presentation language of RFC 8446 s.3). It stops at the first fault: from then on
// every read gives zero and nothing, so that a parser reads on without asking and asks once, at its end.
type cursor struct {
	rest  []byte
	at    int // offset of rest in the message
	fault *fault
}

// fault is the first thing that is wrong with a message; shared by the cursors of its parts. It is a value on the parser's stack, and made an error only if
// there is one, so that a good message costs no memory.
type fault struct {
	format string // "tls server_hello"
	found  bool
	at     int
	field  string
	reason string
}

// err returns what is wrong as an error, or nil.
func (f *fault) err() error {
	if !f.found {
		return nil
	}
	return &protocol.MalformedError{Format: f.format, Offset: f.at, Reason: f.field + ": " + f.reason}
}

func (f *fault) cursor(body []byte) cursor { return cursor{rest: body, fault: f} }

// fail notes a fault where the cursor stands, if it is the first.
func (c *cursor) fail(field, reason string) {
	if !c.fault.found {
		c.fault.found, c.fault.at, c.fault.field, c.fault.reason = true, c.at, field, reason
	}
	c.rest = nil
}

// more reports whether there is anything left to read, and no fault.
func (c *cursor) more() bool { return len(c.rest) > 0 && !c.fault.found }

// bytes takes n bytes.
func (c *cursor) bytes(n int, field string) []byte {
	if c.fault.found {
		return nil
	}
	if n > len(c.rest) {
		c.fail(field, "cut short")
		return nil
	}
	b := c.rest[:n:n]
	c.rest, c.at = c.rest[n:], c.at+n
	return b
}

// uint takes a number of size bytes, 1 to 4, in network order.
func (c *cursor) uint(size int, field string) uint32 {
	var v uint32
	for _, b := range c.bytes(size, field) {
		v = v<<8 | uint32(b)
	}
	return v
}

func (c *cursor) uint8(field string) uint8   { return uint8(c.uint(1, field)) }
func (c *cursor) uint16(field string) uint16 { return uint16(c.uint(2, field)) }

// vector takes a length of size bytes and what it counts, which must have at least least and at most most bytes
// (RFC 8446 s.3.4).
func (c *cursor) vector(size, least, most int, field string) cursor {
	n := int(c.uint(size, field))
	at := c.at
	switch {
	case c.fault.found:
	case n > len(c.rest):
		c.fail(field, "length beyond the end")
	case n < least:
		c.fail(field, "too short")
	case n > most:
		c.fail(field, "too long")
	}
	return cursor{rest: c.bytes(n, field), at: at, fault: c.fault}
}

// opaque takes a vector whose content is not looked into.
func (c *cursor) opaque(size, least, most int, field string) []byte {
	v := c.vector(size, least, most, field)
	return v.rest
}

// all takes everything that is left.
func (c *cursor) all() []byte { return c.bytes(len(c.rest), "") }

// end makes bytes that are left over a fault.
func (c *cursor) end(field string) {
	if len(c.rest) > 0 {
		c.fail(field, "bytes behind the end")
	}
}

// pairs takes everything that is left as numbers of two bytes.
func pairs[T ~uint16](c *cursor, field string) []T {
	if len(c.rest)%2 != 0 {
		c.fail(field, "odd length")
	}
	if len(c.rest) == 0 {
		return nil
	}
	list := make([]T, 0, len(c.rest)/2)
	for c.more() {
		list = append(list, T(c.uint16(field)))
	}
	return list
}
