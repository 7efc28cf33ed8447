package reply

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/protocol"
	"sonde/protocol/protocoltest"
)

type frames = []protocoltest.Frame

// one is a stream that is a single frame, without its last line end.
func one(name, stream string) protocoltest.Valid {
	data := strings.TrimSuffix(strings.TrimSuffix(stream, "\n"), "\r")
	return protocoltest.Valid{Name: name, Stream: stream, Frames: frames{{Data: data}}}
}

var smtpSamples = protocoltest.Samples{
	Valid: []protocoltest.Valid{
		one("one line", "220 mail.example.com ESMTP\r\n"),
		one("several lines", "250-mail.example.com\r\n250-STARTTLS\r\n250 SIZE 1000\r\n"),
		one("code alone", "250\r\n"),
		one("code alone behind others", "250-a\r\n250\r\n"),
		one("empty text", "250-\r\n250 \r\n"),
		one("LF alone", "220-a\n220 b\n"),
		one("text beyond ASCII", "220 \xc3\xa9\xff\r\n"),
		{Name: "cut", Stream: "250-a\r\n250", Rest: 10},
	},
	Malformed: []protocoltest.Bad{
		{Name: "another protocol", Stream: "S", Reason: "not a reply code"},
		{Name: "code of 1xx", Stream: "1", Reason: "not a reply code"},
		{Name: "code of 6xx", Stream: "6", Reason: "not a reply code"},
		{Name: "two digits", Stream: "22\r", Reason: "not a reply code"},
		{Name: "four digits", Stream: "2200", Reason: "neither space nor minus"},
		{Name: "two codes", Stream: "250-a\r\n251 b\r\n", Reason: "two codes"},
		{Name: "line without a code", Stream: "250-a\r\nb", Reason: "not a reply code"},
		{Name: "NUL", Stream: "220 \x00", Reason: "NUL"},
	},
	TooLarge: []protocoltest.Bad{
		{Name: "line", Stream: "220 " + strings.Repeat("x", MaxSize-4), Reason: "32768"},
		{Name: "lines", Stream: strings.Repeat("220-\r\n", MaxSize/6+1), Reason: "32768"},
	},
}

var ftpSamples = protocoltest.Samples{
	Valid: []protocoltest.Valid{
		one("one line", "220 ready\r\n"),
		one("preliminary", "120 in 3 minutes\r\n"),
		one("protected", "631 x\r\n"),
		one("lines without a code", "211-Features:\r\n SIZE\r\nMDTM\r\n\r\n211 End\r\n"),
		one("lines with other codes", "220-a\r\n331 b\r\n220-c\r\n 220 d\r\n220 e\r\n"),
		one("last line without text", "220-a\r\n220\r\n"),
		{Name: "cut", Stream: "211-Features:\r\n SIZE\r\n", Rest: 22},
	},
	Malformed: []protocoltest.Bad{
		{Name: "another protocol", Stream: "H", Reason: "malformed ftp at byte 0"},
		{Name: "code of 7xx", Stream: "7", Reason: "not a reply code"},
		{Name: "no separator", Stream: "220x", Reason: "neither space nor minus"},
		{Name: "NUL", Stream: "220-a\r\n\x00", Reason: "NUL"},
	},
	TooLarge: []protocoltest.Bad{
		{Name: "lines", Stream: "220-" + strings.Repeat("x\r\n", MaxSize/3), Reason: "32768"},
	},
}

