package tls13

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/rand"
	"fmt"

	"sonde/protocol/tlswire"
)

// KeyPair is our half of a key agreement. It is immutable and may serve any number of connections at once: who reads a
// connection's certificates and leaves has nothing that a later theft of the key could give away.
type KeyPair struct {
	group tlswire.Group
	curve *ecdh.PrivateKey
	kem   decapsulator // nil for a curve alone
	// kemFirst is the order of the two parts, on the wire and in the secret.
	kemFirst bool
	public   []byte
}

// decapsulator is a decapsulation key of ML-KEM (FIPS 203).
type decapsulator interface {
	Decapsulate(ciphertext []byte) (sharedKey []byte, err error)
}

// Agrees reports whether a [KeyPair] can be made for the group: the curves of crypto/ecdh and their hybrids with ML-KEM.
func Agrees(g tlswire.Group) bool {
	curve, _ := parts(g)
	return curve != nil
}

// parts returns a group's curve, nil if the group is not known here, and how its KEM key is made, nil if it has none.
func parts(g tlswire.Group) (ecdh.Curve, func() (decapsulator, []byte, error)) {
	switch g {
	case tlswire.X25519:
		return ecdh.X25519(), nil
	case tlswire.SecP256R1:
		return ecdh.P256(), nil
	case tlswire.SecP384R1:
		return ecdh.P384(), nil
	case tlswire.SecP521R1:
		return ecdh.P521(), nil
	case tlswire.X25519MLKEM768:
		return ecdh.X25519(), newKEM768
	case tlswire.SecP256R1MLKEM768:
		return ecdh.P256(), newKEM768
	case tlswire.SecP384R1MLKEM1024:
		return ecdh.P384(), newKEM1024
	}
	return nil, nil
}

func newKEM768() (decapsulator, []byte, error) {
	key, err := mlkem.GenerateKey768()
	if err != nil {
		return nil, nil, err
	}
	return key, key.EncapsulationKey().Bytes(), nil
}

func newKEM1024() (decapsulator, []byte, error) {
	key, err := mlkem.GenerateKey1024()
	if err != nil {
		return nil, nil, err
	}
	return key, key.EncapsulationKey().Bytes(), nil
}

// NewKeyPair makes a pair for g. An error is a group for which [Agrees] is false.
func NewKeyPair(g tlswire.Group) (*KeyPair, error) {
	curve, newKEM := parts(g)
	if curve == nil {
		return nil, fmt.Errorf("group %v: no key agreement here", g)
	}
	key, err := curve.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("group %v: make a key: %w", g, err)
	}
	p := &KeyPair{group: g, curve: key, public: key.PublicKey().Bytes()}
	if newKEM != nil {
		var kem []byte
		if p.kem, kem, err = newKEM(); err != nil {
			return nil, fmt.Errorf("group %v: make a key: %w", g, err)
		}
		// draft-ietf-tls-ecdhe-mlkem s.4.1: the curve comes first, but for X25519, where it comes last.
		p.kemFirst = g == tlswire.X25519MLKEM768
		p.public = join(p.kemFirst, kem, p.public)
	}
	return p, nil
}

// join puts the parts of a hybrid in their order.
func join(kemFirst bool, kem, curve []byte) []byte {
	if kemFirst {
		return append(kem, curve...)
	}
	return append(curve, kem...)
}

// Share is the key_share entry to send (RFC 8446 s.4.2.8). It is read-only.
func (p *KeyPair) Share() tlswire.KeyShare { return tlswire.KeyShare{Group: p.group, Key: p.public} }

// Agree makes the shared secret with the share that the server sent for the same group (RFC 8446 s.7.4). An error is a
// share that no honest server sends: of the wrong size, not on the curve, or of small order.
func (p *KeyPair) Agree(server []byte) ([]byte, error) {
	_, size, _ := p.group.ShareSizes()
	if len(server) != size {
		return nil, fmt.Errorf("key share for %v: %d bytes, want %d", p.group, len(server), size)
	}
	curveShare, kemShare := server, []byte(nil)
	if p.kem != nil {
		at := len(p.curve.PublicKey().Bytes())
		if p.kemFirst {
			at = len(server) - at
			kemShare, curveShare = server[:at], server[at:]
		} else {
			curveShare, kemShare = server[:at], server[at:]
		}
	}
	peer, err := p.curve.Curve().NewPublicKey(curveShare)
	if err != nil {
		return nil, fmt.Errorf("key share for %v: %w", p.group, err)
	}
	secret, err := p.curve.ECDH(peer)
	if err != nil {
		return nil, fmt.Errorf("key share for %v: %w", p.group, err)
	}
	if p.kem == nil {
		return secret, nil
	}
	kem, err := p.kem.Decapsulate(kemShare)
	if err != nil {
		return nil, fmt.Errorf("key share for %v: %w", p.group, err)
	}
	return join(p.kemFirst, kem, secret), nil
}
