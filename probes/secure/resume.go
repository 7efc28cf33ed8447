package secure

import (
	"bytes"
	"crypto/rand"

	"sonde/internal/tlsclient"
	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// Resumption by session ID (RFC 5246 s.7.3 and s.F.1.4), which crypto/tls does not have: a hello of ours carries the ID,
// and the server takes the session if its ServerHello echoes it (s.7.4.1.3). The connection ends there, since the keys of
// the session stay in crypto/tls; so how long the resumed handshake would have taken is not known and not said.

// resumingHello is the ClientHello that offers the session. It asks for what the first one asked for where the server must not
// resume otherwise: the name (RFC 6066 s.3), the suite (RFC 5246 s.7.4.1.2), the extended master secret if, and only if,
// the session has one (RFC 7627 s.5.3).
func (r *reuse) resumingHello(e *exchange) []byte {
	h := tlswire.ClientHello{LegacyVersion: tlswire.TLS12, SessionID: r.sessionID}
	if highest := e.layer.options.MaxVersion; highest != 0 {
		h.LegacyVersion = min(h.LegacyVersion, highest)
	}
	_, _ = rand.Read(h.Random[:]) // never fails, see crypto/rand
	h.CipherSuites = append(h.CipherSuites, e.facts.Cipher)
	for _, id := range tlsclient.Suites() {
		if s := tlswire.CipherSuite(id); s != e.facts.Cipher {
			h.CipherSuites = append(h.CipherSuites, s)
		}
	}
	if e.sni != "" {
		h.Extensions = append(h.Extensions, tlswire.ServerName(e.sni))
	}
	if r.extendedMaster {
		h.Extensions = append(h.Extensions, tlswire.ExtendedMasterSecret{})
	}
	h.Extensions = append(h.Extensions,
		tlswire.RenegotiationInfo{},
		tlswire.SupportedGroups{tlswire.X25519, tlswire.SecP256R1, tlswire.SecP384R1, tlswire.SecP521R1},
		tlswire.ECPointFormats{0},
		tlswire.SignatureAlgorithms{
			tlswire.RSAPSSRSAESHA256, tlswire.ECDSASecP256R1SHA256, tlswire.Ed25519, tlswire.RSAPSSRSAESHA384,
			tlswire.RSAPSSRSAESHA512, tlswire.RSAPKCS1SHA256, tlswire.RSAPKCS1SHA384, tlswire.RSAPKCS1SHA512,
			tlswire.ECDSASecP384R1SHA384, tlswire.ECDSASecP521R1SHA512, tlswire.RSAPKCS1SHA1, tlswire.ECDSASHA1,
		})
	if len(e.alpn) > 0 {
		h.Extensions = append(h.Extensions, tlswire.ALPN(e.alpn))
	}
	hello, err := h.Append(nil)
	if err != nil {
		panic("secure: the hello that resumes a session: " + err.Error()) // all of it was checked or parsed before
	}
	return hello
}

// begin sends the hello.
func (r *reuse) begin(e *exchange) protocol.Step {
	r.send[0] = r.resumingHello(e)
	return protocol.Step{Send: r.send[:]}
}

// onRecord reads the answer to the hello as far as the ServerHello.
func (r *reuse) onRecord(e *exchange, f protocol.Frame) protocol.Step {
	switch kind := tlswire.ContentType(f.Kind); kind {
	case tlswire.RecordHandshake:
		r.messages.Add(f.Data)
		m, err := r.messages.Next()
		switch {
		case err == protocol.ErrIncomplete:
			return protocol.Step{}
		case err != nil:
			e.refused(err.Error())
		default:
			r.onMessage(e, m)
		}
	case tlswire.RecordAlert:
		alert, err := tlswire.ParseAlert(f.Data)
		if err == nil && alert.Level == tlswire.AlertWarning && alert.Description != tlswire.AlertCloseNotify {
			return protocol.Step{}
		}
		if err != nil {
			e.refused(err.Error())
		} else {
			e.refused("alert " + alert.Description.String())
		}
	default:
		e.refused("a record of type " + kind.String() + " for a ServerHello")
	}
	return protocol.Step{Then: protocol.Done}
}

// onMessage is the first message of the answer.
func (r *reuse) onMessage(e *exchange, m tlswire.Message) {
	if m.Type != tlswire.HandshakeServerHello {
		e.refused(m.Type.String() + " for a ServerHello")
		return
	}
	h, err := tlswire.ParseServerHello(m.Body())
	if err != nil {
		e.refused(err.Error())
		return
	}
	e.onSecondHello(bytes.Equal(h.SessionID, r.sessionID))
}

// refused is the verdict on a second connection whose handshake the server ended, or went wrong with.
func (e *exchange) refused(why string) {
	e.verdict, e.reason = protocol.HandshakeRefused, onSecond+why
}
