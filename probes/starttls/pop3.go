package starttls

import (
	"bytes"

	"sonde/probes/internal/conclude"
	"sonde/protocol"
	"sonde/protocol/reply"
)

// What is sent to a POP3 server (RFC 2449 s.5, RFC 2595 s.4, RFC 1939 s.5).
var (
	pop3CAPA = [][]byte{[]byte("CAPA\r\n")}
	pop3STLS = [][]byte{[]byte("STLS\r\n")}
	pop3QUIT = [][]byte{[]byte("QUIT\r\n")}
)

// pop3 is the prelude of RFC 2595 s.4: greeting, CAPA, STLS. A server that knows no CAPA has no list for STLS to be
// missing from, and is asked all the same.
type pop3 struct {
	responses reply.POP3
	state     pop3State
}

// pop3State is the response that comes next.
type pop3State uint8

const (
	pop3Greeting pop3State = iota
	pop3AnswerCAPA
	pop3AnswerSTLS
)

func (p *pop3) begin() protocol.Step { return protocol.Step{} }

func (p *pop3) parser() protocol.FrameParser { return &p.responses }

func (p *pop3) awaited() string {
	return [...]string{"the greeting", "the answer to CAPA", "the answer to STLS"}[p.state]
}

func (p *pop3) onFrame(f protocol.Frame, a *account) protocol.Step {
	text := conclude.Text(p.responses.Text())
	switch p.state {
	case pop3Greeting:
		a.greeting = text
		if !p.responses.OK() {
			return a.refuse("the greeting is -ERR "+text, f.Data, nil)
		}
		p.state = pop3AnswerCAPA
		p.responses.MultiLine = true
		return protocol.Step{Send: pop3CAPA}
	case pop3AnswerCAPA:
		if p.responses.OK() && !p.offered() {
			return a.refuse(notOffered, f.Data, pop3QUIT)
		}
		p.state = pop3AnswerSTLS
		return protocol.Step{Send: pop3STLS}
	}
	if !p.responses.OK() {
		return a.refuse(refusedBy+"-ERR "+text, f.Data, pop3QUIT)
	}
	return startTLS
}

func (p *pop3) offered() bool {
	for line := range p.responses.Lines() {
		if bytes.EqualFold(bytes.TrimSpace(line), []byte("STLS")) {
			return true
		}
	}
	return false
}
