package tlsfacts

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"sonde/internal/testcert"
	"sonde/probes"
	"sonde/protocol/tlswire"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ocsp"
)

// object parses the JSON of a finding, which must be one object in UTF-8 on one line.
func object(t *testing.T, f *Finding) map[string]any {
	t.Helper()
	const before = "before"
	out := f.AppendJSON([]byte(before))
	text, ok := bytes.CutPrefix(out, []byte(before))
	if !ok || bytes.ContainsAny(text, "\n\x1b") {
		t.Errorf("got %q", out)
	}
	var o map[string]any
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return o
}

// everything is all that can be known of a server at once.
func everything(t *testing.T) (*Facts, Judgement) {
	a := authority(t)
	j, _ := judgeOf(a)
	c := issue(t, a, testcert.Leaf{Names: []string{"a.test", "*.a.test", "127.0.0.1"}, Staple: testcert.StapleGood, Timestamps: 2})
	f := &Facts{
		StartTLS: "smtp", SNI: "a.test", Version: tlswire.TLS13, Cipher: tlswire.AES128GCMSHA256, Group: tlswire.X25519,
		ALPN: "h2", Retry: true, Alert: "close_notify", JA3S: "0123", SessionID: No, SessionTicket: Yes, Resumed: No,
		Chain: c.Certificate, OCSP: c.OCSPStaple, SCTs: c.SignedCertificateTimestamps, ClientCert: Yes,
		ECH: No, ECHRetry: []byte{0, 1}, FirstBytes: []byte("no\xff\x1b TLS"), JARM: strings.Repeat("0", 62), PEM: true,
		Enum: &Enum{
			Versions: []tlswire.Version{tlswire.TLS12, tlswire.TLS10},
			Ciphers: []VersionCiphers{{
				Version: tlswire.TLS12, ServerOrder: Yes, Ciphers: []tlswire.CipherSuite{0xC02F, 0x000A},
			}},
			Groups: []tlswire.Group{tlswire.X25519, 21}, Incomplete: "reset", Connections: 7,
		},
		Reuse: &Reuse{Method: "psk", Offered: "psk", FullUS: 900, ResumedUS: 300},
	}
	return f, j.Judge(c.Certificate, "a.test")
}

// paths adds the name of each member of v, as Fields writes it, and its type.
func paths(into map[string]string, prefix string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			switch value.(type) {
			case string:
				into[prefix+name] = "string"
			case float64:
				into[prefix+name] = "integer"
			case bool:
				into[prefix+name] = "boolean"
			case []any:
				into[prefix+name] = "list"
				paths(into, prefix+name, value)
			case map[string]any:
				into[prefix+name] = "object"
				paths(into, prefix+name+".", value)
			}
		}
	case []any:
		for _, e := range v {
			if _, ok := e.(map[string]any); ok {
				paths(into, prefix+"[].", e)
			}
		}
	}
}

func TestFields(t *testing.T) {
	written := map[string]string{}
	f, judged := everything(t)
	paths(written, "", object(t, f.Finding(judged)))

	// What can't be there at the same time.
	a := authority(t)
	j, _ := judgeOf(a)
	bad := issue(t, a, testcert.Leaf{Names: []string{"b.test"}, SelfSigned: true, Validity: testcert.Expired, Staple: testcert.StapleRevoked})
	sets := []Facts{
		{Chain: bad.Certificate, OCSP: bad.OCSPStaple},
		{Chain: [][]byte{[]byte("rubbish")}},
		{Chain: [][]byte{richNames(t)}},
	}
	for _, f := range sets {
		paths(written, "", object(t, f.Finding(j.Judge(f.Chain, "a.test"))))
	}
	revoked := issue(t, a, testcert.Leaf{Names: []string{"a.test"}, Staple: testcert.StapleRevoked})
	facts := Facts{Chain: revoked.Certificate, OCSP: revoked.OCSPStaple}
	paths(written, "", object(t, facts.Finding(j.Judge(facts.Chain, "a.test"))))

	documented := map[string]string{}
	for _, f := range Fields() {
		if documented[f.Name] != "" || f.Doc == "" {
			t.Errorf("%s is documented twice, or not at all", f.Name)
		}
		documented[f.Name] = f.Type
	}
	if diff := cmp.Diff(documented, written); diff != "" {
		t.Errorf("documented to written:\n%s", diff)
	}
}

