// Package protocol is the contract between the engine, which moves bytes and knows no protocol, and everything that
// gives the bytes a meaning. There are three layers:
//
//   - a [FrameParser] finds where a frame begins and ends; one folder below this one per wire format;
//   - an [Exchange] says what to send, which parser reads the answer, and what the answer means; probes provide it;
//   - a [Finding] is what an exchange learned.
//
// Nothing in this package or below it does I/O, starts a goroutine or reads the time. All of it is called by one loop at
// a time and needs no locks.
package protocol

import (
	"errors"
	"fmt"
	"time"
)

// MaxFrameSize is the largest frame that any parser may ask for, in bytes: the largest buffer of the ring-buffer pool. A
// parser whose frame would be larger answers [ErrTooLarge], or hands the frame out in parts.
const MaxFrameSize = 64 << 10

// Frame is one unit of a wire format.
type Frame struct {
	// Kind tells the frames of one format apart; each parser's package defines its own values. Zero where there is one kind.
	Kind uint8
	// Data is the frame without its framing where the format allows it (a line without its CRLF). It points into the
	// buffer given to ParseFrame or into memory of the parser's: valid until the next call on the parser or the return
	// from OnFrame, whichever comes first. Copy what you keep.
	Data []byte
}

// FrameParser finds frame edges in a stream of bytes.
type FrameParser interface {
	// ParseFrame looks for one whole frame at the start of buf, which is contiguous. It returns the frame and how many
	// bytes of buf it and its framing took (at least 1). When the frame is not all there yet it returns ErrIncomplete; the
	// caller then calls again with the same bytes and more behind them. When buf can't be the start of any frame it
	// returns a *MalformedError, and when the frame would be above the parser's limit ErrTooLarge. In all three cases
	// consumed is 0 and the parser's state is as it was, but for a note of how far it has looked, so that
	// bytes are not searched twice.
	ParseFrame(buf []byte) (f Frame, consumed int, err error)
	// MinFrameSize is the least number of bytes that the next frame can have, at least 1. The caller need not call
	// ParseFrame with fewer.
	MinFrameSize() int
	// Reset makes the parser as new, keeping its memory, so that it can be used for another connection.
	Reset()
}

// EndParser is a FrameParser for formats in which the end of the stream can end a frame (an HTTP/1 body without a
// length, a last line without a newline).
type EndParser interface {
	FrameParser
	// ParseEnd is called once, after the peer's FIN, with what is left. It returns the last frame, or ErrIncomplete when
	// the stream ended in the middle of one, or when there is none (buf is empty and no frame is open).
	ParseEnd(buf []byte) (f Frame, consumed int, err error)
}

// ErrIncomplete says that the bytes so far are the start of a frame but not all of it.
var ErrIncomplete = errors.New("incomplete frame")

// ErrTooLarge says that a frame is above its parser's limit. Wrap it with the limit.
var ErrTooLarge = errors.New("frame above the limit")

// MalformedError says that the bytes can't be a frame of this format, whatever may follow.
type MalformedError struct {
	Format string // the parser's name, "resp"
	Offset int    // where in the buffer it went wrong
	Reason string // "length is not a number"
}

// Error implements error.
func (e *MalformedError) Error() string {
	return fmt.Sprintf("malformed %s at byte %d: %s", e.Format, e.Offset, e.Reason)
}

// Action says what an exchange wants next.
type Action uint8

const (
	// Read: send what is in Send, then go on reading. The read limit runs from Begin or from the last Send to the end of the
	// answer, and is never started anew by bytes that trickle in.
	Read Action = iota
	// Done: the exchange is over and its Conclusion is final.
	Done
	// Park: the exchange is over for now; the connection goes IDLE and is kept (held connections and heartbeats). The
	// exchange and its parser go back; the next heartbeat opens a new exchange.
	Park
	// StartTLS: what comes next on this connection is a TLS handshake, as its protocol has agreed (STARTTLS). Only a
	// [Handshaker] may ask for it. What is in Send goes out in the clear before the handshake (MySQL's request for TLS is
	// answered by nothing else) and must stay as it is until Conclusion.
	StartTLS
	// Pause: nothing is asked and no limit but the target's runs until Step.Wait has passed (at once if it is zero); then Begin
	// is called again. Frames and the end of the stream are told as ever.
	Pause
)

// Step is an exchange's answer to an event. The zero Step goes on reading.
type Step struct {
	// Send is written in order, as one writev(2). With Read the memory must stay as it is until the exchange's next event:
	// the engine copies only what the kernel does not take at once, and not always then. With Done or Park it may be
	// used again from Conclusion on.
	Send [][]byte
	// Then is what comes after the write.
	Then Action
	// Quiet, if above zero, ends the exchange with EndQuiet when no byte came for so long. It runs only once a first byte of
	// the answer has come, and starts anew with each byte. The read limit still holds.
	Quiet time.Duration
	// Wait, if above zero, ends the exchange with EndQuiet when so long has passed since this Step without another: for what
	// a peer may say and need not. With Pause it is how long that lasts.
	Wait time.Duration
}

