package scan

import (
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/engine"
	"sonde/probes"
	"sonde/protocol"
	"sonde/protocol/tlswire"
	"sonde/report"
	"sonde/target"
)

// targetsOf is what a scan of cfg would do, as "address:port/probe" with "+tls" behind it over TLS. A bad entry is its text.
func targetsOf(t *testing.T, cfg Config) []string {
	t.Helper()
	s := open(t, cfg)
	var got []string
	for {
		var next target.Target
		var bad *target.InputError
		switch err := s.source.Next(&next); {
		case err == io.EOF:
			return got
		case errors.As(err, &bad):
			got = append(got, bad.Reason)
			continue
		case err != nil:
			t.Fatal(err)
		}
		text := next.Addr.String() + ":" + strconv.Itoa(int(next.Port)) + "/" + next.Probe
		if next.TLS {
			text += "+tls"
		}
		if _, ok := s.catalogue.indexes[profile{next.Probe, next.TLS}]; !ok {
			t.Errorf("%s has no profile", text)
		}
		got = append(got, text+next.Path)
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestCatalogueTLS: which probe a target gets, whether over TLS, and on which port.
func TestCatalogueTLS(t *testing.T) {
	hello := probes.TLSOptions{Depth: probes.DepthHello}
	tests := map[string]struct {
		cfg  Config
		want []string
	}{
		"schemes": {Config{Args: []string{"https://10.0.0.1/a", "http://10.0.0.1/a", "https://10.0.0.1:8443", "10.0.0.2:80"}, Probes: []string{"http"}},
			[]string{"10.0.0.1:443/http+tls/a", "10.0.0.1:80/http/a", "10.0.0.1:8443/http+tls", "10.0.0.2:80/http"}},
		"tls": {Config{TLS: true, Args: []string{"10.0.0.1", "http://10.0.0.2"}, Probes: []string{"http", "redis"}},
			[]string{"10.0.0.1:443/http+tls", "10.0.0.1:6379/redis+tls", "10.0.0.2:443/http+tls"}},
		"tls of a trigger": {Config{TLS: true, Args: []string{"10.0.0.1,,m,"}, Triggers: map[string]string{"m": "imap"}, Probes: []string{"http"}},
			[]string{"10.0.0.1:993/imap+tls"}},
		"starttls stays on the plain port": {Config{Args: []string{"10.0.0.1"}, Probes: []string{"smtp"}, Options: withStartTLS("smtp")},
			[]string{"10.0.0.1:25/smtp"}},
		"a URL chooses the probe that asks": {Config{Args: []string{"smtp://10.0.0.1", "IMAP://10.0.0.2:1"}, Options: withStartTLS("auto")},
			[]string{"10.0.0.1:25/smtp", "10.0.0.2:1/imap"}},
		"a scheme over TLS begins with it": {Config{Args: []string{"smtps://10.0.0.1", "smtp://10.0.0.1"}, Probes: []string{"smtp"}, Options: withStartTLS("auto")},
			[]string{"10.0.0.1:465/smtp+tls", "10.0.0.1:25/smtp"}},
		"a depth that no probe over TLS has": {
			Config{InputFiles: []string{"-"}, Stdin: strings.NewReader("https://10.0.0.1\n10.0.0.1:80"), Options: probes.Options{TLS: hello}},
			[]string{"no probe for the scheme https in this scan: https:// over TLS: --tls-depth hello: a probe over TLS needs the whole handshake: " +
				"leave the flag out, or use --probe tls", "10.0.0.1:80/tcp"}},
		"the tls probe is TLS itself": {
			Config{TLS: true, Args: []string{"10.0.0.1", "tls://10.0.0.2:1"}, Probes: []string{"tls"}, Options: probes.Options{TLS: hello}},
			[]string{"10.0.0.1:443/tls", "10.0.0.2:1/tls"}},
		"a scheme without the prelude that is asked for": {
			Config{InputFiles: []string{"-"}, Stdin: strings.NewReader("http://10.0.0.1\n"), Probes: []string{"pop3"}, Options: withStartTLS("pop3")},
			[]string{"no probe for the scheme http in this scan: --starttls pop3: the protocol of the probe http has no way to ask for TLS"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, targetsOf(t, tt.cfg)); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
		})
	}
}

func withStartTLS(protocol string) probes.Options {
	return probes.Options{TLS: probes.TLSOptions{StartTLS: protocol}}
}

// TestCatalogueRefusals: what can't be meant is said before anything is dialled.
func TestCatalogueRefusals(t *testing.T) {
	tests := map[string]struct {
		cfg  Config
		want string // the start of the error
		hint bool
	}{
		"unknown probe": {Config{Probes: []string{"htp"}}, `--probe: there is no probe "htp"`, true},
		"auto, and no prelude": {Config{Probes: []string{"http"}, Options: withStartTLS("auto")},
			"--starttls auto: the protocol of the probe http has no way to ask for TLS", true},
		"auto, and the default probe": {Config{Args: []string{"smtp://10.0.0.1", "10.0.0.2"}, Options: withStartTLS("auto")},
			"--starttls auto: the protocol of the probe tcp has no way to ask for TLS", true},
		"auto, and the default probe for a file": {Config{Args: []string{"smtp://10.0.0.1"}, InputFiles: []string{"-"}, Options: withStartTLS("auto")},
			"--starttls auto: the protocol of the probe tcp has no way to ask for TLS", true},
		"auto, and a URL of the default probe's": {Config{Args: []string{"http://10.0.0.1"}, Options: withStartTLS("auto")},
			"--starttls auto: the protocol of the probe http has no way to ask for TLS", true},
		"starttls, and TLS from the first byte": {Config{TLS: true, Args: []string{"10.0.0.1"}, Probes: []string{"imap"}, Options: withStartTLS("auto")},
			"--tls: does not go with --starttls auto", true},
		"starttls, and a URL over TLS": {Config{Args: []string{"smtps://10.0.0.1"}, Probes: []string{"smtp"}, Options: withStartTLS("auto")},
			"--starttls auto: smtps:// has TLS from the first byte", true},
		"starttls, and URLs over TLS alone": {Config{Args: []string{"imaps://10.0.0.1", "https://10.0.0.2"}, Options: withStartTLS("smtp")},
			"--starttls smtp: https:// has TLS from the first byte", true},
		"a protocol that the probe does not speak": {
			Config{TLS: true, Probes: []string{"http"}, Options: probes.Options{TLS: probes.TLSOptions{ALPN: []string{"http/1.1", "h2"}}}},
			"--probe http over TLS: --alpn h2: the probe http speaks http/1.1", true},
		"another protocol's prelude": {Config{Probes: []string{"imap"}, Options: withStartTLS("smtp")},
			"--starttls smtp: the probe imap asks for TLS in its own protocol: want imap or auto", true},
		"a prelude by a trigger": {Config{Probes: []string{"smtp"}, Triggers: map[string]string{"w": "http"}, Options: withStartTLS("auto")},
			"--starttls auto: the protocol of the probe http", true},
		"depth": {Config{TLS: true, Probes: []string{"http"}, Options: probes.Options{TLS: probes.TLSOptions{Depth: probes.DepthCerts}}},
			"--probe http over TLS: --tls-depth certs: ", false},
		"a URL's depth": {Config{Args: []string{"HTTPS://a.test"}, Options: probes.Options{TLS: probes.TLSOptions{Depth: probes.DepthHello}}},
			"https:// over TLS: --tls-depth hello: ", false},
		"SSL 3.0": {Config{TLS: true, Probes: []string{"http"}, Options: probes.Options{TLS: probes.TLSOptions{MinVersion: tlswire.SSL30}}},
			"--probe http over TLS: --min-version ssl30: ", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := New(tt.cfg)
			if err == nil {
				s.Close()
			}
			var usage *UsageError
			if !errors.As(err, &usage) {
				t.Fatalf("got error %v, want a UsageError", err)
			}
			if !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %q, want it to begin with %q", err, tt.want)
			}
			if (usage.Hint != "") != tt.hint {
				t.Errorf("got hint %q, want one: %v", usage.Hint, tt.hint)
			}
		})
	}
}

