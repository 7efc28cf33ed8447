package talk

import (
	"strings"
	"testing"
)

// welcome is nginx's answer with its default page of 615 bytes.
var welcome = "HTTP/1.1 200 OK\r\nServer: nginx/1.26.3\r\nDate: Sat, 21 Nov 2026 15:18:29 GMT\r\nContent-Type: text/html\r\nContent-Length: 615\r\n" +
	"Last-Modified: Wed, 05 Feb 2025 12:00:00 GMT\r\nConnection: keep-alive\r\nETag: \"67a35ac0-267\"\r\nAccept-Ranges: bytes\r\n\r\n" +
	strings.Repeat("welcome to nginx", 39)[:615]

// answers is a load and what it hears all the time.
var answers = []struct {
	name    string
	options Options
	answer  string
}{
	{"echo", Options{Kind: Echo}, defaultLine},
	{"redis", Options{Kind: Redis}, "+PONG\r\n"},
	{"redis refused", Options{Kind: Redis}, "-NOAUTH Authentication required.\r\n"},
	{"frame", Options{Kind: Frame, Frame: "len:size=2", Payload: []byte("x")}, "\x00\x05hello"},
	{"http", Options{Kind: HTTP}, welcome},
	{"http head", Options{Kind: HTTP, HTTP: HTTPOptions{Method: "HEAD"}}, welcome[:len(welcome)-615]},
	{"http chunked", Options{Kind: HTTP}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n6\r\npedia \r\n0\r\n\r\n"},
	{"http refused", Options{Kind: HTTP}, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nsorry"},
}

// exchange sends one request and hears the whole answer.
func exchange(tb testing.TB, s *Session, answer []byte) (last Heard) {
	if len(s.Request()) == 0 {
		tb.Fatal("no request")
	}
	for buf := answer; len(buf) > 0; {
		f, n, err := s.Parser().ParseFrame(buf)
		if err != nil {
			tb.Fatal(err)
		}
		last = s.Hear(f)
		buf = buf[n:]
	}
	if !last.Done {
		tb.Fatal("the answer is not done")
	}
	return last
}

// TestNothingIsAllocated holds requests, answers, and the taking and giving back of a session to no allocation.
func TestNothingIsAllocated(t *testing.T) {
	for _, tc := range answers {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t, tc.options)
			answer := []byte(tc.answer)
			exchange(t, s, answer)
			if n := testing.AllocsPerRun(100, func() { exchange(t, s, answer) }); n != 0 {
				t.Errorf("a request: got %v allocations, want none", n)
			}
			talk := s.talk
			s.Close()
			// Under the race detector a sync.Pool forgets one in four, of three allocations at most; AllocsPerRun rounds down. Of few
			// sessions it may forget more than a third.
			if n := testing.AllocsPerRun(10_000, func() { talk.Open("example.com").Close() }); n != 0 {
				t.Errorf("a session: got %v allocations, want none", n)
			}
		})
	}
}

func BenchmarkAnswer(b *testing.B) {
	for _, tc := range answers {
		b.Run(tc.name, func(b *testing.B) {
			s := open(b, tc.options)
			answer := []byte(tc.answer)
			b.ReportAllocs()
			for b.Loop() {
				exchange(b, s, answer)
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	talk := open(b, Options{Kind: HTTP}).talk
	b.ReportAllocs()
	for b.Loop() {
		talk.Open("example.com").Close()
	}
}
