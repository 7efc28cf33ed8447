package http

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/probes"
	"sonde/protocol"
	"sonde/target"
)

// walk runs p at t, and what it leads to, as whoever runs probes does. serve answers the request of the n-th hop. It returns
// the last conclusion, and each request behind the place that it was sent to.
func walk(t *testing.T, p probes.Probe, at target.Target, serve func(n int) string) (c protocol.Conclusion, asked []string) {
	t.Helper()
	for n := 0; ; n++ {
		if n > 99 {
			t.Fatal("it leads on for ever")
		}
		place := fmt.Sprintf("%s %v %d", at.Domain, at.Addr, at.Port)
		if at.TLS {
			place += " tls"
		}
		if over, ok := p.(overTLS); ok && over.elsewhere {
			place += " elsewhere"
		}
		request := play(p.Exchange(&at), serve(n), protocol.EndOfStream, &c)
		asked = append(asked, place+"\n"+strings.TrimSuffix(strings.ReplaceAll(strings.Replace(request, "Connection: close\r\n", "", 1), "\r\n", "\n"), "\n"))
		next, probe, ok := follow(c)
		if !ok {
			return c, asked
		}
		if !next.Addr.IsValid() {
			next.Addr = netip.MustParseAddr("203.0.113.9") // resolved
		}
		at, p = next, probe
	}
}

func follow(c protocol.Conclusion) (target.Target, probes.Probe, bool) {
	f, ok := c.Finding.(probes.Follower)
	if !ok {
		return target.Target{}, nil, false
	}
	return f.Follow()
}

func redirect(status int, location string, fields ...string) string {
	return fmt.Sprintf("HTTP/1.1 %d x\r\nLocation: %s\r\n%sContent-Length: 0\r\n\r\n", status, location, strings.Join(append(fields, ""), "\r\n"))
}

func inTurn(responses ...string) func(int) string { return func(n int) string { return responses[n] } }

// requests are what walk should have seen.
func checkWalk(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests differ (-want +got):\n%s", diff)
	}
}

const (
	ours   = "User-Agent: sonde\n"
	here   = "example.com 192.0.2.1 80\n"
	there  = "other.test 203.0.113.9 80\n"
	landed = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
)

func TestFollow(t *testing.T) {
	c, asked := walk(t, newChecked(t, Checks{}), *web, inTurn(
		redirect(301, "/a/b?x=1#f"), redirect(302, "../c"), redirect(303, "https://example.com/d"), redirect(307, "//other.test:8443/e"), redirect(308, "http://[2001:db8::1]/f"), landed))
	checkWalk(t, asked,
		here+"GET / HTTP/1.1\nHost: example.com\n"+ours,
		here+"GET /a/b?x=1 HTTP/1.1\nHost: example.com\n"+ours+"Referer: http://example.com/\n",
		here+"GET /c HTTP/1.1\nHost: example.com\n"+ours+"Referer: http://example.com/a/b?x=1\n",
		"example.com 192.0.2.1 443 tls\nGET /d HTTP/1.1\nHost: example.com\n"+ours+"Referer: http://example.com/c\n",
		"other.test 203.0.113.9 8443 tls elsewhere\nGET /e HTTP/1.1\nHost: other.test:8443\n"+ours+"Referer: https://example.com/d\n",
		" 2001:db8::1 80\nGET /f HTTP/1.1\nHost: [2001:db8::1]\n"+ours, // no Referer: it came over TLS
	)
	want := `{"status_code":200,"reason":"OK","version":"1.1","content_length":2,"body_bytes":2,"redirects":["http://example.com/a/b?x=1","http://example.com/c","https://example.com/d","https://other.test:8443/e","http://[2001:db8::1]/f"]}`
	if got := string(c.Finding.AppendJSON(nil)); c.Verdict != protocol.Success || got != want {
		t.Errorf("got %d, %s, want %s", c.Verdict, got, want)
	}
	if got, want := c.Finding.Brief(), "200 OK after 5 redirects"; got != want {
		t.Errorf("brief: got %q, want %q", got, want)
	}
	if f := figures(c); f.Redirects != 5 || f.StatusCode != 200 || f.TLS {
		t.Errorf("figures: got %+v", f)
	}
}

func figures(c protocol.Conclusion) probes.HTTPFigures {
	var f probes.Figures
	c.Finding.(probes.Measured).Figures(&f)
	return *f.HTTP
}