// TestCatalogueWraps: a probe over TLS is a Handshaker, and knows whether its greeting was read; a plain one is not.
func TestCatalogueWraps(t *testing.T) {
	tests := map[string]struct {
		cfg           Config
		key           profile
		secure, later bool
	}{
		"plain":    {Config{Probes: []string{"smtp"}}, profile{"smtp", false}, false, false},
		"scheme":   {Config{Probes: []string{"smtp"}}, profile{"smtp", true}, true, false},
		"tls":      {Config{Probes: []string{"tcp"}, TLS: true}, profile{"tcp", true}, true, false},
		"starttls": {Config{Probes: []string{"smtp"}, Options: withStartTLS("auto")}, profile{"smtp", false}, true, true},
		"direct":   {Config{Probes: []string{"smtp"}, Options: withStartTLS("auto")}, profile{"smtp", true}, true, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.cfg.Options.TLS.Now = time.Now
			c, err := newCatalogue(&tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			index, ok := c.indexes[tt.key]
			if !ok {
				t.Fatalf("no profile %v", tt.key)
			}
			var to target.Target
			handshaker, secure := c.probes[index].Exchange(&to).(protocol.Handshaker)
			if secure != tt.secure {
				t.Fatalf("got a Handshaker: %v, want %v", secure, tt.secure)
			}
			if !secure {
				return
			}
			how, _ := handshaker.Handshake()
			if later := how == protocol.TLSLater; later != tt.later {
				t.Errorf("got security %d, want something plain first: %v", how, tt.later)
			}
		})
	}
}

