package tlsclient

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// heard is what a server sees of the offer's hello.
func heard(t *testing.T, o Offer) *tls.ClientHelloInfo {
	t.Helper()
	var hello *tls.ClientHelloInfo
	server := &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		hello = h
		return nil, errors.New("seen")
	}}
	if err := handshake(t, o, against(server, nil)); err == nil || hello == nil {
		t.Fatalf("the server heard no hello: %v", err)
	}
	return hello
}

func TestOffer(t *testing.T) {
	all := []uint16{tls.VersionTLS13, tls.VersionTLS12, tls.VersionTLS11, tls.VersionTLS10}
	h := heard(t, Offer{})
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

	h = heard(t, Offer{
		ServerName: "a.test", ALPN: []string{"h2", "http/1.1"}, MaxVersion: tls.VersionTLS12,
		Groups: []tls.CurveID{tls.CurveP384}, Suites: []uint16{tls.TLS_RSA_WITH_RC4_128_SHA},
	})
	if h.ServerName != "a.test" || !cmp.Equal(h.SupportedProtos, []string{"h2", "http/1.1"}) ||
		!cmp.Equal(h.SupportedVersions, all[1:]) || !cmp.Equal(h.SupportedCurves, []tls.CurveID{tls.CurveP384}) ||
		!cmp.Equal(h.CipherSuites, []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}) {
		t.Errorf("got %+v", h)
	}
	if h := heard(t, Offer{ServerName: "127.0.0.1"}); h.ServerName != "" {
		t.Errorf("an address was sent as a name: %q", h.ServerName)
	}
	h = heard(t, Offer{Groups: []tls.CurveID{tls.X25519, tls.X25519MLKEM768}})
	if diff := cmp.Diff([]tls.CurveID{tls.X25519MLKEM768, tls.X25519}, h.SupportedCurves); diff != "" {
		t.Errorf("with a hybrid, want to got:\n%s", diff)
	}
}

func TestOfferRefused(t *testing.T) {
	list, _ := echConfig(t, "outer.test")
	tests := []struct {
		name  string
		offer Offer
		want  string
	}{
		{"SSL 3.0", Offer{MinVersion: 0x0300}, "crypto/tls has TLS 1.0 to TLS 1.3"},
		{"TLS 1.4", Offer{MaxVersion: 0x0305}, "crypto/tls has TLS 1.0 to TLS 1.3"},
		{"turned round", Offer{MinVersion: tls.VersionTLS13, MaxVersion: tls.VersionTLS12}, "no supported versions"},
		{"unknown suite", Offer{Suites: []uint16{0x1234}}, "suite 0x1234"},
		{"suite of TLS 1.3", Offer{Suites: []uint16{tls.TLS_AES_128_GCM_SHA256}}, "can't choose it"},
		{"unknown group", Offer{Groups: []tls.CurveID{30}}, "group x448"},
		{"hybrid below TLS 1.3", Offer{Groups: []tls.CurveID{tls.X25519MLKEM768}, MaxVersion: tls.VersionTLS12}, ""},
		{"empty protocol", Offer{ALPN: []string{""}}, "NextProtos"},
		{"long protocol", Offer{ALPN: []string{strings.Repeat("x", 256)}}, "NextProtos"},
		{"ECH that is none", Offer{ECH: []byte("rubbish")}, ""},
		{"ECH below TLS 1.3", Offer{ECH: list, MaxVersion: tls.VersionTLS12}, ""},
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

// TestGroupName: a group that crypto/tls lacks is named as the user named it.
func TestGroupName(t *testing.T) {
	for id, want := range map[tls.CurveID]string{30: "x448", 256: "ffdhe2048", 260: "ffdhe8192", tls.X25519: "X25519", 0x1234: "0x1234"} {
		if got := groupName(id); got != want {
			t.Errorf("group %d: got %q, want %q", uint16(id), got, want)
		}
	}
}
