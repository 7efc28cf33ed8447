// Package tls13 is as much of the client's cryptography of TLS 1.3 as it takes to read what a server sends under its
// handshake keys: the two halves of a key agreement ([KeyPair]), the key schedule down to the server's handshake traffic
// keys, and the protection of records ([Reader]). It makes no record, checks no signature and no Finished, and so proves
// nothing about who the server is.
//
// It does no I/O and knows no message: what the transcript is made of, and what a decrypted record means, is for the
// caller.
package tls13

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"sync"

	"golang.org/x/crypto/chacha20poly1305"

	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// ErrBadRecord says that a record can't be decrypted: it was changed on the way, or the server's keys are not ours (alert
// bad_record_mac, RFC 8446 s.5.2).
var ErrBadRecord = errors.New("a record that can't be decrypted (bad_record_mac)")

// nonceSize is the size in bytes of the nonce and the IV: that of the AEADs of TLS 1.3, all of which have 12 (RFC 8446
// s.5.3, RFC 5116 s.5.1, RFC 8439 s.2.8).
const nonceSize = 12

// suite is what a cipher suite is made of (RFC 8446 s.B.4).
type suite struct {
	hash     func() hash.Hash
	hashSize int // bytes
	keySize  int // bytes
	aead     func(key []byte) (cipher.AEAD, error)
	// derived is the secret from which the handshake secret is extracted: without a pre-shared key it is the same for
	// every connection (RFC 8446 s.7.1).
	derived func() []byte
}

var (
	sha256Derived = sync.OnceValue(func() []byte { return derivedSecret(sha256.New, sha256.Size) })
	sha384Derived = sync.OnceValue(func() []byte { return derivedSecret(sha512.New384, sha512.Size384) })
)

// suiteOf returns how s is made; ok is false for a suite that is not known here.
func suiteOf(s tlswire.CipherSuite) (c suite, ok bool) {
	switch s {
	case tlswire.AES128GCMSHA256:
		return suite{sha256.New, sha256.Size, 16, newGCM, sha256Derived}, true
	case tlswire.AES256GCMSHA384:
		return suite{sha512.New384, sha512.Size384, 32, newGCM, sha384Derived}, true
	case tlswire.ChaCha20Poly1305SHA256:
		return suite{sha256.New, sha256.Size, chacha20poly1305.KeySize, chacha20poly1305.New, sha256Derived}, true
	}
	return suite{}, false
}