// TestFollowMethod has each status redirect each method with a body.
func TestFollowMethod(t *testing.T) {
	for _, tc := range []struct {
		status       int
		method, want string
		body         bool
	}{
		{301, "POST", "GET", false}, {302, "PUT", "GET", false}, {303, "DELETE", "GET", false}, {303, "HEAD", "HEAD", false}, {302, "GET", "GET", false},
		{307, "POST", "POST", true}, {308, "PATCH", "PATCH", true}, {307, "GET", "GET", true},
	} {
		p := newChecked(t, Checks{Method: tc.method, Body: []byte("a=b"), Fields: []Field{{"content-type", "text/x"}, {"X-A", "1"}}})
		_, asked := walk(t, p, *web, inTurn(redirect(tc.status, "/n"), landed))
		want := here + tc.want + " /n HTTP/1.1\nHost: example.com\n" + ours + "X-A: 1\nReferer: http://example.com/\n"
		if tc.body {
			want = here + tc.want + " /n HTTP/1.1\nHost: example.com\n" + ours + "content-type: text/x\nX-A: 1\nReferer: http://example.com/\nContent-Length: 3\n\na=b"
		}
		if len(asked) != 2 || asked[1] != want {
			t.Errorf("%d to %s: got %q, want %q", tc.status, tc.method, asked, want)
		}
	}
}

// TestBodyStaysAway has a body taken away and then kept: it does not come back.
func TestBodyStaysAway(t *testing.T) {
	p := newChecked(t, Checks{Method: "POST", Body: []byte("a=b"), Fields: []Field{{"Content-Type", "text/x"}}})
	_, asked := walk(t, p, *web, inTurn(redirect(303, "/n"), redirect(307, "/m"), landed))
	checkWalk(t, asked[2:], here+"GET /m HTTP/1.1\nHost: example.com\n"+ours+"Referer: http://example.com/n\n")
}

// TestSecretsStay has redirects lead to another host, and back: what is secret stays where it was meant to go.
func TestSecretsStay(t *testing.T) {
	secret := Checks{BasicAuth: &Login{"user", "pass"}, Fields: []Field{{"Cookie", "k=v"}, {"X-A", "1"}}}
	const told = ours + "X-A: 1\nAuthorization: Basic dXNlcjpwYXNz\nReferer: "
	for _, tc := range []struct{ name, location, place, want string }{
		{"same host", "/n", here + "GET /n HTTP/1.1\nHost: example.com\n", told + "http://example.com/\nCookie: k=v\n"},
		{"another port", "http://EXAMPLE.com:81/n", "example.com 192.0.2.1 81\nGET /n HTTP/1.1\nHost: example.com:81\n", told + "http://example.com/\nCookie: k=v\n"},
		{"subdomain", "http://a.example.com/n", "a.example.com 203.0.113.9 80\nGET /n HTTP/1.1\nHost: a.example.com\n", told + "http://example.com/\nCookie: k=v\n"},
		{"same host with another name", "http://a:b@example.com/n", here + "GET /n HTTP/1.1\nHost: example.com\n", told + "http://example.com/\nCookie: k=v\n"},
		{"zone that looks alike", "http://[::1%25.example.com]/n", " ::1%.example.com 80\nGET /n HTTP/1.1\nHost: [::1]\n", ours + "X-A: 1\nReferer: http://example.com/\n"},
		{"looks alike", "http://anexample.com/n", "anexample.com 203.0.113.9 80\nGET /n HTTP/1.1\nHost: anexample.com\n", ours + "X-A: 1\nReferer: http://example.com/\n"},
		{"another host", "http://other.test/n", there + "GET /n HTTP/1.1\nHost: other.test\n", ours + "X-A: 1\nReferer: http://example.com/\n"},
	} {
		_, asked := walk(t, newChecked(t, secret), *web, inTurn(redirect(302, tc.location), landed))
		if len(asked) != 2 || asked[1] != tc.place+tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, asked, tc.place+tc.want)
		}
	}
	_, asked := walk(t, newChecked(t, secret), *web, inTurn(redirect(302, "http://other.test/n"), redirect(302, "http://example.com/m"), landed))
	checkWalk(t, asked[2:], "example.com 203.0.113.9 80\nGET /m HTTP/1.1\nHost: example.com\n"+ours+"X-A: 1\nReferer: http://other.test/n\n")

	_, asked = walk(t, newChecked(t, Checks{Bearer: "tok"}), *web, inTurn(redirect(302, "/n"), redirect(302, "http://other.test/n"), landed))
	checkWalk(t, asked[1:], here+"GET /n HTTP/1.1\nHost: example.com\n"+ours+"Authorization: Bearer tok\nReferer: http://example.com/\n",
		there+"GET /n HTTP/1.1\nHost: other.test\n"+ours+"Referer: http://example.com/n\n")
}

