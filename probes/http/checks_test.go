package http

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/probes"
	"sonde/protocol"
	"sonde/target"
)

func TestCheckedRequest(t *testing.T) {
	const open, closed = "Host: example.com\r\nUser-Agent: sonde\r\nConnection: close\r\n", "\r\n"
	for _, tc := range []struct {
		name   string
		checks Checks
		path   string
		want   string
	}{
		{"plain", Checks{}, "", "GET / HTTP/1.1\r\n" + open + closed},
		{"path", Checks{}, "/a b?c", "GET /a%20b?c HTTP/1.1\r\n" + open + closed},
		{"fields in order", Checks{Fields: []Field{{"X-Z", "1"}, {"HOST", "a.test:1"}, {"X-A", "2"}, {"user-agent", "me"}, {"X-Z", "3"}}}, "",
			"GET / HTTP/1.1\r\nHost: a.test:1\r\nuser-agent: me\r\nConnection: close\r\nX-Z: 1\r\nX-A: 2\r\nX-Z: 3\r\n" + closed},
		{"body", Checks{Method: "PUT", Body: []byte("a=b")}, "", "PUT / HTTP/1.1\r\n" + open + "Content-Length: 3\r\n" + closed + "a=b"},
		{"body of a GET", Checks{Body: []byte("a=b")}, "", "GET / HTTP/1.1\r\n" + open + "Content-Length: 3\r\n" + closed + "a=b"},
		{"a body that lacks", Checks{Method: "POST"}, "", "POST / HTTP/1.1\r\n" + open + "Content-Length: 0\r\n" + closed},
		{"no body", Checks{Method: "DELETE"}, "", "DELETE / HTTP/1.1\r\n" + open + closed},
		{"basic", Checks{BasicAuth: &Login{"user", "p:w"}}, "", "GET / HTTP/1.1\r\n" + open + "Authorization: Basic dXNlcjpwOnc=\r\n" + closed},
		{"bearer", Checks{Bearer: "tok"}, "", "GET / HTTP/1.1\r\n" + open + "Authorization: Bearer tok\r\n" + closed},
		{"a field in place of a password", Checks{BasicAuth: &Login{"user", "pw"}, Fields: []Field{{"authorization", "x"}}}, "", "GET / HTTP/1.1\r\n" + open + "authorization: x\r\n" + closed},
		{"what follows from the body", Checks{Fields: []Field{{"content-length", "5"}, {"Transfer-Encoding", "chunked"}, {"trailer", "x"}}}, "", "GET / HTTP/1.1\r\n" + open + closed},
		{"upgrade", Checks{Fields: []Field{{"connection", "Upgrade"}, {"Upgrade", "websocket"}}}, "",
			"GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: sonde\r\nconnection: Upgrade\r\nUpgrade: websocket\r\n" + closed},
		{"compression sends nothing", Checks{Compression: "gzip"}, "", "GET / HTTP/1.1\r\n" + open + closed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			at := *web
			at.Path = tc.path
			var c protocol.Conclusion
			if diff := cmp.Diff(tc.want, play(newChecked(t, tc.checks).Exchange(&at), "", protocol.EndOfStream, &c)); diff != "" {
				t.Errorf("request differs (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCheckedOverTLS asks a target over TLS and one in the clear with the same probe.
func TestCheckedOverTLS(t *testing.T) {
	var under []bool
	p, err := NewChecked(Checks{Secure: func(p probes.Probe, elsewhere bool) probes.Probe {
		under = append(under, elsewhere)
		return refuser{p}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if p.Exchange(web) == nil {
		t.Error("in the clear: TLS is under it")
	}
	if p.Exchange(&target.Target{Addr: netip.MustParseAddr("192.0.2.1"), Port: 443, TLS: true}) != nil {
		t.Error("over TLS: no TLS is under it")
	}
	if len(under) != 1 || under[0] {
		t.Errorf("got TLS put under it with %v, want once, for the host itself", under)
	}
}

// refuser has no exchange.
type refuser struct{ probes.Probe }

func (refuser) Exchange(*target.Target) protocol.Exchange { return nil }

func TestChecksRefused(t *testing.T) {
	field := func(name, value string) Checks { return Checks{Fields: []Field{{name, value}}} }
	encoding := func(coding, accepted string) Checks {
		return Checks{Compression: coding, Fields: []Field{{"accept-encoding", accepted}}}
	}
	for _, tc := range []struct {
		name   string
		checks Checks
		option string // empty: taken
	}{
		{"tunnel", Checks{Method: "CONNECT"}, "method"},
		{"method of two words", Checks{Method: "GET /"}, "method"},
		{"field without a name", field("", "x"), "headers"},
		{"field of two words", field("X A", "x"), "headers"},
		{"colon in a name", field("X:", "x"), "headers"},
		{"line break in a value", field("X", "a\r\nY: b"), "headers"},
		{"URL as the host", field("Host", "http://a"), "headers"},
		{"empty host", field("Host", ""), "headers"},
		{"two credentials", Checks{BasicAuth: &Login{"a", "b"}, Bearer: "x"}, "basic_auth"},
		{"colon in a login", Checks{BasicAuth: &Login{"a:b", "c"}}, "basic_auth"},
		{"line break in a token", Checks{Bearer: "x\n"}, "authorization"},
		{"status of 99", Checks{Status: []probes.StatusRange{{From: 99, To: 99}}}, "valid_status_codes"},
		{"only HTTP/2", Checks{Versions: []string{"HTTP/2.0"}}, "valid_http_versions"},
		{"HTTP/2 too", Checks{Versions: []string{"HTTP/2.0", "HTTP/1.1"}}, ""},
		{"with and without TLS", Checks{RefuseTLS: true, RequireTLS: true}, "fail_if_ssl"},
		{"brotli", Checks{Compression: "br"}, "compression"},
		{"a coding that is not asked for", encoding("gzip", "br, identity"), "compression"},
		{"a coding that is turned down", encoding("gzip", "gzip;q=0.0, *"), "compression"},
		{"none but what is named", encoding("identity", "gzip, *;q=0"), "compression"},
		{"a coding that is asked for", encoding("GZIP", "br; q=1.0, Gzip; q=0.5"), ""},
		{"any coding", encoding("deflate", "gzip, *"), ""},
		{"no coding", encoding("identity", "gzip"), ""},
		{"negative limit", Checks{BodyLimit: -1}, "body_size_limit"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.checks.Secure = secured
			_, err := NewChecked(tc.checks)
			switch {
			case tc.option == "" && err != nil:
				t.Errorf("got %v, want none", err)
			case tc.option != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.option+": ") || strings.ContainsAny(err.Error(), "\r\n\x00")):
				t.Errorf("got %v, want a line that begins with %s", err, tc.option)
			}
		})
	}
	if _, err := NewChecked(Checks{}); err == nil {
		t.Error("without Secure: got no error")
	}
}

func BenchmarkChecked(b *testing.B) {
	p, err := NewChecked(Checks{Secure: secured})
	if err != nil {
		b.Fatal(err)
	}
	benchmarkProbe(b, p)
}

// BenchmarkScanned is the probe of a scan, which looks at the head only.
func BenchmarkScanned(b *testing.B) { benchmarkProbe(b, Probe{}) }

func benchmarkProbe(b *testing.B, p probes.Probe) {
	says := response("200 OK", "Server: nginx\r\nDate: Fri, 01 Jan 2021 00:00:00 GMT\r\n", strings.Repeat("x", 600))
	buf := []byte(says)
	b.ReportAllocs()
	for b.Loop() {
		e := p.Exchange(web)
		e.Begin()
		for rest := buf; len(rest) > 0; {
			f, n, err := e.Parser().ParseFrame(rest)
			if err != nil {
				b.Fatal(err)
			}
			if rest = rest[n:]; e.OnFrame(f).Then == protocol.Done {
				break
			}
		}
		e.Conclusion()
	}
}
