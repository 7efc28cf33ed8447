package starttls

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"

	"sonde/probes/internal/conclude"
	"sonde/protocol"
)

// mysqlSSLRequest is the packet Protocol::SSLRequest (MySQL source documentation, "Connection Phase Packets"): length 32 and
// sequence number 1; CLIENT_PROTOCOL_41, CLIENT_SSL and CLIENT_SECURE_CONNECTION; the largest packet, 16 MiB; character
// set 33, UTF-8; 23 zeros. The handshake follows it at once: the server says nothing between the two.
var mysqlSSLRequest = [][]byte{append([]byte("\x20\x00\x00\x01"+"\x00\x8a\x00\x00"+"\x00\x00\x00\x01"+"\x21"), make([]byte, 23)...)}

// Of the packets that a server begins with (MySQL source documentation, "Protocol::Handshake", "ERR_Packet").
const (
	mysqlHead  = 4 // length, 3 bytes little-endian, and sequence number, 0 in the first packet
	mysqlV9    = 9
	mysqlV10   = 10
	mysqlError = 0xff

	mysqlProtocol41 = 0x0200 // CLIENT_PROTOCOL_41, without which there is no SSLRequest of 32 bytes
	mysqlSSL        = 0x0800 // CLIENT_SSL
)

// mysqlMaxGreeting is the most bytes of the first packet, its head included: a version of a few dozen bytes and as many
// for the rest, or one line of an error.
const mysqlMaxGreeting = 4 << 10

// mysql is the prelude of "Initial Handshake" (MySQL source documentation, "Connection Phase"), of MariaDB too: the
// server greets, and if it has CLIENT_SSL among its capabilities, SSLRequest makes it take what follows for TLS.
type mysql struct{ greeting mysqlGreeting }

func (p *mysql) begin() protocol.Step { return protocol.Step{} }

func (p *mysql) parser() protocol.FrameParser { return p.greeting }

func (p *mysql) awaited() string { return "the greeting" }

func (p *mysql) onFrame(f protocol.Frame, a *account) protocol.Step {
	body := f.Data[mysqlHead:]
	if body[0] == mysqlError {
		text, ok := mysqlErrorText(body)
		if !ok {
			return a.notSpoken("not mysql: error is cut short", f.Data)
		}
		return a.refuse("the greeting is error "+text, f.Data, nil)
	}
	version, rest, ok := bytes.Cut(body[1:], []byte{0})
	if !ok {
		return a.notSpoken("not mysql: greeting is cut short", f.Data)
	}
	a.greeting = conclude.Text(version)
	if body[0] == mysqlV9 {
		return a.refuse(notOffered+": protocol version 9", f.Data, nil)
	}
	const before = 4 + 8 + 1 // thread ID, first part of the salt, filler
	if len(rest) < before+2 {
		return a.notSpoken("not mysql: greeting is cut short", f.Data)
	}
	const needed = mysqlProtocol41 | mysqlSSL
	if binary.LittleEndian.Uint16(rest[before:])&needed != needed {
		return a.refuse(notOffered, f.Data, nil)
	}
	return protocol.Step{Send: mysqlSSLRequest, Then: protocol.StartTLS}
}

// mysqlErrorText is an ERR packet for a reason: number and text. The SQL state before the text, "#" and five characters,
// comes with later errors and is left out.
func mysqlErrorText(body []byte) (text string, ok bool) {
	if len(body) < 3 {
		return "", false
	}
	message := body[3:]
	if len(message) >= 6 && message[0] == '#' {
		message = message[6:]
	}
	return strconv.Itoa(int(binary.LittleEndian.Uint16(body[1:]))) + " " + conclude.Text(message), true
}

// mysqlGreeting finds a server's first packet. Data of a frame is the packet with its head; it holds at least a byte behind
// that. It has no state.
type mysqlGreeting struct{}

var _ protocol.FrameParser = mysqlGreeting{}

// MinFrameSize implements [protocol.FrameParser].
func (mysqlGreeting) MinFrameSize() int { return mysqlHead + 1 }

// Reset implements [protocol.FrameParser].
func (mysqlGreeting) Reset() {}

// ParseFrame implements [protocol.FrameParser]. A sequence number other than 0 tells most other protocols apart before
// their first bytes are taken for a length.
func (mysqlGreeting) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	malformed := func(offset int, reason string) (protocol.Frame, int, error) {
		return protocol.Frame{}, 0, &protocol.MalformedError{Format: "mysql", Offset: offset, Reason: reason}
	}
	if len(buf) < mysqlHead {
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	if buf[3] != 0 {
		return malformed(3, "first packet is not number 0")
	}
	size := mysqlHead + int(buf[0]) + int(buf[1])<<8 + int(buf[2])<<16
	switch {
	case size == mysqlHead:
		return malformed(0, "empty packet")
	case size > mysqlMaxGreeting:
		return protocol.Frame{}, 0, fmt.Errorf("mysql: greeting of more than %d bytes: %w", mysqlMaxGreeting, protocol.ErrTooLarge)
	case len(buf) > mysqlHead && buf[4] != mysqlV10 && buf[4] != mysqlV9 && buf[4] != mysqlError:
		return malformed(4, "neither a greeting nor an error")
	case len(buf) < size:
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	return protocol.Frame{Data: buf[:size]}, size, nil
}
