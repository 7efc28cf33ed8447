package starttls

import (
	"strings"
	"testing"

	"sonde/protocol"
	"sonde/protocol/protocoltest"
)

type frames = []protocoltest.Frame

var berSamples = protocoltest.Samples{
	Valid: []protocoltest.Valid{
		{Name: "short length", Stream: "0\x03abc", Frames: frames{{Data: "0\x03abc"}}},
		{Name: "empty", Stream: "0\x00", Frames: frames{{Data: "0\x00"}}},
		{Name: "longer length than needed", Stream: "0\x84\x00\x00\x00\x01a", Frames: frames{{Data: "0\x84\x00\x00\x00\x01a"}}},
		{Name: "cut", Stream: "0\x82\x01", Rest: 3},
	},
	Malformed: []protocoltest.Bad{
		{Name: "another protocol", Stream: "H", Reason: "not a message"},
		{Name: "indefinite length", Stream: "0\x80", Reason: "indefinite"},
		{Name: "length of five bytes", Stream: "0\x85", Reason: "more than four"},
	},
	TooLarge: []protocoltest.Bad{
		{Name: "one more", Stream: "0\x82\x3f\xfd", Reason: "16384"},
		{Name: "largest", Stream: "0\x84\xff\xff\xff\xff", Reason: "16384"},
	},
}

var postgresSamples = protocoltest.Samples{
	Valid: []protocoltest.Valid{
		{Name: "yes", Stream: "S", Frames: frames{{Kind: postgresByte, Data: "S"}}},
		{Name: "no", Stream: "N", Frames: frames{{Kind: postgresByte, Data: "N"}}},
		{Name: "error", Stream: "E\x00\x00\x00\x06x\x00", Frames: frames{{Kind: postgresNewError, Data: "E\x00\x00\x00\x06x\x00"}}},
		{Name: "old error", Stream: "Eno\n\x00", Frames: frames{{Kind: postgresOldError, Data: "Eno\n"}}},
		{Name: "cut", Stream: "E\x00\x00\x00\x06x", Rest: 6},
	},
	Malformed: []protocoltest.Bad{
		{Name: "another protocol", Stream: "R", Reason: "neither S nor N"},
		{Name: "length below its own", Stream: "E\x00\x00\x00\x03", Reason: "shorter than its length"},
	},
	TooLarge: []protocoltest.Bad{
		{Name: "error", Stream: "E\x00\x00\x40\x00", Reason: "16384"},
		{Name: "old error", Stream: "E" + strings.Repeat("x", 16<<10-1), Reason: "16384"},
	},
}

var mysqlSamples = protocoltest.Samples{
	Valid: []protocoltest.Valid{
		{Name: "greeting", Stream: "\x03\x00\x00\x00\x0aab", Frames: frames{{Data: "\x03\x00\x00\x00\x0aab"}}},
		{Name: "old greeting", Stream: "\x01\x00\x00\x00\x09", Frames: frames{{Data: "\x01\x00\x00\x00\x09"}}},
		{Name: "error", Stream: "\x03\x00\x00\x00\xff\x01\x02", Frames: frames{{Data: "\x03\x00\x00\x00\xff\x01\x02"}}},
		{Name: "cut", Stream: "\x03\x00\x00\x00\x0aa", Rest: 6},
	},
	Malformed: []protocoltest.Bad{
		{Name: "another protocol", Stream: "SSH-2", Reason: "not number 0"},
		{Name: "empty", Stream: "\x00\x00\x00\x00\x0a", Reason: "empty"},
		{Name: "another packet", Stream: "\x03\x00\x00\x00\x00", Reason: "neither a greeting nor an error"},
	},
	TooLarge: []protocoltest.Bad{
		{Name: "one more", Stream: "\xfd\x0f\x00\x00\x0a", Reason: "4096"},
		{Name: "largest", Stream: "\xff\xff\xff\x00\x0a", Reason: "4096"},
	},
}

