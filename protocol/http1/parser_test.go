package http1

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/protocol"
	"sonde/protocol/protocoltest"
)

type frames = []protocoltest.Frame

func head(data string) protocoltest.Frame { return protocoltest.Frame{Kind: Head, Data: data} }
func end(data string) protocoltest.Frame  { return protocoltest.Frame{Kind: End, Data: data} }

const (
	ok      = "HTTP/1.1 200 OK\r\n"
	chunked = ok + "Transfer-Encoding: chunked\r\n"
)

var long = strings.Repeat("0123456789abcdef", protocol.MaxFrameSize/16+1) // above the largest buffer

var samples = protocoltest.Samples{
	Parts: []uint8{Body, End},
	Valid: []protocoltest.Valid{
		{Name: "length", Stream: ok + "Content-Length: 5\r\n\r\nhello", Frames: frames{head(ok + "Content-Length: 5\r\n"), end("hello")}},
		{Name: "length zero", Stream: ok + "Content-Length: 0\r\n\r\n", Frames: frames{head(ok + "Content-Length: 0\r\n")}},
		{Name: "same length twice in a list", Stream: ok + "Content-Length: 2, 2\r\n\r\nhi", Frames: frames{head(ok + "Content-Length: 2, 2\r\n"), end("hi")}},
		{Name: "same length in two fields", Stream: ok + "Content-Length: 2\r\ncontent-length: 2\r\n\r\nhi", Frames: frames{head(ok + "Content-Length: 2\r\ncontent-length: 2\r\n"), end("hi")}},
		{Name: "no body with 204", Stream: "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", Frames: frames{head("HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n")}},
		{Name: "no body with 304", Stream: "HTTP/1.1 304 \r\nTransfer-Encoding: chunked\r\n\r\n", Frames: frames{head("HTTP/1.1 304 \r\nTransfer-Encoding: chunked\r\n")}},
		{Name: "interim before final", Stream: "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok + "Content-Length: 1\r\n\r\nx",
			Frames: frames{head("HTTP/1.1 103 Early Hints\r\nLink: x\r\n"), head(ok + "Content-Length: 1\r\n"), end("x")}},
		{Name: "until the end", Stream: ok + "\r\nall of it", Frames: frames{head(ok), end("all of it")}, AtEnd: true},
		{Name: "empty until the end", Stream: "HTTP/1.0 200 OK\r\n\r\n", Frames: frames{head("HTTP/1.0 200 OK\r\n"), end("")}, AtEnd: true},
		{Name: "last coding is not chunked", Stream: ok + "Transfer-Encoding: chunked, gzip\r\n\r\nzz", Frames: frames{head(ok + "Transfer-Encoding: chunked, gzip\r\n"), end("zz")}, AtEnd: true},
		{Name: "chunks", Stream: chunked + "\r\n4\r\nWiki\r\nA\r\n0123456789\r\n0\r\n\r\n", Frames: frames{head(chunked), end("Wiki0123456789")}},
		{Name: "chunk extensions and trailers", Stream: chunked + "\r\n3;a=\"b;c\" ;d\r\nabc\r\n000;x\r\nExpires: never\r\n folded\r\nX: \n\r\n", Frames: frames{head(chunked), end("abc")}},
		{Name: "gzip, then chunked", Stream: ok + "Transfer-Encoding: gzip\r\nTransfer-Encoding: , Chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n",
			Frames: frames{head(ok + "Transfer-Encoding: gzip\r\nTransfer-Encoding: , Chunked\r\n"), end("z")}},
		{Name: "switching protocols", Stream: "HTTP/1.1 101 Switching Protocols\r\n\r\n", Frames: frames{head("HTTP/1.1 101 Switching Protocols\r\n")}, Once: true},
		{Name: "lone LF", Stream: "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", Frames: frames{head("HTTP/1.1 200 OK\nContent-Length: 2\n"), end("hi")}},
		{Name: "no reason and no space", Stream: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", Frames: frames{head("HTTP/1.1 200\r\nContent-Length: 0\r\n")}},
		{Name: "folded length", Stream: ok + "Content-Length:\r\n\t2\r\n\r\nhi", Frames: frames{head(ok + "Content-Length:\r\n\t2\r\n"), end("hi")}},
		{Name: "space before the colon", Stream: ok + "Content-Length : 2\r\n\r\nhi", Frames: frames{head(ok + "Content-Length : 2\r\n"), end("hi")}},
		{Name: "body above the largest buffer", Stream: ok + "Content-Length: 65552\r\n\r\n" + long, Frames: frames{head(ok + "Content-Length: 65552\r\n"), end(long)}},
		{Name: "chunk above the largest buffer", Stream: chunked + "\r\n10010\r\n" + long + "\r\n0\r\n\r\n", Frames: frames{head(chunked), end(long)}},
		{Name: "cut in the head", Stream: ok + "Server", Rest: len(ok) + 6},
		{Name: "cut in a chunk's framing", Stream: chunked + "\r\n1\r\nx\r\n0\r\nA: b\r\n", Frames: frames{head(chunked), {Kind: Body, Data: "x"}}, Rest: 11},
	},
	Malformed: []protocoltest.Bad{
		{Name: "another protocol", Stream: "S", Reason: "not an HTTP status line"},
		{Name: "request line", Stream: "HTTX", Reason: "not an HTTP status line"},
		{Name: "HTTP/2", Stream: "HTTP/2.0 200 OK\r\n", Reason: "version is not 1.x"},
		{Name: "version with two digits", Stream: "HTTP/1.10 200 OK\r\n", Reason: "no space after the version"},
		{Name: "short status line", Stream: "HTTP/1.1 20\r\n", Reason: "too short"},
		{Name: "status code below 100", Stream: "HTTP/1.1 099 OK\r\n", Reason: "three digits"},
		{Name: "status code of letters", Stream: "HTTP/1.1 2OO OK\r\n", Reason: "three digits"},
		{Name: "status code of four digits", Stream: "HTTP/1.1 2000 OK\r\n", Reason: "no space after the status code"},
		{Name: "field without a colon", Stream: ok + "Server\r\n", Reason: "without a colon"},
		{Name: "field without a name", Stream: ok + ": x\r\n", Reason: "without a name"},
		{Name: "name that is no token", Stream: ok + "Ser ver: x\r\n", Reason: "not a token"},
		{Name: "whitespace before the first field", Stream: ok + " X: y\r\n", Reason: "before the first field"},
		{Name: "NUL in a value", Stream: ok + "X: \x00\r\n", Reason: "CR or NUL"},
		{Name: "CR in a value", Stream: ok + "X: a\rY: b\r\n", Reason: "CR or NUL"},
		{Name: "two CRs", Stream: ok + "X: a\r\r\n", Reason: "CR or NUL"},
		{Name: "length with a sign", Stream: ok + "Content-Length: +5\r\n\r\n", Reason: "not a number"},
		{Name: "length empty", Stream: ok + "Content-Length:\r\n\r\n", Reason: "not a number"},
		{Name: "length of 2^63", Stream: ok + "Content-Length: 9223372036854775808\r\n\r\n", Reason: "below 2^63"},
		{Name: "two lengths in a list", Stream: ok + "Content-Length: 2, 3\r\n\r\n", Reason: "two different lengths"},
		{Name: "two lengths in two fields", Stream: ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n", Reason: "two different lengths"},
		{Name: "length and chunked", Stream: chunked + "Content-Length: 2\r\n\r\n", Reason: "both"},
		{Name: "length before chunked", Stream: ok + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", Reason: "both"},
		{Name: "chunked twice", Stream: ok + "Transfer-Encoding: chunked, chunked\r\n\r\n", Reason: "chunked twice"},
		{Name: "chunked in HTTP/1.0", Stream: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Reason: "HTTP/1.0"},
		{Name: "bytes after 101", Stream: "HTTP/1.1 101 OK\r\n\r\nx", Frames: frames{head("HTTP/1.1 101 OK\r\n")}, Reason: "another protocol"},
		{Name: "chunk size of letters", Stream: chunked + "\r\nx", Frames: frames{head(chunked)}, Reason: "hexadecimal"},
		{Name: "chunk size with 0x", Stream: chunked + "\r\n0x", Frames: frames{head(chunked)}, Reason: "hexadecimal"},
		{Name: "chunk size negative", Stream: chunked + "\r\n-", Frames: frames{head(chunked)}, Reason: "hexadecimal"},
		{Name: "chunk size missing", Stream: chunked + "\r\n\r", Frames: frames{head(chunked)}, Reason: "hexadecimal"},
		{Name: "chunk size of 2^63", Stream: chunked + "\r\n8000000000000000", Frames: frames{head(chunked)}, Reason: "above 2^63"},
		{Name: "chunk line with LF alone", Stream: chunked + "\r\n1;x\n", Frames: frames{head(chunked)}, Reason: "LF alone"},
		{Name: "chunk line with CR alone", Stream: chunked + "\r\n1\rx", Frames: frames{head(chunked)}, Reason: "CR alone"},
		{Name: "chunk longer than its size", Stream: chunked + "\r\n1\r\nab", Frames: frames{head(chunked), {Kind: Body, Data: "a"}}, Reason: "no CRLF"},
		{Name: "trailer without a colon", Stream: chunked + "\r\n0\r\nab\r\n", Frames: frames{head(chunked)}, Reason: "without a colon"},
		{Name: "trailer that begins with a space", Stream: chunked + "\r\n0\r\n a: b\r\n", Frames: frames{head(chunked)}, Reason: "before the first trailer"},
	},
	TooLarge: []protocoltest.Bad{
		{Name: "head without an end", Stream: ok + "X: " + strings.Repeat("y", MaxHeadSize-len(ok)-3)},
		{Name: "too many fields", Stream: ok + strings.Repeat("X: y\r\n", MaxFields+1), Reason: "256"},
		{Name: "chunk line without an end", Stream: chunked + "\r\n1;" + strings.Repeat("x", MaxChunkLine-2), Frames: frames{head(chunked)}},
		{Name: "chunk size of zeros", Stream: chunked + "\r\n" + strings.Repeat("0", MaxChunkLine), Frames: frames{head(chunked)}},
		{Name: "trailers without an end", Stream: chunked + "\r\n0\r\nX: " + strings.Repeat("y", MaxHeadSize-3), Frames: frames{head(chunked)}},
		{Name: "too many trailers", Stream: chunked + "\r\n0\r\n" + strings.Repeat("X: y\r\n", MaxFields+1), Frames: frames{head(chunked)}},
	},
}

func newParser() protocol.FrameParser { return new(Parser) }

func TestParser(t *testing.T) { protocoltest.Run(t, newParser, samples) }

func FuzzParser(f *testing.F) {
	// The longest samples teach the fuzzer nothing and cost seconds when cut to single bytes.
	seeds := slices.DeleteFunc(samples.Seeds(), func(s []byte) bool { return len(s) > 4<<10 })
	protocoltest.FuzzParts(f, newParser, samples.Parts, seeds...)
}

func TestHeadRequest(t *testing.T) {
	response := ok + "Content-Length: 5\r\n\r\n"
	protocoltest.Run(t, func() protocol.FrameParser { return &Parser{HeadRequest: true} }, protocoltest.Samples{
		Valid: []protocoltest.Valid{
			{Name: "length", Stream: response, Frames: frames{head(ok + "Content-Length: 5\r\n")}},
			{Name: "chunked", Stream: chunked + "\r\n", Frames: frames{head(chunked)}},
		},
		Malformed: []protocoltest.Bad{
			{Name: "a body all the same", Stream: response + "h", Frames: frames{head(ok + "Content-Length: 5\r\n")}},
		},
	})
}

func TestAccessors(t *testing.T) {
	var p Parser
	if p.Status() != 0 || p.Version() != "" || p.ContentLength() != -1 || p.Header("Server") != nil || p.Reason() != nil {
		t.Error("accessors before the first head: got values, want none")
	}
	stream := []byte("HTTP/1.0 404 Not  Found \r\nServer:\t x y \r\nEmpty:\r\nLong: a\r\n  b \r\n \t\r\n\tc\r\nserver: second\r\nContent-Length: 3\r\n\r\nabc")
	_, n, err := p.ParseFrame(stream)
	if err != nil {
		t.Fatal(err)
	}
	if p.Status() != 404 || p.Version() != "1.0" || string(p.Reason()) != "Not  Found " || p.ContentLength() != 3 || !p.HasBody() || p.Interim() {
		t.Errorf("got %d, %q, %q, %d, %t, %t", p.Status(), p.Version(), p.Reason(), p.ContentLength(), p.HasBody(), p.Interim())
	}
	for name, want := range map[string]string{"SERVER": "x y", "empty": "", "Long": "a b c", "Content-length": "3"} {
		if got := p.Header(name); got == nil || string(got) != want {
			t.Errorf("Header(%q): got %q (nil: %t), want %q", name, got, got == nil, want)
		}
	}
	for _, name := range []string{"Serve", "Server\x20", "Content_Length", "@erver", ""} {
		if got := p.Header(name); got != nil {
			t.Errorf("Header(%q): got %q, want nil", name, got)
		}
	}
	var all []string
	for name, value := range p.Headers() {
		all = append(all, string(name)+"="+string(value))
	}
	want := []string{"Server=x y", "Empty=", "Long=a b c", "server=second", "Content-Length=3"}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("Headers differ (-want +got):\n%s", diff)
	}
	if allocs := testing.AllocsPerRun(10, func() { p.Header("content-length") }); allocs != 0 {
		t.Errorf("allocations of Header: got %v, want 0", allocs)
	}
	if _, _, err := p.ParseFrame(stream[n:]); err != nil {
		t.Fatal(err)
	}
	if p.Header("Server") != nil || p.Reason() != nil {
		t.Error("fields after the head's buffer went away: got some, want none")
	}
	if p.Status() != 404 || p.ContentLength() != 3 {
		t.Errorf("after the body: got %d, %d, want 404, 3", p.Status(), p.ContentLength())
	}
}

func TestInterim(t *testing.T) {
	for status, want := range map[string]bool{"100": true, "103": true, "199": true, "101": false, "200": false} {
		var p Parser
		if _, _, err := p.ParseFrame([]byte("HTTP/1.1 " + status + " x\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if got := p.Interim(); got != want {
			t.Errorf("Interim for %s: got %t, want %t", status, got, want)
		}
	}
}

// TestLimitIsExact sends the largest head that is allowed.
func TestLimitIsExact(t *testing.T) {
	stream := []byte(ok + "X: " + strings.Repeat("y", MaxHeadSize-len(ok)-len("X: \r\n\r\n")) + "\r\n\r\n")
	var p Parser
	if _, n, err := p.ParseFrame(stream); n != MaxHeadSize || err != nil {
		t.Errorf("head of %d bytes: got %d, %v, want it whole", len(stream), n, err)
	}
	p.Reset()
	if _, _, err := p.ParseFrame(slices.Insert(stream, len(ok), 'X')); !errors.Is(err, protocol.ErrTooLarge) {
		t.Errorf("head of %d bytes: got %v, want ErrTooLarge", len(stream)+1, err)
	}
}

// TestPersistent tells connections that go on from those that end (RFC 9112 s.9.3).
func TestPersistent(t *testing.T) {
	for _, tc := range []struct {
		name, stream string
		want         bool
	}{
		{"default of 1.1", ok + "Content-Length: 0\r\n\r\n", true},
		{"default of 1.0", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false},
		{"1.0 with keep-alive", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n", true},
		{"close", ok + "Connection: close\r\nContent-Length: 5\r\n\r\n", false},
		{"close in a list", ok + "Connection: keep-alive , CLOSE\r\nContent-Length: 5\r\n\r\n", false},
		{"close in a second field", ok + "Connection: x\r\nconnection: close\r\nContent-Length: 5\r\n\r\n", false},
		{"close folded", ok + "Connection: x,\r\n close\r\nContent-Length: 5\r\n\r\n", false},
		{"close in another field", ok + "Proxy-Connection: close\r\nContent-Length: 5\r\n\r\n", true},
		{"closed is not close", ok + "Connection: closed\r\nContent-Length: 5\r\n\r\n", true},
		{"body until the end", ok + "Connection: keep-alive\r\n\r\n", false},
		{"chunked", chunked + "\r\n", true},
		{"no body", "HTTP/1.1 204 No Content\r\n\r\n", true},
		{"switching protocols", "HTTP/1.1 101 Switching Protocols\r\n\r\n", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var p Parser
			if p.Persistent() {
				t.Error("before the first head: got true")
			}
			if _, _, err := p.ParseFrame([]byte(tc.stream)); err != nil {
				t.Fatal(err)
			}
			if got := p.Persistent(); got != tc.want {
				t.Errorf("got %t, want %t", got, tc.want)
			}
		})
	}
}

// TestLongNames has two fields with names above 63 bytes, which are looked for as all others.
func TestLongNames(t *testing.T) {
	name := strings.Repeat("n", 70)
	var p Parser
	if _, _, err := p.ParseFrame([]byte(ok + name + "n: x\r\n" + name + ": y\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if got := string(p.Header(name)); got != "y" {
		t.Errorf("got %q, want %q", got, "y")
	}
}

// welcome is nginx's answer with its default page.
var welcome = ok + "Server: nginx/1.26.3\r\nDate: Sat, 21 Nov 2026 15:18:29 GMT\r\nContent-Type: text/html\r\nContent-Length: 615\r\n" +
	"Last-Modified: Wed, 05 Feb 2025 12:00:00 GMT\r\nConnection: keep-alive\r\nETag: \"67a35ac0-267\"\r\nAccept-Ranges: bytes\r\n\r\n" + long[:615]

func BenchmarkParser(b *testing.B) {
	streams := map[string]string{
		"length":  ok + "Server: nginx\r\nDate: Mon, 27 Jul 2009 12:28:53 GMT\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello",
		"nginx":   welcome,
		"chunked": chunked + "Server: nginx\r\n\r\n4\r\nWiki\r\n6\r\npedia \r\n0\r\n\r\n",
	}
	for _, name := range []string{"length", "nginx", "chunked"} {
		b.Run(name, func(b *testing.B) {
			stream := []byte(streams[name])
			var p Parser
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				for buf := stream; len(buf) > 0; {
					_, n, err := p.ParseFrame(buf)
					if err != nil {
						b.Fatal(err)
					}
					buf = buf[n:]
				}
			}
		})
	}
}
