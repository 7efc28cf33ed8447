package talk

import (
	"testing"
)

// TestDefaults asks each kind for its shortest operation.
func TestDefaults(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options Options
		request string
		answer  string
	}{
		{"echo", Options{Kind: Echo}, defaultLine, defaultLine},
		{"redis", Options{Kind: Redis}, ping, "+PONG\r\n"},
		{"http", Options{Kind: HTTP}, "GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: sonde\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"},
		{"frame", Options{Kind: Frame, Frame: "line", Payload: []byte("hello\n")}, "hello\n", "welcome\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t, tc.options)
			if got := say(s); got != tc.request {
				t.Errorf("request: got %q, want %q", got, tc.request)
			}
			got := hear(t, s, tc.answer)
			if want := (Heard{Done: true, Bytes: len(tc.answer)}); got != want {
				t.Errorf("answer: got %+v, want %+v", got, want)
			}
		})
	}
}

// open returns a session of what o says.
func open(t testing.TB, o Options) *Session {
	t.Helper()
	talk, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return talk.Open("example.com")
}

func say(s *Session) string {
	var all []byte
	for _, b := range s.Request() {
		all = append(all, b...)
	}
	return string(all)
}

// hear gives the session all of stream and returns what the last frame said, with the bytes of all.
func hear(t testing.TB, s *Session, stream string) Heard {
	t.Helper()
	var h Heard
	total := 0
	for buf := []byte(stream); len(buf) > 0; {
		f, n, err := s.Parser().ParseFrame(buf)
		if err != nil {
			t.Fatalf("%q: %v", buf, err)
		}
		h = s.Hear(f)
		total += h.Bytes
		buf = buf[n:]
	}
	h.Bytes = total
	return h
}
