package web_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sonde/internal/kernel/regular"
	"sonde/internal/testcert"
	"sonde/watch/web"
)

// ask asks h without a network.
func ask(h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func handler(f *fake, opt web.Options) http.Handler {
	opt.Clock = f.clock
	return web.New(f, opt).Handler()
}

func TestAdmin(t *testing.T) {
	for _, c := range []struct {
		name         string
		ready, wrong error
		opt          web.Options
		method, path string
		code         int
		says         string
	}{
		{name: "healthy", ready: errNotYet, method: "GET", path: "/-/healthy", code: 200, says: "healthy"},
		{name: "ready", method: "GET", path: "/-/ready", code: 200, says: "ready"},
		{name: "not ready", ready: errNotYet, method: "GET", path: "/-/ready", code: 503, says: "no configuration has run yet"},
		{name: "reload", opt: web.Options{Reload: true}, method: "POST", path: "/-/reload", code: 200, says: "reloaded"},
		{name: "reload by PUT", opt: web.Options{Reload: true}, method: "PUT", path: "/-/reload", code: 200, says: "reloaded"},
		{name: "reload of a bad file", opt: web.Options{Reload: true}, wrong: errors.New("watch.yml:3:1: no such key"), method: "POST", path: "/-/reload", code: 500, says: "watch.yml:3:1: no such key"},
		{name: "reload that is not allowed", method: "POST", path: "/-/reload", code: 403, says: "not allowed"},
		{name: "reload by GET", opt: web.Options{Reload: true}, method: "GET", path: "/-/reload", code: 405},
		{name: "pprof", opt: web.Options{Pprof: true}, method: "GET", path: "/debug/pprof/", code: 200, says: "goroutine"},
		{name: "pprof that nobody asked for", method: "GET", path: "/debug/pprof/", code: 404},
		{name: "nothing", method: "GET", path: "/wp-login.php", code: 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, 0)
			f.ready, f.reload = c.ready, c.wrong
			w := ask(handler(f, c.opt), c.method, c.path)
			if w.Code != c.code || !strings.Contains(w.Body.String(), c.says) {
				t.Errorf("got %d, %q, want %d, %q", w.Code, w.Body, c.code, c.says)
			}
		})
	}
}

// TestReloadAbandoned: a reload whose asker has left is brought to its end.
func TestReloadAbandoned(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	leave()
	w := httptest.NewRecorder()
	handler(newFake(t, 0), web.Options{Reload: true}).ServeHTTP(w, httptest.NewRequestWithContext(ctx, "POST", "/-/reload", nil))
	if w.Code != 200 {
		t.Errorf("got %d, %q: the backend was told to give up", w.Code, w.Body)
	}
}

// patient is a connection that notes how long it may take the answer.
type patient struct {
	*httptest.ResponseRecorder
	limit time.Duration
}

func (p *patient) SetWriteDeadline(at time.Time) error {
	p.limit = time.Until(at)
	return nil
}

// TestProfileHasTime: the answer that pprof gives after its usual 30 s can still be sent.
func TestProfileHasTime(t *testing.T) {
	h := handler(newFake(t, 0), web.Options{Pprof: true})
	for path, least := range map[string]time.Duration{"/debug/pprof/trace?seconds=0.001": 5 * time.Minute, "/-/healthy": 0} {
		w := &patient{ResponseRecorder: httptest.NewRecorder()}
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != 200 || w.limit < least || w.limit == 0 {
			t.Errorf("%s: got %d, a limit of %v, want at least %v", path, w.Code, w.limit, least)
		}
	}
}

func TestGuard(t *testing.T) {
	f := newFake(t, 0)
	f.probe = func(*web.ProbeRequest) (*web.ProbeAnswer, error) { return &web.ProbeAnswer{}, nil }
	url, _ := serve(t, f, web.Options{Reload: true})
	for _, c := range []struct {
		name, method, path string
		header             []string
		code               int
	}{
		{"its address", "GET", "/", nil, 200},
		{"localhost, forwarded", "GET", "/", []string{"Host", "localhost:8080"}, 200},
		{"IPv6 loopback", "GET", "/", []string{"Host", "[::1]"}, 200},
		{"a name that was made to point here", "GET", "/api/v1/targets", []string{"Host", "rebind.example.com:9733"}, 421},
		{"a name that begins as ours", "GET", "/", []string{"Host", "127.0.0.1.example.com"}, 421},
		{"a probe by another site's page", "GET", "/probe?target=a", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a probe by our page", "GET", "/probe?target=a", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"a link from another site", "GET", "/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 200},
		{"a reload by another site's page", "POST", "/-/reload", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a reload by another site's page in an old browser", "POST", "/-/reload", []string{"Origin", "https://example.com"}, 403},
		{"a reload by curl", "POST", "/-/reload", nil, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), c.method, url+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i+1 < len(c.header); i += 2 {
				r.Header.Set(c.header[i], c.header[i+1])
			}
			r.Host = r.Header.Get("Host")
			w, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Body.Close()
			if w.StatusCode != c.code {
				t.Errorf("got %d, want %d", w.StatusCode, c.code)
			}
			for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options"} {
				if w.Header.Get(name) == "" {
					t.Errorf("no header %s", name)
				}
			}
			if w.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("another origin may read it")
			}
		})
	}
	t.Run("off loopback any name will do", func(t *testing.T) {
		if w := ask(handler(f, web.Options{}), "GET", "/", "Host", "sonde.example.com"); w.Code != 200 {
			t.Errorf("got %d, want 200", w.Code)
		}
	})
}

