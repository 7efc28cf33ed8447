package resp

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/protocol"
	"sonde/protocol/protocoltest"
)

type frames = []protocoltest.Frame

// one is a stream that is a single frame.
func one(name, stream string, kind uint8, data string) protocoltest.Valid {
	return protocoltest.Valid{Name: name, Stream: stream, Frames: frames{{Kind: kind, Data: data}}}
}

var samples = protocoltest.Samples{
	Valid: []protocoltest.Valid{
		one("simple string", "+PONG\r\n", SimpleString, "PONG"),
		one("empty simple string", "+\r\n", SimpleString, ""),
		one("error", "-ERR unknown command\r\n", SimpleError, "ERR unknown command"),
		one("integer", ":-9223372036854775808\r\n", Integer, "-9223372036854775808"),
		one("bulk", "$5\r\nhello\r\n", BulkString, "hello"),
		one("bulk with CRLF inside", "$4\r\n\r\n\r\n\r\n", BulkString, "\r\n\r\n"),
		one("empty bulk", "$0\r\n\r\n", BulkString, ""),
		one("null bulk", "$-1\r\n", Null, ""),
		one("null array", "*-1\r\n", Null, ""),
		one("null", "_\r\n", Null, ""),
		one("array", "*2\r\n$1\r\na\r\n:1\r\n", Array, "$1\r\na\r\n:1\r\n"),
		one("empty array", "*0\r\n", Array, ""),
		one("array of empty arrays", "*2\r\n*0\r\n*1\r\n*0\r\n", Array, "*0\r\n*1\r\n*0\r\n"),
		one("array with nulls", "*3\r\n$-1\r\n*-1\r\n_\r\n", Array, "$-1\r\n*-1\r\n_\r\n"),
		one("nested", "*2\r\n*2\r\n+a\r\n*1\r\n+b\r\n+c\r\n", Array, "*2\r\n+a\r\n*1\r\n+b\r\n+c\r\n"),
		one("deepest", strings.Repeat("*1\r\n", MaxDepth)+"*0\r\n", Array, strings.Repeat("*1\r\n", MaxDepth-1)+"*0\r\n"),
		one("map", "%2\r\n+a\r\n:1\r\n+b\r\n#t\r\n", Map, "+a\r\n:1\r\n+b\r\n#t\r\n"),
		one("set", "~1\r\n,1.5\r\n", Set, ",1.5\r\n"),
		one("push", ">2\r\n+message\r\n+x\r\n", Push, "+message\r\n+x\r\n"),
		one("boolean", "#f\r\n", Boolean, "f"),
		one("double with exponent", ",-1.25E+10\r\n", Double, "-1.25E+10"),
		one("double without fraction", ",10\r\n", Double, "10"),
		one("infinity", ",-inf\r\n", Double, "-inf"),
		one("not a number", ",nan\r\n", Double, "nan"),
		one("big number", "(3492890328409238509324850943850943825024385\r\n", BigNumber, "3492890328409238509324850943850943825024385"),
		one("bulk error", "!5\r\nERR x\r\n", BulkError, "ERR x"),
		one("verbatim string", "=6\r\ntxt:hi\r\n", VerbatimString, "txt:hi"),
		one("attribute inside", "*2\r\n|1\r\n+ttl\r\n:3\r\n+a\r\n+b\r\n", Array, "|1\r\n+ttl\r\n:3\r\n+a\r\n+b\r\n"),
		one("attribute of an array inside", "*1\r\n|1\r\n+k\r\n*1\r\n+v\r\n*1\r\n|0\r\n+b\r\n", Array, "|1\r\n+k\r\n*1\r\n+v\r\n*1\r\n|0\r\n+b\r\n"),
		{Name: "attribute before its reply", Stream: "|1\r\n+k\r\n+v\r\n+OK\r\n", Frames: frames{{Kind: Attribute, Data: "+k\r\n+v\r\n"}, {Kind: SimpleString, Data: "OK"}}},
		one("largest bulk", "$65526\r\n"+strings.Repeat("x", 65526)+"\r\n", BulkString, strings.Repeat("x", 65526)),
		{Name: "cut", Stream: "*2\r\n$3\r\nab", Rest: 10},
	},
	Malformed: []protocoltest.Bad{
		{Name: "another protocol", Stream: "H", Reason: "unknown type"},
		{Name: "unknown type inside", Stream: "*1\r\n?", Reason: "unknown type"},
		{Name: "length of letters", Stream: "$a", Reason: "not a number"},
		{Name: "length empty", Stream: "$\r", Reason: "not a number"},
		{Name: "length with a plus", Stream: "$+", Reason: "not a number"},
		{Name: "length -2", Stream: "$-2\r", Reason: "negative"},
		{Name: "length of a map -1", Stream: "%-1\r", Reason: "negative"},
		{Name: "length above 2^31", Stream: "*99999999999", Reason: "above 2^31"},
		{Name: "length of zeros", Stream: "$" + strings.Repeat("0", maxNumber+1), Reason: "too long"},
		{Name: "length without LF", Stream: "$1\rx", Reason: "CR without LF"},
		{Name: "streamed string", Stream: "$?", Reason: "not a number"},
		{Name: "bulk longer than its length", Stream: "$1\r\nab", Reason: "no CRLF"},
		{Name: "bulk with LF alone", Stream: "$1\r\na\n", Reason: "no CRLF"},
		{Name: "line with LF alone", Stream: "+OK\n", Reason: "LF without CR"},
		{Name: "line with CR alone", Stream: "+O\rK", Reason: "CR without LF"},
		{Name: "integer of letters", Stream: ":1a\r\n", Reason: "not a value"},
		{Name: "integer empty", Stream: ":\r\n", Reason: "not a value"},
		{Name: "integer of 2^63", Stream: ":9223372036854775808\r\n", Reason: "not a value"},
		{Name: "integer too long", Stream: ":" + strings.Repeat("1", maxNumber+1), Reason: "too long"},
		{Name: "boolean", Stream: "#x\r\n", Reason: "not a value"},
		{Name: "boolean too long", Stream: "#tt", Reason: "too long"},
		{Name: "null with text", Stream: "_x", Reason: "too long"},
		{Name: "double", Stream: ",1.\r\n", Reason: "not a value"},
		{Name: "double with sign inside", Stream: ",1.-5\r\n", Reason: "not a value"},
		{Name: "double with bare exponent", Stream: ",1e\r\n", Reason: "not a value"},
		{Name: "big number", Stream: "(-\r\n", Reason: "not a value"},
		{Name: "verbatim without a format", Stream: "=2\r\nhi\r\n", Reason: "without a format"},
		{Name: "push inside", Stream: "*1\r\n>", Reason: "push inside"},
		{Name: "second reply", Stream: "+OK\r\nx", Frames: frames{{Kind: SimpleString, Data: "OK"}}, Reason: "unknown type"},
	},
	TooLarge: []protocoltest.Bad{
		{Name: "bulk by its length", Stream: "$65527\r\n", Reason: "65536"},
		{Name: "array by its length", Stream: "*21845\r\n", Reason: "65536"},
		{Name: "map by its length", Stream: "%10923\r\n"},
		{Name: "depth", Stream: strings.Repeat("*1\r\n", MaxDepth+1), Reason: "16"},
		{Name: "line without an end", Stream: "+" + strings.Repeat("x", MaxSize-1)},
		{Name: "array of many strings", Stream: "*1000\r\n" + strings.Repeat("$100\r\n"+strings.Repeat("x", 100)+"\r\n", 700)[:MaxSize]},
	},
}

