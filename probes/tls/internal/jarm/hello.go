package jarm

import (
	"slices"

	"sonde/protocol/tlswire"
)

// helloCount is how many hellos a fingerprint takes.
const helloCount = 10

// randomSize is how many random bytes a hello takes: random, session ID, key share, and one for each place of GREASE.
const randomSize = 32 + 32 + 32 + 4

// order is how a list is laid out.
type order uint8

const (
	forward order = iota
	reverse
	topHalf    // the middle element if there is one, then the first half backwards
	bottomHalf // the second half, without the middle element
	middleOut  // from the middle outwards, each time the later element first
)

// form is what tells one of the ten hellos from another.
type form struct {
	version tlswire.Version // of the hello; 1.3 also offers that, in an older hello's clothes
	suites  order
	no13    bool // leave out the suites of TLS 1.3
	grease  bool
	rare    bool            // offer only protocols that nobody has
	upTo    tlswire.Version // the highest of supported_versions; 0: the extension is not sent
	lists   order           // of ALPN and supported_versions: forward or reverse
}

// forms are the ten, in the order in which they are sent.
var forms = [helloCount]form{
	{version: tlswire.TLS12, suites: forward, upTo: tlswire.TLS12, lists: reverse},
	{version: tlswire.TLS12, suites: reverse, upTo: tlswire.TLS12},
	{version: tlswire.TLS12, suites: topHalf},
	{version: tlswire.TLS12, suites: bottomHalf, rare: true},
	{version: tlswire.TLS12, suites: middleOut, grease: true, rare: true, lists: reverse},
	{version: tlswire.TLS11, suites: forward},
	{version: tlswire.TLS13, suites: forward, upTo: tlswire.TLS13, lists: reverse},
	{version: tlswire.TLS13, suites: reverse, upTo: tlswire.TLS13},
	{version: tlswire.TLS13, suites: forward, no13: true, upTo: tlswire.TLS13},
	{version: tlswire.TLS13, suites: middleOut, grease: true, upTo: tlswire.TLS13, lists: reverse},
}

// suites are those offered: by key exchange and certificate, each from weak to strong. 0xCC13 and 0xCC14 are ChaCha20 as
// of draft-agl-tls-chacha20poly1305.
var suites = []tlswire.CipherSuite{
	// DHE
	0x0016, 0x0033, 0x0067, 0xC09E, 0xC0A2, 0x009E, 0x0039, 0x006B, 0xC09F, 0xC0A3, 0x009F, 0x0045, 0x00BE, 0x0088, 0x00C4, 0x009A,
	// ECDHE with ECDSA; TLS 1.3 with AES-GCM
	0xC008, 0xC009, 0xC023, 0xC0AC, 0xC0AE, 0xC02B, 0xC00A, 0xC024, 0xC0AD, 0xC0AF, 0xC02C, 0xC072, 0xC073, 0xCCA9, 0x1302, 0x1301,
	0xCC14, 0xC007,
	// ECDHE with RSA; the rest of TLS 1.3
	0xC012, 0xC013, 0xC027, 0xC02F, 0xC014, 0xC028, 0xC030, 0xC060, 0xC061, 0xC076, 0xC077, 0xCCA8, 0x1305, 0x1304, 0x1303, 0xCC13,
	0xC011,
	// RSA
	0x000A, 0x002F, 0x003C, 0xC09C, 0xC0A0, 0x009C, 0x0035, 0x003D, 0xC09D, 0xC0A1, 0x009D, 0x0041, 0x00BA, 0x0084, 0x00C0, 0x0007,
	0x0004, 0x0005,
}

// protocols are offered by ALPN, weakest first.
var protocols = []string{"http/0.9", "http/1.0", "http/1.1", "spdy/1", "spdy/2", "spdy/3", "h2", "h2c", "hq"}

// versions are those of supported_versions.
var versions = []tlswire.Version{tlswire.TLS10, tlswire.TLS11, tlswire.TLS12, tlswire.TLS13}

// arrange returns list laid out in order o. It may return list itself.
func arrange[T any](list []T, o order) []T {
	half := len(list) / 2
	odd := len(list) % 2
	switch o {
	case reverse:
		list = slices.Clone(list)
		slices.Reverse(list)
	case topHalf:
		list = slices.Clone(list[:half+odd])
		slices.Reverse(list)
	case bottomHalf:
		list = list[half+odd:]
	case middleOut:
		out := make([]T, 0, len(list))
		out = append(out, list[half:half+odd]...)
		for i := range half {
			out = append(out, list[half+odd+i], list[half-1-i])
		}
		return out
	}
	return list
}

