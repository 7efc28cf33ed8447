package enumerate

import (
	"bytes"
	"crypto/tls"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/testcert"
	"sonde/probes"
	"sonde/probes/internal/tlsfacts"
	"sonde/protocol"
	"sonde/protocol/tlswire"
)

func all() (o probes.TLSOptions) {
	o.Enum.Versions, o.Enum.Ciphers, o.Enum.Groups = true, true, true
	return o
}

func only(o probes.TLSOptions, versions, ciphers, groups bool) probes.TLSOptions {
	o.Enum.Versions, o.Enum.Ciphers, o.Enum.Groups = versions, ciphers, groups
	return o
}

type (
	versions = []tlswire.Version
	ciphers  = []tlswire.CipherSuite
	groups   = []tlswire.Group
)

const (
	ecdheAES128 = tlswire.CipherSuite(0xC02F)
	ecdheAES256 = tlswire.CipherSuite(0xC030)
	ecdheCBC    = tlswire.CipherSuite(0xC013)
	dheAES128   = tlswire.CipherSuite(0x009E)
	rsaCBC      = tlswire.CipherSuite(0x002F)
	rsaRC4      = tlswire.CipherSuite(0x0005)
	pskCBC      = tlswire.CipherSuite(0x008C)
	anonCBC     = tlswire.CipherSuite(0x0034)
	exportRC4   = tlswire.CipherSuite(0x0003)
)

