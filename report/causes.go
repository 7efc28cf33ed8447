package report

import (
	"cmp"
	"slices"
	"strings"
)

// Cause is one reason why targets failed: a status and what the records' error texts have in common.
type Cause struct {
	Status  Status
	Side    Side   // of the first record
	Text    string // the error with its names and addresses taken out; empty for the rest, when there are too many texts
	Example string // the first target that failed so
	Count   uint64
}

// Limits of the memory for causes.
const (
	maxCauses   = 256 // texts told apart in all; beyond, a status counts its new texts as one
	maxTextSize = 160 // bytes of a text that are looked at
)

type causeKey struct {
	status Status
	text   string
}

// causes counts failures by status and class of text.
type causes struct {
	byKey map[causeKey]*Cause
	class []byte // scratch
}

func newCauses() causes {
	return causes{byKey: make(map[causeKey]*Cause), class: make([]byte, 0, 2*maxTextSize)}
}

func (c *causes) add(r *Record) { c.addTimes(r, 1) }

func (c *causes) addTimes(r *Record, n uint64) {
	c.class = appendClass(c.class[:0], r.Error)
	cause := c.byKey[causeKey{r.Status, string(c.class)}] // looked up without a copy
	if cause == nil {
		cause = c.open(r)
	}
	cause.Count += n
}

// open returns the cause for a text that has not been seen yet: a new one, or the one for the rest.
func (c *causes) open(r *Record) *Cause {
	key := causeKey{r.Status, string(c.class)}
	if len(c.byKey) >= maxCauses {
		key.text = ""
		if rest := c.byKey[key]; rest != nil {
			return rest
		}
	}
	cause := &Cause{Status: r.Status, Side: r.Side, Text: key.text, Example: strings.Clone(textTarget(r))}
	c.byKey[key] = cause
	return cause
}

// sorted returns copies: the most frequent first, then by status and text, so that equal runs read equal.
func (c *causes) sorted() []Cause {
	list := make([]Cause, 0, len(c.byKey))
	for _, cause := range c.byKey {
		list = append(list, *cause)
	}
	slices.SortFunc(list, func(a, b Cause) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Status, b.Status), strings.Compare(a.Text, b.Text))
	})
	return list
}

// appendClass appends the error text with each word that names one target replaced by an asterisk, so that the failures of
// many targets for one reason count together: "lookup a.example: no such host" becomes "lookup *: no such host". Such a
// word holds a dot or a colon inside it (a name, an address, a port); a number with a unit ("3.5s") stays.
func appendClass(dst []byte, text string) []byte {
	text = text[:min(len(text), maxTextSize)]
	if strings.IndexByte(text, '.') < 0 && strings.IndexByte(text, ':') < 0 { // most texts
		return append(dst, text...)
	}
	for len(text) > 0 {
		word := text
		if i := strings.IndexByte(text, ' '); i >= 0 {
			word = text[:i]
		}
		text = text[len(word):]
		inner := strings.TrimLeft(word, "(\"'")
		core := strings.TrimRight(inner, ".:,;)\"'")
		if namesTarget(core) {
			dst = append(dst, word[:len(word)-len(inner)]...)
			dst = append(dst, '*')
			dst = append(dst, inner[len(core):]...)
		} else {
			dst = append(dst, word...)
		}
		if len(text) > 0 {
			dst = append(dst, ' ')
			text = text[1:]
		}
	}
	return dst
}

// namesTarget reports whether word looks like a host name or an address.
func namesTarget(word string) bool {
	dots := strings.Count(word, ".")
	if strings.IndexByte(word, ':') >= 0 || dots > 1 {
		return true
	}
	return dots == 1 && (word[0] < '0' || word[0] > '9')
}