var pop3Samples = protocoltest.Samples{
	Valid: []protocoltest.Valid{
		one("positive", "+OK ready <1896.697170952@dbc.mtview.ca.us>\r\n"),
		one("negative", "-ERR no such command\r\n"),
		one("without text", "+OK\r\n"),
		one("LF alone", "-ERR\n"),
		{Name: "two", Stream: "+OK a\r\n-ERR b\r\n", Frames: frames{{Data: "+OK a"}, {Data: "-ERR b"}}},
		{Name: "cut", Stream: "+OK re", Rest: 6},
	},
	Malformed: []protocoltest.Bad{
		{Name: "another protocol", Stream: "2", Reason: "neither"},
		{Name: "lower case", Stream: "+o", Reason: "neither"},
		{Name: "no space", Stream: "+OKAY", Reason: "no space"},
		{Name: "short", Stream: "-ER\r", Reason: "neither"},
		{Name: "NUL", Stream: "+OK \x00", Reason: "NUL"},
	},
	TooLarge: []protocoltest.Bad{
		{Name: "line", Stream: "+OK " + strings.Repeat("x", MaxSize-4), Reason: "32768"},
	},
}

var pop3MultiSamples = protocoltest.Samples{
	Valid: []protocoltest.Valid{
		{Name: "list", Stream: "+OK\r\nTOP\r\n..x\r\n.\r\n", Frames: frames{{Data: "+OK\r\nTOP\r\n..x\r\n."}}, Once: true},
		{Name: "empty list", Stream: "+OK\n.\n", Frames: frames{{Data: "+OK\n."}}, Once: true},
		{Name: "negative has one line", Stream: "-ERR\r\n", Frames: frames{{Data: "-ERR"}}, Once: true},
		{Name: "only the next response", Stream: "+OK\r\n.\r\n+OK\r\n", Frames: frames{{Data: "+OK\r\n."}, {Data: "+OK"}}, Once: true},
	},
	TooLarge: []protocoltest.Bad{{Name: "no dot", Stream: "+OK\r\n" + strings.Repeat("x\r\n", MaxSize/3)}},
}

var imapSamples = protocoltest.Samples{
	Valid: []protocoltest.Valid{
		{Name: "greeting", Stream: "* OK [CAPABILITY IMAP4rev2] ready\r\n", Frames: frames{{Kind: Untagged, Data: "* OK [CAPABILITY IMAP4rev2] ready"}}},
		{Name: "tagged", Stream: "a1 ok\r\n", Frames: frames{{Kind: Tagged, Data: "a1 ok"}}},
		{Name: "continuation", Stream: "+ go on\r\n+\r\n", Frames: frames{{Kind: Continuation, Data: "+ go on"}, {Kind: Continuation, Data: "+"}}},
		{Name: "literal", Stream: "* LIST () \"/\" {5}\r\na\r\n\x00b\r\n", Frames: frames{{Kind: Untagged, Data: "* LIST () \"/\" {5}\r\na\r\n\x00b"}}},
		{Name: "two literals", Stream: "* 1 FETCH ({1}\r\na ~{002}\r\nbb)\r\n", Frames: frames{{Kind: Untagged, Data: "* 1 FETCH ({1}\r\na ~{002}\r\nbb)"}}},
		{Name: "empty literal", Stream: "* X {0}\r\n\r\n", Frames: frames{{Kind: Untagged, Data: "* X {0}\r\n"}}},
		{Name: "braces in a status", Stream: "* OK {3}\r\na NO {3}\r\n", Frames: frames{{Kind: Untagged, Data: "* OK {3}"}, {Kind: Tagged, Data: "a NO {3}"}}},
		{Name: "braces that are no literal", Stream: "* X {a}\r\n* X }\r\n* X {}\r\n", Frames: frames{{Kind: Untagged, Data: "* X {a}"}, {Kind: Untagged, Data: "* X }"}, {Kind: Untagged, Data: "* X {}"}}},
		{Name: "cut in a literal", Stream: "* X {5}\r\nab", Rest: 11},
	},
	Malformed: []protocoltest.Bad{
		{Name: "SMTP", Stream: "220 mail\r\n", Reason: "not OK, NO or BAD"},
		{Name: "POP3", Stream: "+O", Reason: "no space behind"},
		{Name: "no space behind the star", Stream: "*O", Reason: "no space behind"},
		{Name: "nothing behind the star", Stream: "* \r\n", Reason: "nothing behind the tag"},
		{Name: "tag alone", Stream: "a1\r\n", Reason: "nothing behind the tag"},
		{Name: "byte that is in no tag", Stream: "a(", Reason: "not a tag"},
		{Name: "empty line", Stream: "\r", Reason: "not a tag"},
		{Name: "tag too long", Stream: strings.Repeat("a", maxTag+1), Reason: "too long"},
		{Name: "NUL", Stream: "* X \x00", Reason: "NUL"},
	},
	TooLarge: []protocoltest.Bad{
		{Name: "line", Stream: "* " + strings.Repeat("x", MaxSize-2)},
		{Name: "literal by its size", Stream: "* X {32768}\r\n"},
		{Name: "literal of 2^64", Stream: "* X {18446744073709551616}\r\n"},
	},
}

