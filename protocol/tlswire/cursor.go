package tlswire

import "sonde/protocol"

// cursor reads a message from front to back (the presentation language of RFC 8446 s.3). It stops at the first fault:
// from then on every read gives zero and nothing, so that a parser reads on without asking and asks once, at its end. It
// holds the fault by value and makes an error only of a bad message: a good one costs no memory.
type cursor struct {
	body   []byte
	at     int    // where it stands
	limit  int    // where the innermost vector that was entered ends
	format string // "tls server_hello"

	faulty        bool
	faultAt       int
	field, reason string
}

func read(format string, body []byte) cursor {
	return cursor{body: body, limit: len(body), format: format}
}

// finish makes bytes that are left over a fault, and returns the first fault as an error, or nil.
func (c *cursor) finish() error {
	c.leave(c.limit, "message")
	if !c.faulty {
		return nil
	}
	return &protocol.MalformedError{Format: c.format, Offset: c.faultAt, Reason: c.field + ": " + c.reason}
}

// fail notes a fault where the cursor stands, if it is the first.
func (c *cursor) fail(field, reason string) {
	if !c.faulty {
		c.faulty, c.faultAt, c.field, c.reason = true, c.at, field, reason
	}
}

// more reports whether there is anything left to read in the innermost vector, and no fault.
func (c *cursor) more() bool { return c.at < c.limit && !c.faulty }

// rest returns what is left of the innermost vector without taking it.
func (c *cursor) rest() []byte {
	if c.faulty {
		return nil
	}
	return c.body[c.at:c.limit:c.limit]
}

// all takes what is left of the innermost vector.
func (c *cursor) all() []byte {
	b := c.rest()
	c.at += len(b)
	return b
}

// bytes takes n bytes.
func (c *cursor) bytes(n int, field string) []byte {
	if n > c.limit-c.at {
		c.fail(field, "cut short")
	}
	if c.faulty {
		return nil
	}
	b := c.body[c.at : c.at+n : c.at+n]
	c.at += n
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

// enter takes the length of a vector, which has size bytes, and lets the cursor see no further than what it counts: at
// least least and at most most bytes (RFC 8446 s.3.4). It returns what leave wants.
func (c *cursor) enter(size, least, most int, field string) (outer int) {
	outer = c.limit
	n := int(c.uint(size, field))
	switch {
	case c.faulty:
	case n > c.limit-c.at:
		c.fail(field, "length beyond the end")
	case n < least:
		c.fail(field, "too short")
	case n > most:
		c.fail(field, "too long")
	default:
		c.limit = c.at + n
	}
	return outer
}

// leave ends what enter began; that it was not read to its end is a fault.
func (c *cursor) leave(outer int, field string) {
	if c.at < c.limit {
		c.fail(field, "bytes behind the end")
	}
	c.limit = outer
}

// opaque takes a vector whose content is not looked into.
func (c *cursor) opaque(size, least, most int, field string) []byte {
	outer := c.enter(size, least, most, field)
	b := c.all()
	c.leave(outer, field)
	return b
}

// numbers takes a list of numbers of two bytes, at least one, with a length of size bytes.
func numbers[T ~uint16](c *cursor, size int, field string) []T {
	outer := c.enter(size, 2, 1<<(8*size)-1, field)
	n := len(c.rest())
	if n%2 != 0 {
		c.fail(field, "odd length")
	}
	var list []T
	if c.more() {
		list = make([]T, 0, n/2)
	}
	for c.more() {
		list = append(list, T(c.uint16(field)))
	}
	c.leave(outer, field)
	return list
}
