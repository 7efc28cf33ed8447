// Package tls asks a server for its TLS: version, suite, certificates and what else a handshake tells. How far the
// handshake goes is the depth:
//
//	hello, certs   the server's first flight is read and no handshake made (internal/flight)
//	full           crypto/tls makes the whole handshake on the engine's loop (probes/secure)
//
// Besides there are two ways of asking with many hellos, over as many connections: enumeration of all that a server takes
// (internal/enumerate) and the JARM fingerprint (internal/jarm).
//
// Each target is asked for by its own name and no other's: the SNI is the user's --sni, or else the target's domain, and none
// for an address. The certificate must be for that name, or else for the address.
//
// A probe keeps no secrets, so what a scan offers is made once and offered to every server, the key shares of the depth
// certs included. At the depths hello and certs no signature is checked: what a server shows is held against the roots,
// the time and the name, but that it has the key to it is proven by a full handshake only.
package tls

import (
	"slices"
	"sync"

	"sonde/probes"
	"sonde/probes/internal/tlsfacts"
	"sonde/probes/secure"
	"sonde/probes/starttls"
	"sonde/protocol"
	"sonde/target"
)

// Probe asks a server for its TLS and is content with a handshake and a certificate that is to be believed. The zero Probe
// makes whole handshakes and, as it has no clock, believes every certificate: [Probe.Configure] gives it one.
type Probe struct {
	serverName string
	startTLS   string
	open       opener // nil: that of unconfigured
}

var _ probes.Configurable = Probe{}

// opener opens the exchange for one connection, or for several one after the other.
type opener func(t *target.Target, n names) protocol.Handshaker

// names are what a target is called.
type names struct {
	server      string // to send as SNI; empty: none
	certificate string // that the certificate must be for
	startTLS    string // the protocol in which TLS is asked for; empty: none
}

// unconfigured opens the exchanges of the zero Probe.
var unconfigured = sync.OnceValue(func() opener {
	open, err := newOpener(probes.TLSOptions{Insecure: true})
	if err != nil {
		panic("tls: the defaults are refused: " + err.Error())
	}
	return open
})

// About implements [probes.Probe].
func (Probe) About() probes.About {
	return probes.About{
		Name:    "tls",
		Summary: "makes a TLS handshake and is content with a certificate that is trusted",
		Port:    443,
		Schemes: []string{"tls"},
		Options: []string{
			"--tls-depth", "--sni", "--alpn", "--min-version", "--max-version", "--groups", "--insecure", "--cacert", "--cert", "--key",
			"--starttls", "--session-reuse", "--tls-enum", "--jarm", "--ech-config", "--pem",
		},
		Reports: reports(),
	}
}

// reports are the fields of the facts, and those of a server that would not begin TLS.
func reports() []probes.Field {
	fields := tlsfacts.Fields()
	for _, f := range starttls.Fields() {
		if !slices.ContainsFunc(fields, func(g probes.Field) bool { return g.Name == f.Name }) {
			fields = append(fields, f)
		}
	}
	return fields
}

// Configure implements [probes.Configurable]. It heeds o.TLS alone.
func (Probe) Configure(o probes.Options) (probes.Probe, error) {
	if err := check(o.TLS); err != nil {
		return nil, err
	}
	open, err := newOpener(o.TLS)
	if err != nil {
		return nil, err
	}
	return Probe{serverName: o.TLS.ServerName, startTLS: o.TLS.StartTLS, open: open}, nil
}

// Exchange implements [probes.Probe]. Every exchange is a [protocol.Handshaker].
func (p Probe) Exchange(t *target.Target) protocol.Exchange {
	open := p.open
	if open == nil {
		open = unconfigured()
	}
	n := p.names(t)
	e := open(t, n)
	if n.startTLS == "" {
		return e
	}
	return starttls.Before(n.startTLS, t.Domain, e)
}

// names returns what t is called. A name that can't be sent (RFC 6066 s.3) is not, and the certificate is held against it
// all the same.
func (p Probe) names(t *target.Target) names {
	n := names{startTLS: p.startTLS}
	if n.startTLS == probes.StartTLSAuto {
		n.startTLS, _ = starttls.For(t.Port)
	}
	n.server, n.certificate = secure.Names(t, p.serverName)
	return n
}
