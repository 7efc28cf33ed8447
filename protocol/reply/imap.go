package reply

import (
	"bytes"

	"sonde/protocol"
)

// Kinds of frames of [IMAP] (RFC 9051 s.2.2.2, s.7).
const (
	// Untagged is data that the server sends, its greeting too: "* OK ready".
	Untagged uint8 = iota + 1
	// Continuation asks for more of a command: "+ go on".
	Continuation
	// Tagged ends a command: "a1 OK done".
	Tagged
)

// maxTag is the most bytes of a tag. We choose the tags, and short ones; without a limit a server that sends no space
// would have its first word searched over and over.
const maxTag = 64

// IMAP is a [protocol.FrameParser] for the responses of an IMAP server (RFC 9051 s.7). A response with literals
// (RFC 9051 s.4.3) is one frame. Data of a frame is the response as it came, without its line end. The zero IMAP is ready
// for use. Its accessors tell about the response that ParseFrame returned last; they are valid until the next call.
type IMAP struct {
	at              lines
	tag, word, text []byte
}

var _ protocol.FrameParser = (*IMAP)(nil)

// ParseFrame implements [protocol.FrameParser].
func (p *IMAP) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	p.tag, p.word, p.text = nil, nil, nil
	for {
		if p.at.start == 0 {
			if err := checkTag(buf); err != nil {
				return protocol.Frame{}, 0, err
			}
		}
		end, next, err := p.at.next("imap", buf)
		if err != nil {
			return protocol.Frame{}, 0, err
		}
		tag, word, text := splitResponse(buf[:end])
		kind, err := kindOf(tag, word)
		if err != nil {
			return protocol.Frame{}, 0, err
		}
		size := -1
		if kind == Untagged && !isStatus(word) {
			size = literalSize(buf[p.at.start:end])
		}
		if size < 0 {
			p.at = lines{}
			p.tag, p.word, p.text = tag, word, text
			return protocol.Frame{Kind: kind, Data: buf[:end:end]}, next, nil
		}
		if size > MaxSize-next {
			return protocol.Frame{}, 0, tooLarge("imap")
		}
		// The octets of a literal are not searched for a line end: the next line begins behind them.
		p.at.step(next + size)
	}
}

// checkTag turns a response down at the first byte that can't belong to its tag (RFC 9051 s.9, tag).
func checkTag(buf []byte) error {
	for i, c := range buf[:min(len(buf), maxTag+1)] {
		switch {
		case i > 0 && (c == ' ' || c == '\r' || c == '\n'):
			return nil
		case i > 0 && (buf[0] == '*' || buf[0] == '+'):
			return malformed("imap", i, "no space behind * or +")
		case i == 0 && (c == '*' || c == '+'):
		case c <= ' ' || c >= 0x7f || bytes.IndexByte([]byte("(){%*+\"\\"), c) >= 0:
			return malformed("imap", i, "not a tag")
		case i == maxTag:
			return malformed("imap", i, "tag too long")
		}
	}
	return nil
}

// splitResponse takes the first line of a response apart at its first two spaces.
func splitResponse(response []byte) (tag, word, text []byte) {
	tag, rest := cutWord(response)
	word, text = cutWord(rest)
	return tag, word, text
}

// cutWord cuts at the first space, or before a line end.
func cutWord(b []byte) (word, rest []byte) {
	i := bytes.IndexAny(b, " \r\n")
	switch {
	case i < 0:
		return b, nil
	case b[i] == ' ':
		return b[:i], b[i+1:]
	}
	return b[:i], b[i:]
}

// kindOf tells responses apart by their tag, and holds a tagged one to be a status (RFC 9051 s.9, response-tagged).
func kindOf(tag, word []byte) (uint8, error) {
	switch {
	case string(tag) == "+":
		return Continuation, nil
	case len(word) == 0:
		return 0, malformed("imap", len(tag), "nothing behind the tag")
	case string(tag) == "*":
		return Untagged, nil
	case isAny(word, "OK", "NO", "BAD"):
		return Tagged, nil
	}
	return 0, malformed("imap", len(tag)+1, "tagged response is not OK, NO or BAD")
}

// isStatus reports whether a response is a status (RFC 9051 s.7.1): free text, in which braces mean nothing.
func isStatus(word []byte) bool { return isAny(word, "OK", "NO", "BAD", "BYE", "PREAUTH") }

func isAny(word []byte, names ...string) bool {
	for _, name := range names {
		if len(word) == len(name) && bytes.EqualFold(word, []byte(name)) {
			return true
		}
	}
	return false
}

// literalSize returns how many octets the literal has that line announces at its end, "{n}" (RFC 9051 s.4.3), -1 if there
// is none, and a number above MaxSize for any that is too large.
func literalSize(line []byte) int {
	if !bytes.HasSuffix(line, []byte("}")) {
		return -1
	}
	digits := line[bytes.LastIndexByte(line, '{')+1 : len(line)-1]
	if len(digits) == 0 || len(digits) == len(line)-1 {
		return -1
	}
	n := 0
	for _, c := range digits {
		if !isDigit(c) {
			return -1
		}
		n = min(n*10+int(c-'0'), MaxSize+1)
	}
	return n
}

// Tag is the tag of a Tagged response, "*" or "+" otherwise.
func (p *IMAP) Tag() []byte { return p.tag }

// Word is what follows the tag: the status ("OK", "BYE") or the name of the data ("CAPABILITY"), in the server's case; of
// a response that begins with a number, the number; of a Continuation, the first word of its text.
func (p *IMAP) Word() []byte { return p.word }

// Text is what follows Word, literals included.
func (p *IMAP) Text() []byte { return p.text }

// Capabilities is the list of capabilities, separated by spaces, that the response tells: an untagged CAPABILITY (RFC 9051
// s.7.2.2), or a status with the response code of that name (RFC 9051 s.7.1), as many greetings have. ok is false if it
// tells none.
func (p *IMAP) Capabilities() (list []byte, ok bool) {
	if p.Is("CAPABILITY") {
		return p.text, string(p.tag) == "*"
	}
	const code = "[CAPABILITY "
	if !isStatus(p.word) || len(p.text) < len(code) || !bytes.EqualFold(p.text[:len(code)], []byte(code)) {
		return nil, false
	}
	list, _, ok = bytes.Cut(p.text[len(code):], []byte("]"))
	return list, ok
}

// Is reports whether Word is name, whatever the case of either.
func (p *IMAP) Is(name string) bool { return isAny(p.word, name) }

// MinFrameSize implements [protocol.FrameParser]. It is 1 although a response has more bytes: the first one tells some
// other protocols apart.
func (p *IMAP) MinFrameSize() int { return 1 }

// Reset implements [protocol.FrameParser].
func (p *IMAP) Reset() { *p = IMAP{} }
