package tlswire

import "iter"

// Group is a group or curve for key agreement (registry "TLS Supported Groups"; RFC 8446 s.4.2.7).
type Group uint16

// The groups that servers are asked for; String knows all.
const (
	SecP256R1          Group = 23     // RFC 8446 s.4.2.7
	SecP384R1          Group = 24     // RFC 8446 s.4.2.7
	SecP521R1          Group = 25     // RFC 8446 s.4.2.7
	X25519             Group = 29     // RFC 8446 s.4.2.7
	X448               Group = 30     // RFC 8446 s.4.2.7
	FFDHE2048          Group = 256    // RFC 7919 s.2
	SecP256R1MLKEM768  Group = 0x11EB // draft-ietf-tls-ecdhe-mlkem s.3
	X25519MLKEM768     Group = 0x11EC // draft-ietf-tls-ecdhe-mlkem s.3
	SecP384R1MLKEM1024 Group = 0x11ED // draft-ietf-tls-ecdhe-mlkem s.3
)

// groups is the registry "TLS Supported Groups", with those that it keeps as obsolete.
var groups = []named[Group]{
	// RFC 4492 s.5.1.1, RFC 8422 s.5.1.1
	{1, "sect163k1"}, {2, "sect163r1"}, {3, "sect163r2"}, {4, "sect193r1"}, {5, "sect193r2"}, {6, "sect233k1"},
	{7, "sect233r1"}, {8, "sect239k1"}, {9, "sect283k1"}, {10, "sect283r1"}, {11, "sect409k1"}, {12, "sect409r1"},
	{13, "sect571k1"}, {14, "sect571r1"}, {15, "secp160k1"}, {16, "secp160r1"}, {17, "secp160r2"}, {18, "secp192k1"},
	{19, "secp192r1"}, {20, "secp224k1"}, {21, "secp224r1"}, {22, "secp256k1"}, {23, "secp256r1"}, {24, "secp384r1"},
	{25, "secp521r1"},
	// RFC 7027 s.2
	{26, "brainpoolP256r1"}, {27, "brainpoolP384r1"}, {28, "brainpoolP512r1"},
	// RFC 8446 s.4.2.7, RFC 8422 s.5.1.1
	{29, "x25519"}, {30, "x448"},
	// RFC 8734 s.2
	{31, "brainpoolP256r1tls13"}, {32, "brainpoolP384r1tls13"}, {33, "brainpoolP512r1tls13"},
	// RFC 9189 s.4.4.2
	{34, "GC256A"}, {35, "GC256B"}, {36, "GC256C"}, {37, "GC256D"}, {38, "GC512A"}, {39, "GC512B"}, {40, "GC512C"},
	// RFC 8998 s.3.2.1
	{41, "curveSM2"},
	// RFC 7919 s.2
	{256, "ffdhe2048"}, {257, "ffdhe3072"}, {258, "ffdhe4096"}, {259, "ffdhe6144"}, {260, "ffdhe8192"},
	// draft-connolly-tls-mlkem-key-agreement s.4
	{512, "MLKEM512"}, {513, "MLKEM768"}, {514, "MLKEM1024"},
	// draft-ietf-tls-ecdhe-mlkem s.3
	{0x11EB, "SecP256r1MLKEM768"}, {0x11EC, "X25519MLKEM768"}, {0x11ED, "SecP384r1MLKEM1024"},
	// draft-yang-tls-hybrid-sm2-mlkem s.3
	{0x11EE, "curveSM2MLKEM768"},
	// draft-tls-westerbaan-xyber768d00 s.3, obsolete
	{0x6399, "X25519Kyber768Draft00"}, {0x639A, "SecP256r1Kyber768Draft00"},
	// RFC 8422 s.5.1.1, deprecated
	{0xFF01, "arbitrary_explicit_prime_curves"}, {0xFF02, "arbitrary_explicit_char2_curves"},
}

// String returns the registry's name ("x25519"), or the number of a group that has none ("0x0200").
func (g Group) String() string { return nameOf(groups, g) }

// Groups yields every registered group in the order of the numbers.
func Groups() iter.Seq[Group] { return values(groups) }

// shareSizes are the sizes in bytes of what the two sides send in key_share.
var shareSizes = []struct {
	group          Group
	client, server int
}{
	{SecP256R1, 65, 65}, {SecP384R1, 97, 97}, {SecP521R1, 133, 133}, // RFC 8446 s.4.2.8.2
	{X25519, 32, 32}, {X448, 56, 56}, // RFC 8446 s.4.2.8.2
	{31, 65, 65}, {32, 97, 97}, {33, 129, 129}, {41, 65, 65}, // RFC 8734 s.2, RFC 8998 s.3.2.1
	{256, 256, 256}, {257, 384, 384}, {258, 512, 512}, {259, 768, 768}, {260, 1024, 1024}, // RFC 8446 s.4.2.8.1
	{512, 800, 768}, {513, 1184, 1088}, {514, 1568, 1568}, // FIPS 203 table 3
	{SecP256R1MLKEM768, 65 + 1184, 65 + 1088},
	{X25519MLKEM768, 1184 + 32, 1088 + 32},
	{SecP384R1MLKEM1024, 97 + 1568, 97 + 1568},
	{0x11EE, 65 + 1184, 65 + 1088},
	{0x6399, 32 + 1184, 32 + 1088}, {0x639A, 65 + 1184, 65 + 1088},
}

// ShareSizes returns how many bytes the client and the server send for g in key_share (RFC 8446 s.4.2.8); ok is false
// for a group that TLS 1.3 does not use or whose sizes are not known here. A server checks the size before anything
// else, so a hello that is only to be answered may carry any bytes of the right size where the group takes any (X25519).
func (g Group) ShareSizes() (client, server int, ok bool) {
	for _, s := range shareSizes {
		if s.group == g {
			return s.client, s.server, true
		}
	}
	return 0, 0, false
}
