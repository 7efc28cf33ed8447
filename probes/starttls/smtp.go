package starttls

import (
	"bytes"
	"strconv"

	"sonde/probes/internal/conclude"
	"sonde/protocol"
	"sonde/protocol/reply"
)

// What is sent to an SMTP server (RFC 5321 s.4.1.1, RFC 3207 s.4). The name is one that can't exist (RFC 6761 s.6.4), as
// ours is not known here.
var (
	smtpEHLO     = [][]byte{[]byte("EHLO sonde.invalid\r\n")}
	smtpSTARTTLS = [][]byte{[]byte("STARTTLS\r\n")}
	smtpQUIT     = [][]byte{[]byte("QUIT\r\n")}
)

// Reply codes (RFC 5321 s.4.2.3).
const (
	smtpReady        = 220 // to the connection, and to STARTTLS (RFC 3207 s.4)
	smtpOK           = 250
	smtpNotAvailable = 421 // the server closes the connection
)

// smtp is the prelude of RFC 3207: greeting, EHLO, STARTTLS. The extension must be announced: a server that is asked for
// one it does not offer owes no sensible answer.
type smtp struct {
	replies reply.Code
	state   smtpState
}

// smtpState is the reply that comes next.
type smtpState uint8

const (
	smtpGreeting smtpState = iota
	smtpAnswerEHLO
	smtpAnswerSTARTTLS
)

func (s *smtp) begin() protocol.Step { return protocol.Step{} }

func (s *smtp) parser() protocol.FrameParser { return &s.replies }

func (s *smtp) awaited() string {
	return [...]string{"the greeting", "the answer to EHLO", "the answer to STARTTLS"}[s.state]
}

func (s *smtp) onFrame(f protocol.Frame, a *account) protocol.Step {
	switch s.state {
	case smtpGreeting:
		a.greeting = conclude.Lines(s.replies.Lines())
		if s.replies.Code() != smtpReady {
			return s.refuse(a, "the greeting is ", f.Data)
		}
		s.state = smtpAnswerEHLO
		return protocol.Step{Send: smtpEHLO}
	case smtpAnswerEHLO:
		if s.replies.Code() != smtpOK {
			return s.refuse(a, notOffered+": the answer to EHLO is ", f.Data)
		}
		if !s.offered() {
			return a.refuse(notOffered, f.Data, smtpQUIT)
		}
		s.state = smtpAnswerSTARTTLS
		return protocol.Step{Send: smtpSTARTTLS}
	}
	if s.replies.Code() != smtpReady {
		return s.refuse(a, refusedBy, f.Data)
	}
	return startTLS
}

// offered looks for the extension behind the first line, which is the server's name (RFC 5321 s.4.1.1.1).
func (s *smtp) offered() bool {
	first, found := true, false
	for line := range s.replies.Lines() {
		keyword, _, _ := bytes.Cut(line, []byte(" "))
		found = found || !first && bytes.EqualFold(keyword, []byte("STARTTLS"))
		first = false
	}
	return found
}

func (s *smtp) refuse(a *account, what string, answer []byte) protocol.Step {
	goodbye := smtpQUIT
	if s.replies.Code() == smtpNotAvailable {
		goodbye = nil
	}
	return a.refuse(what+codeAndText(&s.replies), answer, goodbye)
}

// codeAndText is a reply of SMTP or FTP for a reason.
func codeAndText(replies *reply.Code) string {
	return strconv.Itoa(replies.Code()) + " " + conclude.Lines(replies.Lines())
}