func newSMTP() protocol.FrameParser { return new(Code) }
func newFTP() protocol.FrameParser  { return &Code{Dialect: FTP} }
func newPOP3() protocol.FrameParser { return new(POP3) }
func newIMAP() protocol.FrameParser { return new(IMAP) }

func TestSMTP(t *testing.T) { protocoltest.Run(t, newSMTP, smtpSamples) }
func TestFTP(t *testing.T)  { protocoltest.Run(t, newFTP, ftpSamples) }
func TestPOP3(t *testing.T) { protocoltest.Run(t, newPOP3, pop3Samples) }
func TestIMAP(t *testing.T) { protocoltest.Run(t, newIMAP, imapSamples) }

// multi is a POP3 parser after a command with a multi-line response, also after a Reset.
type multi struct{ POP3 }

func (p *multi) Reset() { p.POP3 = POP3{MultiLine: true} }

func TestPOP3MultiLine(t *testing.T) {
	protocoltest.Run(t, func() protocol.FrameParser { return &multi{POP3{MultiLine: true}} }, pop3MultiSamples)
}

// seeds leaves out the longest samples: they teach the fuzzer nothing and cost seconds when cut to single bytes.
func seeds(s protocoltest.Samples) [][]byte {
	return slices.DeleteFunc(s.Seeds(), func(b []byte) bool { return len(b) > 4<<10 })
}

func FuzzSMTP(f *testing.F) { protocoltest.Fuzz(f, newSMTP, seeds(smtpSamples)...) }
func FuzzFTP(f *testing.F)  { protocoltest.Fuzz(f, newFTP, seeds(ftpSamples)...) }
func FuzzIMAP(f *testing.F) { protocoltest.Fuzz(f, newIMAP, seeds(imapSamples)...) }
func FuzzPOP3(f *testing.F) {
	newParser := func() protocol.FrameParser { return &multi{POP3{MultiLine: true}} }
	protocoltest.Fuzz(f, newParser, append(seeds(pop3Samples), seeds(pop3MultiSamples)...)...)
}

