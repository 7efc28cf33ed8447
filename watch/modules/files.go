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

	"sonde/internal/kernel/regular"
	"sonde/internal/tlsclient"
)

// maxFile is how long a file of a certificate, a password, a token or a body may be, in bytes.
const maxFile = 1 << 20

// files reads what a module names, and hashes it all.
type files struct{ hash hash.Hash }

func newFiles(fingerprint uint64, hostname string) *files {
	f := &files{sha256.New()}
	f.add(binary.BigEndian.AppendUint64(nil, fingerprint))
	f.add([]byte(hostname))
	return f
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
	data, err := f.load(name)
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
	pool, err := tlsclient.Files(f.load).Roots(name)
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
	c, err := tlsclient.Files(f.load).Certificate(cert, key)
	if err != nil {
		return nil, fmt.Errorf("cert_file, key_file: %w", err)
	}
	return []tls.Certificate{c}, nil
}
