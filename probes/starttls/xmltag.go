package starttls

import (
	"bytes"
	"fmt"

	"sonde/protocol"
)

// Kinds of frames of [xmlTags].
const (
	xmlOpen        uint8 = iota + 1 // <name ...>
	xmlClose                        // </name>
	xmlEmpty                        // <name .../>
	xmlDeclaration                  // <?xml ...?>
)

// xmlMaxTag is the most bytes of a tag and of the text before it.
const xmlMaxTag = 8 << 10

// xmlTags finds the tags of an XML stream (XML 1.0 s.3.1). Data of a frame is a tag with its brackets; the text before it is
// taken with it and left out. Comments, document types and CDATA sections are malformed: the first two may not be in a
// stream (RFC 6120 s.11.1), the third has no business there before TLS. The zero xmlTags is ready for use.
type xmlTags struct{ begun bool }

var _ protocol.FrameParser = (*xmlTags)(nil)

// MinFrameSize implements [protocol.FrameParser]. It is 1 although a tag has more bytes: the first one tells other
// protocols apart.
func (p *xmlTags) MinFrameSize() int { return 1 }

// Reset implements [protocol.FrameParser].
func (p *xmlTags) Reset() { *p = xmlTags{} }

// ParseFrame implements [protocol.FrameParser]. It looks at all bytes again each time, which the limit keeps cheap.
func (p *xmlTags) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	window := buf[:min(len(buf), xmlMaxTag)]
	start := bytes.IndexByte(window, '<')
	text := window
	if start >= 0 {
		text = window[:start]
	}
	if i := p.badText(text); i >= 0 {
		return protocol.Frame{}, 0, xmlMalformed(i, "not xml")
	}
	end := -1
	if start >= 0 {
		if !mayFollowBracket(window[start+1:]) {
			return protocol.Frame{}, 0, xmlMalformed(start+1, "not a tag")
		}
		end = tagEnd(window, start)
	}
	switch {
	case end < 0 && len(window) == xmlMaxTag:
		return protocol.Frame{}, 0, fmt.Errorf("xml: tag of more than %d bytes: %w", xmlMaxTag, protocol.ErrTooLarge)
	case end < 0:
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	p.begun = true
	tag := buf[start:end:end]
	return protocol.Frame{Kind: tagKind(tag), Data: tag}, end, nil
}

// badText returns where text can't stand before a tag, -1 if it can: only white space comes before the first (XML 1.0
// s.2.8), no NUL ever (s.2.2).
func (p *xmlTags) badText(text []byte) int {
	for i, c := range text {
		if c == 0 || !p.begun && c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return i
		}
	}
	return -1
}

// mayFollowBracket reports whether what there is of the bytes behind a '<' may begin a tag.
func mayFollowBracket(b []byte) bool {
	if len(b) > 0 && (b[0] == '/' || b[0] == '?') {
		b = b[1:]
	}
	if len(b) == 0 {
		return true
	}
	c := b[0] | 0x20
	return c >= 'a' && c <= 'z' || b[0] == '_' || b[0] >= 0x80
}

// tagEnd returns the index behind the tag that begins at start, -1 if it is not whole. A '>' within quotes is text.
func tagEnd(b []byte, start int) int {
	quote := byte(0)
	for i := start + 1; i < len(b); i++ {
		switch c := b[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i + 1
		}
	}
	return -1
}

func tagKind(tag []byte) uint8 {
	switch {
	case tag[1] == '?':
		return xmlDeclaration
	case tag[1] == '/':
		return xmlClose
	case tag[len(tag)-2] == '/':
		return xmlEmpty
	}
	return xmlOpen
}

// xmlName is the name of an element's tag without its prefix.
func xmlName(tag []byte) string {
	name := bytes.TrimLeft(tag, "</")
	if end := bytes.IndexAny(name, " \t\r\n/>"); end >= 0 {
		name = name[:end]
	}
	return string(name[bytes.LastIndexByte(name, ':')+1:])
}

// xmlAttribute returns the value of a tag's attribute (XML 1.0 s.3.1); references in it are not replaced.
func xmlAttribute(tag []byte, name string) (value string, ok bool) {
	for rest := tag; ; {
		equals := bytes.IndexByte(rest, '=')
		if equals < 0 {
			return "", false
		}
		words := bytes.Fields(rest[:equals])
		quoted := bytes.TrimLeft(rest[equals+1:], " \t\r\n")
		if len(quoted) == 0 || quoted[0] != '"' && quoted[0] != '\'' {
			return "", false
		}
		end := bytes.IndexByte(quoted[1:], quoted[0])
		if end < 0 {
			return "", false
		}
		if len(words) > 0 && string(words[len(words)-1]) == name {
			return string(quoted[1 : 1+end]), true
		}
		rest = quoted[1+end+1:]
	}
}

func xmlMalformed(offset int, reason string) error {
	return &protocol.MalformedError{Format: "xmpp", Offset: offset, Reason: reason}
}
