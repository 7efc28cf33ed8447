// Package probetest plays a server to a probe's exchange, in memory: what the server says arrives in one piece, byte by
// byte and split in two, and stops in every way that a connection can end, both at every byte of a short conversation and at
// some 200 of a long one. It drives an exchange as
// the engine does, and takes each buffer away after use, so that a finding which points into one is found out.
//
// An exchange that wants TLS is told that the handshake went well, at the start or behind its StartTLS step; the bytes of
// TLS are not played, and the turns are what passes in the clear and then what passes within.
package probetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/probes"
	"sonde/protocol"
)

// Turn is one turn of the server's.
type Turn struct {
	// Hears is all that the exchange must have sent since the turn before.
	Hears string
	// Says is what the server sends then. It may be empty in the last turn, which only listens.
	Says string
}

// Case is a conversation and what the exchange must make of it.
type Case struct {
	Name string
	// Open returns a new exchange. It is called many times.
	Open func() protocol.Exchange
	// Turns are played in order, until the exchange is over.
	Turns []Turn
	// End is how the connection ends after the last turn if the exchange is not over by then. EndMalformed and EndTooLarge
	// come from the parser and are not given.
	End protocol.End
	// Verdict and Reason, of which a part is enough, are what it must conclude.
	Verdict protocol.Verdict
	Reason  string
	// Result is the finding as JSON, "" for none, and Brief the finding in a few words; checked if there is a Result.
	Result string
	Brief  string
	// Lenient says that the verdict of a conversation that is cut short is not checked: the probe can judge by a part.
	Lenient bool

	reports []probes.Field
}

// longConversation is above how many bytes of the server's the pieces get larger and the splits fewer: each byte is copied
// once a piece, so that the time would grow with the square.
const longConversation = 4 << 10

// Run plays the cases, one subtest each. On top of what the case wants it checks, for every way to cut the conversation
// short, that the verdict fits the end (Closed for a FIN, Unfinished for a reset, a timeout or a cancellation), that the
// finding is a JSON object of fields that about reports, and that there is one if anything was heard.
func Run(t *testing.T, about probes.About, cases ...Case) {
	t.Helper()
	for _, c := range cases {
		c.reports = about.Reports
		t.Run(c.Name, func(t *testing.T) {
			heard := 0
			for _, turn := range c.Turns {
				heard += len(turn.Says)
			}
			if err := c.try(how{end: c.End}); err != nil {
				t.Errorf("in one piece: %v", err)
				return
			}
			if err := c.try(how{piece: 1 + heard/longConversation, end: c.End}); err != nil {
				t.Errorf("byte by byte: %v", err)
				return
			}
			step := 1 + heard/256
			if heard > longConversation {
				step = 1 + heard/64
			}
			for cut := 1; cut < heard; cut += step {
				if err := c.try(how{split: cut, end: c.End}); err != nil {
					t.Errorf("split after byte %d: %v", cut, err)
					return
				}
				if err := c.checkCut(cut); err != nil {
					t.Errorf("cut after byte %d: %v", cut, err)
					return
				}
			}
			if err := c.checkCut(0); err != nil {
				t.Errorf("nothing said: %v", err)
			}
		})
	}
}

// try plays the conversation to its end and checks it.
func (c Case) try(h how) error { return c.check(play(c, h), h) }

// check holds a whole conversation against what the case wants.
func (c Case) check(p *player, h how) error {
	if p.fault != nil {
		return p.fault
	}
	got := p.conclusion
	if got.Verdict != c.Verdict || !strings.Contains(got.Reason, c.Reason) || c.Reason == "" && got.Reason != "" {
		return fmt.Errorf("verdict: got %d (%q), want %d (%q)", got.Verdict, got.Reason, c.Verdict, c.Reason)
	}
	if got.Verdict == protocol.NotSpoken && h != (how{end: c.End}) && got.Finding != nil {
		return nil // how much of a foreign protocol is heard before it gives itself away depends on the pieces
	}
	if c.Result == "" {
		if got.Finding != nil {
			return fmt.Errorf("finding: got %s, want none", p.result)
		}
		return nil
	}
	if diff := cmp.Diff(c.Result, p.result); diff != "" {
		return fmt.Errorf("result differs (-want +got):\n%s", diff)
	}
	if got.Finding.Brief() != c.Brief {
		return fmt.Errorf("brief: got %q, want %q", got.Finding.Brief(), c.Brief)
	}
	return nil
}

