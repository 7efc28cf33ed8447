// Package jsonappend writes JSON by appending to a byte slice, without reflection and without allocating, for the records
// that sonde writes by the million. It writes strict RFC 8259 JSON in UTF-8; what is not a hot path uses encoding/json.
package jsonappend

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// String appends s as a JSON string (RFC 8259 s.7). Bytes that are not UTF-8 become U+FFFD. U+2028 and U+2029 are
// escaped, so that a line stays a line for every reader, and so are DEL and the C1 controls (U+0080 to U+009F), on which
// a terminal may act that the line is shown on (U+009B is CSI, ECMA-48 s.8.3.16).
func String[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			dst = append(dst, s[start:i]...)
			dst = appendEscaped(dst, c)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		if r == utf8.RuneError && size == 1 || r < 0xa0 || r == 0x2028 || r == 0x2029 {
			dst = append(dst, s[start:i]...)
			dst = append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
			start = i + size
		}
		i += size
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendEscaped(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// Object appends the members of one JSON object in call order: Begin, any members, End. Names are constants of ours and
// are not escaped.
type Object struct {
	buf   []byte
	empty bool
}

// Begin starts an object at the end of dst.
func Begin(dst []byte) Object { return Object{buf: append(dst, '{'), empty: true} }

// End closes the object and returns the extended slice.
func (o *Object) End() []byte { return append(o.buf, '}') }

func (o *Object) name(name string) {
	if !o.empty {
		o.buf = append(o.buf, ',')
	}
	o.empty = false
	o.buf = append(o.buf, '"')
	o.buf = append(o.buf, name...)
	o.buf = append(o.buf, '"', ':')
}

// String adds a string member.
func (o *Object) String(name, value string) {
	o.name(name)
	o.buf = String(o.buf, value)
}

// Int adds an integer member.
func (o *Object) Int(name string, value int64) {
	o.name(name)
	o.buf = strconv.AppendInt(o.buf, value, 10)
}

// Bool adds a boolean member.
func (o *Object) Bool(name string, value bool) {
	o.name(name)
	o.buf = strconv.AppendBool(o.buf, value)
}

// Strings adds a list of strings.
func (o *Object) Strings(name string, values []string) {
	o.name(name)
	o.buf = append(o.buf, '[')
	for i, v := range values {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		o.buf = String(o.buf, v)
	}
	o.buf = append(o.buf, ']')
}

// Raw adds a member whose value is written by write, which must append exactly one JSON value.
func (o *Object) Raw(name string, write func(dst []byte) []byte) {
	o.name(name)
	o.buf = write(o.buf)
}

// Members adds members that were written before: an object of this package's making without its braces. Empty adds none.
func (o *Object) Members(members []byte) {
	if len(members) == 0 {
		return
	}
	if !o.empty {
		o.buf = append(o.buf, ',')
	}
	o.empty = false
	o.buf = append(o.buf, members...)
}

// Bytes adds what a peer sent: as a string when it is UTF-8, otherwise as a string with U+FFFD in place of each bad byte
// and a second member, name_base64 (RFC 4648 s.4), that keeps every byte.
func (o *Object) Bytes(name string, value []byte) {
	o.name(name)
	o.buf = String(o.buf, value)
	if !utf8.Valid(value) {
		o.name(name + "_base64")
		o.buf = append(o.buf, '"')
		o.buf = base64.StdEncoding.AppendEncode(o.buf, value)
		o.buf = append(o.buf, '"')
	}
}
