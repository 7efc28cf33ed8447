package testpeer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
)

// The wire format of TLS, as far as the scripts need it: RFC 5246, and RFC 8446 where it says so.
const (
	recordHandshake = 22 // s.6.2.1, content types
	recordAlert     = 21

	handshakeClientHello = 1 // s.7.4, handshake types
	handshakeServerHello = 2
	handshakeCertificate = 11

	recordHeaderSize    = 5
	handshakeHeaderSize = 4
	// maxFragment is the most that one record carries in the clear, s.6.2.1.
	maxFragment = 1 << 14
	// maxClientHello is the most that is read of a ClientHello, in bytes: above any that a client sends in earnest.
	maxClientHello = 64 << 10
	// maxHandshake is the largest length that a handshake message can declare (24 bits).
	maxHandshake = 1<<24 - 1
	// hugeMessages is how many certificate messages of maxHandshake bytes make 64 MiB.
	hugeMessages = 4
)

// handshakeFailure is the fatal alert handshake_failure (s.7.2) in its record.
const handshakeFailure = "\x15\x03\x03\x00\x02\x02\x28"

var errNotHello = errors.New("not a ClientHello")

// script is the first flight of a TLS 1.2 server, byte for byte. There is no handshake behind it.
type script struct {
	hello       []byte // the record of the ServerHello
	certificate []byte // the records of the Certificate
}

// newScript writes the flight of a server with a good certificate on an ECDSA key.
func newScript(c *Credentials) (*script, error) {
	leaf, err := c.leaf(TLSECDSA)
	if err != nil {
		return nil, err
	}
	hello := []byte{3, 3}                                        // server_version: TLS 1.2
	hello = append(hello, "a server that breaks its handsh."...) // random: 32 bytes, without the marks of RFC 8446 s.4.1.3
	hello = append(hello, 0)                                     // no session ID
	hello = append(hello, 0xc0, 0x2b, 0)                         // TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 (RFC 5289 s.3.2), no compression
	hello = append(hello, 0, 5, 0xff, 0x01, 0, 1, 0)             // one extension: an empty renegotiation_info (RFC 5746 s.3.6)

	var list []byte
	for _, der := range leaf.Certificate {
		list = append(appendUint24(list, len(der)), der...)
	}
	certificate := append(appendUint24(nil, len(list)), list...)
	return &script{
		hello:       appendRecords(nil, append(handshakeHeader(handshakeServerHello, len(hello)), hello...)),
		certificate: appendRecords(nil, append(handshakeHeader(handshakeCertificate, len(certificate)), certificate...)),
	}, nil
}

// breakHandshake waits for the ClientHello and does what the kind does then.
func (p *Peer) breakHandshake(c *net.TCPConn) {
	ahead, ok := p.awaitHello(c, nil)
	if !ok || readHello(io.MultiReader(bytes.NewReader(ahead), c)) != nil {
		return
	}
	switch p.about.Kind {
	case TLSAlert:
		write(c, []byte(handshakeFailure))
		drain(c)
	case TLSGarbage:
		if write(c, garbage()) {
			discard(c)
		}
	case TLSHalfRecord:
		write(c, p.script.hello[:len(p.script.hello)/2])
		drain(c)
	case TLSHugeCertificate:
		if write(c, p.script.hello) && streamCertificates(c) {
			discard(c)
		}
	case TLSDrip:
		p.drip(c, append(bytes.Clone(p.script.hello), p.script.certificate...), 0)
	case TLSResetHello:
		reset(c)
	case TLSResetCertificate:
		write(c, append(bytes.Clone(p.script.hello), p.script.certificate...))
		reset(c)
	case TLSCloseHello:
		drain(c)
	}
}

// readHello reads r up to the end of the record in which the ClientHello ends, so that no unread byte turns a close into a
// reset.
func readHello(r io.Reader) error {
	var message []byte
	for {
		var header [recordHeaderSize]byte
		if _, err := io.ReadFull(r, header[:]); err != nil {
			return err
		}
		size := int(binary.BigEndian.Uint16(header[3:]))
		if header[0] != recordHandshake || header[1] != 3 || size == 0 || size > maxFragment || len(message)+size > maxClientHello {
			return errNotHello
		}
		have := len(message)
		message = append(message, make([]byte, size)...)
		if _, err := io.ReadFull(r, message[have:]); err != nil {
			return err
		}
		if message[0] != handshakeClientHello {
			return errNotHello
		}
		if len(message) >= handshakeHeaderSize && len(message)-handshakeHeaderSize >= uint24(message[1:]) {
			return nil
		}
	}
}

// streamCertificates sends Certificate messages that each declare the most there is, with one certificate that fills it,
// and all of what they declare. It reports whether the kernel took them. A client that goes away ends it.
func streamCertificates(c *net.TCPConn) bool {
	zeros := appendRecords(nil, make([]byte, maxFragment))
	for range hugeMessages {
		head := handshakeHeader(handshakeCertificate, maxHandshake)
		head = appendUint24(appendUint24(head, maxHandshake-3), maxHandshake-6)
		if !write(c, appendRecords(nil, head)) {
			return false
		}
		for left := maxHandshake - 6; left > 0; left -= maxFragment {
			record := zeros
			if left < maxFragment {
				record = appendRecords(nil, make([]byte, left))
			}
			if !write(c, record) {
				return false
			}
		}
	}
	return true
}

// appendRecords puts handshake bytes into records of TLS 1.2.
func appendRecords(dst, data []byte) []byte {
	for len(data) > 0 {
		n := min(len(data), maxFragment)
		dst = append(dst, recordHandshake, 3, 3, byte(n>>8), byte(n))
		dst = append(dst, data[:n]...)
		data = data[n:]
	}
	return dst
}

func handshakeHeader(kind byte, size int) []byte { return appendUint24([]byte{kind}, size) }

func appendUint24(dst []byte, n int) []byte { return append(dst, byte(n>>16), byte(n>>8), byte(n)) }

// uint24 reads the first three bytes of b.
func uint24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }
