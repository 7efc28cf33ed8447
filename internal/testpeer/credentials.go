package testpeer

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"sync"
	"time"

	"sonde/internal/testcert"
)

// Credentials are the certificates of TLS peers: an authority for servers, one for clients, and what they have issued.
// Each certificate is made when it is first asked for, and is the same from then on. Safe for concurrent use.
type Credentials struct {
	servers *testcert.Authority
	clients *testcert.Authority

	mu     sync.Mutex // guards leaves
	leaves map[Kind]tls.Certificate
	client tls.Certificate // no chain until it is made; guarded by mu
}

// NewCredentials makes the authorities. The keys are new, so a client has to be told of the root each time.
func NewCredentials() (*Credentials, error) {
	c := &Credentials{leaves: make(map[Kind]tls.Certificate)}
	var err error
	if c.servers, err = testcert.NewAuthority("sonde test peers", time.Now()); err != nil {
		return nil, fmt.Errorf("make credentials: %w", err)
	}
	if c.clients, err = testcert.NewAuthority("sonde test clients", time.Now()); err != nil {
		return nil, fmt.Errorf("make credentials: %w", err)
	}
	return c, nil
}

// sharedCredentials are those of the peers that were given none: one root for all peers of a test.
var sharedCredentials = sync.OnceValues(NewCredentials)

// RootPEM returns the root that a client must trust to accept the peers, as a CA file has it.
func (c *Credentials) RootPEM() []byte { return c.servers.PEM() }

// Roots returns a new pool that holds the root alone.
func (c *Credentials) Roots() *x509.CertPool { return c.servers.Pool() }

// Client returns a certificate that the peers accept from a client (see TLSClientCert).
func (c *Credentials) Client() (tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.client.Certificate) == 0 {
		made, err := c.clients.Issue(testcert.Leaf{Names: []string{"client.sonde.test"}, Client: true})
		if err != nil {
			return tls.Certificate{}, fmt.Errorf("client certificate: %w", err)
		}
		c.client = made
	}
	return c.client, nil
}

// ClientPEM returns what Client does, as files have it: the chain, and the key in PKCS #8.
func (c *Credentials) ClientPEM() (cert, key []byte, err error) {
	client, err := c.Client()
	if err != nil {
		return nil, nil, err
	}
	if key, err = testcert.KeyPEM(client); err != nil {
		return nil, nil, fmt.Errorf("client certificate: %w", err)
	}
	return testcert.CertificatePEM(client.Certificate...), key, nil
}

// leaf returns the certificate of a kind.
func (c *Credentials) leaf(k Kind) (tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if made, ok := c.leaves[k]; ok {
		return made, nil
	}
	l := testcert.Leaf{Names: []string{"*.sonde.test", "sonde.test", "localhost", "127.0.0.1", "::1"}}
	switch k {
	case TLSRSA:
		l.Key = testcert.RSA2048
	case TLSEd25519:
		l.Key = testcert.Ed25519
	case TLSStapled:
		l.Staple, l.Timestamps = testcert.StapleGood, 2
	case TLSExpired:
		l.Validity = testcert.Expired
	case TLSWrongName:
		l.Names = []string{"somewhere.else.invalid"}
	case TLSSelfSigned:
		l.SelfSigned = true
	}
	made, err := c.servers.Issue(l)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate of %s: %w", k, err)
	}
	c.leaves[k] = made
	return made, nil
}
