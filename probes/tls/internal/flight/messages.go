package flight

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"slices"

	"sonde/probes"
	"sonde/probes/internal/tlsfacts"
	"sonde/probes/tls/internal/tls13"
	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// onServerHello takes a ServerHello or a HelloRetryRequest.
func (e *exchange) onServerHello(m tlswire.Message) {
	h, err := tlswire.ParseServerHello(m.Body())
	if err != nil {
		e.fail(err)
		return
	}
	cipher, version := e.facts.Cipher, e.facts.Version
	e.note(&h)
	retried := e.retry != nil
	switch reason := e.client.offer.contradicts(&h, e.asked); {
	case reason != "":
		e.refuse(reason)
	case retried && h.IsRetry():
		e.refuse("a second HelloRetryRequest") // RFC 8446 s.4.1.4
	case retried && (h.CipherSuite != cipher || h.Version() != version):
		e.refuse("other choices than in the HelloRetryRequest") // RFC 8446 s.4.1.4
	case h.Version() < tlswire.TLS13:
		e.stage, e.clear.staple = awaitDone, h.StatusRequest
	case e.reader.messages.Pending():
		e.refuse("a handshake message in the clear behind the ServerHello") // RFC 8446 s.5.1
	case e.client.depth == probes.DepthHello:
		e.done(protocol.Success, "")
	case h.IsRetry():
		e.onRetry(m, &h)
	default:
		e.agree(m, &h)
	}
}

// note keeps what a hello says, whatever it is worth.
func (e *exchange) note(h *tlswire.ServerHello) {
	f := e.facts
	f.Version, f.Cipher = h.Version(), h.CipherSuite
	if h.KeyShare.Group != 0 {
		f.Group = h.KeyShare.Group
	}
	f.Retry = f.Retry || h.IsRetry()
	f.JA3S = e.reader.ja3s.of(h)
	f.ALPN = e.protocol(h.ALPN)
	f.SCTs = appendSCTs(f.SCTs, h.SCTs)
	if f.Version < tlswire.TLS13 {
		// A server that sends our own ID back claims to resume a session that never was.
		f.SessionID = tlsfacts.TriOf(len(h.SessionID) > 0 && !slices.Equal(h.SessionID, e.client.offer.sessionID))
		f.SessionTicket = tlsfacts.TriOf(h.SessionTicket)
	}
}

// protocol makes a string of what the server chose by ALPN, without new memory if it was offered.
func (e *exchange) protocol(name []byte) string {
	if p := e.client.offer.protocol(name); p != "" || len(name) == 0 {
		return p
	}
	return string(name)
}

// onRetry answers a HelloRetryRequest by the hello that it asks for (RFC 8446 s.4.1.2).
func (e *exchange) onRetry(m tlswire.Message, h *tlswire.ServerHello) {
	f := e.client.offer
	shares := f.shares()
	e.asked = f.share.Group
	if g := h.KeyShare.Group; g != 0 {
		pair, err := f.keys[g]()
		if err != nil {
			e.done(protocol.Incapable, err.Error())
			return
		}
		shares, e.asked = tlswire.KeyShares{pair.Share()}, g
	}
	first, err := tls13.Retried(h.CipherSuite, e.hello[tlswire.RecordHeaderSize:])
	if err != nil {
		e.done(protocol.Incapable, err.Error())
		return
	}
	hello := f.hello(e.names.Server, shares, h.Cookie)
	e.retry = append(first, m.Raw...)
	start := len(e.retry)
	if e.retry, err = hello.AppendMessage(e.retry); err != nil || len(e.retry)-start > tlswire.MaxPlaintext {
		e.refuse(fmt.Sprintf("a cookie of %d bytes, which no hello can send back", len(h.Cookie)))
		return
	}
	// RFC 8446 s.5.1: only the first hello's record may say TLS 1.0.
	e.send[0] = tlswire.AppendRecords(nil, tlswire.RecordHandshake, tlswire.TLS12, e.retry[start:])
	e.step = protocol.Step{Send: e.send[:]}
}