// TestSecretsStayInTLS has a redirect of the same host lead out of TLS, and back: who answers in the clear may be anybody.
func TestSecretsStayInTLS(t *testing.T) {
	p := newChecked(t, Checks{Bearer: "tok", Fields: []Field{{"Cookie", "k=v"}, {"X-A", "1"}}})
	first := *web
	first.TLS, first.Port = true, 443
	_, asked := walk(t, p, first, inTurn(redirect(302, "/n"), redirect(302, "http://example.com/m"), redirect(302, "https://example.com/o"), landed))
	const told, secure = ours + "X-A: 1\n", "example.com 192.0.2.1 443 tls\n"
	checkWalk(t, asked[1:],
		secure+"GET /n HTTP/1.1\nHost: example.com\n"+told+"Authorization: Bearer tok\nReferer: https://example.com/\nCookie: k=v\n",
		here+"GET /m HTTP/1.1\nHost: example.com\n"+told,
		secure+"GET /o HTTP/1.1\nHost: example.com\n"+told+"Referer: http://example.com/m\n")
}

// TestLocationWithPassword has a redirect bring its own credentials, which are for that host and for nobody's eyes.
func TestLocationWithPassword(t *testing.T) {
	c, asked := walk(t, newChecked(t, Checks{}), *web, inTurn(redirect(302, "http://u:p@other.test/n"), redirect(302, "/m"), landed))
	checkWalk(t, asked[1:],
		there+"GET /n HTTP/1.1\nHost: other.test\n"+ours+"Authorization: Basic dTpw\nReferer: http://example.com/\n",
		there+"GET /m HTTP/1.1\nHost: other.test\n"+ours+"Authorization: Basic dTpw\nReferer: http://other.test/n\n")
	if text := string(c.Finding.AppendJSON(nil)); strings.Contains(text, ":p@") {
		t.Errorf("the password is in %s", text)
	}
}

func TestHostOverRedirects(t *testing.T) {
	p := newChecked(t, Checks{Fields: []Field{{"host", "a.test:81"}, {"User-Agent", "me"}}})
	_, asked := walk(t, p, *web, inTurn(redirect(302, "/n"), redirect(302, "//example.com/m"), landed))
	checkWalk(t, asked, here+"GET / HTTP/1.1\nHost: a.test:81\nUser-Agent: me\n",
		here+"GET /n HTTP/1.1\nHost: a.test:81\nUser-Agent: me\nReferer: http://example.com/\n",
		here+"GET /m HTTP/1.1\nHost: example.com\nUser-Agent: me\nReferer: http://example.com/n\n")
}

func TestRefererOfTheUser(t *testing.T) {
	p := newChecked(t, Checks{Fields: []Field{{"referer", "http://mine/"}}})
	_, asked := walk(t, p, *web, inTurn(redirect(302, "/n"), landed))
	checkWalk(t, asked[1:], here+"GET /n HTTP/1.1\nHost: example.com\n"+ours+"referer: http://mine/\n")
}

func TestTooManyRedirects(t *testing.T) {
	for _, tc := range []struct {
		led, asked int
		checks     Checks
		reason     string
	}{
		{10, 11, Checks{}, ""},
		{11, 11, Checks{}, "status 302, want 200-299, after 10 redirects"},
		{99, 11, Checks{}, "status 302, want 200-299, after 10 redirects"},
		{99, 11, Checks{Status: []probes.StatusRange{{From: 302, To: 302}}}, ""},
		{99, 1, Checks{StayHere: true}, "status 302, want 200-299"},
	} {
		c, asked := walk(t, newChecked(t, tc.checks), *web, func(n int) string {
			if n == tc.led {
				return landed
			}
			return redirect(302, fmt.Sprintf("/%d", n))
		})
		if len(asked) != tc.asked || c.Reason != tc.reason || (c.Verdict == protocol.Success) != (tc.reason == "") {
			t.Errorf("%d redirects: got %d requests, %q, want %d, %q", tc.led, len(asked), c.Reason, tc.asked, tc.reason)
		}
		if got, want := figures(c).Redirects, min(tc.led, tc.asked); got != want {
			t.Errorf("%d redirects: counted %d, want %d", tc.led, got, want)
		}
	}
}

