package tlsfacts

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/md5"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"strings"
	"time"

	"sonde/internal/jsonappend"
	"sonde/protocol/tlswire"
)

// certificate is a certificate as JSON. It is immutable and shared by all the findings that show it.
type certificate struct {
	// members are what tlsx tells of a certificate, under its names; of the leaf they stand at the top of the result too.
	// Members of an object without its braces.
	members []byte
	// more are the members that stand in the chain only.
	more []byte
	// scts are the timestamps embedded in it (RFC 6962 s.3.3): elements of a list without its brackets.
	scts []byte
	// leaf is what monitoring keeps of a leaf, and notAfter of any certificate; zero of one that can't be parsed.
	leaf     leafFigures
	notAfter time.Time
}

// entryOverhead is about what a certificate takes besides its JSON, in bytes.
const entryOverhead = 256

// cost is how much memory the certificate takes, in bytes.
func (c *certificate) cost() int {
	return cap(c.members) + cap(c.more) + cap(c.scts) + c.leaf.cost() + entryOverhead
}

// render makes the JSON of a certificate whose SHA-256 is d. One that can't be parsed has its fingerprints, its size and
// the reason.
func render(der []byte, d digest) *certificate {
	parsed, err := x509.ParseCertificate(der)
	members, more := jsonappend.Begin(nil), jsonappend.Begin(nil)
	out := &certificate{}
	if err == nil {
		describe(&members, parsed)
		keys(&more, parsed)
		out.scts = embedded(parsed)
		out.leaf, out.notAfter = newLeafFigures(parsed, d), parsed.NotAfter
	}
	members.Raw("fingerprint_hash", func(dst []byte) []byte { return fingerprints(dst, der, d) })
	more.Int("size_bytes", int64(len(der)))
	if err != nil {
		more.String("parse_error", cut(trim(err), maxReason))
	}
	out.members, out.more = inner(members.End()), inner(more.End())
	return out
}

// inner is an object without its braces, in memory of its own size.
func inner(object []byte) []byte { return bytes.Clone(object[1 : len(object)-1]) }

// describe adds whose certificate it is, by whom and until when.
func describe(o *jsonappend.Object, c *x509.Certificate) {
	o.String("subject_dn", c.Subject.String())
	optional(o, "subject_cn", c.Subject.CommonName)
	optionals(o, "subject_org", c.Subject.Organization)
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	optionals(o, "subject_an", names)
	optionals(o, "emails", c.EmailAddresses)
	var uris []string
	for _, u := range c.URIs {
		uris = append(uris, u.String())
	}
	optionals(o, "uris", uris)
	o.String("issuer_dn", c.Issuer.String())
	optional(o, "issuer_cn", c.Issuer.CommonName)
	optionals(o, "issuer_org", c.Issuer.Organization)
	o.String("serial", serial(c.SerialNumber))
	o.String("not_before", c.NotBefore.UTC().Format(time.RFC3339))
	o.String("not_after", c.NotAfter.UTC().Format(time.RFC3339))
	if wildcard(c) {
		o.Bool("wildcard_certificate", true)
	}
}

// keys adds what kind of key the certificate has and how it is signed.
func keys(o *jsonappend.Object, c *x509.Certificate) {
	key, signature := c.PublicKeyAlgorithm.String(), c.SignatureAlgorithm.String()
	if c.PublicKeyAlgorithm == x509.UnknownPublicKeyAlgorithm {
		var info struct {
			Algorithm pkix.AlgorithmIdentifier
			Key       asn1.BitString
		}
		key = ""
		if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &info); err == nil {
			key = info.Algorithm.Algorithm.String()
		}
	}
	if c.SignatureAlgorithm == x509.UnknownSignatureAlgorithm {
		var cert struct {
			TBS       asn1.RawValue
			Algorithm pkix.AlgorithmIdentifier
			Signature asn1.BitString
		}
		signature = ""
		if _, err := asn1.Unmarshal(c.Raw, &cert); err == nil {
			signature = cert.Algorithm.Algorithm.String()
		}
	}
	optional(o, "key_algorithm", key)
	if bits := keyBits(c.PublicKey); bits > 0 {
		o.Int("key_bits", int64(bits))
	}
	optional(o, "signature_algorithm", signature)
}

