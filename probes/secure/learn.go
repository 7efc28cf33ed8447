package secure

import (
	"bytes"
	"crypto/md5"
	"crypto/tls"
	"encoding/hex"
	"errors"

	"sonde/probes/internal/conclude"
	"sonde/probes/internal/tlsfacts"
	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// learn takes what a handshake told, whether it ended well or not, and judges the certificates.
func (e *exchange) learn(h *protocol.Handshake) {
	e.facts = tlsfacts.Facts{
		Depth: e.facts.Depth, StartTLS: e.facts.StartTLS, SNI: e.facts.SNI, PEM: e.facts.PEM, Insecure: e.facts.Insecure,
	}
	e.heard = e.heard || len(h.Flight) > 0 || h.Err == nil
	c := clear{facts: &e.facts, ticketsAsked: e.top || e.reuse != nil}
	c.read(h.Flight)
	if e.broken = c.broken; e.broken.isNotTLS() {
		e.facts.FirstBytes = bytes.Clone(h.Flight[:min(len(h.Flight), conclude.MaxReceived)])
	}
	if e.reuse != nil {
		e.reuse.keep(&c)
	}

	// What crypto/tls took of the flight goes above what the flight says by itself.
	f, s := &e.facts, &h.State
	if s.CurveID != 0 {
		f.Group = tlswire.Group(s.CurveID)
	}
	if s.NegotiatedProtocol != "" {
		f.ALPN = s.NegotiatedProtocol
	}
	if len(s.PeerCertificates) > 0 {
		f.Chain = make([][]byte, len(s.PeerCertificates))
		for i, cert := range s.PeerCertificates {
			f.Chain[i] = cert.Raw
		}
	}
	if len(s.OCSPResponse) > 0 {
		f.OCSP = s.OCSPResponse
	}
	if len(s.SignedCertificateTimestamps) > 0 {
		f.SCTs = s.SignedCertificateTimestamps
	}
	if e.asked {
		f.ClientCert = tlsfacts.Yes
	}
	if h.Err == nil {
		f.Resumed = tlsfacts.TriOf(s.DidResume)
		f.ClientCert = tlsfacts.TriOf(e.asked)
		if e.layer.options.ECH != nil {
			f.ECH = tlsfacts.TriOf(s.ECHAccepted)
		}
	}
	e.judge(h)
}

// judge holds the chain, if there is one, against the name that was asked for; or against the outer one of an encrypted
// hello that the server rejected, for it is that name's owner who must have said so (draft-ietf-tls-esni s.6.1.6).
func (e *exchange) judge(h *protocol.Handshake) {
	e.judged = tlsfacts.Judgement{}
	if e.layer.judge == nil || len(e.facts.Chain) == 0 && h.Err != nil {
		return
	}
	identity := e.identity
	var rejected *tls.ECHRejectionError
	if errors.As(h.Err, &rejected) && h.State.ServerName != "" {
		identity = h.State.ServerName
	}
	e.judged = e.layer.judge.Judge(e.facts.Chain, identity)
}

// clear is what a server's first bytes say in the clear: all of a ServerHello, and up to TLS 1.2 what follows it until the
// keys change, as far as protocol.FlightSize reaches. A handshake that crypto/tls refuses leaves no other trace.
type clear struct {
	facts        *tlsfacts.Facts
	ticketsAsked bool

	sessionID      []byte // part of the flight
	extendedMaster bool
	broken         broken
}

// broken is what stands in a flight where a record should begin: err is what the parser of records says of it, nil if there
// is no such place, and spoken that a record came before.
type broken struct {
	err    error
	spoken bool
}

// verdict is the one that all depths make on such bytes.
func (b broken) verdict() (protocol.Verdict, string) { return tlsfacts.Broken(b.err, b.spoken) }

// isFirst reports whether the flight begins with it: nothing that crypto/tls has against the server can come before.
func (b broken) isFirst() bool { return b.err != nil && !b.spoken }

// isNotTLS reports whether the server speaks another protocol.
func (b broken) isNotTLS() bool {
	v, _ := b.verdict()
	return b.err != nil && v == protocol.NotSpoken
}

// read takes a flight apart as far as it goes. What is malformed ends it without a word: crypto/tls has said it.
func (c *clear) read(flight []byte) {
	var records tlswire.RecordParser
	var messages tlswire.Assembler
	for rest := flight; len(rest) > 0; {
		record, n, err := records.ParseFrame(rest)
		if err != nil {
			if err != protocol.ErrIncomplete {
				c.broken = broken{err, len(rest) < len(flight)}
			}
			return
		}
		rest = rest[n:]
		switch tlswire.ContentType(record.Kind) {
		case tlswire.RecordHandshake:
			messages.Add(record.Data)
			for {
				m, err := messages.Next()
				if err == protocol.ErrIncomplete {
					break
				}
				if err != nil || !c.onMessage(m) {
					return
				}
			}
		case tlswire.RecordChangeCipherSpec:
			// RFC 8446 s.D.4: of TLS 1.3 it means nothing, and a second ServerHello may follow.
			if c.facts.Version != tlswire.TLS13 {
				return
			}
		case tlswire.RecordAlert:
			// A warning may stand before the ServerHello (unrecognized_name, RFC 6066 s.3).
		default:
			return
		}
	}
}

// onMessage reports whether more may follow in the clear.
func (c *clear) onMessage(m tlswire.Message) bool {
	f, body := c.facts, m.Body()
	switch m.Type {
	case tlswire.HandshakeServerHello:
		return c.onServerHello(body)
	case tlswire.HandshakeCertificate:
		if chain, err := tlswire.ParseCertificate(body, f.Version); err == nil {
			for _, entry := range chain.Entries {
				f.Chain = append(f.Chain, bytes.Clone(entry.Data))
			}
		}
	case tlswire.HandshakeServerKeyExchange:
		if k, err := tlswire.ParseServerKeyExchange(body, f.Cipher, f.Version); err == nil {
			f.Group = k.Group
		}
	case tlswire.HandshakeCertificateRequest:
		f.ClientCert = tlsfacts.Yes
	}
	return m.Type != tlswire.HandshakeServerHelloDone
}

func (c *clear) onServerHello(body []byte) (more bool) {
	h, err := tlswire.ParseServerHello(body)
	if err != nil {
		return false
	}
	f := c.facts
	f.Version, f.Cipher = h.Version(), h.CipherSuite
	f.Group = h.KeyShare.Group
	sum := md5.Sum([]byte(h.JA3S()))
	f.JA3S = hex.EncodeToString(sum[:])
	if h.IsRetry() {
		f.Retry = true
		return true
	}
	if f.Version >= tlswire.TLS13 {
		return false
	}
	f.ALPN = string(h.ALPN)
	for sct := range h.SCTs.All() {
		f.SCTs = append(f.SCTs, bytes.Clone(sct))
	}
	f.SessionID = tlsfacts.TriOf(len(h.SessionID) > 0)
	if c.ticketsAsked {
		f.SessionTicket = tlsfacts.TriOf(h.SessionTicket)
	}
	c.sessionID, c.extendedMaster = h.SessionID, h.ExtendedMaster
	return true
}
