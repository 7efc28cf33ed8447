package modules_test

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sonde/engine"
	"sonde/internal/testpeer"
	"sonde/target"
	"sonde/watch/modules"
	"sonde/watch/runner"
)

// TestTargets: each form of module reads its targets in its own way.
func TestTargets(t *testing.T) {
	v4 := netip.MustParseAddr("192.0.2.7")
	for _, tt := range []struct {
		module, text string
		want         target.Target
		refused      string
	}{
		{module: "probe: tcp", text: "192.0.2.7:22", want: target.Target{Addr: v4, Port: 22, Probe: "tcp"}},
		{module: "probe: tcp", text: "192.0.2.7", refused: "no port"},
		{module: "probe: tcp", text: "http://192.0.2.7", refused: "not for the probe tcp"},
		{module: "probe: tcp, tls: {enabled: true}", text: "192.0.2.7:443", want: target.Target{Addr: v4, Port: 443, Probe: "tcp", TLS: true}},
		{module: "probe: http", text: "192.0.2.7", want: target.Target{Addr: v4, Port: 80, Probe: "http"}},
		{module: "probe: http", text: "https://example.com/a?b", want: target.Target{Domain: "example.com", Port: 443, Probe: "http", TLS: true, Path: "/a?b"}},
		{module: "probe: http, tls: {enabled: true}", text: "example.com", want: target.Target{Domain: "example.com", Port: 443, Probe: "http", TLS: true}},
		{module: "probe: http", text: "192.0.2.7,example.com,blue,81", want: target.Target{Addr: v4, Domain: "example.com", Tag: "blue", Port: 81, Probe: "http"}},
		{module: "probe: http", text: "redis://example.com", refused: "http://, https://"},
		{module: "probe: http", text: "10.0.0.0/24", refused: "one target"},
		{module: "probe: tls", text: "example.com", want: target.Target{Domain: "example.com", Port: 443, Probe: "tls"}},
		{module: "prober: tcp", text: "example.com:25", want: target.Target{Domain: "example.com", Port: 25, Probe: "tcp"}},
		{module: "prober: tcp, tcp: {tls: true}", text: "[2001:db8::1]:25", want: target.Target{Addr: netip.MustParseAddr("2001:db8::1"), Port: 25, Probe: "tcp", TLS: true}},
		{module: "prober: tcp", text: "example.com", refused: "no port"},
		{module: "prober: tcp", text: "https://example.com", refused: "which takes none"},
		{module: "prober: http", text: "example.com/health", want: target.Target{Domain: "example.com", Port: 80, Probe: "http", Path: "/health"}},
		{module: "prober: http", text: "example.com:8080", want: target.Target{Domain: "example.com", Port: 8080, Probe: "http"}},
		{module: "prober: http", text: "https://192.0.2.7/", want: target.Target{Addr: v4, Port: 443, Probe: "http", TLS: true, Path: "/"}},
		{module: "prober: http", text: "ftp://example.com", refused: "http://, https://"},
		{module: "prober: http", text: "https://user:pw@example.com", refused: "user name"},
		{module: "prober: icmp", text: "192.0.2.7", refused: "ICMP"},
	} {
		got, err := compile(t, tt.module).Target(tt.text)
		if tt.want == (target.Target{}) {
			if err == nil || !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("%s, %s: got %+v, %v, want %q", tt.module, tt.text, got, err, tt.refused)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateComparable(netip.Addr{})); err != nil || diff != "" {
			t.Errorf("%s, %s: %v\n-want +got\n%s", tt.module, tt.text, err, diff)
		}
	}
}

