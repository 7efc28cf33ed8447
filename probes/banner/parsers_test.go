package banner

import (
	"strings"
	"testing"

	"sonde/protocol"
	"sonde/protocol/fixed"
	"sonde/protocol/line"
	"sonde/protocol/protocoltest"
)

var chunkSamples = protocoltest.Samples{
	Valid: []protocoltest.Valid{
		{Name: "text", Stream: "hello\r\n\x00\xff", Frames: []protocoltest.Frame{{Data: "hello\r\n\x00\xff"}}},
	},
	Parts: []uint8{0},
}

func newChunkParser() protocol.FrameParser { return chunkParser{} }

func TestChunkParser(t *testing.T) {
	s := chunkSamples
	long := strings.Repeat("x", protocol.MaxFrameSize+1)
	s.Valid = append(s.Valid[:1:1], protocoltest.Valid{Name: "more than a frame", Stream: long, Frames: []protocoltest.Frame{{Data: long}}})
	protocoltest.Run(t, newChunkParser, s)
}

func FuzzChunkParser(f *testing.F) {
	protocoltest.FuzzParts(f, newChunkParser, chunkSamples.Parts, chunkSamples.Seeds()...)
}

func TestLimitParser(t *testing.T) {
	newParser := func() protocol.FrameParser { return &limitParser{inner: line.New(line.Options{}), max: 8} }
	protocoltest.Run(t, newParser, protocoltest.Samples{
		Valid: []protocoltest.Valid{
			{Name: "lines", Stream: "ab\nc\r\n", Frames: []protocoltest.Frame{{Data: "ab"}, {Data: "c"}}},
			{Name: "just fits", Stream: "123456\r\n", Frames: []protocoltest.Frame{{Data: "123456"}}},
			{Name: "end of stream", Stream: "ab\nc", Frames: []protocoltest.Frame{{Data: "ab"}, {Data: "c"}}, AtEnd: true},
		},
		TooLarge: []protocoltest.Bad{
			{Name: "ending one byte late", Stream: "1234567\r\n", Reason: "8 bytes"},
			{Name: "no ending", Stream: "12345678"},
		},
	})
}

// The engine does not call a parser with fewer bytes than it wants. It must want no more than the limit.
func TestLimitParserIsAskedAtTheLimit(t *testing.T) {
	p := &limitParser{inner: fixed.New(fixed.Options{Size: 100}), max: 8}
	if got := p.MinFrameSize(); got != 8 {
		t.Errorf("MinFrameSize: got %d, want 8", got)
	}
	if _, _, err := p.ParseEnd([]byte("abc")); err != protocol.ErrIncomplete {
		t.Errorf("ParseEnd of a parser without one: got %v, want ErrIncomplete", err)
	}
}

// One long banner must not leave a large buffer with an exchange that the pool hands to thousands of short ones.
func TestLongBufferIsNotKept(t *testing.T) {
	for size, kept := range map[int]bool{100: true, 2 * DefaultReadBytes: false} {
		x := newExchange(&config{readBytes: MostReadBytes})
		x.OnFrame(protocol.Frame{Data: make([]byte, size)})
		x.Conclusion()
		if got := cap(x.heard) > 0; got != kept {
			t.Errorf("buffer of %d bytes kept: got %t, want %t", size, got, kept)
		}
	}
}
