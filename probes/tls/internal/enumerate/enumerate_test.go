package enumerate

import (
	"bytes"
	"crypto/tls"
	"slices"
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
