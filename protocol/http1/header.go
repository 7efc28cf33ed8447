package http1

import "iter"

// Status is the status code, 100 to 999 (RFC 9110 s.15); 0 before the first Head.
func (p *Parser) Status() int { return p.status }

// Version is the version of the status line, "1.0" to "1.9"; empty before the first Head.
func (p *Parser) Version() string {
	if p.status == 0 {
		return ""
	}
	return "1.0 1.1 1.2 1.3 1.4 1.5 1.6 1.7 1.8 1.9"[4*p.minor:][:3]
}

// Reason is the reason phrase, often empty. It is valid until the next call on the Parser, as is all that the accessors
// below return.
func (p *Parser) Reason() []byte {
	if p.head == nil {
		return nil
	}
	return p.head[p.reason:p.reasonEnd]
}

// Interim reports whether the Head is of an interim response: the final one is still to come (RFC 9110 s.15.2). After a
// 101 (Switching Protocols) no HTTP response comes, so it is not one.
func (p *Parser) Interim() bool { return p.status/100 == 1 && p.status != 101 }

// HasBody reports whether Body and End frames follow the Head.
func (p *Parser) HasBody() bool { return p.hasBody }

// Persistent reports whether the connection carries further responses behind the message of the last Head, as far as the
// server tells (RFC 9112 s.9.3). False before the first Head, for a body that only the connection's end ends, and for a 101.
func (p *Parser) Persistent() bool { return p.persists }

// ContentLength is the value of the field of that name, in bytes, or -1 if there is none. In the answer to a HEAD request
// and in a 304 it tells of a body that is not sent (RFC 9110 s.8.6).
func (p *Parser) ContentLength() int64 {
	if p.status == 0 {
		return -1
	}
	return p.length
}

// Header returns the value of the first field of that name, whatever the case of either; nil if there is none, empty but
// not nil if it is empty. Folded lines are joined by a space (RFC 9112 s.5.2). It does not allocate.
func (p *Parser) Header(name string) []byte {
	if p.head == nil || !p.mayHave(name) {
		return nil
	}
	for i := range p.fields {
		if f := &p.fields[i]; p.named(f, name) {
			return p.value(f)
		}
	}
	return nil
}

// Headers yields the names and values of all fields in order, as [Parser.Header] gives them.
func (p *Parser) Headers() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		if p.head == nil {
			return
		}
		for i := range p.fields {
			f := &p.fields[i]
			if !yield(p.head[f.name:f.nameEnd], p.value(f)) {
				return
			}
		}
	}
}

// mayHave reports whether some field has a name as long as this one. Of the fields that decide where a body ends most
// heads have one, and the others need not be looked for.
func (p *Parser) mayHave(name string) bool { return p.lengths&(1<<min(len(name), 63)) != 0 }

func (p *Parser) named(f *field, name string) bool { return equalFold(p.head[f.name:f.nameEnd], name) }

func (p *Parser) value(f *field) []byte {
	if f.folded {
		return p.unfolded[f.flat:f.flatEnd:f.flatEnd]
	}
	return p.head[f.value:f.valueEnd:f.valueEnd]
}

// equalFold compares ASCII without regard to case: field names and codings are nothing else (RFC 9110 s.5.1).
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if c != s[i] && (c|0x20 != s[i]|0x20 || c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}
