package http

import (
	"bytes"
	"io"
	"regexp"
	"unicode/utf8"
)

// matcher holds a text that comes in parts against an expression, as [regexp.Regexp.Match] does a whole one. It keeps nothing of it,
// and its time is spread over the parts.
type matcher struct {
	feed
	matched bool
}

func newMatcher(r *regexp.Regexp) *matcher {
	m := &matcher{}
	m.begin(func() {
		if text, isAll := r.LiteralPrefix(); isAll {
			m.matched = m.contains([]byte(text)) // fifty times as fast
		} else {
			m.matched = r.MatchReader(m)
		}
	})
	return m
}

// contains reports whether text comes. The coroutine calls it.
func (m *matcher) contains(text []byte) bool {
	for m.await(len(text)) {
		if bytes.Contains(m.part, text) {
			return true
		}
		m.part = m.part[len(m.part)-len(text)+1:] // what it may begin with
	}
	return false
}

// ReadRune implements [io.RuneReader] for the coroutine. As with Match, a byte that is not UTF-8 is U+FFFD.
func (m *matcher) ReadRune() (r rune, size int, err error) {
	if !m.await(1) {
		return 0, 0, io.EOF
	}
	if r, size = rune(m.part[0]), 1; r >= utf8.RuneSelf {
		for !utf8.FullRune(m.part) && m.await(len(m.part)+1) {
		}
		r, size = utf8.DecodeRune(m.part)
	}
	m.part = m.part[size:]
	return r, size, nil
}
