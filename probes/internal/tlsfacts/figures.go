package tlsfacts

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"strings"
	"time"

	"sonde/probes"
)

var _ probes.Measured = (*Finding)(nil)

// Figures implements [probes.Measured]. Of a server that did not answer in TLS there are none.
func (f *Finding) Figures(out *probes.Figures) {
	x := &f.facts
	if x.Version == 0 && len(f.chain) == 0 {
		return
	}
	t := &probes.TLSFigures{Established: x.Established}
	if x.Version != 0 {
		t.Version, t.Cipher = tls.VersionName(uint16(x.Version)), tls.CipherSuiteName(uint16(x.Cipher))
	}
	if !x.Insecure {
		t.LastChainExpiry = f.judged.lastChainExpiry
	}
	for _, c := range f.chain {
		t.EarliestExpiry = earlier(t.EarliestExpiry, c.notAfter)
	}
	if len(f.chain) > 0 {
		leaf := &f.chain[0].leaf
		t.Fingerprint, t.Subject, t.Issuer, t.Names, t.Serial = leaf.fingerprint, leaf.subject, leaf.issuer, leaf.names, leaf.serial
	}
	out.TLS = t
}

// leafFigures are those of [probes.TLSFigures] that are a leaf's own.
type leafFigures struct{ fingerprint, subject, issuer, names, serial string }

// maxFigure is how long each of them may be, in bytes. They are kept of each target and told at each scrape, and a certificate may
// have 256 KiB of names; those that many sites share have some 5 KiB.
const maxFigure = 16 << 10

// newLeafFigures takes them from a certificate whose SHA-256 is d.
func newLeafFigures(c *x509.Certificate, d digest) leafFigures {
	return leafFigures{
		fingerprint: hex.EncodeToString(d[:]),
		subject:     cut(c.Subject.String(), maxFigure),
		issuer:      cut(c.Issuer.String(), maxFigure),
		names:       cut(strings.Join(c.DNSNames, ","), maxFigure),
		serial:      cut(hex.EncodeToString(c.SerialNumber.Bytes()), maxFigure),
	}
}

// cost is how much memory they take, in bytes.
func (l *leafFigures) cost() int {
	return len(l.fingerprint) + len(l.subject) + len(l.issuer) + len(l.names) + len(l.serial)
}

// lastExpiry is the first NotAfter in that chain in which it is latest; zero if there is no chain.
func lastExpiry(chains [][]*x509.Certificate) time.Time {
	var last time.Time
	for _, chain := range chains {
		var first time.Time
		for _, c := range chain {
			first = earlier(first, c.NotAfter)
		}
		if first.After(last) {
			last = first
		}
	}
	return last
}

// earlier is the earlier of two moments, of which a zero one is not known.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
