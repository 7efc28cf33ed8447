// Package delim parses frames that end with a delimiter of 1 to 16 bytes ("\r\n.\r\n", NUL). A frame is what stands
// before the first delimiter and may be empty; there is no way to quote the delimiter. Bytes behind the last delimiter
// are no frame, also when the stream ends there.
//
// A frame points into the caller's buffer; the parser holds no memory of its own but its delimiter.
package delim

import (
	"bytes"
	"fmt"

	"sonde/protocol"
)

// MostDelimiter is the most bytes of a delimiter. Those of real protocols have at most five (RFC 5321 s.4.1.1.4).
const MostDelimiter = 16

// Options shape a Parser. Delimiter must be set.
type Options struct {
	// Delimiter ends a frame: 1 to MostDelimiter bytes. New copies it.
	Delimiter []byte
	// Max is the most bytes of a frame, the delimiter not counted; 0 means as many as fit the largest buffer:
	// protocol.MaxFrameSize less the delimiter, which is also the most that Max can be.
	Max int
}

// Validate says what is wrong with o, in words that a user who wrote "delim:TEXT" understands.
func (o Options) Validate() error {
	switch n := len(o.Delimiter); {
	case n == 0:
		return fmt.Errorf("the delimiter is empty: want 1 to %d bytes", MostDelimiter)
	case n > MostDelimiter:
		return fmt.Errorf("the delimiter has %d bytes: want 1 to %d", n, MostDelimiter)
	case o.Max < 0 || o.Max > protocol.MaxFrameSize-n:
		return fmt.Errorf("max %d: want 1 to %d bytes", o.Max, protocol.MaxFrameSize-n)
	}
	return nil
}

// Parser finds delimited frames. It belongs to one connection at a time.
type Parser struct {
	delimiter []byte
	max       int
	looked    int // no delimiter begins in so many bytes at the start of the buffer
}

var _ protocol.FrameParser = (*Parser)(nil)

// New returns a parser. It panics if o is not valid; see [Options.Validate].
func New(o Options) *Parser {
	if err := o.Validate(); err != nil {
		panic("delim: " + err.Error())
	}
	if o.Max == 0 {
		o.Max = protocol.MaxFrameSize - len(o.Delimiter)
	}
	return &Parser{delimiter: bytes.Clone(o.Delimiter), max: o.Max}
}

// MinFrameSize implements [protocol.FrameParser]: an empty frame is its delimiter.
func (p *Parser) MinFrameSize() int { return len(p.delimiter) }

// Reset implements [protocol.FrameParser].
func (p *Parser) Reset() { p.looked = 0 }

// ParseFrame implements [protocol.FrameParser]. It never returns a MalformedError.
func (p *Parser) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	window := buf[:min(len(buf), p.max+len(p.delimiter))]
	i := bytes.Index(window[p.looked:], p.delimiter)
	if i < 0 {
		if len(window) == p.max+len(p.delimiter) {
			return protocol.Frame{}, 0, fmt.Errorf("no delimiter behind %d bytes: %w", p.max, protocol.ErrTooLarge)
		}
		// The last bytes may be the start of a delimiter.
		p.looked = max(p.looked, len(window)-len(p.delimiter)+1)
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	end := p.looked + i
	p.looked = 0
	return protocol.Frame{Data: buf[:end]}, end + len(p.delimiter), nil
}
