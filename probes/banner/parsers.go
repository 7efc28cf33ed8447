package banner

import (
	"fmt"

	"sonde/protocol"
)

// chunkParser hands out whatever has come, at most the largest frame at a time: its frames are pieces of a stream that
// has no edges. It has no state.
type chunkParser struct{}

var _ protocol.FrameParser = chunkParser{}

// MinFrameSize implements [protocol.FrameParser].
func (chunkParser) MinFrameSize() int { return 1 }

// Reset implements [protocol.FrameParser].
func (chunkParser) Reset() {}

// ParseFrame implements [protocol.FrameParser].
func (chunkParser) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	if len(buf) == 0 {
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	n := min(len(buf), protocol.MaxFrameSize)
	return protocol.Frame{Data: buf[:n]}, n, nil
}

// limitParser holds another parser to the user's byte limit: a frame must end, framing and all, within max bytes. Without
// it a peer that never ends its frame would be heard up to the parser's own limit.
type limitParser struct {
	inner protocol.FrameParser
	max   int
}

var _ protocol.EndParser = (*limitParser)(nil)

// MinFrameSize implements [protocol.FrameParser]. It is never above max: at max bytes there is something to say.
func (p *limitParser) MinFrameSize() int { return min(p.inner.MinFrameSize(), p.max) }

// Reset implements [protocol.FrameParser].
func (p *limitParser) Reset() { p.inner.Reset() }

// ParseFrame implements [protocol.FrameParser].
func (p *limitParser) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	// The inner parser sees no byte above the limit, so that its answer does not depend on how many came at once.
	f, n, err := p.inner.ParseFrame(buf[:min(len(buf), p.max)])
	if err == protocol.ErrIncomplete && len(buf) >= p.max {
		return protocol.Frame{}, 0, fmt.Errorf("no whole frame in %d bytes: %w", p.max, protocol.ErrTooLarge)
	}
	return f, n, err
}

// ParseEnd implements [protocol.EndParser] for an inner parser that may be one.
func (p *limitParser) ParseEnd(buf []byte) (protocol.Frame, int, error) {
	if inner, ok := p.inner.(protocol.EndParser); ok {
		return inner.ParseEnd(buf)
	}
	return protocol.Frame{}, 0, protocol.ErrIncomplete
}
