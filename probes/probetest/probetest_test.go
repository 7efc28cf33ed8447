package probetest

import (
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