// End tells why no more frames will come.
type End uint8

const (
	// EndOfStream: the peer sent its FIN.
	EndOfStream End = iota
	// EndReset: the connection was reset, or failed in another way that the outcome's errno tells.
	EndReset
	// EndQuiet: the Quiet or Wait time of the last Step passed.
	EndQuiet
	// EndTimeout: the read limit or the target's time budget passed.
	EndTimeout
	// EndMalformed: the parser answered a MalformedError.
	EndMalformed
	// EndTooLarge: the parser answered ErrTooLarge, or a frame outgrew the largest buffer.
	EndTooLarge
	// EndCancelled: we stopped on our own account (shutdown); the peer is not to blame.
	EndCancelled
	// EndNoConnection: a [Series] asked for another connection and none was made; the outcome tells why.
	EndNoConnection
)

// Exchange is one conversation over an established connection, from the first byte to the verdict. The engine calls it
// from the loop that owns the connection. After a Done or Park step, or after OnEnd, comes Conclusion and nothing more: it
// is there that an exchange may give itself back to a pool.
type Exchange interface {
	// Begin is called once, when the connection can carry application bytes (and again as [Handshaker] and [Series] say).
	// Its Step says what to send first; to wait for the server's greeting it sends nothing.
	Begin() Step
	// Parser returns the parser for the next frame. It is asked before each frame, so that an exchange may change
	// formats; it must return the same parser while a frame is incomplete.
	Parser() FrameParser
	// OnFrame is called with each whole frame.
	OnFrame(f Frame) Step
	// OnEnd is called when no more frames will come though the exchange was not Done. rest holds the bytes that arrived
	// but made no frame, valid during the call; err is the parser's error for EndMalformed and EndTooLarge, else nil.
	OnEnd(end End, rest []byte, err error)
	// Conclusion is what the exchange makes of it all. Called once, after a Done or Park step or after OnEnd.
	Conclusion() Conclusion
}

// Timed is an Exchange that wants to know when its frames came.
type Timed interface {
	Exchange
	// Arrived is called before OnFrame and OnEnd when bytes have come, and before OnFrame when the end of the stream ends a
	// frame ([EndParser]), with the moment on the engine's clock at which they did: as the kernel says if it was asked to
	// (KernelTimestamps of a profile) and they are bytes, else when the poll returned that told of them; never before the last
	// Send was written. now is the moment of the call.
	Arrived(at, now int64)
}

// Verdict is an exchange's judgement of the peer.
type Verdict uint8

const (
	// Success: the peer answered as it should.
	Success Verdict = iota
	// Closed: the peer closed before its answer was whole.
	Closed
	// NotSpoken: the peer's bytes are not this protocol (status protocol-error).
	NotSpoken
	// Refused: the peer speaks the protocol but its answer is not the one wanted: an error reply, an unexpected status, text
	// that does not match (status application-error).
	Refused
	// OverLimit: the answer went above the byte limit before it was whole (status byte-limit).
	OverLimit
	// Unfinished: the exchange can't judge; how the connection ended says it all (a timeout, a reset).
	Unfinished
	// HandshakeRefused: the peer ended the TLS handshake by an alert, or its part of it was wrong (status
	// handshake-error).
	HandshakeRefused
	// Incapable: the TLS handshake failed because our side lacks what the peer chose or wants (status handshake-error,
	// side local).
	Incapable
	// Untrusted: the peer's certificate is not to be believed (status certificate-error).
	Untrusted
)

// Conclusion is the end of an exchange. Finding may be nil. What arrived before a failure belongs in the Finding too.
type Conclusion struct {
	Verdict Verdict
	// Reason says why the verdict is not Success, in a few lower-case words for a person ("status 503, want 200").
	Reason  string
	Finding Finding
}

// Finding is what an exchange learned: the "result" of a record. It is immutable once returned and holds no memory of
// the connection's buffers.
type Finding interface {
	// AppendJSON appends one JSON object.
	AppendJSON(dst []byte) []byte
	// Brief is the finding in a few words for a table ("SSH-2.0-OpenSSH_9.2", "200 OK").
	Brief() string
}

// Dialogue opens the exchange of a connection. One Dialogue serves many connections of one loop or of several; it must
// be safe for concurrent use.
type Dialogue interface {
	// Open returns the exchange for the connection that was submitted with this id. A nil Exchange means that nothing is
	// said: the connection is Done as soon as it is established.
	Open(id uint64) Exchange
}
