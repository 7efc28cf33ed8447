package testpeer

import (
	"bytes"
	"strings"
	"time"
)

// maxPending is the most bytes that a Session leaves unconsumed: a request line or head that is not whole by then is
// answered by an error and a close. 8 KiB is what common HTTP servers allow for a head.
const maxPending = 8 << 10

// Session is the server's side of one healthy connection, without I/O: bytes in, bytes out. It belongs to one goroutine
// at a time.
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
}

// NewSession returns a new session of a healthy kind; nil for a kind that takes more than bytes to play (Delayed and all
// that are faulty).
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
		return &lineSession{greeting: "220 sonde.test ESMTP sondepeer\r\n", tooLong: "500 5.5.2 line too long\r\n", reply: smtpReply}
	case FTP:
		return &lineSession{greeting: "220 sondepeer FTP ready\r\n", tooLong: "500 line too long\r\n", reply: ftpReply}
	case IMAP:
		return &lineSession{greeting: "* OK [CAPABILITY " + imapCapabilities + "] sondepeer ready\r\n",
			tooLong: "* BYE line too long\r\n", reply: imapReply}
	case POP3:
		return &lineSession{greeting: "+OK sondepeer ready\r\n", tooLong: "-ERR line too long\r\n", reply: pop3Reply}
	case Redis:
		return redisSession{}
	}
	return nil
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
	// reply answers one line, which has lost its line ending. last says that the server closes after it.
	reply func(line string) (answer string, last bool)
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
	answer, last := s.reply(line)
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

// smtpReply answers as RFC 5321 s.4.1 and s.4.2 have it. It takes no mail.
func smtpReply(line string) (answer string, last bool) {
	switch verb(line) {
	case "EHLO":
		return "250-sonde.test greets you\r\n250-PIPELINING\r\n250-SIZE 1048576\r\n250 8BITMIME\r\n", false
	case "HELO":
		return "250 sonde.test\r\n", false
	case "NOOP", "RSET":
		return "250 2.0.0 OK\r\n", false
	case "QUIT":
		return "221 2.0.0 bye\r\n", true
	case "MAIL", "RCPT", "DATA":
		return "554 5.7.1 no mail here\r\n", false
	}
	return "500 5.5.1 command unknown\r\n", false
}

// ftpReply answers as RFC 959 s.4.2 and RFC 2389 s.3 (FEAT) have it. It lets nobody in.
func ftpReply(line string) (answer string, last bool) {
	switch verb(line) {
	case "FEAT":
		return "211-Features:\r\n UTF8\r\n SIZE\r\n MDTM\r\n211 End\r\n", false
	case "SYST":
		return "215 UNIX Type: L8\r\n", false
	case "NOOP":
		return "200 OK\r\n", false
	case "USER":
		return "331 password required\r\n", false
	case "PASS":
		return "530 login incorrect\r\n", false
	case "QUIT":
		return "221 bye\r\n", true
	}
	return "500 command unknown\r\n", false
}

const imapCapabilities = "IMAP4rev1 IDLE LITERAL+"

// imapReply answers as RFC 9051 s.6.1 and s.7.1 have it. It lets nobody in.
func imapReply(line string) (answer string, last bool) {
	tag, command, _ := strings.Cut(line, " ")
	if tag == "" || command == "" {
		return "* BAD a tag and a command, please\r\n", false
	}
	switch verb(command) {
	case "CAPABILITY":
		return "* CAPABILITY " + imapCapabilities + "\r\n" + tag + " OK CAPABILITY completed\r\n", false
	case "NOOP":
		return tag + " OK NOOP completed\r\n", false
	case "LOGIN":
		return tag + " NO login incorrect\r\n", false
	case "LOGOUT":
		return "* BYE logging out\r\n" + tag + " OK LOGOUT completed\r\n", true
	}
	return tag + " BAD command unknown\r\n", false
}

// pop3Reply answers as RFC 1939 s.3 and RFC 2449 s.5 (CAPA) have it. It lets nobody in.
func pop3Reply(line string) (answer string, last bool) {
	switch verb(line) {
	case "CAPA":
		return "+OK capabilities follow\r\nUSER\r\nUIDL\r\nTOP\r\n.\r\n", false
	case "NOOP":
		return "+OK\r\n", false
	case "USER":
		return "+OK\r\n", false
	case "PASS":
		return "-ERR login incorrect\r\n", false
	case "QUIT":
		return "+OK bye\r\n", true
	}
	return "-ERR command unknown\r\n", false
}