// Suites are the suites that a [Reader] can be made for, in the order in which a client offers them. The slice is the
// caller's.
func Suites() []tlswire.CipherSuite {
	return []tlswire.CipherSuite{tlswire.AES128GCMSHA256, tlswire.AES256GCMSHA384, tlswire.ChaCha20Poly1305SHA256}
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// Reader decrypts the records that a server protects with its handshake keys. The zero Reader is not [Reader.Ready].
type Reader struct {
	aead     cipher.AEAD
	iv       [nonceSize]byte
	sequence uint64
	nonce    [nonceSize]byte // here, and not on the stack of Open, so that it costs no allocation
	header   [tlswire.RecordHeaderSize]byte
}

// NewReader derives the server's handshake traffic keys (RFC 8446 s.7.1 and s.7.3) from the shared secret of the key
// agreement and the transcript, which is the ClientHello and the ServerHello with their headers, with what [Retried]
// makes of the first two before them after a HelloRetryRequest. There is no pre-shared key. An error is a suite that is not
// one of [Suites].
func NewReader(s tlswire.CipherSuite, secret []byte, transcript ...[]byte) (Reader, error) {
	c, ok := suiteOf(s)
	if !ok {
		return Reader{}, fmt.Errorf("suite %v has no keys here", s)
	}
	h := c.hash()
	for _, part := range transcript {
		h.Write(part)
	}
	traffic, err := c.serverTraffic(secret, h.Sum(nil))
	if err != nil {
		return Reader{}, err
	}
	return c.reader(traffic)
}

// Retried returns what stands for the first ClientHello, a whole message, in a transcript with a HelloRetryRequest: a
// message_hash message (RFC 8446 s.4.4.1). An error is a suite that is not one of [Suites].
func Retried(s tlswire.CipherSuite, hello []byte) ([]byte, error) {
	c, ok := suiteOf(s)
	if !ok {
		return nil, fmt.Errorf("suite %v has no hash here", s)
	}
	h := c.hash()
	h.Write(hello)
	return tlswire.AppendMessage(nil, tlswire.HandshakeMessageHash, h.Sum(nil)), nil
}

// serverTraffic is server_handshake_traffic_secret (RFC 8446 s.7.1).
func (c suite) serverTraffic(secret, transcriptHash []byte) ([]byte, error) {
	handshake, err := hkdf.Extract(c.hash, secret, c.derived())
	if err != nil {
		return nil, fmt.Errorf("handshake secret: %w", err)
	}
	return expandLabel(c.hash, handshake, "s hs traffic", transcriptHash, c.hashSize)
}

// reader makes the keys of a traffic secret (RFC 8446 s.7.3).
func (c suite) reader(traffic []byte) (Reader, error) {
	var r Reader
	key, err := expandLabel(c.hash, traffic, "key", nil, c.keySize)
	if err != nil {
		return r, err
	}
	iv, err := expandLabel(c.hash, traffic, "iv", nil, nonceSize)
	if err != nil {
		return r, err
	}
	copy(r.iv[:], iv)
	if r.aead, err = c.aead(key); err != nil {
		return Reader{}, fmt.Errorf("traffic key: %w", err)
	}
	return r, nil
}

// Ready reports whether the Reader has keys.
func (r *Reader) Ready() bool { return r.aead != nil }

// Open decrypts the next record: fragment as it came, with the version that its header had, which the peer has
// authenticated with it (RFC 8446 s.5.2). The plaintext, which [tlswire.SplitInner] takes apart, is appended to dst;
// fragment is left as it is and must not overlap dst's spare room. The error is [ErrBadRecord], after which the Reader is
// of no more use, or protocol.ErrTooLarge, wrapped.
func (r *Reader) Open(dst []byte, version tlswire.Version, fragment []byte) ([]byte, error) {
	if len(fragment) > tlswire.MaxFragment {
		return dst, fmt.Errorf("tls record: %d bytes, more than %d: %w", len(fragment), tlswire.MaxFragment, protocol.ErrTooLarge)
	}
	r.header[0] = byte(tlswire.RecordApplicationData)
	binary.BigEndian.PutUint16(r.header[1:], uint16(version))
	binary.BigEndian.PutUint16(r.header[3:], uint16(len(fragment)))
	// RFC 8446 s.5.3: the sequence number, padded on the left, xor the IV.
	r.nonce = r.iv
	tail := r.nonce[nonceSize-8:]
	binary.BigEndian.PutUint64(tail, binary.BigEndian.Uint64(tail)^r.sequence)
	r.sequence++
	plaintext, err := r.aead.Open(dst, r.nonce[:], fragment, r.header[:])
	if err != nil {
		return dst, ErrBadRecord
	}
	return plaintext, nil
}

// derivedSecret is Derive-Secret(early secret, "derived", "") where there is no pre-shared key (RFC 8446 s.7.1).
func derivedSecret(newHash func() hash.Hash, size int) []byte {
	early, err := hkdf.Extract(newHash, make([]byte, size), nil)
	if err == nil {
		early, err = expandLabel(newHash, early, "derived", newHash().Sum(nil), size)
	}
	if err != nil {
		panic(fmt.Sprintf("tls13: key schedule of fixed sizes: %v", err))
	}
	return early
}

// expandLabel is HKDF-Expand-Label (RFC 8446 s.7.1).
func expandLabel(newHash func() hash.Hash, secret []byte, label string, context []byte, size int) ([]byte, error) {
	const prefix = "tls13 "
	info := make([]byte, 0, 2+1+len(prefix)+len(label)+1+len(context))
	info = binary.BigEndian.AppendUint16(info, uint16(size))
	info = append(info, byte(len(prefix)+len(label)))
	info = append(append(info, prefix...), label...)
	info = append(append(info, byte(len(context))), context...)
	out, err := hkdf.Expand(newHash, secret, string(info), size)
	if err != nil {
		return nil, fmt.Errorf("expand %q: %w", label, err)
	}
	return out, nil
}
