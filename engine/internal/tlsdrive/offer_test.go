package tlsdrive

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"sonde/internal/tlsclient"

	"github.com/google/go-cmp/cmp"
)

// heard is what a server sees of the offer's hello.
func heard(t *testing.T, cfg *tls.Config) *tls.ClientHelloInfo {
	t.Helper()
	var hello *tls.ClientHelloInfo
	server := &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		hello = h
		return nil, errors.New("seen")
	}}
	d, p := New(cfg), newPeer(t, server, handshakeOnly)
	defer d.Close()
	if _, _, err := d.Handshake(nil); err != nil {
		t.Fatal(err)
	}
	flush(d, p, whole)
	if hello == nil {
		t.Fatalf("the server heard no hello: %v", p.err)
	}
	return hello
}

func TestOffer(t *testing.T) {
	all := []uint16{tls.VersionTLS13, tls.VersionTLS12, tls.VersionTLS11, tls.VersionTLS10}
	h := heard(t, config(t, tlsclient.Offer{}))
	if diff := cmp.Diff(all, h.SupportedVersions); diff != "" {
		t.Errorf("versions, want to got:\n%s", diff)
	}
	if diff := cmp.Diff([]tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}, h.SupportedCurves); diff != "" {
		t.Errorf("groups, want to got:\n%s", diff)
	}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		found := false
		for _, id := range h.CipherSuites {
			found = found || id == s.ID
		}
		if !found {
			t.Errorf("suite %s is not offered", s.Name)
		}
	}
	if h.ServerName != "" || len(h.SupportedProtos) != 0 {
		t.Errorf("got name %q and protocols %q", h.ServerName, h.SupportedProtos)
	}

	h = heard(t, config(t, tlsclient.Offer{
		ServerName: "a.test", ALPN: []string{"h2", "http/1.1"}, MaxVersion: tls.VersionTLS12,
		Groups: []tls.CurveID{tls.CurveP384}, Suites: []uint16{tls.TLS_RSA_WITH_RC4_128_SHA},
	}))
	if h.ServerName != "a.test" || !cmp.Equal(h.SupportedProtos, []string{"h2", "http/1.1"}) ||
		!cmp.Equal(h.SupportedVersions, all[1:]) || !cmp.Equal(h.SupportedCurves, []tls.CurveID{tls.CurveP384}) ||
		!cmp.Equal(h.CipherSuites, []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}) {
		t.Errorf("got %+v", h)
	}
	if h := heard(t, config(t, tlsclient.Offer{ServerName: "127.0.0.1"})); h.ServerName != "" {
		t.Errorf("an address was sent as a name: %q", h.ServerName)
	}
	h = heard(t, config(t, tlsclient.Offer{Groups: []tls.CurveID{tls.X25519, tls.X25519MLKEM768}}))
	if diff := cmp.Diff([]tls.CurveID{tls.X25519MLKEM768, tls.X25519}, h.SupportedCurves); diff != "" {
		t.Errorf("with a hybrid, want to got:\n%s", diff)
	}
}

