package probetest

import (
	"crypto/tls"
	"strings"
	"testing"

	"sonde/internal/jsonappend"
	"sonde/probes"
	"sonde/protocol"
	"sonde/protocol/line"
)

// echo is an exchange that says "hi" and wants "ok"; its faults are planted.
type echo struct {
	parser protocol.FrameParser
	fault  string
	heard  []byte
	ended  protocol.Conclusion
}

func (e *echo) Begin() protocol.Step {
	if e.fault == "says other words" {
		return protocol.Step{Send: [][]byte{[]byte("ho")}}
	}
	return protocol.Step{Send: [][]byte{[]byte("h"), []byte("i")}}
}

func (e *echo) Parser() protocol.FrameParser { return e.parser }

func (e *echo) OnFrame(f protocol.Frame) protocol.Step {
	e.heard = append([]byte(nil), f.Data...)
	if e.fault == "keeps the buffer" {
		e.heard = f.Data
	}
	if e.fault == "counts the calls" {
		e.ended.Verdict = protocol.Refused
		e.ended.Reason = "called"
	}
	if e.fault == "waits for more" {
		return protocol.Step{}
	}
	return protocol.Step{Then: protocol.Done}
}

func (e *echo) OnEnd(end protocol.End, rest []byte, err error) {
	e.ended.Verdict, e.ended.Reason = protocol.Unfinished, "ended"
	if end == protocol.EndOfStream && e.fault != "judges a FIN wrongly" {
		e.ended.Verdict = protocol.Closed
	}
	if e.fault != "forgets the rest" {
		e.heard = append([]byte(nil), rest...)
	}
}

func (e *echo) Conclusion() protocol.Conclusion {
	if e.heard != nil {
		e.ended.Finding = e
	}
	return e.ended
}

func (e *echo) AppendJSON(dst []byte) []byte {
	if e.fault == "writes bad JSON" {
		return append(dst, "{"...)
	}
	if e.fault == "reports another field" {
		return append(dst, `{"said":"ok"}`...)
	}
	if e.fault == "reports another type" {
		return append(dst, `{"heard":1}`...)
	}
	o := jsonappend.Begin(dst)
	o.Bytes("heard", e.heard)
	return o.End()
}

func (e *echo) Brief() string { return string(e.heard) }

func echoCase(fault string) Case {
	return Case{
		Open:   func() protocol.Exchange { return &echo{parser: line.New(line.Options{}), fault: fault} },
		Turns:  []Turn{{Hears: "hi", Says: "ok\r\n"}},
		Result: `{"heard":"ok"}`, Brief: "ok",
	}
}

var about = probes.About{Reports: []probes.Field{{Name: "heard", Type: "string"}}}

func TestRunTakesAGoodExchange(t *testing.T) { Run(t, about, echoCase("")) }

// TestFaultsAreFound plants faults in an exchange and wants the kit to find each.
func TestFaultsAreFound(t *testing.T) {
	for fault, want := range map[string]string{
		"says other words":      `got "ho", want "hi"`,
		"keeps the buffer":      "differs",
		"counts the calls":      "verdict",
		"waits for more":        "verdict: got 1",
		"goes on too early":     "over before turn 1",
		"judges a FIN wrongly":  "verdict",
		"forgets the rest":      "none kept",
		"writes bad JSON":       "no JSON object",
		"reports another field": `field "said"`,
		"reports another type":  `got type "integer"`,
	} {
		t.Run(fault, func(t *testing.T) {
			c := echoCase(fault)
			c.reports = about.Reports
			if fault == "goes on too early" {
				c.Turns = append(c.Turns, Turn{Says: "more"})
			}
			err := c.try(how{end: c.End})
			for cut := 0; cut < 4 && err == nil; cut++ {
				err = c.checkCut(cut)
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want an error with %q", err, want)
			}
		})
	}
}

// later is an echo over TLS, which it asks for with "tls?" and begins when it hears "go".
type later struct {
	echo
	begun, agreed bool
}

func (l *later) Handshake() (protocol.Security, *tls.Config) {
	switch {
	case !l.agreed || l.fault == "is never ready":
		return protocol.TLSLater, nil
	case l.fault == "has no configuration":
		return protocol.TLSNow, nil
	}
	return protocol.TLSNow, new(tls.Config)
}

func (l *later) OnHandshake(*protocol.Handshake) bool {
	l.begun = true
	return true
}

func (l *later) OnControl() protocol.Step { return protocol.Step{} }

func (l *later) Begin() protocol.Step {
	if !l.begun {
		return protocol.Step{Send: [][]byte{[]byte("tls?")}}
	}
	return l.echo.Begin()
}

func (l *later) OnFrame(f protocol.Frame) protocol.Step {
	if !l.begun {
		l.agreed = true
		return protocol.Step{Then: protocol.StartTLS}
	}
	return l.echo.OnFrame(f)
}

func (l *later) Conclusion() protocol.Conclusion {
	if l.agreed && l.heard == nil {
		l.heard = []byte("go")
	}
	return l.echo.Conclusion()
}

func laterCase(fault string) Case {
	c := echoCase("")
	c.Open = func() protocol.Exchange {
		return &later{echo: echo{parser: line.New(line.Options{}), fault: fault}}
	}
	c.Turns = append([]Turn{{Hears: "tls?", Says: "go\r\n"}}, c.Turns...)
	return c
}

func TestRunPlaysStartTLS(t *testing.T) { Run(t, about, laterCase("")) }

func TestFaultsOfStartTLSAreFound(t *testing.T) {
	injected := laterCase("")
	injected.Turns[0].Says += "ok\r\n"
	plain := laterCase("")
	plain.Open = func() protocol.Exchange {
		type exchange struct{ protocol.Exchange } // hides what a Handshaker has
		return exchange{&later{echo: echo{parser: line.New(line.Options{})}}}
	}
	for want, c := range map[string]Case{
		"4 bytes in the clear":         injected,
		"no Handshaker":                plain,
		"TLSLater behind":              laterCase("is never ready"),
		"without a configuration":      laterCase("has no configuration"),
		`sent before turn 1: got "ho"`: laterCase("says other words"),
	} {
		if err := c.try(how{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}
