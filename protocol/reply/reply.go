// Package reply finds the replies of the text protocols that speak in lines: SMTP and FTP ([Code]), POP3 ([POP3]) and
// IMAP ([IMAP]). A frame is one whole reply, however many lines it has. Commands are not parsed, and what a reply means
// is left to the caller.
//
// All of them take LF alone as a line end. The standards want CRLF (RFC 5321 s.2.3.8 even forbids the rest), but here
// nothing that a peer sends is passed on, so a lax reading smuggles nothing past anyone, and such servers exist.
package reply

import (
	"bytes"
	"fmt"

	"sonde/protocol"
)

// MaxSize is the most bytes of a reply with its line ends: half of the largest buffer. A greeting or a list of
// capabilities takes some hundred; SMTP limits a line to 512 (RFC 5321 s.4.5.3.1.5), POP3 too (RFC 1939 s.3). Above it is
// [protocol.ErrTooLarge].
const MaxSize = protocol.MaxFrameSize / 2

// lines walks over the lines of a reply under way.
type lines struct {
	start int // where the line under way begins
	look  int // how far it was searched for its end
}

// next finds the line under way: where its content ends and the next line begins. It does not move on; step does.
func (l *lines) next(format string, buf []byte) (end, next int, err error) {
	l.look = max(l.look, l.start)
	window := buf[:min(len(buf), MaxSize)]
	if l.look > len(window) {
		return 0, 0, l.missing(format, window) // in a literal of IMAP
	}
	lf := bytes.IndexByte(window[l.look:], '\n')
	stop := len(window)
	if lf >= 0 {
		stop = l.look + lf
	}
	if nul := bytes.IndexByte(window[l.look:stop], 0); nul >= 0 {
		return 0, 0, malformed(format, l.look+nul, "NUL in a line")
	}
	if lf < 0 {
		return 0, 0, l.missing(format, window)
	}
	return l.start + len(cutCR(buf[l.start:stop])), stop + 1, nil
}

// missing is the answer when more bytes than there are in window are needed.
func (l *lines) missing(format string, window []byte) error {
	if len(window) >= MaxSize {
		return tooLarge(format)
	}
	l.look = len(window)
	return protocol.ErrIncomplete
}

func (l *lines) step(next int) { l.start, l.look = next, next }

func cutCR(line []byte) []byte { return bytes.TrimSuffix(line, []byte("\r")) }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func malformed(format string, offset int, reason string) error {
	return &protocol.MalformedError{Format: format, Offset: offset, Reason: reason}
}

func tooLarge(format string) error {
	return fmt.Errorf("%s: reply above %d bytes: %w", format, MaxSize, protocol.ErrTooLarge)
}