func TestCodeAccessors(t *testing.T) {
	for _, tc := range []struct {
		name, stream string
		dialect      Dialect
		code         int
		lines        []string
	}{
		{"smtp", "250-a\r\n250-\r\n250\r\n", SMTP, 250, []string{"a", "", ""}},
		{"smtp, one line", "421 too busy\n", SMTP, 421, []string{"too busy"}},
		{"ftp", "211-Features:\r\n SIZE\r\n331 x\r\n211-y\r\n211 End\r\n", FTP, 211, []string{"Features:", " SIZE", "331 x", "y", "End"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := Code{Dialect: tc.dialect}
			for line := range p.Lines() {
				t.Errorf("line before a reply: got %q, want none", line)
			}
			if _, _, err := p.ParseFrame([]byte(tc.stream)); err != nil {
				t.Fatal(err)
			}
			var lines []string
			for line := range p.Lines() {
				lines = append(lines, string(line))
			}
			if p.Code() != tc.code {
				t.Errorf("code: got %d, want %d", p.Code(), tc.code)
			}
			if diff := cmp.Diff(tc.lines, lines); diff != "" {
				t.Errorf("lines differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPOP3Accessors(t *testing.T) {
	p := POP3{MultiLine: true}
	if _, _, err := p.ParseFrame([]byte("+OK list follows\r\nTOP\r\n..x\r\n\r\n.\r\n")); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range p.Lines() {
		lines = append(lines, string(line))
	}
	if diff := cmp.Diff([]string{"TOP", ".x", ""}, lines); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
	if !p.OK() || string(p.Text()) != "list follows" {
		t.Errorf("got %t, %q, want true, %q", p.OK(), p.Text(), "list follows")
	}
	if _, _, err := p.ParseFrame([]byte("-ERR\r\n")); err != nil || p.OK() || len(p.Text()) != 0 {
		t.Errorf("-ERR: got %v, %t, %q", err, p.OK(), p.Text())
	}
}

func TestIMAPAccessors(t *testing.T) {
	for _, tc := range []struct{ stream, tag, word, text string }{
		{"* OK [ALERT] ready now\r\n", "*", "OK", "[ALERT] ready now"},
		{"a1 BAD\r\n", "a1", "BAD", ""},
		{"+ go on\r\n", "+", "go", "on"},
		{"* X {2}\r\nab c\r\n", "*", "X", "{2}\r\nab c"},
		{"* {2}\r\nab c\r\n", "*", "{2}", "\r\nab c"},
	} {
		var p IMAP
		if _, _, err := p.ParseFrame([]byte(tc.stream)); err != nil {
			t.Errorf("%q: %v", tc.stream, err)
		} else if string(p.Tag()) != tc.tag || string(p.Word()) != tc.word || string(p.Text()) != tc.text {
			t.Errorf("%q: got %q, %q, %q", tc.stream, p.Tag(), p.Word(), p.Text())
		}
		if !p.Is(strings.ToLower(tc.word)) {
			t.Errorf("%q: Is(%q): got false, want true", tc.stream, strings.ToLower(tc.word))
		}
	}
}

func TestIMAPCapabilities(t *testing.T) {
	for _, tc := range []struct {
		stream, list string
		ok           bool
	}{
		{"* CAPABILITY IMAP4rev2 STARTTLS\r\n", "IMAP4rev2 STARTTLS", true},
		{"* OK [capability IMAP4rev2 IDLE] ready ]\r\n", "IMAP4rev2 IDLE", true},
		{"a1 OK [CAPABILITY ] done\r\n", "", true},
		{"* OK [CAPABILITY IMAP4rev2\r\n", "", false},
		{"* OK [ALERT] [CAPABILITY x]\r\n", "", false},
		{"* OK ready\r\n", "", false},
		{"* LIST [CAPABILITY x]\r\n", "", false},
		{"+ CAPABILITY x\r\n", "", false},
	} {
		var p IMAP
		if _, _, err := p.ParseFrame([]byte(tc.stream)); err != nil {
			t.Errorf("%q: %v", tc.stream, err)
		} else if list, ok := p.Capabilities(); ok != tc.ok || ok && string(list) != tc.list {
			t.Errorf("%q: got %q, %t, want %q, %t", tc.stream, list, ok, tc.list, tc.ok)
		}
	}
}

func BenchmarkSMTP(b *testing.B) {
	benchmark(b, newSMTP(), "250-mail.example.com\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 SIZE 1000\r\n")
}
func BenchmarkFTP(b *testing.B) {
	benchmark(b, newFTP(), "211-Features:\r\n SIZE\r\n MDTM\r\n211 End\r\n")
}
func BenchmarkPOP3(b *testing.B) { benchmark(b, newPOP3(), "+OK ready\r\n") }
func BenchmarkIMAP(b *testing.B) { benchmark(b, newIMAP(), "* OK [CAPABILITY IMAP4rev2] ready\r\n") }

func benchmark(b *testing.B, p protocol.FrameParser, stream string) {
	buf := []byte(stream)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := p.ParseFrame(buf); err != nil {
			b.Fatal(err)
		}
	}
}