func newParser() protocol.FrameParser { return new(Parser) }

func TestParser(t *testing.T) { protocoltest.Run(t, newParser, samples) }

func FuzzParser(f *testing.F) {
	// The longest samples teach the fuzzer nothing and cost seconds when cut to single bytes.
	seeds := slices.DeleteFunc(samples.Seeds(), func(s []byte) bool { return len(s) > 4<<10 })
	protocoltest.Fuzz(f, newParser, seeds...)
}

func TestElements(t *testing.T) {
	var p Parser
	f, _, err := p.ParseFrame([]byte("*3\r\n$5\r\nhello\r\n*2\r\n:1\r\n:2\r\n_\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got frames
	for e := range Elements(f) {
		got = append(got, protocoltest.Frame{Kind: e.Kind, Data: string(e.Data)})
	}
	want := frames{{Kind: BulkString, Data: "hello"}, {Kind: Array, Data: ":1\r\n:2\r\n"}, {Kind: Null}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("elements differ (-want +got):\n%s", diff)
	}
	for e := range Elements(protocol.Frame{Kind: BulkString, Data: []byte(":1\r\n")}) {
		t.Errorf("element of a string: got %q, want none", e.Data)
	}
}

// TestLimitIsExact sends the largest string and one that is a byte larger.
func TestLimitIsExact(t *testing.T) {
	for _, tc := range []struct {
		size int
		want error
	}{{65526, nil}, {65527, protocol.ErrTooLarge}} {
		var p Parser
		_, _, err := p.ParseFrame([]byte("$" + strconv.Itoa(tc.size) + "\r\n" + strings.Repeat("x", tc.size) + "\r\n"))
		if !errors.Is(err, tc.want) {
			t.Errorf("string of %d bytes: got %v, want %v", tc.size, err, tc.want)
		}
	}
}

// TestBytesAreReadOnce gives a large array in small pieces: work that grows with the square of its size would take minutes.
func TestBytesAreReadOnce(t *testing.T) {
	stream := []byte("*10000\r\n" + strings.Repeat("$0\r\n\r\n", 10000))
	var p Parser
	for n := 1; n < len(stream); n++ {
		if _, _, err := p.ParseFrame(stream[:n]); err != protocol.ErrIncomplete {
			t.Fatalf("after %d bytes: got %v, want ErrIncomplete", n, err)
		}
		if n-p.pos > len("*10000\r\n") {
			t.Fatalf("after %d bytes: %d bytes are to be read again", n, n-p.pos)
		}
	}
	if _, n, err := p.ParseFrame(stream); n != len(stream) || err != nil {
		t.Errorf("whole: got %d, %v, want %d", n, err, len(stream))
	}
}

func BenchmarkParser(b *testing.B) {
	for _, tc := range []struct{ name, stream string }{
		{"pong", "+PONG\r\n"},
		{"array of 100", "*100\r\n" + strings.Repeat("$5\r\nhello\r\n", 100)},
	} {
		b.Run(tc.name, func(b *testing.B) {
			stream := []byte(tc.stream)
			var p Parser
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := p.ParseFrame(stream); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