// TestAstray has redirects that can't be followed: nothing of them counts as an answer.
func TestAstray(t *testing.T) {
	for _, tc := range []struct {
		location, reason string
		counted          int
	}{
		{"ftp://example.com/", `redirect to "ftp://example.com/": scheme "ftp" is not followed`, 1},
		{"javascript:alert(1)", `scheme "javascript" is not followed`, 1},
		{"http://[::1", `redirect to "http://[::1", which is not a URL`, 0},
		{"http:/path", "no host", 1},
		{"http:opaque", "no host", 1},
		{"http://:80/", "no host", 1},
		{"http://example.com:0/", "port 0 is not 1 to 65535", 1},
		{"http://example.com:65536/", "port 65536 is not 1 to 65535", 1},
		{"http://ex\xc3\xa9mple.com/", "is not a host name", 1},
		{"http://[fe80::1%25eth0%0a]/", "which is not a URL", 0},
	} {
		c, asked := walk(t, newChecked(t, Checks{}), *web, inTurn(redirect(302, tc.location)))
		if len(asked) != 1 || c.Verdict != protocol.Refused || !strings.Contains(c.Reason, tc.reason) {
			t.Errorf("%q: got %d requests, verdict %d, %q, want 1, %d, %q", tc.location, len(asked), c.Verdict, c.Reason, protocol.Refused, tc.reason)
		}
		if got, want := figures(c), (probes.HTTPFigures{Redirects: tc.counted}); got != want {
			t.Errorf("%q: got figures %+v, want %+v", tc.location, got, want)
		}
	}
}

