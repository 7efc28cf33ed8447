package secure

import (
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/testcert"
	"sonde/probes"
	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// reusing is an exchange of a layer that wants to reuse the session, and forgives what is wrong with a certificate.
func reusing(t *testing.T) *exchange {
	t.Helper()
	o := options()
	o.SessionReuse, o.Insecure = true, true
	return layer(t, o).Exchange(here, nil, nil, true).(*exchange)
}

// resumption is the member of that name without its times.
func resumption(got result) map[string]any {
	r, _ := got.object["resumption"].(map[string]any)
	out := map[string]any{}
	for k, v := range r {
		if k != "full_us" && k != "resumed_us" {
			out[k] = v
		}
	}
	return out
}

// summed is what the summary of a run is told of a finding.
func summed(f protocol.Finding) (method string, ok bool) {
	_, _, method, ok = f.(interface {
		Resumption() (int64, int64, string, bool)
	}).Resumption()
	return method, ok
}

func TestReuse(t *testing.T) {
	expired := issue(t, testcert.Leaf{Names: []string{"a.test"}, Validity: testcert.Expired}, "expired")
	for _, v := range versions {
		word := byTicket
		if v.number == tls.VersionTLS13 {
			word = byPSK
		}
		for _, tt := range []struct {
			name            string
			cert            tls.Certificate
			off, forgetful  bool
			offered, method string
			connections     int
		}{
			{"taken", good(t), false, false, word, word, 2},
			{"taken though the certificate has expired", expired, false, false, word, word, 2},
			{"not taken", good(t), false, true, word, byNothing, 2},
			{"no tickets", good(t), true, false, byNothing, byNothing, 1},
		} {
			t.Run(tt.name+" "+v.word, func(t *testing.T) {
				cfg := only(server(tt.cert), v.number)
				cfg.SessionTicketsDisabled = tt.off
				got := play(t, reusing(t), func(i int, c net.Conn) {
					cfg := cfg.Clone()
					key := [32]byte{1}
					if tt.forgetful {
						key[1] = byte(i)
					}
					cfg.SetSessionTicketKeys([][32]byte{key})
					serves(cfg, nil)(i, c)
				}, protocol.EndOfStream)
				if got.Verdict != protocol.Success || got.Reason != "" || got.connections != tt.connections {
					t.Errorf("got verdict %d, %q, %d connections", got.Verdict, got.Reason, got.connections)
				}
				want := map[string]any{"offered": tt.offered, "method": tt.method}
				if diff := cmp.Diff(want, resumption(got)); diff != "" {
					t.Errorf("want to got:\n%s", diff)
				}
				holds(t, got, map[string]any{"resumed": tt.method != byNothing, "session_ticket": !tt.off, "tls_version": v.word})
				times, _ := got.object["resumption"].(map[string]any)
				if times["full_us"] == nil || (times["resumed_us"] != nil) != (tt.connections == 2) {
					t.Errorf("got times %v", times)
				}
				if method, ok := summed(got.Finding); !ok || method != tt.method {
					t.Errorf("the summary is told of %q, %v, want %q", method, ok, tt.method)
				}
				if n := len(got.object["chain"].([]any)); n != 2 {
					t.Errorf("the first connection's chain: got %d certificates", n)
				}
			})
		}
	}
}

// A certificate that is not believed is not asked about sessions.
func TestReuseOfUntrusted(t *testing.T) {
	o := options()
	o.SessionReuse = true
	expired := issue(t, testcert.Leaf{Names: []string{"a.test"}, Validity: testcert.Expired}, "expired")
	got := play(t, layer(t, o).Exchange(here, nil, nil, true), serves(server(expired), nil), protocol.EndOfStream)
	if got.Verdict != protocol.Untrusted || got.connections != 1 || got.object["resumption"] != nil {
		t.Errorf("got verdict %d, %d connections, %s", got.Verdict, got.connections, got.json)
	}
}

// A server that hangs up behind the handshake gave what it gave; data before a ticket is passed over.
func TestReuseOfHasty(t *testing.T) {
	for name, rest := range map[string]func(*tls.Conn){
		"hangs up": func(c *tls.Conn) { c.NetConn().Close() },
		"greets":   func(c *tls.Conn) { _, _ = io.WriteString(c, "220 hello\r\n") },
	} {
		for _, v := range versions[2:] {
			got := play(t, reusing(t), serves(only(server(good(t)), v.number), rest), protocol.EndOfStream)
			if got.Verdict != protocol.Success || got.connections != 2 || resumption(got)["method"] == byNothing {
				t.Errorf("%s, %s: got verdict %d, %q, %d connections, %v", name, v.word, got.Verdict, got.Reason, got.connections, resumption(got))
			}
		}
	}
}

// A server that gives no ticket and talks without end is not heard out.
func TestReuseOfTalkative(t *testing.T) {
	cfg := only(server(good(t)), tls.VersionTLS13)
	cfg.SessionTicketsDisabled = true
	e := reusing(t)
	got := play(t, e, serves(cfg, func(c *tls.Conn) {
		for range 16 {
			if _, err := c.Write(make([]byte, maxWords)); err != nil {
				return
			}
		}
	}), protocol.EndOfStream)
	if got.Verdict != protocol.Success || got.connections != 1 || resumption(got)["offered"] != byNothing {
		t.Errorf("got verdict %d, %q, %d connections, %v", got.Verdict, got.Reason, got.connections, resumption(got))
	}
	if e.reuse.words > maxWords+1 {
		t.Errorf("got %d words, want no more than %d", e.reuse.words, maxWords+1)
	}
}

// A second connection that fails is the verdict; what the first told is kept.
func TestSecondConnectionFails(t *testing.T) {
	for _, tt := range []struct {
		name    string
		second  peer
		fin     protocol.End
		verdict protocol.Verdict
		reason  string
	}{
		{"closed", says(""), protocol.EndOfStream, protocol.Closed, "second connection: closed in the TLS handshake"},
		{"reset", says(""), protocol.EndReset, protocol.Unfinished, "second connection: reset in the TLS handshake"},
		{"alert", says("\x15\x03\x03\x00\x02\x02\x28"), protocol.EndOfStream, protocol.HandshakeRefused, "second connection: alert handshake_failure"},
		{"not TLS", says("HTTP/1.1 400 Bad Request\r\n"), protocol.EndOfStream, protocol.NotSpoken, "second connection: not TLS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			first := serves(server(good(t)), nil)
			got := play(t, reusing(t), func(i int, c net.Conn) {
				if i == 0 {
					first(i, c)
				} else {
					tt.second(i, c)
				}
			}, tt.fin)
			if got.Verdict != tt.verdict || got.Reason != tt.reason || got.connections != 2 {
				t.Errorf("got verdict %d, %q, %d connections", got.Verdict, got.Reason, got.connections)
			}
			if diff := cmp.Diff(map[string]any{"offered": byPSK, "method": byNothing}, resumption(got)); diff != "" {
				t.Errorf("want to got:\n%s", diff)
			}
			holds(t, got, map[string]any{"verified": true, "tls_version": "tls13", "first_bytes": nil, "alert": nil})
			if method, ok := summed(got.Finding); ok {
				t.Errorf("the summary is told of %q, want nothing", method)
			}
		})
	}
}

