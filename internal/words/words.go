// Package words reads what people write on command lines and in files, and says what they may have meant.
package words

import (
	"errors"
	"strings"
	"time"
)

// maxDuration is the longest that is taken: more is a slip, and far below what would overflow.
const maxDuration = 366 * 24 * time.Hour

// ParseDuration reads a length of time above zero: a number with a unit as time.ParseDuration has it, or bare, which is seconds.
func ParseDuration(value string) (time.Duration, error) {
	text := value
	if text != "" && strings.Trim(text, "0123456789.") == "" {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, errors.New("want a length of time: seconds, or a number with a unit as in 500ms, 3.5s, 2m")
	case d <= 0:
		return 0, errors.New("want a length of time above zero")
	case d > maxDuration:
		return 0, errors.New("want a length of time of a year at most")
	}
	return d, nil
}

// Or joins words as in "a, b or c".
func Or(words []string) string { return join(words, " or ") }

// And joins words as in "a, b and c".
func And(words []string) string { return join(words, " and ") }

func join(words []string, last string) string {
	switch n := len(words); n {
	case 0:
		return ""
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + last + words[n-1]
	}
}
