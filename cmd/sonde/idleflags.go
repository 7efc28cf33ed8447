package main

import (
	"slices"
	"strings"

	"sonde/probes"
	"sonde/probes/builtin"
)

// tlsProbe is the probe that is TLS itself.
const tlsProbe = "tls"

// overTLSOptions are the flags that every probe heeds when TLS lies below it.
var overTLSOptions = []string{
	"--sni", "--alpn", "--min-version", "--max-version", "--groups", "--insecure", "--cacert", "--cert", "--key", "--starttls",
	"--ech-config", "--pem",
}

// decisive are flags that say what is asked. A scan that passes them over would be another than the one that is meant.
var decisive = []string{"--tls-depth", "--tls-enum", "--jarm"}

// sessionReuse is the one flag of TLS that hangs on what is said behind the handshake: nothing must be.
const sessionReuse = "--session-reuse"

// checkIdleFlags warns of flags that none of the probes heeds, and refuses those that can't be passed over.
func (o *scanOptions) checkIdleFlags() error {
	named, byURL := o.namedProbes(), o.probesByURL()
	heeded := make(map[string]bool)
	for _, name := range slices.Concat(named, byURL) {
		p, _ := builtin.Find(name)
		for _, flag := range p.About().Options {
			heeded[flag] = heeded[flag] || name != tlsProbe || !o.judgesNothing(flag)
		}
	}
	if o.mayHaveTLSBelow(named) {
		for _, flag := range overTLSOptions {
			heeded[flag] = true
		}
	}
	heeded[sessionReuse] = o.reusesSessions(slices.Concat(named, byURL))
	for _, flag := range probeOptions() {
		isDecisive := slices.Contains(decisive, flag)
		switch {
		case !o.p.parsed.given[flag[2:]]:
		case isDecisive && !heeded[flag]:
			return &usageError{flag + " is for --probe tls, which is not among the probes", "add --probe tls"}
		case isDecisive && !slices.Contains(named, tlsProbe) && o.hasOthersThan(tlsProbe):
			o.p.stderr.warn("%s is for --probe tls, which is not among the probes: it works on tls:// targets only", flag)
		case flag == sessionReuse && heeded[flag] && !o.reusesSessions(named) && o.hasOthersThan(tlsProbe):
			o.p.stderr.warn("%s is for --probe tls, and for tcp over --tls; neither is among the probes: it works on tls:// targets only, and with --tls on tcp://", flag)
		case !heeded[flag] && o.judgesNothing(flag):
			o.p.stderr.warn("%s has no effect: %s judges no certificate", flag, o.manyHellos())
		case !heeded[flag]:
			o.p.stderr.warn("%s has no effect: of the probes chosen none heeds it (%s)", flag, strings.Join(heeding(flag), ", "))
		}
	}
	return nil
}

// checkDepth refuses a whole handshake where none is made: hellos alone are sent.
func (o *scanOptions) checkDepth() error {
	asked := o.manyHellos()
	if asked == "" || !o.p.parsed.given["tls-depth"] || o.cfg.Options.TLS.Depth != probes.DepthFull {
		return nil
	}
	return &usageError{"--tls-depth full does not go with " + asked + ", which makes no handshake and judges no certificate", "scan twice, with one of them at a time"}
}

// manyHellos is the flag that has the tls probe ask by many hellos and go no further; "" without one.
func (o *scanOptions) manyHellos() string {
	switch t := &o.cfg.Options.TLS; {
	case t.JARM:
		return "--jarm"
	case t.Enum.Versions || t.Enum.Ciphers || t.Enum.Groups:
		return "--tls-enum"
	}
	return ""
}

// judgesNothing reports whether the tls probe passes over a flag that says what to trust, as it judges no certificate.
func (o *scanOptions) judgesNothing(flag string) bool {
	return flag == "--cacert" && o.manyHellos() != ""
}

// reusesSessions reports whether one of the probes makes a second connection for [sessionReuse].
func (o *scanOptions) reusesSessions(names []string) bool {
	return slices.Contains(names, tlsProbe) || o.cfg.TLS && slices.Contains(names, "tcp")
}

// hasOthersThan reports whether a target may be something else than a URL of the probe's scheme.
func (o *scanOptions) hasOthersThan(scheme string) bool {
	return len(o.cfg.InputFiles) > 0 || slices.ContainsFunc(o.cfg.Args, func(arg string) bool {
		s, _, ok := strings.Cut(arg, "://")
		return !ok || !strings.EqualFold(s, scheme)
	})
}

// namedProbes are the probes that flags choose.
func (o *scanOptions) namedProbes() []string {
	named := slices.Clone(o.cfg.Probes)
	if len(named) == 0 {
		named = []string{"tcp"}
	}
	for _, name := range o.cfg.Triggers {
		named = append(named, name)
	}
	return named
}

// probesByURL are the probes that a target's URL may choose: what a file holds is not known yet.
func (o *scanOptions) probesByURL() []string {
	var names []string
	for _, p := range builtin.All() {
		about := p.About()
		if o.mayHaveScheme(slices.Concat(about.Schemes, about.TLSSchemes)) {
			names = append(names, about.Name)
		}
	}
	return names
}

// mayHaveScheme reports whether a target may be a URL with one of the schemes.
func (o *scanOptions) mayHaveScheme(schemes []string) bool {
	if len(o.cfg.InputFiles) > 0 {
		return len(schemes) > 0
	}
	for _, arg := range o.cfg.Args {
		if scheme, _, ok := strings.Cut(arg, "://"); ok && slices.Contains(schemes, strings.ToLower(scheme)) {
			return true
		}
	}
	return false
}

// mayHaveTLSBelow reports whether a probe other than tls may run over TLS.
func (o *scanOptions) mayHaveTLSBelow(named []string) bool {
	others := slices.ContainsFunc(named, func(name string) bool { return name != tlsProbe })
	if others && (o.cfg.TLS || o.cfg.Options.TLS.StartTLS != "") {
		return true
	}
	return slices.ContainsFunc(builtin.All(), func(p probes.Probe) bool { return o.mayHaveScheme(p.About().TLSSchemes) })
}

// probeOptions are the flags that some probe heeds, in the order of the probes.
func probeOptions() []string {
	var flags []string
	for _, p := range builtin.All() {
		flags = append(flags, p.About().Options...)
	}
	flags = slices.Concat(flags, overTLSOptions, decisive)
	var distinct []string
	for _, flag := range flags {
		if !slices.Contains(distinct, flag) {
			distinct = append(distinct, flag)
		}
	}
	return distinct
}

// heeding names the probes that heed flag.
func heeding(flag string) []string {
	var names []string
	for _, p := range builtin.All() {
		if slices.Contains(p.About().Options, flag) {
			names = append(names, p.About().Name)
		}
	}
	if slices.Contains(overTLSOptions, flag) {
		names = append(names, "any over --tls")
	}
	return names
}