// first plays the first connection of an exchange to a server of TLS 1.2 that gives an ID and no ticket, as no server in
// Go does: the ServerHello is written here.
func first(t *testing.T, e *exchange, extensions []byte) {
	t.Helper()
	if security, _ := e.Handshake(); security != protocol.TLSNow {
		t.Fatalf("got security %d", security)
	}
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(append(body, 4), "abcd"...)
	body = append(body, 0xc0, 0x2f, 0, 0, byte(len(extensions)))
	body = append(body, extensions...)
	message := tlswire.AppendMessage(nil, tlswire.HandshakeServerHello, body)
	h := protocol.Handshake{
		State:  tls.ConnectionState{Version: tls.VersionTLS12, HandshakeComplete: true},
		Flight: tlswire.AppendRecords(nil, tlswire.RecordHandshake, tlswire.TLS12, message), Took: 7000,
	}
	if !e.OnHandshake(&h) {
		t.Fatal("the first connection ended")
	}
	if s := e.Begin(); s.Then != protocol.Done {
		t.Fatalf("got %+v", s)
	}
	if !e.Next() {
		t.Fatal("no second connection")
	}
}

func TestReuseByID(t *testing.T) {
	serverHello := func(id string) []byte {
		body := append([]byte{3, 3}, make([]byte, 32)...)
		body = append(append(body, byte(len(id))), id...)
		return tlswire.AppendMessage(nil, tlswire.HandshakeServerHello, append(body, 0xc0, 0x2f, 0))
	}
	handshake := func(b []byte) protocol.Frame {
		return protocol.Frame{Kind: uint8(tlswire.RecordHandshake), Data: b}
	}
	for _, tt := range []struct {
		name    string
		frames  []protocol.Frame
		verdict protocol.Verdict
		reason  string
		method  string
	}{
		{"taken", []protocol.Frame{handshake(serverHello("abcd"))}, protocol.Success, "", byID},
		{"in two records", []protocol.Frame{handshake(serverHello("abcd")[:9]), handshake(serverHello("abcd")[9:])}, protocol.Success, "", byID},
		{"another ID", []protocol.Frame{handshake(serverHello("efgh"))}, protocol.Success, "", byNothing},
		{"no ID", []protocol.Frame{handshake(serverHello(""))}, protocol.Success, "", byNothing},
		{"behind a warning", []protocol.Frame{{Kind: 21, Data: []byte{1, 112}}, handshake(serverHello("abcd"))}, protocol.Success, "", byID},
		{"alert", []protocol.Frame{{Kind: 21, Data: []byte{2, 40}}}, protocol.HandshakeRefused, "second connection: alert handshake_failure", byNothing},
		{"no ServerHello", []protocol.Frame{handshake([]byte{14, 0, 0, 0})}, protocol.HandshakeRefused, "second connection: server_hello_done for a ServerHello", byNothing},
		{"data", []protocol.Frame{{Kind: 23, Data: []byte{1}}}, protocol.HandshakeRefused, "second connection: a record of type application_data for a ServerHello", byNothing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := reusing(t)
			first(t, e, nil)
			if security, _ := e.Handshake(); security != protocol.TLSOwn {
				t.Fatalf("got security %d, want TLSOwn", security)
			}
			e.Begin()
			for i, f := range tt.frames {
				if s := e.OnFrame(f); (s.Then == protocol.Done) != (i == len(tt.frames)-1) {
					t.Fatalf("frame %d: got %+v", i, s)
				}
			}
			if e.Next() {
				t.Error("a third connection")
			}
			c := e.Conclusion()
			if c.Verdict != tt.verdict || c.Reason != tt.reason || e.reuse.result.Offered != byID || e.reuse.result.Method != tt.method {
				t.Errorf("got verdict %d, %q, %+v", c.Verdict, c.Reason, e.reuse.result)
			}
			if method, ok := summed(c.Finding); ok != (tt.verdict == protocol.Success) || ok && method != tt.method {
				t.Errorf("the summary is told of %q, %v, want %q", method, ok, tt.method)
			}
			if e.reuse.result.ResumedUS != 0 {
				t.Error("a time for a handshake that was not made")
			}
		})
	}
}

