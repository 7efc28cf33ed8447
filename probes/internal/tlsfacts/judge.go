package tlsfacts

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"sonde/internal/tlsclient"
)

// The bounds of a Judge's memory. A scan of strangers fills them and gains nothing by it; a fleet has few chains.
const (
	// verdictBudget is how many verdicts are kept, each well below 1 KiB: at most 4 MiB.
	verdictBudget = 4096
	// certificateBudget is how many bytes of rendered certificates are kept, about 2,500 of them.
	certificateBudget = 4 << 20
	// stapleBudget is how many OCSP responses are kept as what was made of them, each below 300 bytes.
	stapleBudget = 1024
)

// staleAfter is how old a judgement may be: a certificate that expires is noticed this much later at most.
const staleAfter = time.Minute

// JudgeOptions says against what a Judge holds certificates.
type JudgeOptions struct {
	// Roots are the trusted authorities; nil is the system's.
	Roots *x509.CertPool
	// Now tells the time of a judgement. It must be set and safe for concurrent use.
	Now func() time.Time
}

// Judge judges the chains that servers present. It remembers what it has seen, in bounded memory, so that a chain that
// many servers share is parsed, verified and written as JSON once a minute and not for each of them. It is safe for
// concurrent use.
type Judge struct {
	roots *x509.CertPool
	now   func() time.Time

	mu           sync.Mutex
	verdicts     generations[*verdict]
	certificates generations[*certificate]
	staples      generations[*staple]
}

// NewJudge returns a Judge.
func NewJudge(o JudgeOptions) *Judge {
	return &Judge{
		roots: o.Roots, now: o.Now,
		verdicts:     newGenerations[*verdict](verdictBudget),
		certificates: newGenerations[*certificate](certificateBudget),
		staples:      newGenerations[*staple](stapleBudget),
	}
}

// Judgement is what a chain is worth. The zero Judgement says that nothing was judged.
type Judgement struct {
	// Verified: trusted, within its time and for the name asked for. With Faults 0 it is false only if nothing was judged.
	Verified bool
	Faults   Faults
	// Reason says in a few words for a person what is wrong ("expired 3 days ago (2026-01-02)"): the faults in their
	// order, at most maxReason bytes of printable text; empty if Verified.
	Reason string
	// Subject is the leaf's common name, else its first name; printable, cut to a sane length. Empty if it has none.
	Subject string
	// Expires is the leaf's NotAfter, zero if no leaf could be read, and DaysLeft the whole days until then, rounded down:
	// 0 on the last day, negative afterwards.
	Expires  time.Time
	DaysLeft int

	judge *Judge
	chain []*certificate
	// lastChainExpiry is [probes.TLSFigures]'s, but if the certificate is not asked about.
	lastChainExpiry time.Time
}

// verdict is a Judgement kept: the certificates themselves are left to the cache of certificates, which has a budget in
// bytes.
type verdict struct {
	at      time.Time
	judged  Judgement // without chain
	digests []digest
}

// Judge parses the certificates of chain, DER and leaf first, and holds them against the roots, the time and name: a host
// name or an IP address without brackets. An empty name is not compared. chain is not kept.
//
// A certificate that can't be parsed is a fault like others. crypto/x509 asks of a program whether it takes what is
// common but wrong; a main package says so with "//go:debug x509negativeserial=1".
func (j *Judge) Judge(chain [][]byte, name string) Judgement {
	now := j.now()
	var room [8]digest
	digests := room[:0]
	for _, der := range chain {
		digests = append(digests, sha256.Sum256(der))
	}
	key := keyOf(digests, name)
	v, certs := j.recall(key, digests, now)
	for i, c := range certs {
		if c == nil {
			certs[i] = j.certificate(chain[i], digests[i])
		}
	}
	if v == nil {
		v = &verdict{at: now, judged: j.verify(chain, name, now), digests: slices.Clone(digests)}
		j.mu.Lock()
		j.verdicts.put(key, v, 1)
		j.mu.Unlock()
	}
	judged := v.judged
	judged.chain = certs
	return judged
}

// keyOf is what a verdict is kept under. The number of digests comes first, so that no name can pass for one of them.
func keyOf(digests []digest, name string) digest {
	var room [512]byte
	b := binary.BigEndian.AppendUint32(room[:0], uint32(len(digests)))
	for i := range digests {
		b = append(b, digests[i][:]...)
	}
	return sha256.Sum256(append(b, name...))
}

// recall finds what is known: the verdict, nil if there is none or it is stale, and the certificates, nil where there is
// none.
func (j *Judge) recall(key digest, digests []digest, now time.Time) (*verdict, []*certificate) {
	certs := make([]*certificate, len(digests))
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, d := range digests {
		c, young, ok := j.certificates.get(d)
		if ok && !young {
			j.certificates.put(d, c, c.cost())
		}
		certs[i] = c
	}
	v, young, ok := j.verdicts.get(key)
	if !ok {
		return nil, certs
	}
	if age := now.Sub(v.at); age < 0 || age >= staleAfter {
		return nil, certs
	}
	if !young {
		j.verdicts.put(key, v, 1)
	}
	return v, certs
}

// certificate renders a certificate and keeps it.
func (j *Judge) certificate(der []byte, d digest) *certificate {
	c := render(der, d)
	j.mu.Lock()
	j.certificates.put(d, c, c.cost())
	j.mu.Unlock()
	return c
}

// verify is Judge without the caches.
func (j *Judge) verify(chain [][]byte, name string, now time.Time) Judgement {
	judged := Judgement{judge: j}
	if len(chain) == 0 {
		judged.Faults, judged.Reason = NoCertificate, "no certificate was sent"
		return judged
	}
	var r reasons
	var certs []*x509.Certificate
	for i, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			r.add(Unparsable, unparsable(i, err))
			if i == 0 {
				break
			}
			continue
		}
		certs = append(certs, c)
	}
	if len(certs) > 0 {
		leaf := certs[0]
		judged.Expires, judged.DaysLeft = leaf.NotAfter, daysLeft(now, leaf.NotAfter)
		judged.Subject = subject(leaf)
		verified, err := tlsclient.Verify(certs, tlsclient.VerifyOptions{Roots: j.roots, Name: name, Time: now})
		r.explain(err, leaf, name, now)
		judged.lastChainExpiry = lastExpiry(verified)
	}
	judged.Faults, judged.Reason = r.faults, r.String()
	judged.Verified = judged.Faults == 0
	return judged
}

const day = 24 * time.Hour

// daysLeft is how many whole days there are from now to t, rounded down.
func daysLeft(now, t time.Time) int {
	left := t.Sub(now) // caught at 292 years either way, see time.Time.Sub
	days := int(left / day)
	if left < 0 && left%day != 0 {
		days--
	}
	return days
}
