package starttls

import (
	"strings"

	"sonde/probes/internal/conclude"
	"sonde/protocol"
)

// What is sent to an XMPP server (RFC 6120 s.4.2, s.5.4.2.1, s.4.4). A client's stream is the one that all servers for people
// open; one that serves other servers only answers it with a stream error.
const xmppStream = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'"

var (
	xmppSTARTTLS = [][]byte{[]byte("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")}
	xmppGoodbye  = [][]byte{[]byte("</stream:stream>")}
)

// xmlEscapes makes a text fit for an attribute between apostrophes (XML 1.0 s.2.4).
var xmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&apos;", `"`, "&quot;")

// xmpp is the prelude of RFC 6120 s.5: our stream header, the server's and its features, <starttls/>, <proceed/>. Of the
// XML only what takes part in that is understood: names without their prefixes, at their depth. A name of another
// namespace could only make us ask for what is not on offer.
type xmpp struct {
	tags      xmlTags
	send      [1][]byte
	state     xmppState
	depth     int    // of the elements that are open; the stream is 1
	child     string // the element at depth 2, below the stream
	condition string // its first child
	offered   bool
	count     int
}

// xmppState is what comes next.
type xmppState uint8

const (
	xmppHeader xmppState = iota
	xmppFeatures
	xmppAnswer
)

func newXMPP(domain string) prelude {
	open := xmppStream
	if domain != "" {
		open += " to='" + xmlEscapes.Replace(domain) + "'"
	}
	return &xmpp{send: [1][]byte{[]byte(open + ">")}}
}

func (p *xmpp) begin() protocol.Step { return protocol.Step{Send: p.send[:]} }

func (p *xmpp) parser() protocol.FrameParser { return &p.tags }

func (p *xmpp) awaited() string {
	return [...]string{"the stream header", "the stream's features", "the answer to STARTTLS"}[p.state]
}

func (p *xmpp) onFrame(f protocol.Frame, a *account) protocol.Step {
	if p.count++; p.count > maxAside {
		return a.refuse(tooMuch, f.Data, nil)
	}
	switch {
	case f.Kind == xmlDeclaration:
		return protocol.Step{}
	case p.state == xmppHeader:
		return p.onHeader(f, a)
	case f.Kind == xmlClose:
		return p.onClosed(f, a)
	}
	p.depth++
	switch name := xmlName(f.Data); p.depth {
	case 2:
		p.child, p.condition = name, ""
	case 3:
		p.offered = p.offered || p.child == "features" && name == "starttls"
		if p.condition == "" {
			p.condition = name
		}
	}
	if f.Kind == xmlEmpty {
		return p.onClosed(f, a)
	}
	return protocol.Step{}
}

// onHeader reads the server's stream header. A stream without a version, or of one below 1.0, has no features (RFC 6120
// s.4.7.5): to wait for them would be in vain.
func (p *xmpp) onHeader(f protocol.Frame, a *account) protocol.Step {
	if f.Kind != xmlOpen || xmlName(f.Data) != "stream" {
		return a.notSpoken("not xmpp: first element is no stream", f.Data)
	}
	a.greeting = conclude.Text(f.Data)
	version, ok := xmlAttribute(f.Data, "version")
	if !ok || strings.HasPrefix(version, "0") {
		return a.refuse(notOffered+": stream of a version before 1.0", f.Data, xmppGoodbye)
	}
	p.state, p.depth = xmppFeatures, 1
	return protocol.Step{}
}

// onClosed is the end of the element that is open at the present depth.
func (p *xmpp) onClosed(f protocol.Frame, a *account) protocol.Step {
	p.depth--
	switch {
	case p.depth == 0:
		return a.refuse("the stream is closed before "+p.awaited(), f.Data, xmppGoodbye)
	case p.depth > 1:
		return protocol.Step{}
	}
	switch {
	case p.child == "error": // RFC 6120 s.4.9
		return a.refuse("stream error: "+p.condition, f.Data, xmppGoodbye)
	case p.state == xmppFeatures && p.child == "features" && p.offered:
		p.state = xmppAnswer
		return protocol.Step{Send: xmppSTARTTLS}
	case p.state == xmppFeatures && p.child == "features":
		return a.refuse(notOffered, f.Data, xmppGoodbye)
	case p.state == xmppAnswer && p.child == "proceed": // RFC 6120 s.5.4.2.3
		return startTLS
	case p.state == xmppAnswer && p.child == "failure": // RFC 6120 s.5.4.2.2
		return a.refuse(refusedBy+"failure", f.Data, nil)
	}
	return protocol.Step{}
}
