package delim_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"sonde/protocol"
	"sonde/protocol/delim"
	"sonde/protocol/protocoltest"
)

func parserOf(delimiter string, max int) func() protocol.FrameParser {
	return func() protocol.FrameParser { return delim.New(delim.Options{Delimiter: []byte(delimiter), Max: max}) }
}

func frames(data ...string) []protocoltest.Frame {
	var out []protocoltest.Frame
	for _, d := range data {
		out = append(out, protocoltest.Frame{Data: d})
	}
	return out
}

var dotSamples = protocoltest.Samples{
	Valid: []protocoltest.Valid{
		{Name: "one", Stream: "abc\r\n.\r\n", Frames: frames("abc")},
		{Name: "empty", Stream: "\r\n.\r\n\r\n.\r\n", Frames: frames("", "")},
		{Name: "starts that lead nowhere", Stream: "\r\n.\r\r\n.\r\n", Frames: frames("\r\n.\r")},
		{Name: "longest", Stream: "12345678\r\n.\r\n", Frames: frames("12345678")},
		{Name: "no delimiter at the end", Stream: "a\r\n.\r\nb\r\n.", Frames: frames("a"), Rest: 4},
	},
	TooLarge: []protocoltest.Bad{
		{Name: "delimiter too late", Stream: "123456789\r\n.\r\n", Reason: "8 bytes"},
		{Name: "no delimiter", Stream: "1234567890123"},
		{Name: "second frame", Stream: "a\r\n.\r\n123456789\r\n.\r\n", Frames: frames("a")},
	},
}

func TestLongDelimiter(t *testing.T) { protocoltest.Run(t, parserOf("\r\n.\r\n", 8), dotSamples) }

func TestOneByte(t *testing.T) {
	protocoltest.Run(t, parserOf("\x00", 3), protocoltest.Samples{
		Valid: []protocoltest.Valid{
			{Name: "some", Stream: "\x00a\x00bcd\x00", Frames: frames("", "a", "bcd")},
		},
		TooLarge: []protocoltest.Bad{{Name: "four bytes", Stream: "bcde"}},
	})
}

func TestDelimiterThatOverlapsItself(t *testing.T) {
	protocoltest.Run(t, parserOf("abab", 0), protocoltest.Samples{
		Valid: []protocoltest.Valid{
			{Name: "the first one counts", Stream: "aababababab", Frames: frames("a", ""), Rest: 2},
			{Name: "start of one is left", Stream: "xababab", Frames: frames("x"), Rest: 2},
		},
	})
}

func FuzzParser(f *testing.F) { protocoltest.Fuzz(f, parserOf("\r\n.\r\n", 8), dotSamples.Seeds()...) }

func TestDefaultLimit(t *testing.T) {
	p := delim.New(delim.Options{Delimiter: []byte("--")})
	text := strings.Repeat("x", protocol.MaxFrameSize-2)
	if _, n, err := p.ParseFrame([]byte(text + "--")); err != nil || n != protocol.MaxFrameSize {
		t.Errorf("longest frame: consumed %d, %v", n, err)
	}
	if _, _, err := p.ParseFrame([]byte(text + "x--")); !errors.Is(err, protocol.ErrTooLarge) {
		t.Errorf("one byte more: got %v, want ErrTooLarge", err)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		delimiter string
		max       int
		ok        bool
	}{
		{"", 0, false},
		{"x", 0, true},
		{strings.Repeat("x", 16), 0, true},
		{strings.Repeat("x", 17), 0, false},
		{"xx", protocol.MaxFrameSize - 2, true},
		{"xx", protocol.MaxFrameSize - 1, false},
		{"xx", -1, false},
	} {
		err := delim.Options{Delimiter: []byte(c.delimiter), Max: c.max}.Validate()
		if (err == nil) != c.ok {
			t.Errorf("delimiter %q, max %d: got %v, want valid %t", c.delimiter, c.max, err, c.ok)
		}
	}
}

// What the caller does with its slice later is not the parser's business.
func TestNewCopiesTheDelimiter(t *testing.T) {
	d := []byte(";")
	p := delim.New(delim.Options{Delimiter: d})
	d[0] = 'b'
	f, _, err := p.ParseFrame([]byte("abc;"))
	if err != nil || string(f.Data) != "abc" {
		t.Errorf("got %q, %v, want abc", f.Data, err)
	}
}

// A frame that trickles in must not be searched from its start with each byte.
func TestLooksAtEachByteOnce(t *testing.T) {
	p := delim.New(delim.Options{Delimiter: []byte("--")})
	buf := []byte("abc-")
	if _, _, err := p.ParseFrame(buf); err != protocol.ErrIncomplete {
		t.Fatalf("got %v, want ErrIncomplete", err)
	}
	// The contract says that the bytes stay the same. Breaking it shows what is looked at again.
	copy(buf, "--c-")
	f, _, err := p.ParseFrame(append(buf, '-'))
	if err != nil || string(f.Data) != "--c" {
		t.Errorf("got %q, %v: the first bytes were searched twice", f.Data, err)
	}
}

func BenchmarkParseFrame(b *testing.B) {
	p := delim.New(delim.Options{Delimiter: []byte("\r\n.\r\n")})
	buf := []byte(strings.Repeat("some text\r\n", 20) + ".\r\n")
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := p.ParseFrame(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleParser() {
	p := delim.New(delim.Options{Delimiter: []byte("\x00")})
	f, n, err := p.ParseFrame([]byte("key=value\x00next"))
	fmt.Printf("%s %d %v\n", f.Data, n, err)
	// Output: key=value 10 <nil>
}
