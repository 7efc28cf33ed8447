package reply

import (
	"bytes"
	"iter"

	"sonde/protocol"
)

// Dialect tells apart the protocols whose replies begin with a code of three digits.
type Dialect uint8

const (
	// SMTP: each line of a reply begins with the code, which is 200 to 599 (RFC 5321 s.4.2, s.4.2.1).
	SMTP Dialect = iota
	// FTP: only the first line of a reply must begin with the code, 100 to 699, and the reply ends with the line that
	// begins with the same code and a space (RFC 959 s.4.2, RFC 2228 s.5 for 6xx).
	FTP
)

// String returns the parser's name in errors.
func (d Dialect) String() string { return [...]string{"smtp", "ftp"}[d] }

// Code is a [protocol.FrameParser] for replies with a code. Data of a frame is the reply as it came without its last line
// end. The zero Code is ready for use and reads SMTP. Its accessors tell about the reply that ParseFrame returned last;
// they are valid until the next call.
type Code struct {
	// Dialect is set before the first ParseFrame; Reset keeps it.
	Dialect Dialect

	at    lines
	code  int // of the reply under way
	reply []byte
}

var _ protocol.FrameParser = (*Code)(nil)

// ParseFrame implements [protocol.FrameParser].
func (p *Code) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	p.reply = nil
	format := p.Dialect.String()
	for {
		if p.at.start == 0 || p.Dialect == SMTP {
			if err := p.checkStart(buf[min(p.at.start, len(buf)):]); err != nil {
				return protocol.Frame{}, 0, err
			}
		}
		end, next, err := p.at.next(format, buf)
		if err != nil {
			return protocol.Frame{}, 0, err
		}
		line := buf[p.at.start:end]
		code, separator := splitCode(line)
		switch {
		case p.at.start > 0 && p.Dialect == FTP:
		case code == 0:
			return protocol.Frame{}, 0, malformed(format, end, "line without a code")
		case p.at.start > 0 && code != p.code:
			return protocol.Frame{}, 0, malformed(format, p.at.start, "two codes in one reply")
		}
		if p.at.start == 0 {
			p.code = code
		}
		if code == p.code && separator == ' ' {
			p.at = lines{}
			p.reply = buf[:end:end]
			return protocol.Frame{Data: p.reply}, next, nil
		}
		p.at.step(next)
	}
}

// checkStart turns a line down at the first byte that can't belong to a code and its separator.
func (p *Code) checkStart(line []byte) error {
	low, high := byte('2'), byte('5')
	if p.Dialect == FTP {
		low, high = '1', '6'
	}
	for i, c := range line[:min(len(line), 4)] {
		switch {
		case i == 0 && (c < low || c > high):
			return malformed(p.Dialect.String(), p.at.start, "not a reply code")
		case i < 3 && !isDigit(c):
			return malformed(p.Dialect.String(), p.at.start+i, "not a reply code")
		case i == 3 && c != ' ' && c != '-' && c != '\r' && c != '\n':
			return malformed(p.Dialect.String(), p.at.start+i, "neither space nor minus behind the code")
		}
	}
	return nil
}

// splitCode returns the code that line begins with, 0 if none, and what separates it from the text. A code alone counts
// as one with a space (RFC 5321 s.4.2).
func splitCode(line []byte) (code int, separator byte) {
	if len(line) < 3 || !isDigit(line[0]) || !isDigit(line[1]) || !isDigit(line[2]) {
		return 0, 0
	}
	separator = ' '
	if len(line) > 3 {
		separator = line[3]
	}
	return int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0'), separator
}

// Code is the reply's code, 100 to 699; 0 before the first reply.
func (p *Code) Code() int { return p.code }

// Lines yields the text of each line without its end and without its code and separator if it has them.
func (p *Code) Lines() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest, more := p.reply, p.reply != nil; more; {
			var line []byte
			line, rest, more = bytes.Cut(rest, []byte("\n"))
			line = cutCR(line)
			if code, separator := splitCode(line); code == p.code && (separator == ' ' || separator == '-') {
				line = line[min(4, len(line)):]
			}
			if !yield(line) {
				return
			}
		}
	}
}

// MinFrameSize implements [protocol.FrameParser]. It is 1 although a reply has four bytes: the first byte tells most
// other protocols apart.
func (p *Code) MinFrameSize() int { return 1 }

// Reset implements [protocol.FrameParser].
func (p *Code) Reset() { *p = Code{Dialect: p.Dialect} }
