package scan

import (
	"fmt"
	"slices"
	"strings"

	"sonde/probes"
	"sonde/probes/builtin"
	"sonde/probes/secure"
	"sonde/probes/starttls"
	"sonde/target"
)

// catalogue is the probes of a scan, in the order of the engine's profiles.
//
// A probe has two profiles at most. One is over TLS from the first byte, for --tls and for schemes such as https. The other
// is plain; with --starttls it begins plain, as its protocol wants it, and goes over to TLS.
type catalogue struct {
	cfg     *Config
	layers  map[bool]*secure.Layer // made when a probe wants one; true is with STARTTLS
	probes  []probes.Probe
	indexes map[profile]uint16
	chosen  []target.Choice          // what each target gets
	tagged  map[string]target.Choice // what a tag gets instead
	schemes map[string]target.Choice
	refused map[string]string // schemes of probes that can't be run, and why
}

// profile is a probe, with or without TLS from the first byte.
type profile struct {
	probe string
	tls   bool
}

// defaultProbe is the probe of a target for which none is chosen.
const defaultProbe = "tcp"

// tlsProbe is the probe that is TLS itself: there is no TLS to be put below it.
const tlsProbe = "tls"

// newCatalogue finds and configures the probes that cfg names, and those that a URL may choose. It keeps cfg.
func newCatalogue(cfg *Config) (*catalogue, error) {
	c := &catalogue{
		cfg:     cfg,
		layers:  make(map[bool]*secure.Layer),
		indexes: make(map[profile]uint16),
		tagged:  make(map[string]target.Choice),
		schemes: make(map[string]target.Choice),
		refused: make(map[string]string),
	}
	if err := c.checkURLs(); err != nil {
		return nil, err
	}
	names := cfg.Probes
	switch {
	case len(names) > 0:
	case c.onlyURLs():
		// Each chooses its own probe. The default, which no target gets, may not go with the options.
		c.chosen = []target.Choice{{Name: defaultProbe}}
	default:
		names = []string{defaultProbe}
	}
	for _, name := range names {
		choice, err := c.add("--probe", name, c.overTLS(name))
		if err != nil {
			return nil, err
		}
		if !slices.Contains(c.chosen, choice) { // the probe tells targets apart: twice the same asks for nothing more
			c.chosen = append(c.chosen, choice)
		}
	}
	for tag, name := range cfg.Triggers {
		choice, err := c.add("--trigger", name, c.overTLS(name))
		if err != nil {
			return nil, err
		}
		c.tagged[tag] = choice
	}
	for _, p := range builtin.All() {
		about := p.About()
		for _, scheme := range about.Schemes {
			if err := c.addScheme(scheme, about.Name, c.overTLS(about.Name)); err != nil {
				return nil, err
			}
		}
		for _, scheme := range about.TLSSchemes {
			if err := c.addScheme(scheme, about.Name, true); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

// overTLS reports whether a probe that is chosen by its name runs over TLS from the first byte.
func (c *catalogue) overTLS(name string) bool {
	return c.cfg.TLS && name != tlsProbe
}

// onlyURLs reports whether every target is a URL that chooses its probe. What a file holds is not known yet.
func (c *catalogue) onlyURLs() bool {
	if len(c.cfg.Args) == 0 || len(c.cfg.InputFiles) > 0 {
		return false
	}
	for _, arg := range c.cfg.Args {
		if _, ok := aboutOfURL(arg); !ok {
			return false
		}
	}
	return true
}

// checkURLs refuses a STARTTLS that has no target: each of them is a URL whose scheme begins with TLS.
func (c *catalogue) checkURLs() error {
	asked := c.cfg.Options.TLS.StartTLS
	if asked == "" || !c.onlyURLs() {
		return nil
	}
	var scheme, plain string
	for _, arg := range c.cfg.Args {
		about, _ := aboutOfURL(arg)
		at := slices.IndexFunc(about.TLSSchemes, func(s string) bool { return hasScheme(arg, s) })
		if at < 0 {
			return nil
		}
		scheme = about.TLSSchemes[at]
		if len(about.Schemes) > 0 && slices.Contains(starttls.Protocols(), about.Name) {
			plain = ", or write " + about.Schemes[0] + "://"
		}
	}
	return &UsageError{
		Flag: "--starttls " + asked, Text: scheme + ":// has TLS from the first byte, so there is no connection to ask for it on",
		Hint: "leave --starttls out" + plain,
	}
}

// aboutOfURL finds the probe that an argument chooses by its scheme; false if it is no URL, or one that chooses none.
func aboutOfURL(arg string) (probes.About, bool) {
	for _, p := range builtin.All() {
		about := p.About()
		if slices.ContainsFunc(slices.Concat(about.Schemes, about.TLSSchemes), func(s string) bool { return hasScheme(arg, s) }) {
			return about, true
		}
	}
	return probes.About{}, false
}

// asksForTLS reports whether a probe that was chosen by its name speaks TLS.
func (c *catalogue) asksForTLS() bool {
	speaks := func(choice target.Choice) bool {
		return choice.TLS || choice.Name == tlsProbe || c.cfg.Options.TLS.StartTLS != ""
	}
	if slices.ContainsFunc(c.chosen, speaks) {
		return true
	}
	for _, choice := range c.tagged {
		if speaks(choice) {
			return true
		}
	}
	return false
}

// judges reports whether the probe of a target holds certificates against the system's authorities.
func (c *catalogue) judges(p profile) bool {
	o := &c.cfg.Options.TLS
	switch {
	case o.Roots != nil:
		return false
	case p.probe == tlsProbe:
		return !asksManyHellos(o)
	}
	return p.tls || o.StartTLS != ""
}

// addScheme has a URL's scheme choose a probe. TLS that the options don't allow below the probe matters only if there is such
// a URL: one among the arguments is the command line's fault, one in a file a bad line.
func (c *catalogue) addScheme(scheme, name string, overTLS bool) error {
	if _, err := c.layerBelow(scheme+"://", name, overTLS); err != nil {
		if slices.ContainsFunc(c.cfg.Args, func(arg string) bool { return hasScheme(arg, scheme) }) {
			return err
		}
		c.refused[scheme] = err.Error()
		return nil
	}
	choice, err := c.add("--probe", name, overTLS)
	c.schemes[scheme] = choice
	return err
}

// hasScheme reports whether an argument is a URL of that scheme.
func hasScheme(arg, scheme string) bool {
	s, _, ok := strings.Cut(arg, "://")
	return ok && strings.EqualFold(s, scheme)
}

// add makes the profile of a probe, unless it is there already, and returns the choice that names it. flag is what asks
// for the probe, for the *UsageError.
func (c *catalogue) add(flag, name string, overTLS bool) (target.Choice, error) {
	p, ok := builtin.Find(name)
	if !ok {
		return target.Choice{}, &UsageError{Flag: flag, Text: fmt.Sprintf("there is no probe %q", name), Hint: "one of " + probeNames()}
	}
	about := p.About()
	choice := target.Choice{Name: name, Port: about.Port, TLS: overTLS}
	if overTLS && about.TLSPort != 0 {
		choice.Port = about.TLSPort
	}
	key := profile{name, overTLS}
	if _, ok := c.indexes[key]; ok {
		return choice, nil
	}
	layer, err := c.layerBelow(flag+" "+name, name, overTLS)
	if err != nil {
		return target.Choice{}, err
	}
	if configurable, ok := p.(probes.Configurable); ok {
		o := c.cfg.Options
		o.Greeted = layer != nil && !overTLS
		if p, err = configurable.Configure(o); err != nil {
			return target.Choice{}, &UsageError{Flag: flag + " " + name, Text: err.Error()}
		}
	}
	if layer != nil {
		p = layer.Under(p)
	}
	c.indexes[key] = uint16(len(c.probes))
	c.probes = append(c.probes, p)
	return choice, nil
}

// layerBelow returns the TLS that lies below a probe, nil if none does, or a *UsageError. what asks for the probe.
func (c *catalogue) layerBelow(what, name string, overTLS bool) (*secure.Layer, error) {
	o := c.cfg.Options.TLS
	greets := !overTLS && name != tlsProbe && o.StartTLS != ""
	if !greets && !overTLS {
		return nil, nil
	}
	if greets {
		if err := checkStartTLS(o.StartTLS, name); err != nil {
			return nil, err
		}
	} else {
		o.StartTLS = ""
	}
	if err := checkALPN(what, name, o.ALPN); err != nil {
		return nil, err
	}
	if c.layers[greets] == nil {
		layer, err := secure.New(o)
		if err != nil {
			return nil, &UsageError{Flag: what + " over TLS", Text: err.Error()}
		}
		c.layers[greets] = layer
	}
	return c.layers[greets], nil
}

// checkALPN refuses an offer of protocols that the probe does not speak: a server takes one of them, and is misunderstood.
func checkALPN(what, name string, offered []string) error {
	p, _ := builtin.Find(name)
	own := p.About().ALPN
	for _, protocol := range offered {
		if len(own) > 0 && !slices.Contains(own, protocol) {
			return &UsageError{
				Flag: what + " over TLS", Text: fmt.Sprintf("--alpn %s: the probe %s speaks %s", protocol, name, strings.Join(own, ", ")),
				Hint: "--probe tls offers any protocol and tells which the server takes",
			}
		}
	}
	return nil
}

// checkStartTLS refuses a prelude that is not of the probe's own protocol: it would not be understood.
func checkStartTLS(asked, name string) error {
	own := slices.Contains(starttls.Protocols(), name)
	if own && (asked == name || asked == probes.StartTLSAuto) {
		return nil
	}
	e := &UsageError{
		Flag: "--starttls " + asked, Text: "the protocol of the probe " + name + " has no way to ask for TLS",
		Hint: "--tls has TLS from the first byte; --probe tls asks for it in any of the protocols",
	}
	switch {
	case own:
		e.Text = fmt.Sprintf("the probe %s asks for TLS in its own protocol: want %s or %s", name, name, probes.StartTLSAuto)
	case name == defaultProbe: // perhaps nobody chose it
		e.Hint = "choose the probe of the protocol, as in --probe smtp; --probe tls asks for TLS in any of them"
	}
	return e
}

func probeNames() string {
	var names []string
	for _, p := range builtin.All() {
		names = append(names, p.About().Name)
	}
	return strings.Join(names, ", ")
}
