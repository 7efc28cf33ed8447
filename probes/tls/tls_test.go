package tls

import (
	"crypto/tls"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sonde/probes"
	"sonde/probes/starttls"
	"sonde/protocol"
	"sonde/protocol/tlswire"
	"sonde/target"
)

func now() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }

// configure returns a configured Probe.
func configure(t *testing.T, o probes.TLSOptions) Probe {
	t.Helper()
	o.Now = now
	p, err := (Probe{}).Configure(probes.Options{TLS: o})
	if err != nil {
		t.Fatal(err)
	}
	return p.(Probe)
}

func at(domain string, port uint16) *target.Target {
	return &target.Target{Addr: netip.MustParseAddr("::ffff:192.0.2.1"), Port: port, Domain: domain}
}

// TestWays: the options choose how to ask, seen by who makes the handshake and how often one is asked for.
func TestWays(t *testing.T) {
	enum := probes.TLSOptions{}
	enum.Enum.Versions = true
	for _, c := range []struct {
		name     string
		o        probes.TLSOptions
		security protocol.Security
		series   bool
	}{
		{"full", probes.TLSOptions{}, protocol.TLSNow, false},
		{"hello", probes.TLSOptions{Depth: probes.DepthHello}, protocol.TLSOwn, false},
		{"certs", probes.TLSOptions{Depth: probes.DepthCerts}, protocol.TLSOwn, false},
		{"enumeration", enum, protocol.TLSOwn, true},
		{"jarm", probes.TLSOptions{JARM: true}, protocol.TLSOwn, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := configure(t, c.o).Exchange(at("a.test", 443)).(protocol.Handshaker)
			if got, _ := e.Handshake(); got != c.security {
				t.Errorf("security: got %d, want %d", got, c.security)
			}
			if _, ok := e.(protocol.Series); c.series && !ok {
				t.Error("not a series of connections")
			}
			c.o.StartTLS = "smtp"
			e = configure(t, c.o).Exchange(at("a.test", 25)).(protocol.Handshaker)
			if got, _ := e.Handshake(); got != protocol.TLSLater {
				t.Errorf("security with STARTTLS: got %d, want %d", got, protocol.TLSLater)
			}
		})
	}
}

// TestUnconfigured: the zero Probe makes a whole handshake, and needs no clock for it.
func TestUnconfigured(t *testing.T) {
	e := (Probe{}).Exchange(at("a.test", 443)).(protocol.Handshaker)
	security, cfg := e.Handshake()
	if security != protocol.TLSNow || cfg == nil || cfg.ServerName != "a.test" {
		t.Errorf("got %d, %+v", security, cfg)
	}
	e.OnHandshake(&protocol.Handshake{Err: tls.AlertError(40)})
	if got := e.Conclusion(); got.Verdict == protocol.Success {
		t.Error("an alert is a success")
	}
}

