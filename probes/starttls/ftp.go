package starttls

import (
	"sonde/probes/internal/conclude"
	"sonde/protocol"
	"sonde/protocol/reply"
)

// What is sent to an FTP server (RFC 4217 s.4, RFC 959 s.4.1.1).
var (
	ftpAUTH = [][]byte{[]byte("AUTH TLS\r\n")}
	ftpQUIT = [][]byte{[]byte("QUIT\r\n")}
)

// Reply codes (RFC 959 s.4.2.2, RFC 2228 s.5.1).
const (
	ftpLater        = 120 // ready in some minutes; 220 follows (RFC 959 s.5.4)
	ftpReady        = 220
	ftpProceed      = 234 // go on with the security mechanism (RFC 4217 s.4)
	ftpNotAvailable = 421 // the server closes the connection
)

// ftpMaxLater is how often a server may put us off: once is all the RFC knows.
const ftpMaxLater = 4

// ftp is the prelude of RFC 4217: greeting, AUTH TLS. A server without FEAT may know AUTH, so it is not asked first.
type ftp struct {
	replies reply.Code
	later   int
	asked   bool
}

func newFTP(string) prelude { return &ftp{replies: reply.Code{Dialect: reply.FTP}} }

func (p *ftp) begin() protocol.Step { return protocol.Step{} }

func (p *ftp) parser() protocol.FrameParser { return &p.replies }

func (p *ftp) awaited() string {
	if p.asked {
		return "the answer to AUTH TLS"
	}
	return "the greeting"
}

func (p *ftp) onFrame(f protocol.Frame, a *account) protocol.Step {
	code := p.replies.Code()
	if p.asked {
		if code != ftpProceed {
			return p.refuse(a, refusedBy, f.Data)
		}
		return startTLS
	}
	a.greeting = conclude.Lines(p.replies.Lines())
	switch {
	case code == ftpReady:
		p.asked = true
		return protocol.Step{Send: ftpAUTH}
	case code == ftpLater && p.later < ftpMaxLater:
		p.later++
		return protocol.Step{}
	}
	return p.refuse(a, "the greeting is ", f.Data)
}

func (p *ftp) refuse(a *account, what string, answer []byte) protocol.Step {
	goodbye := ftpQUIT
	if p.replies.Code() == ftpNotAvailable {
		goodbye = nil
	}
	return a.refuse(what+codeAndText(&p.replies), answer, goodbye)
}
