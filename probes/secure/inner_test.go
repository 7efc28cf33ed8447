package secure

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"sonde/probes"
	"sonde/probes/starttls"
	"sonde/protocol"
	"sonde/protocol/line"
	"sonde/target"
)

// ask is a probe as simple as can be: it says "ask" and wants a line; an empty one is awaited for quiet.
type ask struct {
	quiet time.Duration
	nil   bool
}

func (ask) About() probes.About {
	return probes.About{Name: "ask", Port: 7, ALPN: []string{"ask/1"}, Reports: []probes.Field{{Name: "answer", Type: "string"}}}
}

func (a ask) Exchange(*target.Target) protocol.Exchange {
	if a.nil {
		return nil
	}
	return newAsking(a.quiet)
}

type asking struct {
	parser *line.Parser
	quiet  time.Duration
	heard  string
	ended  []protocol.End
	err    error
}

func newAsking(quiet time.Duration) *asking {
	return &asking{parser: line.New(line.Options{Max: 100}), quiet: quiet}
}

func (a *asking) Begin() protocol.Step {
	return protocol.Step{Send: [][]byte{[]byte("ask\n")}, Quiet: a.quiet}
}
func (a *asking) Parser() protocol.FrameParser { return a.parser }
func (a *asking) OnFrame(f protocol.Frame) protocol.Step {
	a.heard += string(f.Data)
	if a.heard == "" {
		return protocol.Step{Quiet: a.quiet}
	}
	if strings.HasPrefix(a.heard, "more") {
		return protocol.Step{}
	}
	return protocol.Step{Then: protocol.Done}
}
func (a *asking) OnEnd(end protocol.End, _ []byte, err error) {
	a.ended, a.err = append(a.ended, end), err
}
func (a *asking) Conclusion() protocol.Conclusion {
	c := protocol.Conclusion{Finding: answer(a.heard)}
	if len(a.ended) > 0 {
		c.Verdict, c.Reason = protocol.Refused, fmt.Sprintf("ended %v: %v", a.ended, a.err)
	}
	if a.heard == "nothing" {
		c.Finding = nil
	}
	return c
}

type answer string

func (a answer) AppendJSON(dst []byte) []byte {
	if a == "empty" || a == "" {
		return append(dst, "{}"...)
	}
	return fmt.Appendf(dst, `{"answer":%q}`, string(a))
}
func (a answer) Brief() string { return string(a) }

// answers is a server's part that hears a line and says so.
func answers(what string) func(*tls.Conn) {
	return func(c *tls.Conn) {
		if heard, _ := bufio.NewReader(c).ReadString('\n'); heard == "ask\n" {
			_, _ = io.WriteString(c, what+"\n")
		}
	}
}

func TestInner(t *testing.T) {
	l := layer(t, options())
	p := l.Under(ask{})
	cfg := server(good(t))
	cfg.NextProtos = []string{"ask/1"}
	cfg.SessionTicketsDisabled = true
	for what, json := range map[string]string{"well": `{"answer":"well","tls":{`, "empty": `{"tls":{`, "nothing": `{"tls":{`} {
		got := play(t, p.Exchange(here).(protocol.Handshaker), serves(cfg, answers(what)), protocol.EndOfStream)
		if got.Verdict != protocol.Success || !strings.HasPrefix(got.json, json) {
			t.Errorf("%s: got verdict %d, %q, finding %s", what, got.Verdict, got.Reason, got.json)
		}
		members, _ := got.object["tls"].(map[string]any)
		if members["alpn"] != "ask/1" || members["verified"] != true || members["tls_version"] != "tls13" {
			t.Errorf("%s: got %v", what, members)
		}
		if brief := got.Finding.Brief(); what == "well" && brief != "well, tls13 89 days a.test AES_128_GCM_SHA256 x25519" {
			t.Errorf("brief: got %q", brief)
		}
	}
}

// Behind a probe that says nothing there is nothing but TLS.
func TestUnderNothing(t *testing.T) {
	p := layer(t, options()).Under(ask{nil: true})
	got := play(t, p.Exchange(here).(protocol.Handshaker), serves(server(good(t)), nil), protocol.EndOfStream)
	if got.Verdict != protocol.Success || !strings.HasPrefix(got.json, `{"tls":{`) {
		t.Errorf("got verdict %d, %q, finding %s", got.Verdict, got.Reason, got.json)
	}
}

