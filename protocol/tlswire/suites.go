package tlswire

import (
	"iter"
	"strings"
)

// CipherSuite is a cipher suite of any version (registry "TLS Cipher Suites"; RFC 8446 s.B.4, RFC 5246 s.A.5).
type CipherSuite uint16

// The suites of TLS 1.3 that are in use, and the two signalling values that no server may choose.
const (
	AES128GCMSHA256        CipherSuite = 0x1301 // RFC 8446 s.B.4
	AES256GCMSHA384        CipherSuite = 0x1302 // RFC 8446 s.B.4
	ChaCha20Poly1305SHA256 CipherSuite = 0x1303 // RFC 8446 s.B.4
	RenegotiationInfoSCSV  CipherSuite = 0x00FF // RFC 5746 s.3.3
	FallbackSCSV           CipherSuite = 0x5600 // RFC 7507 s.2
)

// firstCurveSuite is where the table of suites is divided.
const firstCurveSuite = 0xC000

// String returns the registry's name ("TLS_AES_128_GCM_SHA256"), or the number of a suite that has none ("0xcc13").
func (s CipherSuite) String() string {
	if s < firstCurveSuite {
		return nameOf(classicSuites, s)
	}
	return nameOf(curveSuites, s)
}

// CipherSuites yields every registered suite in the order of the numbers, without the two signalling values.
func CipherSuites() iter.Seq[CipherSuite] {
	return func(yield func(CipherSuite) bool) {
		for _, table := range [2][]named[CipherSuite]{classicSuites, curveSuites} {
			for s := range values(table) {
				if s != RenegotiationInfoSCSV && s != FallbackSCSV && !yield(s) {
					return
				}
			}
		}
	}
}

// Registered reports whether the suite has a name.
func (s CipherSuite) Registered() bool {
	table := curveSuites
	if s < firstCurveSuite {
		table = classicSuites
	}
	_, ok := find(table, s)
	return ok
}

// IsTLS13 reports whether the suite is one of TLS 1.3 and no earlier version (RFC 8446 s.4.1.2): its name has no key
// exchange, or it is one of RFC 9367, whose names are of the older form.
func (s CipherSuite) IsTLS13() bool {
	return s >= 0xC103 && s <= 0xC106 || s != 0 && s.KeyExchange() == KeyExchangeTLS13
}

// HashSize is the size in bytes of the suite's hash, and so of a Finished message of TLS 1.3 (RFC 8446 s.4.4.4). For
// suites of earlier versions it is that of the pseudorandom function of TLS 1.2 (RFC 5246 s.5): 32 unless the name says
// SHA384.
func (s CipherSuite) HashSize() int {
	name := s.String()
	switch {
	case strings.HasSuffix(name, "_SHA384"):
		return 48
	case strings.HasSuffix(name, "_SHA512"):
		return 64
	}
	return 32
}

// KeyExchange is how a suite agrees on a key: it decides the shape of ServerKeyExchange.
type KeyExchange uint8

// The key exchanges. "Anon" ones authenticate nobody.
const (
	KeyExchangeUnknown  KeyExchange = iota // an unregistered suite, or one whose messages are not known here
	KeyExchangeTLS13                       // named by groups, not by the suite (RFC 8446 s.4.2.8)
	KeyExchangeRSA                         // RFC 5246 s.F.1.1.2; no ServerKeyExchange but in EXPORT suites
	KeyExchangeDH                          // fixed in the certificate, RFC 5246 s.F.1.1.3
	KeyExchangeDHE                         // RFC 5246 s.7.4.3
	KeyExchangeDHAnon                      // RFC 5246 s.7.4.3
	KeyExchangeECDH                        // fixed in the certificate, RFC 4492 s.2.1
	KeyExchangeECDHE                       // RFC 8422 s.5.4
	KeyExchangeECDHAnon                    // RFC 8422 s.5.4
	KeyExchangePSK                         // RFC 4279 s.2
	KeyExchangeDHEPSK                      // RFC 4279 s.3
	KeyExchangeRSAPSK                      // RFC 4279 s.4
	KeyExchangeECDHEPSK                    // RFC 5489 s.2
	KeyExchangeSRP                         // RFC 5054 s.2
	KeyExchangeKerberos                    // RFC 2712 s.3
	KeyExchangeGOST                        // RFC 9189 s.4
	KeyExchangePassword                    // RFC 8492 s.4
)

// KeyExchange returns the suite's key exchange, read from its name.
func (s CipherSuite) KeyExchange() KeyExchange {
	if !s.Registered() {
		return KeyExchangeUnknown
	}
	prefix, _, found := strings.Cut(strings.TrimPrefix(s.String(), "TLS_"), "_WITH_")
	if !found {
		if s == RenegotiationInfoSCSV || s == FallbackSCSV {
			return KeyExchangeUnknown
		}
		return KeyExchangeTLS13
	}
	switch prefix {
	case "RSA", "RSA_EXPORT":
		return KeyExchangeRSA
	case "DH_DSS", "DH_RSA", "DH_DSS_EXPORT", "DH_RSA_EXPORT":
		return KeyExchangeDH
	case "DHE_DSS", "DHE_RSA", "DHE_DSS_EXPORT", "DHE_RSA_EXPORT":
		return KeyExchangeDHE
	case "DH_anon", "DH_anon_EXPORT":
		return KeyExchangeDHAnon
	case "ECDH_ECDSA", "ECDH_RSA":
		return KeyExchangeECDH
	case "ECDHE_ECDSA", "ECDHE_RSA":
		return KeyExchangeECDHE
	case "ECDH_anon":
		return KeyExchangeECDHAnon
	case "PSK":
		return KeyExchangePSK
	case "DHE_PSK", "PSK_DHE":
		return KeyExchangeDHEPSK
	case "RSA_PSK":
		return KeyExchangeRSAPSK
	case "ECDHE_PSK":
		return KeyExchangeECDHEPSK
	case "SRP_SHA", "SRP_SHA_RSA", "SRP_SHA_DSS":
		return KeyExchangeSRP
	case "KRB5", "KRB5_EXPORT":
		return KeyExchangeKerberos
	case "GOSTR341112_256":
		return KeyExchangeGOST
	case "ECCPWD":
		return KeyExchangePassword
	}
	return KeyExchangeUnknown // NULL_WITH_NULL_NULL
}