// ffdhe3072 has the ends of the prime of RFC 7919 s.A.2, which is what it is known by.
func ffdhe3072() []byte {
	p := bytes.Repeat([]byte{0x55}, 384)
	copy(p, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xAD\xF8\x54\x58\xA2\xBB\x4A\x9A\xAF\xDC\x56\x20\x27\x3D\x3C\xF1")
	copy(p[376:], "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF")
	return p
}

func TestPolicies(t *testing.T) {
	modern := policy{
		versions: versions{tlswire.TLS12, tlswire.TLS13},
		suites: map[tlswire.Version][]tlswire.CipherSuite{
			tlswire.TLS13: {tlswire.AES256GCMSHA384, tlswire.AES128GCMSHA256},
			tlswire.TLS12: {ecdheAES256, rsaCBC, ecdheAES128},
		},
		groups: groups{tlswire.SecP384R1, tlswire.X25519MLKEM768, tlswire.X25519},
	}
	old := policy{
		versions: versions{tlswire.SSL30, tlswire.TLS10, tlswire.TLS12},
		suites: map[tlswire.Version][]tlswire.CipherSuite{
			tlswire.SSL30: {rsaRC4}, tlswire.TLS10: {pskCBC, rsaRC4, exportRC4, rsaCBC}, tlswire.TLS12: {dheAES128, rsaCBC},
		},
		dhe: ffdhe3072(),
	}
	for _, tc := range []struct {
		name string
		o    probes.TLSOptions
		p    policy
		want tlsfacts.Enum
	}{
		{
			name: "modern, its own order", o: all(), p: modern,
			want: tlsfacts.Enum{
				Versions: versions{tlswire.TLS13, tlswire.TLS12},
				Ciphers: []tlsfacts.VersionCiphers{
					{Version: tlswire.TLS13, Ciphers: modern.suites[tlswire.TLS13], ServerOrder: tlsfacts.Yes},
					{Version: tlswire.TLS12, Ciphers: modern.suites[tlswire.TLS12], ServerOrder: tlsfacts.Yes},
				},
				Groups: modern.groups,
				// Versions 3 with the refusal; TLS 1.3 2, a refusal and the comparison; TLS 1.2 3, five hellos refused once each
				// and the comparison; groups 3 and a refusal, and without the hybrid 2 and a refusal.
				Connections: 3 + 4 + 3 + 5 + 1 + 4 + 3,
			},
		},
		{
			name: "the client's order", o: only(probes.TLSOptions{}, false, true, false), p: func() policy {
				p := modern
				p.clientOrder = true
				return p
			}(),
			want: tlsfacts.Enum{
				Ciphers: []tlsfacts.VersionCiphers{
					{Version: tlswire.TLS13, Ciphers: ciphers{tlswire.AES128GCMSHA256, tlswire.AES256GCMSHA384}, ServerOrder: tlsfacts.No},
					{Version: tlswire.TLS12, Ciphers: ciphers{ecdheAES128, ecdheAES256, rsaCBC}, ServerOrder: tlsfacts.No},
				},
				Connections: 3 + 4 + 3 + 5 + 1,
			},
		},
		{
			name: "old, with a hole, rare suites and a field", o: all(), p: old,
			want: tlsfacts.Enum{
				Versions: versions{tlswire.TLS12, tlswire.TLS10, tlswire.SSL30},
				Ciphers: []tlsfacts.VersionCiphers{
					{Version: tlswire.TLS12, Ciphers: old.suites[tlswire.TLS12], ServerOrder: tlsfacts.Yes},
					{Version: tlswire.TLS10, Ciphers: old.suites[tlswire.TLS10], ServerOrder: tlsfacts.Yes},
					{Version: tlswire.SSL30, Ciphers: old.suites[tlswire.SSL30]},
				},
				Groups: groups{0x0101},
				// Versions 3; TLS 1.2 2, five refusals, the comparison; TLS 1.0 4, two refusals, the comparison, 3 to merge the two
				// lists; SSL 3.0 1 and two refusals; the field and a refusal.
				Connections: 3 + 8 + 10 + 3 + 2,
			},
		},
		{
			name: "the client's order, with rare suites: nothing to merge", o: only(probes.TLSOptions{}, false, true, false),
			p: policy{
				versions:    versions{tlswire.TLS10},
				suites:      map[tlswire.Version][]tlswire.CipherSuite{tlswire.TLS10: {pskCBC, rsaRC4, rsaCBC}},
				clientOrder: true,
			},
			want: tlsfacts.Enum{
				Ciphers: []tlsfacts.VersionCiphers{
					{Version: tlswire.TLS10, Ciphers: ciphers{rsaRC4, rsaCBC, pskCBC}, ServerOrder: tlsfacts.No},
				},
				Connections: 2 + 3 + 2 + 1,
			},
		},
		{
			name: "a field of its own", o: only(probes.TLSOptions{MinVersion: tlswire.TLS12, MaxVersion: tlswire.TLS12}, false, false, true),
			p: policy{
				versions: versions{tlswire.TLS12},
				suites:   map[tlswire.Version][]tlswire.CipherSuite{tlswire.TLS12: {dheAES128}},
				dhe:      append(ffdhe3072()[:383:383], 0),
			},
			// The version, a refusal of curves, and a field that was not asked for.
			want: tlsfacts.Enum{Connections: 1 + 1 + 1},
		},
		{
			name: "bounded", o: only(probes.TLSOptions{MinVersion: tlswire.TLS12, MaxVersion: tlswire.TLS12}, true, false, false), p: modern,
			want: tlsfacts.Enum{Versions: versions{tlswire.TLS12}, Connections: 1},
		},
		{
			name: "below the bound", o: only(probes.TLSOptions{MinVersion: tlswire.TLS11}, true, false, false), p: old,
			want: tlsfacts.Enum{Versions: versions{tlswire.TLS12}, Connections: 2},
		},
		{
			name: "groups by name", o: only(probes.TLSOptions{Groups: groups{tlswire.X25519, tlswire.SecP521R1}, MinVersion: tlswire.TLS13}, false, false, true), p: modern,
			want: tlsfacts.Enum{Groups: groups{tlswire.X25519}, Connections: 1 + 2},
		},
		{
			name: "nothing but a rare suite", o: only(probes.TLSOptions{}, true, false, false),
			p: policy{
				versions: versions{tlswire.TLS11, tlswire.TLS12},
				suites:   map[tlswire.Version][]tlswire.CipherSuite{tlswire.TLS11: {anonCBC}, tlswire.TLS12: {anonCBC}},
			},
			// The common suites in each version; it is in the fourth hello; then 1.1 and a refusal.
			want: tlsfacts.Enum{Versions: versions{tlswire.TLS12, tlswire.TLS11}, Connections: 5 + 3 + 2},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, piece := range []int{1 << 10, 1} {
				p := tc.p
				facts, c := play(t, tc.o, piece, p.serve(t))
				if c.Verdict != protocol.Success || facts.SNI != "sonde.test" {
					t.Errorf("got verdict %d (%s), name %q, want Success, sonde.test", c.Verdict, c.Reason, facts.SNI)
				}
				if diff := cmp.Diff(&tc.want, facts.Enum); diff != "" {
					t.Errorf("differs (-want +got):\n%s", diff)
				}
				if p.most > suitesPerHello+len(suitesOf(tlswire.TLS13)) {
					t.Errorf("a hello of %d suites, want at most %d", p.most, suitesPerHello+len(suitesOf(tlswire.TLS13)))
				}
			}
		})
	}
}

