package conclude

import (
	"iter"
	"strconv"
)

// Code writes a reply with a code on one line: "the greeting is 554 no service", or "554 no service" without what.
func Code(what string, code int, text string) string {
	if what != "" {
		what += " is "
	}
	return Quote(what + strconv.Itoa(code) + " " + text)
}

// Lines joins the lines of a reply by newlines, cut as [Text] cuts.
func Lines(lines iter.Seq[[]byte]) string {
	var b []byte
	first := true
	for line := range lines {
		if !first {
			b = append(b, '\n')
		}
		first = false
		b = append(b, line...)
		if len(b) > MaxText {
			break
		}
	}
	return Text(b)
}
