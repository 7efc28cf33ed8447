package tls

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sonde/probes"
	"sonde/probes/internal/tlsfacts"
	"sonde/probes/secure"
	"sonde/probes/starttls"
	"sonde/probes/tls/internal/enumerate"
	"sonde/probes/tls/internal/flight"
	"sonde/probes/tls/internal/jarm"
	"sonde/protocol"
	"sonde/protocol/tlswire"
	"sonde/target"
)

// newOpener chooses how to ask.
func newOpener(o probes.TLSOptions) (opener, error) {
	switch w, _ := wayOf(o); w {
	case jarmHash:
		return openJARM, nil
	case enum:
		return openEnum(o), nil
	case full:
		layer, err := secure.New(o)
		if err != nil {
			return nil, err
		}
		return func(t *target.Target, _ names) protocol.Handshaker { return layer.Exchange(t, nil, nil, true) }, nil
	default:
		client, err := flight.New(o)
		if err != nil {
			return nil, err
		}
		return func(_ *target.Target, n names) protocol.Handshaker {
			return client.Exchange(flight.Names{Server: n.server, Certificate: n.certificate, StartTLS: n.startTLS})
		}, nil
	}
}

// openEnum asks for all that a target takes.
func openEnum(o probes.TLSOptions) opener {
	return func(_ *target.Target, n names) protocol.Handshaker {
		return enumerate.New(o, n.server, render(n))
	}
}

// render makes the finding of what is learned over several connections, without a certificate among it.
func render(n names) func(*tlsfacts.Facts) protocol.Finding {
	return func(f *tlsfacts.Facts) protocol.Finding {
		f.Depth, f.StartTLS = probes.DepthHello, n.startTLS
		return f.Finding(tlsfacts.Judgement{})
	}
}

// openJARM asks a target without a name by its address, as the published implementations do.
func openJARM(_ *target.Target, n names) protocol.Handshaker {
	name := n.server
	if name == "" {
		name = n.certificate
	}
	return jarm.New(name, render(n))
}

// way is a way of asking, for the rules of what goes with what.
type way uint8

const (
	full way = iota
	early
	enum
	jarmHash
)

// wayOf returns how o asks, and the flag that says so.
func wayOf(o probes.TLSOptions) (w way, flag string) {
	switch {
	case o.JARM:
		return jarmHash, "--jarm"
	case asksEnum(o):
		return enum, "--tls-enum"
	case o.Depth != probes.DepthFull:
		return early, "--tls-depth " + o.Depth.String()
	}
	return full, "--tls-depth full"
}

// rule is a flag that goes with some ways of asking only.
type rule struct {
	set  bool
	flag string
	ways []way  // that it goes with
	why  string // it does not go with the others
}

// rules are those of o's flags.
func rules(o probes.TLSOptions) []rule {
	const fixed = "it would change the hellos, which are fixed"
	return []rule{
		{o.SessionReuse, "--session-reuse", []way{full}, "it resumes a session, which only a whole handshake gives"},
		{len(o.Certificates) > 0, "--cert", []way{full}, "it is sent in the second half of a handshake"},
		{o.ECH != nil, "--ech-config", []way{full}, "only a whole handshake tells whether the server took it"},
		{o.PEM, "--pem", []way{full, early}, "no certificates are read"},
		{o.Depth == probes.DepthCerts, "--tls-depth certs", []way{early}, "no certificates are read"},
		{o.ALPN != nil, "--alpn", []way{full, early, enum}, fixed},
		{o.MinVersion != 0, "--min-version", []way{full, early, enum}, fixed},
		{o.MaxVersion != 0, "--max-version", []way{full, early, enum}, fixed},
		{len(o.Groups) > 0, "--groups", []way{full, early, enum}, fixed},
	}
}

// check holds the options against each other. What is wrong with one alone is left to what it is for, but for what all have
// in common.
func check(o probes.TLSOptions) error {
	w, asked := wayOf(o)
	if w == jarmHash && asksEnum(o) {
		return errors.New("--jarm does not go with --tls-enum: each has hellos of its own: scan twice, with one of them at a time")
	}
	for _, r := range rules(o) {
		if r.set && !slices.Contains(r.ways, w) {
			return fmt.Errorf("%s does not go with %s: %s: leave one of them out", r.flag, asked, r.why)
		}
	}
	if o.StartTLS != "" && o.StartTLS != probes.StartTLSAuto && !slices.Contains(starttls.Protocols(), o.StartTLS) {
		return fmt.Errorf("--starttls %s: there is no such protocol: use %s or one of %s", o.StartTLS, probes.StartTLSAuto, strings.Join(starttls.Protocols(), ", "))
	}
	if o.MaxVersion != 0 && o.MinVersion > o.MaxVersion {
		return fmt.Errorf("--min-version %s is above --max-version %s: turn them round", o.MinVersion.Word(), o.MaxVersion.Word())
	}
	if o.ServerName != "" {
		if err := tlswire.CheckServerName(o.ServerName); err != nil {
			return fmt.Errorf("--sni %q: %w: give a DNS name, in ASCII and without the dot at its end", o.ServerName, err)
		}
	}
	return nil
}

// asksEnum reports whether o asks for an enumeration.
func asksEnum(o probes.TLSOptions) bool { return o.Enum.Versions || o.Enum.Ciphers || o.Enum.Groups }
