// Package fixed parses frames that all have the same number of bytes. Any bytes will do, so there is nothing malformed
// and no limit but the size. A frame points into the caller's buffer.
package fixed

import (
	"fmt"

	"sonde/protocol"
)

// Options shape a Parser. Size must be set.
type Options struct {
	// Size is the number of bytes of each frame, 1 to protocol.MaxFrameSize.
	Size int
}

// Validate says what is wrong with o, in words that a user who wrote "fixed:size=N" understands.
func (o Options) Validate() error {
	if o.Size < 1 || o.Size > protocol.MaxFrameSize {
		return fmt.Errorf("size %d: want 1 to %d bytes", o.Size, protocol.MaxFrameSize)
	}
	return nil
}

// Parser cuts a stream into frames of one size. It has no state and may be used by many connections.
type Parser struct{ size int }

var _ protocol.FrameParser = (*Parser)(nil)

// New returns a parser. It panics if o is not valid; see [Options.Validate].
func New(o Options) *Parser {
	if err := o.Validate(); err != nil {
		panic("fixed: " + err.Error())
	}
	return &Parser{size: o.Size}
}

// MinFrameSize implements [protocol.FrameParser].
func (p *Parser) MinFrameSize() int { return p.size }

// Reset implements [protocol.FrameParser].
func (p *Parser) Reset() {}

// ParseFrame implements [protocol.FrameParser]. It returns no error but ErrIncomplete.
func (p *Parser) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	if len(buf) < p.size {
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	return protocol.Frame{Data: buf[:p.size]}, p.size, nil
}
