package jarm

import (
	"bytes"
	"strings"
	"testing"

	"sonde/probes/internal/tlsfacts"
	"sonde/protocol"
)

// player is the engine's part: it gives an exchange one connection after the other.
type player struct {
	exchange *Exchange
	facts    *tlsfacts.Facts
	piece    int // bytes at a time
	begun    int // connections
	over     bool
}

func newPlayer(name string) *player {
	p := &player{piece: 1 << 20}
	p.exchange = New(name, factsOnly(&p.facts))
	return p
}

// connection plays one: the server says data, and if the exchange goes on reading the connection ends so.
func (p *player) connection(data []byte, end protocol.End) {
	if p.over {
		return
	}
	p.begun++
	if end == protocol.EndNoConnection {
		p.exchange.OnEnd(end, nil, nil)
	} else if s, _ := p.exchange.Handshake(); s == protocol.TLSOwn {
		p.talk(data, end)
	}
	p.over = !p.exchange.Next()
}

func (p *player) talk(data []byte, end protocol.End) {
	if p.exchange.Begin().Then == protocol.Done {
		return
	}
	var buf []byte
	for len(data) > 0 {
		n := min(p.piece, len(data))
		buf, data = append(bytes.Clone(buf), data[:n]...), data[n:]
		for len(buf) > 0 {
			parser := p.exchange.Parser()
			if len(buf) < parser.MinFrameSize() {
				break
			}
			f, n, err := parser.ParseFrame(buf)
			if err == protocol.ErrIncomplete {
				break
			}
			if err != nil {
				end := protocol.EndTooLarge
				if _, ok := err.(*protocol.MalformedError); ok {
					end = protocol.EndMalformed
				}
				p.exchange.OnEnd(end, buf, err)
				return
			}
			if p.exchange.OnFrame(f).Then == protocol.Done {
				clear(buf) // nothing may point into it any more
				return
			}
			buf = buf[n:]
		}
	}
	p.exchange.OnEnd(end, buf, nil)
}

func (p *player) conclude(t *testing.T) (*tlsfacts.Facts, protocol.Conclusion) {
	t.Helper()
	c := p.exchange.Conclusion()
	if p.facts == nil {
		t.Fatal("no facts were rendered")
	}
	return p.facts, c
}

const (
	hello      = "\x16\x03\x03\x00\x2a\x02\x00\x00\x26\x03\x03" + "01234567890123456789012345678901" + "\x00\xc0\x2f\x00"
	helloALPN  = "\x16\x03\x03\x00\x35\x02\x00\x00\x31\x03\x03" + "01234567890123456789012345678901" + "\x00\xc0\x2f\x00\x00\x09" + "\x00\x10\x00\x05\x00\x03\x02h2"
	refusal    = "\x15\x03\x03\x00\x02\x02\x28"
	allRefused = "00000000000000000000000000000000000000000000000000000000000000"
)

