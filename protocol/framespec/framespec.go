// Package framespec turns a line of text, the value of --frame, into a frame parser, so that a binary or text protocol
// can be probed without a line of Go:
//
//	line                                                          lines ended by LF or CRLF
//	line:max=1024                                                 the same, at most 1024 bytes each
//	delim:\r\n.\r\n                                               frames ended by these bytes; escapes as in Unescape
//	fixed:size=16                                                 frames of 16 bytes
//	len:offset=0,size=4,order=be,adjust=0,max=65536,strip=0       frames with their length inside; all keys shown
//	                                                              with their defaults
//
// What the keys mean is told by the packages line, delim, fixed and lengthfield, whose parsers it makes.
package framespec

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"sonde/protocol"
	"sonde/protocol/delim"
	"sonde/protocol/fixed"
	"sonde/protocol/lengthfield"
	"sonde/protocol/line"
)

// Error says what is wrong with a spec or an escaped text.
type Error struct {
	// At is the character, counted from 1, at which it is wrong; 0 if the whole makes no sense together.
	At int
	// Reason is what is wrong, in lower case.
	Reason string
	// Hint is how to mend it; may be empty.
	Hint string
}

// Error implements error.
func (e *Error) Error() string {
	text := e.Reason
	if e.At > 0 {
		text = fmt.Sprintf("character %d: %s", e.At, e.Reason)
	}
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// kind is the first word of a spec.
type kind struct {
	name    string
	example string
	// parse reads what stands behind the colon in s, from byte at on. at is len(s) if there is no colon.
	parse func(s string, at int) (func() protocol.FrameParser, error)
}

var kinds = []kind{
	{"line", "line or line:max=1024", parseLine},
	{"delim", `delim:\r\n`, parseDelim},
	{"fixed", "fixed:size=16", parseFixed},
	{"len", "len:offset=0,size=4,order=be", parseLen},
}

// Parse returns a function that makes parsers of the format s. The function may be called from many goroutines. An error
// is an *Error.
func Parse(s string) (newParser func() protocol.FrameParser, err error) {
	name, _, found := strings.Cut(s, ":")
	at := len(name)
	if found {
		at++
	}
	for _, k := range kinds {
		if k.name == name {
			return k.parse(s, at)
		}
	}
	return nil, &Error{At: 1, Reason: fmt.Sprintf("unknown kind of frame %q", name), Hint: kindHint(name)}
}

func kindHint(name string) string {
	var names, examples []string
	for _, k := range kinds {
		names = append(names, k.name)
		examples = append(examples, k.example)
	}
	list := "write " + strings.Join(examples, ", ")
	if near := nearest(name, names); near != "" {
		return fmt.Sprintf("did you mean %q? %s", near, list)
	}
	return list
}

func parseLine(s string, at int) (func() protocol.FrameParser, error) {
	var o line.Options
	keys := []key{size("max", &o.Max)}
	if err := parseKeys(s, at, keys); err != nil {
		return nil, err
	}
	if err := o.Validate(); err != nil {
		return nil, &Error{Reason: err.Error()}
	}
	return func() protocol.FrameParser { return line.New(o) }, nil
}

func parseDelim(s string, at int) (func() protocol.FrameParser, error) {
	delimiter, err := unescapeFrom(s, at)
	if err != nil {
		return nil, err
	}
	o := delim.Options{Delimiter: delimiter}
	if err := o.Validate(); err != nil {
		return nil, &Error{At: column(s, at), Reason: err.Error(), Hint: `write delim:TEXT, for example delim:\r\n`}
	}
	return func() protocol.FrameParser { return delim.New(o) }, nil
}

func parseFixed(s string, at int) (func() protocol.FrameParser, error) {
	var o fixed.Options
	keys := []key{size("size", &o.Size)}
	if err := parseKeys(s, at, keys); err != nil {
		return nil, err
	}
	if !keys[0].seen {
		return nil, &Error{At: column(s, at), Reason: "the size is missing", Hint: "write fixed:size=N"}
	}
	if err := o.Validate(); err != nil {
		return nil, &Error{Reason: err.Error()}
	}
	return func() protocol.FrameParser { return fixed.New(o) }, nil
}

func parseLen(s string, at int) (func() protocol.FrameParser, error) {
	var o lengthfield.Options
	keys := []key{
		number("offset", &o.Offset), size("size", &o.Size), order("order", &o.LittleEndian),
		number("adjust", &o.Adjust), size("max", &o.Max), number("strip", &o.Strip),
	}
	if err := parseKeys(s, at, keys); err != nil {
		return nil, err
	}
	if err := o.Validate(); err != nil {
		return nil, &Error{Reason: err.Error()}
	}
	return func() protocol.FrameParser { return lengthfield.New(o) }, nil
}

// key is one name=value of a spec.
type key struct {
	name string
	set  func(value string) error
	seen bool
}

func number(name string, to *int) key {
	return key{name: name, set: func(value string) error {
		n, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("%s=%s: want a whole number", name, value)
		}
		*to = n
		return nil
	}}
}

// size is a number that can't be 0: to the parsers' Options a 0 is the default, but whoever writes one means something
// else.
func size(name string, to *int) key {
	k := number(name, to)
	set := k.set
	k.set = func(value string) error {
		if err := set(value); err != nil {
			return err
		}
		if *to == 0 {
			return fmt.Errorf("%s=%s: want at least 1", name, value)
		}
		return nil
	}
	return k
}

func order(name string, little *bool) key {
	return key{name: name, set: func(value string) error {
		if value != "be" && value != "le" {
			return fmt.Errorf("%s=%s: want be (the first byte is the highest) or le", name, value)
		}
		*little = value == "le"
		return nil
	}}
}

// parseKeys reads "name=value,name=value" in s from byte at on. Nothing at all is fine.
func parseKeys(s string, at int, keys []key) error {
	if at == len(s) {
		return nil
	}
	for _, part := range strings.Split(s[at:], ",") {
		if reason, hint := setKey(part, keys); reason != "" {
			return &Error{At: column(s, at), Reason: reason, Hint: hint}
		}
		at += len(part) + len(",")
	}
	return nil
}

// setKey takes one "name=value". It returns an empty reason if all is well.
func setKey(part string, keys []key) (reason, hint string) {
	name, value, found := strings.Cut(part, "=")
	var names []string
	for i := range keys {
		k := &keys[i]
		names = append(names, k.name)
		switch {
		case k.name != name:
			continue
		case !found || value == "":
			return fmt.Sprintf("%s has no value", name), fmt.Sprintf("write %s=VALUE", name)
		case k.seen:
			return fmt.Sprintf("%s is given twice", name), "leave one out"
		}
		k.seen = true
		if err := k.set(value); err != nil {
			return err.Error(), ""
		}
		return "", ""
	}
	hint = "the keys are " + strings.Join(names, ", ")
	if near := nearest(name, names); near != "" {
		hint = fmt.Sprintf("did you mean %q? %s", near, hint)
	}
	return fmt.Sprintf("unknown key %q", name), hint
}

// column turns a byte offset in s into a character position as a person counts it.
func column(s string, at int) int { return utf8.RuneCountInString(s[:at]) + 1 }

// nearest returns the candidate that is at most two typing slips away from word and nearest to it, or "".
func nearest(word string, candidates []string) string {
	best, found := 3, ""
	for _, c := range candidates {
		if d := distance(word, c); d < best && d < len(c) {
			best, found = d, c
		}
	}
	return found
}

// distance is the Levenshtein distance of a and b in bytes: how many insertions, deletions and changes lie between them.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
