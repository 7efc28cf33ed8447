package tlsfacts

import "strings"

// Faults is what is wrong with a certificate: a set.
type Faults uint16

// The faults, in the order in which they are told.
const (
	// Expired: its NotAfter is past, or that of the only chain above it (RFC 5280 s.4.1.2.5).
	Expired Faults = 1 << iota
	// NotYetValid: its NotBefore is still to come.
	NotYetValid
	// NameMismatch: it is for other names (RFC 9525 s.6).
	NameMismatch
	// UnknownAuthority: no trusted authority stands behind it.
	UnknownAuthority
	// SelfSigned: the same, and it is its own authority. UnknownAuthority is then not told besides.
	SelfSigned
	// WrongUsage: it may not be used for a server (RFC 5280 s.4.2.1.12).
	WrongUsage
	// BadChain: an authority stands behind it, but was not allowed to sign it, or an extension is not understood (RFC 5280
	// s.6.1).
	BadChain
	// Unparsable: it, or one sent with it, is no certificate that we can read.
	Unparsable
	// NoCertificate: none was sent.
	NoCertificate
)

// faultWords are the names of the faults in a record. Scripts compare them: they don't change.
var faultWords = [...]string{
	"expired", "not yet valid", "name mismatch", "unknown authority", "self-signed", "wrong usage", "bad chain", "unparsable",
	"no certificate",
}

// Words are the faults as words, in their order; nil for none.
func (f Faults) Words() []string {
	var words []string
	for i, w := range faultWords {
		if f&(1<<i) != 0 {
			words = append(words, w)
		}
	}
	return words
}

// String is the words with commas between them: "expired, name mismatch".
func (f Faults) String() string { return strings.Join(f.Words(), ", ") }
