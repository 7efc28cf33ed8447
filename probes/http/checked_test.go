package http

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/probes"
	"sonde/probes/probetest"
	"sonde/protocol"
	"sonde/target"
)

// overTLS stands for a probe with TLS under it.
type overTLS struct {
	probes.Probe
	elsewhere bool
}

func secured(p probes.Probe, elsewhere bool) probes.Probe { return overTLS{p, elsewhere} }

// newChecked returns the probe that makes these checks.
func newChecked(t *testing.T, c Checks) probes.Probe {
	t.Helper()
	c.Secure = secured
	p, err := NewChecked(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const asked = "GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: sonde\r\nConnection: close\r\n\r\n"

func expressions(list ...string) (compiled []*regexp.Regexp) {
	for _, text := range list {
		compiled = append(compiled, regexp.MustCompile(text))
	}
	return compiled
}

// response is a whole one with a length.
func response(status, fields, body string) string {
	return "HTTP/1.1 " + status + "\r\n" + fields + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

func encoded(t testing.TB, coding, text string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zlib":
		w = zlib.NewWriter(&b)
	default:
		w, _ = flate.NewWriter(&b, flate.BestCompression)
	}
	if _, err := io.WriteString(w, text); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return b.String()
}

// judged is a case of a response, what is made of it and its figures.
type judged struct {
	name     string
	checks   Checks
	target   *target.Target // nil: web
	hears    string         // empty: asked
	says     string
	end      protocol.End
	verdict  protocol.Verdict
	reason   string
	regexp   bool
	length   int64 // -1: none
	body     int64
	redirect int
}

func (j judged) run(t *testing.T) {
	p := newChecked(t, j.checks)
	at := j.target
	if at == nil {
		at = web
	}
	if j.hears == "" {
		j.hears = asked
	}
	var last protocol.Conclusion
	whole := play(p.Exchange(at), j.says, j.end, &last)
	if whole != j.hears {
		t.Fatalf("request: got %q, want %q", whole, j.hears)
	}
	var figures probes.Figures
	last.Finding.(probes.Measured).Figures(&figures)
	want := probes.HTTPFigures{ContentLength: j.length, BodyLength: j.body, Redirects: j.redirect, TLS: at.TLS}
	want.StatusCode, want.Version = figures.HTTP.StatusCode, figures.HTTP.Version
	if diff := cmp.Diff(want, *figures.HTTP); diff != "" {
		t.Errorf("figures differ (-want +got):\n%s", diff)
	}
	if *figures.RegexpFailed != j.regexp {
		t.Errorf("failed by an expression: got %v, want %v", *figures.RegexpFailed, j.regexp)
	}
	brief := last.Finding.Brief()
	probetest.Run(t, p.About(), probetest.Case{
		Name: "pieces", Open: func() protocol.Exchange { return p.Exchange(at) },
		Turns: []probetest.Turn{{Hears: j.hears, Says: j.says}}, End: j.end,
		Verdict: j.verdict, Reason: j.reason, Result: string(last.Finding.AppendJSON(nil)), Brief: brief, Lenient: true,
	})
}

// play has a server say all of it and then end, and returns what the exchange sent.
func play(e protocol.Exchange, says string, end protocol.End, c *protocol.Conclusion) (sent string) {
	for _, part := range e.Begin().Send {
		sent += string(part)
	}
	buf := []byte(says)
	for len(buf) > 0 {
		f, n, err := e.Parser().ParseFrame(buf)
		if err != nil {
			break
		}
		if e.OnFrame(f).Then == protocol.Done {
			*c = e.Conclusion()
			return sent
		}
		buf = buf[n:]
	}
	if parser, ok := e.Parser().(protocol.EndParser); ok && end == protocol.EndOfStream {
		if f, _, err := parser.ParseEnd(buf); err == nil && e.OnFrame(f).Then == protocol.Done {
			*c = e.Conclusion()
			return sent
		}
	}
	e.OnEnd(end, buf, nil)
	*c = e.Conclusion()
	return sent
}

// fieldCheck is one check of a field.
func fieldCheck(name, expression string, missing bool) []FieldCheck {
	return []FieldCheck{{name, regexp.MustCompile(expression), missing}}
}

func runAll(t *testing.T, all []judged) {
	for _, j := range all {
		t.Run(j.name, j.run)
	}
}

// TestStatusChecks holds answers of all shapes against what status is wanted.
func TestStatusChecks(t *testing.T) {
	runAll(t, []judged{
		{name: "ok", says: response("200 OK", "", "hello"), length: 5, body: 5},
		{name: "chunks", says: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", length: -1, body: 5},
		{name: "until the end", says: "HTTP/1.0 200 OK\r\n\r\nhello", length: -1, body: 5},
		{name: "no content", says: "HTTP/1.1 204 No Content\r\n\r\n"},
		{name: "another protocol from here on", checks: Checks{Status: []probes.StatusRange{{From: 101, To: 101}}}, says: "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n\x81\x00"},
		{name: "not modified", says: "HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n", verdict: protocol.Refused, reason: "status 304, want 200-299"},
		{name: "interim", says: "HTTP/1.1 103 x\r\n\r\n" + response("200 OK", "", "hello"), length: 5, body: 5},
		{name: "interim for ever", says: strings.Repeat("HTTP/1.1 100 x\r\n\r\n", 17), verdict: protocol.Refused, reason: "17 interim"},
		{name: "unwanted status", says: response("404 x", "", "hello"), verdict: protocol.Refused, reason: "status 404, want 200-299", length: 5, body: 5},
		{name: "wanted status", checks: Checks{Status: []probes.StatusRange{{From: 404, To: 404}}}, says: response("404 x", "", "hello"), length: 5, body: 5},
		{name: "cut body", says: response("200 OK", "", "hello")[:42], verdict: protocol.Closed, reason: "closed before the end of the body", length: 5, body: 4},
		{name: "body in no time", says: response("200 OK", "", "hello")[:42], end: protocol.EndTimeout, verdict: protocol.Unfinished, reason: "in time", length: 5, body: 4},
		{name: "cut body that an expression wants", checks: Checks{RequireBody: expressions("hell")}, says: response("200 OK", "", "hello")[:42],
			verdict: protocol.Closed, reason: "closed", regexp: true, length: 5, body: 4},
	})
}

// TestBodyChecks is of limits and of expressions.
func TestBodyChecks(t *testing.T) {
	runAll(t, []judged{
		{name: "body within the limit", checks: Checks{BodyLimit: 5}, says: response("200 OK", "", "hello"), length: 5, body: 5},
		{name: "body above the limit", checks: Checks{BodyLimit: 4}, says: response("200 OK", "", "hello"), verdict: protocol.OverLimit, reason: "body above 4 bytes", length: 5, body: 4},
		{name: "body above the limit with an expression", checks: Checks{BodyLimit: 4, RefuseBody: expressions("x")}, says: response("200 OK", "", "hello"),
			verdict: protocol.OverLimit, reason: "body above 4 bytes", regexp: true, length: 5, body: 4},
		{name: "body above the limit of a wrong status", checks: Checks{BodyLimit: 4}, says: response("500 x", "", "hello"), verdict: protocol.Refused, reason: "status 500", length: 5, body: 4},

		{name: "body matches", checks: Checks{RefuseBody: expressions("x", "^hello$")}, says: response("200 OK", "", "hello"),
			verdict: protocol.Refused, reason: "body matches ^hello$", regexp: true, length: 5, body: 5},
		{name: "body does not match", checks: Checks{RequireBody: expressions("hello", "world")}, says: response("200 OK", "", "hello"),
			verdict: protocol.Refused, reason: "body does not match world", regexp: true, length: 5, body: 5},
		{name: "body as it should be", checks: Checks{RequireBody: expressions("h", "o$"), RefuseBody: expressions("x")}, says: response("200 OK", "", "hello"), length: 5, body: 5},
		{name: "body of a wrong status is not matched", checks: Checks{RefuseBody: expressions("hello")}, says: response("500 x", "", "hello"),
			verdict: protocol.Refused, reason: "status 500", length: 5, body: 5},
		{name: "no body does not match", checks: Checks{RequireBody: expressions("hello")}, says: "HTTP/1.1 204 x\r\n\r\n", verdict: protocol.Refused, reason: "body does not match hello", regexp: true},
	})
}

// TestFieldChecks is of fields that must match, and of those that must not.
func TestFieldChecks(t *testing.T) {
	const two = "X-A: v1\r\nx-a: v2\r\n"
	runAll(t, []judged{
		{name: "a field matches", checks: Checks{RefuseField: fieldCheck("X-a", "^v2$", false), RequireBody: expressions("nothing")}, says: response("200 OK", two, "hello"),
			verdict: protocol.Refused, reason: `field X-a is "v2", which matches ^v2$`, regexp: true, length: 5, body: 5},
		{name: "a field matches before a body that is too long", checks: Checks{RefuseField: fieldCheck("X-a", "v2", false), BodyLimit: 4}, says: response("200 OK", two, "hello"),
			verdict: protocol.Refused, reason: "matches v2", regexp: true, length: 5, body: 4},
		{name: "no field matches", checks: Checks{RefuseField: fieldCheck("X-a", "^v3$", false)}, says: response("200 OK", two, ""), length: 0},
		{name: "a field must not lack", checks: Checks{RefuseField: fieldCheck("X-b", "", false)}, says: response("200 OK", two, ""), verdict: protocol.Refused, reason: "no field X-b", regexp: true},
		{name: "a field may lack", checks: Checks{RefuseField: fieldCheck("X-b", "", true), RequireField: fieldCheck("X-c", "", true)}, says: response("200 OK", two, "")},
		{name: "one value is enough", checks: Checks{RequireField: fieldCheck("X-a", "^v2$", false)}, says: response("200 OK", two, "")},
		{name: "no value is not", checks: Checks{RequireField: fieldCheck("X-a", "^v3$", true)}, says: response("200 OK", two, ""),
			verdict: protocol.Refused, reason: "field X-a does not match ^v3$", regexp: true},
		{name: "a required field lacks", checks: Checks{RequireField: fieldCheck("X-b", "", false)}, says: response("200 OK", two, ""), verdict: protocol.Refused, reason: "no field X-b", regexp: true},
		{name: "fields of a wrong status are not looked at", checks: Checks{RequireField: fieldCheck("X-b", "", false)}, says: response("500 x", two, ""), verdict: protocol.Refused, reason: "status 500"},
	})
}

// TestCompressionChecks is of bodies that are coded as is wanted, otherwise, or not to their end.
func TestCompressionChecks(t *testing.T) {
	hellos := strings.Repeat("hello ", 100)
	gz := encoded(t, "gzip", hellos)
	runAll(t, []judged{
		{name: "gzip", checks: Checks{Compression: "GZIP", RequireBody: expressions("^(hello ){100}$")}, says: response("200 OK", "", gz), length: int64(len(gz)), body: 600},
		{name: "two members", checks: Checks{Compression: "gzip"}, says: response("200 OK", "", gz+gz), length: int64(2 * len(gz)), body: 1200},
		{name: "gzip and junk", checks: Checks{Compression: "gzip"}, says: response("200 OK", "", gz+"junk"), verdict: protocol.Refused, reason: "body is not gzip", length: int64(len(gz) + 4), body: 600},
		{name: "gzip without its end", checks: Checks{Compression: "gzip", RequireBody: expressions("hello")}, says: response("200 OK", "", gz[:len(gz)-6]),
			verdict: protocol.Refused, reason: "body is not gzip: unexpected EOF", regexp: true, length: int64(len(gz) - 6), body: 600},
		{name: "gzip cut by the connection", checks: Checks{Compression: "gzip"}, says: response("200 OK", "", gz)[:len(response("200 OK", "", gz))-6],
			verdict: protocol.Closed, reason: "closed before the end of the body", length: int64(len(gz)), body: 600},
		{name: "not gzip", checks: Checks{Compression: "gzip", RequireBody: expressions("x")}, says: response("200 OK", "", "hello world, hello world"),
			verdict: protocol.Refused, reason: "body is not gzip: gzip: invalid header", length: 24},
		{name: "no gzip", checks: Checks{Compression: "gzip"}, says: "HTTP/1.1 204 x\r\n\r\n", verdict: protocol.Refused, reason: "body is not gzip: EOF"},
		{name: "gzip above the limit", checks: Checks{Compression: "gzip", BodyLimit: 100}, says: response("200 OK", "", gz), verdict: protocol.OverLimit, reason: "above 100 bytes", length: int64(len(gz)), body: 100},
		{name: "deflate", checks: Checks{Compression: "deflate"}, says: response("200 OK", "", encoded(t, "flate", hellos)), length: int64(len(encoded(t, "flate", hellos))), body: 600},
		{name: "deflate with zlib's header", checks: Checks{Compression: "deflate"}, says: response("200 OK", "", encoded(t, "zlib", hellos)), length: int64(len(encoded(t, "zlib", hellos))), body: 600},
		{name: "deflate and junk", checks: Checks{Compression: "deflate"}, says: response("200 OK", "", encoded(t, "flate", hellos)+"junk"), length: int64(len(encoded(t, "flate", hellos)) + 4), body: 600},
		{name: "not deflate", checks: Checks{Compression: "deflate"}, says: response("200 OK", "", "\xff\xff\xff"), verdict: protocol.Refused, reason: "body is not deflate", length: 3},
		{name: "identity", checks: Checks{Compression: "identity"}, says: response("200 OK", "", gz), length: int64(len(gz)), body: int64(len(gz))},
		{name: "coded though nobody asked", says: response("200 OK", "Content-Encoding: gzip\r\n", gz), length: int64(len(gz)), body: int64(len(gz))},
	})
}

// TestConnectionChecks is of versions, TLS and redirects.
func TestConnectionChecks(t *testing.T) {
	overTLS := *web
	overTLS.TLS, overTLS.Port = true, 443
	runAll(t, []judged{
		{name: "wanted version", checks: Checks{Versions: []string{"HTTP/1.1"}}, says: response("200 OK", "", "")},
		{name: "unwanted version", checks: Checks{Versions: []string{"HTTP/1.1", "HTTP/2.0"}}, says: "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
			verdict: protocol.Refused, reason: "version HTTP/1.0 is not among [HTTP/1.1 HTTP/2.0]"},
		{name: "TLS is refused", checks: Checks{RefuseTLS: true}, target: &overTLS, says: response("200 OK", "", ""), verdict: protocol.Refused, reason: "over TLS"},
		{name: "TLS is not there", checks: Checks{RequireTLS: true}, says: response("200 OK", "", ""), verdict: protocol.Refused, reason: "not over TLS"},
		{name: "TLS is there", checks: Checks{RequireTLS: true}, target: &overTLS, says: response("200 OK", "", "")},
		{name: "no TLS is there", checks: Checks{RefuseTLS: true}, says: response("200 OK", "", "")},

		{name: "redirect that is not followed", checks: Checks{StayHere: true, Status: []probes.StatusRange{{From: 302, To: 302}}}, says: response("302 x", "Location: /a\r\n", "hello"),
			length: 5, redirect: 1},
		{name: "redirect that is not wanted", checks: Checks{StayHere: true}, says: response("302 x", "Location: /a\r\n", "hello"), verdict: protocol.Refused, reason: "status 302, want 200-299", length: 5, redirect: 1},
		{name: "redirect with a body that is wanted", checks: Checks{StayHere: true, Status: []probes.StatusRange{{From: 302, To: 302}}, RequireBody: expressions("x")},
			says: response("302 x", "Location: /a\r\n", "hello"), verdict: protocol.Refused, reason: "body does not match x", regexp: true, length: 5, body: 5, redirect: 1},
		{name: "redirect to nowhere", says: response("302 x", "", "hello"), verdict: protocol.Refused, reason: "status 302", length: 5, body: 5},
		{name: "a choice", says: response("300 x", "Location: /a\r\n", "hello"), verdict: protocol.Refused, reason: "status 300", length: 5, body: 5},
	})
}

func TestCheckedHeadRequest(t *testing.T) {
	head := strings.Replace(asked, "GET", "HEAD", 1)
	judged{checks: Checks{Method: "HEAD"}, hears: head, says: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", length: 5}.run(t)
	judged{checks: Checks{Method: "HEAD"}, hears: head, says: "HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", verdict: protocol.Refused, reason: "status 304", length: 5}.run(t)
	judged{checks: Checks{Method: "HEAD"}, hears: head, says: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", length: -1}.run(t)
}

// TestNoAnswer has a server that speaks no HTTP, or nothing.
func TestNoAnswer(t *testing.T) {
	p := newChecked(t, Checks{})
	probetest.Run(t, p.About(),
		probetest.Case{
			Name: "another protocol", Open: func() protocol.Exchange { return p.Exchange(web) }, Turns: []probetest.Turn{{Hears: asked, Says: "SSH-2.0-x\r\n"}},
			Verdict: protocol.NotSpoken, Reason: "not http1", Result: `{"received":"SSH-2.0-x\r\n"}`, Brief: "SSH-2.0-x",
		},
		probetest.Case{
			Name: "nothing", Open: func() protocol.Exchange { return p.Exchange(web) }, Turns: []probetest.Turn{{Hears: asked}},
			Verdict: protocol.Closed, Reason: "closed before the end of the head",
		},
		probetest.Case{
			Name: "half a head", Open: func() protocol.Exchange { return p.Exchange(web) }, Turns: []probetest.Turn{{Hears: asked, Says: "HTTP/1.1 2"}}, End: protocol.EndReset,
			Verdict: protocol.Unfinished, Reason: "reset before the end of the head", Result: `{"received":"HTTP/1.1 2"}`, Brief: "HTTP/1.1 2",
		},
	)
}

func TestLastModified(t *testing.T) {
	want := time.Date(2015, 10, 21, 7, 28, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"Wed, 21 Oct 2015 07:28:00 GMT":     want,
		"Wednesday, 21-Oct-15 07:28:00 GMT": want,
		"Wed Oct 21 07:28:00 2015":          want,
		"yesterday":                         {},
		"":                                  {},
	} {
		if got := parseDate(text); !got.Equal(want) {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

// TestBodyIsNotKept counts a body of which nothing is wanted but its length.
func TestBodyIsNotKept(t *testing.T) {
	for _, coding := range []string{"", "gzip"} {
		e := newChecked(t, Checks{Compression: coding}).Exchange(web).(*checkedExchange)
		body := strings.Repeat("x", 1<<20)
		if coding != "" {
			body = encoded(t, coding, body)
		}
		var c protocol.Conclusion
		play(e, response("200 OK", "", body), protocol.EndOfStream, &c)
		if got := e.finding.bodyBytes; got != 1<<20 || cap(e.body) != 0 {
			t.Errorf("%q: got %d bytes, %d kept, want %d and none", coding, got, cap(e.body), 1<<20)
		}
	}
}

// TestCutCoding cuts a coded body off before the decoder has handed anything out: what it has is counted.
func TestCutCoding(t *testing.T) {
	var text strings.Builder
	for i := range 2000 {
		text.WriteString(strconv.Itoa(i * i))
	}
	body := encoded(t, "gzip", text.String())
	var c protocol.Conclusion
	play(newChecked(t, Checks{Compression: "gzip"}).Exchange(web), response("200 OK", "", body)[:len(body)/2], protocol.EndOfStream, &c)
	if got := figures(c).BodyLength; c.Verdict != protocol.Closed || got < int64(text.Len()/4) || got > int64(text.Len()*3/4) {
		t.Errorf("got verdict %d, %d bytes, want about half of %d", c.Verdict, got, text.Len())
	}
}

// TestBomb has a small body decode to a thousand times its size, and one of a page that repeats itself to some fifty times.
func TestBomb(t *testing.T) {
	for _, c := range []struct {
		text    string
		verdict protocol.Verdict
	}{
		{strings.Repeat("x", DefaultBodyLimit), protocol.OverLimit},
		{strings.Repeat("x", sureLength), protocol.Refused}, // as every short one
		{strings.Repeat("<li>one of many", 200000) + random(60000), protocol.Refused},
	} {
		e := newChecked(t, Checks{Compression: "gzip", RequireBody: expressions("\x00y\x00")}).Exchange(web).(*checkedExchange)
		var got protocol.Conclusion
		body := encoded(t, "gzip", c.text)
		play(e, response("200 OK", "", body), protocol.EndOfStream, &got)
		if got.Verdict != c.verdict || e.body != nil || c.verdict == protocol.OverLimit && e.finding.bodyBytes > sureLength+maxRatio*int64(len(body)) {
			t.Errorf("%d bytes as %d: got verdict %d %q, %d bytes, %d kept; want %d", len(c.text), len(body), got.Verdict, got.Reason, e.finding.bodyBytes, len(e.body), c.verdict)
		}
	}
}

// random is text that can't be compressed by much, the same each time.
func random(n int) string {
	rng, b := rand.New(rand.NewPCG(1, 2)), make([]byte, n)
	for i := range b {
		b[i] = byte(1 + rng.IntN(255))
	}
	return string(b)
}