// TestRefusals holds that how a server refuses does not change what is found, only how many connections it takes.
func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		name   string
		refuse func(tlswire.AlertDescription) ([]byte, protocol.End)
		extra  int // connections more than with alerts
	}{
		{"alert", nil, 0},
		// TLS 1.1 and below are refused one by one, and each refusal is doubted.
		{"fin", gone(protocol.EndOfStream), 2 + 3 + 5 + 1},
		{"reset", gone(protocol.EndReset), 2 + 3 + 5 + 1},
		{"something not offered", func(tlswire.AlertDescription) ([]byte, protocol.End) {
			return (&policy{}).flight(tlswire.TLS12, 0xC0FF, 0), protocol.EndTimeout
		}, 2},
		{"garbage", func(tlswire.AlertDescription) ([]byte, protocol.End) { return []byte("no\n"), protocol.EndOfStream }, 2},
		{"half a hello", func(tlswire.AlertDescription) ([]byte, protocol.End) {
			return []byte("\x16\x03\x03\x00\x06\x02\x00\x00\x02\x03\x03"), protocol.EndOfStream
		}, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := policy{
				versions: versions{tlswire.TLS12, tlswire.TLS13},
				suites:   map[tlswire.Version][]tlswire.CipherSuite{tlswire.TLS13: {tlswire.AES128GCMSHA256}, tlswire.TLS12: {rsaCBC}},
				groups:   groups{tlswire.X25519},
				refuse:   tc.refuse,
			}
			facts, c := play(t, only(probes.TLSOptions{}, true, true, false), 100, p.serve(t))
			want := &tlsfacts.Enum{
				Versions: versions{tlswire.TLS13, tlswire.TLS12},
				Ciphers: []tlsfacts.VersionCiphers{
					{Version: tlswire.TLS13, Ciphers: ciphers{tlswire.AES128GCMSHA256}},
					{Version: tlswire.TLS12, Ciphers: ciphers{rsaCBC}},
				},
				Connections: 3 + 2 + 6 + tc.extra,
			}
			if diff := cmp.Diff(want, facts.Enum); diff != "" || c.Verdict != protocol.Success {
				t.Errorf("verdict %d (%s), differs (-want +got):\n%s", c.Verdict, c.Reason, diff)
			}
		})
	}
}

