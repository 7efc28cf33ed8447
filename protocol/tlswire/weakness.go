package tlswire

import "strings"

// Weakness is a set of reasons for which a suite is not to be used.
type Weakness uint16

// The reasons. Those in [Broken] give an attacker the traffic; the others take away a defence.
const (
	// WeakNull: nothing is encrypted.
	WeakNull Weakness = 1 << iota
	// WeakAnonymous: nobody is authenticated (RFC 5246 s.F.1.1.1).
	WeakAnonymous
	// WeakExport: a key of 40 bits, or 512 bits of RSA or DH, by law (RFC 4346 s.D.1).
	WeakExport
	// WeakDES: a key of 56 bits (RFC 5469 s.2).
	WeakDES
	// WeakRC4: prohibited by RFC 7465 s.2.
	WeakRC4
	// WeakMD5: MD5 as the MAC (RFC 6151 s.2).
	WeakMD5
	// WeakBlock64: blocks of 64 bits (3DES, IDEA, RC2, GOST 28147), with collisions after some GiB (Sweet32, RFC 7525
	// s.4.1).
	WeakBlock64
	// WeakNoForwardSecrecy: who learns the server's key reads what was recorded (RFC 9325 s.4.1).
	WeakNoForwardSecrecy
	// WeakCBC: CBC with the MAC under the encryption, open to padding oracles unless encrypt_then_mac is agreed on (RFC
	// 7366 s.1).
	WeakCBC
	// WeakShortTag: an authentication tag of 8 bytes (RFC 6655 s.4).
	WeakShortTag
)

// Broken are the reasons for which a suite gives no protection worth the name.
const Broken = WeakNull | WeakAnonymous | WeakExport | WeakDES | WeakRC4 | WeakMD5

var weaknessWords = []string{
	"null", "anonymous", "export", "des", "rc4", "md5", "64-bit-block", "no-forward-secrecy", "cbc", "short-tag",
}

// Words returns the reasons as words for a record, the worst first; nil for none.
func (w Weakness) Words() []string {
	var words []string
	for i, word := range weaknessWords {
		if w&(1<<i) != 0 {
			words = append(words, word)
		}
	}
	return words
}

// Weakness returns why the suite is weak, read from its name; 0 for a good one. It also is 0 for what has no name:
// ask [CipherSuite.Registered].
func (s CipherSuite) Weakness() Weakness {
	if !s.Registered() || s == RenegotiationInfoSCSV || s == FallbackSCSV {
		return 0
	}
	name := s.String()
	var w Weakness
	for _, mark := range []struct {
		part string
		why  Weakness
	}{
		{"NULL", WeakNull}, {"_anon_", WeakAnonymous}, {"EXPORT", WeakExport}, {"_DES_", WeakDES}, {"DES40", WeakDES},
		{"RC4", WeakRC4}, {"3DES", WeakBlock64}, {"IDEA", WeakBlock64}, {"RC2", WeakBlock64}, {"28147", WeakBlock64},
		{"_CBC_", WeakCBC},
	} {
		if strings.Contains(name, mark.part) {
			w |= mark.why
		}
	}
	if w&WeakDES != 0 {
		w |= WeakBlock64
	}
	if strings.HasSuffix(name, "_MD5") {
		w |= WeakMD5
	}
	if strings.Contains(name, "CCM_8") {
		w |= WeakShortTag
	}
	switch s {
	case 0x0000:
		w |= WeakAnonymous | WeakNoForwardSecrecy
	case 0xC0B4, 0xC0B5: // RFC 9150 s.1: integrity only
		w |= WeakNull
	}
	switch s.KeyExchange() {
	case KeyExchangeRSA, KeyExchangeDH, KeyExchangeECDH, KeyExchangePSK, KeyExchangeRSAPSK, KeyExchangeKerberos:
		w |= WeakNoForwardSecrecy
	case KeyExchangeGOST:
		if !s.IsTLS13() { // RFC 9189 s.4.2.4: the key travels under the server's long-term key
			w |= WeakNoForwardSecrecy
		}
	}
	return w
}
