package talk

import (
	"bytes"
	"errors"

	"sonde/protocol"
	"sonde/protocol/http1"
	"sonde/protocol/resp"
)

// Session is what one connection says and hears. Several requests may be under way at once: their answers come in order.
// It belongs to one goroutine at a time.
type Session struct {
	talk    *Talk
	request [][]byte
	wire    wire
	http    *http1.Parser // what is behind wire, for HTTP

	aside   int // frames before the answer that are not it: interim responses, pushes
	last    bool
	verdict protocol.Verdict // of an answer that is refused and not over yet
	reason  string

	told    []byte // the last error of a Redis server
	refusal string // the same as a reason
}

// Heard is what a frame says of the answer under way.
type Heard struct {
	// Done says that the answer is whole; the next frame belongs to the next one. Only then Verdict and Reason count.
	Done bool
	// Last says that the connection is of no use behind this answer: the peer closes, or what comes next can't be told to be
	// an answer. It is known with Done at the latest.
	Last bool
	// Verdict is Success, or Refused, or NotSpoken for an echo that differs; from End also another.
	Verdict protocol.Verdict
	// Reason says why it is not Success, in a few words that are the same for the same cause ("status 503").
	Reason string
	// Bytes is what this frame took of the stream, with its framing.
	Bytes int
}

// maxAside is how many interim responses (RFC 9110 s.15.2), pushes or attributes may come before an answer.
const maxAside = 16

func newSession(t *Talk) *Session {
	s := &Session{talk: t}
	s.wire.parser = t.newParser()
	s.wire.atEnd, _ = s.wire.parser.(protocol.EndParser)
	s.http, _ = s.wire.parser.(*http1.Parser)
	return s
}

// Close gives the session back, whatever is under way. It must not be used any more, but for what Request returned.
func (s *Session) Close() {
	s.wire.Reset()
	s.aside, s.last, s.verdict, s.reason = 0, false, protocol.Success, ""
	s.request = nil
	s.talk.sessions.Put(s)
}

// Request is the bytes of one request. They stay valid and as they are for as long as the Talk is used; the caller changes
// nothing in them.
func (s *Session) Request() [][]byte { return s.request }

// Parser reads the answers. It is a [protocol.EndParser], and the same for the life of the session.
func (s *Session) Parser() protocol.FrameParser { return &s.wire }

// Hear takes the next frame that Parser returned.
func (s *Session) Hear(f protocol.Frame) Heard {
	h := Heard{Done: true, Last: s.wire.ended, Bytes: s.wire.took}
	switch s.talk.kind {
	case Echo:
		if !bytes.Equal(f.Data, s.talk.line) {
			h.Last, h.Verdict, h.Reason = true, protocol.NotSpoken, "echo differs"
		}
	case Redis:
		s.hearRedis(f, &h)
	case HTTP:
		s.hearHTTP(f, &h)
	}
	return h
}

// hearRedis takes a reply. What is pushed or tells about a reply (RESP3) is not the answer.
func (s *Session) hearRedis(f protocol.Frame, h *Heard) {
	switch f.Kind {
	case resp.Push, resp.Attribute:
		if s.aside++; s.aside <= maxAside {
			h.Done = false
			return
		}
		h.Last, h.Verdict, h.Reason = true, protocol.Refused, "no answer among 17 frames"
	case resp.SimpleError, resp.BulkError:
		h.Verdict, h.Reason = protocol.Refused, s.errorText(f.Data)
	default:
		if s.talk.pong && !isPong(f) {
			h.Verdict, h.Reason = protocol.Refused, "answer is not PONG"
		}
	}
	s.aside = 0
}

func isPong(f protocol.Frame) bool {
	return (f.Kind == resp.SimpleString || f.Kind == resp.BulkString) && string(f.Data) == "PONG"
}

// errorText keeps the last text, so that a server that refuses each command in the same words costs no memory.
func (s *Session) errorText(text []byte) string {
	if s.told == nil || !bytes.Equal(text, s.told) {
		s.told = append(make([]byte, 0, len(text)), text...)
		s.refusal = quote(text)
	}
	return s.refusal
}

// End is what the end of the connection makes of an answer that is still to come. err is that of
// [protocol.Exchange.OnEnd]. Done and Last are always set.
func (s *Session) End(end protocol.End, err error) Heard {
	h := Heard{Done: true, Last: true, Verdict: protocol.Unfinished}
	switch end {
	case protocol.EndOfStream:
		h.Verdict, h.Reason = protocol.Closed, "closed before the end of the answer"
	case protocol.EndReset:
		h.Reason = "reset before the end of the answer"
	case protocol.EndCancelled:
		h.Reason = "cancelled before the end of the answer"
	case protocol.EndMalformed:
		h.Verdict, h.Reason = protocol.NotSpoken, "not "+string(s.talk.kind)
		var m *protocol.MalformedError
		if errors.As(err, &m) {
			h.Reason = "not " + m.Format + ": " + m.Reason
		} else if err != nil {
			h.Reason = err.Error()
		}
	case protocol.EndTooLarge:
		h.Verdict, h.Reason = protocol.OverLimit, protocol.ErrTooLarge.Error()
		if err != nil {
			h.Reason = err.Error()
		}
	default:
		h.Reason = "no end of the answer in time"
	}
	return h
}

// maxReason is the most bytes of a peer's text in a reason.
const maxReason = 200

// quote makes a peer's text fit for a reason: printable ASCII in one line.
func quote(text []byte) string {
	b := append([]byte(nil), text[:min(len(text), maxReason)]...)
	for i, c := range b {
		if c < ' ' || c >= 0x7f {
			b[i] = '?'
		}
	}
	return string(bytes.TrimSpace(b))
}

// wire is the parser of a session, and counts what frames take.
type wire struct {
	parser protocol.FrameParser
	atEnd  protocol.EndParser // the same, nil if it is none
	took   int                // bytes of the last frame
	ended  bool               // the last frame was ended by the end of the stream
}

var _ protocol.EndParser = (*wire)(nil)

// ParseFrame implements [protocol.FrameParser].
func (w *wire) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	f, n, err := w.parser.ParseFrame(buf)
	w.took = n
	return f, n, err
}

// ParseEnd implements [protocol.EndParser]; for a format in which the end of the stream ends no frame it has none.
func (w *wire) ParseEnd(buf []byte) (protocol.Frame, int, error) {
	if w.atEnd == nil {
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	f, n, err := w.atEnd.ParseEnd(buf)
	w.took, w.ended = n, true
	return f, n, err
}

// MinFrameSize implements [protocol.FrameParser].
func (w *wire) MinFrameSize() int { return w.parser.MinFrameSize() }

// Reset implements [protocol.FrameParser].
func (w *wire) Reset() {
	w.parser.Reset()
	w.took, w.ended = 0, false
}
