package resp

import (
	"bytes"
	"math"

	"sonde/protocol"
)

// element is a reply or a part of one: a value, or the line that opens an aggregate.
type element struct {
	kind          uint8
	data, dataEnd int  // its text
	end           int  // where it ends, with framing
	aggregate     bool // count elements follow
	count         int
}

// element reads the element that begins at start, which is inside buf.
func (p *Parser) element(buf []byte, start int) (element, error) {
	kind := buf[start]
	switch kind {
	case BulkString, BulkError, VerbatimString:
		return bulk(buf, start)
	case Array, Map, Set, Push, Attribute:
		return p.openAggregate(buf, start)
	case SimpleString, SimpleError:
		return p.line(buf, start, MaxSize, isText)
	case BigNumber:
		return p.line(buf, start, MaxSize, isInteger)
	case Integer:
		return p.line(buf, start, maxNumber, isInt64)
	case Double:
		return p.line(buf, start, maxNumber, isDouble)
	case Boolean:
		return p.line(buf, start, 1, isBoolean)
	case Null:
		return p.line(buf, start, 0, isText)
	}
	return element{}, malformed(start, "unknown type of reply")
}

// line reads an element that is one line of at most limit bytes, which must be valid.
func (p *Parser) line(buf []byte, start, limit int, valid func([]byte) bool) (element, error) {
	end, err := p.lineEnd(buf, start+1, limit)
	if err != nil {
		return element{}, err
	}
	if !valid(buf[start+1 : end]) {
		return element{}, malformed(start+1, "not a value of its type")
	}
	return element{kind: buf[start], data: start + 1, dataEnd: end, end: end + len(crlf)}, nil
}

// lineEnd finds the CRLF that ends the line from start on.
func (p *Parser) lineEnd(buf []byte, start, limit int) (int, error) {
	from := max(p.look, start)
	i := bytes.IndexByte(buf[from:], '\r')
	end := from + i
	if i < 0 {
		end = len(buf)
	}
	if end-start > limit {
		return 0, malformed(start+limit, "line too long for its type")
	}
	if lf := bytes.IndexByte(buf[from:end], '\n'); lf >= 0 {
		return 0, malformed(from+lf, "LF without CR")
	}
	if end+1 < len(buf) && buf[end+1] != '\n' {
		return 0, malformed(end, "CR without LF")
	}
	if end+1 >= len(buf) {
		p.look = end
		return 0, protocol.ErrIncomplete
	}
	return end, nil
}

// parseLength reads the number behind the type, byte by byte, so that a wrong one is turned down before its line ends. It is
// -1 for a Null of RESP2. next is where the line behind it begins.
func parseLength(buf []byte, start int) (n, next int, err error) {
	i := start + 1
	minus := i < len(buf) && buf[i] == '-'
	if minus {
		i++
	}
	first := i
	for ; i < len(buf) && isDigit(buf[i]); i++ {
		if n > (math.MaxInt32-9)/10 || i-start > maxNumber {
			return 0, 0, malformed(start+1, "length above 2^31 or too long")
		}
		n = n*10 + int(buf[i]-'0')
	}
	switch {
	case i == len(buf):
		return 0, 0, protocol.ErrIncomplete
	case i == first || buf[i] != '\r':
		return 0, 0, malformed(i, "length is not a number")
	case minus && (n != 1 || buf[start] != BulkString && buf[start] != Array):
		return 0, 0, malformed(start+1, "negative length")
	case i+1 == len(buf):
		return 0, 0, protocol.ErrIncomplete
	case buf[i+1] != '\n':
		return 0, 0, malformed(i, "CR without LF")
	}
	if minus {
		n = -1
	}
	return n, i + len(crlf), nil
}

// bulk reads a string with its length in front. The length is held against the limit before the string is there.
func bulk(buf []byte, start int) (element, error) {
	n, data, err := parseLength(buf, start)
	if err != nil {
		return element{}, err
	}
	if n < 0 {
		return element{kind: Null, data: data, dataEnd: data, end: data}, nil
	}
	if n > MaxSize-data-len(crlf) {
		return element{}, tooLarge("size in bytes", MaxSize)
	}
	end := data + n
	for i := range len(crlf) {
		if end+i < len(buf) && buf[end+i] != crlf[i] {
			return element{}, malformed(end+i, "no CRLF behind a string")
		}
	}
	if end+len(crlf) > len(buf) {
		return element{}, protocol.ErrIncomplete
	}
	if buf[start] == VerbatimString && (n < 4 || buf[data+3] != ':') {
		return element{}, malformed(data, "verbatim string without a format")
	}
	return element{kind: buf[start], data: data, dataEnd: end, end: end + len(crlf)}, nil
}

// openAggregate reads the line that says how many elements follow.
func (p *Parser) openAggregate(buf []byte, start int) (element, error) {
	if buf[start] == Push && start > 0 {
		return element{}, malformed(start, "push inside a reply")
	}
	n, next, err := parseLength(buf, start)
	if err != nil {
		return element{}, err
	}
	if n < 0 {
		return element{kind: Null, data: next, dataEnd: next, end: next}, nil
	}
	if buf[start] == Map || buf[start] == Attribute {
		n *= 2
	}
	if n > (MaxSize-next)/minElement {
		return element{}, tooLarge("number of elements times 3", MaxSize)
	}
	if p.depth == MaxDepth && n > 0 {
		return element{}, tooLarge("depth", MaxDepth)
	}
	return element{kind: buf[start], data: next, dataEnd: next, end: next, aggregate: true, count: n}, nil
}
