package talk

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/probes"
	"sonde/protocol"
)

const (
	ok      = "HTTP/1.1 200 OK\r\n"
	refused = "HTTP/1.1 503 x\r\nContent-Length: 5\r\n\r\nsorry"
)

// brief writes what was heard of each answer, in a short form: "done", "done last", "done refused: status 503".
func brief(h Heard) string {
	words := []string{"more"}
	if h.Done {
		words[0] = "done"
	}
	if h.Last {
		words = append(words, "last")
	}
	if h.Done && h.Verdict != protocol.Success {
		words = append(words, map[protocol.Verdict]string{protocol.Refused: "refused: ", protocol.NotSpoken: "not spoken: "}[h.Verdict]+h.Reason)
	}
	return strings.Join(words, " ")
}

// hearAll gives the session the stream, so many bytes at a time, then its end, and tells each answer in brief.
func hearAll(t testing.TB, s *Session, stream []byte, step int, fin bool) (answers []string) {
	t.Helper()
	taken, counted := 0, 0
	for have := min(step, len(stream)); ; have = min(have+step, len(stream)) {
		for taken < have {
			f, n, err := s.Parser().ParseFrame(stream[taken:have])
			if errors.Is(err, protocol.ErrIncomplete) {
				break
			}
			if err != nil {
				return append(answers, s.End(protocol.EndMalformed, err).Reason)
			}
			h := s.Hear(f)
			taken += n
			counted += h.Bytes
			if h.Done {
				answers = append(answers, brief(h))
			}
		}
		if have == len(stream) {
			break
		}
	}
	if fin {
		if f, n, err := s.Parser().(protocol.EndParser).ParseEnd(stream[taken:]); err == nil {
			h := s.Hear(f)
			taken += n
			counted += h.Bytes
			answers = append(answers, brief(h))
		}
	}
	if counted != taken {
		t.Errorf("%q: got %d bytes counted, want the %d that were taken", stream, counted, taken)
	}
	return answers
}

func TestHear(t *testing.T) {
	status := []probes.StatusRange{{From: 404, To: 404}, {From: 500, To: 599}}
	closing := HTTPOptions{Headers: []string{"Connection: close"}}
	for _, tc := range []struct {
		name    string
		options Options
		stream  string
		fin     bool
		want    []string
	}{
		{name: "echo", options: Options{Kind: Echo, Payload: []byte("a\r\n")}, stream: "a\r\na\r\n", want: []string{"done", "done"}},
		{name: "echo without its CR", options: Options{Kind: Echo, Payload: []byte("a\r\n")}, stream: "a\n", want: []string{"done last not spoken: echo differs"}},
		{name: "another line", options: Options{Kind: Echo}, stream: "220 hello\r\n", want: []string{"done last not spoken: echo differs"}},
		{name: "redis", options: Options{Kind: Redis}, stream: "+PONG\r\n$4\r\nPONG\r\n+OK\r\n:4\r\n",
			want: []string{"done", "done", "done refused: answer is not PONG", "done refused: answer is not PONG"}},
		{name: "redis refuses", options: Options{Kind: Redis}, stream: "-ERR a\x01\r\n-ERR b\r\n+PONG\r\n!3\r\nno!\r\n",
			want: []string{"done refused: ERR a?", "done refused: ERR b", "done", "done refused: no!"}},
		{name: "a push and an attribute", options: Options{Kind: Redis}, stream: ">1\r\n+x\r\n|1\r\n+k\r\n+v\r\n+PONG\r\n", want: []string{"done"}},
		{name: "pushes for ever", options: Options{Kind: Redis}, stream: strings.Repeat(">1\r\n+x\r\n", 17), want: []string{"done last refused: no answer among 17 frames"}},
		{name: "a command", options: Options{Kind: Redis, Payload: []byte("GET x\r\n")}, stream: "$-1\r\n*1\r\n:1\r\n-no\r\n", want: []string{"done", "done", "done refused: no"}},
		{name: "frames", options: Options{Kind: Frame, Frame: "line", Payload: []byte("x")}, stream: "a\nb", fin: true, want: []string{"done", "done last"}},
		{name: "a frame that does not end", options: Options{Kind: Frame, Frame: "delim:;", Payload: []byte("x")}, stream: "a;b", fin: true, want: []string{"done"}},

		{name: "pipelined", options: Options{Kind: HTTP}, stream: welcome + refused + welcome, want: []string{"done", "done refused: status 503", "done"}},
		{name: "no body", options: Options{Kind: HTTP}, stream: "HTTP/1.1 204 No\r\n\r\nHTTP/1.1 304 No\r\nContent-Length: 7\r\n\r\n" + ok + "Content-Length: 0\r\n\r\n",
			want: []string{"done", "done", "done"}},
		{name: "head", options: Options{Kind: HTTP, HTTP: HTTPOptions{Method: "HEAD"}}, stream: ok + "Content-Length: 7\r\n\r\n" + ok + "Transfer-Encoding: chunked\r\n\r\n",
			want: []string{"done", "done"}},
		{name: "head in a message", options: Options{Kind: HTTP, HTTP: HTTPOptions{Message: []byte("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")}}, stream: ok + "Content-Length: 7\r\n\r\n",
			want: []string{"done"}},
		{name: "chunked", options: Options{Kind: HTTP}, stream: ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n" + welcome, want: []string{"done", "done"}},
		{name: "interim", options: Options{Kind: HTTP}, stream: "HTTP/1.1 103 x\r\n\r\nHTTP/1.1 100 x\r\n\r\n" + welcome, want: []string{"done"}},
		{name: "interim for ever", options: Options{Kind: HTTP}, stream: strings.Repeat("HTTP/1.1 100 x\r\n\r\n", 17),
			want: []string{"done last refused: no final response after 17 interim ones"}},
		{name: "close", options: Options{Kind: HTTP}, stream: ok + "Connection: close\r\nContent-Length: 1\r\n\r\nx", want: []string{"done last"}},
		{name: "refused and closed", options: Options{Kind: HTTP}, stream: "HTTP/1.1 500 x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", want: []string{"done last refused: status 500"}},
		{name: "1.0", options: Options{Kind: HTTP}, stream: "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", want: []string{"done last"}},
		{name: "1.0 kept", options: Options{Kind: HTTP}, stream: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", want: []string{"done"}},
		{name: "until the end", options: Options{Kind: HTTP}, stream: ok + "\r\nall of it", fin: true, want: []string{"done last"}},
		{name: "we asked for a close", options: Options{Kind: HTTP, HTTP: closing}, stream: ok + "Content-Length: 1\r\n\r\nx", want: []string{"done last"}},
		{name: "1.0 asked for", options: Options{Kind: HTTP, HTTP: HTTPOptions{Message: []byte("GET / HTTP/1.0\r\n\r\n")}}, stream: ok + "Content-Length: 1\r\n\r\nx", want: []string{"done last"}},
		{name: "switching", options: Options{Kind: HTTP}, stream: "HTTP/1.1 101 x\r\n\r\n", want: []string{"done last refused: status 101"}},
		{name: "wanted", options: Options{Kind: HTTP, HTTP: HTTPOptions{Status: status}}, stream: refused + "HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n" + welcome,
			want: []string{"done", "done", "done refused: status 200"}},
		{name: "redirect", options: Options{Kind: HTTP}, stream: "HTTP/1.1 302 x\r\nContent-Length: 0\r\n\r\nHTTP/1.1 400 x\r\nContent-Length: 0\r\n\r\n", want: []string{"done", "done refused: status 400"}},
		{name: "not http", options: Options{Kind: HTTP}, stream: "SSH-2.0", want: []string{"not http1: not an HTTP status line"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t, tc.options)
			for _, step := range []int{len(tc.stream), 1, 7} {
				got := hearAll(t, s, []byte(tc.stream), step, tc.fin)
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("%d bytes at a time (-want +got):\n%s", step, diff)
				}
				talk := s.talk
				s.Close()
				s = talk.Open("example.com") // usually the same again: nothing of before may be left
			}
		})
	}
}