// TestPageFiles asks for what the page is made of, and again for what has not changed.
func TestPageFiles(t *testing.T) {
	h := handler(newFake(t, 0), web.Options{})
	w := ask(h, "GET", "/")
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Fatalf("/: got %d, %s", w.Code, w.Header().Get("Content-Type"))
	}
	if strings.Contains(w.Body.String(), "//") && strings.Contains(w.Body.String(), "https://") {
		t.Error("the page names another server")
	}
	for path, kind := range map[string]string{"/main.js": "text/javascript", "/page.css": "text/css", "/icon.svg": "image/svg+xml"} {
		w := ask(h, "GET", path)
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) {
			t.Errorf("%s: got %d, %s", path, w.Code, w.Header().Get("Content-Type"))
		}
		if again := ask(h, "GET", path, "If-None-Match", w.Header().Get("Etag")); again.Code != 304 || again.Body.Len() > 0 {
			t.Errorf("%s again: got %d with %d bytes, want 304", path, again.Code, again.Body.Len())
		}
	}
}

// webConfig writes a configuration as exporter-toolkit has it: TLS by an authority, which issued a client's certificate, and a password.
func webConfig(t *testing.T) (file string, authority *testcert.Authority, client tls.Certificate) {
	t.Helper()
	var err error
	authority, err = testcert.NewAuthority("web", newFake(t, 0).start)
	if err != nil {
		t.Fatal(err)
	}
	server, err := authority.Issue(testcert.Leaf{Names: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	client, err = authority.Issue(testcert.Leaf{Names: []string{"prometheus"}, Client: true})
	if err != nil {
		t.Fatal(err)
	}
	key, err := testcert.KeyPEM(server)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"cert.pem": testcert.CertificatePEM(server.Certificate...), "key.pem": key, "ca.pem": authority.PEM(),
		// The password is "test" (bcrypt, cost 4).
		"web.yml": []byte(`tls_server_config:
  cert_file: cert.pem
  key_file: key.pem
  client_ca_file: ca.pem
  client_auth_type: RequireAndVerifyClientCert
basic_auth_users:
  operator: $2a$04$Yx/2i6xZylE7wIA5Z7EwUOqtUCBVfDHjU.ffgxsrXgAYlNgVziW6K
` + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "web.yml"), authority, client
}

// TestWebConfig serves with exporter-toolkit's configuration: TLS, client certificates, a password.
func TestWebConfig(t *testing.T) {
	file, authority, client := webConfig(t)
	if err := web.CheckConfig(file); err != nil {
		t.Fatal(err)
	}
	if !web.HasTLS(file) || web.HasTLS("") || web.HasTLS(filepath.Join(filepath.Dir(file), "ca.pem")) {
		t.Error("TLS is told where it is not spoken, or not where it is")
	}
	url, _ := serve(t, newFake(t, 10), web.Options{ConfigFile: file})
	url = strings.Replace(url, "http:", "https:", 1)
	get := func(certificates []tls.Certificate, user, password string) (int, error) {
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority.Pool(), Certificates: certificates}}}
		defer c.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), "GET", url+"/api/v1/targets", nil)
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			r.SetBasicAuth(user, password)
		}
		w, err := c.Do(r)
		if err != nil {
			return 0, err
		}
		return w.StatusCode, w.Body.Close()
	}
	if code, err := get([]tls.Certificate{client}, "operator", "test"); code != 200 || err != nil {
		t.Errorf("with a certificate and the password: got %d, %v, want 200", code, err)
	}
	if code, err := get([]tls.Certificate{client}, "operator", "guess"); code != 401 || err != nil {
		t.Errorf("with a wrong password: got %d, %v, want 401", code, err)
	}
	if code, err := get([]tls.Certificate{client}, "", ""); code != 401 || err != nil {
		t.Errorf("without a password: got %d, %v, want 401", code, err)
	}
	if code, err := get(nil, "operator", "test"); err == nil {
		t.Errorf("without a certificate: got %d, want an error of TLS", code)
	}
}

// TestBadWebConfig is of a file that Serve can't serve by.
func TestBadWebConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(file, []byte("basic_auth_user:\n  a: b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := web.CheckConfig(file); err == nil || !strings.Contains(err.Error(), "basic_auth_user") {
		t.Errorf("CheckConfig: got %v, want an error that names the key", err)
	}
	if err := web.CheckConfig("/dev/null"); !errors.Is(err, regular.ErrIrregular) {
		t.Errorf("CheckConfig of a device: got %v", err)
	}
	f := newFake(t, 0)
	l := httptest.NewUnstartedServer(nil).Listener
	if err := web.New(f, web.Options{ConfigFile: file, Clock: f.clock}).Serve(t.Context(), l); err == nil {
		t.Error("Serve: got nil, want an error")
	}
}

// TestLogSaysItOnce has the same thing go wrong many times.
func TestLogSaysItOnce(t *testing.T) {
	var log bytes.Buffer
	f := newFake(t, 0)
	f.metrics = func(context.Context, io.Writer) error { return errors.New("the table is upside down") }
	h := handler(f, web.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	for range 50 {
		if w := ask(h, "GET", "/metrics"); w.Code != 500 || !strings.Contains(w.Body.String(), "upside down") {
			t.Fatalf("got %d, %q, want 500 and why", w.Code, w.Body)
		}
	}
	if n := strings.Count(log.String(), "upside down"); n != 1 {
		t.Errorf("the log says it %d times, want once:\n%s", n, &log)
	}
}

// decode reads an answer's JSON.
func decode[T any](t *testing.T, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if w.Code != 200 {
		t.Fatalf("got %d: %s", w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v: %.200s", err, w.Body)
	}
	return v
}
