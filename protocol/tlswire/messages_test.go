package tlswire

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sonde/protocol"
	"sonde/protocol/protocoltest"
)

// Each parser takes its good body, no strict prefix of it, nothing longer, and none of the bad ones.
func TestParsers(t *testing.T) {
	for _, p := range parsers() {
		t.Run(p.name, func(t *testing.T) {
			good := unhex(p.good)
			if err := p.parse(good); err != nil {
				t.Fatal(err)
			}
			ends := map[int]bool{}
			for _, n := range p.ends {
				ends[n] = true
			}
			for n := range good {
				err := p.parse(good[:n:n])
				if ends[n] != (err == nil) {
					t.Errorf("first %d of %d bytes: got error %v, want none: %t", n, len(good), err, ends[n])
				}
				var m *protocol.MalformedError
				if err != nil && (!errors.As(err, &m) || m.Offset > n || !strings.HasPrefix(m.Format, "tls ")) {
					t.Errorf("first %d of %d bytes: got %#v, want a *MalformedError inside them", n, len(good), err)
				}
			}
			if err := p.parse(append(bytes.Clone(good), 0)); err == nil {
				t.Error("with a byte behind: got no error, want one")
			}
			for _, b := range p.bad {
				if err := p.parse(unhex(b.hex)); err == nil || !errorHas(err, b.want) {
					t.Errorf("%s: got %v, want %q", b.name, err, b.want)
				}
			}
		})
	}
}

func TestMostExtensions(t *testing.T) {
	h, err := ParseServerHello(unhex(hello(manyExtensions(MaxExtensions))))
	if got := len(h.Extensions.AppendTypes(nil)); err != nil || got != MaxExtensions {
		t.Errorf("got %d extensions, %v, want %d", got, err, MaxExtensions)
	}
}

func TestCertificateLimit(t *testing.T) {
	entries := strings.Repeat("000001 aa", MaxChain)
	body := func(s string) []byte { return unhex(fmt.Sprintf("%06x %s", len(unhex(s)), s)) }
	if c, err := ParseCertificate(body(entries), TLS12); err != nil || len(c.Entries) != MaxChain {
		t.Errorf("got %d certificates, %v, want %d", len(c.Entries), err, MaxChain)
	}
	if _, err := ParseCertificate(body(entries+"000001 aa"), TLS12); !errors.Is(err, protocol.ErrTooLarge) {
		t.Errorf("one more: got %v, want ErrTooLarge", err)
	}
	if c, err := ParseCertificate(unhex("000000"), TLS12); err != nil || len(c.Entries) != 0 {
		t.Errorf("empty chain: got %v, %v, want none", c, err)
	}
}

func TestServerKeyExchangeFields(t *testing.T) {
	k, err := ParseServerKeyExchange(unhex("0003 000fff 0001 02 0002 aabb 0401 0001 cc"), 0x009E, TLS12)
	if err != nil || k.PrimeBits() != 12 || string(k.Generator) != "\x02" || string(k.Public) != "\xaa\xbb" || k.Scheme != RSAPKCS1SHA256 ||
		string(k.Signature) != "\xcc" || len(k.Params) != 12 {
		t.Errorf("DHE: got %+v, %v", k, err)
	}
	k, err = ParseServerKeyExchange(unhex("0040"+zeros+"8"+strings.Repeat("0", 63)+"0003 010001 0001 cc"), 0x0008, TLS10)
	if err != nil || k.ModulusBits() != 256 || string(k.Exponent) != "\x01\x00\x01" || k.PrimeBits() != 0 {
		t.Errorf("EXPORT: got %+v, %d bits, %v", k, k.ModulusBits(), err)
	}
	k, err = ParseServerKeyExchange(unhex("0002 6869 03 001d 01 aa"), 0xC035, TLS12)
	if err != nil || string(k.Identity) != "hi" || k.Group != X25519 || string(k.Point) != "\xaa" || k.Signature != nil {
		t.Errorf("ECDHE PSK: got %+v, %v", k, err)
	}
	for _, suite := range []CipherSuite{0x002F, 0x1301, 0xC01D, 0xC102, 0x0000, 0xABCD} {
		if _, err := ParseServerKeyExchange(unhex("03 001d 01 aa"), suite, TLS12); !errors.Is(err, ErrNoServerKeyExchange) {
			t.Errorf("%v: got %v, want ErrNoServerKeyExchange", suite, err)
		}
	}
}

