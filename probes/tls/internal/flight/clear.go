package flight

import (
	"fmt"
	"slices"

	"sonde/probes/internal/tlsfacts"
	"sonde/protocol/tlswire"
)

// clearFlight is how far the flight of a server of TLS 1.2 and below has got.
type clearFlight struct {
	rank         int  // of the last message
	staple       bool // a CertificateStatus may come
	certificates bool // a Certificate came
	exchanged    bool // a ServerKeyExchange came
}

// rankOf is a message's place in the flight (RFC 5246 s.7.3, RFC 6066 s.8, RFC 4680 s.2); 0 for one that has none.
func rankOf(t tlswire.HandshakeType) int {
	return 1 + slices.Index([]tlswire.HandshakeType{
		tlswire.HandshakeSupplementalData, tlswire.HandshakeCertificate, tlswire.HandshakeCertificateStatus,
		tlswire.HandshakeServerKeyExchange, tlswire.HandshakeCertificateRequest, tlswire.HandshakeServerHelloDone,
	}, t)
}

// onClear takes a message behind the ServerHello of TLS 1.2 or below.
func (e *exchange) onClear(m tlswire.Message) {
	rank := rankOf(m.Type)
	if rank <= e.clear.rank {
		e.refuse(fmt.Sprintf("%v in place of %s", m.Type, e.awaited()))
		return
	}
	e.clear.rank = rank
	switch m.Type {
	case tlswire.HandshakeCertificate:
		e.clear.certificates = e.onCertificate(m)
	case tlswire.HandshakeCertificateStatus:
		e.onCertificateStatus(m)
	case tlswire.HandshakeServerKeyExchange:
		e.onServerKeyExchange(m)
	case tlswire.HandshakeCertificateRequest:
		e.onCertificateRequest(m)
	case tlswire.HandshakeServerHelloDone:
		e.onServerHelloDone(m)
	}
}

// onCertificateStatus keeps a stapled response.
func (e *exchange) onCertificateStatus(m tlswire.Message) {
	ocsp, err := tlswire.ParseCertificateStatus(m.Body())
	if err != nil {
		e.fail(err)
		return
	}
	if !e.clear.staple {
		e.refuse("a certificate_status that was not announced") // RFC 6066 s.8
		return
	}
	e.facts.OCSP = slices.Clone(ocsp)
}

// onServerKeyExchange learns the group.
func (e *exchange) onServerKeyExchange(m tlswire.Message) {
	k, err := tlswire.ParseServerKeyExchange(m.Body(), e.facts.Cipher, e.facts.Version)
	if err != nil {
		e.fail(err)
		return
	}
	e.clear.exchanged = true
	e.facts.Group = k.Group
	if k.Group != 0 && e.facts.Version > tlswire.SSL30 && !slices.Contains(e.client.offer.groups, k.Group) {
		e.refuse(fmt.Sprintf("chose group %v, which was not offered", k.Group)) // RFC 8422 s.5.4
	}
}

// onServerHelloDone ends the flight: what the suite needs must have come.
func (e *exchange) onServerHelloDone(m tlswire.Message) {
	if err := tlswire.ParseServerHelloDone(m.Body()); err != nil {
		e.fail(err)
		return
	}
	if e.facts.ClientCert == tlsfacts.Unknown {
		e.facts.ClientCert = tlsfacts.No
	}
	kind, anonymous := e.facts.Cipher.KeyExchange(), e.facts.Cipher.Weakness()&tlswire.WeakAnonymous != 0
	switch {
	case !anonymous && !e.clear.certificates:
		e.refuse("no Certificate message, which the suite needs") // RFC 5246 s.7.4.2
	case kind != tlswire.KeyExchangeRSA && !e.clear.exchanged:
		e.refuse("no ServerKeyExchange message, which the suite needs") // RFC 5246 s.7.4.3
	default:
		e.judge()
	}
}
