package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Error is one thing that is wrong with a file.
type Error struct {
	File         string
	Line, Column int    // counted from 1; 0 if it is the whole file
	Text         string // what is wrong; without secrets, and with nothing in it that could steer a terminal
	Hint         string // how to mend it; may be empty
}

// Error says where it is, what is wrong and how to mend it, in one line.
func (e Error) Error() string {
	text := e.File
	if e.Line > 0 {
		text = fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Column)
	}
	text += ": " + e.Text
	if e.Hint != "" {
		text += " (hint: " + e.Hint + ")"
	}
	return text
}

// Errors are all that was found wrong with a file, in its order; at least one.
type Errors []Error

// Error has a line for each.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// maxErrors is how many are told: a file in which more is wrong is another kind of file.
const maxErrors = 50

// Warning is what an operator should know of a file that was taken.
type Warning struct {
	Line, Column int
	Module       string // that it is about; empty: none
	Disables     bool   // the module can't be run
	Text         string // with the key that it is about
}

// String is the warning in one line.
func (w Warning) String() string {
	if w.Module == "" {
		return fmt.Sprintf("line %d: %s", w.Line, w.Text)
	}
	state := ""
	if w.Disables {
		state = " is disabled"
	}
	return fmt.Sprintf("line %d: module %q%s: %s", w.Line, w.Module, state, w.Text)
}

// place is where something stands in the file; zero: nowhere.
type place struct{ line, column int }

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.line, q.line), cmp.Compare(p.column, q.column))
}

// fail notes an error.
func (r *reader) fail(at place, hint, format string, args ...any) {
	text := printable(fmt.Sprintf(format, args...))
	r.errs = append(r.errs, Error{File: r.file, Line: at.line, Column: at.column, Text: text, Hint: printable(hint)})
}

// printable puts a question mark in place of what could steer a terminal.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, text)
}

// sorted are the errors so far in the file's order, no two of them the same: what an alias repeats is told once.
func (r *reader) sorted() Errors {
	slices.SortStableFunc(r.errs, func(a, b Error) int { return place{a.Line, a.Column}.compare(place{b.Line, b.Column}) })
	errs := slices.Compact(r.errs)
	if more := len(errs) - maxErrors; more > 0 {
		errs = append(errs[:maxErrors:maxErrors], Error{File: r.file, Text: fmt.Sprintf("%d more errors", more)})
	}
	return errs
}
