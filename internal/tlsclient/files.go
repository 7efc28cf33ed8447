package tlsclient

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxFile is the most that a file of certificates or keys may have, in bytes: the bundles of whole systems are below 1 MiB,
// and a device that never ends is told apart from them.
const maxFile = 16 << 20

// LoadRoots reads the authorities to trust, certificates in PEM or one in DER. An error names the file, what is wrong with
// it and how to mend it; every certificate in it must parse.
func LoadRoots(file string) (*x509.CertPool, error) { return Files(readFile).Roots(file) }

// Files says how files are read, for who takes not all that can be opened, or looks at what was read himself. Errors name the file.
type Files func(file string) ([]byte, error)

// Roots is [LoadRoots].
func (read Files) Roots(file string) (*x509.CertPool, error) {
	data, err := read.some(file)
	if err != nil {
		return nil, err
	}
	certs, err := certificates(file, data)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool, nil
}

// ErrNoKey says that no private key is in a file that should have one.
var ErrNoKey = errors.New("no private key in it")

// KeyError is an error about the file of a private key that has a file of its own.
type KeyError struct{ Err error }

// Error implements error.
func (e *KeyError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *KeyError) Unwrap() error { return e.Err }

// LoadCertificate reads a client's certificate, leaf first and in PEM, and its private key, in PEM too: PKCS #8, PKCS #1 or
// SEC 1, not encrypted. An empty key says that it is in the certificate's file, which is read once and may be a pipe. An
// error names the file, what is wrong with it and how to mend it; it is [ErrNoKey] if there is no key where one should be, and a
// [*KeyError] if the file of the key is at fault, one of its own. Whether the certificate has expired is for the server to say.
func LoadCertificate(cert, key string) (tls.Certificate, error) {
	return Files(readFile).Certificate(cert, key)
}

// Certificate is [LoadCertificate].
func (read Files) Certificate(cert, key string) (tls.Certificate, error) {
	data, err := read.some(cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	if key == "" && !bytes.Contains(data, []byte("PRIVATE KEY-----")) {
		return tls.Certificate{}, fmt.Errorf("%s: %w", cert, ErrNoKey) // what is needed first, whatever else is wrong
	}
	chain, err := certificates(cert, data)
	if err != nil {
		return tls.Certificate{}, err
	}
	private, err := read.keyOf(chain[0], cert, data, key)
	if err != nil {
		if key != "" {
			err = &KeyError{err}
		}
		return tls.Certificate{}, err
	}
	c := tls.Certificate{PrivateKey: private, Leaf: chain[0]}
	for _, p := range chain {
		c.Certificate = append(c.Certificate, p.Raw)
	}
	return c, nil
}

// keyOf reads the key of leaf, which is from the file cert: from the file key, or from data, that of cert, if key is empty.
func (read Files) keyOf(leaf *x509.Certificate, cert string, data []byte, key string) (crypto.Signer, error) {
	file := key
	if key == "" {
		file = cert
	} else {
		var err error
		if data, err = read.some(key); err != nil {
			return nil, err
		}
	}
	private, err := privateKey(file, data)
	if err != nil {
		return nil, err
	}
	public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(private.Public()) {
		return nil, fmt.Errorf(
			"%s: the key is not that of the first certificate in %s, %q; that must be the client's own, its authorities after it",
			file, cert, leaf.Subject)
	}
	return private, nil
}

// LoadECH reads an ECHConfigList (RFC 9849 s.4): as a PEM block "ECHCONFIG" (RFC 9934 s.3), in base64 as DNS has it
// (RFC 9460), or in binary. An error names the file and what is wrong with it, also when crypto/tls can use none of the
// configurations.
func LoadECH(file string) ([]byte, error) {
	data, err := Files(readFile).some(file)
	if err != nil {
		return nil, err
	}
	list, err := echList(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if _, err := (Offer{ServerName: "name.invalid", ECH: list}).Config(); err != nil {
		return nil, fmt.Errorf("%s: no ECH configuration that we can use: %w", file, err)
	}
	return list, nil
}

// readFile reads a whole file, or all that comes from a pipe.
func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err // names the file
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxFile:
		return nil, fmt.Errorf("%s: more than %d MiB, this is no file of certificates or keys", file, maxFile>>20)
	}
	return data, nil
}

