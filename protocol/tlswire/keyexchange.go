package tlswire

import (
	"errors"
	"fmt"
	"math/bits"
)

// ErrNoServerKeyExchange says that a suite's key exchange has no ServerKeyExchange message, or one whose shape is not
// known here (SRP, Kerberos, GOST, passwords).
var ErrNoServerKeyExchange = errors.New("no known server_key_exchange for the suite")

// ServerKeyExchange is a server's part of a key exchange before TLS 1.3 (RFC 5246 s.7.4.3, RFC 8422 s.5.4, RFC 4279,
// RFC 5489). Its slices are parts of the message.
type ServerKeyExchange struct {
	// Identity is the psk_identity_hint; nil but for PSK suites (RFC 4279 s.2).
	Identity []byte
	// Group and Point are of ECDHE: a named curve and a public key.
	Group Group
	Point []byte
	// Prime, Generator and Public are of DHE; numbers in network order, leading zeros and all.
	Prime, Generator, Public []byte
	// Modulus and Exponent are the weak key of an RSA EXPORT suite (RFC 2246 s.7.4.3).
	Modulus, Exponent []byte
	// Params is what Signature signs, behind the two randoms (RFC 5246 s.7.4.3).
	Params []byte
	// Scheme is how it is signed: 0 before TLS 1.2, where the certificate's key says it, and for suites without a
	// signature.
	Scheme SignatureScheme
	// Signature is nil for suites that are anonymous or use a pre-shared key.
	Signature []byte
}

// ParseServerKeyExchange parses the body of a server_key_exchange message, whose shape the suite and the version decide.
// It wraps [ErrNoServerKeyExchange] for suites without one. Curves that are described and not named (RFC 8422 s.5.4
// forbids them) are malformed.
func ParseServerKeyExchange(body []byte, suite CipherSuite, v Version) (ServerKeyExchange, error) {
	c := read("tls server_key_exchange", body)
	var k ServerKeyExchange
	kind := suite.KeyExchange()
	switch kind {
	case KeyExchangePSK, KeyExchangeRSAPSK, KeyExchangeDHEPSK, KeyExchangeECDHEPSK:
		k.Identity = c.opaque(2, 0, 1<<16-1, "psk_identity_hint")
	}
	signed := false
	switch kind {
	case KeyExchangePSK, KeyExchangeRSAPSK:
	case KeyExchangeECDHE, KeyExchangeECDHAnon, KeyExchangeECDHEPSK:
		k.curve(&c)
		signed = kind == KeyExchangeECDHE
	case KeyExchangeDHE, KeyExchangeDHAnon, KeyExchangeDHEPSK:
		k.Prime = c.opaque(2, 1, 1<<16-1, "dh_p")
		k.Generator = c.opaque(2, 1, 1<<16-1, "dh_g")
		k.Public = c.opaque(2, 1, 1<<16-1, "dh_Ys")
		signed = kind == KeyExchangeDHE
	case KeyExchangeRSA:
		if suite.Weakness()&WeakExport == 0 {
			return k, fmt.Errorf("tls server_key_exchange: %v: %w", suite, ErrNoServerKeyExchange)
		}
		k.Modulus = c.opaque(2, 1, 1<<16-1, "rsa_modulus")
		k.Exponent = c.opaque(2, 1, 1<<16-1, "rsa_exponent")
		signed = true
	default:
		return k, fmt.Errorf("tls server_key_exchange: %v: %w", suite, ErrNoServerKeyExchange)
	}
	if !c.faulty {
		k.Params = body[:c.at:c.at]
	}
	if signed {
		if v >= TLS12 {
			k.Scheme = SignatureScheme(c.uint16("signature"))
		}
		k.Signature = c.opaque(2, 0, 1<<16-1, "signature")
	}
	if err := c.finish(); err != nil {
		return ServerKeyExchange{}, err
	}
	return k, nil
}

// curve takes ServerECDHParams (RFC 8422 s.5.4).
func (k *ServerKeyExchange) curve(c *cursor) {
	const namedCurve = 3
	if t := c.uint8("curve_type"); t != namedCurve {
		c.fail("curve_type", "not a named curve")
	}
	k.Group = Group(c.uint16("named_curve"))
	k.Point = c.opaque(1, 1, 255, "ec_point")
}

// PrimeBits is the size of the DH group in bits: 1024 and less can be broken (RFC 9325 s.4.1). 0 without a Prime.
func (k *ServerKeyExchange) PrimeBits() int { return bitLen(k.Prime) }

// ModulusBits is the size of an EXPORT suite's RSA key in bits. 0 without a Modulus.
func (k *ServerKeyExchange) ModulusBits() int { return bitLen(k.Modulus) }

// bitLen is the length in bits of a number in network order.
func bitLen(number []byte) int {
	for i, b := range number {
		if b != 0 {
			return (len(number)-i-1)*8 + bits.Len8(b)
		}
	}
	return 0
}

// CertificateVerify is a signature over the handshake so far (RFC 8446 s.4.4.3, RFC 5246 s.7.4.8).
type CertificateVerify struct {
	Scheme    SignatureScheme // 0 before TLS 1.2
	Signature []byte          // a part of the message
}

// ParseCertificateVerify parses the body of a certificate_verify message in the form of version v.
func ParseCertificateVerify(body []byte, v Version) (CertificateVerify, error) {
	c := read("tls certificate_verify", body)
	var cv CertificateVerify
	if v >= TLS12 {
		cv.Scheme = SignatureScheme(c.uint16("algorithm"))
	}
	cv.Signature = c.opaque(2, 0, 1<<16-1, "signature")
	if err := c.finish(); err != nil {
		return CertificateVerify{}, err
	}
	return cv, nil
}
