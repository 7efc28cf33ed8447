package testcert

import (
	"crypto"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"math/big"
	"time"
)

// Staple is what an OCSP response says of its certificate.
type Staple uint8

// The staples.
const (
	NoStaple Staple = iota
	StapleGood
	StapleRevoked
	StapleUnknown
	StapleTryLater // an error in place of an answer: tryLater, RFC 6960 s.2.3
)

// ocspLife is how long a response is good for after now. It was made an hour before.
const ocspLife = 7 * day

// The ASN.1 of an OCSP response, RFC 6960 s.4.2.1.
type (
	ocspResponse struct {
		Status asn1.Enumerated
		Bytes  ocspBytes `asn1:"explicit,tag:0,optional"`
	}
	ocspBytes struct {
		Type     asn1.ObjectIdentifier
		Response []byte
	}
	basicResponse struct {
		Data      asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	responseData struct {
		KeyHash    []byte    `asn1:"explicit,tag:2"` // ResponderID, byKey
		ProducedAt time.Time `asn1:"generalized"`
		Responses  []singleResponse
	}
	singleResponse struct {
		ID         certID
		Status     asn1.RawValue
		ThisUpdate time.Time `asn1:"generalized"`
		NextUpdate time.Time `asn1:"generalized,explicit,tag:0"`
	}
	certID struct {
		Hash     pkix.AlgorithmIdentifier
		NameHash []byte
		KeyHash  []byte
		Serial   *big.Int
	}
	revokedInfo struct {
		At time.Time `asn1:"generalized"`
	}
)

const (
	ocspSuccessful = 0 // OCSPResponseStatus, RFC 6960 s.4.2.1
	ocspTryLater   = 3
)

// ocspResponse makes a response of the intermediate's about leaf.
func (a *Authority) ocspResponse(leaf *x509.Certificate, s Staple) ([]byte, error) {
	if s == StapleTryLater {
		return asn1.Marshal(struct{ Status asn1.Enumerated }{ocspTryLater})
	}
	status, err := a.certStatus(s)
	if err != nil {
		return nil, err
	}
	issuer := a.intermediate
	keyHash, err := publicKeyHash(issuer.cert)
	if err != nil {
		return nil, err
	}
	nameHash := sha1.Sum(issuer.cert.RawSubject)
	made := a.now.Add(-time.Hour)
	data, err := asn1.Marshal(responseData{
		KeyHash:    keyHash,
		ProducedAt: made,
		Responses: []singleResponse{{
			// RFC 6960 s.4.3 has clients and servers agree on SHA-1 here; it only names the issuer.
			ID: certID{pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, Parameters: asn1.NullRawValue},
				nameHash[:], keyHash, leaf.SerialNumber},
			Status:     status,
			ThisUpdate: made,
			NextUpdate: a.now.Add(ocspLife),
		}},
	})
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(data)
	signature, err := issuer.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	basic, err := asn1.Marshal(basicResponse{
		Data:      asn1.RawValue{FullBytes: data},
		Algorithm: pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}, // ecdsa-with-SHA256, RFC 5758 s.3.2
		Signature: asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
	})
	if err != nil {
		return nil, err
	}
	// id-pkix-ocsp-basic, RFC 6960 s.4.2.1.
	return asn1.Marshal(ocspResponse{ocspSuccessful, ocspBytes{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}, basic}})
}

// certStatus is the CertStatus of RFC 6960 s.4.2.1: a choice by its tag.
func (a *Authority) certStatus(s Staple) (asn1.RawValue, error) {
	v := asn1.RawValue{Class: asn1.ClassContextSpecific}
	switch s {
	case StapleGood:
		v.Tag = 0
	case StapleRevoked:
		der, err := asn1.MarshalWithParams(revokedInfo{a.now.Add(-2 * time.Hour)}, "tag:1")
		return asn1.RawValue{FullBytes: der}, err
	case StapleUnknown:
		v.Tag = 2
	default:
		return v, fmt.Errorf("no staple %d", s)
	}
	return v, nil
}

// publicKeyHash is the SHA-1 of the key's bits alone, without tag and length (RFC 6960 s.4.1.1, issuerKeyHash).
func publicKeyHash(c *x509.Certificate) ([]byte, error) {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &info); err != nil {
		return nil, err
	}
	h := sha1.Sum(info.Key.Bytes)
	return h[:], nil
}

// timestamp makes a SignedCertificateTimestamp over leaf (RFC 6962 s.3.2). Its log is listed nowhere.
func (a *Authority) timestamp(leaf *x509.Certificate) ([]byte, error) {
	logKey, err := x509.MarshalPKIXPublicKey(a.log.key.Public())
	if err != nil {
		return nil, err
	}
	millis := binary.BigEndian.AppendUint64(nil, uint64(a.now.Add(-time.Hour).UnixMilli()))
	// What is signed: version v1, certificate_timestamp, the time, x509_entry, the certificate, no extensions.
	signed := append([]byte{0, 0}, millis...)
	signed = append(signed, 0, 0, byte(len(leaf.Raw)>>16), byte(len(leaf.Raw)>>8), byte(len(leaf.Raw)))
	signed = append(append(signed, leaf.Raw...), 0, 0)
	digest := sha256.Sum256(signed)
	signature, err := a.log.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(logKey)
	sct := append([]byte{0}, id[:]...) // v1
	sct = append(append(sct, millis...), 0, 0)
	sct = append(sct, 4, 3) // sha256, ecdsa: RFC 5246 s.7.4.1.4.1
	sct = binary.BigEndian.AppendUint16(sct, uint16(len(signature)))
	return append(sct, signature...), nil
}
