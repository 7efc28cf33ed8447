package lengthfield_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"sonde/protocol"
	"sonde/protocol/lengthfield"
	"sonde/protocol/protocoltest"
)

func frames(data ...string) []protocoltest.Frame {
	var out []protocoltest.Frame
	for _, d := range data {
		out = append(out, protocoltest.Frame{Data: d})
	}
	return out
}

// formats are layouts as they occur, each with good and bad streams.
var formats = []struct {
	name    string
	options lengthfield.Options
	samples protocoltest.Samples
}{
	{"default", lengthfield.Options{}, protocoltest.Samples{
		Valid: []protocoltest.Valid{
			{Name: "one", Stream: "\x00\x00\x00\x02hi", Frames: frames("\x00\x00\x00\x02hi")},
			{Name: "empty body", Stream: "\x00\x00\x00\x00", Frames: frames("\x00\x00\x00\x00")},
			{Name: "part of a header is left", Stream: "\x00\x00\x00\x00\x00\x00", Frames: frames("\x00\x00\x00\x00"), Rest: 2},
			{Name: "part of a body is left", Stream: "\x00\x00\x00\x03ab", Rest: 6},
		},
		TooLarge: []protocoltest.Bad{
			{Name: "one above 64 KiB", Stream: "\x00\x00\xff\xfd", Reason: "length 65533"},
			{Name: "all ones", Stream: "\xff\xff\xff\xff", Reason: "65536 bytes"},
		},
	}},
	{"little endian, three bytes, sequence behind (MySQL)", lengthfield.Options{Size: 3, LittleEndian: true, Adjust: 1, Strip: 4, Max: 300},
		protocoltest.Samples{
			Valid: []protocoltest.Valid{
				{Name: "two", Stream: "\x02\x00\x00\x00hi\x00\x00\x00\x01", Frames: frames("hi", "")},
				{Name: "second byte counts", Stream: "\x02\x01\x00\x00" + strings.Repeat("x", 258), Frames: frames(strings.Repeat("x", 258))},
			},
			TooLarge: []protocoltest.Bad{{Name: "third byte counts", Stream: "\x00\x00\x01"}},
		}},
	{"length counts itself, type before it (PostgreSQL)",
		lengthfield.Options{Offset: 1, Size: 4, Adjust: -4},
		protocoltest.Samples{
			Valid: []protocoltest.Valid{{Name: "R", Stream: "R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x04",
				Frames: frames("R\x00\x00\x00\x08\x00\x00\x00\x00", "Z\x00\x00\x00\x04")}},
			Malformed: []protocoltest.Bad{
				{Name: "length below itself", Stream: "R\x00\x00\x00\x03", Reason: "inside its header"},
				{Name: "length zero", Stream: "R\x00\x00\x00\x00", Reason: "length 0 (adjust -4)"},
				{Name: "second frame", Stream: "Z\x00\x00\x00\x04R\x00\x00\x00\x03", Frames: frames("Z\x00\x00\x00\x04")},
			},
		}},
	{"two bytes, whole frame counted, header stripped", lengthfield.Options{Size: 2, Adjust: -2, Strip: 2, Max: 6},
		protocoltest.Samples{
			Valid: []protocoltest.Valid{
				{Name: "longest", Stream: "\x00\x06abcd\x00\x02", Frames: frames("abcd", "")},
			},
			Malformed: []protocoltest.Bad{{Name: "length one", Stream: "\x00\x01"}},
			TooLarge:  []protocoltest.Bad{{Name: "one above the limit", Stream: "\x00\x07", Reason: "more than 6 bytes"}},
		}},
	{"one byte", lengthfield.Options{Size: 1, Offset: 2}, protocoltest.Samples{
		Valid: []protocoltest.Valid{{Name: "255", Stream: "\x05\x00\xff" + strings.Repeat("y", 255),
			Frames: frames("\x05\x00\xff" + strings.Repeat("y", 255))}},
	}},
	{"eight bytes", lengthfield.Options{Size: 8, Adjust: -8, Strip: 8}, protocoltest.Samples{
		Valid: []protocoltest.Valid{{Name: "ten", Stream: "\x00\x00\x00\x00\x00\x00\x00\x0ahi", Frames: frames("hi")}},
		Malformed: []protocoltest.Bad{
			{Name: "seven", Stream: "\x00\x00\x00\x00\x00\x00\x00\x07"},
		},
		TooLarge: []protocoltest.Bad{
			{Name: "2^64-1", Stream: "\xff\xff\xff\xff\xff\xff\xff\xff", Reason: "18446744073709551615"},
			{Name: "2^64-8, header and length wrap to 0", Stream: "\xff\xff\xff\xff\xff\xff\xff\xf8"},
			{Name: "2^63", Stream: "\x80\x00\x00\x00\x00\x00\x00\x00"},
			{Name: "2^63-1", Stream: "\x7f\xff\xff\xff\xff\xff\xff\xff"},
			{Name: "2^32", Stream: "\x00\x00\x00\x01\x00\x00\x00\x00"},
		},
	}},
	{"eight bytes, little endian", lengthfield.Options{Size: 8, LittleEndian: true, Strip: 8}, protocoltest.Samples{
		Valid:    []protocoltest.Valid{{Name: "two", Stream: "\x02\x00\x00\x00\x00\x00\x00\x00hi", Frames: frames("hi")}},
		TooLarge: []protocoltest.Bad{{Name: "2^56", Stream: "\x00\x00\x00\x00\x00\x00\x00\x01"}},
	}},
	{"more stripped than some frames have", lengthfield.Options{Size: 1, Strip: 3}, protocoltest.Samples{
		Valid:     []protocoltest.Valid{{Name: "just enough", Stream: "\x02ab\x03abc", Frames: frames("", "c")}},
		Malformed: []protocoltest.Bad{{Name: "too short", Stream: "\x01", Reason: "3 to strip"}},
	}},
	{"large negative adjust", lengthfield.Options{Adjust: -protocol.MaxFrameSize}, protocoltest.Samples{
		Valid: []protocoltest.Valid{{Name: "one byte", Stream: "\x00\x01\x00\x01x", Frames: frames("\x00\x01\x00\x01x")}},
		TooLarge: []protocoltest.Bad{
			{Name: "just above", Stream: "\x00\x01\xff\xfd"},
			{Name: "far above", Stream: "\x00\x02\x00\x02"},
		},
		Malformed: []protocoltest.Bad{{Name: "below", Stream: "\x00\x00\xff\xff"}},
	}},
}

