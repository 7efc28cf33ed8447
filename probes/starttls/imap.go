package starttls

import (
	"bytes"

	"sonde/probes/internal/conclude"
	"sonde/protocol"
	"sonde/protocol/reply"
)

// What is sent to an IMAP server (RFC 9051 s.6.1.1, s.6.2.1, s.6.1.3).
var (
	imapCAPABILITY = [][]byte{[]byte("s1 CAPABILITY\r\n")}
	imapSTARTTLS   = [][]byte{[]byte("s2 STARTTLS\r\n")}
	imapLOGOUT     = [][]byte{[]byte("s3 LOGOUT\r\n")}
)

// imap is the prelude of RFC 9051 s.6.2.1 (first in RFC 2595 s.3): greeting, CAPABILITY unless the greeting tells that
// STARTTLS is on offer, STARTTLS.
type imap struct {
	responses reply.IMAP
	state     imapState
	offered   bool
	aside     int
}

// imapState is the response that comes next.
type imapState uint8

const (
	imapGreeting imapState = iota
	imapAnswerCAPABILITY
	imapAnswerSTARTTLS
)

func (p *imap) begin() protocol.Step { return protocol.Step{} }

func (p *imap) parser() protocol.FrameParser { return &p.responses }

func (p *imap) awaited() string {
	return [...]string{"the greeting", "the answer to CAPABILITY", "the answer to STARTTLS"}[p.state]
}

func (p *imap) onFrame(f protocol.Frame, a *account) protocol.Step {
	p.noteCapabilities()
	switch {
	case p.state == imapGreeting:
		return p.onGreeting(f, a)
	case f.Kind == reply.Tagged:
		return p.onTagged(f, a)
	case p.responses.Is("BYE"):
		return a.refuse(p.awaited()+" is "+p.status(), f.Data, nil)
	}
	if p.aside++; p.aside > maxAside {
		return a.refuse(tooMuch, f.Data, nil)
	}
	return protocol.Step{}
}

// onGreeting reads the first response: OK, PREAUTH or BYE (RFC 9051 s.7.1). Who is logged in already may not ask for TLS
// any more (RFC 9051 s.6.2.1).
func (p *imap) onGreeting(f protocol.Frame, a *account) protocol.Step {
	switch {
	case f.Kind == reply.Untagged && p.responses.Is("OK"):
		a.greeting = conclude.Text(p.responses.Text())
	case f.Kind == reply.Untagged && p.responses.Is("PREAUTH"):
		return a.refuse(notOffered+": the greeting is "+p.status(), f.Data, imapLOGOUT)
	case f.Kind == reply.Untagged && p.responses.Is("BYE"):
		return a.refuse("the greeting is "+p.status(), f.Data, nil)
	default:
		return a.notSpoken("not imap: first response is no greeting", f.Data)
	}
	if p.offered {
		p.state = imapAnswerSTARTTLS
		return protocol.Step{Send: imapSTARTTLS}
	}
	p.state = imapAnswerCAPABILITY
	return protocol.Step{Send: imapCAPABILITY}
}

// onTagged reads the answer to the command under way. One to another command was there before that was sent.
func (p *imap) onTagged(f protocol.Frame, a *account) protocol.Step {
	tag := "s1"
	if p.state == imapAnswerSTARTTLS {
		tag = "s2"
	}
	switch ok := p.responses.Is("OK"); {
	case string(p.responses.Tag()) != tag:
		return a.notSpoken("not imap: answer to a command that was not sent", f.Data)
	case p.state == imapAnswerCAPABILITY && !ok:
		return a.refuse(p.awaited()+" is "+p.status(), f.Data, imapLOGOUT)
	case p.state == imapAnswerCAPABILITY && !p.offered:
		return a.refuse(notOffered, f.Data, imapLOGOUT)
	case p.state == imapAnswerCAPABILITY:
		p.state = imapAnswerSTARTTLS
		return protocol.Step{Send: imapSTARTTLS}
	case !ok:
		return a.refuse(refusedBy+p.status(), f.Data, imapLOGOUT)
	}
	return startTLS
}

func (p *imap) noteCapabilities() {
	list, ok := p.responses.Capabilities()
	if !ok {
		return
	}
	p.offered = false
	for name := range bytes.FieldsSeq(list) {
		p.offered = p.offered || bytes.EqualFold(name, []byte("STARTTLS"))
	}
}

// status is the response for a reason.
func (p *imap) status() string { return string(p.responses.Word()) + " " + string(p.responses.Text()) }
