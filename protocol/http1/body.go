package http1

import (
	"bytes"
	"math"

	"sonde/protocol"
)

// chooseBody decides what follows the head, by the rules of RFC 9112 s.6.3 in their order. A response that has its length
// told twice in different ways is malformed: a server and what stands before it may take it differently.
func (p *Parser) chooseBody() error {
	length, err := p.contentLength()
	if err != nil {
		return err
	}
	coding, err := p.transferCoding()
	if err != nil {
		return err
	}
	p.length = length
	p.hasBody = true
	switch {
	case p.status == 101:
		p.hasBody = false
		p.state = switched
	case p.HeadRequest || p.status < 200 || p.status == 204 || p.status == 304:
		p.hasBody = false
	case coding == chunkedLast:
		p.state = inChunks
	case coding == otherLast || length < 0:
		p.state = untilEnd
	case length == 0:
		p.hasBody = false
	default:
		p.left = length
		p.state = inLength
	}
	p.persists = p.state != untilEnd && p.state != switched && p.keepsAlive()
	return nil
}

// keepsAlive reads the connection options: "close" ends the connection whatever else there is, and HTTP/1.0 keeps it only
// if it says so (RFC 9112 s.9.3).
func (p *Parser) keepsAlive() bool {
	keep := p.minor > 0
	if !p.mayHave("Connection") {
		return keep
	}
	for i := range p.fields {
		f := &p.fields[i]
		if !p.named(f, "Connection") {
			continue
		}
		for more, list := true, p.value(f); more; {
			var item []byte
			item, list, more = cutList(list)
			switch {
			case equalFold(item, "close"):
				return false
			case equalFold(item, "keep-alive"):
				keep = true
			}
		}
	}
	return keep
}

// contentLength returns the value of Content-Length, -1 if there is none. The same number several times is taken as one
// (RFC 9112 s.6.3, rule 5).
func (p *Parser) contentLength() (int64, error) {
	length := int64(-1)
	if !p.mayHave("Content-Length") {
		return length, nil
	}
	for i := range p.fields {
		f := &p.fields[i]
		if !p.named(f, "Content-Length") {
			continue
		}
		for more, list := true, p.value(f); more; {
			var item []byte
			item, list, more = cutList(list)
			n, ok := parseLength(item)
			switch {
			case !ok:
				return 0, malformed(int(f.name), "Content-Length is not a number below 2^63")
			case length >= 0 && n != length:
				return 0, malformed(int(f.name), "two different lengths in Content-Length")
			}
			length = n
		}
	}
	return length, nil
}

// coding says what Transfer-Encoding means for where the body ends.
type coding uint8

const (
	noCoding    coding = iota
	chunkedLast        // chunked framing
	otherLast          // a coding without an end of its own: the body ends with the connection
)

// transferCoding reads the list of transfer codings (RFC 9112 s.6.1).
func (p *Parser) transferCoding() (coding, error) {
	c := noCoding
	if !p.mayHave("Transfer-Encoding") {
		return c, nil
	}
	chunked := false
	for i := range p.fields {
		f := &p.fields[i]
		if !p.named(f, "Transfer-Encoding") {
			continue
		}
		if p.minor == 0 {
			return 0, malformed(int(f.name), "Transfer-Encoding in HTTP/1.0")
		}
		for more, list := true, p.value(f); more; {
			var item []byte
			item, list, more = cutList(list)
			switch {
			case len(item) == 0:
				continue // empty elements of a list are ignored (RFC 9110 s.5.6.1.2)
			case equalFold(item, "chunked"):
				if chunked {
					return 0, malformed(int(f.name), "chunked twice in Transfer-Encoding")
				}
				chunked = true
				c = chunkedLast
			default:
				c = otherLast
			}
		}
		if p.Header("Content-Length") != nil {
			return 0, malformed(int(f.name), "both Transfer-Encoding and Content-Length") // RFC 9112 s.6.3, rule 3
		}
	}
	return c, nil
}

// cutList takes the first element off a comma-separated list.
func cutList(list []byte) (item, rest []byte, more bool) {
	item, rest, more = bytes.Cut(list, []byte(","))
	start, end := trim(item, 0, len(item))
	return item[start:end], rest, more
}

