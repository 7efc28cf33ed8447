// Package secure puts TLS under any probe: it wraps a probe's exchange in a protocol.Handshaker, chooses what is offered to
// the server, judges its certificate before a byte of the probe's is sent, and adds what was learned to the probe's
// result. With no exchange inside it is the tls probe's full depth, resumption of sessions included.
//
// The handshake is crypto/tls', driven by the engine. No byte is read or written here.
//
//	Layer (one per scan) ─► exchange (one per target) ─► inner exchange (the probe's, or none)
//
// # What is shared
//
// A [Layer] holds one configuration that is never changed. Each connection gets a clone of it with the name of its own
// target and callbacks of its own: no target's name, session or certificate request is ever seen by another connection.
package secure

import (
	"crypto/tls"
	"slices"
	"strings"

	"sonde/probes"
	"sonde/probes/internal/tlsfacts"
	"sonde/probes/starttls"
	"sonde/protocol"
	"sonde/protocol/tlswire"
	"sonde/target"
)

// Layer is TLS as one scan wants it. Make it with [New]; it is immutable and safe for concurrent use.
type Layer struct {
	options probes.TLSOptions
	// base is what every connection's configuration is cloned from.
	base *tls.Config
	// judge is nil if there is no clock to judge by; only an insecure Layer may lack one.
	judge *tlsfacts.Judge
}

// New checks the options and makes a Layer by them. o.Depth must be [probes.DepthFull], and o.Now must be set unless
// o.Insecure is: without a clock no certificate is judged. o.Enum and o.JARM are not looked at. An error names the flag,
// what is wrong with it and how to mend it.
//
// crypto/tls has no SSL 3.0: a MinVersion of 0 is TLS 1.0 here, or TLS 1.3 if o.ECH is set, and SSL 3.0 by name is refused.
func New(o probes.TLSOptions) (*Layer, error) {
	if err := check(o); err != nil {
		return nil, err
	}
	base, err := offer(o)
	if err != nil {
		return nil, err
	}
	o.ALPN = base.NextProtos // ours, not the caller's
	o.Certificates = slices.Clone(o.Certificates)
	l := &Layer{options: o, base: base}
	if o.Now != nil {
		base.Time = o.Now
		l.judge = tlsfacts.NewJudge(tlsfacts.JudgeOptions{Roots: o.Roots, Now: o.Now})
	}
	return l, nil
}

// Exchange returns the exchange that makes a TLS handshake with t and lets inner speak over it; with a nil inner
// nothing is said after the handshake. It is for one connection, or for several one after the other
// (TLSOptions.SessionReuse, or an inner that is a [protocol.Series]); t is not kept.
//
// alpn are the protocols that inner offers unless the options name others. The finding is inner's with a member "tls"
// added. With top and no inner the facts are the finding itself, and a ticket is asked for, so as to tell whether
// servers of TLS 1.2 give one.
//
// The exchange does no STARTTLS; see [Layer.Under].
func (l *Layer) Exchange(t *target.Target, inner protocol.Exchange, alpn []string, top bool) protocol.Handshaker {
	first := l.options.StartTLS
	if first == probes.StartTLSAuto {
		first, _ = starttls.For(t.Port)
	}
	return l.open(t, inner, alpn, top, first)
}

// Later returns an exchange that is inner in the clear until inner answers with a StartTLS step, makes the TLS handshake then,
// and is inner over TLS from there on: inner's Begin is called a second time, to go on with. Of a handshake that fails inner
// is told by OnEnd with EndNoConnection, and the verdict is the layer's; of a conversation that ends before, it is inner's.
// TLSOptions.StartTLS and SessionReuse are not looked at.
//
// inner must not ask for TLS twice, nor for another connection. t is not kept.
func (l *Layer) Later(t *target.Target, inner protocol.Exchange) protocol.Handshaker {
	e := l.open(t, inner, nil, false, "")
	e.phase = clearText
	return e
}

