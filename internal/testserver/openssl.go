package testserver

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"sonde/internal/testcert"
)

// ClientCert is whether a server asks its clients for a certificate.
type ClientCert uint8

// The values of ClientCert.
const (
	ClientCertNo       ClientCert = iota // it does not
	ClientCertWanted                     // it does, and goes on without one
	ClientCertDemanded                   // it does, and refuses a client without one
)

// OpenSSLOptions is how openssl s_server is to be. The zero value takes all versions that the library has and its default
// suites and groups, has an ECDSA key, gives tickets, and asks for no client certificate.
type OpenSSLOptions struct {
	// Key is the certificate's.
	Key testcert.Algorithm
	// MinVersion and MaxVersion are in OpenSSL's words ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"; SSL_CONF_cmd(3)).
	MinVersion, MaxVersion string
	// Ciphers are the suites up to TLS 1.2 by OpenSSL's names, in order (openssl-ciphers(1)); CipherSuites those of TLS 1.3.
	Ciphers, CipherSuites []string
	// ServerPreference has the server's order of suites win over the client's.
	ServerPreference bool
	// Groups are the groups by OpenSSL's names, in order.
	Groups []string
	// ALPN are the protocols that the server takes, in its order (RFC 7301).
	ALPN []string
	// ClientCert is whether it asks for a certificate; the root of [ClientCertificate] is the one that it trusts.
	ClientCert ClientCert
	// Staple is the OCSP response that it sends along to who asks for one.
	Staple testcert.Staple
	// NoTickets has it give session IDs in place of tickets (RFC 5246 s.F.1.4), and in TLS 1.3 tickets that are no more
	// than those.
	NoTickets bool
}

// OpenSSL starts openssl s_server (openssl-s_server(1)). It answers GET with a page about the connection (-www), and it
// serves one client at a time: who holds a connection keeps the others waiting.
//
// Its security level is 0, at which OpenSSL 3 still speaks TLS 1.0 and signs with what that needs.
func OpenSSL(t testing.TB, o OpenSSLOptions) *TLSServer {
	t.Helper()
	lookup(t, "openssl", "openssl")
	id := newIdentity(t, testcert.Leaf{Key: o.Key, Staple: o.Staple})
	prepare := func(_ testing.TB, _ string, addrs []netip.AddrPort) []string {
		return append([]string{
			"s_server", "-accept", addrs[0].String(), "-www", "-quiet",
			"-cert", id.chain, "-cert_chain", id.issuers, "-key", id.key, "-CAfile", id.root, "-no-CApath", "-no-CAstore",
		}, o.arguments(id)...)
	}
	id.server.Direct = start(t, spec{program: "openssl", pkg: "openssl", ports: 1, prepare: prepare})[0]
	return id.server
}

// arguments are those that the options choose.
func (o *OpenSSLOptions) arguments(id *identity) []string {
	ciphers := "DEFAULT"
	if len(o.Ciphers) > 0 {
		ciphers = strings.Join(o.Ciphers, ":")
	}
	args := []string{"-cipher", ciphers + ":@SECLEVEL=0"}
	for _, option := range []struct{ name, value string }{
		{"-min_protocol", o.MinVersion},
		{"-max_protocol", o.MaxVersion},
		{"-ciphersuites", strings.Join(o.CipherSuites, ":")},
		{"-groups", strings.Join(o.Groups, ":")},
		{"-alpn", strings.Join(o.ALPN, ",")},
	} {
		if option.value != "" {
			args = append(args, option.name, option.value)
		}
	}
	const verifyDepth = 3 // leaf, intermediate, root
	switch o.ClientCert {
	case ClientCertWanted:
		args = append(args, "-verify", fmt.Sprint(verifyDepth))
	case ClientCertDemanded:
		args = append(args, "-Verify", fmt.Sprint(verifyDepth), "-verify_return_error")
	}
	if o.ServerPreference {
		args = append(args, "-serverpref")
	}
	if o.NoTickets {
		args = append(args, "-no_ticket")
	}
	if o.Staple != testcert.NoStaple {
		args = append(args, "-status_file", id.staple)
	}
	return args
}
