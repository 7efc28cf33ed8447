package framespec

import (
	"fmt"
	"strconv"
)

const escapeHint = `the escapes are \r \n \t \0 \xHH \\`

// Unescape undoes the escapes of a text from the command line: \r, \n, \t, \0 (one NUL, whatever digits follow), \xHH
// (one byte, two hex digits) and \\. All other bytes stand for themselves. An error is an *Error that tells the
// character.
func Unescape(s string) ([]byte, error) { return unescapeFrom(s, 0) }

// unescapeFrom is Unescape for s[at:]; its errors count characters from the start of s.
func unescapeFrom(s string, at int) ([]byte, error) {
	out := make([]byte, 0, len(s)-at)
	for i := at; i < len(s); {
		if s[i] != '\\' {
			out = append(out, s[i])
			i++
			continue
		}
		b, width, reason := escape(s[i:])
		if reason != "" {
			return nil, &Error{At: column(s, i), Reason: reason, Hint: escapeHint}
		}
		out = append(out, b)
		i += width
	}
	return out, nil
}

// escape decodes the escape at the start of s, which begins with a backslash. It returns how many bytes of s that took,
// or what is wrong with it.
func escape(s string) (b byte, width int, reason string) {
	if len(s) < 2 {
		return 0, 0, `nothing follows the \`
	}
	switch s[1] {
	case 'r':
		return '\r', 2, ""
	case 'n':
		return '\n', 2, ""
	case 't':
		return '\t', 2, ""
	case '0':
		return 0, 2, ""
	case '\\':
		return '\\', 2, ""
	case 'x':
		if len(s) >= 4 {
			if n, err := strconv.ParseUint(s[2:4], 16, 8); err == nil {
				return byte(n), 4, ""
			}
		}
		return 0, 0, `\x wants two hex digits`
	}
	for _, r := range s[1:] {
		return 0, 0, fmt.Sprintf(`\%c is no escape`, r)
	}
	panic("unreachable: s has a second byte")
}
