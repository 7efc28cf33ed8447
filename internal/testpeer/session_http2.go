package testpeer

import (
	"bytes"
	"encoding/binary"
)

// HTTP/2, as far as an answer needs it: RFC 9113.
const (
	http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" // s.3.4
	// http2MaxPayload is the least that an endpoint must take in one frame, and all that this one does (s.4.2).
	http2MaxPayload  = 1 << 14
	http2FrameHeader = 9 // s.4.1

	http2Headers      = 1 // frame types, s.6
	http2Settings     = 4
	http2Ping         = 6
	http2GoAway       = 7
	http2Continuation = 9

	http2Ack        = 1 // flags: of SETTINGS and PING
	http2EndStream  = 1 // of HEADERS
	http2EndHeaders = 4 // of HEADERS and CONTINUATION

	http2ProtocolError  = 1 // error codes, s.7
	http2FrameSizeError = 6
)

// http2Session answers each request with 200 and no body. It reads no header: the state of HPACK, which it then need not
// keep, matters to nothing that it says.
type http2Session struct {
	prefaced bool
}

// Greeting is an empty SETTINGS frame: the server's preface (RFC 9113 s.3.4).
func (*http2Session) Greeting() []byte { return appendFrame2(nil, http2Settings, 0, 0, "") }

func (s *http2Session) Receive(in, out []byte) (int, []byte, Then) {
	if !s.prefaced {
		have := min(len(in), len(http2Preface))
		if string(in[:have]) != http2Preface[:have] {
			return len(in), appendGoAway(out, http2ProtocolError), Then{Close: true}
		}
		if have < len(http2Preface) {
			return 0, out, Then{}
		}
		s.prefaced = true
		return have, out, Then{}
	}
	if len(in) < http2FrameHeader {
		return 0, out, Then{}
	}
	size := uint24(in)
	if size > http2MaxPayload {
		return len(in), appendGoAway(out, http2FrameSizeError), Then{Close: true}
	}
	end := http2FrameHeader + size
	if len(in) < end {
		return 0, out, Then{}
	}
	kind, flags, stream := in[3], in[4], binary.BigEndian.Uint32(in[5:])&(1<<31-1)
	switch {
	case kind == http2Settings && flags&http2Ack == 0:
		return end, appendFrame2(out, http2Settings, http2Ack, 0, ""), Then{}
	case kind == http2Ping && flags&http2Ack == 0:
		return end, appendFrame2(out, http2Ping, http2Ack, 0, string(in[http2FrameHeader:end])), Then{}
	case kind == http2GoAway:
		return len(in), out, Then{Close: true}
	case (kind == http2Headers || kind == http2Continuation) && flags&http2EndHeaders != 0:
		// 0x88 is the entry ":status: 200" of the static table (RFC 7541 s.6.1 and App. A).
		return end, appendFrame2(out, http2Headers, http2EndStream|http2EndHeaders, stream, "\x88"), Then{}
	}
	return end, out, Then{}
}

// appendGoAway says that the connection ends and why; no stream was taken.
func appendGoAway(out []byte, code byte) []byte {
	return appendFrame2(out, http2GoAway, 0, 0, string(append(bytes.Repeat([]byte{0}, 7), code)))
}

func appendFrame2(out []byte, kind, flags byte, stream uint32, payload string) []byte {
	out = append(appendUint24(out, len(payload)), kind, flags)
	out = binary.BigEndian.AppendUint32(out, stream)
	return append(out, payload...)
}