// TestTimingOfTLS: the parts of a handshake add up in whole microseconds, and are absent without one.
func TestTimingOfTLS(t *testing.T) {
	for _, tt := range []struct{ whole, wait, own time.Duration }{
		{5_900 * time.Nanosecond, 2_100 * time.Nanosecond, 3 * time.Microsecond},
		{5_100 * time.Nanosecond, 2_900 * time.Nanosecond, 3 * time.Microsecond},
		{time.Millisecond, 0, time.Millisecond},
		{time.Millisecond, time.Millisecond, 0},
		{engine.Absent, engine.Absent, report.Absent},
	} {
		if got := ownPart(tt.whole, tt.wait); got != tt.own {
			t.Errorf("ownPart(%v, %v): got %v, want %v", tt.whole, tt.wait, got, tt.own)
		}
	}
}

// TestSettingsOfTLS: the metadata tells what was offered, with its defaults, and no key.
func TestSettingsOfTLS(t *testing.T) {
	const groups = `"groups":["x25519","secp256r1","secp384r1","secp521r1"]`
	tests := map[string]struct {
		cfg   Config
		stats engine.Stats
		want  string
	}{
		"none": {Config{}, engine.Stats{}, `null`},
		"tls": {Config{TLS: true}, engine.Stats{},
			`{"under_every_probe":true,"depth":"full","min_version":"tls10","max_version":"tls13",` + groups + `,"insecure":false,"own_roots":false}`},
		"of a URL": {Config{Options: probes.Options{TLS: probes.TLSOptions{Insecure: true, ServerName: "a.test"}}}, engine.Stats{HandshakesMax: 1},
			`{"under_every_probe":false,"depth":"full","sni":"a.test","min_version":"tls10","max_version":"tls13",` + groups + `,"insecure":true,"own_roots":false}`},
		"starttls": {Config{Probes: []string{"smtp"}, Options: withStartTLS("auto")}, engine.Stats{},
			`{"under_every_probe":false,"depth":"full","min_version":"tls10","max_version":"tls13",` + groups + `,"insecure":false,"own_roots":false,"starttls":"auto"}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			set := open(t, tt.cfg).settings(&tt.stats)
			if diff := cmp.Diff(tt.want, jsonOf(t, set.TLS)); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
			if (set.HandshakeLimitUS == 5_000_000) != (set.TLS != nil) {
				t.Errorf("got a limit of %d µs with settings %v, want it if and only if there is TLS", set.HandshakeLimitUS, set.TLS)
			}
		})
	}
}