// checkCut ends the conversation after so many bytes of the server, in every way.
func (c Case) checkCut(cut int) error {
	only := cut
	if cut == 0 {
		only = -1
	}
	for end, want := range map[protocol.End]protocol.Verdict{
		protocol.EndOfStream:  protocol.Closed,
		protocol.EndReset:     protocol.Unfinished,
		protocol.EndTimeout:   protocol.Unfinished,
		protocol.EndCancelled: protocol.Unfinished,
	} {
		p := play(c, how{only: only, end: end})
		if p.fault != nil {
			return fmt.Errorf("end %d: %w", end, p.fault)
		}
		if p.ended && !c.Lenient && p.conclusion.Verdict != want {
			return fmt.Errorf("end %d: verdict: got %d (%q), want %d", end, p.conclusion.Verdict, p.conclusion.Reason, want)
		}
		if p.ended && p.conclusion.Verdict != protocol.Success && p.conclusion.Reason == "" {
			return fmt.Errorf("end %d: verdict %d without a reason", end, p.conclusion.Verdict)
		}
		if cut > 0 && p.conclusion.Finding == nil {
			return fmt.Errorf("end %d: %d bytes were heard, none kept", end, cut)
		}
	}
	return nil
}

// player is the engine's part in a conversation.
type player struct {
	exchange   protocol.Exchange
	buf        []byte
	sent       []byte
	agreed     bool // a StartTLS step whose handshake has not come yet
	over       bool // a Done or Park step, or OnEnd
	ended      bool // by OnEnd, with the end that play was given
	conclusion protocol.Conclusion
	result     string
	fault      error
}

// how says in which pieces the server's bytes come, and how they end.
type how struct {
	piece int // bytes at a time; 0 for a turn in one piece
	split int // besides, split after so many bytes; 0 for no split
	only  int // say only so many bytes; 0 for all, below 0 for none
	end   protocol.End
}

// play holds the conversation.
func play(c Case, h how) *player {
	p := &player{exchange: c.Open()}
	p.begin(false)
	if h.only >= 0 && p.fault == nil {
		p.turns(c, h)
	}
	if !p.over && p.fault == nil {
		p.end(h.end)
	}
	if p.fault == nil {
		p.conclude(c.reports)
	}
	return p
}

// begin plays the handshake that the exchange wants, if any, and has it begin. secured is behind a StartTLS step.
func (p *player) begin(secured bool) {
	if h, ok := p.exchange.(protocol.Handshaker); ok {
		switch security, config := h.Handshake(); {
		case secured && security == protocol.TLSLater:
			p.fault = errors.New("TLSLater behind a StartTLS step")
			return
		case security == protocol.TLSNow && config == nil:
			p.fault = errors.New("TLSNow without a configuration")
			return
		case security == protocol.TLSNow && !h.OnHandshake(&protocol.Handshake{}):
			p.over = true
			return
		}
	} else if secured {
		p.fault = errors.New("StartTLS step of an exchange that is no Handshaker")
		return
	}
	p.step(p.exchange.Begin())
}

// turns plays the server's part.
func (p *player) turns(c Case, h how) {
	said := 0
	for i, turn := range c.Turns {
		if p.fault != nil {
			return
		}
		if got := string(p.sent); got != turn.Hears {
			p.fault = fmt.Errorf("sent before turn %d: got %q, want %q", i, got, turn.Hears)
			return
		}
		if p.over && turn.Says != "" {
			p.fault = fmt.Errorf("over before turn %d", i)
			return
		}
		p.sent = p.sent[:0]
		for rest := turn.Says; rest != ""; {
			n := len(rest)
			if h.piece > 0 {
				n = min(n, h.piece)
			}
			if h.split > said {
				n = min(n, h.split-said)
			}
			if h.only > 0 {
				n = min(n, h.only-said)
			}
			if p.over || n == 0 {
				return
			}
			p.hear(rest[:n])
			rest, said = rest[n:], said+n
		}
	}
}

