package testserver

import (
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"sync"
	"testing"
	"time"

	"sonde/internal/testcert"
)

// ServerName is the name that the certificates of all servers are for, besides the address 127.0.0.1.
const ServerName = "tls.sonde.test"

// TLSServer is a server with TLS and what its clients may know of it.
type TLSServer struct {
	// Direct is where TLS begins with the first byte, StartTLS where the server's own protocol comes first and TLS is
	// asked for in it. Each is zero if there is no such port.
	Direct, StartTLS netip.AddrPort
	// Chain is what the server sends, the leaf first, and Staple the OCSP response that it sends along, nil for none. All
	// DER and read-only.
	Chain  [][]byte
	Staple []byte

	words     []line // in which TLS is asked for at StartTLS
	authority *testcert.Authority
}

// Roots returns a new pool that holds the one root that stands behind all servers.
func (s *TLSServer) Roots() *x509.CertPool { return s.authority.Pool() }

// sharedAuthority issues the certificates of all servers of a test binary.
var sharedAuthority = sync.OnceValues(func() (*testcert.Authority, error) {
	return testcert.NewAuthority("sonde test servers", time.Now())
})

// identity is a server's certificate, its key and the root, in files as servers read them.
type identity struct {
	server *TLSServer
	// folder holds the files. Of those, chain has the leaf first, issuers is the chain without it, and combined the chain
	// and the key in one.
	folder, chain, issuers, key, combined, root, staple string
}

// newIdentity issues a certificate for ServerName and 127.0.0.1. leaf.Names is not looked at.
func newIdentity(t testing.TB, leaf testcert.Leaf) *identity {
	t.Helper()
	authority, err := sharedAuthority()
	if err != nil {
		t.Fatalf("testserver: %v", err)
	}
	leaf.Names = []string{ServerName, "127.0.0.1"}
	cert, err := authority.Issue(leaf)
	if err != nil {
		t.Fatalf("testserver: %v", err)
	}
	keyPEM, err := testcert.KeyPEM(cert)
	if err != nil {
		t.Fatalf("testserver: %v", err)
	}
	chainPEM := testcert.CertificatePEM(cert.Certificate...)
	dir := tempDir(t)
	return &identity{
		server:   &TLSServer{Chain: cert.Certificate, Staple: cert.OCSPStaple, authority: authority},
		folder:   dir,
		chain:    write(t, dir, "chain.pem", string(chainPEM), 0o644),
		issuers:  write(t, dir, "issuers.pem", string(testcert.CertificatePEM(cert.Certificate[1:]...)), 0o644),
		key:      write(t, dir, "key.pem", string(keyPEM), 0o600),
		combined: write(t, dir, "combined.pem", string(chainPEM)+string(keyPEM), 0o600),
		root:     write(t, dir, "root.pem", string(authority.PEM()), 0o644),
		staple:   write(t, dir, "staple.der", string(cert.OCSPStaple), 0o644),
	}
}

// ClientCertificate returns a certificate that the servers accept which ask a client for one.
func ClientCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	authority, err := sharedAuthority()
	if err != nil {
		t.Fatalf("testserver: %v", err)
	}
	cert, err := authority.Issue(testcert.Leaf{Names: []string{"client.sonde.test"}, Client: true})
	if err != nil {
		t.Fatalf("testserver: %v", err)
	}
	return cert
}
