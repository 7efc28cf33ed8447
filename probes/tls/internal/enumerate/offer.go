package enumerate

import (
	"bytes"
	"slices"

	"sonde/protocol/tlswire"
)

// offer is what one hello offers, and what therefore counts as taken.
type offer struct {
	// from and to bound the version that is wanted. A hello can't say from before TLS 1.3; a lower answer is a refusal.
	from, to tlswire.Version
	suites   []tlswire.CipherSuite
	groups   []tlswire.Group
	// group says that the answer is the group: before TLS 1.3 it is read from the ServerKeyExchange.
	group bool
}

// answer is what the server made of an offer.
type answer struct {
	accepted bool
	version  tlswire.Version
	suite    tlswire.CipherSuite
	group    tlswire.Group
	alert    tlswire.AlertDescription // of a refusal by alert; close_notify, which is 0, if there was none
	// half says that the offer was taken, by a ServerHello, and the group that was asked for is not (yet) told.
	half bool
}

// appendHello appends the hello. The bytes of random are the random and the session ID.
func (o *offer) appendHello(dst []byte, name string, alpn []string, random *[64]byte) ([]byte, error) {
	h := tlswire.ClientHello{
		LegacyVersion: min(o.to, tlswire.TLS12),
		Random:        [32]byte(random[:32]),
		CipherSuites:  o.suites,
	}
	if o.to == tlswire.SSL30 { // has no extensions; RFC 5746 s.3.3 gives it a suite instead
		h.CipherSuites = append(slices.Clone(o.suites), tlswire.RenegotiationInfoSCSV)
		return h.Append(dst)
	}
	if o.to == tlswire.TLS13 {
		h.SessionID = random[32:] // for middleboxes, RFC 8446 s.D.4
	}
	h.Extensions = o.extensions(name, alpn)
	bare, err := h.AppendMessage(nil)
	if err != nil {
		return dst, err
	}
	// Some servers hang when a hello has 256 to 511 bytes (RFC 7685 s.1).
	if n := len(bare); n >= 256 && n < 512 {
		h.Extensions = append(h.Extensions, tlswire.Padding(max(1, 512-n-4)))
	}
	return h.Append(dst)
}

func (o *offer) extensions(name string, alpn []string) []tlswire.Extension {
	list := make([]tlswire.Extension, 0, 9)
	if name != "" {
		list = append(list, tlswire.ServerName(name))
	}
	list = append(list, tlswire.RenegotiationInfo{}, tlswire.SupportedGroups(o.groups), tlswire.ECPointFormats{0})
	if len(alpn) > 0 {
		list = append(list, tlswire.ALPN(alpn))
	}
	if o.to == tlswire.TLS13 {
		var versions tlswire.SupportedVersions
		for v := tlswire.TLS13; v >= max(o.from, tlswire.TLS10); v-- { // RFC 8446 s.D.5 keeps SSL 3.0 out
			versions = append(versions, v)
		}
		list = append(list, versions, tlswire.KeyShares{}) // none, which asks for a HelloRetryRequest: RFC 8446 s.4.2.8
	}
	if o.to >= tlswire.TLS12 {
		list = append(list, tlswire.SignatureAlgorithms(schemes))
	}
	return list
}

// read takes a message of the server's and reports whether it completes the answer.
func (o *offer) read(m tlswire.Message, got *answer) (over bool) {
	switch m.Type {
	case tlswire.HandshakeServerHello:
		h, err := tlswire.ParseServerHello(m.Body())
		if err != nil || got.version != 0 {
			*got = answer{}
			return true
		}
		return o.readHello(&h, got)
	case tlswire.HandshakeServerKeyExchange:
		if got.version == 0 {
			return true
		}
		k, err := tlswire.ParseServerKeyExchange(m.Body(), got.suite, got.version)
		if err == nil {
			got.group, got.half = groupOf(&k), false
			got.accepted = slices.Contains(o.groups, got.group)
		}
		return true
	case tlswire.HandshakeCertificate, tlswire.HandshakeCertificateStatus, tlswire.HandshakeSupplementalData:
		return got.version == 0 // come between the two
	}
	return true
}

func (o *offer) readHello(h *tlswire.ServerHello, got *answer) (over bool) {
	v := h.Version()
	if v < o.from || v > o.to || !slices.Contains(o.suites, h.CipherSuite) || (v == tlswire.TLS13) != h.CipherSuite.IsTLS13() {
		return true
	}
	got.version, got.suite, got.group = v, h.CipherSuite, h.KeyShare.Group
	switch {
	case !o.group:
		got.accepted = true
	case v == tlswire.TLS13:
		got.accepted = slices.Contains(o.groups, got.group)
	default:
		got.half = true
		return false
	}
	return true
}

// cutOff makes a refusal of an answer that breaks off, unless the offer was taken already.
func (a *answer) cutOff() {
	if !a.half {
		*a = answer{}
	}
}

// groupOf is the group of a key exchange before TLS 1.3. A group of RFC 7919 is told by its prime; 0 is another one.
func groupOf(k *tlswire.ServerKeyExchange) tlswire.Group {
	if k.Prime == nil {
		return k.Group
	}
	// RFC 7919 s.A: all begin with these bytes, a one and e, and end with 64 ones.
	begin := []byte("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xAD\xF8\x54\x58\xA2\xBB\x4A\x9A\xAF\xDC\x56\x20")
	if !bytes.HasPrefix(k.Prime, begin) || !bytes.HasSuffix(k.Prime, begin[:8]) {
		return 0
	}
	for g := tlswire.FFDHE2048; g < tlswire.FFDHE2048+5; g++ {
		if size, _, _ := g.ShareSizes(); size == len(k.Prime) {
			return g
		}
	}
	return 0
}
