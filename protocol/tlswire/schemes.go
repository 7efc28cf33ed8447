package tlswire

// SignatureScheme is a signature algorithm (registry "TLS SignatureScheme"; RFC 8446 s.4.2.3). In TLS 1.2 the two bytes
// are a hash and a signature algorithm (RFC 5246 s.7.4.1.4.1).
type SignatureScheme uint16

// The schemes that a probe offers; String knows all (RFC 8446 s.4.2.3).
const (
	RSAPKCS1SHA1         SignatureScheme = 0x0201
	ECDSASHA1            SignatureScheme = 0x0203
	RSAPKCS1SHA256       SignatureScheme = 0x0401
	ECDSASecP256R1SHA256 SignatureScheme = 0x0403
	RSAPKCS1SHA384       SignatureScheme = 0x0501
	ECDSASecP384R1SHA384 SignatureScheme = 0x0503
	RSAPKCS1SHA512       SignatureScheme = 0x0601
	ECDSASecP521R1SHA512 SignatureScheme = 0x0603
	RSAPSSRSAESHA256     SignatureScheme = 0x0804
	RSAPSSRSAESHA384     SignatureScheme = 0x0805
	RSAPSSRSAESHA512     SignatureScheme = 0x0806
	Ed25519              SignatureScheme = 0x0807
	Ed448                SignatureScheme = 0x0808
	RSAPSSPSSSHA256      SignatureScheme = 0x0809
	RSAPSSPSSSHA384      SignatureScheme = 0x080A
	RSAPSSPSSSHA512      SignatureScheme = 0x080B
)

// signatureSchemes is the registry "TLS SignatureScheme".
var signatureSchemes = []named[SignatureScheme]{
	// RFC 8446 s.4.2.3; those at 0x..20 are of draft-ietf-tls-tls13-pkcs1
	{0x0201, "rsa_pkcs1_sha1"}, {0x0203, "ecdsa_sha1"},
	{0x0401, "rsa_pkcs1_sha256"}, {0x0403, "ecdsa_secp256r1_sha256"}, {0x0420, "rsa_pkcs1_sha256_legacy"},
	{0x0501, "rsa_pkcs1_sha384"}, {0x0503, "ecdsa_secp384r1_sha384"}, {0x0520, "rsa_pkcs1_sha384_legacy"},
	{0x0601, "rsa_pkcs1_sha512"}, {0x0603, "ecdsa_secp521r1_sha512"}, {0x0620, "rsa_pkcs1_sha512_legacy"},
	// draft-wang-tls-raw-public-key-with-ibc s.4
	{0x0704, "eccsi_sha256"}, {0x0705, "iso_ibs1"}, {0x0706, "iso_ibs2"}, {0x0707, "iso_chinese_ibs"},
	// RFC 8998 s.3.2.1
	{0x0708, "sm2sig_sm3"},
	// RFC 9367 s.5
	{0x0709, "gostr34102012_256a"}, {0x070A, "gostr34102012_256b"}, {0x070B, "gostr34102012_256c"}, {0x070C, "gostr34102012_256d"},
	{0x070D, "gostr34102012_512a"}, {0x070E, "gostr34102012_512b"}, {0x070F, "gostr34102012_512c"},
	// RFC 8446 s.4.2.3
	{0x0804, "rsa_pss_rsae_sha256"}, {0x0805, "rsa_pss_rsae_sha384"}, {0x0806, "rsa_pss_rsae_sha512"},
	{0x0807, "ed25519"}, {0x0808, "ed448"},
	{0x0809, "rsa_pss_pss_sha256"}, {0x080A, "rsa_pss_pss_sha384"}, {0x080B, "rsa_pss_pss_sha512"},
	// RFC 8734 s.3
	{0x081A, "ecdsa_brainpoolP256r1tls13_sha256"}, {0x081B, "ecdsa_brainpoolP384r1tls13_sha384"}, {0x081C, "ecdsa_brainpoolP512r1tls13_sha512"},
	// draft-ietf-tls-mldsa s.3
	{0x0904, "mldsa44"}, {0x0905, "mldsa65"}, {0x0906, "mldsa87"},
}

// The registries "TLS HashAlgorithm" and "TLS SignatureAlgorithm", for the pairs of TLS 1.2 that the registry of schemes
// does not name (RFC 5246 s.7.4.1.4.1).
var (
	pairHashes     = []string{"none", "md5", "sha1", "sha224", "sha256", "sha384", "sha512"}
	pairSignatures = []string{"anonymous", "rsa", "dsa", "ecdsa"}
)

// String returns the registry's name ("ecdsa_secp256r1_sha256"), for another pair of TLS 1.2 its two parts ("rsa_md5"),
// or the number of a scheme that has neither.
func (s SignatureScheme) String() string {
	hash, signature := int(s>>8), int(s&0xff)
	if _, ok := find(signatureSchemes, s); !ok && hash < len(pairHashes) && signature < len(pairSignatures) {
		return pairSignatures[signature] + "_" + pairHashes[hash]
	}
	return nameOf(signatureSchemes, s)
}