func TestOfferRefused(t *testing.T) {
	tests := []struct {
		name  string
		offer tlsclient.Offer
		want  string
	}{
		{"SSL 3.0", tlsclient.Offer{MinVersion: 0x0300}, "crypto/tls has TLS 1.0 to TLS 1.3"},
		{"TLS 1.4", tlsclient.Offer{MaxVersion: 0x0305}, "crypto/tls has TLS 1.0 to TLS 1.3"},
		{"turned round", tlsclient.Offer{MinVersion: tls.VersionTLS13, MaxVersion: tls.VersionTLS12}, "no supported versions"},
		{"unknown suite", tlsclient.Offer{Suites: []uint16{0x1234}}, "suite 0x1234"},
		{"suite of TLS 1.3", tlsclient.Offer{Suites: []uint16{tls.TLS_AES_128_GCM_SHA256}}, "can't choose it"},
		{"unknown group", tlsclient.Offer{Groups: []tls.CurveID{30}}, "group CurveID(30)"},
		{"hybrid below TLS 1.3", tlsclient.Offer{Groups: []tls.CurveID{tls.X25519MLKEM768}, MaxVersion: tls.VersionTLS12}, ""},
		{"empty protocol", tlsclient.Offer{ALPN: []string{""}}, "NextProtos"},
		{"long protocol", tlsclient.Offer{ALPN: []string{strings.Repeat("x", 256)}}, "NextProtos"},
		{"ECH that is none", tlsclient.Offer{ECH: []byte("rubbish")}, ""},
		{"ECH below TLS 1.3", tlsclient.Offer{ECH: echConfig(t, "outer.test", nil), MaxVersion: tls.VersionTLS12}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := tt.offer.Config()
			if tt.name == "hybrid below TLS 1.3" {
				// crypto/tls then sends a hello without groups; suites without them may still be agreed on.
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || cfg != nil {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// echConfig is an ECHConfigList of one configuration, X25519 with HKDF-SHA256 and AES-128-GCM
// (draft-ietf-tls-esni s.4). key receives what a server needs, unless nil.
func echConfig(t *testing.T, public string, key *tls.EncryptedClientHelloKey) []byte {
	t.Helper()
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	u16 := binary.BigEndian.AppendUint16
	body := u16([]byte{7}, 0x0020) // config_id, DHKEM(X25519, HKDF-SHA256): RFC 9180 s.7.1
	pub := private.PublicKey().Bytes()
	body = append(u16(body, uint16(len(pub))), pub...)
	body = u16(u16(u16(body, 4), 1), 1)                                 // HKDF-SHA256, AES-128-GCM
	body = append(body, 0, byte(len(public)))                           // maximum_name_length, public_name
	body = u16(append(body, public...), 0)                              // no extensions
	config := append(u16(u16(nil, 0xfe0d), uint16(len(body))), body...) // version
	if key != nil {
		*key = tls.EncryptedClientHelloKey{Config: config, PrivateKey: private.Bytes(), SendAsRetry: true}
	}
	return append(u16(nil, uint16(len(config))), config...)
}

func TestECH(t *testing.T) {
	var key, other tls.EncryptedClientHelloKey
	list := echConfig(t, "outer.test", &key)
	retry := echConfig(t, "outer.test", &other)
	server := serverConfig(t, tls.VersionTLS13, "ecdsa")

	server.EncryptedClientHelloKeys = []tls.EncryptedClientHelloKey{key}
	d, p := start(t, tlsclient.Offer{ServerName: "a.test", ECH: list}), newPeer(t, server, handshakeOnly)
	if _, err := shake(t, d, p, oneByOne); err != nil {
		t.Fatal(err)
	}
	if s := d.State(); !s.ECHAccepted || p.conn.ConnectionState().ServerName != "a.test" {
		t.Errorf("got accepted %v, name %q", s.ECHAccepted, p.conn.ConnectionState().ServerName)
	}

	// The rejecting server's certificate is for another name and signs itself: a finding, not an obstacle.
	server.EncryptedClientHelloKeys = []tls.EncryptedClientHelloKey{other}
	d, p = start(t, tlsclient.Offer{ServerName: "a.test", ECH: list}), newPeer(t, server, handshakeOnly)
	_, err := shake(t, d, p, oneByOne)
	var rejected *tls.ECHRejectionError
	if !errors.As(err, &rejected) {
		t.Fatalf("got %v, want a rejection", err)
	}
	if diff := cmp.Diff(retry, rejected.RetryConfigList); diff != "" {
		t.Errorf("retry configurations, want to got:\n%s", diff)
	}
	if s := d.State(); s.ServerName != "outer.test" || len(s.PeerCertificates) != 1 {
		t.Errorf("got name %q and %d certificates", s.ServerName, len(s.PeerCertificates))
	}
}

func TestVerify(t *testing.T) {
	ca := func(c *x509.Certificate) {
		c.Subject.CommonName = "authority"
		c.IsCA = true
		c.KeyUsage = x509.KeyUsageCertSign
		c.ExtKeyUsage = nil
		c.NotAfter = epoch.AddDate(20, 0, 0)
	}
	root := certify(t, "rsa", ca, nil)
	roots := x509.NewCertPool()
	roots.AddCert(root.Leaf)
	expired := func(c *x509.Certificate) { c.NotAfter = epoch.AddDate(0, 0, -1) }
	future := func(c *x509.Certificate) { c.NotBefore = epoch.AddDate(0, 0, 1) }

	tests := []struct {
		name                     string
		cert                     tls.Certificate
		host                     string
		expired, unknown, misfit bool
	}{
		{"good", certify(t, "ecdsa", nil, &root), "a.test", false, false, false},
		{"good address", certify(t, "ecdsa", nil, &root), "127.0.0.1", false, false, false},
		{"no name asked", certify(t, "ecdsa", nil, &root), "", false, false, false},
		{"other name", certify(t, "ecdsa", nil, &root), "b.test", false, false, true},
		{"expired", certify(t, "ecdsa", expired, &root), "a.test", true, false, false},
		{"not yet valid", certify(t, "ecdsa", future, &root), "a.test", true, false, false},
		{"self-signed", certify(t, "ecdsa", nil, nil), "a.test", false, true, false},
		{"all at once", certify(t, "ecdsa", expired, nil), "b.test", true, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			chain, err := x509.ParseCertificates(tt.cert.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			err = tlsclient.Verify(chain, tlsclient.VerifyOptions{Roots: roots, Name: tt.host, Time: epoch})
			var invalid x509.CertificateInvalidError
			var unknown x509.UnknownAuthorityError
			var misfit x509.HostnameError
			got := []bool{errors.As(err, &invalid), errors.As(err, &unknown), errors.As(err, &misfit)}
			want := []bool{tt.expired, tt.unknown, tt.misfit}
			if !cmp.Equal(got, want) || (err == nil) != cmp.Equal(want, make([]bool, 3)) {
				t.Errorf("got expired, unknown, misfit = %v, want %v: %v", got, want, err)
			}
			if tt.expired && invalid.Reason != x509.Expired {
				t.Errorf("got reason %v", invalid.Reason)
			}
		})
	}
	if tlsclient.Verify(nil, tlsclient.VerifyOptions{Roots: roots, Time: time.Time{}}) == nil {
		t.Error("no certificate is good")
	}
}
