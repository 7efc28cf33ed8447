package flight

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"

	"sonde/probes"
	"sonde/probes/tls/internal/tls13"
	"sonde/protocol/tlswire"
)

// classicSuites are the suites of TLS 1.2 and below that crypto/tls has, in the order in which its client offers them, so
// that a server chooses the same one at each depth.
var classicSuites = []tlswire.CipherSuite{
	0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, // ECDHE with AES-GCM or ChaCha20 (RFC 5289 s.3.2, RFC 7905 s.2)
	0xC009, 0xC013, 0xC00A, 0xC014, // ECDHE with AES-CBC (RFC 8422 s.6)
	0x009C, 0x009D, 0x002F, 0x0035, // RSA with AES (RFC 5288 s.3, RFC 5246 s.A.5)
	0xC012, 0x000A, 0xC023, 0xC027, 0x003C, 0xC007, 0xC011, 0x0005,
}

// signatureSchemes are offered so that any server finds one that its key can make. The order is that of crypto/tls' client,
// for a server with several certificates to show the same one at each depth; what that does not have follows.
var signatureSchemes = tlswire.SignatureAlgorithms{
	tlswire.RSAPSSRSAESHA256, tlswire.ECDSASecP256R1SHA256, tlswire.Ed25519, tlswire.RSAPSSRSAESHA384, tlswire.RSAPSSRSAESHA512,
	tlswire.RSAPKCS1SHA256, tlswire.RSAPKCS1SHA384, tlswire.RSAPKCS1SHA512, tlswire.ECDSASecP384R1SHA384, tlswire.ECDSASecP521R1SHA512,
	tlswire.RSAPKCS1SHA1, tlswire.ECDSASHA1,
	tlswire.Ed448, tlswire.RSAPSSPSSSHA256, tlswire.RSAPSSPSSSHA384, tlswire.RSAPSSPSSSHA512,
}

// defaultGroups are those of probes.TLSOptions.
var defaultGroups = []tlswire.Group{tlswire.X25519, tlswire.SecP256R1, tlswire.SecP384R1, tlswire.SecP521R1}

// offer is what is offered to every server of a scan. It is immutable.
type offer struct {
	min, max  tlswire.Version
	suites    []tlswire.CipherSuite
	groups    []tlswire.Group
	alpn      []string
	random    [32]byte
	sessionID []byte // empty without TLS 1.3
	// share is for the first group, with TLS 1.3; without a Key if none can be made for it: the server then has to ask.
	share tlswire.KeyShare
	// keys make our half of the key agreement, for the groups that have one. A pair is made when it is first needed and
	// serves every connection of the scan.
	keys map[tlswire.Group]func() (*tls13.KeyPair, error)
	// types are the extensions of the hello.
	types []tlswire.ExtensionType
}

// newOffer makes the offer. The versions and groups have been checked.
func newOffer(o probes.TLSOptions) (*offer, error) {
	f := &offer{min: o.MinVersion, max: o.MaxVersion, groups: slices.Clone(o.Groups), alpn: slices.Clone(o.ALPN)}
	if f.min == 0 {
		f.min = tlswire.SSL30
	}
	if f.max == 0 {
		f.max = tlswire.TLS13
	}
	if len(f.groups) == 0 {
		f.groups = defaultGroups
	}
	f.suites = suites(o.Depth, f.min, f.max)
	rand.Read(f.random[:]) // never fails
	if f.max >= tlswire.TLS13 {
		f.sessionID = make([]byte, 32) // RFC 8446 s.D.4: for middleboxes that want to see a resumption
		rand.Read(f.sessionID)
	}
	f.keys = map[tlswire.Group]func() (*tls13.KeyPair, error){}
	for _, g := range f.groups {
		if tls13.Agrees(g) {
			f.keys[g] = sync.OnceValues(func() (*tls13.KeyPair, error) { return tls13.NewKeyPair(g) })
		}
	}
	if f.max >= tlswire.TLS13 {
		if err := f.makeShare(f.groups[0]); err != nil {
			return nil, err
		}
	}
	return f, f.try()
}

// try makes the longest hello and notes its extensions.
func (f *offer) try() error {
	const longest = 253 // RFC 1035 s.2.3.4: 255 bytes with the lengths before and behind
	hello := f.hello(strings.Repeat("a.", longest/2)+"a", f.shares(), nil)
	message, err := hello.AppendMessage(nil)
	if err != nil {
		return err
	}
	if len(message) > tlswire.MaxPlaintext {
		return fmt.Errorf("%d bytes do not fit a record of %d", len(message), tlswire.MaxPlaintext)
	}
	for _, e := range hello.Extensions {
		f.types = append(f.types, e.Type())
	}
	return nil
}

