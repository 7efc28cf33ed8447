package http1

import (
	"bytes"

	"sonde/protocol"
)

// field is where a field lies in the head.
type field struct {
	name, nameEnd   offset
	value, valueEnd offset
	flat, flatEnd   offset // of a value that is folded: where it lies in Parser.unfolded
	folded          bool   // the value spans lines
}

// offset is a place in a head, or in the trailer section behind a chunk's line: at most MaxHeadSize + MaxChunkLine + 2.
type offset = uint16

// protocolName begins every response (RFC 9112 s.2.3).
const protocolName = "HTTP/"

// parseHead reads the head line by line; what was read stays read when the next bytes are not there yet.
func (p *Parser) parseHead(buf []byte) (protocol.Frame, int, error) {
	for {
		if p.line == 0 {
			if err := checkName(buf); err != nil {
				return protocol.Frame{}, 0, err
			}
		}
		end, next, err := p.nextLine(buf, 0, MaxHeadSize)
		if err != nil {
			return protocol.Frame{}, 0, err
		}
		switch {
		case p.line == 0:
			err = p.statusLine(buf[:end])
		case end == p.line:
			return p.finishHead(buf, next)
		default:
			err = p.fieldLine(buf, end)
		}
		if err != nil {
			return protocol.Frame{}, 0, err
		}
		p.line = next
	}
}

// checkName turns down, from its first byte on, what is not HTTP.
func checkName(buf []byte) error {
	for i := range min(len(buf), len(protocolName)) {
		if buf[i] != protocolName[i] {
			return malformed(i, "not an HTTP status line")
		}
	}
	return nil
}

// nextLine finds the line that begins at p.line: where its content ends and the next line begins. The end is CRLF, or LF
// alone (RFC 9112 s.2.2). Lines from offset first on may have limit bytes in all.
func (p *Parser) nextLine(buf []byte, first, limit int) (end, next int, err error) {
	p.look = max(p.look, p.line)
	i := bytes.IndexByte(buf[p.look:], '\n')
	if i < 0 && len(buf)-first < limit {
		p.look = len(buf)
		return 0, 0, protocol.ErrIncomplete
	}
	next = p.look + i + 1
	if i < 0 || next-first > limit {
		return 0, 0, tooLarge("head or trailer size in bytes", limit)
	}
	end = next - 1
	if end > p.line && buf[end-1] == '\r' {
		end--
	}
	// CR alone and NUL make a line mean different things to different readers (RFC 9112 s.2.2, RFC 9110 s.5.5).
	line := buf[p.line:end]
	j := bytes.IndexByte(line, '\r')
	if j < 0 {
		j = bytes.IndexByte(line, 0)
	}
	if j >= 0 {
		return 0, 0, malformed(p.line+j, "CR or NUL in a line")
	}
	return end, next, nil
}

// statusLine reads "HTTP/1.1 200 OK" (RFC 9112 s.4). The space behind the code may be missing with the reason phrase:
// the grammar wants it, but many servers leave it out and nothing depends on it.
func (p *Parser) statusLine(line []byte) error {
	const code = len("HTTP/1.1 ")
	switch {
	case len(line) < code+3:
		return malformed(len(line), "status line too short")
	case line[5] != '1' || line[6] != '.' || !isDigit(line[7]):
		return malformed(5, "version is not 1.x")
	case line[8] != ' ':
		return malformed(8, "no space after the version")
	case line[code] < '1' || !isDigit(line[code]) || !isDigit(line[code+1]) || !isDigit(line[code+2]):
		return malformed(code, "status code is not three digits, 100 or above")
	case len(line) > code+3 && line[code+3] != ' ':
		return malformed(code+3, "no space after the status code")
	}
	p.minor = line[7] - '0'
	p.status = int(line[code]-'0')*100 + int(line[code+1]-'0')*10 + int(line[code+2]-'0')
	p.reason = min(code+4, len(line))
	p.reasonEnd = len(line)
	p.fields = p.fields[:0]
	p.lengths = 0
	p.unfolded = p.unfolded[:0]
	return nil
}