func TestFinding(t *testing.T) {
	f, judged := everything(t)
	o := object(t, f.Finding(judged))
	for name, want := range map[string]any{
		"tls_depth": "full", "tls_version": "tls13", "cipher": "TLS_AES_128_GCM_SHA256", "group": "x25519", "verified": true,
		"days_left": 89.0, "session_id": false, "ech": "rejected", "ech_retry_configs": "AAE=", "subject_cn": "a.test",
		"subject_an": []any{"a.test", "*.a.test", "127.0.0.1"}, "issuer_cn": "test intermediate", "wildcard_certificate": true,
		"not_after": "2026-08-14T12:00:00Z", "ocsp_stapled": true, "ocsp_status": "good", "ocsp_error": nil, "verify_error": nil,
		"first_bytes": "no\ufffd\x1b TLS", "first_bytes_base64": "bm//GyBUTFM=", "untrusted": nil,
		"version_enum": []any{map[string]any{"version": "tls12"}, map[string]any{"version": "tls10", "weak": []any{"deprecated"}}},
		"group_enum":   []any{map[string]any{"group": "x25519"}, map[string]any{"group": "secp224r1", "weak": []any{"deprecated"}}},
		"cipher_enum": []any{map[string]any{"version": "tls12", "server_order": true, "ciphers": []any{
			map[string]any{"cipher": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
			map[string]any{"cipher": "TLS_RSA_WITH_3DES_EDE_CBC_SHA", "weak": []any{"64-bit-block", "no-forward-secrecy", "cbc"}},
		}}},
		"resumption": map[string]any{"method": "psk", "offered": "psk", "full_us": 900.0, "resumed_us": 300.0},
	} {
		if diff := cmp.Diff(want, o[name]); diff != "" {
			t.Errorf("%s: want to got:\n%s", name, diff)
		}
	}
	chain := o["chain"].([]any)
	leaf := chain[0].(map[string]any)
	if leaf["key_algorithm"] != "ECDSA" || leaf["key_bits"] != 256.0 || leaf["signature_algorithm"] != "ECDSA-SHA256" ||
		leaf["size_bytes"] != float64(len(f.Chain[0])) || leaf["subject_cn"] != "a.test" || len(chain) != 2 {
		t.Errorf("got %d certificates, the leaf %v", len(chain), leaf)
	}
	if block, _ := pem.Decode([]byte(leaf["pem"].(string))); block == nil || !bytes.Equal(block.Bytes, f.Chain[0]) {
		t.Errorf("got PEM %v", leaf["pem"])
	}
	sct := o["scts"].([]any)[0].(map[string]any)
	if sct["source"] != "handshake" || sct["timestamp"] != "2026-05-17T11:00:00.000Z" || len(sct["log_id"].(string)) != 44 {
		t.Errorf("got SCT %v", sct)
	}
}

// TestUnknown: what is not known is not written.
func TestUnknown(t *testing.T) {
	got := string((&Facts{Depth: probes.DepthHello}).Finding(Judgement{}).AppendJSON(nil))
	if want := `{"tls_depth":"hello"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	c := issue(t, authority(t), testcert.Leaf{Names: []string{"a.test"}})
	o := object(t, (&Facts{Chain: c.Certificate}).Finding(Judgement{}))
	if o["verified"] != nil || o["days_left"] != nil || o["subject_cn"] != "a.test" {
		t.Errorf("not judged: got %v", o)
	}
}

func TestStaple(t *testing.T) {
	a, stranger := authority(t), authority(t)
	names := []string{"a.test"}
	good := issue(t, a, testcert.Leaf{Names: names, Staple: testcert.StapleGood})
	other := issue(t, stranger, testcert.Leaf{Names: names, Staple: testcert.StapleGood})
	spoilt := bytes.Clone(good.OCSPStaple)
	spoilt[len(spoilt)-1] ^= 1
	later := func(s testcert.Staple) []byte { return issue(t, a, testcert.Leaf{Names: names, Staple: s}).OCSPStaple }
	revoked := issue(t, a, testcert.Leaf{Names: names, Staple: testcert.StapleRevoked})
	unknown := issue(t, a, testcert.Leaf{Names: names, Staple: testcert.StapleUnknown})
	// Somebody else says that a certificate is good which that somebody has not issued.
	leaf, key := parsed(t, good.Certificate[0]), newECDSA(t)
	forger := sign(t, leaf.Issuer.CommonName, key.Public(), key)
	forged, err := ocsp.CreateResponse(forger, forger, ocsp.Response{
		Status: ocsp.Good, SerialNumber: leaf.SerialNumber, ThisUpdate: epoch, NextUpdate: epoch.Add(day),
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name            string
		chain           [][]byte
		ocsp            []byte
		after           time.Duration
		status, problem string
	}{
		{"good", good.Certificate, good.OCSPStaple, 0, "good", ""},
		{"revoked", revoked.Certificate, revoked.OCSPStaple, 0, "revoked", ""},
		{"unknown", unknown.Certificate, unknown.OCSPStaple, 0, "unknown", ""},
		{"out of date", good.Certificate, good.OCSPStaple, 8 * day, "good", "out of date since 2026-05-24"},
		{"try later", good.Certificate, later(testcert.StapleTryLater), 0, "", "the responder says: tryLater"},
		{"of another", good.Certificate, other.OCSPStaple, 0, "", "no response matching"},
		{"wrong signature", good.Certificate, spoilt, 0, "", "signature"},
		{"issuer not sent", good.Certificate[:1], good.OCSPStaple, 0, "good", "not checked"},
		{"forged", slices.Insert(slices.Clone(good.Certificate), 1, forger.Raw), forged, 0, "good", "not checked"},
		{"rubbish", good.Certificate, []byte("rubbish"), 0, "", "asn1"},
		{"no chain to hold it against", [][]byte{[]byte("rubbish")}, good.OCSPStaple, 0, "", "can't be read"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j, move := judgeOf(a)
			move(tt.after)
			for _, from := range []string{"a miss", "a hit"} {
				o := object(t, (&Facts{Chain: tt.chain, OCSP: tt.ocsp}).Finding(j.Judge(tt.chain, "a.test")))
				status, _ := o["ocsp_status"].(string)
				problem, _ := o["ocsp_error"].(string)
				if status != tt.status || !strings.Contains(problem, tt.problem) || (problem == "") != (tt.problem == "") {
					t.Errorf("%s: got %q, %q, want %q, %q", from, status, problem, tt.status, tt.problem)
				}
			}
		})
	}
}

func TestBrief(t *testing.T) {
	a := authority(t)
	j, _ := judgeOf(a)
	c := issue(t, a, testcert.Leaf{Names: []string{"a.test"}})
	hello := Facts{Version: tlswire.TLS13, Cipher: tlswire.AES128GCMSHA256, Group: tlswire.X25519}
	withChain := hello
	withChain.Chain = c.Certificate
	for _, tt := range []struct {
		facts  Facts
		judged Judgement
		want   string
	}{
		{withChain, j.Judge(c.Certificate, "a.test"), "tls13 89 days a.test AES_128_GCM_SHA256 x25519"},
		{withChain, j.Judge(c.Certificate, "b.test"), "tls13 name mismatch a.test AES_128_GCM_SHA256 x25519"},
		{hello, Judgement{}, "tls13 AES_128_GCM_SHA256 x25519"},
		{Facts{Alert: "handshake_failure"}, Judgement{}, "alert handshake_failure"},
		{Facts{FirstBytes: []byte("SSH-")}, Judgement{}, "not TLS"},
		{Facts{JARM: "27d", Alert: "handshake_failure"}, Judgement{}, "jarm 27d"},
		{Facts{Enum: &Enum{
			Versions: []tlswire.Version{tlswire.TLS12},
			Ciphers:  []VersionCiphers{{Version: tlswire.TLS12, Ciphers: []tlswire.CipherSuite{0xC02F, 0x000A}}},
		}}, Judgement{}, "1 version 2 ciphers (1 weak)"},
	} {
		if got := tt.facts.Finding(tt.judged).Brief(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// FuzzFinding: whatever a peer sends, what is written is JSON.
func FuzzFinding(f *testing.F) {
	a, err := testcert.NewAuthority("test", epoch)
	if err != nil {
		f.Fatal(err)
	}
	c, err := a.Issue(testcert.Leaf{Names: []string{"a.test"}, Staple: testcert.StapleGood, Timestamps: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.Certificate[0], c.OCSPStaple, c.SignedCertificateTimestamps[0], "a.test")
	f.Add([]byte{}, []byte{0}, []byte{0}, "\xff\x1b")
	j, _ := judgeOf(a)
	f.Fuzz(func(t *testing.T, cert, ocsp, sct []byte, name string) {
		facts := &Facts{Chain: [][]byte{cert, c.Certificate[1]}, OCSP: ocsp, SCTs: [][]byte{sct}, SNI: name, ALPN: name, FirstBytes: sct, PEM: true}
		judged := j.Judge(facts.Chain, name)
		if len(judged.Reason) > maxReason || judged.Verified != (judged.Faults == 0) {
			t.Errorf("got %+v", judged)
		}
		finding := facts.Finding(judged)
		if out := finding.AppendJSON(nil); !json.Valid(out) {
			t.Errorf("got %s", out)
		}
		if strings.ContainsFunc(finding.Brief(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("got brief %q", finding.Brief())
		}
	})
}

// TestEmbedded: the timestamps within a certificate, and none from what only looks like them.
func TestEmbedded(t *testing.T) {
	der := richNames(t)
	if o := object(t, (&Facts{Chain: [][]byte{der}}).Finding(Judgement{})); !slices.ContainsFunc(o["scts"].([]any), func(v any) bool {
		return v.(map[string]any)["source"] == "certificate"
	}) {
		t.Errorf("got %v", o["scts"])
	}
}