func TestParser(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			protocoltest.Run(t, func() protocol.FrameParser { return lengthfield.New(f.options) }, f.samples)
		})
	}
}

func FuzzParser(f *testing.F) {
	f.Add([]byte("\x00\x0atwo bytes"), []byte{2}, int8(0), byte(0))
	for i, format := range formats {
		for _, seed := range format.samples.Seeds() {
			f.Add(seed, []byte{0}, int8(format.options.Adjust), byte(i))
		}
	}
	f.Fuzz(func(t *testing.T, stream, pieces []byte, adjust int8, shape byte) {
		o := lengthfield.Options{
			Offset: int(shape >> 5), Size: []int{1, 2, 3, 4, 8}[int(shape)%5], LittleEndian: shape&16 != 0,
			Adjust: int(adjust), Strip: int(shape >> 6),
		}
		newParser := func() protocol.FrameParser { return lengthfield.New(o) }
		if err := protocoltest.Check(newParser, stream, pieces); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	})
}

func TestLargestFrame(t *testing.T) {
	stream := append([]byte{0, 0, 0xff, 0xfc}, bytes.Repeat([]byte("z"), protocol.MaxFrameSize-4)...)
	f, n, err := lengthfield.New(lengthfield.Options{}).ParseFrame(stream)
	if err != nil || n != protocol.MaxFrameSize || len(f.Data) != n {
		t.Errorf("got %d bytes of data, consumed %d, %v, want all %d", len(f.Data), n, err, protocol.MaxFrameSize)
	}
}

// The caller learns the size of a frame from its header and need not ask again until it is all there.
func TestMinFrameSizeFollowsTheHeader(t *testing.T) {
	p := lengthfield.New(lengthfield.Options{Size: 2})
	if got := p.MinFrameSize(); got != 2 {
		t.Errorf("before the header: got %d, want 2", got)
	}
	if _, _, err := p.ParseFrame([]byte("\x00\x05a")); err != protocol.ErrIncomplete {
		t.Fatalf("got %v, want ErrIncomplete", err)
	}
	if got := p.MinFrameSize(); got != 7 {
		t.Errorf("after the header: got %d, want 7", got)
	}
	p.Reset()
	if got := p.MinFrameSize(); got != 2 {
		t.Errorf("after Reset: got %d, want 2", got)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		options lengthfield.Options
		want    string // a part of the error; empty for none
	}{
		{lengthfield.Options{}, ""},
		{lengthfield.Options{Size: 5}, "size 5"},
		{lengthfield.Options{Size: -1}, "size -1"},
		{lengthfield.Options{Max: -1}, "max -1"},
		{lengthfield.Options{Max: protocol.MaxFrameSize + 1}, "max 65537"},
		{lengthfield.Options{Offset: -1}, "offset -1"},
		{lengthfield.Options{Max: 8, Offset: 4}, ""},
		{lengthfield.Options{Max: 8, Offset: 5}, "offset 5"},
		{lengthfield.Options{Adjust: -protocol.MaxFrameSize - 1}, "adjust -65537"},
		{lengthfield.Options{Max: 8, Adjust: 4}, ""},
		{lengthfield.Options{Max: 8, Adjust: 5}, "adjust 5"},
		{lengthfield.Options{Strip: -1}, "strip -1"},
		{lengthfield.Options{Max: 8, Strip: 8}, ""},
		{lengthfield.Options{Max: 8, Strip: 9}, "strip 9"},
		{lengthfield.Options{Offset: math.MaxInt, Size: 8}, "offset"},
	} {
		err := c.options.Validate()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%+v: got %v, want nil", c.options, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%+v: got %v, want an error with %q", c.options, err, c.want)
		}
	}
}

func BenchmarkParseFrame(b *testing.B) {
	p := lengthfield.New(lengthfield.Options{Size: 2, Strip: 2})
	buf := append([]byte{0, 32}, make([]byte, 32)...)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := p.ParseFrame(buf); err != nil {
			b.Fatal(err)
		}
	}
}

// DNS over TCP: two bytes of length, then the message (RFC 1035 s.4.2.2).
func ExampleParser() {
	p := lengthfield.New(lengthfield.Options{Size: 2, Strip: 2})
	f, n, err := p.ParseFrame([]byte("\x00\x07message"))
	fmt.Printf("%s %d %v\n", f.Data, n, err)
	// Output: message 9 <nil>
}
