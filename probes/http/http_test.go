package http

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sonde/probes"
	"sonde/probes/probetest"
	"sonde/protocol"
	"sonde/target"
)

// configured returns the probe that works by o.
func configured(t *testing.T, o probes.Options) probes.Probe {
	t.Helper()
	p, err := Probe{}.Configure(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var web = &target.Target{Addr: netip.MustParseAddr("192.0.2.1"), Port: 80, Domain: "example.com"}

const request = "GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: sonde\r\nAccept: */*\r\nConnection: close\r\n\r\n"

// gets is a case of one request and its response.
func gets(t *testing.T, name string, o probes.Options, response string) probetest.Case {
	p := configured(t, o)
	return probetest.Case{
		Name: name, Open: func() protocol.Exchange { return p.Exchange(web) },
		Turns: []probetest.Turn{{Hears: request, Says: response}},
	}
}

func TestStatus(t *testing.T) {
	answer := func(name, response string, verdict protocol.Verdict, reason, result, brief string) probetest.Case {
		c := gets(t, name, probes.Options{}, response)
		c.Verdict, c.Reason, c.Result, c.Brief = verdict, reason, result, brief
		return c
	}
	probetest.Run(t, Probe{}.About(),
		answer("ok", "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\n", protocol.Success, "",
			`{"status_code":200,"reason":"OK","version":"1.1","server":"nginx","content_type":"text/html","content_length":5}`, "200 OK"),
		answer("redirect", "HTTP/1.0 301 Moved Permanently\r\nLocation: https://example.com/\r\n\r\n", protocol.Success, "",
			`{"status_code":301,"reason":"Moved Permanently","version":"1.0","location":"https://example.com/"}`, "301 Moved Permanently to https://example.com/"),
		answer("unavailable", "HTTP/1.1 503 \r\nContent-Length: 9\r\n\r\n", protocol.Refused, "status 503, want 200-399",
			`{"status_code":503,"version":"1.1","content_length":9}`, "503"),
		answer("interim first", "HTTP/1.1 103 Early Hints\r\nServer: early\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", protocol.Success, "",
			`{"status_code":204,"reason":"No Content","version":"1.1"}`, "204 No Content"),
		answer("interim only", "HTTP/1.1 100 Continue\r\n\r\n", protocol.Closed, "closed before the end of the head",
			`{"received":"HTTP/1.1 100 Continue\r\n"}`, "HTTP/1.1 100 Continue"),
		answer("interim for ever", strings.Repeat("HTTP/1.1 100 x\r\n\r\n", 17), protocol.Refused, "17 interim",
			`{"received":"HTTP/1.1 100 x\r\n"}`, "HTTP/1.1 100 x"),
		answer("another protocol", "SSH-2.0-OpenSSH\r\n", protocol.NotSpoken, "not http1: not an HTTP status line",
			`{"received":"SSH-2.0-OpenSSH\r\n"}`, "SSH-2.0-OpenSSH"),
		answer("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", protocol.NotSpoken, "two different lengths",
			`{"received":"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"}`, "HTTP/1.1 200 OK  Content-Length: 1  Content-Length: 2"),
		answer("endless head", "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 40000), protocol.OverLimit, "32768",
			`{"received":"HTTP/1.1 200 OK\r\nX: `+strings.Repeat("x", 492)+`"}`, "HTTP/1.1 200 OK  X: "+strings.Repeat("x", 180)),
		answer("cut in the head", "HTTP/1.1 200 OK\r\nSer", protocol.Closed, "closed before the end of the head",
			`{"received":"HTTP/1.1 200 OK\r\nSer"}`, "HTTP/1.1 200 OK  Ser"),
	)
}

func TestWantedStatus(t *testing.T) {
	o := probes.Options{HTTP: probes.HTTPOptions{Status: []probes.StatusRange{{From: 401, To: 401}, {From: 500, To: 599}}}}
	for status, want := range map[int]string{401: "", 503: "", 200: "status 200, want 401, 500-599", 402: "status 402, want 401, 500-599"} {
		c := gets(t, strconv.Itoa(status), o, "HTTP/1.1 "+strconv.Itoa(status)+"\r\n\r\n")
		c.Reason = want
		if want != "" {
			c.Verdict = protocol.Refused
		}
		c.Result = `{"status_code":` + strconv.Itoa(status) + `,"version":"1.1"}`
		c.Brief = strconv.Itoa(status)
		probetest.Run(t, Probe{}.About(), c)
	}
}

const (
	page    = "HTTP/1.1 200 OK\r\n"
	pageHas = `{"status_code":200,"reason":"OK","version":"1.1"`
)

func TestBody(t *testing.T) {
	body := func(name, expect string, readBytes int, response string, verdict protocol.Verdict, reason, result string) probetest.Case {
		o := probes.Options{ReadBytes: readBytes}
		if expect != "" {
			o.Expect = regexp.MustCompile(expect)
		}
		c := gets(t, name, o, response)
		c.Verdict, c.Reason, c.Result, c.Brief, c.Lenient = verdict, reason, result, response[len("HTTP/1.1 "):len(page)-2], true
		return c
	}
	fill := strings.Repeat("x", 3000)
	probetest.Run(t, Probe{}.About(),
		body("match and groups", `version (\d+)\.(\d+)(-rc)?`, 0, page+"Content-Length: 12\r\n\r\nversion 1.25", protocol.Success, "",
			pageHas+`,"content_length":12,"body_bytes":12,"body_match":["version 1.25","1","25",""]}`),
		body("no match", "up", 0, page+"Content-Length: 4\r\n\r\ndown", protocol.Refused, "body does not match up", pageHas+`,"content_length":4,"body_bytes":4}`),
		body("no body", "^$", 0, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", protocol.Success, "", pageHas+`,"content_length":0,"body_bytes":0,"body_match":[""]}`),
		body("chunks", "hello world", 0, page+"Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n", protocol.Success, "", pageHas+`,"body_bytes":11,"body_match":["hello world"]}`),
		body("until the end", "ll$", 0, page+"\r\nall", protocol.Success, "", pageHas+`,"body_bytes":3,"body_match":["ll"]}`),
		body("an endless body ends early", "needle", 0, page+"\r\nneedle"+fill, protocol.Success, "", pageHas+`,"body_bytes":1024,"body_match":["needle"]}`),
		body("a match at the edge waits for more", `\d+`, 0, page+"\r\n"+fill[:1020]+"1234567"+fill, protocol.Success, "", pageHas+`,"body_bytes":2048,"body_match":["1234567"]}`),
		body("the end is not where the search stops", `x$`, 0, page+"\r\n"+fill+"y", protocol.Refused, "does not match", pageHas+`,"body_bytes":3001}`),
		body("stops at the limit", "needle", 2000, page+"\r\n"+fill+"needle", protocol.Refused, "does not match", pageHas+`,"body_bytes":2000}`),
		body("read without an expression", "", 10, page+"\r\n"+fill, protocol.Success, "", pageHas+`,"body_bytes":10}`),
		body("title", "", 1000, page+"Content-Length: 43\r\n\r\n<html><TITLE lang=x> It\n works! </Title></h", protocol.Success, "", pageHas+`,"content_length":43,"body_bytes":43,"title":"It works!"}`),
		body("cut body that matched", "need", 0, page+"Content-Length: 100\r\n\r\nneeds", protocol.Success, "", pageHas+`,"content_length":100,"body_bytes":5,"body_match":["need"]}`),
		body("cut body whose end is not the end", "needs$", 0, page+"Content-Length: 100\r\n\r\nneeds", protocol.Closed, "closed", pageHas+`,"content_length":100,"body_bytes":5}`),
		body("cut body", "x", 0, page+"Content-Length: 100\r\n\r\nneed", protocol.Closed, "closed before the end of the body", pageHas+`,"content_length":100,"body_bytes":4}`),
		body("malformed chunk", "x", 0, page+"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\nz\r\n", protocol.NotSpoken, "hexadecimal", pageHas+`,"body_bytes":1}`),
		body("unwanted status ends it at the head", "x", 0, "HTTP/1.1 500 OK\r\nContent-Length: 1\r\n\r\nx", protocol.Refused, "status 500", `{"status_code":500,"reason":"OK","version":"1.1","content_length":1}`),
	)
}

func TestHeadRequest(t *testing.T) {
	p := configured(t, probes.Options{ReadBytes: 10, HTTP: probes.HTTPOptions{Method: "HEAD"}})
	probetest.Run(t, Probe{}.About(), probetest.Case{
		Name: "head", Open: func() protocol.Exchange { return p.Exchange(web) },
		Turns:  []probetest.Turn{{Hears: strings.Replace(request, "GET", "HEAD", 1), Says: page + "Content-Length: 5\r\n\r\n"}},
		Result: pageHas + `,"content_length":5,"body_bytes":0}`, Brief: "200 OK",
	})
}

func TestTitle(t *testing.T) {
	for page, want := range map[string]string{
		"<title>a</title>":               "a",
		"<TITLE\nid=x>\t a  b\n</TITLE>": "a b",
		"<title>a":                       "",
		"<titles>a</titles>":             "",
		"</title><title>x</title >":      "x",
		"<title":                         "",
		"<title></title>":                "",
		"<title>" + strings.Repeat("é", 200) + "</title>": strings.Repeat("é", 128),
	} {
		if got := title([]byte(page)); got != want {
			t.Errorf("%.40q: got %q, want %q", page, got, want)
		}
	}
}

// TestFigures has what monitoring keeps of a response.
func TestFigures(t *testing.T) {
	play := func(o probes.Options, target *target.Target, response string) (f probes.Figures) {
		e := configured(t, o).Exchange(target)
		e.Begin()
		for left := []byte(response); ; {
			frame, n, err := e.Parser().ParseFrame(left)
			if err != nil {
				e.OnEnd(protocol.EndOfStream, left, nil)
				break
			}
			left = left[n:]
			if e.OnFrame(frame).Then == protocol.Done {
				break
			}
		}
		if m, ok := e.Conclusion().Finding.(probes.Measured); ok {
			m.Figures(&f)
		}
		return f
	}
	secure := *web
	secure.TLS = true
	const page = "HTTP/1.0 404 Not Found\r\nContent-Length: 5\r\n\r\nhello"
	if got, want := *play(probes.Options{}, &secure, page).HTTP, (probes.HTTPFigures{StatusCode: 404, Version: 1, ContentLength: 5, TLS: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	ok := strings.Replace(page, "404 Not Found", "200 OK", 1)
	for _, want := range []bool{false, true} {
		expect := regexp.MustCompile(map[bool]string{false: "hello", true: "bye"}[want])
		f := play(probes.Options{Expect: expect}, web, ok)
		if f.RegexpFailed == nil || *f.RegexpFailed != want || f.HTTP.BodyLength != 5 {
			t.Errorf("%v: got %v and %+v", expect, f.RegexpFailed, f.HTTP)
		}
	}
	if f := play(probes.Options{}, web, "SSH-2.0\r\n"); f.HTTP != nil || f.RegexpFailed != nil {
		t.Errorf("no response: %+v", f)
	}
}