// appendHello appends the hello of number i, from 0, with the bytes of random where a hello is not fixed. An error says
// that name can't be sent.
func appendHello(dst []byte, i int, name string, random *[randomSize]byte) ([]byte, error) {
	f := forms[i]
	greases := random[96:]
	offered := suites
	if f.no13 {
		offered = slices.DeleteFunc(slices.Clone(offered), tlswire.CipherSuite.IsTLS13)
	}
	offered = arrange(offered, f.suites)
	if f.grease {
		offered = slices.Insert(slices.Clone(offered), 0, tlswire.CipherSuite(tlswire.GREASE(int(greases[0]))))
	}
	h := tlswire.ClientHello{
		RecordVersion: f.version,
		LegacyVersion: min(f.version, tlswire.TLS12),
		Random:        [32]byte(random[:32]),
		SessionID:     random[32:64],
		CipherSuites:  offered,
		Extensions:    extensionsOf(&f, name, random[64:96], greases[1:]),
	}
	if f.version == tlswire.TLS13 {
		h.RecordVersion = tlswire.TLS10 // RFC 8446 s.5.1
	}
	return h.Append(dst)
}

// extensionsOf lists the extensions of a hello. share is the public key of X25519, any 32 bytes.
func extensionsOf(f *form, name string, share, greases []byte) []tlswire.Extension {
	list := make([]tlswire.Extension, 0, 13)
	if f.grease {
		list = append(list, tlswire.RawExtension{ID: tlswire.ExtensionType(tlswire.GREASE(int(greases[0])))})
	}
	if name != "" {
		list = append(list, nameExtension(name))
	}
	offered := protocols
	if f.rare {
		offered = slices.DeleteFunc(slices.Clone(offered), func(p string) bool { return p == "h2" || p == "http/1.1" })
	}
	shares := tlswire.KeyShares{{Group: tlswire.X25519, Key: share}}
	if f.grease {
		shares = slices.Insert(shares, 0, tlswire.KeyShare{Group: tlswire.Group(tlswire.GREASE(int(greases[1]))), Key: []byte{0}})
	}
	list = append(list,
		tlswire.ExtendedMasterSecret{},
		tlswire.MaxFragmentLength(1),
		tlswire.RenegotiationInfo{},
		tlswire.SupportedGroups{tlswire.X25519, tlswire.SecP256R1, tlswire.SecP384R1, tlswire.SecP521R1},
		tlswire.ECPointFormats{0},
		tlswire.SessionTicket{},
		tlswire.ALPN(arrange(offered, f.lists)),
		tlswire.SignatureAlgorithms{
			tlswire.ECDSASecP256R1SHA256, tlswire.RSAPSSRSAESHA256, tlswire.RSAPKCS1SHA256,
			tlswire.ECDSASecP384R1SHA384, tlswire.RSAPSSRSAESHA384, tlswire.RSAPKCS1SHA384,
			tlswire.RSAPSSRSAESHA512, tlswire.RSAPKCS1SHA512, tlswire.RSAPKCS1SHA1,
		},
		shares,
		tlswire.PSKKeyExchangeModes{1},
	)
	if f.upTo == 0 {
		return list
	}
	last := slices.Index(versions, f.upTo)
	supported := slices.Clone(arrange(versions[:last+1], f.lists))
	if f.grease {
		supported = slices.Insert(supported, 0, tlswire.Version(tlswire.GREASE(int(greases[2]))))
	}
	return append(list, tlswire.SupportedVersions(supported))
}

// nameExtension is server_name with any text in it, an address too.
func nameExtension(name string) tlswire.Extension {
	if tlswire.CheckServerName(name) == nil || len(name) > 0xFFFF-5 {
		return tlswire.ServerName(name)
	}
	n := len(name)
	data := append(make([]byte, 0, n+5), byte((n+3)>>8), byte(n+3), 0, byte(n>>8), byte(n)) // RFC 6066 s.3
	return tlswire.RawExtension{ID: tlswire.ExtServerName, Data: append(data, name...)}
}