// A probe is not begun with a server that is not believed, or that does not get that far.
func TestInnerIsNotBegun(t *testing.T) {
	elsewhere := &target.Target{Addr: here.Addr, Port: 443, Domain: "b.test"}
	got := play(t, layer(t, options()).Under(ask{}).Exchange(elsewhere).(protocol.Handshaker), serves(server(good(t)), func(c *tls.Conn) {
		if n, _ := c.Read(make([]byte, 10)); n > 0 {
			t.Error("the probe spoke")
		}
	}), protocol.EndOfStream)
	if got.Verdict != protocol.Untrusted || !strings.HasPrefix(got.json, `{"tls":{`) {
		t.Errorf("got verdict %d, %q, finding %s", got.Verdict, got.Reason, got.json)
	}
}

// The ends of a connection behind the handshake are the probe's, but for an alert.
func TestEndsBehindTheHandshake(t *testing.T) {
	required := func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }
	tests := []struct {
		name    string
		change  func(*tls.Config)
		rest    func(*tls.Conn)
		verdict protocol.Verdict
		reason  string
		json    string
	}{
		{"close_notify", nil, func(c *tls.Conn) { c.Close() }, protocol.Refused, "ended [0]: <nil>", `{"tls":`},
		{"FIN after data", nil, func(c *tls.Conn) { answers("more")(c); c.NetConn().Close() }, protocol.Refused, "ended [0]: <nil>", `{"answer":"more","tls":`},
		{"alert for the handshake", required, nil, protocol.HandshakeRefused, "alert certificate_required", `{"tls":`},
		{"garbage", nil, func(c *tls.Conn) {
			_, _ = c.Read(make([]byte, 10))
			_, _ = c.NetConn().Write([]byte("\x17\x03\x03\x00\x20" + strings.Repeat("x", 32)))
		}, protocol.Refused, "ended [4]: TLS behind the handshake: ", `{"tls":`},
		{"not TLS any more", nil, func(c *tls.Conn) {
			_, _ = c.Read(make([]byte, 10))
			_, _ = io.WriteString(c.NetConn(), "HTTP/1.1 400 Bad Request\r\n")
		}, protocol.Refused, "ended [4]: TLS behind the handshake: ", `{"tls":`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := only(server(good(t)), tls.VersionTLS13)
			if tt.change != nil {
				tt.change(cfg)
			}
			got := play(t, layer(t, options()).Under(ask{}).Exchange(here).(protocol.Handshaker), serves(cfg, tt.rest), protocol.EndOfStream)
			if got.Verdict != tt.verdict || !strings.HasPrefix(got.Reason, tt.reason) || !strings.HasPrefix(got.json, tt.json) {
				t.Errorf("got verdict %d, %q, %s", got.Verdict, got.Reason, got.json)
			}
		})
	}
}

// alertError is what crypto/tls says of an alert, which a server in Go can't be made to send behind data.
func alertError(t *testing.T) error {
	t.Helper()
	cfg := only(server(good(t)), tls.VersionTLS12)
	cfg.NextProtos = []string{"h2"}
	var err error
	got := play(t, &spy{layer(t, options()).Exchange(here, nil, []string{"x"}, true), &err}, serves(cfg, nil), protocol.EndOfStream)
	if got.Verdict != protocol.HandshakeRefused || err == nil {
		t.Fatal(got.Reason, err)
	}
	return err
}

// spy notes why a handshake failed.
type spy struct {
	protocol.Handshaker
	err *error
}

func (s *spy) OnHandshake(h *protocol.Handshake) bool {
	*s.err = h.Err
	return s.Handshaker.OnHandshake(h)
}

