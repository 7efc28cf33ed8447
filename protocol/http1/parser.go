// Package http1 finds the frames of HTTP/1.x responses (RFC 9112): heads and the bodies behind them. It takes what a user
// agent must take and turns down what could be read in two ways (RFC 9112 s.6.3), so that two tools never disagree about
// where a body ends. Decoding of content (gzip) and the meaning of fields are left to the caller, as are requests.
//
// A body is handed out in parts as its bytes come, so that a buffer of any size carries a body of any size.
package http1

import (
	"fmt"

	"sonde/protocol"
)

// Kinds of frames. A message is a Head and, if [Parser.HasBody], any number of Body frames and one End.
const (
	// Head is the status line and the fields with the line ends in between, without the empty line that ends them. An
	// interim response (RFC 9110 s.15.2) is a Head of its own, before that of the final one.
	Head uint8 = iota + 1
	// Body is a part of the body, without chunk framing (RFC 9112 s.7.1); never empty.
	Body
	// End is the last part of the body; empty if the bytes that ended it carried none (the last chunk, the peer's FIN).
	End
)

// Limits. A response above them gives [protocol.ErrTooLarge].
const (
	// MaxHeadSize is the most bytes of a head with its empty line, and of the trailer section of a chunked body: half of
	// the largest buffer, and twice what common servers are willing to send.
	MaxHeadSize = protocol.MaxFrameSize / 2
	// MaxFields is the most field lines of a head or trailer section; Apache httpd takes 100.
	MaxFields = 256
	// MaxChunkLine is the most bytes of a chunk's size and extensions with the line end. Nobody uses extensions; without
	// a limit they are a way to send for ever.
	MaxChunkLine = 1024
)

// format is the name in a MalformedError.
const format = "http1"

// state is what the next bytes are.
type state uint8

const (
	inHead    state = iota
	inLength        // body of left more bytes (RFC 9112 s.6.2)
	inChunks        // before a chunk's size line (s.7.1)
	inChunk         // in a chunk's data, left more bytes
	afterData       // before the CRLF that ends a chunk's data
	untilEnd        // body that ends with the connection (s.6.3, rule 8)
	switched        // behind a 101: no longer HTTP (RFC 9110 s.15.2.2)
)

// Parser is a [protocol.EndParser] for the responses of one connection. The zero Parser is ready for use. Its accessors
// tell about the last Head that ParseFrame returned.
type Parser struct {
	// HeadRequest says that the requests were HEAD: responses have no body, whatever their fields say (RFC 9112 s.6.3,
	// rule 1). Set it before the first ParseFrame; Reset keeps it.
	HeadRequest bool

	state state
	left  int64 // bytes of body or chunk still to come
	line  int   // where the line under way begins
	look  int   // how far that line was searched for its end
	lines int   // field lines of the trailer section so far

	head      []byte // the last Head, nil once the caller's buffer is no longer ours
	fields    []field
	lengths   uint64 // bit n: there is a field whose name has n bytes; bit 63: or more
	unfolded  []byte // values of folded fields
	minor     uint8
	status    int
	reason    int   // where the reason phrase begins in the head
	reasonEnd int   // and ends
	length    int64 // Content-Length; -1 without
	hasBody   bool
	persists  bool
}

var _ protocol.EndParser = (*Parser)(nil)

// ParseFrame implements [protocol.FrameParser]. After the last frame of a message it expects the next response; after a 101
// any byte is malformed, because it belongs to another protocol.
func (p *Parser) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	p.head = nil
	if len(buf) == 0 {
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	switch p.state {
	case inHead:
		return p.parseHead(buf)
	case inLength:
		return p.takeBody(buf, 0)
	case inChunks, inChunk, afterData:
		return p.parseChunk(buf)
	case untilEnd:
		return p.takeRest(buf)
	}
	return protocol.Frame{}, 0, malformed(0, "bytes of another protocol after status 101")
}

// ParseEnd implements [protocol.EndParser]: the end of the stream ends a body that has no other end.
func (p *Parser) ParseEnd(buf []byte) (protocol.Frame, int, error) {
	p.head = nil
	if p.state != untilEnd {
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	p.state = inHead
	return protocol.Frame{Kind: End, Data: buf}, len(buf), nil
}

// MinFrameSize implements [protocol.FrameParser]. It is 1: a part of a body may be a single byte, and the first byte of
// a head already tells most other protocols apart.
func (p *Parser) MinFrameSize() int { return 1 }

// Reset implements [protocol.FrameParser].
func (p *Parser) Reset() {
	*p = Parser{HeadRequest: p.HeadRequest, fields: p.fields[:0], unfolded: p.unfolded[:0]}
}

// takeBody hands out what is there of the body or chunk under way, behind skip bytes of framing.
func (p *Parser) takeBody(buf []byte, skip int) (protocol.Frame, int, error) {
	n := min(len(buf), protocol.MaxFrameSize) - skip
	if int64(n) > p.left {
		n = int(p.left)
	}
	p.left -= int64(n)
	kind := Body
	if p.left == 0 {
		if p.state == inLength {
			p.state = inHead
			kind = End
		} else {
			p.state = afterData
		}
	}
	return protocol.Frame{Kind: kind, Data: buf[skip : skip+n]}, skip + n, nil
}

// takeRest hands out what is there of a body that ends with the connection.
func (p *Parser) takeRest(buf []byte) (protocol.Frame, int, error) {
	n := min(len(buf), protocol.MaxFrameSize)
	return protocol.Frame{Kind: Body, Data: buf[:n]}, n, nil
}

func malformed(offset int, reason string) error {
	return &protocol.MalformedError{Format: format, Offset: offset, Reason: reason}
}

func tooLarge(what string, limit int) error {
	return fmt.Errorf("http1: %s above %d: %w", what, limit, protocol.ErrTooLarge)
}
