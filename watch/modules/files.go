package modules

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"maps"

	"sonde/internal/kernel/regular"
	"sonde/internal/tlsclient"
)

// maxFile is how long a file of a certificate, a password, a token or a body may be, in bytes.
const maxFile = 1 << 20

// files reads what a module names, once, and hashes it all.
type files struct {
	hash  hash.Hash
	texts map[string][]byte
	pools map[string]*x509.CertPool
	certs map[[2]string]tls.Certificate
}

func newFiles(fingerprint uint64) *files {
	f := &files{
		hash: sha256.New(), texts: make(map[string][]byte), pools: make(map[string]*x509.CertPool), certs: make(map[[2]string]tls.Certificate),
	}
	f.add(binary.BigEndian.AppendUint64(nil, fingerprint))
	return f
}

// by are the files of a module that is compiled again, for a host: what was read is not read again. Safe for concurrent use.
func (f *files) by(hostname string) *files {
	again := &files{hash: sha256.New(), texts: maps.Clone(f.texts), pools: maps.Clone(f.pools), certs: maps.Clone(f.certs)}
	again.add(f.hash.Sum(nil))
	again.add([]byte(hostname))
	return again
}

// once returns what is known by a key, which load finds out if it is not.
func once[K comparable, V any](known map[K]V, key K, load func() (V, error)) (V, error) {
	if v, ok := known[key]; ok {
		return v, nil
	}
	v, err := load()
	if err == nil {
		known[key] = v
	}
	return v, err
}

func (f *files) add(b []byte) {
	f.hash.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
	f.hash.Write(b)
}

func (f *files) sum() uint64 { return binary.BigEndian.Uint64(f.hash.Sum(nil)) }

// load reads a file.
func (f *files) load(name string) ([]byte, error) {
	file, err := regular.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxFile:
		return nil, fmt.Errorf("%s: more than %d MiB", name, maxFile>>20)
	}
	f.add(data)
	return data, nil
}

// read reads a file of a body. key names it in errors.
func (f *files) read(key, name string) ([]byte, error) {
	data, err := once(f.texts, name, func() ([]byte, error) { return f.load(name) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return data, nil
}

// secret is the text, or what the file of that name holds without the white space around it.
func (f *files) secret(key, text, name string) (string, error) {
	if name == "" {
		return text, nil
	}
	data, err := f.read(key, name)
	return string(bytes.TrimSpace(data)), err
}

// roots reads the authorities to trust; nil without a file: the system's.
func (f *files) roots(name string) (*x509.CertPool, error) {
	if name == "" {
		return nil, nil
	}
	pool, err := once(f.pools, name, func() (*x509.CertPool, error) { return tlsclient.Files(f.load).Roots(name) })
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	return pool, nil
}

// certificate reads the client's own; none without a file.
func (f *files) certificate(cert, key string) ([]tls.Certificate, error) {
	if cert == "" {
		return nil, nil
	}
	c, err := once(f.certs, [2]string{cert, key}, func() (tls.Certificate, error) { return tlsclient.Files(f.load).Certificate(cert, key) })
	if err != nil {
		return nil, fmt.Errorf("cert_file, key_file: %w", err)
	}
	return []tls.Certificate{c}, nil
}