// keyBits is the size of a public key as people tell it: of its modulus or its curve. 0 if it is not known.
func keyBits(key any) int {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen()
	case *ecdsa.PublicKey:
		return k.Params().BitSize
	case ed25519.PublicKey:
		return 8 * len(k)
	}
	return 0
}

// fingerprints appends the digests of the certificate. MD5 and SHA-1 are there to be looked up, not to be relied on.
func fingerprints(dst, der []byte, d digest) []byte {
	m, s := md5.Sum(der), sha1.Sum(der)
	o := jsonappend.Begin(dst)
	o.String("md5", hex.EncodeToString(m[:]))
	o.String("sha1", hex.EncodeToString(s[:]))
	o.String("sha256", hex.EncodeToString(d[:]))
	return o.End()
}

// serial is the number in hexadecimal, a colon between bytes, as tlsx and OpenSSL write it.
func serial(n *big.Int) string {
	b := n.Bytes()
	if len(b) == 0 {
		b = []byte{0}
	}
	var s strings.Builder
	if n.Sign() < 0 {
		s.WriteByte('-')
	}
	for i := range b {
		if i > 0 {
			s.WriteByte(':')
		}
		s.WriteString(strings.ToUpper(hex.EncodeToString(b[i : i+1])))
	}
	return s.String()
}

// wildcard reports whether the certificate is for any name of a domain (RFC 9525 s.6.3).
func wildcard(c *x509.Certificate) bool {
	for _, name := range append([]string{c.Subject.CommonName}, c.DNSNames...) {
		if strings.HasPrefix(name, "*.") {
			return true
		}
	}
	return false
}

func optional(o *jsonappend.Object, name, value string) {
	if value != "" {
		o.String(name, value)
	}
}

func optionals(o *jsonappend.Object, name string, values []string) {
	if len(values) > 0 {
		o.Strings(name, values)
	}
}

// sctOID is the extension of a certificate that holds its timestamps (RFC 6962 s.3.3).
var sctOID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}

// embedded renders the timestamps within a certificate; nil if there are none or they are malformed.
func embedded(c *x509.Certificate) []byte {
	for _, e := range c.Extensions {
		if !e.Id.Equal(sctOID) {
			continue
		}
		var list []byte // an OCTET STRING around the list and the length before it
		if rest, err := asn1.Unmarshal(e.Value, &list); err != nil || len(rest) > 0 || len(list) < 2 {
			return nil
		}
		var out []byte
		for sct := range tlswire.SCTList(list[2:]).All() {
			out = appendSCT(out, sct, "certificate")
		}
		return bytes.Clone(out)
	}
	return nil
}

const (
	// sctHead is how long the part of a timestamp is that we read: version, log ID and time (RFC 6962 s.3.2), in bytes.
	sctHead = 1 + 32 + 8
	// lastMillis is the end of the year 9999 in milliseconds: RFC 3339 s.1 has no later one.
	lastMillis = 253402300799999
)

// appendSCT appends one timestamp as an element of a list. Of what is no timestamp of version 1 only the source is told.
func appendSCT(list, sct []byte, source string) []byte {
	if len(list) > 0 {
		list = append(list, ',')
	}
	o := jsonappend.Begin(list)
	if len(sct) >= sctHead && sct[0] == 0 {
		o.String("log_id", base64.StdEncoding.EncodeToString(sct[1:33]))
		var millis uint64
		for _, b := range sct[33:sctHead] {
			millis = millis<<8 | uint64(b)
		}
		if millis <= lastMillis {
			o.String("timestamp", time.UnixMilli(int64(millis)).UTC().Format("2006-01-02T15:04:05.000Z07:00"))
		}
	}
	o.String("source", source)
	return o.End()
}
