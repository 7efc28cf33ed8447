package tlsfacts

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/testcert"
	"sonde/probes"
	"sonde/protocol/tlswire"
)

// figures are those that f and the judgement make.
func figures(f Facts, j Judgement) *probes.TLSFigures {
	var out probes.Figures
	f.Finding(j).Figures(&out)
	return out.TLS
}

func TestFigures(t *testing.T) {
	a := authority(t)
	j, _ := judgeOf(a)
	good := issue(t, a, testcert.Leaf{Names: []string{"a.test", "b.test", "192.0.2.1"}}).Certificate
	fingerprint := func(der []byte) string {
		sum := sha256.Sum256(der)
		return hex.EncodeToString(sum[:])
	}
	leaf, err := x509.ParseCertificate(good[0])
	if err != nil {
		t.Fatal(err)
	}
	want := probes.TLSFigures{
		Established: true, Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256",
		EarliestExpiry: leaf.NotAfter, LastChainExpiry: leaf.NotAfter,
		Fingerprint: fingerprint(good[0]), Subject: "CN=a.test,O=sonde test peers", Issuer: "CN=test intermediate", Names: "a.test,b.test",
		Serial: hex.EncodeToString(leaf.SerialNumber.Bytes()),
	}
	rich := richNames(t)
	facts := Facts{Version: tlswire.TLS13, Cipher: 0x1301, Established: true}
	tests := []struct {
		name   string
		chain  [][]byte
		host   string
		change func(*Facts)
		want   func(*probes.TLSFigures)
	}{
		{"good", good, "a.test", nil, func(*probes.TLSFigures) {}},
		{"not to be believed", good, "x.test", func(f *Facts) { f.Established = false },
			func(w *probes.TLSFigures) { w.Established, w.LastChainExpiry = false, time.Time{} }},
		{"not asked about", good, "a.test", func(f *Facts) { f.Insecure = true },
			func(w *probes.TLSFigures) { w.LastChainExpiry = time.Time{} }},
		{"certificates alone", good, "a.test", func(f *Facts) { f.Version, f.Established = 0, false },
			func(w *probes.TLSFigures) { w.Established, w.Version, w.Cipher = false, "", "" }},
		{"names of all kinds", [][]byte{rich, good[0]}, "", func(f *Facts) { f.Version, f.Cipher = tlswire.TLS12, 0xc02f },
			func(w *probes.TLSFigures) {
				w.Version, w.Cipher = "TLS 1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
				w.LastChainExpiry, w.Fingerprint = time.Time{}, fingerprint(rich)
				w.Subject = `CN=*.rich.test,O=Rich \"&\" Co`
				w.Issuer, w.Names, w.Serial = w.Subject, "*.rich.test", "0102ff"
			}},
		{"unparsable leaf", [][]byte{[]byte("rubbish"), good[0]}, "", nil, func(w *probes.TLSFigures) {
			*w = probes.TLSFigures{Established: true, Version: w.Version, Cipher: w.Cipher, EarliestExpiry: leaf.NotAfter}
		}},
		{"no certificate", nil, "", nil, func(w *probes.TLSFigures) {
			*w = probes.TLSFigures{Established: true, Version: w.Version, Cipher: w.Cipher}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, want := facts, want
			f.Chain = tt.chain
			if tt.change != nil {
				tt.change(&f)
			}
			tt.want(&want)
			if diff := cmp.Diff(&want, figures(f, j.Judge(tt.chain, tt.host))); diff != "" {
				t.Errorf("want to got:\n%s", diff)
			}
			if tt.host == "" { // the names do not depend on the judge
				want.LastChainExpiry = time.Time{}
				if diff := cmp.Diff(&want, figures(f, Judgement{})); diff != "" {
					t.Errorf("without a judge, want to got:\n%s", diff)
				}
			}
		})
	}
	if got := figures(Facts{FirstBytes: []byte("220 hello")}, Judgement{}); got != nil {
		t.Errorf("of a server that speaks no TLS: got %+v", got)
	}
}

// A chain that many servers show is read for one of them.
func TestFiguresAreShared(t *testing.T) {
	a := authority(t)
	j, _ := judgeOf(a)
	chain := issue(t, a, testcert.Leaf{Names: []string{"a.test"}}).Certificate
	f := Facts{Chain: chain, Version: tlswire.TLS13, Cipher: 0x1301}
	one, other := figures(f, j.Judge(chain, "a.test")), figures(f, j.Judge(chain, "b.test"))
	if unsafe.StringData(one.Subject) != unsafe.StringData(other.Subject) {
		t.Error("the certificate was read twice")
	}
}

func TestLastExpiry(t *testing.T) {
	at := func(days ...int) (chain []*x509.Certificate) {
		for _, d := range days {
			chain = append(chain, &x509.Certificate{NotAfter: epoch.AddDate(0, 0, d)})
		}
		return chain
	}
	for _, tt := range []struct {
		name   string
		chains [][]*x509.Certificate
		want   time.Time
	}{
		{"none", nil, time.Time{}},
		{"one", [][]*x509.Certificate{at(90, 30, 900)}, epoch.AddDate(0, 0, 30)},
		{"the chain that lives longest", [][]*x509.Certificate{at(90, 30), at(90, 60), at(90, 10)}, epoch.AddDate(0, 0, 60)},
	} {
		if got := lastExpiry(tt.chains); !got.Equal(tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestHugeLeaf has a certificate say more than is kept of it.
func TestHugeLeaf(t *testing.T) {
	huge := strings.Repeat("x", 2*maxFigure)
	name := pkix.Name{CommonName: huge}
	l := newLeafFigures(&x509.Certificate{
		Subject: name, Issuer: name, DNSNames: []string{"a.test", huge}, SerialNumber: new(big.Int).Lsh(big.NewInt(1), 8*2*maxFigure),
	}, digest{})
	for what, text := range map[string]string{"subject": l.subject, "issuer": l.issuer, "names": l.names, "serial number": l.serial} {
		if len(text) != maxFigure || !strings.HasSuffix(text, "...") {
			t.Errorf("%s: %d bytes are kept, want %d with dots", what, len(text), maxFigure)
		}
	}
}
