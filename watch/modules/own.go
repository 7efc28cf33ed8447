package modules

import (
	"errors"
	"fmt"
	"strings"

	"sonde/engine"
	"sonde/probes"
	"sonde/probes/builtin"
	"sonde/probes/keep"
	"sonde/probes/secure"
	"sonde/protocol/framespec"
	"sonde/target"
	"sonde/watch/config"
)

// tlsProbe is the probe that is TLS itself: there is none below it.
const tlsProbe = "tls"

// compileOwn makes a module that runs one of sonde's probes.
func (m *Module) compileOwn(o *config.Own, hostname string, files *files) error {
	base, ok := builtin.Find(o.Probe)
	if !ok {
		return fmt.Errorf("there is no probe %q", o.Probe)
	}
	m.Probing, m.Fallback, m.Family, m.Timeout = o.Probe, o.Fallback, o.Family, o.Timeout
	m.Limits = engine.Limits{Connect: o.ConnectTimeout, Handshake: o.HandshakeTimeout, Read: o.ReadTimeout}.WithDefaults()
	options, err := m.ownOptions(o, hostname, files)
	if err != nil {
		return err
	}
	v := variants{base: base, options: options}
	if m.Probe, err = v.probe(o.TLS.StartTLS, nil); err != nil {
		return err
	}
	m.Target = ownTargets(base.About(), o.TLS.Enabled && o.Probe != tlsProbe)
	question, keeps := heartbeat(o)
	if !keeps {
		m.CantKeep = fmt.Sprintf("the probe %s has no question that could be asked again over the same connection", o.Probe)
		return nil
	}
	if m.Kept, err = v.probe(o.TLS.StartTLS, keep.Under); err != nil || !question {
		return err
	}
	beat, err := configure(base, options)
	m.Heartbeat = keep.Under(beat)
	return err
}

// heartbeat reports whether connections of the probe can be kept, and whether there is a question to ask over them.
func heartbeat(o *config.Own) (question, keeps bool) {
	switch o.Probe {
	case "tcp":
		return false, true
	case "redis":
		return true, true
	case "banner": // without a text to send it hears a greeting, which comes once
		return o.Send != "", o.Send != ""
	}
	return false, false
}

// ownOptions are what the flags of scan would say.
func (m *Module) ownOptions(o *config.Own, hostname string, files *files) (probes.Options, error) {
	var none probes.Options
	options := probes.Options{
		Expect: o.Expect, ReadBytes: o.ReadBytes,
		HTTP: probes.HTTPOptions{Method: o.HTTP.Method, Host: o.HTTP.Host, Path: o.HTTP.Path, Status: o.HTTP.Status},
		TLS: probes.TLSOptions{
			ServerName: o.TLS.ServerName, ALPN: o.TLS.ALPN, MinVersion: o.TLS.MinVersion, MaxVersion: o.TLS.MaxVersion,
			Groups: o.TLS.Groups, Insecure: o.TLS.Insecure, StartTLS: o.TLS.StartTLS, Now: m.now,
		},
	}
	if o.Send != "" {
		options.Send = []byte(o.Send)
	}
	if o.Frame != "" {
		var err error
		if options.NewFrame, err = framespec.Parse(string(o.Frame)); err != nil {
			return none, fmt.Errorf("frame: %w", err)
		}
	}
	for _, h := range o.HTTP.Headers {
		if strings.EqualFold(h.Name, "Host") && hostname != "" && string(h.Value) != hostname {
			return none, ErrTwoHosts
		}
		options.HTTP.Headers = append(options.HTTP.Headers, h.Name+": "+string(h.Value))
	}
	if hostname != "" {
		if h := options.HTTP.Host; h != "" && h != hostname {
			return none, ErrTwoHosts
		}
		options.HTTP.Host = hostname
		if options.TLS.ServerName == "" {
			options.TLS.ServerName = withoutPort(hostname)
		}
	}
	var rootsErr, certErr error
	options.TLS.Roots, rootsErr = files.roots(o.TLS.CAFile)
	options.TLS.Certificates, certErr = files.certificate(o.TLS.CertFile, o.TLS.KeyFile)
	if err := errors.Join(rootsErr, certErr); err != nil {
		return none, fmt.Errorf("tls: %w", err)
	}
	return options, nil
}

// variants makes a probe for targets of all kinds.
type variants struct {
	base    probes.Probe
	options probes.Options
}

// probe returns the probe, which goes over TLS where a target says so. Behind startTLS it asks for it, too. under, if there is one,
// is put around it below TLS.
func (v variants) probe(startTLS string, under func(probes.Probe) probes.Probe) (probes.Probe, error) {
	if under == nil {
		under = func(p probes.Probe) probes.Probe { return p }
	}
	p, err := configure(v.base, v.options)
	if err != nil || v.base.About().Name == tlsProbe {
		return p, err
	}
	p = under(p)
	fromStart := v.options.TLS
	fromStart.StartTLS = ""
	layer, err := secure.New(fromStart)
	if err != nil {
		return nil, err
	}
	both := either{plain: p, secure: layer.Under(p)}
	if startTLS == "" {
		return both, nil
	}
	if layer, err = secure.New(v.options.TLS); err != nil {
		return nil, err
	}
	greeted := v.options
	greeted.Greeted = true
	if p, err = configure(v.base, greeted); err != nil {
		return nil, err
	}
	both.plain = layer.Under(under(p))
	return both, nil
}

func configure(p probes.Probe, o probes.Options) (probes.Probe, error) {
	if c, ok := p.(probes.Configurable); ok {
		return c.Configure(o)
	}
	return p, nil
}

// ownTargets reads targets as scan does: an address or name with or without a port, a line of fields, a URL of the probe's schemes.
// overTLS has TLS below all of them.
func ownTargets(about probes.About, overTLS bool) func(string) (target.Target, error) {
	usual := target.Choice{Name: about.Name, Port: about.Port, TLS: overTLS}
	secure := target.Choice{Name: about.Name, Port: about.TLSPort, TLS: true}
	if overTLS && about.TLSPort != 0 {
		usual.Port = about.TLSPort
	}
	schemes := make(map[string]target.Choice)
	for _, s := range about.Schemes {
		schemes[s] = usual
	}
	for _, s := range about.TLSSchemes {
		schemes[s] = secure
	}
	return func(text string) (target.Target, error) { return target.ReadOne(text, usual, schemes) }
}
