package line_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"sonde/protocol"
	"sonde/protocol/line"
	"sonde/protocol/protocoltest"
)

func newParser() protocol.FrameParser { return line.New(line.Options{Max: 8}) }

var samples = protocoltest.Samples{
	Valid: []protocoltest.Valid{
		{Name: "crlf", Stream: "220 hi\r\n", Frames: frames("220 hi")},
		{Name: "lf", Stream: "a\nbc\n", Frames: frames("a", "bc")},
		{Name: "mixed", Stream: "a\r\nb\nc\r\n", Frames: frames("a", "b", "c")},
		{Name: "empty lines", Stream: "\n\r\n\n", Frames: frames("", "", "")},
		{Name: "a CR that ends nothing", Stream: "a\rb\r\r\n", Frames: frames("a\rb\r")},
		{Name: "any byte", Stream: "\x00\xff\x80\n", Frames: frames("\x00\xff\x80")},
		{Name: "longest, lf", Stream: "12345678\n", Frames: frames("12345678")},
		{Name: "longest, crlf", Stream: "12345678\r\n", Frames: frames("12345678")},
		{Name: "no ending", Stream: "a\nlast", Frames: frames("a", "last"), AtEnd: true},
		{Name: "half an ending", Stream: "12345678\r", Frames: frames("12345678"), AtEnd: true},
	},
	TooLarge: []protocoltest.Bad{
		{Name: "no ending", Stream: "123456789", Reason: "8 bytes"},
		{Name: "lf", Stream: "123456789\n"},
		{Name: "crlf", Stream: "123456789\r\n"},
		{Name: "CR in the middle", Stream: "12345678\rx"},
		{Name: "second CR", Stream: "12345678\r\r"},
		{Name: "second line", Stream: "ok\n123456789", Frames: frames("ok")},
	},
}

func frames(data ...string) []protocoltest.Frame {
	var out []protocoltest.Frame
	for _, d := range data {
		out = append(out, protocoltest.Frame{Data: d})
	}
	return out
}

func TestParser(t *testing.T) { protocoltest.Run(t, newParser, samples) }

func FuzzParser(f *testing.F) { protocoltest.Fuzz(f, newParser, samples.Seeds()...) }

func TestDefaultLimit(t *testing.T) {
	text := strings.Repeat("x", line.MostMax)
	f, n, err := line.New(line.Options{}).ParseFrame([]byte(text + "\r\n"))
	if err != nil || n != protocol.MaxFrameSize || len(f.Data) != line.MostMax {
		t.Errorf("longest line: got %d bytes of data, consumed %d, %v", len(f.Data), n, err)
	}
	if _, _, err := line.New(line.Options{}).ParseFrame([]byte(text + "x")); !errors.Is(err, protocol.ErrTooLarge) {
		t.Errorf("one byte more: got %v, want ErrTooLarge", err)
	}
}

func TestValidate(t *testing.T) {
	for max, ok := range map[int]bool{-1: false, 0: true, 1: true, line.MostMax: true, line.MostMax + 1: false} {
		if err := (line.Options{Max: max}).Validate(); (err == nil) != ok {
			t.Errorf("Max %d: got %v, want valid %t", max, err, ok)
		}
	}
}

func TestNewPanicsOnBadOptions(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("got no panic, want one")
		}
	}()
	line.New(line.Options{Max: -1})
}

// A line that trickles in must not be searched from its start with each byte.
func TestLooksAtEachByteOnce(t *testing.T) {
	p := line.New(line.Options{})
	buf := []byte("abc")
	if _, _, err := p.ParseFrame(buf); err != protocol.ErrIncomplete {
		t.Fatalf("got %v, want ErrIncomplete", err)
	}
	// The contract says that the bytes stay the same. Breaking it shows what is looked at again.
	copy(buf, "a\nc")
	f, _, err := p.ParseFrame(append(buf, '\n'))
	if err != nil || string(f.Data) != "a\nc" {
		t.Errorf("got %q, %v: the first bytes were searched twice", f.Data, err)
	}
}

func BenchmarkParseFrame(b *testing.B) {
	p := line.New(line.Options{})
	buf := []byte("220 mail.example.net ESMTP ready\r\n")
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := p.ParseFrame(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleParser() {
	p := line.New(line.Options{Max: 512})
	buf := []byte("220 ready\r\n250 ok\r\nha")
	for {
		f, n, err := p.ParseFrame(buf)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s\n", f.Data)
		buf = buf[n:]
	}
	// Output:
	// 220 ready
	// 250 ok
	// incomplete frame
}
