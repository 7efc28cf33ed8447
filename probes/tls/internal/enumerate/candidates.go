package enumerate

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"sonde/protocol/tlswire"
)

// suitesPerHello is the most suites of the versions before TLS 1.3 that one hello offers. Some old servers (testssl.sh names
// Cisco ASA and its SERVER_SIZE_LIMIT_BUG) read no more than 128 and fail when there are more. 80 and the suites of TLS 1.3
// stay well below that, and 80 keep a hello of SSL 3.0, which can't be padded, below 256 bytes (RFC 7685 s.1).
const suitesPerHello = 80

// schemes are the signatures offered: all that a server may want to sign with, so that none refuses for want of one.
var schemes = []tlswire.SignatureScheme{
	tlswire.ECDSASecP256R1SHA256, tlswire.ECDSASecP384R1SHA384, tlswire.ECDSASecP521R1SHA512, tlswire.Ed25519, tlswire.Ed448,
	tlswire.RSAPSSRSAESHA256, tlswire.RSAPSSRSAESHA384, tlswire.RSAPSSRSAESHA512,
	tlswire.RSAPSSPSSSHA256, tlswire.RSAPSSPSSSHA384, tlswire.RSAPSSPSSSHA512,
	tlswire.RSAPKCS1SHA256, tlswire.RSAPKCS1SHA384, tlswire.RSAPKCS1SHA512,
	0x081A, 0x081B, 0x081C, // ecdsa_brainpool*tls13, RFC 8734 s.3
	0x0708,         // sm2sig_sm3, RFC 8998 s.3.2.1
	0x0402, 0x0202, // DSA with SHA-256 and SHA-1, RFC 5246 s.7.4.1.4.1
	tlswire.ECDSASHA1, tlswire.RSAPKCS1SHA1,
}

// suitesOf returns the suites that fit a version: the common ones first, then by what is to be preferred.
func suitesOf(v tlswire.Version) []tlswire.CipherSuite { return allSuites()[v-tlswire.SSL30] }

var allSuites = sync.OnceValue(func() (all [tlswire.TLS13 - tlswire.SSL30 + 1][]tlswire.CipherSuite) {
	ranked := slices.SortedStableFunc(tlswire.CipherSuites(), func(a, b tlswire.CipherSuite) int { return cmp.Compare(rank(a), rank(b)) })
	for i := range all {
		for _, s := range ranked {
			if fits(s, tlswire.SSL30+tlswire.Version(i)) {
				all[i] = append(all[i], s)
			}
		}
	}
	return all
})

// fits reports whether a suite may be chosen in a version.
func fits(s tlswire.CipherSuite, v tlswire.Version) bool {
	if s == 0 { // TLS_NULL_WITH_NULL_NULL must never be negotiated (RFC 5246 s.A.5)
		return false
	}
	if s.IsTLS13() || v == tlswire.TLS13 {
		return s.IsTLS13() && v == tlswire.TLS13
	}
	return v == tlswire.TLS12 || !wantsTLS12(s)
}

// wantsTLS12 reports whether a suite is only for TLS 1.2: those with an AEAD (RFC 5246 s.6.2.3.3), with a hash of the SHA-2
// family (RFC 5246 s.A.5, RFC 5289 s.3, RFC 5932 s.3.2) and of RFC 9189. The CBC and NULL suites of RFC 5487 s.3 and RFC 5489
// s.3, with pre-shared keys, fit any version in spite of their hash.
func wantsTLS12(s tlswire.CipherSuite) bool {
	name := s.String()
	if aead(name) || s.KeyExchange() == tlswire.KeyExchangeGOST || s.KeyExchange() == tlswire.KeyExchangePassword {
		return true
	}
	switch s.KeyExchange() {
	case tlswire.KeyExchangePSK, tlswire.KeyExchangeDHEPSK, tlswire.KeyExchangeRSAPSK, tlswire.KeyExchangeECDHEPSK:
		return strings.Contains(name, "ARIA") // RFC 6209 s.2
	}
	return strings.HasSuffix(name, "_SHA256") || strings.HasSuffix(name, "_SHA384")
}

func aead(name string) bool {
	return strings.Contains(name, "_GCM") || strings.Contains(name, "_CCM") || strings.Contains(name, "_POLY1305") || strings.Contains(name, "_OCB")
}

// rank orders suites: the lower the more common, and among the common ones the better.
func rank(s tlswire.CipherSuite) int {
	name := s.String()
	r := 0
	switch s.KeyExchange() {
	case tlswire.KeyExchangeTLS13, tlswire.KeyExchangeECDHE:
	case tlswire.KeyExchangeDHE:
		r = 1
	case tlswire.KeyExchangeRSA:
		r = 2
	default:
		r = 100
	}
	if !aead(name) {
		r += 10
	}
	if s.Weakness()&tlswire.Broken != 0 && !strings.Contains(name, "_WITH_RC4_128_") || strings.Contains(name, "_DSS_") || strings.Contains(name, "ARIA_") {
		r += 100
	}
	return r
}

// hellosOf divides suites into offers of suitesPerHello.
func hellosOf(suites []tlswire.CipherSuite) [][]tlswire.CipherSuite {
	return slices.Collect(slices.Chunk(suites, suitesPerHello))
}

// groupsOf returns the groups that fit a version: in TLS 1.3 those with a key_share (RFC 8446 s.4.2.7), before it curves
// with a name (RFC 8422 s.5.1.1) and the groups of RFC 7919. The usual ones come first, the strong before the weak.
func groupsOf(v tlswire.Version) []tlswire.Group {
	if v == tlswire.TLS13 {
		return groups13()
	}
	return groups12()
}

var (
	groups13 = sync.OnceValue(func() []tlswire.Group {
		return usualFirst(func(g tlswire.Group) bool {
			_, _, known := g.ShareSizes()
			return known || isGOST(g)
		})
	})
	groups12 = sync.OnceValue(func() []tlswire.Group {
		return usualFirst(func(g tlswire.Group) bool {
			return g <= tlswire.X448 || g == 41 || isGOST(g) || isFFDHE(g)
		})
	})
)

func isGOST(g tlswire.Group) bool { return g >= 34 && g <= 40 } // RFC 9189 s.4.4.2, RFC 9367 s.4

func isFFDHE(g tlswire.Group) bool { return g >= tlswire.FFDHE2048 && g < tlswire.FFDHE2048+5 } // RFC 7919 s.2

func usualFirst(want func(tlswire.Group) bool) []tlswire.Group {
	usual := []tlswire.Group{
		tlswire.X25519MLKEM768, tlswire.SecP256R1MLKEM768, tlswire.SecP384R1MLKEM1024,
		tlswire.X25519, tlswire.SecP256R1, tlswire.X448, tlswire.SecP384R1, tlswire.SecP521R1,
	}
	all := slices.Concat(usual, slices.DeleteFunc(slices.Collect(tlswire.Groups()), func(g tlswire.Group) bool { return slices.Contains(usual, g) }))
	return slices.DeleteFunc(all, func(g tlswire.Group) bool { return !want(g) })
}
