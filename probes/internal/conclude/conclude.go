// Package conclude holds what the probes' exchanges have in common: what the end of a connection says about a peer that
// had not answered in full, and how a finding keeps what was heard.
package conclude

import (
	"errors"
	"strings"
	"unicode/utf8"

	"sonde/internal/jsonappend"
	"sonde/protocol"
)

// Limits on what a finding keeps of a peer's bytes: enough for a person to see what it was, little enough that a million
// records stay small.
const (
	// MaxText is the most bytes of one text.
	MaxText = 1024
	// MaxReceived is the most bytes of an answer that was not understood.
	MaxReceived = 512
	// maxQuoted is the most bytes of a text that a reason quotes.
	maxQuoted = 200
)

// Ended returns the verdict on an exchange that ended while it waited for what ("the greeting"), and the reason. err is
// that of OnEnd.
func Ended(end protocol.End, err error, what string) (protocol.Verdict, string) {
	switch end {
	case protocol.EndOfStream:
		return protocol.Closed, "closed before " + what
	case protocol.EndReset:
		return protocol.Unfinished, "reset before " + what
	case protocol.EndCancelled:
		return protocol.Unfinished, "cancelled before " + what
	case protocol.EndMalformed:
		return protocol.NotSpoken, reasonOf(err)
	case protocol.EndTooLarge:
		return protocol.OverLimit, reasonOf(err)
	}
	return protocol.Unfinished, "no end of " + strings.TrimPrefix(what, "the end of ") + " in time"
}

func reasonOf(err error) string {
	var m *protocol.MalformedError
	switch {
	case errors.As(err, &m):
		return "not " + m.Format + ": " + m.Reason
	case err != nil:
		return err.Error()
	}
	return protocol.ErrTooLarge.Error()
}

// Text copies what a peer sent, cut to MaxText bytes.
func Text(b []byte) string { return Clip(b, MaxText) }

// Received copies the first MaxReceived bytes of what was not understood.
func Received(b []byte) string { return Clip(b, MaxReceived) }

// Quote makes a peer's text fit for a reason: one line, without control characters, cut to 200 bytes.
func Quote(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
	return Clip([]byte(strings.TrimSpace(text)), maxQuoted)
}

// Clip copies b, cut to limit bytes; a UTF-8 character is not cut in two.
func Clip(b []byte, limit int) string {
	if len(b) <= limit {
		return string(b)
	}
	end := limit
	for end > limit-utf8.UTFMax && !utf8.RuneStart(b[end]) {
		end--
	}
	if !utf8.RuneStart(b[end]) {
		end = limit // not UTF-8
	}
	return string(b[:end])
}

// AddText adds a member with a peer's text if there is any; see [jsonappend.Object.Bytes] for text that is not UTF-8.
func AddText(o *jsonappend.Object, name, text string) {
	if text != "" {
		o.Bytes(name, []byte(text))
	}
}
