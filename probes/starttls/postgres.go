package starttls

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"sonde/probes/internal/conclude"
	"sonde/protocol"
)

// postgresSSLRequest is the packet SSLRequest: its length and 80877103 (PostgreSQL manual, "Message Formats").
var postgresSSLRequest = [][]byte{[]byte("\x00\x00\x00\x08\x04\xd2\x16\x2f")}

// postgresMaxError is the most bytes of an error, its type and length included. libpq takes 30,000.
const postgresMaxError = 16 << 10

// postgres is the prelude of "SSL Session Encryption" (PostgreSQL manual, "Message Flow"): one packet, one byte. There is
// no greeting.
type postgres struct{ answer postgresAnswer }

func (p *postgres) begin() protocol.Step { return protocol.Step{Send: postgresSSLRequest} }

func (p *postgres) parser() protocol.FrameParser { return p.answer }

func (p *postgres) awaited() string { return "the answer to SSLRequest" }

func (p *postgres) onFrame(f protocol.Frame, a *account) protocol.Step {
	switch f.Data[0] {
	case 'S':
		return startTLS
	case 'N':
		return a.refuse(refusedBy+"N", f.Data, nil)
	}
	return a.refuse("error: "+postgresError(f), f.Data, nil)
}

// postgresError is the text of an error: the fields C (code) and M (message) of an ErrorResponse (PostgreSQL manual,
// "Error and Notice Message Fields"), or all of an old error.
func postgresError(f protocol.Frame) string {
	if f.Kind == postgresOldError {
		return conclude.Text(bytes.TrimSpace(f.Data[1:]))
	}
	var code, message []byte
	for field := range bytes.SplitSeq(f.Data[postgresErrorHead:], []byte{0}) {
		switch {
		case len(field) > 0 && field[0] == 'C':
			code = field[1:]
		case len(field) > 0 && field[0] == 'M':
			message = field[1:]
		}
	}
	return conclude.Text(bytes.TrimSpace(append(append(bytes.Clone(code), ' '), message...)))
}

// Kinds of frames of [postgresAnswer].
const (
	postgresByte     uint8 = iota // S or N
	postgresNewError              // ErrorResponse: E, length, fields
	postgresOldError              // E and a text; the NUL that ends it is left out
)

// postgresErrorHead is E and the length, which counts itself.
const postgresErrorHead = 1 + 4

// postgresAnswer finds the answer to SSLRequest: a byte of its own, or an error. A server that can't even fork says so in
// the words of the protocol before version 3: E and a text that ends with NUL. A length of four bytes that is sane begins
// with NUL, a text never does. It has no state.
type postgresAnswer struct{}

var _ protocol.FrameParser = postgresAnswer{}

// MinFrameSize implements [protocol.FrameParser].
func (postgresAnswer) MinFrameSize() int { return 1 }

// Reset implements [protocol.FrameParser].
func (postgresAnswer) Reset() {}

// ParseFrame implements [protocol.FrameParser].
func (postgresAnswer) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	none := protocol.Frame{}
	switch {
	case len(buf) == 0:
		return none, 0, protocol.ErrIncomplete
	case buf[0] == 'S' || buf[0] == 'N':
		return protocol.Frame{Kind: postgresByte, Data: buf[:1]}, 1, nil
	case buf[0] != 'E':
		return none, 0, &protocol.MalformedError{Format: "postgres", Reason: "neither S nor N nor an error"}
	case len(buf) == 1:
		return none, 0, protocol.ErrIncomplete
	case buf[1] != 0:
		window := buf[:min(len(buf), postgresMaxError)]
		end := bytes.IndexByte(window, 0)
		if end >= 0 {
			return protocol.Frame{Kind: postgresOldError, Data: buf[:end]}, end + 1, nil
		}
		if len(window) == postgresMaxError {
			return none, 0, postgresTooLarge()
		}
		return none, 0, protocol.ErrIncomplete
	case len(buf) < postgresErrorHead:
		return none, 0, protocol.ErrIncomplete
	}
	length := binary.BigEndian.Uint32(buf[1:])
	switch {
	case length < 4:
		return none, 0, &protocol.MalformedError{Format: "postgres", Offset: 1, Reason: "error is shorter than its length"}
	case length > postgresMaxError-1:
		return none, 0, postgresTooLarge()
	case len(buf) < 1+int(length):
		return none, 0, protocol.ErrIncomplete
	}
	return protocol.Frame{Kind: postgresNewError, Data: buf[:1+length]}, 1 + int(length), nil
}

func postgresTooLarge() error {
	return fmt.Errorf("postgres: error of more than %d bytes: %w", postgresMaxError, protocol.ErrTooLarge)
}