var xmlSamples = protocoltest.Samples{
	Valid: []protocoltest.Valid{
		{Name: "elements", Stream: "<?xml version='1.0'?>\r\n<s:a b='>' c=\">'\">text<d/></s:a>", Frames: frames{
			{Kind: xmlDeclaration, Data: "<?xml version='1.0'?>"}, {Kind: xmlOpen, Data: "<s:a b='>' c=\">'\">"},
			{Kind: xmlEmpty, Data: "<d/>"}, {Kind: xmlClose, Data: "</s:a>"},
		}, Once: true},
		{Name: "space before", Stream: " \t\r\n<a>", Frames: frames{{Kind: xmlOpen, Data: "<a>"}}},
		{Name: "beyond ASCII", Stream: "<\xc3\xa9/>", Frames: frames{{Kind: xmlEmpty, Data: "<\xc3\xa9/>"}}},
		{Name: "cut in quotes", Stream: "<a b='>", Rest: 7},
	},
	Malformed: []protocoltest.Bad{
		{Name: "another protocol", Stream: "H", Reason: "not xml"},
		{Name: "text first", Stream: " x", Reason: "not xml"},
		{Name: "NUL", Stream: "<a>x\x00", Frames: frames{{Kind: xmlOpen, Data: "<a>"}}, Reason: "not xml"},
		{Name: "comment", Stream: "<!", Reason: "not a tag"},
		{Name: "no name", Stream: "<>", Reason: "not a tag"},
		{Name: "closed without a name", Stream: "</>", Reason: "not a tag"},
	},
	TooLarge: []protocoltest.Bad{
		{Name: "tag", Stream: "<" + strings.Repeat("x", xmlMaxTag-1), Reason: "8192"},
		{Name: "text", Stream: "<a>" + strings.Repeat("x", xmlMaxTag), Frames: frames{{Kind: xmlOpen, Data: "<a>"}}, Reason: "8192"},
	},
}

func newBER() protocol.FrameParser      { return berMessages{} }
func newPostgres() protocol.FrameParser { return postgresAnswer{} }
func newMySQL() protocol.FrameParser    { return mysqlGreeting{} }
func newXML() protocol.FrameParser      { return new(xmlTags) }

func TestBERParser(t *testing.T)      { protocoltest.Run(t, newBER, berSamples) }
func TestPostgresParser(t *testing.T) { protocoltest.Run(t, newPostgres, postgresSamples) }
func TestMySQLParser(t *testing.T)    { protocoltest.Run(t, newMySQL, mysqlSamples) }
func TestXMLParser(t *testing.T)      { protocoltest.Run(t, newXML, xmlSamples) }

func FuzzBERParser(f *testing.F)      { protocoltest.Fuzz(f, newBER, berSamples.Seeds()...) }
func FuzzPostgresParser(f *testing.F) { protocoltest.Fuzz(f, newPostgres, postgresSamples.Seeds()...) }
func FuzzMySQLParser(f *testing.F)    { protocoltest.Fuzz(f, newMySQL, mysqlSamples.Seeds()...) }
func FuzzXMLParser(f *testing.F)      { protocoltest.Fuzz(f, newXML, xmlSamples.Seeds()...) }

// FuzzPreludes gives each prelude any bytes: none panics, sends without end, or judges without a reason.
func FuzzPreludes(f *testing.F) {
	f.Add([]byte("220 x\r\n250-x\r\n250 STARTTLS\r\n220 x\r\n"))
	f.Add([]byte("* OK [CAPABILITY STARTTLS] x\r\ns2 OK x\r\n"))
	f.Add([]byte("+OK\r\n+OK\r\nSTLS\r\n.\r\n+OK\r\n"))
	f.Add([]byte("220 x\r\n234 x\r\n"))
	f.Add([]byte("\"STARTTLS\" {3}\r\nabc\r\nOK\r\nOK {1}\r\nx\r\n"))
	f.Add([]byte(ldapAnswer(0, "x", "\x8a\x16"+ldapStartTLSName)))
	f.Add([]byte("E\x00\x00\x00\x09Mabc\x00"))
	f.Add([]byte(mysqlGreets("\x00\x0a")))
	f.Add([]byte(mysqlSays("\xff\x10\x04#08004x")))
	f.Add([]byte(xmppHello + xmppOffer + "<proceed/>"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		for _, name := range Protocols() {
			in := newInner()
			e := Before(name, "a.test", in)
			e.Handshake()
			if !feed(e, stream) {
				e.OnEnd(protocol.EndOfStream, nil, nil)
			} else if e.(*exchange).phase == agreed {
				continue
			}
			c := e.Conclusion()
			if c.Verdict == protocol.Success || c.Reason == "" || len(in.calls) > 0 {
				t.Errorf("%s: got %d, %q, inner called: %v", name, c.Verdict, c.Reason, in.calls)
			}
		}
	})
}

// feed gives the exchange the stream and reports whether it is over or agreed to TLS.
func feed(e protocol.Handshaker, stream []byte) (over bool) {
	e.Begin()
	for len(stream) > 0 {
		f, n, err := e.Parser().ParseFrame(stream)
		switch {
		case err == protocol.ErrIncomplete:
			return false
		case err != nil:
			end := protocol.EndTooLarge
			if _, ok := err.(*protocol.MalformedError); ok {
				end = protocol.EndMalformed
			}
			e.OnEnd(end, stream, err)
			return true
		}
		if step := e.OnFrame(f); step.Then != protocol.Read {
			return true
		}
		stream = stream[n:]
	}
	return false
}
