package secure

import (
	"crypto/tls"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sonde/probes"
	"sonde/protocol/tlswire"
	"sonde/target"
)

func TestNewRefuses(t *testing.T) {
	ech, _ := echConfig(t, "outer.test")
	for _, tt := range []struct {
		name   string
		change func(*probes.TLSOptions)
		want   []string // the flag, and how to mend it
	}{
		{"depth", func(o *probes.TLSOptions) { o.Depth = probes.DepthHello }, []string{"--tls-depth hello", "--probe tls"}},
		{"no clock", func(o *probes.TLSOptions) { o.Now = nil }, []string{"Now"}},
		{"SSL 3.0 at least", func(o *probes.TLSOptions) { o.MinVersion = tlswire.SSL30 }, []string{"--min-version ssl30", "tls10", "--tls-depth hello"}},
		{"SSL 3.0 at most", func(o *probes.TLSOptions) { o.MaxVersion = tlswire.SSL30 }, []string{"--max-version ssl30", "tls10", "--tls-depth hello"}},
		{"too new", func(o *probes.TLSOptions) { o.MaxVersion = 0x0305 }, []string{"--max-version", "tls13"}},
		{"too new at least", func(o *probes.TLSOptions) { o.MinVersion = 0x0305 }, []string{"--min-version", "tls13"}},
		{"turned round", func(o *probes.TLSOptions) { o.MinVersion, o.MaxVersion = tlswire.TLS13, tlswire.TLS12 },
			[]string{"--min-version tls13", "--max-version tls12"}},
		{"ECH up to 1.2", func(o *probes.TLSOptions) { o.ECH, o.MaxVersion = ech, tlswire.TLS12 }, []string{"--max-version tls12", "--ech-config"}},
		{"ECH from 1.2", func(o *probes.TLSOptions) { o.ECH, o.MinVersion = ech, tlswire.TLS12 }, []string{"--min-version tls12", "--ech-config"}},
		{"ECH that is none", func(o *probes.TLSOptions) { o.ECH = []byte("rubbish") }, []string{"--ech-config", "ECHConfigList"}},
		{"group", func(o *probes.TLSOptions) { o.Groups = []tlswire.Group{tlswire.X25519, tlswire.X448} }, []string{"--groups x25519,x448", "secp256r1"}},
		{"protocol", func(o *probes.TLSOptions) { o.ALPN = []string{strings.Repeat("x", 256)} }, []string{"--alpn", "255 bytes"}},
		{"name", func(o *probes.TLSOptions) { o.ServerName = "192.0.2.1" }, []string{`--sni "192.0.2.1"`, "DNS name"}},
		{"prelude", func(o *probes.TLSOptions) { o.StartTLS = "gopher" }, []string{`--starttls "gopher"`, "smtp", "auto"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options()
			tt.change(&o)
			l, err := New(o)
			if err == nil || l != nil {
				t.Fatalf("got %v, %v", l, err)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("got %q, want %q in it", err, part)
				}
			}
		})
	}
}

func TestNewTakes(t *testing.T) {
	ech, _ := echConfig(t, "outer.test")
	for name, change := range map[string]func(*probes.TLSOptions){
		"nothing said":     func(*probes.TLSOptions) {},
		"one version":      func(o *probes.TLSOptions) { o.MinVersion, o.MaxVersion = tlswire.TLS12, tlswire.TLS12 },
		"ECH":              func(o *probes.TLSOptions) { o.ECH = ech },
		"hybrid":           func(o *probes.TLSOptions) { o.Groups = []tlswire.Group{tlswire.X25519MLKEM768, tlswire.X25519} },
		"no clock, no use": func(o *probes.TLSOptions) { o.Now, o.Insecure = nil, true },
		"auto":             func(o *probes.TLSOptions) { o.StartTLS = probes.StartTLSAuto },
	} {
		o := options()
		change(&o)
		if _, err := New(o); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNames(t *testing.T) {
	addr := netip.MustParseAddr
	for _, tt := range []struct {
		name          string
		asked         string
		target        target.Target
		sni, identity string
	}{
		{"domain", "", target.Target{Addr: addr("192.0.2.1"), Domain: "a.test"}, "a.test", "a.test"},
		{"dot at its end", "", target.Target{Addr: addr("192.0.2.1"), Domain: "a.test."}, "a.test", "a.test"},
		{"address", "", target.Target{Addr: addr("192.0.2.1")}, "", "192.0.2.1"},
		{"mapped address", "", target.Target{Addr: addr("::ffff:192.0.2.1")}, "", "192.0.2.1"},
		{"address with a zone", "", target.Target{Addr: addr("fe80::1%eth0")}, "", "fe80::1"},
		{"address for a name", "", target.Target{Addr: addr("192.0.2.1"), Domain: "192.0.2.1"}, "", "192.0.2.1"},
		{"name that can't be sent", "", target.Target{Addr: addr("192.0.2.1"), Domain: "a..test"}, "", "a..test"},
		{"asked for", "b.test", target.Target{Addr: addr("192.0.2.1"), Domain: "a.test"}, "b.test", "b.test"},
	} {
		sni, identity := Names(&tt.target, tt.asked)
		if sni != tt.sni || identity != tt.identity {
			t.Errorf("%s: got %q, %q, want %q, %q", tt.name, sni, identity, tt.sni, tt.identity)
		}
	}
}

// What the caller does with the options afterwards does not reach the layer, and connections do not reach each other.
func TestLayerIsImmutable(t *testing.T) {
	o := options()
	o.ALPN = []string{"h2"}
	o.Certificates = []tls.Certificate{good(t)}
	l := layer(t, o)
	o.ALPN[0], o.Certificates[0] = "x", tls.Certificate{}
	e := l.Exchange(here, nil, nil, true)
	_, first := e.Handshake()
	_, second := l.Exchange(&target.Target{Addr: here.Addr}, nil, nil, false).Handshake()
	if !slices.Equal(first.NextProtos, []string{"h2"}) || len(l.options.Certificates[0].Certificate) == 0 {
		t.Errorf("got %q, %v", first.NextProtos, l.options.Certificates)
	}
	if first == second || first.ServerName != "a.test" || second.ServerName != "" || l.base.ServerName != "" || l.base.GetClientCertificate != nil {
		t.Errorf("got names %q, %q and %q", first.ServerName, second.ServerName, l.base.ServerName)
	}
	if first.Renegotiation != tls.RenegotiateNever {
		t.Error("the configuration allows renegotiation")
	}
}
