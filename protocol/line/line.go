// Package line parses lines of text: bytes up to a line feed, with or without a carriage return before it, as the
// line protocols of the Internet end them (RFC 5321 s.2.3.8 asks for CRLF; many servers send a bare LF). A line may be
// empty and may hold any byte but LF; a CR that stands elsewhere is a byte like any other.
//
// A frame is a line without its ending. It points into the caller's buffer; the parser holds no memory of its own.
package line

import (
	"bytes"
	"fmt"

	"sonde/protocol"
)

// MostMax is the largest Options.Max in bytes, and the default: with its CRLF the line just fits the largest buffer.
const MostMax = protocol.MaxFrameSize - 2

// Options shape a Parser. The zero value is of use.
type Options struct {
	// Max is the most bytes of a line, its ending not counted; 0 means MostMax.
	Max int
}

// Validate says what is wrong with o, in words that a user who wrote "line:max=N" understands.
func (o Options) Validate() error {
	if o.Max < 0 || o.Max > MostMax {
		return fmt.Errorf("max %d: want 1 to %d bytes", o.Max, MostMax)
	}
	return nil
}

// Parser finds lines. It belongs to one connection at a time.
type Parser struct {
	max    int
	looked int // how many bytes at the start of the buffer hold no LF
}

var _ protocol.EndParser = (*Parser)(nil)

// New returns a parser. It panics if o is not valid; see [Options.Validate].
func New(o Options) *Parser {
	if err := o.Validate(); err != nil {
		panic("line: " + err.Error())
	}
	if o.Max == 0 {
		o.Max = MostMax
	}
	return &Parser{max: o.Max}
}

// MinFrameSize implements [protocol.FrameParser]: an empty line is one LF.
func (p *Parser) MinFrameSize() int { return 1 }

// Reset implements [protocol.FrameParser].
func (p *Parser) Reset() { p.looked = 0 }

// ParseFrame implements [protocol.FrameParser]. It never returns a MalformedError.
func (p *Parser) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	window := buf[:min(len(buf), p.max+len("\r\n"))]
	i := bytes.IndexByte(window[p.looked:], '\n')
	if i < 0 {
		if len(dropCR(window)) > p.max {
			return protocol.Frame{}, 0, p.tooLarge()
		}
		p.looked = len(window)
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	end := p.looked + i
	data := dropCR(buf[:end])
	if len(data) > p.max {
		return protocol.Frame{}, 0, p.tooLarge()
	}
	p.looked = 0
	return protocol.Frame{Data: data}, end + 1, nil
}

// ParseEnd implements [protocol.EndParser]: what the peer sent behind its last LF is a line too. A CR at its end is taken
// for the first half of an ending that did not come.
func (p *Parser) ParseEnd(buf []byte) (protocol.Frame, int, error) {
	p.looked = 0
	if len(buf) == 0 {
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	return protocol.Frame{Data: dropCR(buf)}, len(buf), nil
}

func (p *Parser) tooLarge() error {
	return fmt.Errorf("line of more than %d bytes: %w", p.max, protocol.ErrTooLarge)
}

func dropCR(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\r' {
		return b[:n-1]
	}
	return b
}