func TestReadAnswer(t *testing.T) {
	body := helloALPN[5:]
	for _, tc := range []struct{ name, data, want string }{
		{"plain", body, "c02f|0303|h2|0010"},
		{"no extensions", hello[5:], "c02f|0303||"},
		{"no extensions, another message behind it", hello[5:] + "\x0b\x00\x00\x03\x00\x00\x00", "c02f|0303||"},
		{"extensions, another message behind it", body + "\x0b\x00\x00\x03\x00\x00\x00", "c02f|0303|h2|0010"},
		{"nothing", "", "|||"},
		{"another message", "\x0b" + body[1:], "|||"},
		{"cut in the suite", body[:40], "|||"},
		{"cut behind the suite", body[:41], "c02f|0303||"},
		{"cut in an extension's head", body[:46], "c02f|0303||"},
		{"cut in an extension", body[:50], "c02f|0303||0010"},
		{"a longer session ID than there is", body[:38] + "\xff" + body[39:], "|||"},
		{"an extension twice", strings.Replace(body, "\x00\x09\x00\x10\x00\x05\x00\x03\x02h2", "\x00\x09\x00\x17\x00\x00\x00\x17\x00\x01z", 1),
			"c02f|0303||0017-0017"},
		{"a message of no length", "\x02\x00\x00\x00" + body[4:], "c02f|0303||"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := readAnswer([]byte(tc.data)).String(); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestVerdicts(t *testing.T) {
	type conn struct {
		data string
		end  protocol.End
	}
	ten := func(c conn) []conn {
		all := make([]conn, helloCount)
		for i := range all {
			all[i] = c
		}
		return all
	}
	for _, tc := range []struct {
		name    string
		conns   []conn
		verdict protocol.Verdict
		reason  string
		begun   int
		jarm    string // its beginning
		facts   tlsfacts.Facts
	}{
		{"all answered", ten(conn{hello, 0}), protocol.Success, "", 10, "29d29d29d29d29d29d29d29d29d29d", tlsfacts.Facts{}},
		{"all refused", ten(conn{refusal, 0}), protocol.HandshakeRefused, "alert handshake_failure", 10, allRefused,
			tlsfacts.Facts{Alert: "handshake_failure"}},
		{"all closed", ten(conn{"", protocol.EndOfStream}), protocol.Closed, "closed before the ServerHello", 10, allRefused, tlsfacts.Facts{}},
		{"all reset", ten(conn{"", protocol.EndReset}), protocol.Unfinished, "reset before the ServerHello", 10, allRefused, tlsfacts.Facts{}},
		{"silent", ten(conn{"", protocol.EndTimeout}), protocol.Unfinished, "no end of the ServerHello in time", 1, "", tlsfacts.Facts{}},
		{"closed, then silent", []conn{{"", protocol.EndOfStream}, {"", protocol.EndReset}, {"", protocol.EndTimeout}, {hello, 0}}, protocol.Unfinished,
			"no end of the ServerHello in time", 3, "", tlsfacts.Facts{}},
		{"half a header, then silent", ten(conn{"\x16\x03", protocol.EndTimeout}), protocol.Unfinished, "no end of the ServerHello in time", 1, "", tlsfacts.Facts{}},
		{"refuses, then silent", append([]conn{{refusal, 0}}, ten(conn{"", protocol.EndTimeout})[1:]...), protocol.HandshakeRefused,
			"alert handshake_failure", 10, allRefused, tlsfacts.Facts{Alert: "handshake_failure"}},
		{"part of an answer, then silent", append([]conn{{hello[:46], protocol.EndTimeout}}, ten(conn{"", protocol.EndTimeout})[1:]...), protocol.Success,
			"", 10, "29d000", tlsfacts.Facts{}},
		{"not TLS", ten(conn{"SSH-2.0-x\r\n", 0}), protocol.NotSpoken, "not TLS", 1, "", tlsfacts.Facts{FirstBytes: []byte("SSH-2.0-x\r\n")}},
		{"an empty record each", ten(conn{"\x16\x03\x03\x00\x00", 0}), protocol.HandshakeRefused, "malformed tls record: empty record", 10, allRefused, tlsfacts.Facts{}},
		{"an empty record, then silent", append([]conn{{"\x16\x03\x03\x00\x00", 0}}, ten(conn{"", protocol.EndTimeout})[1:]...), protocol.HandshakeRefused,
			"malformed tls record: empty record", 10, allRefused, tlsfacts.Facts{}},
		{"one answered, one each of the ends", []conn{
			{refusal, 0}, {"", protocol.EndReset}, {"", protocol.EndOfStream}, {"", protocol.EndTimeout}, {hello, 0}, {"", protocol.EndOfStream},
			{"GET", protocol.EndOfStream}, {hello[:46], protocol.EndTimeout}, {"\x14\x03\x03\x00\x01\x01", 0}, {"", protocol.EndOfStream},
		}, protocol.Success, "", 10, "00000000000029d00000029d000000", tlsfacts.Facts{}},
		{"answered in part, cancelled", []conn{{hello, 0}, {refusal, 0}, {"", protocol.EndCancelled}}, protocol.Unfinished, "answers to 2 of 10 hellos", 3, "", tlsfacts.Facts{}},
		{"cancelled", []conn{{hello, 0}, {"", protocol.EndCancelled}, {hello, 0}}, protocol.Unfinished, "answers to 1 of 10 hellos", 2, "", tlsfacts.Facts{}},
		{"cancelled at the last hello", append(ten(conn{hello, 0})[:9], conn{"", protocol.EndCancelled}), protocol.Unfinished,
			"answers to 9 of 10 hellos", 10, "", tlsfacts.Facts{}},
		{"out of time", []conn{{hello, 0}, {hello, 0}, {hello, 0}}, protocol.Unfinished, "answers to 3 of 10 hellos", 3, "", tlsfacts.Facts{}},
		{"no connection to be had", ten(conn{"", protocol.EndNoConnection}), protocol.Unfinished, "no connection for the next hello", 1, "", tlsfacts.Facts{}},
		{"answered in part, then no connection", []conn{{hello, 0}, {refusal, 0}, {hello, 0}, {"", protocol.EndNoConnection}, {hello, 0}}, protocol.Unfinished,
			"answers to 3 of 10 hellos", 4, "", tlsfacts.Facts{}},
		{"refused, then no connection", []conn{{refusal, 0}, {"", protocol.EndNoConnection}}, protocol.Unfinished,
			"answers to 1 of 10 hellos", 2, "", tlsfacts.Facts{Alert: "handshake_failure"}},
		{"no connection for the last", append(ten(conn{hello, 0})[:9], conn{"", protocol.EndNoConnection}), protocol.Unfinished,
			"answers to 9 of 10 hellos", 10, "", tlsfacts.Facts{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPlayer("sonde.test")
			for _, c := range tc.conns {
				p.connection([]byte(c.data), c.end)
			}
			facts, c := p.conclude(t)
			if c.Verdict != tc.verdict || !strings.HasPrefix(c.Reason, tc.reason) || tc.reason == "" && c.Reason != "" {
				t.Errorf("got verdict %d (%s), want %d (%s)", c.Verdict, c.Reason, tc.verdict, tc.reason)
			}
			if p.begun != tc.begun {
				t.Errorf("got %d connections, want %d", p.begun, tc.begun)
			}
			if len(facts.JARM) != 62 && tc.jarm != "" || !strings.HasPrefix(facts.JARM, tc.jarm) || tc.jarm == "" && facts.JARM != "" {
				t.Errorf("got JARM %q, want %q...", facts.JARM, tc.jarm)
			}
			if facts.Alert != tc.facts.Alert || !bytes.Equal(facts.FirstBytes, tc.facts.FirstBytes) || facts.SNI != "sonde.test" {
				t.Errorf("got alert %q, first bytes %q, name %q, want %q, %q, sonde.test", facts.Alert, facts.FirstBytes, facts.SNI, tc.facts.Alert, tc.facts.FirstBytes)
			}
		})
	}
}

// The engine asks for no next connection when what is over is the target's budget, or when no descriptor was to be had.
func TestEndOfOurMakingIsNoAnswer(t *testing.T) {
	for _, end := range []protocol.End{protocol.EndTimeout, protocol.EndNoConnection} {
		p := newPlayer("sonde.test")
		for range helloCount - 1 {
			p.connection([]byte(hello), 0)
		}
		if end != protocol.EndNoConnection {
			p.exchange.Begin()
		}
		p.exchange.OnEnd(end, nil, nil)
		if facts, c := p.conclude(t); c.Verdict != protocol.Unfinished || facts.JARM != "" {
			t.Errorf("%v: got verdict %d and JARM %q, want Unfinished and none", end, c.Verdict, facts.JARM)
		}
	}
}

func TestNameThatCannotBeSent(t *testing.T) {
	p := newPlayer(strings.Repeat("x", 1<<16))
	p.connection(nil, protocol.EndOfStream)
	if _, c := p.conclude(t); c.Verdict != protocol.Incapable || !p.over {
		t.Errorf("got verdict %d, want Incapable and no further connection", c.Verdict)
	}
}

func FuzzExchange(f *testing.F) {
	f.Add([]byte(hello), uint8(3), uint8(0))
	f.Add([]byte(helloALPN), uint8(1), uint8(1))
	f.Add([]byte(refusal), uint8(9), uint8(3))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n"), uint8(9), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, piece, end uint8) {
		p := newPlayer("sonde.test")
		p.piece = 1 + int(piece)
		for range helloCount + 1 {
			p.connection(data, protocol.End(end%8))
		}
		if !p.over || p.begun > helloCount {
			t.Fatalf("got %d connections and over is %v, want at most %d", p.begun, p.over, helloCount)
		}
		if facts, _ := p.conclude(t); facts.JARM != "" && len(facts.JARM) != 62 {
			t.Errorf("got a fingerprint of %d characters, want 62", len(facts.JARM))
		}
	})
}
