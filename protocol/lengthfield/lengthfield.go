// Package lengthfield parses binary frames whose header holds their length: most binary protocols over TCP. It reads
// the header, judges the length, and only then waits for the rest; the judgement never depends on what follows.
//
// The settings are those of Netty's LengthFieldBasedFrameDecoder, so that its well-known recipes can be used:
//
//	 offset      size     the bytes that the length counts (with adjust 0)
//	|--------|---------|------------------------------------|
//	| header | length  | body                               |
//	|--------|---------|------------------------------------|
//
//	frame = offset + size + length + adjust      bytes in all, at most Max
//
// So with adjust 0 the length counts what stands behind it. If it counts itself, or the whole frame, adjust is negative
// (-size, -(offset+size)); if more header stands between the length and what it counts, adjust is the size of that.
// The length is unsigned. A frame that would end before its length field does is malformed; so is one that is shorter than
// what is to be stripped.
//
// A frame points into the caller's buffer; the parser holds no memory of its own.
package lengthfield

import (
	"encoding/binary"
	"fmt"

	"sonde/protocol"
)

// format is the parser's name in its errors.
const format = "lengthfield"

// DefaultSize is the size in bytes of the length field if Options has none.
const DefaultSize = 4

// Options shape a Parser. The zero value is a big-endian length of four bytes, then as many bytes.
type Options struct {
	// Offset is where the length field begins, in bytes from the start of the frame.
	Offset int
	// Size is how many bytes the length field has: 1, 2, 3, 4 or 8; 0 means DefaultSize.
	Size int
	// LittleEndian says that the length's first byte is its lowest. The default is network order (RFC 1700).
	LittleEndian bool
	// Adjust is added to the length; it may be negative. At most protocol.MaxFrameSize either way.
	Adjust int
	// Max is the most bytes of a frame, its header counted; 0 means protocol.MaxFrameSize, which is also the most.
	Max int
	// Strip is how many bytes are left out at the start of Frame.Data: offset+size leaves the body. 0 leaves all.
	Strip int
}

// Validate says what is wrong with o, in words that a user who wrote "len:offset=N,size=N,..." understands.
func (o Options) Validate() error {
	o = o.withDefaults()
	switch o.Size {
	case 1, 2, 3, 4, 8:
	default:
		return fmt.Errorf("size %d: a length has 1, 2, 3, 4 or 8 bytes", o.Size)
	}
	if o.Max < 1 || o.Max > protocol.MaxFrameSize {
		return fmt.Errorf("max %d: want 1 to %d bytes", o.Max, protocol.MaxFrameSize)
	}
	if o.Offset < 0 || o.Offset > o.Max-o.Size {
		return fmt.Errorf("offset %d: want 0 to %d, so that the length field ends within max", o.Offset, o.Max-o.Size)
	}
	if most := o.Max - o.Offset - o.Size; o.Adjust < -protocol.MaxFrameSize || o.Adjust > most {
		return fmt.Errorf("adjust %d: want %d to %d; above that every frame is longer than max", o.Adjust, -protocol.MaxFrameSize, most)
	}
	if o.Strip < 0 || o.Strip > o.Max {
		return fmt.Errorf("strip %d: want 0 to max (%d)", o.Strip, o.Max)
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Size == 0 {
		o.Size = DefaultSize
	}
	if o.Max == 0 {
		o.Max = protocol.MaxFrameSize
	}
	return o
}

// Parser finds frames by their length. It belongs to one connection at a time.
type Parser struct {
	o    Options
	need int // size of the frame whose header was read and accepted; 0 before that
}

var _ protocol.FrameParser = (*Parser)(nil)

// New returns a parser. It panics if o is not valid; see [Options.Validate].
func New(o Options) *Parser {
	if err := o.Validate(); err != nil {
		panic("lengthfield: " + err.Error())
	}
	return &Parser{o: o.withDefaults()}
}

// MinFrameSize implements [protocol.FrameParser]: the header up to the length, and once that is read the whole frame.
func (p *Parser) MinFrameSize() int { return max(p.need, p.o.Offset+p.o.Size) }

// Reset implements [protocol.FrameParser].
func (p *Parser) Reset() { p.need = 0 }

// ParseFrame implements [protocol.FrameParser].
func (p *Parser) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	if p.need == 0 {
		if len(buf) < p.o.Offset+p.o.Size {
			return protocol.Frame{}, 0, protocol.ErrIncomplete
		}
		size, err := p.o.frameSize(buf)
		if err != nil {
			return protocol.Frame{}, 0, err
		}
		p.need = size
	}
	if len(buf) < p.need {
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	size := p.need
	p.need = 0
	return protocol.Frame{Data: buf[p.o.Strip:size]}, size, nil
}

// frameSize reads the length in buf, which holds all of it, and returns the size of the whole frame.
func (o Options) frameSize(buf []byte) (int, error) {
	length := o.length(buf[o.Offset : o.Offset+o.Size])
	// Adjust is at least -MaxFrameSize, so a length above this is above Max whatever is added; below it the sum is far
	// from overflowing.
	const sane = 2*protocol.MaxFrameSize + 1
	if length > sane {
		return 0, o.tooLarge(length)
	}
	header := o.Offset + o.Size
	size := header + int(length) + o.Adjust
	switch {
	case size > o.Max:
		return 0, o.tooLarge(length)
	case size < header:
		return 0, &protocol.MalformedError{Format: format, Offset: o.Offset, Reason: fmt.Sprintf(
			"length %d (adjust %d) ends the frame inside its header of %d bytes", length, o.Adjust, header)}
	case size < o.Strip:
		return 0, &protocol.MalformedError{Format: format, Offset: o.Offset, Reason: fmt.Sprintf(
			"length %d makes a frame of %d bytes, less than the %d to strip", length, size, o.Strip)}
	}
	return size, nil
}

// length decodes the length field b.
func (o Options) length(b []byte) uint64 {
	var wide [8]byte
	if o.LittleEndian {
		copy(wide[:], b)
		return binary.LittleEndian.Uint64(wide[:])
	}
	copy(wide[len(wide)-len(b):], b)
	return binary.BigEndian.Uint64(wide[:])
}

func (o Options) tooLarge(length uint64) error {
	return fmt.Errorf("length %d makes a frame of more than %d bytes: %w", length, o.Max, protocol.ErrTooLarge)
}
