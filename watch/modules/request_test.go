package modules_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sonde/watch/runner"
)

// listener is an HTTP server that keeps what it hears.
type listener struct {
	url    string
	heard  chan *http.Request
	bodies chan string
}

func listen(t *testing.T) *listener {
	l := &listener{heard: make(chan *http.Request, 10), bodies: make(chan string, 10)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		l.heard <- q
		l.bodies <- string(body)
		switch q.URL.Path {
		case "/moved":
			http.Redirect(w, q, "/", http.StatusFound)
		case "/packed":
			z := gzip.NewWriter(w)
			fmt.Fprint(z, strings.Repeat("plain ", 1000))
			z.Close()
		default:
			w.Header().Set("X-Kind", "good")
			fmt.Fprint(w, "hello")
		}
	}))
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

// request is what a module of blackbox_exporter has of HTTP, and what comes of it.
type request struct {
	http, path string
	want       string // the status
	field      string // "Name: value" that the server must hear
	body       string
}

func (l *listener) ask(t *testing.T, all []request) {
	r := asker(t)
	for _, tt := range all {
		m := compile(t, "prober: http, http: {"+tt.http+"}")
		if m.Disabled != "" {
			t.Errorf("%s: %s", tt.http, m.Disabled)
			continue
		}
		to, err := m.Target(l.url + tt.path)
		if err != nil {
			t.Fatal(err)
		}
		res, err := r.Ask(t.Context(), runner.Question{Target: to, Module: m, Timeout: limit(m)})
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Status.String(); got != tt.want {
			t.Errorf("%s, %s: got %s (%s), want %s", tt.http, tt.path, got, res.Error, tt.want)
		}
		q, body := <-l.heard, <-l.bodies
		if name, value, _ := strings.Cut(tt.field, ": "); q.Header.Get(name) != value {
			t.Errorf("%s: %s is %q, want %q", tt.http, name, q.Header.Get(name), value)
		}
		if body != tt.body {
			t.Errorf("%s: the body is %q, want %q", tt.http, body, tt.body)
		}
		for len(l.heard) > 0 { // of hops
			<-l.heard
			<-l.bodies
		}
	}
}

// TestRequests: what a module says of the request, the server hears.
func TestRequests(t *testing.T) {
	secret := write(t, "secret", " hunter2\n")
	listen(t).ask(t, []request{
		{http: "headers: {X-A: b}", want: "success", field: "X-A: b"},
		{http: "http_headers: {X-A: {values: [a, b], secrets: [c]}}", want: "success", field: "X-A: c"},
		{http: "http_headers: {X-A: {values: [a, b]}}", want: "success", field: "X-A: b"},
		{http: "http_headers: {X-A: {values: [a], files: [" + secret + "]}}", want: "success", field: "X-A: hunter2"},
		{http: "basic_auth: {username: user, password_file: " + secret + "}", want: "success", field: "Authorization: Basic dXNlcjpodW50ZXIy"},
		{http: "basic_auth: {username_file: " + secret + ", password: x}", want: "success", field: "Authorization: Basic aHVudGVyMjp4"},
		{http: "bearer_token: x", want: "success", field: "Authorization: Bearer x"},
		{http: "bearer_token_file: " + secret, want: "success", field: "Authorization: Bearer hunter2"},
		{http: "authorization: {credentials_file: " + secret + "}", want: "success", field: "Authorization: Bearer hunter2"},
		{http: "authorization: {type: Token, credentials: x}", want: "success", field: "Authorization: Token x"},
		{http: "method: POST, body: text", want: "success", body: "text"},
		{http: "method: POST, body_file: " + secret, want: "success", body: " hunter2\n"},
	})
}

// TestResponses: what it says of the response is what the response is held against.
func TestResponses(t *testing.T) {
	listen(t).ask(t, []request{
		{path: "/moved", want: "success"},
		{http: "follow_redirects: false", path: "/moved", want: "application-error"},
		{http: "follow_redirects: false, valid_status_codes: [302]", path: "/moved", want: "success"},
		{http: "fail_if_body_matches_regexp: [hello]", want: "application-error"},
		{http: "fail_if_body_not_matches_regexp: [hello]", want: "success"},
		{http: "fail_if_header_matches: [{header: X-Kind, regexp: good}]", want: "application-error"},
		{http: "fail_if_header_not_matches: [{header: X-Kind, regexp: good}]", want: "success"},
		{http: "fail_if_header_not_matches: [{header: X-None, regexp: x}]", want: "application-error"},
		{http: "fail_if_header_not_matches: [{header: X-None, regexp: x, allow_missing: true}]", want: "success"},
		{http: "valid_http_versions: [HTTP/1.0]", want: "application-error"},
		{http: "compression: gzip, fail_if_body_not_matches_regexp: [plain]", path: "/packed", want: "success"},
		{http: "fail_if_body_not_matches_regexp: [plain plain]", path: "/packed", want: "application-error"},
		{http: "compression: gzip, body_size_limit: 1KB, fail_if_body_not_matches_regexp: [plain]", path: "/packed", want: "byte-limit"},
	})
}