// agree makes the keys of what follows the ServerHello.
func (e *exchange) agree(m tlswire.Message, h *tlswire.ServerHello) {
	pair, err := e.client.offer.keys[h.KeyShare.Group]()
	if err != nil {
		e.done(protocol.Incapable, err.Error())
		return
	}
	secret, err := pair.Agree(h.KeyShare.Key)
	if err != nil {
		e.fail(err)
		return
	}
	if e.retry != nil {
		e.reader.keys, err = tls13.NewReader(h.CipherSuite, secret, e.retry, m.Raw)
	} else {
		e.reader.keys, err = tls13.NewReader(h.CipherSuite, secret, e.hello[tlswire.RecordHeaderSize:], m.Raw)
	}
	if err != nil {
		e.done(protocol.Incapable, err.Error())
		return
	}
	e.stage = awaitExtensions
}

func (e *exchange) onEncryptedExtensions(m tlswire.Message) {
	x, err := tlswire.ParseEncryptedExtensions(m.Body())
	if err != nil {
		e.fail(err)
		return
	}
	e.facts.ALPN = e.protocol(x.ALPN)
	e.stage = awaitCertificate
	for t := range x.Extensions.All() {
		if slices.Contains(notInEncrypted, t) {
			e.refuse(fmt.Sprintf("extension %v in the wrong message", t)) // RFC 8446 s.4.3.1
			return
		}
	}
	if reason := e.client.offer.unasked(x.Extensions, nil); reason != "" {
		e.refuse(reason)
	} else if reason := e.client.offer.unknownProtocol(x.ALPN); reason != "" {
		e.refuse(reason)
	}
}

func (e *exchange) onCertificateRequest(m tlswire.Message) {
	if _, err := tlswire.ParseCertificateRequest(m.Body(), e.facts.Version); err != nil {
		e.fail(err)
		return
	}
	e.facts.ClientCert = tlsfacts.Yes
}

// onCertificate keeps the chain and what comes with it, and reports whether there is one.
func (e *exchange) onCertificate(m tlswire.Message) bool {
	c, err := tlswire.ParseCertificate(m.Body(), e.facts.Version)
	if err != nil {
		e.fail(err)
		return false
	}
	if len(c.Entries) == 0 {
		e.refuse("a Certificate message without a certificate") // RFC 8446 s.4.4.2.4, RFC 5246 s.7.4.2
		return false
	}
	size := 0
	for i := range c.Entries {
		size += len(c.Entries[i].Data)
	}
	memory := make([]byte, 0, size)
	e.facts.Chain = make([][]byte, 0, len(c.Entries))
	for i := range c.Entries {
		start := len(memory)
		memory = append(memory, c.Entries[i].Data...)
		e.facts.Chain = append(e.facts.Chain, memory[start:len(memory):len(memory)])
	}
	if e.facts.Version < tlswire.TLS13 {
		return true
	}
	e.facts.OCSP = slices.Clone(c.Entries[0].OCSP)
	e.facts.SCTs = appendSCTs(e.facts.SCTs, c.Entries[0].SCTs)
	if e.facts.ClientCert == tlsfacts.Unknown {
		e.facts.ClientCert = tlsfacts.No // the request would have come before (RFC 8446 s.4.3.2)
	}
	return true
}

// appendSCTs appends copies.
func appendSCTs(dst [][]byte, list tlswire.SCTList) [][]byte {
	for sct := range list.All() {
		dst = append(dst, slices.Clone(sct))
	}
	return dst
}

// ja3s remembers the fingerprint made last: servers of one kind, which a scan meets in rows, have the same.
type ja3s struct {
	version tlswire.Version
	cipher  tlswire.CipherSuite
	types   []tlswire.ExtensionType
	scratch []tlswire.ExtensionType
	sum     string
}

// of returns the MD5 of the hello's JA3S in hexadecimal.
func (j *ja3s) of(h *tlswire.ServerHello) string {
	j.scratch = h.Extensions.AppendTypes(j.scratch[:0])
	if j.sum == "" || j.version != h.LegacyVersion || j.cipher != h.CipherSuite || !slices.Equal(j.types, j.scratch) {
		sum := md5.Sum([]byte(h.JA3S()))
		j.version, j.cipher, j.sum = h.LegacyVersion, h.CipherSuite, hex.EncodeToString(sum[:])
		j.types, j.scratch = j.scratch, j.types
	}
	return j.sum
}
