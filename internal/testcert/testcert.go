// Package testcert makes certificates in memory for tests and for the TLS peers of `sonde serve`: good ones, and ones that
// are bad in one known way each. Nothing is read from disk and nothing is trusted by any system; a client that is to
// accept them must be given the authority's root.
//
// An [Authority] has a root and an intermediate that signs the leaves, as public authorities do, and signs what else a
// server may show: OCSP responses (RFC 6960) and signed certificate timestamps (RFC 6962). Keys are new in each process.
package testcert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Algorithm is the kind and size of a key.
type Algorithm uint8

// The algorithms.
const (
	ECDSAP256 Algorithm = iota // fast to make and to use: the default
	ECDSAP384
	RSA2048 // about 100 ms to make
	RSA1024 // weak; Go verifies it, OpenSSL's default security level does not
	Ed25519
)

// Validity says when a certificate holds, seen from the authority's now.
type Validity uint8

// The validities.
const (
	Current     Validity = iota // from a day ago for 90 days
	Expired                     // ended a day ago
	NotYetValid                 // begins in a day
)

const (
	day = 24 * time.Hour
	// leafLife is what a leaf that is current lives after now.
	leafLife = 89 * day
	// authorityLife keeps the authorities valid around every leaf, the expired and the future ones.
	authorityLife = 3650 * day
	// paddingBytes is the most that one certificate of a padded chain carries: enough for few, below the 16-bit lengths
	// that some clients keep.
	paddingBytes = 32 << 10
	// MaxChainBytes is the largest chain that Issue pads to. TLS can carry 16 MiB - 1 in one message (RFC 8446 s.4).
	MaxChainBytes = 8 << 20
)

// Authority issues certificates. It is safe for concurrent use.
type Authority struct {
	now          time.Time
	root         signer
	intermediate signer
	log          signer // signs timestamps; its certificate is nil
}

// signer is a certificate and its key.
type signer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// NewAuthority makes a root and an intermediate whose names begin with name. All that it issues is dated from now on.
func NewAuthority(name string, now time.Time) (*Authority, error) {
	a := &Authority{now: now.UTC().Truncate(time.Second)}
	var err error
	if a.root, err = a.authority(name+" root", signer{}); err != nil {
		return nil, fmt.Errorf("make the root: %w", err)
	}
	if a.intermediate, err = a.authority(name+" intermediate", a.root); err != nil {
		return nil, fmt.Errorf("make the intermediate: %w", err)
	}
	if a.log.key, err = newKey(ECDSAP256); err != nil {
		return nil, fmt.Errorf("make the log's key: %w", err)
	}
	return a, nil
}

// Root is the certificate to trust. Read-only.
func (a *Authority) Root() *x509.Certificate { return a.root.cert }

// Pool returns a new pool that holds the root alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.root.cert)
	return pool
}

// PEM returns the root as a CA file has it.
func (a *Authority) PEM() []byte { return CertificatePEM(a.root.cert.Raw) }

// Leaf says what certificate to issue. The zero Leaf is a good one of an ECDSA key, for no name.
type Leaf struct {
	Key      Algorithm
	Validity Validity
	// Names are the DNS names (a leading "*." included) and the IP addresses that the certificate is for. The first is the
	// common name too.
	Names []string
	// Client makes it a certificate for clients; otherwise it is for servers (RFC 5280 s.4.2.1.12).
	Client bool
	// SelfSigned signs it with its own key: no authority stands behind it.
	SelfSigned bool
	// OmitChain leaves the intermediate out of what the server sends, a common mistake: who knows the root alone can't
	// verify the leaf.
	OmitChain bool
	// ChainBytes pads the chain with certificates that sign nothing until it has at least so many bytes of DER; 0 does not.
	// At most MaxChainBytes.
	ChainBytes int
	// Staple is the OCSP response to send along; the zero value sends none.
	Staple Staple
	// Timestamps is how many signed certificate timestamps to send along, each of a log that nobody knows.
	Timestamps int
}

// Issue makes a certificate and its chain, ready for a tls.Config. The chain ends below the root. It fails on a Leaf that
// makes no sense.
func (a *Authority) Issue(l Leaf) (tls.Certificate, error) {
	if l.ChainBytes < 0 || l.ChainBytes > MaxChainBytes || l.Timestamps < 0 {
		return tls.Certificate{}, fmt.Errorf("issue %q: chain of %d bytes or %d timestamps: out of range", l.Names, l.ChainBytes, l.Timestamps)
	}
	key, err := newKey(l.Key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("issue %q: make a key: %w", l.Names, err)
	}
	leaf, err := a.sign(l, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("issue %q: %w", l.Names, err)
	}
	c := tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
	if !l.SelfSigned && !l.OmitChain {
		c.Certificate = append(c.Certificate, a.intermediate.cert.Raw)
	}
	if err := a.pad(&c, l.ChainBytes); err != nil {
		return tls.Certificate{}, fmt.Errorf("issue %q: pad the chain: %w", l.Names, err)
	}
	if l.Staple != NoStaple {
		if c.OCSPStaple, err = a.ocspResponse(leaf, l.Staple); err != nil {
			return tls.Certificate{}, fmt.Errorf("issue %q: staple: %w", l.Names, err)
		}
	}
	for range l.Timestamps {
		sct, err := a.timestamp(leaf)
		if err != nil {
			return tls.Certificate{}, fmt.Errorf("issue %q: timestamp: %w", l.Names, err)
		}
		c.SignedCertificateTimestamps = append(c.SignedCertificateTimestamps, sct)
	}
	return c, nil
}

