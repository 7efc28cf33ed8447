package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/probes"
	"sonde/protocol/tlswire"
)

func TestParseVersion(t *testing.T) {
	tests := []struct {
		values string // separated by bars
		want   tlswire.Version
	}{
		{"ssl3|ssl30|ssl3.0|SSLv3|sslv3.0|SSL 3.0", tlswire.SSL30},
		{"tls1|tls10|tls1.0|TLSv1|TLSv1.0|1|1.0|tls1_0|TLS 1.0", tlswire.TLS10},
		{"tls11|tls1.1|TLSv1.1|1.1|tlsv1_1", tlswire.TLS11},
		{"tls12|tls1.2|TLSv1.2|1.2|TLS 1.2", tlswire.TLS12},
		{"tls13|tls1.3|TLSv1.3|1.3|TLS13", tlswire.TLS13},
		{"|1.4|tls|ssl|ssl2|ssl1.2|tls3|tls30|3|30|2|v1.2|1.2.3.4|tls 12x|dtls1.2|-1", 0},
	}
	for _, tt := range tests {
		for value := range strings.SplitSeq(tt.values, "|") {
			got, ok := tlswire.ParseVersion(value)
			if ok != (tt.want != 0) || ok && got != tt.want {
				t.Errorf("ParseVersion(%q): got %v, %v, want %v", value, got, ok, tt.want)
			}
		}
	}
	for _, word := range versionWords() {
		if v, ok := tlswire.ParseVersion(word); !ok || v.Word() != word {
			t.Errorf("ParseVersion(%q): got %v, %v, want the version of that word", word, v, ok)
		}
	}
}

func TestFindGroup(t *testing.T) {
	tests := map[string]tlswire.Group{
		"x25519": tlswire.X25519, "X25519": tlswire.X25519,
		"p256": tlswire.SecP256R1, "P-256": tlswire.SecP256R1, "secp256r1": tlswire.SecP256R1, "prime256v1": tlswire.SecP256R1,
		"p384": tlswire.SecP384R1, "p521": tlswire.SecP521R1, "secp521r1": tlswire.SecP521R1,
		"x25519mlkem768": tlswire.X25519MLKEM768, "SecP384r1MLKEM1024": tlswire.SecP384R1MLKEM1024, "ffdhe2048": tlswire.FFDHE2048,
		"": 0, "x": 0, "p224": 0, "29": 0,
	}
	for name, want := range tests {
		got, ok := tlswire.ParseGroup(name)
		if got != want || ok != (want != 0) {
			t.Errorf("ParseGroup(%q): got %v, %v, want %v", name, got, ok, want)
		}
	}
	for _, word := range groupWords {
		if _, ok := tlswire.ParseGroup(word); !ok {
			t.Errorf("ParseGroup(%q): got none, though help names it", word)
		}
	}
}

// TestTLSFlags parses whole command lines: each flag reaches the options.
func TestTLSFlags(t *testing.T) {
	o := &scanOptions{p: &program{stdin: strings.NewReader(""), stdout: &bytes.Buffer{}, stderr: newConsole(&bytes.Buffer{})}}
	specs := scanFlags(o)
	set := func(name, value string) {
		t.Helper()
		for i := range specs {
			if specs[i].name == name {
				if err := specs[i].set(value); err != nil {
					t.Errorf("--%s %s: %v", name, value, err)
				}
				return
			}
		}
		t.Errorf("there is no flag --%s", name)
	}
	for _, flag := range [][2]string{
		{"tls-depth", "certs"}, {"sni", "a.example"}, {"alpn", "h2,http/1.1"}, {"alpn", "acme-tls/1"}, {"min-version", "1.0"},
		{"max-version", "TLSv1.2"}, {"groups", "p384"}, {"groups", "x25519, x448"}, {"insecure", "true"}, {"starttls", "auto"},
		{"session-reuse", "true"}, {"tls-enum", "groups,versions"}, {"jarm", "true"}, {"pem", "true"}, {"tls", "true"},
	} {
		set(flag[0], flag[1])
	}
	want := probes.TLSOptions{
		Depth: probes.DepthCerts, ServerName: "a.example", ALPN: []string{"h2", "http/1.1", "acme-tls/1"},
		MinVersion: tlswire.TLS10, MaxVersion: tlswire.TLS12,
		Groups:   []tlswire.Group{tlswire.SecP384R1, tlswire.X25519, tlswire.X448},
		Insecure: true, StartTLS: probes.StartTLSAuto, SessionReuse: true, JARM: true, PEM: true,
	}
	want.Enum.Groups, want.Enum.Versions = true, true
	if diff := cmp.Diff(want, o.cfg.Options.TLS); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	if !o.cfg.TLS {
		t.Error("got no TLS below every probe, want it")
	}
}

func TestFieldRows(t *testing.T) {
	got := fieldRows([]probes.Field{{Name: "a"}, {Name: "a.b"}, {Name: "l"}, {Name: "l[].x"}, {Name: "l[].x[].y"}, {Name: "no.parent"}})
	want := [][]string{{"  a", "", ""}, {"    b", "", ""}, {"  l", "", ""}, {"    x", "", ""}, {"      y", "", ""}, {"  no.parent", "", ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestShellQuote(t *testing.T) {
	for word, want := range map[string]string{
		"a.txt": "a.txt", "127.0.0.1,a.test,,9": "127.0.0.1,a.test,,9", "[::1]:9": "[::1]:9", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$x": "'$x'",
	} {
		if got := shellQuote(word); got != want {
			t.Errorf("shellQuote(%q): got %s, want %s", word, got, want)
		}
	}
}