// suites returns what is offered: those of TLS 1.3, then those that crypto/tls has, then all others whose messages are
// understood and that no secret beyond the server's is needed for, the good ones before the weak ones. At the depth certs
// those of TLS 1.3 must be ones that there are keys for.
func suites(depth probes.Depth, low, high tlswire.Version) []tlswire.CipherSuite {
	var list []tlswire.CipherSuite
	if high >= tlswire.TLS13 {
		list = tls13.Suites()
	}
	if depth == probes.DepthHello && high >= tlswire.TLS13 {
		list = append(list, 0x1304, 0x1305) // AES-CCM, RFC 8446 s.B.4
	}
	if low >= tlswire.TLS13 {
		return list
	}
	list = append(list, classicSuites...)
	var good, weak []tlswire.CipherSuite
	for s := range tlswire.CipherSuites() {
		switch s.KeyExchange() {
		case tlswire.KeyExchangeRSA, tlswire.KeyExchangeDHE, tlswire.KeyExchangeECDHE, tlswire.KeyExchangeDHAnon, tlswire.KeyExchangeECDHAnon:
		default:
			continue
		}
		switch {
		case slices.Contains(classicSuites, s) || s.IsTLS13() || s == 0: // 0 is TLS_NULL_WITH_NULL_NULL, RFC 5246 s.A.5
		case s.Weakness()&tlswire.Broken == 0:
			good = append(good, s)
		default:
			weak = append(weak, s)
		}
	}
	return slices.Concat(list, good, weak)
}

// makeShare makes the share for g. A group that nothing is agreed on with, at the depth hello, takes any bytes of the right
// size: the server looks at no more than that before it answers.
func (f *offer) makeShare(g tlswire.Group) error {
	f.share = tlswire.KeyShare{Group: g}
	if pair, ok := f.keys[g]; ok {
		p, err := pair()
		if err != nil {
			return err
		}
		f.share = p.Share()
		return nil
	}
	if size, _, ok := g.ShareSizes(); ok && (g == tlswire.X448 || g>>8 == tlswire.FFDHE2048>>8) {
		f.share.Key = make([]byte, size)
		rand.Read(f.share.Key)
		f.share.Key[0] &= 0x7F // RFC 7919 s.3: below the prime, which begins with ones
	}
	return nil
}

// shares is the key_share of the first hello.
func (f *offer) shares() tlswire.KeyShares {
	if f.share.Key == nil {
		return tlswire.KeyShares{} // RFC 8446 s.4.2.8: the server chooses in a HelloRetryRequest
	}
	return tlswire.KeyShares{f.share}
}

// hello is the ClientHello for one server name, which may be empty, with these shares and, if not nil, a cookie.
func (f *offer) hello(serverName string, shares tlswire.KeyShares, cookie []byte) *tlswire.ClientHello {
	h := &tlswire.ClientHello{
		LegacyVersion: min(f.max, tlswire.TLS12), Random: f.random, SessionID: f.sessionID, CipherSuites: f.suites,
	}
	if f.max <= tlswire.SSL30 {
		h.CipherSuites = append(slices.Clip(f.suites), tlswire.RenegotiationInfoSCSV) // RFC 5746 s.3.3; there are no extensions
		return h
	}
	if serverName != "" {
		h.Extensions = append(h.Extensions, tlswire.ServerName(serverName))
	}
	h.Extensions = append(h.Extensions, tlswire.StatusRequest{}, tlswire.SupportedGroups(f.groups), tlswire.ECPointFormats{0},
		tlswire.SessionTicket{}, tlswire.RenegotiationInfo{}, tlswire.ExtendedMasterSecret{})
	if len(f.alpn) > 0 {
		h.Extensions = append(h.Extensions, tlswire.ALPN(f.alpn))
	}
	h.Extensions = append(h.Extensions, tlswire.SignedCertTimestamp{})
	if f.max >= tlswire.TLS12 {
		h.Extensions = append(h.Extensions, signatureSchemes)
	}
	if f.max >= tlswire.TLS13 {
		h.Extensions = append(h.Extensions, f.versions(), tlswire.PSKKeyExchangeModes{1}) // psk_dhe_ke, RFC 8446 s.4.2.9
		if cookie != nil {
			h.Extensions = append(h.Extensions, tlswire.Cookie(cookie))
		}
		h.Extensions = append(h.Extensions, shares)
	}
	return h
}

// versions are those offered, best first.
func (f *offer) versions() tlswire.SupportedVersions {
	var list tlswire.SupportedVersions
	for v := f.max; v >= f.min; v-- {
		list = append(list, v)
	}
	return list
}