// An alert behind data ends a conversation, and judges no handshake.
func TestAlertBehindData(t *testing.T) {
	alert := alertError(t)
	a := newAsking(0)
	e := layer(t, options()).Exchange(here, a, nil, false).(*exchange)
	e.phase, e.heard = secured, true
	e.Begin()
	e.OnFrame(protocol.Frame{Data: []byte("more")})
	e.OnEnd(protocol.EndMalformed, nil, alert)
	c := e.Conclusion()
	if c.Verdict != protocol.Closed || c.Reason != "closed by alert no_application_protocol" {
		t.Errorf("got verdict %d, %q", c.Verdict, c.Reason)
	}
	if len(a.ended) != 1 || a.ended[0] != protocol.EndReset || a.err != nil {
		t.Errorf("the probe was told %v, %v", a.ended, a.err)
	}
	if got := string(c.Finding.AppendJSON(nil)); !strings.HasPrefix(got, `{"answer":"more","tls":`) {
		t.Errorf("got %s", got)
	}
}

// What a parser says of the plaintext is the probe's business as it is.
func TestMalformedPlaintext(t *testing.T) {
	a := newAsking(0)
	e := layer(t, options()).Exchange(here, a, nil, false).(*exchange)
	e.phase = secured
	e.Begin()
	want := fmt.Errorf("wrapped: %w", &protocol.MalformedError{Format: "line"})
	e.OnEnd(protocol.EndMalformed, nil, want)
	if !errors.Is(a.err, want) || e.Conclusion().Verdict != protocol.Refused {
		t.Errorf("the probe was told %v", a.err)
	}
}

// A ticket that the probe never hears of does not end its quiet time, nor start one that it did not want.
func TestControlKeepsQuiet(t *testing.T) {
	for _, quiet := range []time.Duration{0, time.Second} {
		e := layer(t, options()).Exchange(here, newAsking(quiet), nil, false)
		if got := e.Begin().Quiet; got != quiet {
			t.Fatalf("Begin: got %v", got)
		}
		if s := e.OnControl(); s.Quiet != quiet || s.Then != protocol.Read {
			t.Errorf("OnControl: got %+v, want quiet %v", s, quiet)
		}
	}
}

// Targets of one layer, at the same time: each server sees its own target's name, and each result is of its own.
func TestNamesAreNotShared(t *testing.T) {
	cert := good(t)
	o := options()
	o.Insecure, o.SessionReuse = true, true
	l := layer(t, o)
	var done sync.WaitGroup
	for worker := range 8 {
		done.Go(func() {
			for i := range 20 {
				name := fmt.Sprintf("t%d-%d.test", worker, i)
				want := name
				to := &target.Target{Addr: netip.MustParseAddr("192.0.2.1"), Domain: name}
				if i%5 == 4 {
					to.Domain, want = "", ""
				}
				var seen []string
				cfg := server(cert)
				cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
					seen = append(seen, h.ServerName)
					return nil, nil
				}
				t.Run("", func(t *testing.T) {
					got := play(t, l.Exchange(to, nil, nil, true), serves(cfg, nil), protocol.EndOfStream)
					sni, _ := got.object["sni"].(string)
					if len(seen) != 2 || seen[0] != want || seen[1] != want || sni != want {
						t.Errorf("server saw %q, record has %q, want %q", seen, sni, want)
					}
				})
			}
		})
	}
	done.Wait()
}

// STARTTLS comes first where it is asked for: the protocol's own words, in the clear.
func TestUnderStartTLS(t *testing.T) {
	o := options()
	o.StartTLS = probes.StartTLSAuto
	l := layer(t, o)
	open := func(name string, port uint16) protocol.Handshaker {
		p := l.Under(named{name: name})
		return p.Exchange(&target.Target{Addr: here.Addr, Port: port, Domain: "a.test"}).(protocol.Handshaker)
	}
	for _, tt := range []struct {
		name string
		port uint16
		want protocol.Security
	}{
		{"smtp", 9999, protocol.TLSLater}, {"banner", 143, protocol.TLSLater}, {"banner", 9999, protocol.TLSNow},
	} {
		if got, _ := open(tt.name, tt.port).Handshake(); got != tt.want {
			t.Errorf("%s on port %d: got security %d, want %d", tt.name, tt.port, got, tt.want)
		}
	}
	o.StartTLS = "pop3"
	e := layer(t, o).Exchange(here, nil, nil, true).(*exchange)
	if e.facts.StartTLS != "pop3" {
		t.Errorf("facts: got %q", e.facts.StartTLS)
	}
	if len(starttls.Protocols()) == 0 {
		t.Error("no protocols")
	}
}

type named struct {
	ask
	name string
}

func (n named) About() probes.About { return probes.About{Name: n.name} }
