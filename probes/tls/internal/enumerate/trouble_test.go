package enumerate

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/probes"
	"sonde/probes/internal/tlsfacts"
	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// TestFickle: a server that refuses what it had taken answered, though not as it should: nothing closed.
func TestFickle(t *testing.T) {
	const want = "refused what it had taken after 4 connections"
	for _, tc := range []struct {
		name, said, alert string
	}{
		{"by an alert", "\x15\x03\x03\x00\x02\x02\x50", "internal_error"},
		{"by another message", "\x16\x03\x03\x00\x04\x0e\x00\x00\x00", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := policy{
				versions: versions{tlswire.TLS12, tlswire.TLS13},
				suites:   map[tlswire.Version][]tlswire.CipherSuite{tlswire.TLS13: {tlswire.AES128GCMSHA256}, tlswire.TLS12: {ecdheAES128}},
				groups:   groups{tlswire.X25519},
			}
			good := p.serve(t)
			connections := 0
			facts, c := play(t, all(), 100, func(hello []byte) ([]byte, protocol.End) {
				switch connections++; connections {
				case 3: // TLS 1.1: doubted
					return nil, protocol.EndReset
				case 4: // TLS 1.2, which was taken
					return []byte(tc.said), protocol.EndTimeout
				}
				return good(hello)
			})
			if c.Verdict != protocol.HandshakeRefused || c.Reason != want || facts.Enum.Incomplete != want || facts.Alert != tc.alert {
				t.Errorf("got verdict %d, %q, incomplete %q, alert %q, want HandshakeRefused, %q, %q", c.Verdict, c.Reason, facts.Enum.Incomplete, facts.Alert, want, tc.alert)
			}
			if diff := cmp.Diff(versions{tlswire.TLS13, tlswire.TLS12}, facts.Enum.Versions); diff != "" {
				t.Errorf("versions differ (-want +got):\n%s", diff)
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