// TestClose gives sessions back in the middle of an answer that is refused, and finds nothing of it in the next.
func TestClose(t *testing.T) {
	s := open(t, Options{Kind: HTTP})
	for range 10 { // a sync.Pool may forget
		hearAll(t, s, []byte("HTTP/1.1 100 x\r\n\r\nHTTP/1.1 503 x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nso"), 1, false)
		talk := s.talk
		s.Close()
		s = talk.Open("example.com")
		if got := hearAll(t, s, []byte(welcome), 100, false); len(got) != 1 || got[0] != "done" {
			t.Fatalf("got %q, want done", got)
		}
	}
}

func TestEnd(t *testing.T) {
	malformed := &protocol.MalformedError{Format: "http1", Reason: "status line too short"}
	for _, tc := range []struct {
		end     protocol.End
		err     error
		verdict protocol.Verdict
		reason  string
	}{
		{protocol.EndOfStream, nil, protocol.Closed, "closed before the end of the answer"},
		{protocol.EndReset, nil, protocol.Unfinished, "reset before the end of the answer"},
		{protocol.EndCancelled, nil, protocol.Unfinished, "cancelled before the end of the answer"},
		{protocol.EndTimeout, nil, protocol.Unfinished, "no end of the answer in time"},
		{protocol.EndMalformed, fmt.Errorf("read: %w", malformed), protocol.NotSpoken, "not http1: status line too short"},
		{protocol.EndMalformed, errors.New("tls: bad record"), protocol.NotSpoken, "tls: bad record"},
		{protocol.EndTooLarge, fmt.Errorf("head: %w", protocol.ErrTooLarge), protocol.OverLimit, "head: frame above the limit"},
		{protocol.EndTooLarge, nil, protocol.OverLimit, "frame above the limit"},
	} {
		s := open(t, Options{Kind: HTTP})
		want := Heard{Done: true, Last: true, Verdict: tc.verdict, Reason: tc.reason}
		if got := s.End(tc.end, tc.err); got != want {
			t.Errorf("%d, %v: got %+v, want %+v", tc.end, tc.err, got, want)
		}
	}
}

// FuzzHear holds that what is heard does not depend on how the bytes come, nor on what a session was used for before.
func FuzzHear(f *testing.F) {
	for i := range answers {
		f.Add(uint8(i), []byte(answers[i].answer+answers[i].answer))
	}
	f.Add(uint8(4), []byte("HTTP/1.1 100 x\r\n\r\nHTTP/1.0 200\r\nConnection: close\r\n\r\nx"))
	f.Fuzz(func(t *testing.T, kind uint8, stream []byte) {
		if len(stream) > 4<<10 {
			return // taken one by one, long streams only cost time
		}
		o := answers[int(kind)%len(answers)].options
		used := open(t, o)
		want := hearAll(t, open(t, o), stream, len(stream)+1, true)
		for range 2 {
			if diff := cmp.Diff(want, hearAll(t, used, stream, 1, true)); diff != "" {
				t.Errorf("%q, byte by byte (-whole +bytes):\n%s", stream, diff)
			}
			talk := used.talk
			used.Close()
			used = talk.Open("example.com")
		}
	})
}