// TestSilenceAfterARedirect has the next hop say nothing: that there was a redirect is known all the same.
func TestSilenceAfterARedirect(t *testing.T) {
	c, asked := walk(t, newChecked(t, Checks{}), *web, inTurn(redirect(302, "/n"), ""))
	if len(asked) != 2 || c.Verdict != protocol.Closed {
		t.Fatalf("got %d requests, verdict %d (%s)", len(asked), c.Verdict, c.Reason)
	}
	if got, want := string(c.Finding.AppendJSON(nil)), `{"redirects":["http://example.com/n"]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := figures(c), (probes.HTTPFigures{Redirects: 1}); got != want {
		t.Errorf("figures: got %+v, want %+v", got, want)
	}
}

// TestLeadingOnSaysNothing looks at a redirect that is followed.
func TestLeadingOnSaysNothing(t *testing.T) {
	var c protocol.Conclusion
	at := *web
	at.Tag, at.Probe, at.Path = "tag", "http", "/p a?%zz"
	play(newChecked(t, Checks{}).Exchange(&at), redirect(302, "?q"), protocol.EndOfStream, &c)
	if got, want := figures(c), (probes.HTTPFigures{Redirects: 1}); got != want || c.Verdict != protocol.Success {
		t.Errorf("got verdict %d, figures %+v, want %+v", c.Verdict, got, want)
	}
	next, _, ok := follow(c)
	if want := (target.Target{Addr: at.Addr, Port: 80, Domain: at.Domain, Tag: "tag", Probe: "http", Path: "/p%20a?q"}); !ok || next != want {
		t.Errorf("got %+v, %v, want %+v", next, ok, want)
	}
}

func TestCookies(t *testing.T) {
	sets := func(list ...string) (fields []string) {
		for _, text := range list {
			fields = append(fields, "Set-Cookie: "+text)
		}
		return fields
	}
	for _, tc := range []struct {
		name     string
		own      string
		set      []string
		location string
		want     string
	}{
		{"plain", "", sets("a=1", "b = 2 ; HttpOnly"), "/n", "a=1; b=2"},
		{"not one", "", sets("nothing", "=1", ";"), "/n", ""},
		{"to another host", "", sets("a=1"), "http://other.test/", ""},
		{"to a subdomain", "", sets("a=1", "b=2; Domain=.example.com"), "http://x.example.com/", "b=2"},
		{"of another host", "", sets("a=1; domain=other.test", "b=2; domain=com", "c=3; domain=x.example.com"), "/n", ""},
		{"path", "", sets("a=1; Path=/n", "b=2; Path=/", "c=3; Path=/n/o", "d=4; Path=/nn", "e=5; path=x"), "/n/o", "c=3; a=1; b=2; e=5"},
		{"path that looks alike", "", sets("a=1; Path=/n", "b=2; Path=/n/"), "/nn", ""},
		{"path itself", "", sets("a=1; Path=/n", "b=2; Path=/n/"), "/n", "a=1"},
		{"default path", "", sets("a=1"), "/n/o", "a=1"},
		{"secure", "", sets("a=1; Secure"), "/n", ""},
		{"secure over TLS", "", sets("a=1; Secure"), "https://example.com/", "a=1"},
		{"deleted", "", sets("a=1", "b=2", "a=; Max-Age=0"), "/n", "b=2"},
		{"set anew", "", sets("a=1", "b=2", "a=3"), "/n", "a=3; b=2"},
		{"expired", "", append(sets("a=1; Expires=Thu, 01 Jan 2015 00:00:00 GMT", "b=2; expires=Wed, 01-Jan-2025 00:00:00 GMT", "c=3; max-age=9; expires=Thu, 01 Jan 2015 00:00:00 GMT"), "Date: Fri, 01 Jan 2021 00:00:00 GMT"), "/n", "b=2; c=3"},
		{"beside the user's", "k=v; a=0", sets("a=1"), "/n", "k=v; a=1"},
		{"instead of the user's", "k=v", sets("k=1; Max-Age=0"), "/n", ""},
	} {
		c := Checks{}
		if tc.own != "" {
			c.Fields = []Field{{"Cookie", tc.own}}
		}
		_, asked := walk(t, newChecked(t, c), *web, inTurn(redirect(302, tc.location, tc.set...), landed))
		_, got, _ := strings.Cut(asked[1], "Cookie: ")
		if got = strings.TrimSuffix(got, "\n"); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

// TestCookiesAdd has each hop set one, and too many of them.
func TestCookiesAdd(t *testing.T) {
	many := make([]string, 60)
	for i := range many {
		many[i] = fmt.Sprintf("Set-Cookie: m%d=x", i)
	}
	_, asked := walk(t, newChecked(t, Checks{}), *web, inTurn(redirect(302, "/1", "Set-Cookie: a=1; Path=/"), redirect(302, "/2", "Set-Cookie: b=2"), redirect(302, "/3", many...), landed))
	if !strings.Contains(asked[2], "Cookie: a=1; b=2\n") || strings.Count(asked[3], "=x") != maxCookies-2 {
		t.Errorf("got %q", asked[2:])
	}
}

// FuzzLocation holds what a redirect leads to: a target that can be asked, and one request with one head, whatever a server
// says.
func FuzzLocation(f *testing.F) {
	for _, location := range []string{"/a", "//b:8/c?d#e", "https://u:p@[2001:db8::1%25z]:443/ x", "?", "..", "http://a/%zz", "http://a\\b", "HTTP://A.b./", "http://[::ffff:1.2.3.4]/"} {
		f.Add(location, "a=b; Path=/; Domain=example.com")
	}
	p, err := NewChecked(Checks{Method: "POST", Body: []byte("x"), BasicAuth: &Login{"u", "p"}, Secure: secured})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, location, cookie string) {
		var c protocol.Conclusion
		at := *web
		at.Path = "/dir/page?query"
		play(p.Exchange(&at), redirect(308, location, "Set-Cookie: "+cookie), protocol.EndOfStream, &c)
		next, probe, ok := follow(c)
		if !ok {
			return
		}
		if next.Port == 0 || next.Addr.IsValid() != (next.Domain == "") && next.Domain != at.Domain || !strings.HasPrefix(next.Path, "/") {
			t.Fatalf("%q leads to %+v", location, next)
		}
		var again protocol.Conclusion
		request := play(probe.Exchange(&next), landed, protocol.EndOfStream, &again)
		head, body, _ := strings.Cut(request, "\r\n\r\n")
		lines := strings.Split(head, "\r\n")
		if body != "x" || len(lines) < 4 || strings.Count(lines[0], " ") != 2 || strings.ContainsAny(strings.Join(lines, ""), "\r\n\x00") {
			t.Fatalf("%q leads to the request %q", location, request)
		}
		for _, line := range lines[1:] {
			name, _, _ := strings.Cut(line, ":")
			if !strings.Contains(" Host User-Agent Authorization Referer Cookie Content-Length Connection ", " "+name+" ") {
				t.Fatalf("%q leads to the field %q", location, line)
			}
		}
		if again.Verdict != protocol.Success {
			t.Fatalf("%q: verdict %d (%s)", location, again.Verdict, again.Reason)
		}
	})
}
