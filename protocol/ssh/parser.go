// Package ssh finds the lines of an SSH server's identification exchange (RFC 4253 s.4.2): the lines a server may send
// first, and its identification. The binary packets that follow are not parsed.
package ssh

import (
	"bytes"
	"fmt"

	"sonde/protocol"
)

// Kinds of frames. Data is the line without its end.
const (
	// Preamble is a line before the identification: any text that does not begin with "SSH-".
	Preamble uint8 = iota + 1
	// Identification is "SSH-protoversion-softwareversion SP comments".
	Identification
)

// Limits.
const (
	// MaxIdentification is the most bytes of an identification with its line end (RFC 4253 s.4.2). A longer one is
	// malformed.
	MaxIdentification = 255
	// MaxPreambleLine is the most bytes of a line before the identification with its line end, and MaxPreambleLines how
	// many there may be. RFC 4253 sets no limit; these are what OpenSSH's client takes. Above them is
	// [protocol.ErrTooLarge].
	MaxPreambleLine  = 8192
	MaxPreambleLines = 1024
)

const (
	format = "ssh"
	prefix = "SSH-" // RFC 4253 s.4.2
)

// Parser is a [protocol.FrameParser] for what a server sends first. The zero Parser is ready for use. Its accessors tell
// about the Identification that ParseFrame returned last and are valid until the next call.
type Parser struct {
	look  int // how far the line under way was searched for its end
	lines int // preamble lines so far
	done  bool

	version, software, comments []byte
}

var _ protocol.FrameParser = (*Parser)(nil)

// ParseFrame implements [protocol.FrameParser]. Behind the identification any byte is malformed.
func (p *Parser) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	p.version, p.software, p.comments = nil, nil, nil
	if p.done && len(buf) > 0 {
		return protocol.Frame{}, 0, malformed(0, "binary packets follow the identification")
	}
	limit := MaxPreambleLine
	identification := len(buf) >= len(prefix) && string(buf[:len(prefix)]) == prefix
	if identification {
		limit = MaxIdentification
	}
	window := buf[:min(len(buf), limit)]
	lf := bytes.IndexByte(window[p.look:], '\n')
	end := len(window)
	if lf >= 0 {
		end = p.look + lf
	}
	if nul := bytes.IndexByte(window[p.look:end], 0); nul >= 0 {
		return protocol.Frame{}, 0, malformed(p.look+nul, "NUL in a line") // RFC 4253 s.4.2: it must not be sent
	}
	switch {
	case lf < 0 && len(window) < limit:
		p.look = len(window)
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	case lf < 0 && identification:
		return protocol.Frame{}, 0, malformed(limit-1, "identification above 255 bytes")
	case lf < 0:
		return protocol.Frame{}, 0, fmt.Errorf("ssh: line of %d bytes before the identification: %w", limit, protocol.ErrTooLarge)
	}
	line := bytes.TrimSuffix(buf[:end], []byte("\r"))
	f := protocol.Frame{Kind: Preamble, Data: line}
	if identification {
		if err := p.identify(line); err != nil {
			return protocol.Frame{}, 0, err
		}
		f.Kind = Identification
		p.done = true
	} else if p.lines++; p.lines > MaxPreambleLines {
		p.lines--
		return protocol.Frame{}, 0, fmt.Errorf("ssh: %d lines before the identification: %w", p.lines, protocol.ErrTooLarge)
	}
	p.look = 0
	return f, end + 1, nil
}

// identify takes an identification apart. It takes software versions that hold a minus sign, which RFC 4253 s.4.2 forbids
// and many products send, and any bytes in the comments.
func (p *Parser) identify(line []byte) error {
	version, rest, found := bytes.Cut(line[len(prefix):], []byte("-"))
	if !found || len(version) == 0 {
		return malformed(len(prefix), "no protocol version")
	}
	for i, c := range version {
		if !isDigit(c) && (c != '.' || i == 0) {
			return malformed(len(prefix)+i, "protocol version is not a number")
		}
	}
	software, comments, _ := bytes.Cut(rest, []byte(" "))
	at := len(prefix) + len(version) + 1
	if len(software) == 0 {
		return malformed(at, "no software version")
	}
	for i, c := range software {
		if c <= ' ' || c >= 0x7f {
			return malformed(at+i, "software version is not printable US-ASCII")
		}
	}
	p.version, p.software, p.comments = version, software, comments
	return nil
}

// ProtoVersion is the protocol version: "2.0", "1.99" for a server that speaks 1.x too (RFC 4253 s.5.1), or an older one.
func (p *Parser) ProtoVersion() []byte { return p.version }

// Software is the software version ("OpenSSH_9.2p1").
func (p *Parser) Software() []byte { return p.software }

// Comments is what follows the first space ("Debian-2"), often empty.
func (p *Parser) Comments() []byte { return p.comments }

// MinFrameSize implements [protocol.FrameParser]: an empty line is one byte.
func (p *Parser) MinFrameSize() int { return 1 }

// Reset implements [protocol.FrameParser].
func (p *Parser) Reset() { *p = Parser{} }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func malformed(offset int, reason string) error {
	return &protocol.MalformedError{Format: format, Offset: offset, Reason: reason}
}
