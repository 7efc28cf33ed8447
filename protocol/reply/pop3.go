package reply

import (
	"bytes"
	"iter"

	"sonde/protocol"
)

// Status indicators of POP3 (RFC 1939 s.3).
const (
	positive = "+OK"
	negative = "-ERR"
)

// POP3 is a [protocol.FrameParser] for the responses of a POP3 server (RFC 1939 s.3). Data of a frame is the response as
// it came, without its last line end. The zero POP3 is ready for use. Its accessors tell about the response that
// ParseFrame returned last; they are valid until the next call.
type POP3 struct {
	// MultiLine says that the next response, if positive, goes on to a line with a single dot: only the command tells
	// (RFC 1939 s.3). Set it when the command is sent; each response clears it, and so does Reset.
	MultiLine bool

	at    lines
	ok    bool
	reply []byte // without the line of the dot
}

var _ protocol.FrameParser = (*POP3)(nil)

// ParseFrame implements [protocol.FrameParser].
func (p *POP3) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	p.reply = nil
	for {
		if p.at.start == 0 {
			if err := checkIndicator(buf); err != nil {
				return protocol.Frame{}, 0, err
			}
		}
		end, next, err := p.at.next("pop3", buf)
		if err != nil {
			return protocol.Frame{}, 0, err
		}
		line := buf[p.at.start:end]
		if p.at.start == 0 {
			if len(line) < len(positive) || line[0] == '-' && len(line) < len(negative) {
				return protocol.Frame{}, 0, malformed("pop3", end, "neither +OK nor -ERR")
			}
			p.ok = line[0] == '+'
		}
		dot := p.at.start > 0 && string(line) == "."
		if dot || p.at.start == 0 && (!p.ok || !p.MultiLine) {
			p.reply = buf[:end]
			if dot {
				p.reply = buf[:p.at.start]
			}
			p.at = lines{}
			p.MultiLine = false
			return protocol.Frame{Data: buf[:end:end]}, next, nil
		}
		p.at.step(next)
	}
}

// checkIndicator turns a response down at the first byte that can't belong to its status indicator or to what follows
// that: a space or the line's end.
func checkIndicator(buf []byte) error {
	want := positive
	if len(buf) > 0 && buf[0] == '-' {
		want = negative
	}
	for i, c := range buf[:min(len(buf), len(want)+1)] {
		switch {
		case i < len(want) && c != want[i]:
			return malformed("pop3", i, "neither +OK nor -ERR")
		case i == len(want) && c != ' ' && c != '\r' && c != '\n':
			return malformed("pop3", i, "no space behind the status indicator")
		}
	}
	return nil
}

// OK reports whether the response was positive.
func (p *POP3) OK() bool { return p.ok }

// Text is the first line without its status indicator.
func (p *POP3) Text() []byte {
	line, _, _ := bytes.Cut(p.reply, []byte("\n"))
	_, text, _ := bytes.Cut(cutCR(line), []byte(" "))
	return text
}

// Lines yields the lines of a multi-line response behind the first, with the dots undone that were put before lines that
// begin with one (RFC 1939 s.3).
func (p *POP3) Lines() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		_, rest, _ := bytes.Cut(p.reply, []byte("\n"))
		for len(rest) > 0 {
			var line []byte
			line, rest, _ = bytes.Cut(rest, []byte("\n"))
			if !yield(bytes.TrimPrefix(cutCR(line), []byte("."))) {
				return
			}
		}
	}
}

// MinFrameSize implements [protocol.FrameParser]. It is 1 although a response has four bytes: the first byte tells most
// other protocols apart.
func (p *POP3) MinFrameSize() int { return 1 }

// Reset implements [protocol.FrameParser].
func (p *POP3) Reset() { *p = POP3{} }
