package jarm

import (
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"testing"

	"sonde/probes/internal/tlsfacts"
	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// vector is a paragraph of testdata/vectors.txt.
type vector struct {
	name  string
	texts [helloCount]string
	bytes [helloCount][]byte // nil in a raw vector
	hash  string
}

func vectors(t *testing.T) (servers, raws []vector) {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	for paragraph := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
		var v vector
		raw := false
		for line := range strings.Lines(paragraph) {
			key, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			switch key {
			case "server":
				v.name = rest
			case "raw":
				raw = true
				copy(v.texts[:], strings.Split(rest, ","))
			case "hash":
				v.hash = rest
			case "answer":
				f := strings.Fields(rest)
				i, err := strconv.Atoi(f[0])
				if err != nil {
					t.Fatal(err)
				}
				v.texts[i] = f[1]
				if f[2] != "-" {
					if v.bytes[i], err = hex.DecodeString(f[2]); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if raw {
			raws = append(raws, v)
		} else {
			servers = append(servers, v)
		}
	}
	if len(servers) != 11 || len(raws) != 3 {
		t.Fatalf("got %d servers and %d raw vectors, want 11 and 3", len(servers), len(raws))
	}
	return servers, raws
}

// parse reads an answer in the published form.
func parse(t *testing.T, text string) answer {
	t.Helper()
	f := strings.Split(text, "|")
	if len(f) != 4 || f[0] == "" {
		return answer{}
	}
	number := func(s string) uint16 {
		v, err := strconv.ParseUint(s, 16, 16)
		if err != nil {
			t.Fatal(err)
		}
		return uint16(v)
	}
	a := answer{known: true, suite: tlswire.CipherSuite(number(f[0])), version: tlswire.Version(number(f[1])), alpn: f[2]}
	if f[3] != "" {
		for word := range strings.SplitSeq(f[3], "-") {
			a.types = append(a.types, tlswire.ExtensionType(number(word)))
		}
	}
	return a
}

func TestHashOfPublished(t *testing.T) {
	_, raws := vectors(t)
	for i, v := range raws {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			var answers [helloCount]answer
			for i, text := range v.texts {
				answers[i] = parse(t, text)
				if got := answers[i].String(); got != text {
					t.Errorf("answer %d: got %q, want %q", i, got, text)
				}
			}
			if got := hash(&answers); got != v.hash {
				t.Errorf("got %s, want %s", got, v.hash)
			}
		})
	}
}

func TestFingerprintsOfPublished(t *testing.T) {
	servers, _ := vectors(t)
	for _, v := range servers {
		t.Run(v.name, func(t *testing.T) {
			for _, piece := range []int{1, 7, 1 << 10} {
				p := newPlayer("sonde.test")
				p.piece = piece
				for _, data := range v.bytes {
					p.connection(data, protocol.EndOfStream)
				}
				facts, c := p.conclude(t)
				for i := range v.texts {
					if got := p.exchange.answers[i].String(); got != v.texts[i] {
						t.Errorf("answer %d: got %q, want %q", i, got, v.texts[i])
					}
				}
				if facts.JARM != v.hash || c.Verdict != protocol.Success {
					t.Errorf("in pieces of %d: got %s, verdict %d (%s), want %s, Success", piece, facts.JARM, c.Verdict, c.Reason, v.hash)
				}
			}
		})
	}
}

func TestHellosOfPublished(t *testing.T) {
	text, err := os.ReadFile("testdata/hellos.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(string(text))
	if len(want) != helloCount {
		t.Fatalf("got %d hellos in the file, want %d", len(want), helloCount)
	}
	var zeros, ones [randomSize]byte
	for i := range ones {
		ones[i] = 0xFF
	}
	for i := range want {
		a, err := appendHello(nil, i, "sonde.test", &zeros)
		if err != nil {
			t.Fatal(err)
		}
		b, err := appendHello(nil, i, "sonde.test", &ones)
		if err != nil {
			t.Fatal(err)
		}
		if got := masked(a, b); got != want[i] {
			t.Errorf("hello %d differs:\n got %s\nwant %s", i, got, want[i])
		}
	}
}

// masked writes what two hellos have in common, and dots where they differ.
func masked(a, b []byte) string {
	var out strings.Builder
	for i := range a {
		if a[i] == b[i] {
			out.WriteString(hex.EncodeToString(a[i : i+1]))
		} else {
			out.WriteString("..")
		}
	}
	return out.String()
}

// TestHello reads a hello back, for what the file can't tell: that GREASE stands where dots are.
func TestHello(t *testing.T) {
	var random [randomSize]byte
	for i := range random {
		random[i] = byte(i)
	}
	buf, err := appendHello(nil, 4, "sonde.test", &random)
	if err != nil {
		t.Fatal(err)
	}
	h, err := tlswire.ParseClientHello(buf[tlswire.RecordHeaderSize+tlswire.HandshakeHeaderSize:])
	if err != nil {
		t.Fatal(err)
	}
	shares, _ := h.Extension(tlswire.ExtKeyShare).(tlswire.KeyShares)
	for what, value := range map[string]uint16{
		"suite": uint16(h.CipherSuites[0]), "extension": uint16(h.Extensions[0].Type()), "group": uint16(shares[0].Group),
	} {
		if !tlswire.IsGREASE(value) {
			t.Errorf("first %s: got 0x%04x, want GREASE", what, value)
		}
	}
}

func TestNames(t *testing.T) {
	for _, tc := range []struct {
		name string
		want tlswire.Extension
	}{
		{"sonde.test", tlswire.ServerName("sonde.test")},
		{"192.0.2.1", tlswire.RawExtension{ID: tlswire.ExtServerName, Data: []byte("\x00\x0c\x00\x00\x09192.0.2.1")}},
		{"2001:db8::1", tlswire.RawExtension{ID: tlswire.ExtServerName, Data: []byte("\x00\x0e\x00\x00\x0b2001:db8::1")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := nameExtension(tc.name); !sameExtension(got, tc.want) {
				t.Errorf("got %#v, want %#v", got, tc.want)
			}
		})
	}
	var random [randomSize]byte
	buf, err := appendHello(nil, 0, "", &random)
	if err != nil {
		t.Fatal(err)
	}
	h, err := tlswire.ParseClientHello(buf[tlswire.RecordHeaderSize+tlswire.HandshakeHeaderSize:])
	if err != nil {
		t.Fatal(err)
	}
	if got := h.Extension(tlswire.ExtServerName); got != nil {
		t.Errorf("server_name without a name: got %v, want none", got)
	}
	if _, err := appendHello(nil, 0, strings.Repeat("x", 1<<16), &random); err == nil {
		t.Error("a name of 64 KiB: got no error, want one")
	}
}

func sameExtension(a, b tlswire.Extension) bool {
	ra, ok := a.(tlswire.RawExtension)
	rb, okb := b.(tlswire.RawExtension)
	if ok && okb {
		return ra.ID == rb.ID && string(ra.Data) == string(rb.Data)
	}
	return a == b
}

func factsOnly(keep **tlsfacts.Facts) func(*tlsfacts.Facts) protocol.Finding {
	return func(f *tlsfacts.Facts) protocol.Finding {
		*keep = f
		return nil
	}
}
