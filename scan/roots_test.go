package scan

import (
	"crypto/x509"
	"testing"

	"sonde/probes"
	"sonde/report"
)

// TestRootsBeforeDial: the system's authorities are read before the first target that is held against them is dialled, and
// never for one that is not.
func TestRootsBeforeDial(t *testing.T) {
	const addr = "127.0.0.1:1" // refuses
	own := probes.TLSOptions{Roots: x509.NewCertPool()}
	tests := map[string]struct {
		cfg  Config
		want bool
	}{
		"tls":               {Config{Probes: []string{"tls"}}, true},
		"tls, insecure":     {Config{Probes: []string{"tls"}, Options: probes.Options{TLS: probes.TLSOptions{Insecure: true}}}, true},
		"below a probe":     {Config{Probes: []string{"http"}, TLS: true}, true},
		"by a URL":          {Config{Args: []string{"https://" + addr}}, true},
		"on request":        {Config{Probes: []string{"smtp"}, Options: withStartTLS("auto")}, true},
		"plain":             {Config{Probes: []string{"http"}}, false},
		"other authorities": {Config{Probes: []string{"tls"}, Options: probes.Options{TLS: own}}, false},
		"many hellos":       {Config{Probes: []string{"tls"}, Options: probes.Options{TLS: probes.TLSOptions{JARM: true}}}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if len(tt.cfg.Args) == 0 {
				tt.cfg.Args = []string{addr}
			}
			tt.cfg.Sink = report.NewFanOut()
			s, err := New(tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			loaded := false
			s.loadRoots = func() {
				loaded = true
				if n := s.engine.Stats().Opened; n != 0 {
					t.Errorf("got %d connections before the authorities, want none", n)
				}
			}
			if _, err := s.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if loaded != tt.want {
				t.Errorf("got authorities read: %v, want %v", loaded, tt.want)
			}
		})
	}
}
