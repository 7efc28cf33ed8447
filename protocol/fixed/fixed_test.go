package fixed_test

import (
	"fmt"
	"strings"
	"testing"

	"sonde/protocol"
	"sonde/protocol/fixed"
	"sonde/protocol/protocoltest"
)

func newParser() protocol.FrameParser { return fixed.New(fixed.Options{Size: 4}) }

var samples = protocoltest.Samples{
	Valid: []protocoltest.Valid{
		{Name: "one", Stream: "abcd", Frames: []protocoltest.Frame{{Data: "abcd"}}},
		{Name: "two", Stream: "abcd\x00\xff\r\n", Frames: []protocoltest.Frame{{Data: "abcd"}, {Data: "\x00\xff\r\n"}}},
		{Name: "a part is left", Stream: "abcdef", Frames: []protocoltest.Frame{{Data: "abcd"}}, Rest: 2},
	},
}

func TestParser(t *testing.T) { protocoltest.Run(t, newParser, samples) }

func TestOneByte(t *testing.T) {
	protocoltest.Run(t, func() protocol.FrameParser { return fixed.New(fixed.Options{Size: 1}) }, protocoltest.Samples{
		Valid: []protocoltest.Valid{{Name: "two", Stream: "ab", Frames: []protocoltest.Frame{{Data: "a"}, {Data: "b"}}}},
	})
}

func TestLargest(t *testing.T) {
	text := strings.Repeat("x", protocol.MaxFrameSize)
	newParser := func() protocol.FrameParser { return fixed.New(fixed.Options{Size: protocol.MaxFrameSize}) }
	protocoltest.Run(t, newParser, protocoltest.Samples{
		Valid: []protocoltest.Valid{{Name: "64 KiB", Stream: text, Frames: []protocoltest.Frame{{Data: text}}}},
	})
}

func FuzzParser(f *testing.F) { protocoltest.Fuzz(f, newParser, samples.Seeds()...) }

func TestValidate(t *testing.T) {
	for size, ok := range map[int]bool{-1: false, 0: false, 1: true, protocol.MaxFrameSize: true, protocol.MaxFrameSize + 1: false} {
		if err := (fixed.Options{Size: size}).Validate(); (err == nil) != ok {
			t.Errorf("Size %d: got %v, want valid %t", size, err, ok)
		}
	}
}

func BenchmarkParseFrame(b *testing.B) {
	p := fixed.New(fixed.Options{Size: 16})
	buf := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := p.ParseFrame(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleParser() {
	p := fixed.New(fixed.Options{Size: 4})
	f, n, err := p.ParseFrame([]byte("PONGtrailer"))
	fmt.Printf("%s %d %v\n", f.Data, n, err)
	_, _, err = p.ParseFrame([]byte("PO"))
	fmt.Println(err)
	// Output:
	// PONG 4 <nil>
	// incomplete frame
}