// open is Exchange behind a STARTTLS of this protocol; empty: none.
func (l *Layer) open(t *target.Target, inner protocol.Exchange, alpn []string, top bool, startTLS string) *exchange {
	if l.options.ALPN != nil {
		alpn = l.options.ALPN
	}
	e := &exchange{layer: l, inner: inner, top: top, alpn: alpn}
	e.sni, e.identity = Names(t, l.options.ServerName)
	e.facts = tlsfacts.Facts{Depth: probes.DepthFull, StartTLS: startTLS, SNI: e.sni, PEM: l.options.PEM, Insecure: l.options.Insecure}
	if inner == nil && l.options.SessionReuse {
		e.reuse = &reuse{}
	}
	return e
}

// Names returns the name that t is asked for by SNI, empty for none, and the one that its certificate must be for: the same,
// or else the domain, or the address. serverName is what the user has it asked for instead; empty: nothing.
//
// A name that can't be sent (RFC 6066 s.3) is not, and the certificate is held against it all the same.
func Names(t *target.Target, serverName string) (sni, identity string) {
	if serverName != "" {
		return serverName, serverName
	}
	domain := strings.TrimSuffix(t.Domain, ".")
	switch {
	case domain == "":
		return "", t.Addr.Unmap().WithZone("").String()
	case tlswire.CheckServerName(domain) != nil:
		return "", domain
	}
	return domain, domain
}

// Under returns p over TLS. With TLSOptions.StartTLS its protocol comes first, and the caller has configured p with
// probes.Options.Greeted; [probes.StartTLSAuto] means the protocol of p's own name if there is one, else that of the
// target's port, else none. TLSOptions.SessionReuse is heeded only for a probe that says nothing (tcp).
func (l *Layer) Under(p probes.Probe) probes.Probe {
	about := p.About()
	u := &under{layer: l, probe: p, about: about, startTLS: l.options.StartTLS}
	u.about.Reports = append(slices.Clone(about.Reports),
		probes.Field{Name: "tls", Type: "object", Doc: "what was learned of TLS; its fields are those of the tls probe"})
	if u.startTLS == probes.StartTLSAuto && slices.Contains(starttls.Protocols(), about.Name) {
		u.startTLS = about.Name
	}
	return u
}

// under is a probe over TLS.
type under struct {
	layer    *Layer
	probe    probes.Probe
	about    probes.About
	startTLS string
}

var _ probes.Probe = (*under)(nil)

// About implements [probes.Probe]: what the probe says of itself, and the member "tls".
func (u *under) About() probes.About { return u.about }

// Exchange implements [probes.Probe].
func (u *under) Exchange(t *target.Target) protocol.Exchange {
	first := u.startTLS
	if first == probes.StartTLSAuto {
		first, _ = starttls.For(t.Port)
	}
	e := u.layer.open(t, u.probe.Exchange(t), u.about.ALPN, false, first)
	if first == "" {
		return e
	}
	return starttls.Before(first, t.Domain, e)
}

// config is the configuration for one connection of e's.
func (l *Layer) config(e *exchange) *tls.Config {
	cfg := l.base.Clone()
	cfg.ServerName = e.sni
	cfg.NextProtos = e.alpn
	cfg.GetClientCertificate = e.onCertificateRequest
	switch {
	case e.reuse != nil:
		e.reuse.join(cfg)
	case e.top:
		cfg.ClientSessionCache = noSession{}
	}
	return cfg
}

// noSession has crypto/tls ask for tickets, of which none is kept.
type noSession struct{}

var _ tls.ClientSessionCache = noSession{}

// Get implements [tls.ClientSessionCache].
func (noSession) Get(string) (*tls.ClientSessionState, bool) { return nil, false }

// Put implements [tls.ClientSessionCache].
func (noSession) Put(string, *tls.ClientSessionState) {}

// certificate is the first of the user's certificates that suits a server's request, or an empty one, which tells the
// server that there is none (RFC 8446 s.4.4.2).
func (l *Layer) certificate(wanted *tls.CertificateRequestInfo) *tls.Certificate {
	for i := range l.options.Certificates {
		if c := &l.options.Certificates[i]; wanted.SupportsCertificate(c) == nil {
			return c
		}
	}
	return &tls.Certificate{}
}
