package talk

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/probes"
	"sonde/protocol"
)

func TestRequest(t *testing.T) {
	message := "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
	for _, tc := range []struct {
		name string
		http HTTPOptions
		want string
	}{
		{"default", HTTPOptions{}, "GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: sonde\r\n\r\n"},
		{"all", HTTPOptions{Method: "PUT", Path: "/a?b", Host: "h:81", Headers: []string{"X-A: 1", "user-agent:me "}, Body: []byte("hi")},
			"PUT /a?b HTTP/1.1\r\nHost: h:81\r\nX-A: 1\r\nuser-agent: me\r\nContent-Length: 2\r\n\r\nhi"},
		{"host as a header", HTTPOptions{Headers: []string{"Host: other"}}, "GET / HTTP/1.1\r\nUser-Agent: sonde\r\nHost: other\r\n\r\n"},
		{"body alone", HTTPOptions{Body: []byte("hi")}, "POST / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: sonde\r\nContent-Length: 2\r\n\r\nhi"},
		{"post without a body", HTTPOptions{Method: "POST"}, "POST / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: sonde\r\nContent-Length: 0\r\n\r\n"},
		{"options", HTTPOptions{Method: "OPTIONS", Path: "*"}, "OPTIONS * HTTP/1.1\r\nHost: example.com\r\nUser-Agent: sonde\r\n\r\n"},
		{"message", HTTPOptions{Message: []byte(message)}, message},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := say(open(t, Options{Kind: HTTP, HTTP: tc.http})); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestHosts opens sessions to several hosts: each has its own field, and those of one host share their bytes.
func TestHosts(t *testing.T) {
	talk, err := New(Options{Kind: HTTP})
	if err != nil {
		t.Fatal(err)
	}
	for host, field := range map[string]string{
		"192.0.2.1:8080": "192.0.2.1:8080", "[2001:db8::1]": "[2001:db8::1]", "a\r\nX: y": "", "a/b": "",
	} {
		if got, want := say(talk.Open(host)), "Host: "+field+"\r\n"; !strings.Contains(got, "\r\n"+want) || strings.Contains(got, "X: y") {
			t.Errorf("%q: got %q, want %q in it", host, got, want)
		}
	}
	a, b, other := talk.Open("a").Request(), talk.Open("a").Request(), talk.Open("b").Request()
	if &a[0][0] != &b[0][0] || &a[0][0] == &other[0][0] {
		t.Error("the bytes of a request are not made once for each host")
	}
}

// TestRequestStays changes what New was given and gives a session back: the bytes of the request are the same.
func TestRequestStays(t *testing.T) {
	payload := []byte("hello\n")
	s := open(t, Options{Kind: Echo, Payload: payload})
	payload[0] = 'J'
	request := s.Request()
	s.Close()
	if got := string(request[0]); got != "hello\n" {
		t.Errorf("got %q, want what New was given", got)
	}
}

func TestNewRefuses(t *testing.T) {
	head := "GET / HTTP/1.1\r\nHost: a\r\n"
	for _, tc := range []struct {
		name    string
		options Options
		want    string
	}{
		{"no kind", Options{}, "want echo, redis, http or frame"},
		{"unknown kind", Options{Kind: "gopher"}, `"gopher" is not spoken`},
		{"echo without LF", Options{Kind: Echo, Payload: []byte("x")}, "does not end in LF"},
		{"echo of nothing", Options{Kind: Echo, Payload: []byte{}}, "does not end in LF"},
		{"echo of two lines", Options{Kind: Echo, Payload: []byte("a\nb\n")}, "several lines"},
		{"echo too long", Options{Kind: Echo, Payload: []byte(strings.Repeat("x", protocol.MaxFrameSize) + "\n")}, "at most 65536"},
		{"redis without an end", Options{Kind: Redis, Payload: []byte("PING")}, "does not end in CRLF"},
		{"frame without a format", Options{Kind: Frame, Payload: []byte("x")}, "format of the answer is missing"},
		{"frame without bytes", Options{Kind: Frame, Frame: "line"}, "nothing to send"},
		{"bad format", Options{Kind: Frame, Frame: "lime", Payload: []byte("x")}, `did you mean "line"`},
		{"format of another kind", Options{Kind: Echo, Frame: "line"}, "not for echo"},
		{"http of another kind", Options{Kind: Redis, HTTP: HTTPOptions{Path: "/"}}, "not for redis"},
		{"payload of http", Options{Kind: HTTP, Payload: []byte("x")}, "give a body or a message"},
		{"method", Options{Kind: HTTP, HTTP: HTTPOptions{Method: "GET /"}}, "is not a method"},
		{"tunnel", Options{Kind: HTTP, HTTP: HTTPOptions{Method: "CONNECT"}}, "CONNECT"},
		{"path", Options{Kind: HTTP, HTTP: HTTPOptions{Path: "x"}}, "begin with a slash"},
		{"path with a space", Options{Kind: HTTP, HTTP: HTTPOptions{Path: "/a b"}}, "%20"},
		{"host", Options{Kind: HTTP, HTTP: HTTPOptions{Host: "a\r\n"}}, "not allowed in a host"},
		{"host twice", Options{Kind: HTTP, HTTP: HTTPOptions{Host: "a", Headers: []string{"host: b"}}}, "given twice"},
		{"header without a colon", Options{Kind: HTTP, HTTP: HTTPOptions{Headers: []string{"X"}}}, "no colon"},
		{"header without a name", Options{Kind: HTTP, HTTP: HTTPOptions{Headers: []string{": x"}}}, "not a header's name"},
		{"header with a line end", Options{Kind: HTTP, HTTP: HTTPOptions{Headers: []string{"X: a\nb"}}}, "line end"},
		{"length", Options{Kind: HTTP, HTTP: HTTPOptions{Headers: []string{"content-length: 1"}}}, "follow from the body"},
		{"status", Options{Kind: HTTP, HTTP: HTTPOptions{Status: []probes.StatusRange{{From: 99, To: 200}}}}, "99-200"},
		{"message and path", Options{Kind: HTTP, HTTP: HTTPOptions{Path: "/", Message: []byte(head + "\r\n")}}, "leave out"},
		{"message empty", Options{Kind: HTTP, HTTP: HTTPOptions{Message: []byte{}}}, "does not end"},
		{"message without an end", Options{Kind: HTTP, HTTP: HTTPOptions{Message: []byte(head)}}, "does not end"},
		{"message with LF", Options{Kind: HTTP, HTTP: HTTPOptions{Message: []byte("GET / HTTP/1.1\nHost: a\n\n")}}, "LF alone"},
		{"message without a request line", Options{Kind: HTTP, HTTP: HTTPOptions{Message: []byte("hello\r\n\r\n")}}, "want a request line"},
		{"message with another version", Options{Kind: HTTP, HTTP: HTTPOptions{Message: []byte("GET / HTTP/2\r\n\r\n")}}, "want a request line"},
		{"message with a bad header", Options{Kind: HTTP, HTTP: HTTPOptions{Message: []byte(head + "x\r\n\r\n")}}, "no colon"},
		{"message with a long body", Options{Kind: HTTP, HTTP: HTTPOptions{Message: []byte(head + "\r\nxx")}}, "has 2 bytes, but its head promises 0"},
		{"message with a short body", Options{Kind: HTTP, HTTP: HTTPOptions{Message: []byte(head + "Content-Length: 3\r\n\r\nxx")}}, "has 2 bytes, but its head promises 3"},
		{"message with two lengths", Options{Kind: HTTP, HTTP: HTTPOptions{Message: []byte(head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nxx")}}, "not one number"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := New(tc.options)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q in it", err, tc.want)
			}
		})
	}
}

// TestOptionsTravel sends options to another process.
func TestOptionsTravel(t *testing.T) {
	want := Options{Kind: HTTP, Payload: []byte{0, 255}, Frame: "line", HTTP: HTTPOptions{
		Method: "GET", Path: "/", Host: "h", Headers: []string{"A: b"}, Body: []byte("b"), Message: []byte("m"),
		Status: []probes.StatusRange{{From: 200, To: 299}},
	}}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Options
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
}

// FuzzMessage holds what New takes for a message to be sent as it is.
func FuzzMessage(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	f.Add([]byte("PUT / HTTP/1.0\r\nConnection: keep-alive, x\r\nContent-Length: 2\r\n\r\nhi"))
	f.Add([]byte("GET / HTTP/1.1\nHost: a\r\n\r\n"))
	f.Fuzz(func(t *testing.T, message []byte) {
		talk, err := New(Options{Kind: HTTP, HTTP: HTTPOptions{Message: message}})
		if err != nil {
			return
		}
		if got := say(talk.Open("h")); got != string(message) {
			t.Errorf("got %q, want %q", got, message)
		}
	})
}