// TestDroppedHellos: a middlebox before a good server drops the hellos of old versions. What the server takes is found all
// the same, and each silence is held against an offer that was taken.
func TestDroppedHellos(t *testing.T) {
	suites := map[tlswire.Version][]tlswire.CipherSuite{tlswire.TLS13: {tlswire.AES128GCMSHA256}, tlswire.TLS12: {ecdheAES128}}
	for _, tc := range []struct {
		name       string
		versions   versions // that the server takes
		drops      tlswire.Version
		deafFrom   int // the connection from which on nothing is answered
		verdict    protocol.Verdict
		incomplete string
		found      versions
		groups     groups
	}{
		{"TLS 1.1 and below", versions{tlswire.TLS12, tlswire.TLS13}, tlswire.TLS11, 1 << 10, protocol.Success, "", versions{tlswire.TLS13, tlswire.TLS12}, groups{tlswire.X25519}},
		{"all but TLS 1.3", versions{tlswire.TLS13}, tlswire.TLS12, 1 << 10, protocol.Success, "", versions{tlswire.TLS13}, groups{tlswire.X25519}},
		{"everything", versions{tlswire.TLS13}, tlswire.TLS13, 1 << 10, protocol.Unfinished, "timeout after 1 connection", nil, nil},
		// The offer that was taken meets silence too: it is not the version.
		{"everything from now on", versions{tlswire.TLS12, tlswire.TLS13}, tlswire.TLS11, 3, protocol.Unfinished, "timeout after 4 connections",
			versions{tlswire.TLS13, tlswire.TLS12}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := policy{versions: tc.versions, suites: suites, groups: groups{tlswire.X25519}}
			good := p.serve(t)
			connections := 0
			facts, c := play(t, all(), 100, func(hello []byte) ([]byte, protocol.End) {
				connections++
				h, err := tlswire.ParseClientHello(hello[tlswire.RecordHeaderSize+tlswire.HandshakeHeaderSize:])
				if err != nil {
					t.Fatal(err)
				}
				highest := h.LegacyVersion
				if offered, _ := h.Extension(tlswire.ExtSupportedVersions).(tlswire.SupportedVersions); len(offered) > 0 {
					highest = slices.Max(offered)
				}
				if highest <= tc.drops || connections >= tc.deafFrom {
					return nil, protocol.EndTimeout
				}
				return good(hello)
			})
			if c.Verdict != tc.verdict || facts.Enum.Incomplete != tc.incomplete {
				t.Errorf("got verdict %d (%s), incomplete %q, want %d, %q", c.Verdict, c.Reason, facts.Enum.Incomplete, tc.verdict, tc.incomplete)
			}
			if diff := cmp.Diff(tc.found, facts.Enum.Versions); diff != "" {
				t.Errorf("versions differ (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.groups, facts.Enum.Groups); diff != "" {
				t.Errorf("groups differ (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTrouble ends the enumeration of a good server at its 8th connection.
func TestTrouble(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  protocol.End
		want string
	}{
		{"no connection", protocol.EndNoConnection, "no connection after 8 connections"},
		{"timeout", protocol.EndTimeout, "timeout after 8 connections"},
		{"cancelled", protocol.EndCancelled, "cancelled after 8 connections"},
		{"reset from now on", protocol.EndReset, "connection-reset after 9 connections"},
		{"closed from now on", protocol.EndOfStream, "connection-closed after 9 connections"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := policy{
				versions: versions{tlswire.TLS12},
				suites:   map[tlswire.Version][]tlswire.CipherSuite{tlswire.TLS12: {ecdheAES256, rsaCBC, ecdheAES128, ecdheCBC}},
				groups:   groups{tlswire.X25519},
			}
			good := p.serve(t)
			facts, c := play(t, only(probes.TLSOptions{}, true, true, true), 100, func(hello []byte) ([]byte, protocol.End) {
				if p.seen >= 7 {
					return nil, tc.end
				}
				return good(hello)
			})
			if c.Verdict != protocol.Unfinished || c.Reason != tc.want || facts.Enum.Incomplete != tc.want {
				t.Errorf("got verdict %d, %q, incomplete %q, want Unfinished, %q", c.Verdict, c.Reason, facts.Enum.Incomplete, tc.want)
			}
			want := []tlsfacts.VersionCiphers{{Version: tlswire.TLS12, Ciphers: ciphers{ecdheAES256, rsaCBC, ecdheAES128, ecdheCBC}}}
			if diff := cmp.Diff(want, facts.Enum.Ciphers); diff != "" {
				t.Errorf("what was found differs (-want +got):\n%s", diff)
			}
		})
	}
}

// TestGroupNotTold: a server that takes an offer and breaks off before it names the group refuses none, and nobody may read
// from the list that it has none.
func TestGroupNotTold(t *testing.T) {
	const want = "groups of tls12: no ServerKeyExchange that can be read"
	certificate := tlswire.AppendRecords(nil, tlswire.RecordHandshake, tlswire.TLS12, []byte{byte(tlswire.HandshakeCertificate), 0xff, 0xff, 0xff})
	for _, tc := range []struct {
		name string
		then []byte // after the ServerHello
		end  protocol.End
	}{
		{"reset", nil, protocol.EndReset},
		{"closed", nil, protocol.EndOfStream},
		{"a huge message", certificate, protocol.EndTimeout},
		{"a huge record", []byte("\x16\x03\x03\xff\xff"), protocol.EndTimeout},
		{"not TLS any more", []byte("HTTP/1.1 400"), protocol.EndTimeout},
		{"no ServerKeyExchange", []byte("\x16\x03\x03\x00\x04\x0e\x00\x00\x00"), protocol.EndTimeout},
		{"a ServerKeyExchange of no sense", []byte("\x16\x03\x03\x00\x05\x0c\x00\x00\x01\x03"), protocol.EndTimeout},
		{"records without end", bytes.Repeat([]byte("\x15\x03\x03\x00\x02\x01\x70"), maxRecords), protocol.EndTimeout},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := policy{
				versions: versions{tlswire.TLS12},
				suites:   map[tlswire.Version][]tlswire.CipherSuite{tlswire.TLS12: {ecdheAES128, rsaCBC}},
				groups:   groups{tlswire.X25519},
			}
			good := p.serve(t)
			facts, c := play(t, all(), 100, func(hello []byte) ([]byte, protocol.End) {
				said, end := good(hello)
				if tlswire.ContentType(said[0]) != tlswire.RecordHandshake {
					return said, end
				}
				const size = tlswire.HandshakeHeaderSize + 38 // of its ServerHello
				said = tlswire.AppendRecords(nil, tlswire.RecordHandshake, tlswire.TLS12, said[tlswire.RecordHeaderSize:][:size])
				return append(said, tc.then...), tc.end
			})
			if c.Verdict != protocol.Success || facts.Enum.Incomplete != want || facts.Enum.Groups != nil {
				t.Errorf("got verdict %d (%s), incomplete %q, groups %v, want Success, %q", c.Verdict, c.Reason, facts.Enum.Incomplete, facts.Enum.Groups, want)
			}
			suites := []tlsfacts.VersionCiphers{{Version: tlswire.TLS12, Ciphers: ciphers{ecdheAES128, rsaCBC}, ServerOrder: tlsfacts.Yes}}
			if diff := cmp.Diff(suites, facts.Enum.Ciphers); diff != "" {
				t.Errorf("the suites differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNothingTaken(t *testing.T) {
	for _, tc := range []struct {
		name        string
		said        string
		end         protocol.End
		verdict     protocol.Verdict
		reason      string
		connections int
	}{
		{"handshake_failure", "\x15\x03\x03\x00\x02\x02\x28", 0, protocol.HandshakeRefused, "alert handshake_failure", 5 + 4},
		{"protocol_version", "\x15\x03\x03\x00\x02\x02\x46", 0, protocol.HandshakeRefused, "alert protocol_version", 5},
		{"other messages", "\x16\x03\x03\x00\x04\x0e\x00\x00\x00", 0, protocol.HandshakeRefused, "nothing of what was offered is taken", 5},
		{"closed", "", protocol.EndOfStream, protocol.Closed, "closed before the ServerHello", 5},
		{"reset", "", protocol.EndReset, protocol.Unfinished, "reset before the ServerHello", 5},
		{"silent", "", protocol.EndTimeout, protocol.Unfinished, "timeout after 1 connection", 1},
		{"a warning and silence", "\x15\x03\x03\x00\x02\x01\x70", protocol.EndTimeout, protocol.Unfinished, "timeout after 1 connection", 1},
		{"another protocol", "220 mail.test ESMTP\r\n", 0, protocol.NotSpoken, "not TLS", 1},
		{"a huge record", "\x16\x03\x03\xff\xff", 0, protocol.OverLimit, "", 1},
		{"an empty record", "\x16\x03\x03\x00\x00", 0, protocol.HandshakeRefused, "nothing of what was offered is taken", 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			facts, c := play(t, all(), 100, func([]byte) ([]byte, protocol.End) { return []byte(tc.said), tc.end })
			if c.Verdict != tc.verdict || !strings.HasPrefix(c.Reason, tc.reason) || c.Reason == "" {
				t.Errorf("got verdict %d (%s), want %d (%s)", c.Verdict, c.Reason, tc.verdict, tc.reason)
			}
			if facts.Enum.Connections != tc.connections || facts.Enum.Versions != nil {
				t.Errorf("got %d connections, versions %v, want %d, none", facts.Enum.Connections, facts.Enum.Versions, tc.connections)
			}
			want := ""
			if tc.verdict == protocol.NotSpoken {
				want = tc.said
			}
			if string(facts.FirstBytes) != want {
				t.Errorf("first bytes: got %q, want %q", facts.FirstBytes, want)
			}
		})
	}
}

// TestEndless asks a server that takes whatever is offered: the bound on connections ends it.
func TestEndless(t *testing.T) {
	facts, c := play(t, all(), 1<<10, func(hello []byte) ([]byte, protocol.End) {
		h, err := tlswire.ParseClientHello(hello[tlswire.RecordHeaderSize+tlswire.HandshakeHeaderSize:])
		if err != nil {
			t.Fatal(err)
		}
		p := policy{versions: versions{min(h.LegacyVersion, tlswire.TLS12)}, groups: groups{tlswire.X25519}, dhe: []byte{1}}
		p.suites = map[tlswire.Version][]tlswire.CipherSuite{p.versions[0]: h.CipherSuites}
		return p.answer(h)
	})
	if c.Verdict != protocol.Success || facts.Enum.Incomplete != "limit of 400 connections" || facts.Enum.Connections != maxConnections {
		t.Errorf("got verdict %d, %q, %d connections, want Success, the limit of %d", c.Verdict, facts.Enum.Incomplete, facts.Enum.Connections, maxConnections)
	}
}

// TestSaysNothing asks servers that talk on and choose nothing: they refuse, and are not listened to until time is up.
func TestSaysNothing(t *testing.T) {
	for name, record := range map[string]string{
		"warnings":           "\x15\x03\x03\x00\x02\x01\x70",
		"pieces of messages": "\x16\x03\x03\x00\x01\x00",
	} {
		said := []byte(strings.Repeat(record, maxRecords))
		if name != "warnings" {
			said = append([]byte("\x16\x03\x03\x00\x04\x02\x00\x04\x00"), said...) // a ServerHello of 1,024 bytes
		}
		facts, c := play(t, all(), 1<<10, func([]byte) ([]byte, protocol.End) { return said, protocol.EndTimeout })
		if c.Verdict != protocol.HandshakeRefused || facts.Enum.Incomplete != "" {
			t.Errorf("%s: got verdict %d (%s), incomplete %q, want HandshakeRefused", name, c.Verdict, c.Reason, facts.Enum.Incomplete)
		}
	}
}

func TestNameThatCannotBeSent(t *testing.T) {
	e := New(all(), "192.0.2.1", func(*tlsfacts.Facts) protocol.Finding { return nil })
	if step := e.Begin(); step.Then != protocol.Done || e.Next() {
		t.Errorf("got step %v and another connection wanted, want Done and none", step)
	}
	if c := e.Conclusion(); c.Verdict != protocol.Incapable || !strings.Contains(c.Reason, "server_name") {
		t.Errorf("got verdict %d (%s), want Incapable for server_name", c.Verdict, c.Reason)
	}
}

func TestCandidates(t *testing.T) {
	seen := map[tlswire.CipherSuite]bool{0: true}
	for v := tlswire.SSL30; v <= tlswire.TLS13; v++ {
		for _, s := range suitesOf(v) {
			seen[s] = true
			if (v == tlswire.TLS13) != s.IsTLS13() {
				t.Errorf("%v is offered in %v", s, v)
			}
		}
	}
	for s := range tlswire.CipherSuites() {
		if !seen[s] {
			t.Errorf("%v is offered in no version", s)
		}
	}
	for _, tc := range []struct {
		suite tlswire.CipherSuite
		want  bool // in TLS 1.1
	}{{ecdheCBC, true}, {ecdheAES128, false}, {0x003C, false}, {0x00AE, true}, {0xC037, true}, {0xC064, false}, {0xC100, false}, {0xCCA8, false}} {
		if got := fits(tc.suite, tlswire.TLS11); got != tc.want {
			t.Errorf("%v in TLS 1.1: got %v, want %v", tc.suite, got, tc.want)
		}
	}
	common := suitesOf(tlswire.TLS12)[:suitesPerHello]
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if s.SupportedVersions[0] != tls.VersionTLS13 && !slices.Contains(common, tlswire.CipherSuite(s.ID)) {
			t.Errorf("%s is not in the first hello", s.Name)
		}
	}
}

// TestCryptoTLS compares what is found with what crypto/tls was told to take.
func TestCryptoTLS(t *testing.T) {
	authority, err := testcert.NewAuthority("sonde test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	certificate := func(key testcert.Algorithm) []tls.Certificate {
		leaf, err := authority.Issue(testcert.Leaf{Key: key, Names: []string{"sonde.test"}})
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{leaf}
	}
	suites13 := ciphers{tlswire.AES128GCMSHA256, tlswire.AES256GCMSHA384, tlswire.ChaCha20Poly1305SHA256}
	for _, tc := range []struct {
		name     string
		cfg      *tls.Config
		versions versions
		suites   map[tlswire.Version]ciphers // in any order
		groups   groups                      // in any order
	}{
		{
			name: "RSA, some suites, two groups",
			cfg: &tls.Config{
				Certificates: certificate(testcert.RSA2048), MinVersion: tls.VersionTLS11,
				CipherSuites:     []uint16{uint16(ecdheAES128), uint16(ecdheCBC), uint16(rsaCBC)},
				CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP384},
			},
			versions: versions{tlswire.TLS13, tlswire.TLS12, tlswire.TLS11},
			suites: map[tlswire.Version]ciphers{
				tlswire.TLS13: suites13, tlswire.TLS12: {ecdheAES128, ecdheCBC, rsaCBC}, tlswire.TLS11: {ecdheCBC, rsaCBC},
			},
			groups: groups{tlswire.X25519, tlswire.SecP384R1},
		},
		{
			name: "ECDSA, TLS 1.3, all groups",
			cfg: &tls.Config{
				Certificates: certificate(testcert.ECDSAP256), MinVersion: tls.VersionTLS13,
				CurvePreferences: []tls.CurveID{
					tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024, tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521,
				},
			},
			versions: versions{tlswire.TLS13},
			suites:   map[tlswire.Version]ciphers{tlswire.TLS13: suites13},
			groups: groups{
				tlswire.X25519MLKEM768, tlswire.SecP256R1MLKEM768, tlswire.SecP384R1MLKEM1024,
				tlswire.X25519, tlswire.SecP256R1, tlswire.SecP384R1, tlswire.SecP521R1,
			},
		},
		{
			name: "ECDSA, TLS 1.0 only",
			cfg: &tls.Config{
				Certificates: certificate(testcert.ECDSAP256), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10,
				CipherSuites:     []uint16{0xC009, 0xC00A},
				CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP521},
			},
			versions: versions{tlswire.TLS10},
			suites:   map[tlswire.Version]ciphers{tlswire.TLS10: {0xC009, 0xC00A}},
			groups:   groups{tlswire.X25519, tlswire.SecP256R1, tlswire.SecP521R1},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			facts, c := play(t, all(), 1<<10, cryptoTLS(tc.cfg))
			if c.Verdict != protocol.Success || facts.Enum.Incomplete != "" {
				t.Errorf("got verdict %d (%s), incomplete %q, want Success", c.Verdict, c.Reason, facts.Enum.Incomplete)
			}
			if diff := cmp.Diff(tc.versions, facts.Enum.Versions); diff != "" {
				t.Errorf("versions differ (-want +got):\n%s", diff)
			}
			got := map[tlswire.Version]ciphers{}
			for _, l := range facts.Enum.Ciphers {
				got[l.Version] = slices.Sorted(slices.Values(l.Ciphers))
			}
			for v := range tc.suites {
				tc.suites[v] = slices.Sorted(slices.Values(tc.suites[v]))
			}
			if diff := cmp.Diff(tc.suites, got); diff != "" {
				t.Errorf("suites differ (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(slices.Sorted(slices.Values(tc.groups)), slices.Sorted(slices.Values(facts.Enum.Groups))); diff != "" {
				t.Errorf("groups differ (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzExchange(f *testing.F) {
	p := policy{versions: versions{tlswire.TLS12, tlswire.TLS13}, groups: groups{tlswire.X25519}}
	f.Add(p.flight(tlswire.TLS13, tlswire.AES128GCMSHA256, tlswire.X25519), uint8(3), uint8(0), uint8(0))
	f.Add(p.flight(tlswire.TLS12, ecdheAES128, tlswire.X25519), uint8(200), uint8(1), uint8(1))
	f.Add([]byte("\x15\x03\x03\x00\x02\x02\x28"), uint8(0), uint8(0), uint8(5))
	f.Add([]byte("SSH-2.0-x\r\n"), uint8(0), uint8(0), uint8(0))
	f.Fuzz(func(t *testing.T, said []byte, piece, end, good uint8) {
		p := policy{
			versions: versions{tlswire.TLS12, tlswire.TLS13},
			suites:   map[tlswire.Version][]tlswire.CipherSuite{tlswire.TLS13: {tlswire.AES128GCMSHA256}, tlswire.TLS12: {rsaCBC, ecdheAES128}},
			groups:   groups{tlswire.X25519},
		}
		serve := p.serve(t)
		// Some good answers first, so that the bytes meet every question.
		play(t, all(), 1+int(piece), func(hello []byte) ([]byte, protocol.End) {
			if p.seen < int(good%40) {
				return serve(hello)
			}
			return said, protocol.End(end % 8)
		})
	})
}