// contradicts says in what way a ServerHello or HelloRetryRequest is no answer to what was offered; empty: it is one. asked
// is the group of the HelloRetryRequest before it, 0 for none.
func (f *offer) contradicts(h *tlswire.ServerHello, asked tlswire.Group) string {
	v := h.Version()
	switch {
	case v < f.min || v > f.max:
		return fmt.Sprintf("chose %v, which was not offered", v)
	case h.SelectedVersion != 0 && (v < tlswire.TLS13 || h.LegacyVersion != tlswire.TLS12):
		return fmt.Sprintf("chose %v by supported_versions in a hello of %v", v, h.LegacyVersion) // RFC 8446 s.4.1.3, s.4.2.1
	case h.SelectedVersion == 0 && v >= tlswire.TLS13:
		return fmt.Sprintf("chose %v without supported_versions", v)
	case !slices.Contains(f.suites, h.CipherSuite):
		return fmt.Sprintf("chose suite %v, which was not offered", h.CipherSuite)
	case h.CipherSuite.IsTLS13() != (v >= tlswire.TLS13):
		return fmt.Sprintf("chose suite %v, which %v does not have", h.CipherSuite, v)
	case h.Compression != 0:
		return fmt.Sprintf("chose compression %d, which was not offered", h.Compression)
	case v < tlswire.TLS13 && v <= h.Downgrade() && f.max > h.Downgrade():
		// RFC 8446 s.4.1.3: the client must break off.
		return fmt.Sprintf("chose %v, though its random says that it has better: a downgrade", v)
	}
	if reason := f.unasked(h.Extensions, allowedIn(h)); reason != "" {
		return reason
	}
	if v >= tlswire.TLS13 {
		return f.contradicts13(h, asked)
	}
	return f.unknownProtocol(h.ALPN)
}

// contradicts13 is contradicts for what only TLS 1.3 has.
func (f *offer) contradicts13(h *tlswire.ServerHello, asked tlswire.Group) string {
	g := h.KeyShare.Group
	switch {
	case !bytes.Equal(h.SessionID, f.sessionID):
		return "session ID is not the one that was sent" // RFC 8446 s.4.1.3
	case h.IsRetry() && g == 0 && h.Cookie == nil:
		return "HelloRetryRequest without a wish" // RFC 8446 s.4.1.4
	case h.IsRetry() && g == 0:
		return ""
	case g == 0:
		return "no key share"
	case !slices.Contains(f.groups, g):
		return fmt.Sprintf("chose group %v, which was not offered", g)
	case h.IsRetry() && g == f.share.Group && f.share.Key != nil:
		return fmt.Sprintf("asked for a share for %v, which was sent", g) // RFC 8446 s.4.2.8
	case h.IsRetry():
		return ""
	case asked != 0 && g != asked, asked == 0 && g != f.share.Group:
		return fmt.Sprintf("chose group %v, for which no share was sent", g)
	}
	return ""
}

// extensions of TLS 1.3's hellos (RFC 8446 s.4.2); pre_shared_key is none, as it was not offered.
var (
	inServerHello  = []tlswire.ExtensionType{tlswire.ExtSupportedVersions, tlswire.ExtKeyShare}
	inHelloRetry   = []tlswire.ExtensionType{tlswire.ExtSupportedVersions, tlswire.ExtKeyShare, tlswire.ExtCookie}
	notInEncrypted = []tlswire.ExtensionType{tlswire.ExtSupportedVersions, tlswire.ExtKeyShare, tlswire.ExtPSKKeyExchangeModes, tlswire.ExtCookie}
)

// allowedIn are the extensions that a hello may have, nil for any that was offered.
func allowedIn(h *tlswire.ServerHello) []tlswire.ExtensionType {
	switch {
	case h.Version() < tlswire.TLS13:
		return nil
	case h.IsRetry():
		return inHelloRetry
	}
	return inServerHello
}

// unasked names the first extension that was not offered, or is not among the allowed ones if those are not nil; empty:
// there is none. renegotiation_info may have been asked for by a suite (RFC 5746 s.3.4).
func (f *offer) unasked(x tlswire.Extensions, allowed []tlswire.ExtensionType) string {
	for t := range x.All() {
		switch {
		case allowed != nil && !slices.Contains(allowed, t):
			return fmt.Sprintf("extension %v in the wrong message", t)
		case allowed == nil && !slices.Contains(f.types, t) && t != tlswire.ExtRenegotiationInfo:
			return fmt.Sprintf("extension %v, which was not offered", t)
		}
	}
	return ""
}

// unknownProtocol says that the protocol which the server chose was not offered; empty: it was, or it chose none.
func (f *offer) unknownProtocol(chosen []byte) string {
	if chosen == nil || f.protocol(chosen) != "" {
		return ""
	}
	return fmt.Sprintf("chose protocol %q, which was not offered", chosen)
}

// protocol returns the offered protocol of that name, empty if there is none.
func (f *offer) protocol(name []byte) string {
	for _, p := range f.alpn {
		if p == string(name) {
			return p
		}
	}
	return ""
}
