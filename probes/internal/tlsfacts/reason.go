package tlsfacts

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"

	"sonde/internal/tlsclient"
)

const (
	// maxReason is how long a Reason may be in bytes: a line of a table, not a dump of a certificate with 1,000 names.
	maxReason = 240
	// maxName is how much of a name of a peer's choosing is shown.
	maxName = 64
	// namesShown is how many of the names that a certificate is for are told.
	namesShown = 3
)

// reasons gathers what is wrong, each fault with its words.
type reasons struct {
	faults Faults
	parts  []reason
}

type reason struct {
	fault Faults
	text  string
}

// add notes a fault. The first words for it are kept.
func (r *reasons) add(f Faults, text string) {
	if r.faults&f == 0 {
		r.faults |= f
		r.parts = append(r.parts, reason{f, text})
	}
}

// String joins the words in the order of the faults.
func (r *reasons) String() string {
	slices.SortStableFunc(r.parts, func(a, b reason) int { return int(a.fault) - int(b.fault) })
	var b strings.Builder
	for i, p := range r.parts {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(p.text)
	}
	return cut(b.String(), maxReason)
}

// explain takes apart what tlsclient.Verify says.
func (r *reasons) explain(err error, leaf *x509.Certificate, name string, now time.Time) {
	if err == nil {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			r.explain(e, leaf, name, now)
		}
		return
	}
	var invalid x509.CertificateInvalidError
	var misfit x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var system x509.SystemRootsError
	switch {
	case errors.As(err, &invalid):
		r.invalid(invalid, leaf, now)
	case errors.As(err, &misfit):
		r.add(NameMismatch, mismatch(leaf, name))
	case errors.As(err, &unknown):
		if selfSigned(leaf) {
			r.add(SelfSigned, "self-signed")
		} else {
			r.add(UnknownAuthority, "issuer "+quoted(issuer(leaf))+" is not trusted")
		}
	case errors.As(err, &system):
		r.add(UnknownAuthority, "this machine has no trusted authorities")
	default: // an extension that is critical and unknown, a constraint
		r.add(BadChain, trim(err))
	}
}

// invalid explains what is wrong with the leaf or with one above it.
func (r *reasons) invalid(e x509.CertificateInvalidError, leaf *x509.Certificate, now time.Time) {
	whose := ""
	if e.Cert != nil && e.Cert != leaf {
		whose = "authority " + quoted(printable(e.Cert.Subject.CommonName)) + " "
	}
	switch {
	case e.Reason == x509.Expired && e.Cert != nil && now.Before(e.Cert.NotBefore):
		r.add(NotYetValid, whose+"not valid before "+e.Cert.NotBefore.UTC().Format(time.DateOnly)+", "+ago(e.Cert.NotBefore.Sub(now))+" from now")
	case e.Reason == x509.Expired && e.Cert != nil:
		r.add(Expired, whose+"expired "+ago(now.Sub(e.Cert.NotAfter))+" ago ("+e.Cert.NotAfter.UTC().Format(time.DateOnly)+")")
	case e.Reason == x509.IncompatibleUsage:
		r.add(WrongUsage, "may not be used for a server")
	default:
		r.add(BadChain, trim(e))
	}
}

// ago is a span in the largest unit that it has two of.
func ago(d time.Duration) string {
	for _, u := range []struct {
		size time.Duration
		name string
	}{{day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int64(d / u.size); n >= 2 {
			return fmt.Sprintf("%d %ss", n, u.name)
		} else if n == 1 && u.size == day {
			return "1 day"
		}
	}
	return "a minute"
}

// mismatch says for whom the leaf is.
func mismatch(leaf *x509.Certificate, name string) string {
	var names []string
	if _, err := netip.ParseAddr(name); err == nil {
		for _, ip := range leaf.IPAddresses {
			names = append(names, ip.String())
		}
	}
	for _, n := range leaf.DNSNames {
		names = append(names, cut(printable(n), maxName))
	}
	not := ", not " + cut(printable(name), maxName)
	switch n := len(names); {
	case n == 0 && leaf.Subject.CommonName != "":
		// RFC 9525 s.2: the common name does not count.
		return "names " + quoted(subject(leaf)) + " as its common name alone" + not
	case n == 0:
		return "is for no name" + not
	case n > namesShown:
		return fmt.Sprintf("is for %s and %d more%s", strings.Join(names[:namesShown], ", "), n-namesShown, not)
	}
	return "is for " + strings.Join(names, ", ") + not
}

// selfSigned reports whether the leaf is its own issuer and its key made the signature. Where we no longer check a
// signature of its kind (MD5, SHA-1), or by a key of its length, the names must do.
func selfSigned(leaf *x509.Certificate) bool {
	if !bytes.Equal(leaf.RawIssuer, leaf.RawSubject) {
		return false
	}
	if tlsclient.LongKey(leaf) {
		return true
	}
	err := leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature)
	var insecure x509.InsecureAlgorithmError
	return err == nil || errors.As(err, &insecure) || errors.Is(err, x509.ErrUnsupportedAlgorithm)
}

// unparsable says which certificate of a chain can't be read.
func unparsable(index int, err error) string {
	if index == 0 {
		return "can't be read: " + trim(err)
	}
	return fmt.Sprintf("certificate %d of the chain can't be read: %s", index+1, trim(err))
}

// subject is the leaf's common name, else its first name.
func subject(c *x509.Certificate) string {
	switch {
	case c.Subject.CommonName != "":
		return cut(printable(c.Subject.CommonName), maxName)
	case len(c.DNSNames) > 0:
		return cut(printable(c.DNSNames[0]), maxName)
	case len(c.IPAddresses) > 0:
		return c.IPAddresses[0].String()
	}
	return ""
}

// issuer is a name for the certificate's issuer.
func issuer(c *x509.Certificate) string {
	for _, name := range append([]string{c.Issuer.CommonName}, c.Issuer.Organization...) {
		if name != "" {
			return cut(printable(name), maxName)
		}
	}
	return "without a name"
}

// quoted puts a name that a peer chose in quotation marks, so that its words can't pass for ours.
func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, "'") + `"` }

// trim is an error's text without the package's name, printable.
func trim(err error) string { return printable(strings.TrimPrefix(err.Error(), "x509: ")) }

// printable puts a dot in place of what a terminal could obey, or can't show.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '.'
		}
		return r
	}, s)
}

// cut shortens s to at most limit bytes, an ellipsis included, and not within a character.
func cut(s string, limit int) string {
	const dots = "..."
	if len(s) <= limit {
		return s
	}
	end := limit - len(dots)
	for end > 0 && s[end]&0xC0 == 0x80 { // within a character of UTF-8, RFC 3629 s.3
		end--
	}
	return s[:end] + dots
}