// parseLength reads 1*DIGIT (RFC 9110 s.8.6).
func parseLength(b []byte) (int64, bool) {
	n := int64(0)
	for _, c := range b {
		if !isDigit(c) || n > (math.MaxInt64-int64(c-'0'))/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(b) > 0
}

// parseChunk hands out the next part of a chunked body (RFC 9112 s.7.1). The framing in front of a part is taken together
// with its first byte, so that each frame takes at least one byte and holds at least one, but for the last.
func (p *Parser) parseChunk(buf []byte) (protocol.Frame, int, error) {
	if p.state == inChunk {
		return p.takeBody(buf, 0)
	}
	start := 0
	if p.state == afterData {
		for i, c := range []byte("\r\n") {
			if i >= len(buf) {
				return protocol.Frame{}, 0, protocol.ErrIncomplete
			}
			if buf[i] != c {
				return protocol.Frame{}, 0, malformed(i, "no CRLF behind a chunk")
			}
		}
		start = 2
	}
	size, first, err := p.chunkLine(buf, start)
	if err != nil {
		return protocol.Frame{}, 0, err
	}
	if size == 0 {
		return p.parseTrailers(buf, first)
	}
	if first == len(buf) {
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	p.state = inChunk
	p.left = size
	return p.takeBody(buf, first)
}

// chunkLine reads a chunk's size and passes over its extensions. The line must end in CRLF: the leave to take LF alone
// (RFC 9112 s.2.2) is for the status line and fields only. next is where the chunk's data begins.
func (p *Parser) chunkLine(buf []byte, start int) (size int64, next int, err error) {
	digits := start
	for ; digits < len(buf) && digits < start+MaxChunkLine; digits++ {
		d, ok := hexDigit(buf[digits])
		if !ok {
			break
		}
		if size > math.MaxInt64>>4 {
			return 0, 0, malformed(digits, "chunk size above 2^63")
		}
		size = size<<4 | d
	}
	if digits < len(buf) && digits < start+MaxChunkLine {
		c := buf[digits]
		if digits == start || c != '\r' && c != ';' && !isSpace(c) {
			return 0, 0, malformed(digits, "chunk size is not a hexadecimal number")
		}
	}
	for i := digits; i < len(buf) && i < start+MaxChunkLine; i++ {
		switch buf[i] {
		case '\n', 0:
			return 0, 0, malformed(i, "LF alone or NUL in a chunk's size line")
		case '\r':
			if i+1 == len(buf) {
				return 0, 0, protocol.ErrIncomplete
			}
			if buf[i+1] != '\n' {
				return 0, 0, malformed(i, "CR alone in a chunk's size line")
			}
			return size, i + 2, nil
		}
	}
	if len(buf) >= start+MaxChunkLine {
		return 0, 0, tooLarge("bytes of a chunk's size line", MaxChunkLine)
	}
	return 0, 0, protocol.ErrIncomplete
}

// parseTrailers reads the trailer section, from first on (RFC 9112 s.7.1.2). Its fields are checked and dropped, which a
// recipient may do: nothing a probe reports may come from them.
func (p *Parser) parseTrailers(buf []byte, first int) (protocol.Frame, int, error) {
	if p.line == 0 {
		p.line = first
		p.lines = 0
	}
	for {
		end, next, err := p.nextLine(buf, first, MaxHeadSize)
		if err != nil {
			return protocol.Frame{}, 0, err
		}
		if end == p.line {
			p.line, p.look = 0, 0
			p.state = inHead
			return protocol.Frame{Kind: End, Data: buf[next:next]}, next, nil
		}
		switch {
		case isSpace(buf[p.line]) && p.lines == 0:
			return protocol.Frame{}, 0, malformed(p.line, "whitespace before the first trailer field")
		case isSpace(buf[p.line]): // folded
		default:
			if _, err := splitField(buf, p.line, end); err != nil {
				return protocol.Frame{}, 0, err
			}
			if p.lines == MaxFields {
				return protocol.Frame{}, 0, tooLarge("number of trailer fields", MaxFields)
			}
			p.lines++
		}
		p.line = next
	}
}

func hexDigit(c byte) (int64, bool) {
	switch {
	case isDigit(c):
		return int64(c - '0'), true
	case 'a' <= c && c <= 'f':
		return int64(c-'a') + 10, true
	case 'A' <= c && c <= 'F':
		return int64(c-'A') + 10, true
	}
	return 0, false
}