// hear gives the exchange more bytes, in a buffer at a new address.
func (p *player) hear(piece string) {
	p.move(append(append([]byte(nil), p.buf...), piece...))
	for !p.over && p.fault == nil && len(p.buf) > 0 {
		parser := p.exchange.Parser()
		if len(p.buf) < parser.MinFrameSize() {
			return
		}
		f, n, err := parser.ParseFrame(p.buf)
		if err == protocol.ErrIncomplete {
			if len(p.buf) >= protocol.MaxFrameSize {
				p.onEnd(protocol.EndTooLarge, protocol.ErrTooLarge)
			}
			return
		}
		if err != nil {
			p.onEnd(endOf(err), err)
			return
		}
		p.step(p.exchange.OnFrame(f))
		p.move(append([]byte(nil), p.buf[n:]...))
		if p.agreed && len(p.buf) > 0 {
			p.fault = fmt.Errorf("%d bytes in the clear behind the StartTLS step", len(p.buf))
		} else if p.agreed {
			p.agreed = false
			p.begin(true)
		}
	}
}

// move makes next the buffer and spoils the old one.
func (p *player) move(next []byte) {
	for i := range p.buf {
		p.buf[i] = 0xA5
	}
	p.buf = next
}

func endOf(err error) protocol.End {
	if _, ok := err.(*protocol.MalformedError); ok {
		return protocol.EndMalformed
	}
	return protocol.EndTooLarge
}

func (p *player) step(s protocol.Step) {
	for _, b := range s.Send {
		p.sent = append(p.sent, b...)
	}
	p.agreed = s.Then == protocol.StartTLS
	p.over = s.Then == protocol.Done || s.Then == protocol.Park
}

// end ends the connection.
func (p *player) end(end protocol.End) {
	if parser, ok := p.exchange.Parser().(protocol.EndParser); ok && end == protocol.EndOfStream {
		f, n, err := parser.ParseEnd(p.buf)
		if err == nil {
			p.step(p.exchange.OnFrame(f))
			p.move(append([]byte(nil), p.buf[n:]...))
		}
	}
	if !p.over {
		p.ended = true
		p.onEnd(end, nil)
	}
}

func (p *player) onEnd(end protocol.End, err error) {
	p.over = true
	p.exchange.OnEnd(end, p.buf, err)
}

// conclude takes the finding once the connection's memory is gone.
func (p *player) conclude(reports []probes.Field) {
	p.conclusion = p.exchange.Conclusion()
	p.move(nil)
	if p.conclusion.Finding == nil {
		return
	}
	p.result = string(p.conclusion.Finding.AppendJSON(nil))
	var object map[string]any
	if err := json.Unmarshal([]byte(p.result), &object); err != nil {
		p.fault = fmt.Errorf("finding is no JSON object: %w: %s", err, p.result)
		return
	}
	for name, value := range object {
		if want, got := typeOf(reports, name), jsonType(value); got != want {
			p.fault = fmt.Errorf("field %q: got type %q, About reports %q", name, got, want)
		}
	}
}

// typeOf is the type that is reported for a field; "" for one that is not. A string may come with its bytes in base64
// (jsonappend.Object.Bytes).
func typeOf(reports []probes.Field, name string) string {
	for _, f := range reports {
		if f.Name == name || f.Type == "string" && f.Name+"_base64" == name {
			return f.Type
		}
	}
	return ""
}

func jsonType(value any) string {
	switch v := value.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case []any:
		return "list"
	case map[string]any:
		return "object"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
	}
	return "a type that no field has"
}
