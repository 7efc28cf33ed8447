package secure

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/testcert"
	"sonde/probes"
	"sonde/probes/converse"
	"sonde/protocol"
	"sonde/protocol/tlswire"
	"sonde/target"
)

// upgrading is a conversation with TLS in its middle, over a layer by these options.
func upgrading(t *testing.T, o probes.TLSOptions) protocol.Handshaker {
	t.Helper()
	p, err := converse.New(converse.Options{TLS: layer(t, o).Later, Steps: []converse.Step{
		{Expect: regexp.MustCompile("^220 (.*)"), Send: "STARTTLS ${1}"},
		{Expect: regexp.MustCompile("^250"), StartTLS: true},
		{Send: "within"},
		{Expect: regexp.MustCompile("^heard (.*)"), Labels: []converse.Label{{Name: "word", Value: "$1"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return p.Exchange(here).(protocol.Handshaker)
}

// upgrades is the server's part: it agrees in the clear, makes a handshake and answers one line.
func upgrades(cfg *tls.Config) peer {
	return func(i int, c net.Conn) {
		_, _ = io.WriteString(c, "220 me\r\n")
		line, _ := bufio.NewReader(c).ReadString('\n')
		if line != "STARTTLS me\n" {
			return
		}
		_, _ = io.WriteString(c, "250 go\r\n")
		serves(cfg, func(c *tls.Conn) {
			heard, _ := bufio.NewReader(c).ReadString('\n')
			_, _ = fmt.Fprintf(c, "heard %s\n", bytes.TrimSpace([]byte(heard)))
		})(i, c)
	}
}

// TLS begins where the inner exchange asks for it, and it goes on within.
func TestLater(t *testing.T) {
	for _, v := range versions {
		cfg := only(server(good(t)), v.number)
		got := play(t, upgrading(t, options()), upgrades(cfg), protocol.EndOfStream)
		if got.Verdict != protocol.Success || got.Reason != "" || got.connections != 1 {
			t.Errorf("%s: got verdict %d, %q, %d connections", v.word, got.Verdict, got.Reason, got.connections)
		}
		if got.object["heard"] != "220 me\n250 go\nheard within" || got.object["done"] != 4.0 {
			t.Errorf("%s: got %s", v.word, got.json)
		}
		if members, _ := got.object["tls"].(map[string]any); members["tls_version"] != v.word || members["verified"] != true {
			t.Errorf("%s: got %s", v.word, got.json)
		}
		figures := figuresOf(t, got.Finding)
		if diff := cmp.Diff([]probes.Capture{{Name: "word", Value: "within"}}, figures.Expect); diff != "" {
			t.Errorf("captures, want to got:\n%s", diff)
		}
		if figures.TLS == nil || !figures.TLS.Established || figures.RegexpFailed == nil || *figures.RegexpFailed {
			t.Errorf("%s: got %+v", v.word, figures)
		}
	}
}

// What ends the conversation before TLS is inner's to judge, and what ends the handshake the layer's.
func TestLaterFails(t *testing.T) {
	expired := issue(t, testcert.Leaf{Names: []string{"a.test"}, Validity: testcert.Expired}, "expired")
	agrees := func(then peer) peer {
		return func(i int, c net.Conn) {
			_, _ = io.WriteString(c, "220 me\r\n")
			_, _ = bufio.NewReader(c).ReadString('\n')
			_, _ = io.WriteString(c, "250 go\r\n")
			then(i, c)
		}
	}
	closes := func(int, net.Conn) {}
	refuses := func(_ int, c net.Conn) {
		_, _ = io.WriteString(c, "220 me\r\n")
		_, _ = bufio.NewReader(c).ReadString('\n')
		_, _ = io.WriteString(c, "454 no\r\n")
	}
	for _, tt := range []struct {
		name    string
		peer    peer
		verdict protocol.Verdict
		reason  string
		done    float64
		tls     bool // the facts of TLS are in the finding
		figures bool // and they are figures
		regexp  bool // failed
	}{
		{"closed", closes, protocol.Closed, "step 1 of 4: closed before a line that matches `^220 (.*)`", 0, false, false, true},
		{"not agreed", refuses, protocol.Refused,
			"step 2 of 4: closed before a line that matches `^250`; last came \"454 no\"", 1, false, false, true},
		{"not TLS", agrees(says("250 stop this nonsense\r\n")), protocol.NotSpoken, "not TLS", 2, true, false, false},
		{"closed in the handshake", agrees(says("")), protocol.Closed, "closed before the ServerHello", 2, false, false, false},
		{"alert", agrees(says("\x15\x03\x03\x00\x02\x02\x28")), protocol.HandshakeRefused, "alert handshake_failure", 2, true, false, false},
		{"not to be believed", upgrades(server(expired)), protocol.Untrusted, "expired 1 day ago (1999-12-31)", 2, true, true, false},
		{"closed within", agrees(serves(server(good(t)), func(c *tls.Conn) { c.Close() })), protocol.Closed,
			"step 4 of 4: closed before a line that matches `^heard (.*)`", 3, true, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := play(t, upgrading(t, options()), tt.peer, protocol.EndOfStream)
			if got.Verdict != tt.verdict || got.Reason != tt.reason {
				t.Errorf("got verdict %d, %q, want %d, %q", got.Verdict, got.Reason, tt.verdict, tt.reason)
			}
			if got.object["done"] != tt.done || (got.object["tls"] != nil) != tt.tls {
				t.Errorf("got %s", got.json)
			}
			figures := figuresOf(t, got.Finding)
			if (figures.TLS != nil) != tt.figures || figures.RegexpFailed == nil || *figures.RegexpFailed != tt.regexp {
				t.Errorf("got %+v", figures)
			}
			if figures.TLS != nil && figures.TLS.Established != (tt.verdict != protocol.Untrusted) {
				t.Errorf("got %+v", figures.TLS)
			}
		})
	}
}

// told notes how an inner exchange is told of its end.
type told struct {
	protocol.Exchange
	ends []protocol.End
}

func (e *told) OnEnd(end protocol.End, rest []byte, err error) {
	e.ends = append(e.ends, end)
	e.Exchange.OnEnd(end, rest, err)
}

// An inner exchange that has begun hears that it goes no further, once, whatever the handshake failed of.
func TestLaterIsTold(t *testing.T) {
	expired := issue(t, testcert.Leaf{Names: []string{"a.test"}, Validity: testcert.Expired}, "expired")
	old := only(server(good(t)), tls.VersionTLS10)
	o := options()
	o.MinVersion = tlswire.TLS12
	l := layer(t, o)
	for name, cfg := range map[string]*tls.Config{"not to be believed": server(expired), "no version in common": old} {
		inner := &told{}
		p, err := converse.New(converse.Options{
			TLS: func(t *target.Target, x protocol.Exchange) protocol.Handshaker {
				inner.Exchange = x
				return l.Later(t, inner)
			},
			Steps: []converse.Step{{Expect: regexp.MustCompile("220"), Send: "STARTTLS me"}, {Expect: regexp.MustCompile("250"), StartTLS: true}},
		})
		if err != nil {
			t.Fatal(err)
		}
		got := play(t, p.Exchange(here).(protocol.Handshaker), upgrades(cfg), protocol.EndOfStream)
		if got.Verdict == protocol.Success || !cmp.Equal(inner.ends, []protocol.End{protocol.EndNoConnection}) {
			t.Errorf("%s: got verdict %d, %q, ends %v", name, got.Verdict, got.Reason, inner.ends)
		}
	}
}

// A certificate that is not asked about has no chain that was verified.
func TestFiguresOfInsecure(t *testing.T) {
	for _, insecure := range []bool{false, true} {
		o := options()
		o.Insecure = insecure
		got := play(t, upgrading(t, o), upgrades(server(good(t))), protocol.EndOfStream)
		if f := figuresOf(t, got.Finding).TLS; !f.Established || f.LastChainExpiry.IsZero() != insecure || f.EarliestExpiry.IsZero() {
			t.Errorf("insecure %v: got %+v", insecure, f)
		}
	}
}

// figuresOf are those of a finding.
func figuresOf(t *testing.T, f protocol.Finding) probes.Figures {
	t.Helper()
	measured, ok := f.(probes.Measured)
	if !ok {
		t.Fatalf("%T has no figures", f)
	}
	var out probes.Figures
	measured.Figures(&out)
	if !json.Valid(f.AppendJSON(nil)) {
		t.Error("the finding is no JSON any more")
	}
	return out
}
