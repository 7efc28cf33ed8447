package starttls

import (
	"bytes"
	"strings"

	"sonde/probes/internal/conclude"
	"sonde/protocol"
	"sonde/protocol/fixed"
	"sonde/protocol/line"
)

// What is sent to a ManageSieve server (RFC 5804 s.2.2, s.2.3).
var (
	sieveSTARTTLS = [][]byte{[]byte("STARTTLS\r\n")}
	sieveLOGOUT   = [][]byte{[]byte("LOGOUT\r\n")}
)

// Limits in bytes: RFC 5804 sets none, but for strings of 1024 bytes that a server must take (s.1.6).
const (
	sieveMaxLine    = 8 << 10
	sieveMaxLiteral = 8 << 10
)

// sieve is the prelude of RFC 5804 s.2.2: the greeting, which is a list of capabilities and OK, then STARTTLS. A response
// is lines up to one that begins with OK, NO or BYE. A line may hold literals, which are not searched for line ends: it
// ends behind the last of them.
type sieve struct {
	pieces  *line.Parser
	literal *fixed.Parser // the octets that come next if they are a literal's
	said    string        // the line under way, its literals included; "" between lines
	asked   bool          // STARTTLS was sent
	offered bool
	count   int
}

func newSieve(string) prelude { return &sieve{pieces: line.New(line.Options{Max: sieveMaxLine})} }

func (p *sieve) begin() protocol.Step { return protocol.Step{} }

func (p *sieve) parser() protocol.FrameParser {
	if p.literal != nil {
		return p.literal
	}
	return p.pieces
}

func (p *sieve) awaited() string {
	if p.asked {
		return "the answer to STARTTLS"
	}
	return "the greeting"
}

// onFrame takes a literal, or a piece of a line: all of it, or what stands before or behind a literal.
func (p *sieve) onFrame(f protocol.Frame, a *account) protocol.Step {
	if p.count++; p.count > maxAside {
		return a.refuse(tooMuch, f.Data, nil)
	}
	if len(p.said) < conclude.MaxText {
		p.said += conclude.Text(f.Data)
	}
	if p.literal != nil {
		p.literal = nil
		return protocol.Step{}
	}
	if !p.isResponse(p.said) {
		return a.notSpoken("not sieve: neither a capability nor OK, NO or BYE", f.Data)
	}
	size, ok := sieveLiteral(f.Data)
	if !ok {
		return a.notSpoken("not sieve: literal of more than 8192 bytes", f.Data)
	}
	switch {
	case size > 0:
		p.literal = fixed.New(fixed.Options{Size: size})
		return protocol.Step{}
	case size == 0: // a literal too, but no frame is empty
		return protocol.Step{}
	}
	text := p.said
	p.said = ""
	return p.onLine(text, a)
}

// isResponse reports whether a line may be one of the answer that is under way (RFC 5804 s.1.2, s.1.7). A capability, a
// string, comes with the greeting only.
func (p *sieve) isResponse(text string) bool {
	switch sieveWord(text) {
	case "OK", "NO", "BYE":
		return true
	}
	return !p.asked && (strings.HasPrefix(text, `"`) || strings.HasPrefix(text, "{"))
}

// onLine takes a whole line.
func (p *sieve) onLine(text string, a *account) protocol.Step {
	answer := []byte(text)
	switch word := sieveWord(text); {
	case word == "OK" && p.asked:
		return startTLS
	case word == "OK" && !p.offered:
		return a.refuse(notOffered, answer, sieveLOGOUT)
	case word == "OK":
		p.asked = true
		return protocol.Step{Send: sieveSTARTTLS}
	case word != "" && p.asked:
		return a.refuse(refusedBy+text, answer, nil)
	case word != "":
		return a.refuse("the greeting is "+text, answer, nil)
	}
	name, value, _ := strings.Cut(strings.TrimPrefix(text, `"`), `"`)
	switch {
	case strings.EqualFold(name, "STARTTLS"):
		p.offered = true
	case strings.EqualFold(name, "IMPLEMENTATION"):
		a.greeting = strings.Trim(value, ` "`)
	}
	return protocol.Step{}
}

// sieveWord returns OK, NO or BYE if a line begins with that, whatever its case, and else "".
func sieveWord(text string) string {
	end := strings.IndexAny(text, " (")
	if end < 0 {
		end = len(text)
	}
	switch word := strings.ToUpper(text[:end]); word {
	case "OK", "NO", "BYE":
		return word
	}
	return ""
}

// sieveLiteral returns how many octets the literal has that a line announces at its end, "{n}" or "{n+}" (RFC 5804 s.4), -1
// if there is none. It is not ok if it is too large.
func sieveLiteral(text []byte) (sizeBytes int, ok bool) {
	head, found := bytes.CutSuffix(text, []byte("}"))
	open := bytes.LastIndexByte(head, '{')
	digits := bytes.TrimSuffix(head[open+1:], []byte("+"))
	if !found || open < 0 || len(digits) == 0 {
		return -1, true
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return -1, true
		}
		if sizeBytes = sizeBytes*10 + int(c-'0'); sizeBytes > sieveMaxLiteral {
			return 0, false
		}
	}
	return sizeBytes, true
}
