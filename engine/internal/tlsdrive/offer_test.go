package tlsdrive

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"testing"

	"sonde/internal/tlsclient"

	"github.com/google/go-cmp/cmp"
)

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