// TestRefused: sonde's own module that can't be run is an error, and one of blackbox_exporter is disabled; both say which key it is.
func TestRefused(t *testing.T) {
	gone := "/nonexistent/ca.pem"
	bad := write(t, "bad.pem", "hunter2")
	for _, tt := range []struct{ module, want string }{
		{"probe: http, tls: {ca_file: " + gone + "}", "tls: ca_file: open " + gone},
		{"probe: http, tls: {ca_file: " + bad + "}", "no certificate in it"},
		{"probe: tls, tls: {cert_file: " + bad + "}", "tls: cert_file, key_file: "},
		{"probe: http, tls: {ca_file: /dev/zero}", "tls: ca_file: read /dev/zero: not a regular file"},
		{"probe: http, http: {path: x}", `http.path: "x" does not begin with a slash`},
		{"probe: http, http: {headers: {Content-Length: 5}}", "http.headers: Content-Length"},
		{"probe: http, http: {method: HEAD}, expect: x", "expect: the answer to http.method HEAD"},
		{"probe: http, tls: {server_name: a_b!}", "tls.server_name"},
	} {
		m, err := tryCompile(t, tt.module)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), `line 1: module "m": `) || strings.Contains(err.Error(), "--") {
			t.Errorf("%s: got %+v, %v, want %q", tt.module, m, err, tt.want)
		}
	}
	for _, tt := range []struct{ module, want string }{
		{"prober: http, http: {tls_config: {ca_file: " + gone + "}}", "http.tls_config: ca_file: open " + gone},
		{"prober: tcp, tcp: {tls_config: {cert_file: " + bad + ", key_file: " + bad + "}}", "tcp.tls_config: cert_file, key_file: "},
		{"prober: http, http: {basic_auth: {username: u, password_file: " + gone + "}}", "http.basic_auth.password_file: open "},
		{"prober: http, http: {bearer_token_file: " + gone + "}", "http.bearer_token_file: open "},
		{"prober: http, http: {body_file: /dev/zero}", "http.body_file: read /dev/zero: not a regular file"},
		{"prober: http, http: {body_file: " + gone + "}", "http.body_file: open "},
		{"prober: tcp, tcp: {query_response: [{starttls: true}], tls: true}", "tcp.query_response[0].starttls: there is TLS from the first byte"},
		{"prober: tcp, tcp: {query_response: [{starttls: true}, {starttls: true}]}", "tcp.query_response: step 2"},
		{"prober: http, http: {proxy_url: x}", "http.proxy_url"},
	} {
		m := compile(t, tt.module)
		if !strings.Contains(m.Disabled, tt.want) || !strings.HasPrefix(m.Disabled, "line 1: ") || m.Probe != nil {
			t.Errorf("%s: disabled is %q, want %q", tt.module, m.Disabled, tt.want)
		}
		if strings.Contains(m.Disabled, "hunter2") {
			t.Errorf("a secret is told: %s", m.Disabled)
		}
		if _, err := m.For("example.com"); err == nil {
			t.Errorf("%s: it is disabled, but not by another name", tt.module)
		}
	}
}

// TestSettings are those that the runner needs to know.
func TestSettings(t *testing.T) {
	m := compile(t, "probe: redis, timeout: 9s, connect_timeout: 1s, tls_handshake_timeout: 2s, read_timeout: 3s, family: ip6")
	if want := (engine.Limits{Connect: time.Second, Handshake: 2 * time.Second, Read: 3 * time.Second}).WithDefaults(); m.Limits != want {
		t.Errorf("limits: got %+v, want %+v", m.Limits, want)
	}
	if m.Timeout != 9*time.Second || m.Family != target.IPv6 || m.AnyFamily || m.Probing != "redis" || m.Name != "m" {
		t.Errorf("got %+v", m)
	}
	m = compile(t, "prober: tcp, timeout: 5m, tcp: {preferred_ip_protocol: ip4}")
	if m.Timeout != 5*time.Minute || m.Limits.Connect < m.Timeout || m.Limits.Target < m.Timeout || m.Family != target.IPv4 || !m.AnyFamily {
		t.Errorf("its one timeout holds for all: got %+v", m)
	}
	if m = compile(t, "prober: http, http: {ip_protocol_fallback: no}"); m.Family != target.IPv6 || m.AnyFamily || m.Timeout != 0 {
		t.Errorf("blackbox_exporter prefers IPv6: got %+v", m)
	}
}

// TestKept: a connection is kept only by what can be asked again over it.
func TestKept(t *testing.T) {
	for module, want := range map[string][2]bool{ // keeps, asks
		"probe: tcp":                       {true, false},
		"probe: tcp, tls: {enabled: true}": {true, false},
		"probe: redis":                     {true, true},
		"probe: banner, send: x":           {true, true},
		"probe: banner":                    {false, false},
		"probe: http":                      {false, false},
		"probe: smtp":                      {false, false},
		"prober: tcp":                      {true, false},
		"prober: tcp, tcp: {tls: true}":    {true, false},
		"prober: tcp, tcp: {query_response: [{send: x}]}": {false, false},
		"prober: http": {false, false},
	} {
		m := compile(t, module)
		if got := [2]bool{m.Kept != nil, m.Heartbeat != nil}; got != want || (m.CantKeep == "") != want[0] {
			t.Errorf("%s: got %v (%s), want %v", module, got, m.CantKeep, want)
		}
	}
}

