package config

import (
	"fmt"
	"slices"
	"time"

	"sonde/internal/words"
	"sonde/probes"
	"sonde/probes/builtin"
	"sonde/probes/starttls"
	"sonde/protocol"
)

// checkModule holds a module against what its form allows.
func (r *reader) checkModule(m *Module) {
	path := member("modules", m.Name)
	r.checkName(m.Name, r.at(&m.Name), path)
	switch {
	case m.Own != nil:
		r.checkOwn(m.Own, path)
	case m.Blackbox != nil:
		b := m.Blackbox
		if b.Timeout != 0 {
			r.lasts(&b.Timeout, b.Timeout, time.Millisecond, maxTimeout, path+".timeout")
		}
		switch b.Prober {
		case "http":
			r.checkBlackboxHTTP(m, &b.HTTP, path+".http")
		case "tcp":
			r.checkBlackboxTCP(&b.TCP, path+".tcp")
		}
	}
}

func (r *reader) checkFallback(c *Config, m *Module) {
	to, path := m.Own.Fallback, member("modules", m.Name)
	if to == "" {
		return
	}
	other := c.Module(to)
	at := r.at(&m.Own.Fallback)
	switch {
	case to == m.Name:
		r.fail(at, "name another module", "%s.fallback: it is the module itself", path)
	case other == nil:
		r.fail(at, suggest(to, names(c)), "%s.fallback: there is no module %q", path, clip(to))
	case other.Disabled != "":
		r.fail(at, "take another module for it", "%s.fallback: the module %q can't be run: %s", path, to, other.Disabled)
	}
}

func (r *reader) checkOwn(o *Own, path string) {
	for _, t := range []struct {
		p   *time.Duration
		key string
	}{{&o.Timeout, "timeout"}, {&o.ConnectTimeout, "connect_timeout"}, {&o.HandshakeTimeout, "tls_handshake_timeout"}, {&o.ReadTimeout, "read_timeout"}} {
		r.lasts(t.p, *t.p, time.Millisecond, maxTimeout, path+"."+t.key)
	}
	p, ok := builtin.Find(o.Probe)
	if !ok {
		var known []string
		for _, p := range builtin.All() {
			known = append(known, p.About().Name)
		}
		err := wantWord(o.Probe, known).(*mendable)
		r.fail(r.at(&o.Probe, o), err.hint, "%s.probe: there is no probe %s", path, err.text)
		return
	}
	r.checkHeeded(o, p.About(), path)
	r.checkOwnTLS(o, p.About(), path+".tls")
	if o.ReadBytes != 0 {
		r.within(&o.ReadBytes, float64(o.ReadBytes), 1, protocol.MaxFrameSize, path+".read_bytes")
	}
	r.checkHeaders(o.HTTP.Headers, path+".http.headers")
}

// checkHeeded refuses what the probe does not heed: it would be thought to hold.
func (r *reader) checkHeeded(o *Own, about probes.About, path string) {
	for _, k := range []struct {
		p         any
		key, flag string
	}{
		{&o.Send, "send", "--send"}, {&o.Expect, "expect", "--expect"}, {&o.ReadBytes, "read_bytes", "--read-bytes"},
		{&o.Frame, "frame", "--frame"}, {&o.HTTP, "http", "--http-method"},
	} {
		if !r.has(k.p) || slices.Contains(about.Options, k.flag) {
			continue
		}
		var heed []string
		for _, p := range builtin.All() {
			if slices.Contains(p.About().Options, k.flag) {
				heed = append(heed, p.About().Name)
			}
		}
		r.fail(r.at(k.p), fmt.Sprintf("it is for %s", words.And(heed)), "%s.%s: the probe %s has no use for it", path, k.key, about.Name)
	}
}

// tlsProbe is the probe that is TLS itself.
const tlsProbe = "tls"

func (r *reader) checkOwnTLS(o *Own, about probes.About, path string) {
	t := &o.TLS
	if t.StartTLS != "" {
		r.checkStartTLS(t, about.Name, path)
	}
	for i, protocol := range t.ALPN {
		switch {
		case protocol == "" || len(protocol) > 255: // RFC 7301 s.3.1
			r.fail(r.at(&t.ALPN[i]), "", "%s.alpn[%d]: a protocol's name has 1 to 255 bytes", path, i)
		case len(about.ALPN) > 0 && !slices.Contains(about.ALPN, protocol):
			r.fail(r.at(&t.ALPN[i]), "the probe tls offers any protocol", "%s.alpn[%d]: the probe %s speaks %s", path, i, about.Name, words.And(about.ALPN))
		}
	}
	if t.MinVersion != 0 && t.MaxVersion != 0 && t.MinVersion > t.MaxVersion {
		r.fail(r.at(&t.MinVersion), "turn them round", "%s: min_version %s is above max_version %s", path, t.MinVersion.Word(), t.MaxVersion.Word())
	}
	if t.KeyFile != "" && t.CertFile == "" {
		r.fail(r.at(&t.KeyFile), "cert_file: names the certificate", "%s.key_file: it has no certificate", path)
	}
}

// checkStartTLS refuses a protocol that the probe does not speak: it would not be understood.
func (r *reader) checkStartTLS(t *TLS, probe, path string) {
	at, known := r.at(&t.StartTLS), starttls.Protocols()
	own := slices.Contains(known, probe)
	switch words := append(known, probes.StartTLSAuto); {
	case !slices.Contains(words, t.StartTLS):
		err := wantWord(t.StartTLS, words).(*mendable)
		r.fail(at, err.hint, "%s.starttls: %s", path, err.text)
	case t.Enabled:
		r.fail(at, "leave one of them out", "%s: enabled has TLS from the first byte, starttls later on request", path)
	case probe == tlsProbe:
	case !own:
		r.fail(at, "enabled has TLS from the first byte; the probe tls asks for it in any of the protocols",
			"%s.starttls: the protocol of the probe %s has no way to ask for TLS", path, probe)
	case t.StartTLS != probe && t.StartTLS != probes.StartTLSAuto:
		r.fail(at, "", "%s.starttls: the probe %s asks for TLS in its own protocol: want %s or %s", path, probe, probe, probes.StartTLSAuto)
	}
}

// checkHeaders checks the names of fields (RFC 9110 s.5.1) and that nothing breaks out of its line.
func (r *reader) checkHeaders(list []Header, path string) {
	for i := range list {
		h := &list[i]
		if !isToken(h.Name) {
			r.fail(r.at(&h.Name), "a field has letters, digits and minus signs", "%s: %q is no name of a field", path, clip(h.Name))
		}
		if hasControl(string(h.Value)) {
			r.fail(r.at(&h.Value, &h.Name), "", "%s: its value has a line end or a NUL", member(path, h.Name))
		}
	}
}