// TestNames: what a target is called, for the hello and for the certificate.
func TestNames(t *testing.T) {
	for _, c := range []struct {
		name   string
		o      probes.TLSOptions
		domain string
		port   uint16
		want   names
	}{
		{"domain", probes.TLSOptions{}, "a.test", 443, names{"a.test", "a.test", ""}},
		{"dot at the end", probes.TLSOptions{}, "a.test.", 443, names{"a.test", "a.test", ""}},
		{"address", probes.TLSOptions{}, "", 443, names{"", "192.0.2.1", ""}},
		{"no DNS name", probes.TLSOptions{}, "bücher.test", 443, names{"", "bücher.test", ""}},
		{"flag", probes.TLSOptions{ServerName: "b.test"}, "a.test", 443, names{"b.test", "b.test", ""}},
		{"starttls", probes.TLSOptions{StartTLS: "imap"}, "a.test", 443, names{"a.test", "a.test", "imap"}},
		{"starttls by port", probes.TLSOptions{StartTLS: probes.StartTLSAuto}, "a.test", 587, names{"a.test", "a.test", "smtp"}},
		{"starttls by no port", probes.TLSOptions{StartTLS: probes.StartTLSAuto}, "a.test", 443, names{"a.test", "a.test", ""}},
	} {
		if got := configure(t, c.o).names(at(c.domain, c.port)); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestHelloOfEachTarget: the name in the hello is the target's own.
func TestHelloOfEachTarget(t *testing.T) {
	p := configure(t, probes.TLSOptions{Depth: probes.DepthHello})
	for _, domain := range []string{"a.test", "b.test", "", "a.test"} {
		hello := p.Exchange(at(domain, 443)).Begin().Send[0]
		h, err := tlswire.ParseClientHello(hello[tlswire.RecordHeaderSize+tlswire.HandshakeHeaderSize:])
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := h.Extension(tlswire.ExtServerName).(tlswire.ServerName); string(got) != domain {
			t.Errorf("got %q, want %q", got, domain)
		}
	}
}

// TestCombinations: what does not go together is refused, with the flags, the reason and what to do.
func TestCombinations(t *testing.T) {
	set := func(edit func(*probes.TLSOptions)) probes.TLSOptions {
		var o probes.TLSOptions
		edit(&o)
		return o
	}
	certificate := []tls.Certificate{{}}
	for _, c := range []struct {
		want []string
		o    probes.TLSOptions
	}{
		{[]string{"--session-reuse", "--tls-depth hello", "leave"}, set(func(o *probes.TLSOptions) { o.SessionReuse, o.Depth = true, probes.DepthHello })},
		{[]string{"--session-reuse", "--tls-enum"}, set(func(o *probes.TLSOptions) { o.SessionReuse, o.Enum.Ciphers = true, true })},
		{[]string{"--session-reuse", "--jarm"}, set(func(o *probes.TLSOptions) { o.SessionReuse, o.JARM = true, true })},
		{[]string{"--cert", "--tls-depth certs"}, set(func(o *probes.TLSOptions) { o.Certificates, o.Depth = certificate, probes.DepthCerts })},
		{[]string{"--ech-config", "--tls-depth hello"}, set(func(o *probes.TLSOptions) { o.ECH, o.Depth = []byte{0}, probes.DepthHello })},
		{[]string{"--jarm", "--tls-enum"}, set(func(o *probes.TLSOptions) { o.JARM, o.Enum.Groups = true, true })},
		{[]string{"--pem", "--jarm"}, set(func(o *probes.TLSOptions) { o.PEM, o.JARM = true, true })},
		{[]string{"--tls-depth certs", "--tls-enum"}, set(func(o *probes.TLSOptions) { o.Depth, o.Enum.Versions = probes.DepthCerts, true })},
		{[]string{"--alpn", "--jarm"}, set(func(o *probes.TLSOptions) { o.ALPN, o.JARM = []string{"h2"}, true })},
		{[]string{"--groups", "--jarm"}, set(func(o *probes.TLSOptions) { o.Groups, o.JARM = []tlswire.Group{tlswire.X25519}, true })},
		{[]string{"--min-version", "--jarm"}, set(func(o *probes.TLSOptions) { o.MinVersion, o.JARM = tlswire.TLS12, true })},
		{[]string{"--max-version", "--jarm"}, set(func(o *probes.TLSOptions) { o.MaxVersion, o.JARM = tlswire.TLS12, true })},
		{[]string{"--min-version tls13", "--max-version tls12"}, set(func(o *probes.TLSOptions) {
			o.MinVersion, o.MaxVersion, o.Enum.Versions = tlswire.TLS13, tlswire.TLS12, true
		})},
		{[]string{"--starttls gopher", "smtp"}, set(func(o *probes.TLSOptions) { o.StartTLS = "gopher" })},
		{[]string{"--sni", "192.0.2.1"}, set(func(o *probes.TLSOptions) { o.ServerName = "192.0.2.1" })},
		{[]string{"--groups x448", "--tls-depth hello"}, set(func(o *probes.TLSOptions) { o.Groups, o.Depth = []tlswire.Group{tlswire.X448}, probes.DepthCerts })},
		{[]string{"--min-version"}, set(func(o *probes.TLSOptions) { o.MinVersion = tlswire.SSL30 })},
	} {
		c.o.Now = now
		_, err := (Probe{}).Configure(probes.Options{TLS: c.o})
		if err == nil {
			t.Errorf("%q: no error", c.want)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q in it", err, want)
			}
		}
	}
	for _, protocol := range append(starttls.Protocols(), probes.StartTLSAuto) {
		configure(t, probes.TLSOptions{StartTLS: protocol})
	}
}
