package starttls

import (
	"crypto/tls"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/jsonappend"
	"sonde/probes"
	"sonde/probes/internal/conclude"
	"sonde/probes/probetest"
	"sonde/protocol"
	"sonde/protocol/line"
)

// inner is an exchange over TLS that says "hi" and wants a line.
type inner struct {
	parser   *line.Parser
	calls    []string
	heard    string
	ended    protocol.Conclusion
	security protocol.Security
	more     int // how many further connections it wants
}

func newInner() *inner {
	return &inner{parser: line.New(line.Options{}), security: protocol.TLSNow}
}

func (i *inner) call(name string) { i.calls = append(i.calls, name) }

func (i *inner) Handshake() (protocol.Security, *tls.Config) {
	i.call("Handshake")
	return i.security, new(tls.Config)
}

func (i *inner) OnHandshake(*protocol.Handshake) bool { i.call("OnHandshake"); return true }

func (i *inner) OnControl() protocol.Step { i.call("OnControl"); return protocol.Step{} }

func (i *inner) Begin() protocol.Step {
	i.call("Begin")
	return protocol.Step{Send: [][]byte{[]byte("hi\n")}}
}

func (i *inner) Parser() protocol.FrameParser { return i.parser }

func (i *inner) OnFrame(f protocol.Frame) protocol.Step {
	i.call("OnFrame")
	i.heard = string(f.Data)
	return protocol.Step{Then: protocol.Done}
}

func (i *inner) OnEnd(end protocol.End, rest []byte, err error) {
	i.call("OnEnd")
	i.ended.Verdict, i.ended.Reason = conclude.Ended(end, err, "the answer")
	if end == protocol.EndNoConnection {
		i.call("EndNoConnection")
	}
}

func (i *inner) Conclusion() protocol.Conclusion {
	i.call("Conclusion")
	i.ended.Finding = innerFinding(i.heard)
	return i.ended
}

type innerFinding string

func (f innerFinding) AppendJSON(dst []byte) []byte {
	o := jsonappend.Begin(dst)
	o.String("inner", string(f))
	return o.End()
}

func (f innerFinding) Brief() string { return string(f) }

// series is an inner that wants several connections.
type series struct{ *inner }

func (s series) Next() bool {
	s.call("Next")
	s.more--
	return s.more >= 0
}

// about is what the conversations of these tests may report.
var about = probes.About{Reports: append(Fields(), probes.Field{Name: "inner", Type: "string"})}

// succeeds is a conversation that ends in TLS and in inner's success.
func succeeds(name, starttls string, turns ...probetest.Turn) probetest.Case {
	last := turns[len(turns)-1]
	turns = append(turns[:len(turns)-1:len(turns)-1], last,
		probetest.Turn{Hears: "hi\n", Says: "ok\n"})
	return probetest.Case{
		Name: name, Open: opens(starttls), Turns: turns, Result: `{"inner":"ok"}`, Brief: "ok",
	}
}

func opens(starttls string) func() protocol.Exchange {
	return func() protocol.Exchange { return Before(starttls, "a.test", newInner()) }
}

func TestProtocols(t *testing.T) {
	want := []string{"ftp", "imap", "ldap", "mysql", "pop3", "postgres", "sieve", "smtp", "xmpp"}
	if diff := cmp.Diff(want, Protocols()); diff != "" {
		t.Errorf("protocols differ (-want +got):\n%s", diff)
	}
	for _, name := range want {
		if h := Before(name, "", newInner()); h == nil {
			t.Errorf("%s: got no exchange", name)
		}
	}
}

func TestUnknownProtocolPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("got no panic")
		}
	}()
	Before("gopher", "", newInner())
}

func TestFor(t *testing.T) {
	known := map[uint16]string{
		21: "ftp", 25: "smtp", 587: "smtp", 2525: "smtp", 110: "pop3", 143: "imap", 389: "ldap", 3306: "mysql", 4190: "sieve",
		5222: "xmpp", 5432: "postgres",
	}
	for port := range uint16(10000) {
		if got, ok := For(port); got != known[port] || ok != (got != "") {
			t.Errorf("port %d: got %q, %t, want %q", port, got, ok, known[port])
		}
	}
	for _, name := range known {
		if !slices.Contains(Protocols(), name) {
			t.Errorf("%s: of a port, but not among the protocols", name)
		}
	}
}

// drive plays what the server says to the exchange up to the end of a step that does not read, in one piece each.
func drive(t *testing.T, e protocol.Handshaker, says ...string) protocol.Step {
	t.Helper()
	step := e.Begin()
	for _, text := range says {
		buf := []byte(text)
		f, n, err := e.Parser().ParseFrame(buf)
		if err != nil || n != len(buf) {
			t.Fatalf("%q: got %d bytes, %v", text, n, err)
		}
		step = e.OnFrame(f)
	}
	return step
}