// some reads a file in which there is something.
func (read Files) some(file string) ([]byte, error) {
	data, err := read(file)
	if err == nil && len(bytes.TrimSpace(data)) == 0 {
		err = fmt.Errorf("%s: the file is empty", file)
	}
	return data, err
}

// certificates parses what is in a file: PEM blocks (RFC 7468 s.5), of which others than certificates are passed over, or
// one certificate in DER. It returns at least one.
func certificates(file string, data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	var other []string
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			other = append(other, block.Type)
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d: %w", file, len(certs)+1, err)
		}
		certs = append(certs, c)
	}
	if len(certs) > 0 {
		return certs, nil
	}
	if len(other) > 0 {
		return nil, fmt.Errorf("%s: no certificate in it, but %s; give the file that has \"BEGIN CERTIFICATE\"", file, strings.Join(other, ", "))
	}
	c, err := x509.ParseCertificate(data)
	if err != nil {
		return nil, fmt.Errorf("%s: no certificate in it; give one in PEM, which has \"BEGIN CERTIFICATE\"", file)
	}
	return []*x509.Certificate{c}, nil
}

// privateKey finds the first private key in a file.
func privateKey(file string, data []byte) (crypto.Signer, error) {
	var other []string
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		// RFC 7468 s.11; RFC 1421 s.4.6.1.1 for the older form.
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, fmt.Errorf("%s: the key is encrypted; decrypt it: openssl pkey -in %s -out plain.pem", file, file)
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			other = append(other, block.Type)
			continue
		}
		key, err := parseKey(block)
		if err != nil {
			return nil, fmt.Errorf("%s: private key: %w", file, err)
		}
		return key, nil
	}
	if len(other) > 0 {
		return nil, fmt.Errorf("%s: %w, but %s; give the file that has \"BEGIN PRIVATE KEY\"", file, ErrNoKey, strings.Join(other, ", "))
	}
	return nil, fmt.Errorf("%s: %w; give one in PEM, which has \"BEGIN PRIVATE KEY\"", file, ErrNoKey)
}

// parseKey parses a key by the name of its block: PKCS #1 (RFC 8017 s.A.1.2), SEC 1 (RFC 5915 s.4) or PKCS #8 (RFC 5958).
func parseKey(block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("%q is not a kind that TLS uses here", block.Type)
	}
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the key can't sign")
	}
	return signer, nil
}

// echList finds the ECHConfigList in a file and checks its frame: a length of two bytes, then configurations that each
// have a version and a length (RFC 9849 s.4).
func echList(data []byte) ([]byte, error) {
	list, err := decodeECH(data)
	if err != nil {
		return nil, err
	}
	if len(list) < 2 || int(binary.BigEndian.Uint16(list)) != len(list)-2 {
		return nil, errors.New("not an ECHConfigList: its length does not fit")
	}
	if len(list) == 2 {
		return nil, errors.New("the ECHConfigList is empty")
	}
	const head = 4 // version and length
	for rest := list[2:]; len(rest) > 0; {
		if len(rest) < head || head+int(binary.BigEndian.Uint16(rest[2:])) > len(rest) {
			return nil, errors.New("not an ECHConfigList: a configuration in it is cut off")
		}
		rest = rest[head+int(binary.BigEndian.Uint16(rest[2:])):]
	}
	return list, nil
}

// decodeECH undoes PEM or base64.
func decodeECH(data []byte) ([]byte, error) {
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "ECHCONFIG" {
			return block.Bytes, nil
		}
	}
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		return nil, errors.New("no ECH configuration in it; its block begins with \"BEGIN ECHCONFIG\"")
	}
	text := string(bytes.Join(bytes.Fields(data), nil))
	if list, err := base64.StdEncoding.DecodeString(text); err == nil {
		return list, nil
	}
	return data, nil
}
