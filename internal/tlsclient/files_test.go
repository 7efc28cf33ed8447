package tlsclient

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sonde/internal/testcert"

	"github.com/google/go-cmp/cmp"
)

// file writes a file of its own.
func file(t *testing.T, content []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func keyPEM(t *testing.T, c tls.Certificate) []byte {
	t.Helper()
	p, err := testcert.KeyPEM(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// complaint checks that an error names the file and what is wrong.
func complaint(t *testing.T, err error, name, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
		t.Errorf("got %v, want %s and %q in it", err, name, want)
	}
}

func TestLoadRoots(t *testing.T) {
	a, b := authority(t), authority(t)
	leaf := issue(t, b, testcert.Leaf{Names: []string{"a.test"}})
	for _, content := range [][]byte{append(a.PEM(), b.PEM()...), append(keyPEM(t, leaf), b.PEM()...), b.Root().Raw} {
		pool, err := LoadRoots(file(t, content))
		if err != nil {
			t.Fatal(err)
		}
		chain := []*x509.Certificate{leaf.Leaf, parse(t, leaf.Certificate[1])}
		if _, err := Verify(chain, VerifyOptions{Roots: pool, Name: "a.test", Time: epoch}); err != nil {
			t.Error(err)
		}
	}
	broken := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("no")})
	for _, tt := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"empty", []byte(" \n"), "empty"},
		{"key alone", keyPEM(t, leaf), "no certificate in it, but PRIVATE KEY"},
		{"text", []byte("hello"), "BEGIN CERTIFICATE"},
		{"second is broken", append(a.PEM(), broken...), "certificate 2: x509"},
		{"far too large", make([]byte, maxFile+1), "more than 16 MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := file(t, tt.content)
			pool, err := LoadRoots(name)
			if pool != nil {
				t.Error("got a pool")
			}
			complaint(t, err, name, tt.want)
		})
	}
	missing := filepath.Join(t.TempDir(), "missing.pem")
	_, err := LoadRoots(missing)
	complaint(t, err, missing, "no such file")
}

func parse(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLoadCertificate(t *testing.T) {
	a := authority(t)
	c := issue(t, a, testcert.Leaf{Names: []string{"client"}, Client: true})
	certs, key := testcert.CertificatePEM(c.Certificate...), keyPEM(t, c)
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	rsaLeaf := issue(t, a, testcert.Leaf{Names: []string{"client"}, Key: testcert.RSA1024})
	other := issue(t, a, testcert.Leaf{Names: []string{"other"}})

	for _, files := range [][2][]byte{{certs, key}, {append(bytes.Clone(key), certs...), nil}, {certs, append(bytes.Clone(certs), key...)}} {
		second := ""
		if files[1] != nil {
			second = file(t, files[1])
		}
		got, err := LoadCertificate(file(t, files[0]), second)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.Certificate, got.Certificate); diff != "" || !got.Leaf.Equal(c.Leaf) || got.PrivateKey == nil {
			t.Errorf("want to got:\n%s", diff)
		}
	}
	old := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte{1}})
	for _, tt := range []struct {
		name      string
		cert, key []byte
		want      string
		inCert    bool // the error is about the certificate's file
	}{
		{"other key", certs, keyPEM(t, other), "not that of the first certificate", false},
		{"other kind of key", certs, keyPEM(t, rsaLeaf), "not that of the first certificate", false},
		{"authority first", testcert.CertificatePEM(c.Certificate[1], c.Certificate[0]), key, "not that of the first certificate", false},
		{"swapped", key, certs, "no certificate in it, but PRIVATE KEY", true},
		{"certificate as key", certs, certs, "no private key in it, but CERTIFICATE", false},
		{"encrypted", certs, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der}), "openssl pkey", false},
		{"encrypted in the old way", certs, old, "is encrypted", false},
		{"broken key", certs, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der[:20]}), "private key:", false},
		{"SSH key", certs, pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: der}), "OPENSSH PRIVATE KEY", false},
		{"empty key", certs, nil, "empty", false},
		{"empty certificate", nil, key, "empty", true},
		{"DER key", certs, der, "BEGIN PRIVATE KEY", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cert, key := file(t, tt.cert), file(t, tt.key)
			_, err := LoadCertificate(cert, key)
			if tt.inCert {
				key = cert
			}
			complaint(t, err, key, tt.want)
		})
	}
}

// TestLoadCertificatePipe: what a shell gives for <(command) can be read but once.
func TestLoadCertificatePipe(t *testing.T) {
	c := issue(t, authority(t), testcert.Leaf{Names: []string{"client"}, Client: true})
	certs, key := testcert.CertificatePEM(c.Certificate...), keyPEM(t, c)
	for _, tt := range []struct {
		name    string
		content []byte
		want    error
	}{
		{"both", append(bytes.Clone(certs), key...), nil},
		{"no key", certs, ErrNoKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if _, err := w.Write(tt.content); err != nil { // less than a pipe holds
				t.Fatal(err)
			}
			w.Close()
			if _, err := LoadCertificate(fmt.Sprintf("/dev/fd/%d", r.Fd()), ""); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestLoadECH(t *testing.T) {
	list, _ := echConfig(t, "outer.test")
	second, _ := echConfig(t, "outer.test")
	unknown := append([]byte{0, 8, 0xfe, 0x0a, 0, 4}, 1, 2, 3, 4) // a draft's version
	block := pem.EncodeToMemory(&pem.Block{Type: "ECHCONFIG", Bytes: list})
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}})
	for name, content := range map[string][]byte{
		"binary":               list,
		"base64":               []byte(base64.StdEncoding.EncodeToString(list)),
		"base64 in lines":      []byte("\n" + strings.Join(strings.SplitAfterN(base64.StdEncoding.EncodeToString(list), "A", 3), "\n") + "\n"),
		"PEM":                  block,
		"PEM behind a key":     append(key, block...),
		"PEM, the second left": append(bytes.Clone(block), pem.EncodeToMemory(&pem.Block{Type: "ECHCONFIG", Bytes: second})...),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := LoadECH(file(t, content))
			if diff := cmp.Diff(list, got); diff != "" || err != nil {
				t.Errorf("%v, want to got:\n%s", err, diff)
			}
		})
	}
	for name, tt := range map[string]struct {
		content []byte
		want    string
	}{
		"empty file":      {nil, "empty"},
		"key alone":       {key, "BEGIN ECHCONFIG"},
		"empty list":      {[]byte{0, 0}, "List is empty"},
		"text":            {[]byte("h e l l o !"), "length does not fit"},
		"cut":             {list[:len(list)-1], "length does not fit"},
		"cut within":      {append([]byte{0, 5}, list[2:7]...), "cut off"},
		"unknown version": {unknown, "no ECH configuration that we can use"},
	} {
		t.Run(name, func(t *testing.T) {
			name := file(t, tt.content)
			_, err := LoadECH(name)
			complaint(t, err, name, tt.want)
		})
	}
}
