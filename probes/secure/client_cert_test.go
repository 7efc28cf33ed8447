package secure

import (
	"crypto/tls"
	"errors"
	"testing"

	"sonde/internal/testcert"
	"sonde/protocol"
)

func TestClientCertificate(t *testing.T) {
	mine := issue(t, testcert.Leaf{Names: []string{"me"}, Client: true}, "client")
	foreign := issue(t, testcert.Leaf{Names: []string{"me"}, Client: true, SelfSigned: true}, "foreign client")
	refuse := func(tls.ConnectionState) error { return errors.New("no") }
	tests := []struct {
		name         string
		auth         tls.ClientAuthType
		verify       func(tls.ConnectionState) error
		certificates []tls.Certificate
		verdict      protocol.Verdict
		reason12     string // in TLS 1.2; 1.0 and 1.1 are the same
		reason13     string
		sent         int // how many certificates the server sees
	}{
		{"wanted, none", tls.RequestClientCert, nil, nil, protocol.Success, "", "", 0},
		{"wanted, given", tls.RequestClientCert, nil, []tls.Certificate{mine}, protocol.Success, "", "", 2},
		{"required, given", tls.RequireAndVerifyClientCert, nil, []tls.Certificate{mine}, protocol.Success, "", "", 2},
		{"required, none", tls.RequireAnyClientCert, nil, nil, protocol.HandshakeRefused, "alert handshake_failure", "alert certificate_required", 0},
		{"required, none that suits", tls.RequireAndVerifyClientCert, nil, []tls.Certificate{foreign}, protocol.HandshakeRefused,
			"alert handshake_failure", "alert certificate_required", 0},
		{"given, refused", tls.RequestClientCert, refuse, []tls.Certificate{mine}, protocol.HandshakeRefused,
			"alert bad_certificate", "alert bad_certificate", 2},
	}
	for _, tt := range tests {
		for _, v := range versions {
			t.Run(tt.name+" "+v.word, func(t *testing.T) {
				cfg := only(server(good(t)), v.number)
				cfg.ClientAuth, cfg.ClientCAs, cfg.VerifyConnection = tt.auth, authority().Pool(), tt.verify
				cfg.SessionTicketsDisabled = true
				o := options()
				o.Certificates = tt.certificates
				seen := -1
				got := play(t, layer(t, o).Exchange(here, nil, nil, true), serves(cfg, func(c *tls.Conn) {
					seen = len(c.ConnectionState().PeerCertificates)
				}), protocol.EndOfStream)
				reason := tt.reason12
				if v.number == tls.VersionTLS13 {
					reason = tt.reason13
				}
				if got.Verdict != tt.verdict || got.Reason != reason {
					t.Errorf("got verdict %d, %q, want %d, %q", got.Verdict, got.Reason, tt.verdict, reason)
				}
				if tt.verdict == protocol.Success && seen != tt.sent {
					t.Errorf("the server saw %d certificates, want %d", seen, tt.sent)
				}
				holds(t, got, map[string]any{"client_cert_requested": true, "tls_version": v.word, "verified": true})
			})
		}
	}
}

// What comes behind the handshake ends the wait for the server's judgement.
func TestJudgementOfClientCertificate(t *testing.T) {
	cfg := only(server(good(t)), tls.VersionTLS13)
	cfg.ClientAuth = tls.RequestClientCert
	hangUp := func(c *tls.Conn) { c.NetConn().Close() }
	tests := []struct {
		name    string
		rest    func(*tls.Conn)
		fin     protocol.End
		verdict protocol.Verdict
		reason  string
	}{
		{"a ticket", nil, protocol.EndOfStream, protocol.Success, ""},
		{"data", func(c *tls.Conn) { _, _ = c.Write([]byte("220 hello\r\n")) }, protocol.EndOfStream, protocol.Success, ""},
		{"FIN", hangUp, protocol.EndOfStream, protocol.Closed, "closed behind the handshake, in which a client certificate was asked for"},
		{"close_notify", func(c *tls.Conn) { c.Close() }, protocol.EndReset, protocol.Closed,
			"closed behind the handshake, in which a client certificate was asked for"},
		{"reset", hangUp, protocol.EndReset, protocol.Unfinished, "reset behind the handshake, in which a client certificate was asked for"},
		{"cancelled", hangUp, protocol.EndCancelled, protocol.Unfinished, "cancelled behind the handshake"},
		{"budget spent", hangUp, protocol.EndTimeout, protocol.Success, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := cfg.Clone()
			cfg.SessionTicketsDisabled = tt.name != "a ticket"
			got := play(t, layer(t, options()).Exchange(here, nil, nil, true), serves(cfg, tt.rest), tt.fin)
			if got.Verdict != tt.verdict || got.Reason != tt.reason {
				t.Errorf("got verdict %d, %q, want %d, %q", got.Verdict, got.Reason, tt.verdict, tt.reason)
			}
		})
	}
}
