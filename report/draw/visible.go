package draw

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// AppendVisible appends s so that nothing in it acts on a terminal: a banner can neither move the cursor, nor colour
// the screen, nor turn the direction of writing. Printable characters stay; control and format characters, odd spaces and
// bytes that are not UTF-8 become \n, \r, \t, \x1b, \u202e. It is for a person: a backslash of the peer's own stays as
// it is, so the text can't be turned back; JSONL holds every byte.
func AppendVisible(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		if c := s[i]; c >= ' ' && c < 0x7f {
			dst = append(dst, c)
			i++
			continue
		}
		size := 0
		dst, size = appendVisibleRune(dst, s[i:])
		i += size
	}
	return dst
}

// appendVisibleRune appends the first character of s, which is not empty, and returns its size in bytes.
func appendVisibleRune(dst []byte, s string) ([]byte, int) {
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case r == utf8.RuneError && size == 1:
		return append(dst, '\\', 'x', hexDigits[s[0]>>4], hexDigits[s[0]&15]), 1
	case unicode.IsPrint(r):
		return append(dst, s[:size]...), size
	case r == '\n':
		return append(dst, '\\', 'n'), size
	case r == '\r':
		return append(dst, '\\', 'r'), size
	case r == '\t':
		return append(dst, '\\', 't'), size
	case r < 0x80:
		return append(dst, '\\', 'x', hexDigits[r>>4], hexDigits[r&15]), size
	}
	kind, digits := byte('u'), 4
	if r > 0xffff {
		kind, digits = 'U', 8
	}
	dst = append(dst, '\\', kind)
	for shift := (digits - 1) * 4; shift >= 0; shift -= 4 {
		dst = append(dst, hexDigits[r>>shift&15])
	}
	return dst, size
}

// AppendFitted appends s made visible, in at most width columns: what is longer loses its end to ellipsis. It returns
// the columns used.
func AppendFitted(dst []byte, s string, width int, ellipsis string) (out []byte, used int) {
	if width < Width(ellipsis) {
		ellipsis = ""
	}
	cutAt, cutUsed := len(dst), 0 // where the ellipsis would stand
	room := width - Width(ellipsis)
	for i := 0; i < len(s); {
		start := len(dst)
		size := 0
		dst, size = appendVisibleRune(dst, s[i:])
		i += size
		used += Width(string(dst[start:]))
		if used <= room {
			cutAt, cutUsed = len(dst), used
		}
		if used > width {
			return append(dst[:cutAt], ellipsis...), cutUsed + Width(ellipsis)
		}
	}
	return dst, used
}

// CutMiddle is s, a target that is visible, in at most width columns: what is longer has ellipsis for its middle. A port at
// its end stays. Of a name the rest is its beginning, which tells the hosts of one domain from each other; of an IPv6
// address, where both ends do, half is its end.
func CutMiddle(s string, width int, ellipsis string) string {
	if Width(s) <= width {
		return s
	}
	room := width - Width(ellipsis)
	if room < 2 {
		ellipsis, room = "", width
	}
	const port = len(":65535")
	tailMost := max(room/2, port)
	if at := strings.LastIndexByte(s, ':'); at >= 0 && s[0] != '[' && len(s)-at <= port {
		tailMost = len(s) - at
	}
	most := room - min(tailMost, room) // columns of the head
	head, used := 0, 0
	for i, r := range s {
		w := Width(string(r))
		if head = i; used+w > most {
			break
		}
		used += w
	}
	tail := len(s)
	for tail > head {
		r, size := utf8.DecodeLastRuneInString(s[:tail])
		if used += Width(string(r)); used > room {
			break
		}
		tail -= size
	}
	return s[:head] + ellipsis + s[tail:]
}

// Width is how many columns a terminal gives to s, which is visible. Characters that join the one before them
// count as one, so the result may be too large for some scripts, never too small by much.
func Width(s string) int {
	n := 0
	for _, r := range s {
		n++
		if isWide(r) {
			n++
		}
	}
	return n
}

// isWide reports whether a terminal gives two columns to r: the wide and full-width blocks of Unicode (UAX #11).
func isWide(r rune) bool {
	return r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 || r >= 0xf900 && r <= 0xfaff ||
		r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 || r >= 0xffe0 && r <= 0xffe6 || r >= 0x1f300 && r <= 0x1faff ||
		r >= 0x20000 && r <= 0x3fffd)
}

// AppendSpaces appends n spaces, none if n is below zero.
func AppendSpaces(dst []byte, n int) []byte {
	for ; n > 0; n-- {
		dst = append(dst, ' ')
	}
	return dst
}
