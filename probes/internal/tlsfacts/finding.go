package tlsfacts

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"time"

	"sonde/internal/jsonappend"
	"sonde/protocol"
)

// Finding is Facts with what the certificates in them are worth. Alone it is a record's result; another finding shows it
// as a member "tls". It is immutable.
type Finding struct {
	facts  Facts
	judged Judgement
	chain  []*certificate
	staple *staple
	now    time.Time // of the judgement; zero if there was none
}

var _ protocol.Finding = (*Finding)(nil)

// Finding joins the facts with the judgement of their chain, which is the zero Judgement where nobody judges. It takes
// over the memory of f, which must not be changed afterwards, and holds none of a connection's buffers if f does not.
func (f *Facts) Finding(j Judgement) *Finding {
	out := &Finding{facts: *f, judged: j, chain: j.chain}
	if len(out.chain) != len(f.Chain) { // nobody judged it
		out.chain = nil
		for _, der := range f.Chain {
			out.chain = append(out.chain, render(der, sha256.Sum256(der)))
		}
	}
	if j.judge != nil {
		out.now = j.judge.now()
	}
	if len(f.OCSP) > 0 {
		if j.judge != nil {
			out.staple = j.judge.staple(f.OCSP, f.Chain)
		} else {
			out.staple = readStaple(f.OCSP, f.Chain)
		}
	}
	return out
}

// AppendJSON implements [protocol.Finding]; [Fields] documents the members. What is not known is not written.
func (f *Finding) AppendJSON(dst []byte) []byte {
	o := jsonappend.Begin(dst)
	f.handshake(&o)
	f.sessions(&o)
	f.verdict(&o)
	if len(f.chain) > 0 {
		o.Members(f.chain[0].members)
		f.attached(&o)
		o.Raw("chain", f.appendChain)
	}
	if e := f.facts.Enum; e != nil {
		e.write(&o)
	}
	optional(&o, "jarm_hash", f.facts.JARM)
	if len(f.facts.FirstBytes) > 0 {
		o.Bytes("first_bytes", f.facts.FirstBytes)
	}
	return o.End()
}

// handshake adds what the two sides said first.
func (f *Finding) handshake(o *jsonappend.Object) {
	x := &f.facts
	o.String("tls_depth", x.Depth.String())
	optional(o, "starttls", x.StartTLS)
	optional(o, "sni", x.SNI)
	if x.Version != 0 {
		o.String("tls_version", x.Version.Word())
		o.String("cipher", x.Cipher.String())
	}
	if x.Group != 0 {
		o.String("group", x.Group.String())
	}
	optional(o, "alpn", x.ALPN)
	if x.Retry {
		o.Bool("hello_retry_request", true)
	}
	optional(o, "alert", x.Alert)
	optional(o, "ja3s_hash", x.JA3S)
}

// sessions adds what concerns more than one connection, and what the server wants of a client.
func (f *Finding) sessions(o *jsonappend.Object) {
	x := &f.facts
	known(o, "session_id", x.SessionID)
	known(o, "session_ticket", x.SessionTicket)
	known(o, "resumed", x.Resumed)
	if r := x.Reuse; r != nil {
		o.Raw("resumption", r.appendJSON)
	}
	known(o, "client_cert_requested", x.ClientCert)
	switch x.ECH {
	case Yes:
		o.String("ech", "accepted")
	case No:
		o.String("ech", "rejected")
	}
	if len(x.ECHRetry) > 0 {
		o.String("ech_retry_configs", base64.StdEncoding.EncodeToString(x.ECHRetry))
	}
}

// verdict adds what the certificate is worth.
func (f *Finding) verdict(o *jsonappend.Object) {
	j := &f.judged
	if !j.Verified && j.Faults == 0 {
		return
	}
	o.Bool("verified", j.Verified)
	if j.Faults != 0 {
		o.String("verify_error", j.Faults.String())
		o.String("verify_reason", j.Reason)
	}
	for _, flag := range []struct {
		name string
		of   Faults
	}{
		{"expired", Expired}, {"mismatched", NameMismatch}, {"self_signed", SelfSigned}, {"untrusted", UnknownAuthority | SelfSigned},
	} {
		if j.Faults&flag.of != 0 {
			o.Bool(flag.name, true)
		}
	}
	if !j.Expires.IsZero() {
		o.Int("days_left", int64(j.DaysLeft))
	}
}

// attached adds what the server sent along with its certificate.
func (f *Finding) attached(o *jsonappend.Object) {
	o.Bool("ocsp_stapled", len(f.facts.OCSP) > 0)
	if f.staple != nil {
		f.staple.write(o, f.now)
	}
	if len(f.facts.SCTs) == 0 && len(f.chain[0].scts) == 0 {
		return
	}
	o.Raw("scts", func(dst []byte) []byte {
		var list []byte
		for _, sct := range f.facts.SCTs {
			list = appendSCT(list, sct, "handshake")
		}
		if len(list) > 0 && len(f.chain[0].scts) > 0 {
			list = append(list, ',')
		}
		dst = append(append(dst, '['), list...)
		return append(append(dst, f.chain[0].scts...), ']')
	})
}

// appendChain appends the certificates as a list.
func (f *Finding) appendChain(dst []byte) []byte {
	dst = append(dst, '[')
	for i, c := range f.chain {
		if i > 0 {
			dst = append(dst, ',')
		}
		o := jsonappend.Begin(dst)
		o.Members(c.members)
		o.Members(c.more)
		if f.facts.PEM {
			o.String("pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.facts.Chain[i]}))) // RFC 7468 s.5
		}
		dst = o.End()
	}
	return append(dst, ']')
}

// known adds a yes or no unless it is not known.
func known(o *jsonappend.Object, name string, t Tri) {
	if t != Unknown {
		o.Bool(name, t == Yes)
	}
}

func (r *Reuse) appendJSON(dst []byte) []byte {
	o := jsonappend.Begin(dst)
	o.String("method", r.Method)
	o.String("offered", r.Offered)
	if r.FullUS > 0 {
		o.Int("full_us", r.FullUS)
	}
	if r.ResumedUS > 0 {
		o.Int("resumed_us", r.ResumedUS)
	}
	return o.End()
}

// Brief implements [protocol.Finding]: version, suite, group, the certificate's name and what is wrong with it, or its days
// ("tls13 AES_128_GCM_SHA256 x25519 a.example 89 days").
func (f *Finding) Brief() string {
	x, j := &f.facts, &f.judged
	var words []string
	if x.JARM != "" {
		words = append(words, "jarm "+x.JARM)
	}
	if x.Version != 0 {
		words = append(words, x.Version.Word())
	}
	switch {
	case j.Faults != 0:
		words = append(words, j.Faults.String())
	case !j.Expires.IsZero():
		words = append(words, days(j.DaysLeft))
	}
	if j.Subject != "" {
		words = append(words, j.Subject)
	}
	if x.Version != 0 {
		words = append(words, strings.TrimPrefix(x.Cipher.String(), "TLS_"))
	}
	if x.Group != 0 {
		words = append(words, x.Group.String())
	}
	switch {
	case x.JARM != "" || x.Enum != nil: // alerts are answers there
	case x.Alert != "":
		words = append(words, "alert "+x.Alert)
	case len(x.FirstBytes) > 0:
		words = append(words, NotTLS)
	}
	if x.Enum != nil {
		words = append(words, x.Enum.brief()...)
	}
	return strings.Join(words, " ")
}