func TestFinishedSize(t *testing.T) {
	for _, c := range []struct {
		v     Version
		suite CipherSuite
		want  int
	}{{SSL30, 0x0005, 36}, {TLS10, 0x0005, 12}, {TLS12, 0xC030, 12}, {TLS13, AES128GCMSHA256, 32}, {TLS13, AES256GCMSHA384, 48}} {
		if got := FinishedSize(c.v, c.suite); got != c.want {
			t.Errorf("%v, %v: got %d, want %d", c.v, c.suite, got, c.want)
		}
	}
}

func TestServerHelloAllocs(t *testing.T) {
	if protocoltest.UnderRace() {
		return
	}
	body := unhex(parsers()[0].good)
	n := 0
	allocs := testing.AllocsPerRun(100, func() {
		h, err := ParseServerHello(body)
		if err != nil {
			t.Fatal(err)
		}
		for range h.Extensions.All() {
			n++
		}
		for range h.SCTs.All() {
			n++
		}
	})
	if allocs > 0 || n == 0 {
		t.Errorf("got %v allocations, want 0", allocs)
	}
}

// FuzzParsers gives any body to any of the parsers: no panic, no memory beyond the body's, and what is good is no
// longer good with a byte behind it.
func FuzzParsers(f *testing.F) {
	all := parsers()
	for i, p := range all {
		f.Add(byte(i), unhex(p.good))
		for _, b := range p.bad {
			f.Add(byte(i), unhex(b.hex))
		}
	}
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		p := all[int(which)%len(all)]
		err := p.parse(body[:len(body):len(body)])
		var m *protocol.MalformedError
		switch {
		case err == nil:
			if p.parse(append(bytes.Clone(body), 0)) == nil {
				t.Errorf("%s: good, and good with a byte behind", p.name)
			}
		case errors.As(err, &m):
			if m.Offset < 0 || m.Offset > len(body) {
				t.Errorf("%s: offset %d of %d bytes", p.name, m.Offset, len(body))
			}
		case !errors.Is(err, protocol.ErrTooLarge):
			t.Errorf("%s: got %v, outside the contract", p.name, err)
		}
	})
}

// FuzzServerHello holds the result against the bytes: written again it is the same.
func FuzzServerHello(f *testing.F) {
	f.Add(unhex(parsers()[0].good))
	f.Add(unhex(block(retryA, "002b 0002 0304 0033 0002 0017")))
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := ParseServerHello(body)
		if err != nil {
			return
		}
		var w writer
		w.uint16(uint16(h.LegacyVersion))
		w.buf = append(w.buf, h.Random...)
		w.opaque(1, h.SessionID)
		w.uint16(uint16(h.CipherSuite))
		w.uint8(h.Compression)
		if len(w.buf) < len(body) {
			extensions := w.open(2)
			for extType, content := range h.Extensions.All() {
				w.uint16(uint16(extType))
				w.opaque(2, content)
				if found, ok := h.Extensions.Find(extType); !ok || !bytes.Equal(found, content) {
					t.Errorf("%v: found %x, want %x", extType, found, content)
				}
			}
			w.close(2, extensions, "")
		}
		if !bytes.Equal(w.buf, body) {
			t.Errorf("written again: got %x, want %x", w.buf, body)
		}
		if h.IsRetry() && h.KeyShare.Key != nil {
			t.Error("a retry with a key")
		}
	})
}

func BenchmarkParseServerHello(b *testing.B) {
	body := unhex(block("0303"+zeros+"20"+zeros+"1301 00", "002b 0002 0304  0033 0024 001d 0020"+zeros))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseServerHello(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseCertificate(b *testing.B) {
	var body writer
	list := body.open(3)
	for range 3 {
		body.opaque(3, make([]byte, 1200))
	}
	body.close(3, list, "")
	b.SetBytes(int64(len(body.buf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseCertificate(body.buf, TLS12); err != nil {
			b.Fatal(err)
		}
	}
}
