// Package resp finds the replies of a Redis server: RESP2 and RESP3, as the "Redis serialization protocol specification"
// on redis.io has them (called the specification below). Inline commands and requests are not replies, and the streamed
// types of RESP3, which no server sends, are malformed.
//
// A frame is one whole reply with all its elements. What the reply means is left to the caller.
package resp

import (
	"fmt"

	"sonde/protocol"
)

// Kinds of replies: the first byte on the wire, but for Null. The specification describes each under its name.
const (
	SimpleString   uint8 = '+'
	SimpleError    uint8 = '-'
	Integer        uint8 = ':'
	BulkString     uint8 = '$'
	Array          uint8 = '*'
	Boolean        uint8 = '#' // RESP3, as are all below: "t" or "f"
	Double         uint8 = ','
	BigNumber      uint8 = '('
	BulkError      uint8 = '!'
	VerbatimString uint8 = '=' // Data begins with three bytes of format and a colon
	Map            uint8 = '%' // elements are keys and values in turn
	Attribute      uint8 = '|' // as Map; tells about the reply behind it and is a frame of its own
	Set            uint8 = '~'
	Push           uint8 = '>' // out of band: not the answer to a command
	// Null is a value that is not there: "_" in RESP3, a string or array of length -1 in RESP2.
	Null uint8 = '_'
)

// Limits. A reply above them gives [protocol.ErrTooLarge]. How many elements a reply may have follows from its size: each
// takes three bytes at least.
const (
	// MaxSize is the most bytes of a reply with its framing.
	MaxSize = protocol.MaxFrameSize
	// MaxDepth is how deep aggregates may lie in each other: more than any command's reply needs (COMMAND DOCS reaches 7),
	// so that the parser's memory is fixed.
	MaxDepth = 16
)

const (
	format     = "resp"
	maxNumber  = 64 // bytes of a number or length: a double with 17 digits and its exponent has 24
	minElement = 3  // bytes of the shortest reply, "_\r\n"
	crlf       = "\r\n"
)

// Parser is a [protocol.FrameParser] for the replies of one connection. The zero Parser is ready for use. Data of a frame
// is the text of a string, error or number without its framing, and of an aggregate its elements as they are on the wire,
// for [Elements].
type Parser struct {
	// How far the reply under way was read, so that no byte is read twice.
	pos   int // where the next element begins
	look  int // how far its line was searched for its end
	depth int // how many aggregates are open
	open  [MaxDepth]aggregate
	// The reply itself.
	kind  uint8
	first int // where its Data begins
	last  int // where it ends, for a reply that is no aggregate
}

// aggregate is an array, map, set, push or attribute under way.
type aggregate struct {
	left      int32 // elements still to come
	attribute bool  // does not count as an element of the aggregate around it
}

var _ protocol.FrameParser = (*Parser)(nil)

// ParseFrame implements [protocol.FrameParser].
func (p *Parser) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	buf = buf[:min(len(buf), MaxSize)]
	for p.pos < len(buf) {
		start := p.pos
		e, err := p.element(buf, start)
		if err == protocol.ErrIncomplete {
			break
		}
		if err != nil {
			return protocol.Frame{}, 0, err
		}
		if start == 0 {
			p.kind, p.first, p.last = e.kind, e.data, e.dataEnd
		}
		p.pos, p.look = e.end, e.end
		if e.aggregate && e.count > 0 {
			p.open[p.depth] = aggregate{left: int32(e.count), attribute: e.kind == Attribute}
			p.depth++
			continue
		}
		if p.finish(e.kind == Attribute) {
			return p.frame(buf), p.restart(), nil
		}
	}
	if len(buf) == MaxSize {
		return protocol.Frame{}, 0, tooLarge("size in bytes", MaxSize)
	}
	return protocol.Frame{}, 0, protocol.ErrIncomplete
}

// MinFrameSize implements [protocol.FrameParser]. It is 1 although no reply has fewer than three bytes: the first byte
// tells most other protocols apart.
func (p *Parser) MinFrameSize() int { return 1 }

// Reset implements [protocol.FrameParser].
func (p *Parser) Reset() { *p = Parser{} }

// finish counts an element that is whole and closes the aggregates that end with it. It reports whether the reply is
// whole.
func (p *Parser) finish(attribute bool) bool {
	for p.depth > 0 {
		top := &p.open[p.depth-1]
		if !attribute {
			top.left--
		}
		if top.left > 0 {
			return false
		}
		attribute = top.attribute
		p.depth--
	}
	return true
}

func (p *Parser) frame(buf []byte) protocol.Frame {
	end := p.last
	if isAggregate(p.kind) {
		end = p.pos
	}
	return protocol.Frame{Kind: p.kind, Data: buf[p.first:end:end]}
}

// restart makes the parser ready for the next reply and returns how many bytes the last one took.
func (p *Parser) restart() int {
	n := p.pos
	p.pos, p.look = 0, 0
	return n
}

func isAggregate(kind uint8) bool {
	switch kind {
	case Array, Map, Set, Push, Attribute:
		return true
	}
	return false
}

func malformed(offset int, reason string) error {
	return &protocol.MalformedError{Format: format, Offset: offset, Reason: reason}
}

func tooLarge(what string, limit int) error {
	return fmt.Errorf("resp: %s of a reply above %d: %w", what, limit, protocol.ErrTooLarge)
}
