package modules_test

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sonde/watch/modules"
	"sonde/watch/runner"
)

// TestTLS: what a tls_config says holds for the servers that it is about.
func TestTLS(t *testing.T) {
	r := asker(t)
	ask := func(m *modules.Module, url string) string {
		t.Helper()
		to, err := m.Target(url)
		if err != nil {
			t.Fatal(err)
		}
		res, err := r.Ask(t.Context(), runner.Question{Target: to, Module: m, Timeout: limit(m)})
		if err != nil {
			t.Fatal(err)
		}
		return res.Status.String()
	}
	page := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	secure := httptest.NewTLSServer(page) // its certificate is for 127.0.0.1
	t.Cleanup(secure.Close)
	ca := write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	leads := httptest.NewServer(http.RedirectHandler(secure.URL, http.StatusFound))
	t.Cleanup(leads.Close)
	m := compile(t, "prober: http, http: {preferred_ip_protocol: ip4, tls_config: {ca_file: "+ca+", server_name: other.example}}")
	if got := ask(m, secure.URL); got != "certificate-error" {
		t.Errorf("asked by another name: got %s", got)
	}
	if got := ask(m, strings.Replace(leads.URL, "127.0.0.1", "localhost", 1)); got != "success" {
		t.Errorf("a redirect leads to a server that the name is not of: got %s, want success", got)
	}

	old := httptest.NewUnstartedServer(page)
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of the handshakes that it refuses
	old.StartTLS()
	t.Cleanup(old.Close)
	for config, want := range map[string]string{"": "handshake-error", ", min_version: TLS10": "success", ", max_version: TLS11": "success"} {
		if got := ask(compile(t, "prober: http, http: {tls_config: {insecure_skip_verify: true"+config+"}}"), old.URL); got != want {
			t.Errorf("TLS 1.1 with %q: got %s, want %s", config, got, want)
		}
	}
}