// The hello asks for what the first one did: the name, the suite, and the extended master secret only if the session has it.
func TestHelloThatResumes(t *testing.T) {
	for name, ems := range map[string][]byte{"with": {0, 23, 0, 0}, "without": nil} {
		e := reusing(t)
		e.alpn = []string{"h2"}
		first(t, e, ems)
		var records tlswire.RecordParser
		f, _, err := records.ParseFrame(e.Begin().Send[0])
		if err != nil {
			t.Fatal(err)
		}
		h, err := tlswire.ParseClientHello(tlswire.Message{Raw: f.Data}.Body())
		if err != nil {
			t.Fatal(err)
		}
		if string(h.SessionID) != "abcd" || h.CipherSuites[0] != 0xc02f || h.LegacyVersion != tlswire.TLS12 ||
			h.Extension(tlswire.ExtServerName) != tlswire.ServerName("a.test") || h.Extension(tlswire.ExtSessionTicket) != nil {
			t.Errorf("got %+v", h)
		}
		if got := h.Extension(tlswire.ExtExtendedMasterSecret) != nil; got != (ems != nil) {
			t.Errorf("%s: extended master secret: got %v", name, got)
		}
		if !cmp.Equal(h.Extension(tlswire.ExtALPN), tlswire.Extension(tlswire.ALPN{"h2"})) {
			t.Errorf("got %v", h.Extension(tlswire.ExtALPN))
		}
	}
}

// Every end of the second connection, and one that is never had.
func TestSecondConnectionEnds(t *testing.T) {
	for end, want := range map[protocol.End]string{
		protocol.EndOfStream: "closed in the TLS handshake", protocol.EndReset: "reset in the TLS handshake",
		protocol.EndTimeout: "no end of the TLS handshake in time", protocol.EndNoConnection: "none",
		protocol.EndCancelled: "cancelled in the TLS handshake", protocol.EndMalformed: "not TLS",
	} {
		e := reusing(t)
		first(t, e, nil)
		e.OnEnd(end, nil, nil)
		if e.Next() {
			t.Error("a third connection")
		}
		c := e.Conclusion()
		if c.Verdict == protocol.Success || c.Reason != "second connection: "+want || c.Finding == nil {
			t.Errorf("end %d: got verdict %d, %q", end, c.Verdict, c.Reason)
		}
	}
	// The budget may be spent before there is one: nothing more is said then.
	e := reusing(t)
	first(t, e, nil)
	if c := e.Conclusion(); c.Verdict != protocol.Unfinished || c.Reason != "no second connection" {
		t.Errorf("got verdict %d, %q", c.Verdict, c.Reason)
	}
}

// Reuse is for exchanges that say nothing.
func TestReuseIsNotForInner(t *testing.T) {
	o := options()
	o.SessionReuse = true
	cfg := server(good(t))
	cfg.SessionTicketsDisabled = true
	got := play(t, layer(t, o).Under(ask{}).Exchange(here).(protocol.Handshaker), serves(cfg, answers("well")), protocol.EndOfStream)
	if got.Verdict != protocol.Success || got.connections != 1 {
		t.Errorf("got verdict %d, %q, %d connections", got.Verdict, got.Reason, got.connections)
	}
	var _ probes.Probe = ask{}
}