// fieldLine notes the line from p.line to end (RFC 9112 s.5).
func (p *Parser) fieldLine(buf []byte, end int) error {
	if isSpace(buf[p.line]) {
		return p.foldedLine(buf, end)
	}
	f, err := splitField(buf, p.line, end)
	if err != nil {
		return err
	}
	if len(p.fields) == MaxFields {
		return tooLarge("number of fields", MaxFields)
	}
	p.fields = append(p.fields, f)
	p.lengths |= 1 << min(f.nameEnd-f.name, 63)
	return nil
}

// foldedLine adds a continuation line to the field before it (obs-fold, RFC 9112 s.5.2: a user agent must take it).
func (p *Parser) foldedLine(buf []byte, end int) error {
	if len(p.fields) == 0 {
		return malformed(p.line, "whitespace before the first field") // RFC 9112 s.2.2
	}
	if _, e := trim(buf, p.line, end); e > p.line {
		f := &p.fields[len(p.fields)-1]
		f.folded = true
		f.valueEnd = offset(e)
	}
	return nil
}

// splitField takes the line from start to end apart at its colon. Whitespace before the colon is cut off, as RFC 9112
// s.5.1 has it for responses.
func splitField(buf []byte, start, end int) (field, error) {
	nameEnd := start
	for nameEnd < end && tchars[buf[nameEnd]] {
		nameEnd++
	}
	colon := nameEnd
	for colon < end && isSpace(buf[colon]) {
		colon++
	}
	if colon == end || buf[colon] != ':' {
		if bytes.IndexByte(buf[start:end], ':') < 0 {
			return field{}, malformed(start, "field without a colon")
		}
		return field{}, malformed(nameEnd, "field name is not a token")
	}
	if nameEnd == start {
		return field{}, malformed(start, "field without a name")
	}
	value, valueEnd := trim(buf, colon+1, end)
	return field{name: offset(start), nameEnd: offset(nameEnd), value: offset(value), valueEnd: offset(valueEnd)}, nil
}

// finishHead is at the empty line, which ends at next.
func (p *Parser) finishHead(buf []byte, next int) (protocol.Frame, int, error) {
	p.unfolded = p.unfolded[:0]
	for i := range p.fields {
		if f := &p.fields[i]; f.folded {
			f.flat = offset(len(p.unfolded))
			p.unfolded = appendUnfolded(p.unfolded, buf[f.value:f.valueEnd])
			f.flatEnd = offset(len(p.unfolded))
		}
	}
	p.head = buf[:p.line]
	if err := p.chooseBody(); err != nil {
		p.head = nil
		return protocol.Frame{}, 0, err
	}
	p.line, p.look = 0, 0
	return protocol.Frame{Kind: Head, Data: p.head}, next, nil
}

// appendUnfolded appends a value with one space in place of each line end and the whitespace around it.
func appendUnfolded(dst, value []byte) []byte {
	first := len(dst)
	for len(value) > 0 {
		line := value
		i := bytes.IndexByte(value, '\n')
		if i >= 0 {
			line, value = value[:i], value[i+1:]
		} else {
			value = nil
		}
		line = bytes.TrimSuffix(line, []byte("\r"))
		start, end := trim(line, 0, len(line))
		if start == end {
			continue
		}
		if len(dst) > first {
			dst = append(dst, ' ')
		}
		dst = append(dst, line[start:end]...)
	}
	return dst
}

// trim cuts optional whitespace (OWS, RFC 9110 s.5.6.3) off both ends of buf[start:end].
func trim(buf []byte, start, end int) (int, int) {
	for start < end && isSpace(buf[start]) {
		start++
	}
	for end > start && isSpace(buf[end-1]) {
		end--
	}
	return start, end
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// tchars are the bytes that a token is made of (RFC 9110 s.5.6.2).
var tchars = func() (t [256]bool) {
	for c := range t {
		t[c] = isDigit(byte(c)) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()
