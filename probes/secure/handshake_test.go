package secure

import (
	"crypto/tls"
	"strings"
	"testing"

	"sonde/internal/testcert"
	"sonde/protocol"
)

var versions = []struct {
	number uint16
	word   string
}{{tls.VersionTLS10, "tls10"}, {tls.VersionTLS11, "tls11"}, {tls.VersionTLS12, "tls12"}, {tls.VersionTLS13, "tls13"}}

func TestEveryVersionAndKey(t *testing.T) {
	keys := map[string]testcert.Algorithm{
		"ecdsa": testcert.ECDSAP256, "p384": testcert.ECDSAP384, "rsa": testcert.RSA2048, "ed25519": testcert.Ed25519,
	}
	l := layer(t, options())
	for _, v := range versions {
		for name, key := range keys {
			if name == "ed25519" && v.number < tls.VersionTLS12 {
				continue // RFC 8422 s.5.10: TLS 1.2 and above
			}
			t.Run(v.word+" "+name, func(t *testing.T) {
				cert := issue(t, testcert.Leaf{Key: key, Names: []string{"a.test"}}, "key "+name)
				got := play(t, l.Exchange(here, nil, nil, true), serves(only(server(cert), v.number), nil), protocol.EndOfStream)
				if got.Verdict != protocol.Success || got.Reason != "" {
					t.Fatalf("got verdict %d, %q", got.Verdict, got.Reason)
				}
				want := map[string]any{
					"tls_depth": "full", "sni": "a.test", "tls_version": v.word, "verified": true, "resumed": false,
					"client_cert_requested": false, "group": "x25519", "subject_cn": "a.test", "days_left": 89.0,
				}
				if v.number < tls.VersionTLS13 {
					want["session_ticket"], want["session_id"] = true, false
				}
				holds(t, got, want)
				if chain, _ := got.object["chain"].([]any); len(chain) != 2 {
					t.Errorf("chain: got %d certificates, want 2", len(chain))
				}
				if ja3s, _ := got.object["ja3s_hash"].(string); len(ja3s) != 32 {
					t.Errorf("ja3s_hash: got %q", ja3s)
				}
			})
		}
	}
}

// holds compares some members of the result. A nil value wants the member absent.
func holds(t *testing.T, got result, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if got.object[name] != value {
			t.Errorf("%s: got %v, want %v, in %s", name, got.object[name], value, got.json)
		}
	}
}

func TestBadCertificates(t *testing.T) {
	other, err := testcert.NewAuthority("other", epoch)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Issue(testcert.Leaf{Names: []string{"a.test"}})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		cert   tls.Certificate
		reason string
		error  string
	}{
		{"expired", issue(t, testcert.Leaf{Names: []string{"a.test"}, Validity: testcert.Expired}, "expired"), "expired", "expired"},
		{"not yet valid", issue(t, testcert.Leaf{Names: []string{"a.test"}, Validity: testcert.NotYetValid}, "future"), "not valid", "not yet valid"},
		{"wrong name", issue(t, testcert.Leaf{Names: []string{"b.test"}}, "b"), "b.test", "name mismatch"},
		{"self-signed", issue(t, testcert.Leaf{Names: []string{"a.test"}, SelfSigned: true}, "self"), "self-signed", "self-signed"},
		{"unknown authority", foreign, "not trusted", "unknown authority"},
	}
	for _, tt := range tests {
		for _, v := range versions[2:] {
			t.Run(tt.name+" "+v.word, func(t *testing.T) {
				cfg := only(server(tt.cert), v.number)
				got := play(t, layer(t, options()).Exchange(here, nil, nil, true), serves(cfg, nil), protocol.EndOfStream)
				if got.Verdict != protocol.Untrusted || !strings.Contains(got.Reason, tt.reason) {
					t.Errorf("got verdict %d, %q, want Untrusted and %q", got.Verdict, got.Reason, tt.reason)
				}
				holds(t, got, map[string]any{"verified": false, "verify_error": tt.error, "tls_version": v.word})

				o := options()
				o.Insecure = true
				got = play(t, layer(t, o).Exchange(here, nil, nil, true), serves(cfg, nil), protocol.EndOfStream)
				if got.Verdict != protocol.Success || got.Reason != "" {
					t.Errorf("insecure: got verdict %d, %q, want Success", got.Verdict, got.Reason)
				}
				holds(t, got, map[string]any{"verified": false, "verify_error": tt.error})
			})
		}
	}
}

// Without a clock nothing is judged, which only an insecure layer may do.
func TestNotJudged(t *testing.T) {
	o := options()
	o.Now, o.Insecure = nil, true
	got := play(t, layer(t, o).Exchange(here, nil, nil, true), serves(server(good(t)), nil), protocol.EndOfStream)
	if got.Verdict != protocol.Success {
		t.Errorf("got verdict %d, %q", got.Verdict, got.Reason)
	}
	holds(t, got, map[string]any{"verified": nil, "verify_error": nil, "subject_cn": "a.test"})
}

func TestALPNStapleAndTimestamps(t *testing.T) {
	cert := issue(t, testcert.Leaf{Names: []string{"a.test"}, Staple: testcert.StapleGood, Timestamps: 2}, "stapled")
	for _, v := range versions[2:] {
		t.Run(v.word, func(t *testing.T) {
			cfg := only(server(cert), v.number)
			cfg.NextProtos = []string{"h2", "http/1.1"}
			got := play(t, layer(t, options()).Exchange(here, nil, []string{"http/1.1"}, true), serves(cfg, nil), protocol.EndOfStream)
			holds(t, got, map[string]any{"alpn": "http/1.1", "ocsp_stapled": true, "ocsp_status": "good"})
			if scts, _ := got.object["scts"].([]any); len(scts) != 2 {
				t.Errorf("scts: got %d, want 2", len(scts))
			}

			o := options()
			o.ALPN = []string{"h2"} // the user's go before the probe's
			got = play(t, layer(t, o).Exchange(here, nil, []string{"http/1.1"}, true), serves(cfg, nil), protocol.EndOfStream)
			holds(t, got, map[string]any{"alpn": "h2"})
		})
	}
}

func TestHelloRetryRequest(t *testing.T) {
	cfg := server(good(t))
	cfg.CurvePreferences = []tls.CurveID{tls.CurveP384}
	got := play(t, layer(t, options()).Exchange(here, nil, nil, true), serves(cfg, nil), protocol.EndOfStream)
	if got.Verdict != protocol.Success {
		t.Fatalf("got verdict %d, %q", got.Verdict, got.Reason)
	}
	holds(t, got, map[string]any{"hello_retry_request": true, "group": "secp384r1"})
}
