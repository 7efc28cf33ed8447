package modules_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sonde/internal/testpeer"
	"sonde/target"
	"sonde/watch/config"
	"sonde/watch/modules"
	"sonde/watch/runner"
	"sonde/watch/track"
)

// compile makes the one module of a file.
func compile(t *testing.T, module string) *modules.Module {
	t.Helper()
	m, err := tryCompile(t, module)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func tryCompile(t *testing.T, module string) (*modules.Module, error) {
	t.Helper()
	c, err := config.Parse("f.yml", []byte("modules: {m: {"+module+"}}\n"))
	if err != nil {
		t.Fatalf("%s: %v", module, err)
	}
	return modules.Compile(&c.Modules[0], time.Now)
}

// asker asks with modules, until the test ends.
func asker(t *testing.T) *runner.Runner {
	t.Helper()
	r, err := runner.New(runner.Options{Table: track.New(time.Now(), 1), Connections: 10, Descriptors: 100, Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	allow := &target.Set{}
	allow.AddPrefix(netip.MustParsePrefix("127.0.0.0/8"))
	if err := r.Visit(ctx, func() { r.SetLimits(runner.Limits{Allow: allow}) }); err != nil {
		t.Fatal(err)
	}
	return r
}

// write writes a file and returns its name.
func write(t *testing.T, name, text string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// stage has peers of all kinds, and the files that modules name.
type stage struct {
	runner        *runner.Runner
	peers         map[testpeer.Kind]*testpeer.Peer
	ca, cert, key string
}

func newStage(t *testing.T) *stage {
	s := &stage{runner: asker(t), peers: make(map[testpeer.Kind]*testpeer.Peer)}
	for _, k := range []testpeer.Kind{testpeer.Sink, testpeer.Echo, testpeer.HTTP, testpeer.Redis, testpeer.TLS12, testpeer.TLS13, testpeer.StartTLSSMTP, testpeer.TLSClientCert, testpeer.Silent} {
		s.peers[k] = testpeer.New(t, k, testpeer.Options{})
	}
	creds := s.peers[testpeer.TLS12].Credentials()
	certPEM, keyPEM, err := creds.ClientPEM()
	if err != nil {
		t.Fatal(err)
	}
	s.ca, s.cert, s.key = write(t, "ca.pem", string(creds.RootPEM())), write(t, "cert.pem", string(certPEM)), write(t, "key.pem", string(keyPEM))
	return s
}

// asking is a module that asks one of the peers.
type asking struct {
	name, module string
	peer         testpeer.Kind
	target       string // "" is the peer's address; %s stands for it
	want         string // the status
}

func (s *stage) ask(t *testing.T, all []asking) {
	for _, a := range all {
		t.Run(a.name, func(t *testing.T) {
			m := compile(t, a.module)
			if m.Disabled != "" {
				t.Fatal(m.Disabled)
			}
			addr := s.peers[a.peer].Addr().String()
			text := strings.Replace(a.target, "%s", addr, 1)
			if text == "" {
				text = addr
			}
			to, err := m.Target(text)
			if err != nil {
				t.Fatal(err)
			}
			res, err := s.runner.Ask(t.Context(), runner.Question{Target: to, Module: m, Timeout: limit(m)})
			if err != nil {
				t.Fatal(err)
			}
			if got := res.Status.String(); got != a.want {
				t.Errorf("got %s (%s), want %s", got, res.Error, a.want)
			}
		})
	}
}

// TestAsks has modules ask real peers: what it comes to shows that each setting reached the probe.
func TestAsks(t *testing.T) {
	s := newStage(t)
	s.ask(t, []asking{
		{"tcp", `probe: tcp`, testpeer.Sink, "", "success"},
		{"redis", `probe: redis`, testpeer.Redis, "", "success"},
		{"redis by URL", `probe: redis`, testpeer.Redis, "redis://%s", "success"},
		{"send and expect", `probe: banner, send: 'a\x62c\n', expect: "^abc"`, testpeer.Echo, "", "success"},
		{"expect something else", `probe: banner, send: 'abc\n', expect: "^x"`, testpeer.Echo, "", "application-error"},
		{"a timeout of its own", `probe: banner, read_timeout: 50ms`, testpeer.Silent, "", "io-timeout"},
		{"status", `probe: http, http: {status: [404]}`, testpeer.HTTP, "", "application-error"},
		{"path", `probe: http, http: {path: /status/404, status: [404]}`, testpeer.HTTP, "", "success"},
		{"path of the URL", `probe: http, http: {status: [404]}`, testpeer.HTTP, "http://%s/status/404", "success"},
		{"https by URL, nobody trusted", `probe: http`, testpeer.TLS13, "https://%s/", "certificate-error"},
		{"https by URL, its authority trusted", `probe: http, tls: {ca_file: ` + s.ca + `, server_name: sonde.test}`, testpeer.TLS13, "https://%s/", "success"},
		{"TLS for all", `probe: http, tls: {enabled: true, insecure: true}`, testpeer.TLS13, "", "success"},
		{"a version that is not there", `probe: http, tls: {enabled: true, insecure: true, min_version: tls13}`, testpeer.TLS12, "", "handshake-error"},
		{"tls", `probe: tls, tls: {insecure: true}`, testpeer.TLS12, "", "success"},
		{"tls by STARTTLS", `probe: tls, tls: {insecure: true, starttls: smtp}`, testpeer.StartTLSSMTP, "", "success"},
		{"smtp by STARTTLS", `probe: smtp, tls: {insecure: true, starttls: auto}`, testpeer.StartTLSSMTP, "", "success"},
		{"a client's certificate", `probe: tls, tls: {insecure: true, cert_file: ` + s.cert + `, key_file: ` + s.key + `}`, testpeer.TLSClientCert, "", "success"},
	})
}

// TestBlackboxAsks is the same of modules as blackbox_exporter has them.
func TestBlackboxAsks(t *testing.T) {
	s := newStage(t)
	const smtp = `query_response: [{expect: "^220"}, {send: "EHLO x\r"}, {expect: "^250-STARTTLS"}, {expect: "^250 "}, {send: "STARTTLS\r"}, {expect: "^220"}, {starttls: true}, {send: "EHLO y\r"}, {expect: "^250 (.*)", labels: [{name: last, value: "${1}"}]}]`
	s.ask(t, []asking{
		{"tcp prober", `prober: tcp`, testpeer.Sink, "", "success"},
		{"query_response", `prober: tcp, tcp: {query_response: [{send: hi}, {expect: "^h(.)"}]}`, testpeer.Echo, "", "success"},
		{"expect_bytes", `prober: tcp, tcp: {query_response: [{send: hi}, {expect_bytes: "hi\n"}]}`, testpeer.Echo, "", "success"},
		{"expects something else", `prober: tcp, timeout: 500ms, tcp: {query_response: [{send: hi}, {expect: "^x"}]}`, testpeer.Echo, "", "io-timeout"},
		{"starttls", `prober: tcp, tcp: {` + smtp + `, tls_config: {insecure_skip_verify: true}}`, testpeer.StartTLSSMTP, "", "success"},
		{"starttls, nobody trusted", `prober: tcp, tcp: {` + smtp + `}`, testpeer.StartTLSSMTP, "", "certificate-error"},
		{"starttls, its authority trusted", `prober: tcp, tcp: {` + smtp + `, tls_config: {ca_file: ` + s.ca + `, server_name: sonde.test}}`, testpeer.StartTLSSMTP, "", "success"},
		{"tls: true", `prober: tcp, tcp: {tls: true, tls_config: {insecure_skip_verify: true}}`, testpeer.TLS12, "", "success"},
		{"a maximum below the usual minimum", `prober: tcp, tcp: {tls: true, tls_config: {insecure_skip_verify: true, max_version: TLS11}}`, testpeer.TLS12, "", "handshake-error"},
		{"http prober", `prober: http`, testpeer.HTTP, "", "success"},
		{"http prober, a URL", `prober: http, http: {valid_status_codes: [404]}`, testpeer.HTTP, "http://%s/status/404", "success"},
		{"http prober, a path without a scheme", `prober: http, http: {valid_status_codes: [404]}`, testpeer.HTTP, "%s/status/404", "success"},
		{"http prober, not the status", `prober: http, http: {valid_status_codes: [404]}`, testpeer.HTTP, "", "application-error"},
		{"http prober, https", `prober: http, http: {fail_if_not_ssl: true, tls_config: {insecure_skip_verify: true}}`, testpeer.TLS13, "https://%s", "success"},
		{"http prober, the name by its Host", `prober: http, http: {headers: {Host: "sonde.test:1"}, tls_config: {ca_file: ` + s.ca + `}}`, testpeer.TLS13, "https://%s", "success"},
		{"http prober, another name", `prober: http, http: {headers: {Host: "sonde.example"}, tls_config: {ca_file: ` + s.ca + `}}`, testpeer.TLS13, "https://%s", "certificate-error"},
		{"http prober, not over TLS", `prober: http, http: {fail_if_not_ssl: true}`, testpeer.HTTP, "", "application-error"},
		{"http prober, a body", `prober: http, http: {fail_if_body_matches_regexp: ["."]}`, testpeer.HTTP, "", "application-error"},
	})
}

func limit(m *modules.Module) time.Duration {
	if m.Timeout > 0 {
		return m.Timeout
	}
	return time.Minute
}
