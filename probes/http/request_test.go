package http

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/probes"
	"sonde/target"
)

func TestRequest(t *testing.T) {
	const common = "User-Agent: sonde\r\nAccept: */*\r\nConnection: close\r\n"
	addr := netip.MustParseAddr
	for _, tc := range []struct {
		name   string
		o      probes.HTTPOptions
		target target.Target
		want   string
	}{
		{"domain", probes.HTTPOptions{}, target.Target{Addr: addr("192.0.2.1"), Port: 80, Domain: "example.com"},
			"GET / HTTP/1.1\r\nHost: example.com\r\n" + common},
		{"address and port", probes.HTTPOptions{}, target.Target{Addr: addr("192.0.2.1"), Port: 8080},
			"GET / HTTP/1.1\r\nHost: 192.0.2.1:8080\r\n" + common},
		{"IPv6 with a zone", probes.HTTPOptions{}, target.Target{Addr: addr("fe80::1%eth0"), Port: 443, TLS: true},
			"GET / HTTP/1.1\r\nHost: [fe80::1]\r\n" + common},
		{"the other scheme's port", probes.HTTPOptions{}, target.Target{Addr: addr("192.0.2.1"), Port: 443},
			"GET / HTTP/1.1\r\nHost: 192.0.2.1:443\r\n" + common},
		{"and the other way round", probes.HTTPOptions{}, target.Target{Addr: addr("192.0.2.1"), Port: 80, TLS: true},
			"GET / HTTP/1.1\r\nHost: 192.0.2.1:80\r\n" + common},
		{"IPv6 as the name", probes.HTTPOptions{}, target.Target{Addr: addr("::1"), Port: 81, Domain: "::1"},
			"GET / HTTP/1.1\r\nHost: [::1]:81\r\n" + common},
		{"path of the URL", probes.HTTPOptions{}, target.Target{Addr: addr("192.0.2.1"), Port: 80, Path: "/health?x=1"},
			"GET /health?x=1 HTTP/1.1\r\nHost: 192.0.2.1\r\n" + common},
		{"options", probes.HTTPOptions{Method: "HEAD", Host: "a.test:1", Path: "/p", Headers: []string{"X-A: 1", "X-A:2\t"}}, target.Target{Addr: addr("192.0.2.1"), Port: 80, Path: "/q"},
			"HEAD /p HTTP/1.1\r\nHost: a.test:1\r\n" + common + "X-A: 1\r\nX-A: 2\r\n"},
		{"fields that replace ours", probes.HTTPOptions{Headers: []string{"user-agent: me", "HOST: other"}}, target.Target{Addr: addr("192.0.2.1"), Port: 80},
			"GET / HTTP/1.1\r\nAccept: */*\r\nConnection: close\r\nuser-agent: me\r\nHOST: other\r\n"},
		{"server's options", probes.HTTPOptions{Method: "OPTIONS", Path: "*"}, target.Target{Addr: addr("192.0.2.1"), Port: 80},
			"OPTIONS * HTTP/1.1\r\nHost: 192.0.2.1\r\n" + common},
		{"injection by a target's path", probes.HTTPOptions{}, target.Target{Addr: addr("192.0.2.1"), Port: 80, Path: "/ HTTP/1.1\r\nX: \x00#é"},
			"GET /%20HTTP/1.1%0D%0AX:%20%00%23%C3%A9 HTTP/1.1\r\nHost: 192.0.2.1\r\n" + common},
		{"path without a slash", probes.HTTPOptions{}, target.Target{Addr: addr("192.0.2.1"), Port: 80, Path: "?x"},
			"GET /?x HTTP/1.1\r\nHost: 192.0.2.1\r\n" + common},
		{"injection by a target's name", probes.HTTPOptions{}, target.Target{Addr: addr("192.0.2.1"), Port: 80, Domain: "a\r\nX: y"},
			"GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n" + common},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := Probe{}.Configure(probes.Options{HTTP: tc.o})
			if err != nil {
				t.Fatal(err)
			}
			got := string(p.(Probe).appendRequest(nil, &tc.target))
			if diff := cmp.Diff(tc.want+"\r\n", got); diff != "" {
				t.Errorf("request differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConfigureRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		o    probes.Options
		flag string
	}{
		{"line break in a value", probes.Options{HTTP: probes.HTTPOptions{Headers: []string{"X: a\r\nY: b"}}}, "--http-header"},
		{"LF in a value", probes.Options{HTTP: probes.HTTPOptions{Headers: []string{"X: a\nY: b"}}}, "--http-header"},
		{"NUL in a value", probes.Options{HTTP: probes.HTTPOptions{Headers: []string{"X: \x00"}}}, "--http-header"},
		{"line break in a name", probes.Options{HTTP: probes.HTTPOptions{Headers: []string{"X\r\nY: b"}}}, "--http-header"},
		{"space in a name", probes.Options{HTTP: probes.HTTPOptions{Headers: []string{"X : b"}}}, "--http-header"},
		{"no name", probes.Options{HTTP: probes.HTTPOptions{Headers: []string{": b"}}}, "--http-header"},
		{"no colon", probes.Options{HTTP: probes.HTTPOptions{Headers: []string{"X"}}}, "--http-header"},
		{"length of a body that is not sent", probes.Options{HTTP: probes.HTTPOptions{Headers: []string{"content-length: 5"}}}, "--http-header"},
		{"line break in the path", probes.Options{HTTP: probes.HTTPOptions{Path: "/\r\nX: y"}}, "--http-path"},
		{"space in the path", probes.Options{HTTP: probes.HTTPOptions{Path: "/a b"}}, "--http-path"},
		{"fragment in the path", probes.Options{HTTP: probes.HTTPOptions{Path: "/#a"}}, "--http-path"},
		{"path without a slash", probes.Options{HTTP: probes.HTTPOptions{Path: "a"}}, "--http-path"},
		{"star without OPTIONS", probes.Options{HTTP: probes.HTTPOptions{Path: "*"}}, "--http-path"},
		{"line break in the host", probes.Options{HTTP: probes.HTTPOptions{Host: "a\r\nX: y"}}, "--http-host"},
		{"URL as the host", probes.Options{HTTP: probes.HTTPOptions{Host: "http://a"}}, "--http-host"},
		{"name beyond ASCII", probes.Options{HTTP: probes.HTTPOptions{Host: "é.test"}}, "--http-host"},
		{"line break in the method", probes.Options{HTTP: probes.HTTPOptions{Method: "GET / HTTP/1.1\r\n"}}, "--http-method"},
		{"tunnel", probes.Options{HTTP: probes.HTTPOptions{Method: "CONNECT"}}, "--http-method"},
		{"status of 99", probes.Options{HTTP: probes.HTTPOptions{Status: []probes.StatusRange{{From: 99, To: 200}}}}, "--http-status"},
		{"status of 1000", probes.Options{HTTP: probes.HTTPOptions{Status: []probes.StatusRange{{From: 200, To: 1000}}}}, "--http-status"},
		{"status range backwards", probes.Options{HTTP: probes.HTTPOptions{Status: []probes.StatusRange{{From: 300, To: 200}}}}, "--http-status"},
		{"negative limit", probes.Options{ReadBytes: -1}, "--read-bytes"},
		{"limit above the buffer", probes.Options{ReadBytes: maxBody + 1}, "--read-bytes"},
		{"body of a HEAD", probes.Options{Expect: regexp.MustCompile("x"), HTTP: probes.HTTPOptions{Method: "HEAD"}}, "--expect"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := Probe{}.Configure(tc.o)
			if err == nil {
				t.Fatalf("got %+v, want an error", p)
			}
			if !strings.HasPrefix(err.Error(), tc.flag+": ") || strings.ContainsAny(err.Error(), "\r\n\x00") {
				t.Errorf("got %q, want a line that begins with %s", err, tc.flag)
			}
		})
	}
}

// TestConfigureCopies changes the options after the fact.
func TestConfigureCopies(t *testing.T) {
	status := []probes.StatusRange{{From: 200, To: 200}}
	p, err := Probe{}.Configure(probes.Options{HTTP: probes.HTTPOptions{Status: status}})
	if err != nil {
		t.Fatal(err)
	}
	status[0].To = 599
	if p.(Probe).wants(500) {
		t.Error("the probe shares the caller's slice")
	}
}

func BenchmarkRequest(b *testing.B) {
	t := &target.Target{Addr: netip.MustParseAddr("192.0.2.1"), Port: 80, Domain: "example.com"}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = Probe{}.appendRequest(buf[:0], t)
	}
}
