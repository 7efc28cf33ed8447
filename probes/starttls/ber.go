package starttls

import (
	"errors"
	"fmt"

	"sonde/protocol"
)

// berMessages finds LDAP messages: each one BER element, a SEQUENCE (RFC 4511 s.4.1.1, X.690 s.8). Data of a frame is the
// whole element. It has no state.
type berMessages struct{}

var _ protocol.FrameParser = berMessages{}

// MinFrameSize is 1 although a message has more bytes: the first one tells other protocols apart.
func (berMessages) MinFrameSize() int { return 1 }

func (berMessages) Reset() {}

func (berMessages) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	malformed := func(offset int, reason string) (protocol.Frame, int, error) {
		return protocol.Frame{}, 0, &protocol.MalformedError{Format: "ldap", Offset: offset, Reason: reason}
	}
	if len(buf) > 0 && buf[0] != ldapMessage {
		return malformed(0, "not a message")
	}
	head, length, err := berHead(buf)
	switch {
	case err == errBERShort:
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	case err != nil:
		return malformed(1, err.Error())
	case length > ldapMaxMessage-uint64(head):
		return protocol.Frame{}, 0, fmt.Errorf("ldap: message of more than %d bytes: %w", ldapMaxMessage, protocol.ErrTooLarge)
	}
	size := head + int(length)
	if len(buf) < size {
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	return protocol.Frame{Data: buf[:size]}, size, nil
}

var (
	errBERShort = errors.New("element is cut short")
	// errBERLength: LDAP rules the indefinite form out (RFC 4511 s.5.1), and no length of ours needs more than four bytes.
	errBERLength = errors.New("length is indefinite or of more than four bytes")
)

// berHead reads the tag and the length of an element: how many bytes the two take, and how many the content (X.690
// s.8.1.3). A length may have more bytes than it needs; some servers always write four.
func berHead(b []byte) (head int, length uint64, err error) {
	if len(b) < 2 {
		return 0, 0, errBERShort
	}
	if b[1] < 0x80 {
		return 2, uint64(b[1]), nil
	}
	n := int(b[1] & 0x7f)
	if n < 1 || n > 4 {
		return 0, 0, errBERLength
	}
	if len(b) < 2+n {
		return 0, 0, errBERShort
	}
	for _, octet := range b[2 : 2+n] {
		length = length<<8 | uint64(octet)
	}
	return 2 + n, length, nil
}

// berElements walks over the elements that make up a content. After a fault it is bad, and gives nothing more.
type berElements struct {
	rest []byte
	bad  bool
}

// next takes the next element. A tag of more than one byte (X.690 s.8.1.2.4) is a fault: LDAP has none.
func (e *berElements) next() (tag byte, content []byte) {
	head, length, err := berHead(e.rest)
	if e.bad || err != nil || length > uint64(len(e.rest)-head) || e.rest[0]&0x1f == 0x1f {
		e.bad = true
		return 0, nil
	}
	tag, content = e.rest[0], e.rest[head:head+int(length)]
	e.rest = e.rest[head+int(length):]
	return tag, content
}

// want takes the next element, which must have that tag, and returns its content.
func (e *berElements) want(tag byte) []byte {
	got, content := e.next()
	if got != tag {
		e.bad = true
		return nil
	}
	return content
}

// integer takes the next element, which must have that tag and hold a number of one to four bytes, as all of LDAP's do
// (RFC 4511 s.4.1.1, maxInt).
func (e *berElements) integer(tag byte) int64 {
	content := e.want(tag)
	if len(content) < 1 || len(content) > 4 {
		e.bad = true
		return 0
	}
	n := int64(int8(content[0]))
	for _, octet := range content[1:] {
		n = n<<8 | int64(octet)
	}
	return n
}