// TestCallsAreHandedOn: the inner exchange sees a connection as if it had begun with TLS, whichever way it secures it.
func TestCallsAreHandedOn(t *testing.T) {
	for _, security := range []protocol.Security{protocol.TLSNow, protocol.TLSOwn} {
		in := newInner()
		in.security = security
		e := Before("postgres", "", in)
		if got, config := e.Handshake(); got != protocol.TLSLater || config != nil {
			t.Errorf("first Handshake: got %d, %v, want TLSLater and no configuration", got, config)
		}
		if step := drive(t, e, "S"); step.Then != protocol.StartTLS || len(step.Send) != 0 {
			t.Fatalf("got %+v, want a StartTLS step", step)
		}
		if len(in.calls) != 0 {
			t.Errorf("calls before TLS: got %v, want none", in.calls)
		}
		if got, config := e.Handshake(); got != security || config == nil {
			t.Errorf("second Handshake: got %d, %v, want %d", got, config, security)
		}
		e.OnHandshake(&protocol.Handshake{})
		e.Begin()
		e.OnControl()
		if e.Parser() != in.parser {
			t.Error("Parser: got another one than the inner exchange's")
		}
		e.OnFrame(protocol.Frame{Data: []byte("ok")})
		c := e.Conclusion()
		if c.Verdict != protocol.Success || c.Finding != innerFinding("ok") {
			t.Errorf("got %+v, want the inner exchange's conclusion", c)
		}
		want := []string{"Handshake", "OnHandshake", "Begin", "OnControl", "OnFrame", "Conclusion"}
		if diff := cmp.Diff(want, in.calls); diff != "" {
			t.Errorf("calls differ (-want +got):\n%s", diff)
		}
		if e.(protocol.Series).Next() {
			t.Error("Next: got true for an exchange that is no Series")
		}
	}
}

// TestRefusalKeepsInnerOut: an exchange whose TLS was refused is never called.
func TestRefusalKeepsInnerOut(t *testing.T) {
	in := newInner()
	in.more = 1
	e := Before("postgres", "", series{in})
	e.Handshake()
	if step := drive(t, e, "N"); step.Then != protocol.Done {
		t.Fatalf("got %+v, want Done", step)
	}
	if e.(protocol.Series).Next() {
		t.Error("Next: got true after a refusal")
	}
	c := e.Conclusion()
	if c.Verdict != protocol.Refused || c.Reason != "STARTTLS refused: N" {
		t.Errorf("got %d, %q", c.Verdict, c.Reason)
	}
	if len(in.calls) != 0 {
		t.Errorf("calls: got %v, want none", in.calls)
	}
}

// TestEndBetweenAgreementAndHandshake: a connection that ends there is the prelude's to judge.
func TestEndBetweenAgreementAndHandshake(t *testing.T) {
	in := newInner()
	e := Before("postgres", "", in)
	e.Handshake()
	drive(t, e, "S")
	e.OnEnd(protocol.EndOfStream, nil, nil)
	c := e.Conclusion()
	if c.Verdict != protocol.Closed || c.Reason != "closed before the TLS handshake" || c.Finding == nil {
		t.Errorf("got %d, %q, %v", c.Verdict, c.Reason, c.Finding)
	}
	if len(in.calls) != 0 {
		t.Errorf("calls: got %v, want none", in.calls)
	}
}

// TestSeries: each connection of a series has its prelude.
func TestSeries(t *testing.T) {
	// connect plays one connection on which the server agrees.
	connect := func(e protocol.Handshaker) {
		if got, _ := e.Handshake(); got != protocol.TLSLater {
			t.Errorf("Handshake of a new connection: got %d, want TLSLater", got)
		}
		if step := drive(t, e, "S"); step.Then != protocol.StartTLS {
			t.Fatalf("got %+v, want a StartTLS step", step)
		}
		e.Handshake()
		e.OnHandshake(&protocol.Handshake{})
		e.Begin()
		e.OnFrame(protocol.Frame{Data: []byte("ok")})
	}
	one := []string{"Handshake", "OnHandshake", "Begin", "OnFrame", "Next"}
	for _, tc := range []struct {
		name    string
		second  func(e protocol.Handshaker)
		calls   []string
		verdict protocol.Verdict
		reason  string
	}{
		{"agreed", connect, one, protocol.Success, ""},
		{"refused", func(e protocol.Handshaker) {
			e.Handshake()
			if step := drive(t, e, "N"); step.Then != protocol.Done {
				t.Errorf("got %+v, want Done", step)
			}
		}, []string{"OnEnd", "EndNoConnection", "Next"}, protocol.Refused, "STARTTLS refused: N"},
		{"closed", func(e protocol.Handshaker) {
			e.Handshake()
			drive(t, e)
			e.OnEnd(protocol.EndOfStream, nil, nil)
		}, []string{"OnEnd", "EndNoConnection", "Next"}, protocol.Closed, "closed before the answer to SSLRequest"},
		{"not made", func(e protocol.Handshaker) {
			e.OnEnd(protocol.EndNoConnection, nil, nil)
		}, []string{"OnEnd", "EndNoConnection", "Next"}, protocol.Unfinished, "no end of the answer in time"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := newInner()
			in.more = 1
			e := Before("postgres", "", series{in})
			connect(e)
			if !e.(protocol.Series).Next() {
				t.Fatal("Next: got false, want the inner exchange's true")
			}
			tc.second(e)
			if e.(protocol.Series).Next() {
				t.Error("second Next: got true")
			}
			c := e.Conclusion()
			if c.Verdict != tc.verdict || c.Reason != tc.reason || c.Finding != innerFinding("ok") {
				t.Errorf("got %d, %q, %v, want %d, %q and what the first connection found", c.Verdict, c.Reason, c.Finding, tc.verdict, tc.reason)
			}
			want := append(append(slices.Clone(one), tc.calls...), "Conclusion")
			if diff := cmp.Diff(want, in.calls); diff != "" {
				t.Errorf("calls differ (-want +got):\n%s", diff)
			}
		})
	}
}
