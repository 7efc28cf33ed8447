package probes

import (
	"time"

	"sonde/protocol"
	"sonde/target"
)

// Measured is a Finding that has figures besides its JSON: what a monitoring system keeps of it.
type Measured interface {
	protocol.Finding
	// Figures adds what was learned to f. It is called once at most, and may hand over its own memory.
	Figures(f *Figures)
}

// Figures is what monitoring keeps of one answer. What is nil was not asked or not learned.
type Figures struct {
	HTTP *HTTPFigures
	TLS  *TLSFigures
	// Expect are the captures of an expected line that was matched, by the names that the configuration gives them; not nil and
	// empty: it was matched and nothing captured.
	Expect []Capture
	// RegexpFailed is whether a regular expression failed the probe; nil if none could.
	RegexpFailed *bool
}

// Capture is a text that was captured from an answer.
type Capture struct{ Name, Value string }

// HTTPFigures are those of the last response; of all hops where redirects were followed, what says so. If none came that
// counts as the answer (it leads on, or to no URL), all is zero but Redirects.
type HTTPFigures struct {
	StatusCode int
	Version    float64 // 1.1
	// ContentLength is what the server announced, -1 if nothing and 0 for a status that has no body; BodyLength is that of
	// the body decoded, as far as it was read.
	ContentLength, BodyLength int64
	// LastModified is zero if the server told none.
	LastModified time.Time
	Redirects    int // that came, the last one even if it was not followed
	TLS          bool
}

// TLSFigures are those of the handshake and of the certificates. What was not learned is zero.
type TLSFigures struct {
	// Established: the handshake was made whole, and the certificate was believed or is not asked about
	// (TLSOptions.Insecure). blackbox_exporter tells nothing of any other handshake.
	Established     bool
	Version, Cipher string // as crypto/tls names them: "TLS 1.3"
	// EarliestExpiry is the first NotAfter among the certificates that the server sent. LastChainExpiry is the first NotAfter in
	// that verified chain in which it is latest; zero without a verified chain, and if the certificate is not asked about.
	EarliestExpiry, LastChainExpiry time.Time
	// Of the leaf: the SHA-256 of its DER in lower case hexadecimal, its subject and issuer (as pkix.Name.String writes
	// RFC 4514's), its DNS names joined by commas, its serial number in lower case hexadecimal; each at most 16 KiB, "..." at its
	// end if it was longer.
	Fingerprint, Subject, Issuer, Names, Serial string
}

// Follower is a Finding that may lead to another target, as a redirect does (RFC 9110 s.15.4). Whoever runs probes resolves the
// target's name, if it has one, and asks it with p; the finding of p then stands for all.
type Follower interface {
	protocol.Finding
	// Follow returns where it leads and the probe that asks there; false if nowhere, or no further.
	Follow() (t target.Target, p Probe, ok bool)
}