// sign makes the leaf's certificate.
func (a *Authority) sign(l Leaf, key crypto.Signer) (*x509.Certificate, error) {
	t := a.template()
	t.NotBefore, t.NotAfter = a.now.Add(-day), a.now.Add(leafLife)
	switch l.Validity {
	case Current:
	case Expired:
		t.NotBefore, t.NotAfter = a.now.Add(-leafLife), a.now.Add(-day)
	case NotYetValid:
		t.NotBefore = a.now.Add(day)
	default:
		return nil, fmt.Errorf("no validity %d", l.Validity)
	}
	t.KeyUsage, t.BasicConstraintsValid = x509.KeyUsageDigitalSignature, true
	if _, ok := key.(*rsa.PrivateKey); ok {
		t.KeyUsage |= x509.KeyUsageKeyEncipherment // the key exchange of RFC 5246 s.7.4.7.1
	}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if l.Client {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	for i, name := range l.Names {
		if i == 0 {
			t.Subject = pkix.Name{CommonName: name, Organization: []string{"sonde test peers"}}
		}
		if ip := net.ParseIP(name); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, name)
		}
	}
	issuer := a.intermediate
	if l.SelfSigned {
		issuer = signer{t, key}
	}
	return create(t, key, issuer)
}

// authority makes a certificate that signs others. Without an issuer it is a root.
func (a *Authority) authority(name string, issuer signer) (signer, error) {
	key, err := newKey(ECDSAP256)
	if err != nil {
		return signer{}, err
	}
	t := a.template()
	t.Subject = pkix.Name{CommonName: name}
	t.NotBefore, t.NotAfter = a.now.Add(-authorityLife), a.now.Add(authorityLife)
	t.IsCA, t.BasicConstraintsValid = true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	if issuer.cert == nil {
		issuer = signer{t, key}
	}
	cert, err := create(t, key, issuer)
	return signer{cert, key}, err
}

// pad adds certificates to c until its chain has size bytes. They are of the root's making, but nothing needs them.
func (a *Authority) pad(c *tls.Certificate, size int) error {
	have := 0
	for _, der := range c.Certificate {
		have += len(der)
	}
	if have >= size {
		return nil
	}
	key, err := newKey(ECDSAP256)
	if err != nil {
		return err
	}
	for have < size {
		t := a.template()
		t.Subject = pkix.Name{CommonName: fmt.Sprintf("padding %d", len(c.Certificate))}
		t.NotBefore, t.NotAfter = a.now.Add(-day), a.now.Add(leafLife)
		// An extension that is not critical may hold what it likes (RFC 5280 s.4.2); the arc 2.25 is free for all (X.667).
		t.ExtraExtensions = []pkix.Extension{{Id: []int{2, 25, 1}, Value: make([]byte, min(size-have, paddingBytes))}}
		cert, err := create(t, key, a.root)
		if err != nil {
			return err
		}
		c.Certificate = append(c.Certificate, cert.Raw)
		have += len(cert.Raw)
	}
	return nil
}

// template is the part that all certificates share.
func (*Authority) template() *x509.Certificate {
	// RFC 5280 s.4.1.2.2: a positive serial number of at most 20 octets. 8 random ones do not meet twice here.
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	b[0] = b[0]&0x7f | 0x40
	return &x509.Certificate{SerialNumber: new(big.Int).SetBytes(b[:])}
}

// create signs t for key and reads back what came of it.
func create(t *x509.Certificate, key crypto.Signer, issuer signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, issuer.cert, key.Public(), issuer.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func newKey(a Algorithm) (crypto.Signer, error) {
	switch a {
	case ECDSAP256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ECDSAP384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA1024:
		return rsa.GenerateKey(rand.Reader, 1024)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("no algorithm %d", a)
}

// CertificatePEM returns DER certificates as a PEM file has them (RFC 7468 s.5).
func CertificatePEM(ders ...[]byte) []byte {
	var out []byte
	for _, der := range ders {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return out
}

// KeyPEM returns the private key of c as a PEM file has it, in PKCS #8 (RFC 7468 s.10).
func KeyPEM(c tls.Certificate) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("encode a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
