package framespec_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"sonde/protocol"
	"sonde/protocol/framespec"
	"sonde/protocol/protocoltest"
)

// parse gives newParser for a spec that must be good.
func parse(t testing.TB, spec string) func() protocol.FrameParser {
	t.Helper()
	newParser, err := framespec.Parse(spec)
	if err != nil {
		t.Fatalf("Parse(%q): got %v, want nil", spec, err)
	}
	return newParser
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		spec, stream string
		frames       []string
		tooLarge     string // a stream above the limit; empty for none
	}{
		{"line", "a\r\nb\n", []string{"a", "b"}, ""},
		{"line:", "a\n", []string{"a"}, ""},
		{"line:max=3", "abc\n", []string{"abc"}, "abcd\n"},
		{`delim:\r\n`, "a\nb\r\n", []string{"a\nb"}, ""},
		{`delim:,max=1:\x2C\\\0\t`, `a,max=1:,\` + "\x00\tb,max=1:,\\\x00\t", []string{"a", "b"}, ""},
		{"delim:é", "aéb\xc3é", []string{"a", "b\xc3"}, ""},
		{"fixed:size=3", "abcdef", []string{"abc", "def"}, ""},
		{"len", "\x00\x00\x00\x02hi", []string{"\x00\x00\x00\x02hi"}, "\xff\xff\xff\xff"},
		{"len:", "\x00\x00\x00\x00", []string{"\x00\x00\x00\x00"}, ""},
		{"len:offset=0,size=4,order=be,adjust=0,max=65536,strip=0", "\x00\x00\x00\x01a", []string{"\x00\x00\x00\x01a"}, "\x00\x00\xff\xfd"},
		{"len:size=2,order=le,strip=2,max=9", "\x02\x00hi", []string{"hi"}, "\x08\x00"},
		{"len:offset=1,size=1,adjust=-2", "x\x04hi", []string{"x\x04hi"}, ""},
		{"len:size=1,adjust=+1,strip=2", "\x02_hi", []string{"hi"}, ""},
	} {
		t.Run(c.spec, func(t *testing.T) {
			s := protocoltest.Samples{Valid: []protocoltest.Valid{{Name: "stream", Stream: c.stream}}}
			for _, f := range c.frames {
				s.Valid[0].Frames = append(s.Valid[0].Frames, protocoltest.Frame{Data: f})
			}
			if c.tooLarge != "" {
				s.TooLarge = []protocoltest.Bad{{Name: "limit", Stream: c.tooLarge}}
			}
			protocoltest.Run(t, parse(t, c.spec), s)
		})
	}
}

// Each text is what a user reads: what is wrong, where, and how to mend it.
func TestParseErrors(t *testing.T) {
	const kinds = `write line or line:max=1024, delim:\r\n, fixed:size=16, len:offset=0,size=4,order=be`
	const lenKeys = "the keys are offset, size, order, adjust, max, strip"
	for _, c := range []struct{ spec, want string }{
		{"", `character 1: unknown kind of frame ""; ` + kinds},
		{"lines:max=3", `character 1: unknown kind of frame "lines"; did you mean "line"? ` + kinds},
		{"protobuf", `character 1: unknown kind of frame "protobuf"; ` + kinds},
		{"line:max=", `character 6: max has no value; write max=VALUE`},
		{"line:max", `character 6: max has no value; write max=VALUE`},
		{"line:max=1k", `character 6: max=1k: want a whole number`},
		{"line:max=99999999999999999999", `character 6: max=99999999999999999999: want a whole number`},
		{"line:max=00", "character 6: max=00: want at least 1"},
		{"line:max=65535", `max 65535: want 1 to 65534 bytes`},
		{"line:min=1", `character 6: unknown key "min"; did you mean "max"? the keys are max`},
		{"line:max=1,", `character 12: unknown key ""; the keys are max`},
		{"delim", `character 6: the delimiter is empty: want 1 to 16 bytes; write delim:TEXT, for example delim:\r\n`},
		{"delim:", `character 7: the delimiter is empty: want 1 to 16 bytes; write delim:TEXT, for example delim:\r\n`},
		{"delim:12345678901234567", `character 7: the delimiter has 17 bytes: want 1 to 16; write delim:TEXT, for example delim:\r\n`},
		{`delim:é\q`, `character 8: \q is no escape; the escapes are \r \n \t \0 \xHH \\`},
		{"fixed", "character 6: the size is missing; write fixed:size=N"},
		{"fixed:", "character 7: the size is missing; write fixed:size=N"},
		{"fixed:size=0", "character 7: size=0: want at least 1"},
		{"fixed:size=65537", "size 65537: want 1 to 65536 bytes"},
		{"fixed:size=16,size=17", "character 15: size is given twice; leave one out"},
		{"len:ofset=1", `character 5: unknown key "ofset"; did you mean "offset"? ` + lenKeys},
		{"len:size=4,endian=le", `character 12: unknown key "endian"; ` + lenKeys},
		{"len:order=big", "character 5: order=big: want be (the first byte is the highest) or le"},
		{"len:size=5", "size 5: a length has 1, 2, 3, 4 or 8 bytes"},
		{"len:size=0", "character 5: size=0: want at least 1"},
		{"len:max=0", "character 5: max=0: want at least 1"},
		{"len:max=65537", "max 65537: want 1 to 65536 bytes"},
		{"len:offset=-1", "offset -1: want 0 to 65532, so that the length field ends within max"},
		{"len:adjust=70000", "adjust 70000: want -65536 to 65532; above that every frame is longer than max"},
		{"len:strip=-1", "strip -1: want 0 to max (65536)"},
	} {
		newParser, err := framespec.Parse(c.spec)
		if err == nil || err.Error() != c.want {
			t.Errorf("Parse(%q):\n got %v\nwant %s", c.spec, err, c.want)
		}
		var e *framespec.Error
		if !errors.As(err, &e) || newParser != nil {
			t.Errorf("Parse(%q): got %T and parser %t, want an *Error alone", c.spec, err, newParser != nil)
		}
	}
}

func TestUnescape(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"plain é", "plain é"},
		{`\r\n\t\0\\`, "\r\n\t\x00\\"},
		{`\x00\xfF\x7a`, "\x00\xffz"},
		{`\012`, "\x0012"},
		{`\\n`, `\n`},
		{"\xff", "\xff"},
	} {
		got, err := framespec.Unescape(c.in)
		if err != nil || string(got) != c.want {
			t.Errorf("Unescape(%q): got %q, %v, want %q", c.in, got, err, c.want)
		}
	}
}

func TestUnescapeErrors(t *testing.T) {
	for _, c := range []struct {
		in     string
		at     int
		reason string
	}{
		{`\`, 1, `nothing follows the \`},
		{`abc\`, 4, `nothing follows the \`},
		{`éé\q`, 3, `\q is no escape`},
		{`\é`, 1, `\é is no escape`},
		{"\\\xff", 1, "\\\uFFFD is no escape"},
		{`\x`, 1, `\x wants two hex digits`},
		{`\x1`, 1, `\x wants two hex digits`},
		{`ok\x1g`, 3, `\x wants two hex digits`},
		{`\x+1`, 1, `\x wants two hex digits`},
		{`\x_1`, 1, `\x wants two hex digits`},
		{`\R`, 1, `\R is no escape`},
	} {
		got, err := framespec.Unescape(c.in)
		var e *framespec.Error
		if !errors.As(err, &e) {
			t.Errorf("Unescape(%q): got %q, %v, want an *Error", c.in, got, err)
			continue
		}
		if e.At != c.at || e.Reason != c.reason || !strings.Contains(e.Hint, `\xHH`) {
			t.Errorf("Unescape(%q): got %+v, want at %d: %s", c.in, *e, c.at, c.reason)
		}
	}
}

// One spec serves all loops.
func TestNewParserIsSafeForConcurrentUse(t *testing.T) {
	newParser := parse(t, `delim:\n`)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			p := newParser()
			if f, _, err := p.ParseFrame([]byte("a\n")); err != nil || string(f.Data) != "a" {
				t.Errorf("got %q, %v", f.Data, err)
			}
		})
	}
	wg.Wait()
}

// Any text gives a parser that keeps the contract, or an error with a position inside the text.
func FuzzParse(f *testing.F) {
	for _, spec := range []string{"line:max=9", `delim:\r\n`, "fixed:size=3", "len:offset=1,size=2,order=le,adjust=-3,max=99,strip=3", "len:x"} {
		f.Add(spec, []byte("some\r\nbytes\x00"), []byte{1})
	}
	f.Fuzz(func(t *testing.T, spec string, stream, pieces []byte) {
		newParser, err := framespec.Parse(spec)
		if err == nil {
			if err := protocoltest.Check(newParser, stream, pieces); err != nil {
				t.Errorf("%q: %v", spec, err)
			}
			return
		}
		var e *framespec.Error
		if !errors.As(err, &e) || e.Reason == "" || e.At < 0 || e.At > len(spec)+1 {
			t.Errorf("Parse(%q): got %#v, want an *Error with a place in the text", spec, err)
		}
	})
}

func ExampleParse() {
	newParser, err := framespec.Parse("len:size=2,strip=2")
	if err != nil {
		fmt.Println(err)
		return
	}
	f, n, err := newParser().ParseFrame([]byte("\x00\x05hello and more"))
	fmt.Printf("%s %d %v\n", f.Data, n, err)

	_, err = framespec.Parse("len:size=2,stripe=2")
	fmt.Println(err)
	// Output:
	// hello 7 <nil>
	// character 12: unknown key "stripe"; did you mean "strip"? the keys are offset, size, order, adjust, max, strip
}

func ExampleUnescape() {
	b, err := framespec.Unescape(`PING\r\n`)
	fmt.Printf("%q %v\n", b, err)
	// Output: "PING\r\n" <nil>
}