// TestFingerprint knows what files hold.
func TestFingerprint(t *testing.T) {
	token := write(t, "token", "a")
	module := "prober: http, http: {bearer_token_file: " + token + "}"
	was := compile(t, module)
	if again := compile(t, module); again.Fingerprint != was.Fingerprint {
		t.Error("nothing changed, and the fingerprint did")
	}
	if other := compile(t, module+", timeout: 5s"); other.Fingerprint == was.Fingerprint {
		t.Error("a timeout changed, and the fingerprint did not")
	}
	if err := os.WriteFile(token, []byte("b"), 0o600); err != nil {
		t.Fatal(err)
	}
	if other := compile(t, module); other.Fingerprint == was.Fingerprint {
		t.Error("the file changed, and the fingerprint did not")
	}
}

// TestForReadsNothing: the files of a module are read once, however many hosts it is asked for.
func TestForReadsNothing(t *testing.T) {
	peer := testpeer.New(t, testpeer.TLS13, testpeer.Options{})
	ca, text := write(t, "ca.pem", string(peer.Credentials().RootPEM())), write(t, "text", "hunter2")
	own := compile(t, "probe: http, tls: {ca_file: "+ca+"}")
	m := compile(t, "prober: http, http: {body_file: "+text+", basic_auth: {username: a, password_file: "+text+"}, tls_config: {ca_file: "+ca+"}}")
	for _, name := range []string{ca, text} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []*modules.Module{own, m} {
		one, err := m.For("one.example")
		if err != nil || m.Disabled != "" {
			t.Fatalf("%v %s", err, m.Disabled)
		}
		if again, err := m.For("one.example"); err != nil || again != one {
			t.Errorf("asked for the same host again it is made again, or %v", err)
		}
		if other, err := m.For("two.example"); err != nil || one.Fingerprint == m.Fingerprint || one.Fingerprint == other.Fingerprint {
			t.Errorf("those that ask by other names are taken for the same, or %v", err)
		}
	}
}

// TestFor: the name that a query asks for is what the server hears and what its certificate is held against.
func TestFor(t *testing.T) {
	r := asker(t)
	peer := testpeer.New(t, testpeer.TLS13, testpeer.Options{})
	smtp := testpeer.New(t, testpeer.TLS12, testpeer.Options{})
	ca := write(t, "ca.pem", string(peer.Credentials().RootPEM()))
	for _, tt := range []struct {
		module, target string
	}{
		{"prober: http, http: {tls_config: {ca_file: " + ca + "}}", "https://" + peer.Addr().String()},
		{"prober: tcp, tcp: {tls: true, tls_config: {ca_file: " + ca + "}}", smtp.Addr().String()},
		{"probe: http, tls: {ca_file: " + ca + "}", "https://" + peer.Addr().String()},
	} {
		m := compile(t, tt.module)
		for name, want := range map[string]string{"sonde.test": "success", "sonde.test:99": "success", "sonde.example": "certificate-error"} {
			asked, err := m.For(name)
			if err != nil {
				t.Fatal(err)
			}
			to, err := asked.Target(tt.target)
			if err != nil {
				t.Fatal(err)
			}
			res, err := r.Ask(t.Context(), runner.Question{Target: to, Module: asked, Timeout: 20 * time.Second})
			if err != nil || res.Status.String() != want {
				t.Errorf("%s, for %s: got %+v, %v, want %s", tt.module, name, res, err, want)
			}
		}
	}
	for module, ok := range map[string]bool{
		"prober: http, http: {headers: {host: a.example}}": false, "prober: http, http: {headers: {Host: b.example}}": true,
		"probe: http, http: {host: a.example}": false, "probe: http, http: {headers: {Host: a.example}}": false, "probe: http, http: {host: b.example}": true,
	} {
		if _, err := compile(t, module).For("b.example"); (err == nil) != ok || err != nil && !errors.Is(err, modules.ErrTwoHosts) {
			t.Errorf("%s: got %v", module, err)
		}
	}
}
