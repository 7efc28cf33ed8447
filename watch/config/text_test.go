package config

import (
	"strings"
	"testing"
)

// TestText: what is written of a module reads as the same module, but for its secrets, which are not there.
func TestText(t *testing.T) {
	const file = `
modules:
  "a b": {probe: banner, send: hunter2, expect: '^\+"PONG"', read_bytes: 100, frame: "delim:\\r\\n", family: ip4, timeout: 1m,
    tls: {enabled: true, groups: [x25519, p256], min_version: tls12, alpn: [a, b], insecure: yes, ca_file: /x, server_name: 12}}
  web: {probe: http, fallback: t, http: {status: [200, 300-302], headers: {X-A: hunter2, "404": hunter2}, method: HEAD}}
  t: {prober: tcp, tcp: {ip_protocol_fallback: false, preferred_ip_protocol: ip4, tls: on, query_response: [{}, {expect: '^220', labels: [{name: a, value: "${1}"}]}, {send: hunter2, starttls: true}]}}
  h:
    prober: http
    http: {follow_redirects: false, fail_if_header_matches: [{header: A, regexp: b, allow_missing: true}], body_size_limit: 5KB,
      valid_status_codes: [200, 404], basic_auth: {username: u, password: hunter2}, http_headers: {X: {secrets: [hunter2], values: [v]}}, body: hunter2}
`
	c, err := Parse("f.yml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	text := "modules:\n"
	for i := range c.Modules {
		for line := range strings.Lines(c.Modules[i].Text()) {
			text += "  " + line
		}
	}
	if strings.Contains(text, "hunter2") {
		t.Errorf("a secret is told:\n%s", text)
	}
	again, err := Parse("again.yml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	was, err := Parse("f.yml", []byte(strings.ReplaceAll(file, "hunter2", `"<secret>"`)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range was.Modules {
		if got, want := again.Modules[i].Fingerprint, was.Modules[i].Fingerprint; got != want {
			t.Errorf("%s is another module as text:\n%s", was.Modules[i].Name, was.Modules[i].Text())
		}
	}
}
