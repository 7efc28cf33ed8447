package testpeer

import (
	"bytes"
	"strings"
	"time"
)

// maxPending is the most bytes that a Session leaves unconsumed: a request line or head that is not whole by then is
// answered by an error and a close. 8 KiB is what common HTTP servers allow for a head.
const maxPending = 8 << 10

// Session is the server's side of one healthy connection, or of the part of it that comes before TLS, without I/O: bytes
// in, bytes out. It belongs to one goroutine at a time.
type Session interface {
	// Greeting is what the server says before the client has spoken; nil if nothing. Called once. Read-only.
	Greeting() []byte
	// Receive looks at in, all bytes of the client that are not consumed yet. It returns how many it is done with, out with
	// its answer appended, and what comes then. It is to be called again with the rest until it consumes nothing, and
	// then again when more bytes have come. It keeps neither slice.
	Receive(in, out []byte) (consumed int, answer []byte, then Then)
}

// Then is what a server does with an answer. The zero Then sends it at once and goes on.
type Then struct {
	// Delay is how long to wait before the answer is sent; nothing more is received meanwhile.
	Delay time.Duration
	// Close ends the connection once the answer is sent.
	Close bool
	// StartTLS has TLS begin once the answer is sent, with the bytes that are not consumed. The session is over.
	StartTLS bool
}

// The last words for a line above maxPending.
const (
	smtpTooLong  = "500 5.5.2 line too long\r\n"
	ftpTooLong   = "500 line too long\r\n"
	imapTooLong  = "* BYE line too long\r\n"
	pop3TooLong  = "-ERR line too long\r\n"
	sieveTooLong = "BYE \"line too long\"\r\n"
)

// NewSession returns a new session of a healthy kind, for a kind with StartTLS the part before TLS. It returns nil for a
// kind that takes more than bytes to play: Delayed, TLS from the first byte, and all that are faulty.
func NewSession(k Kind) Session {
	switch k {
	case Sink:
		return sinkSession{}
	case Echo:
		return echoSession{}
	case HTTP:
		return &httpSession{}
	case SSH:
		return sshSession{}
	case SMTP:
		return &lineSession{greeting: smtpGreeting, tooLong: smtpTooLong, reply: smtpReply}
	case FTP:
		return &lineSession{greeting: ftpGreeting, tooLong: ftpTooLong, reply: ftpReply}
	case IMAP:
		return &lineSession{greeting: imapGreeting(false), tooLong: imapTooLong, reply: imapReply}
	case POP3:
		return &lineSession{greeting: pop3Greeting, tooLong: pop3TooLong, reply: pop3Reply}
	case Redis:
		return redisSession{}
	}
	return startTLSSession(k)
}

type sinkSession struct{}

func (sinkSession) Greeting() []byte { return nil }

func (sinkSession) Receive(in, out []byte) (int, []byte, Then) { return len(in), out, Then{} }

type echoSession struct{}

func (echoSession) Greeting() []byte { return nil }

func (echoSession) Receive(in, out []byte) (int, []byte, Then) {
	return len(in), append(out, in...), Then{}
}

// sshSession sends its identification (RFC 4253 s.4.2) and takes what comes; it does not exchange keys.
type sshSession struct{ sinkSession }

func (sshSession) Greeting() []byte { return []byte("SSH-2.0-sondepeer_1.0 healthy\r\n") }

// lineSession serves the protocols in which each line is a command with an answer.
type lineSession struct {
	greeting string
	tooLong  string // the last words for a line above maxPending
	// reply answers one line, which has lost its line ending. offersTLS says that the server has an upgrade. last says that
	// the server closes after the answer.
	reply func(line string, offersTLS bool) (answer string, last bool)
	// upgrade answers the line with which TLS begins; ok is false for any other. Nil where TLS is not on offer.
	upgrade func(line string) (answer string, ok bool)
}

func (s *lineSession) Greeting() []byte { return []byte(s.greeting) }

func (s *lineSession) Receive(in, out []byte) (int, []byte, Then) {
	line, n, ok := cutLine(in)
	if !ok {
		if len(in) > maxPending {
			return len(in), append(out, s.tooLong...), Then{Close: true}
		}
		return 0, out, Then{}
	}
	if s.upgrade != nil {
		if answer, ok := s.upgrade(line); ok {
			return n, append(out, answer...), Then{StartTLS: true}
		}
	}
	answer, last := s.reply(line, s.upgrade != nil)
	return n, append(out, answer...), Then{Close: last}
}

// cutLine returns the first line of in without its LF or CRLF and how many bytes it took. A line above maxPending is none.
func cutLine(in []byte) (line string, consumed int, ok bool) {
	i := bytes.IndexByte(in[:min(len(in), maxPending)], '\n')
	if i < 0 {
		return "", 0, false
	}
	return string(bytes.TrimSuffix(in[:i], []byte{'\r'})), i + 1, true
}

// verb is the first word of a command in upper case; the protocols take it in any case.
func verb(line string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	return strings.ToUpper(word)
}
