package main

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Widths of help, in columns.
const (
	maxHelpWidth = 100 // longer lines are hard to read
	flagColumn   = 30  // where the text of a flag begins
)

// overview is `sonde --help`.
func (p *program) overview() string {
	h := p.newPage()
	h.line("sonde: probe many TCP services at once, and say of each the truth")
	h.head("Usage")
	h.line("  sonde COMMAND [flags] [arguments]")
	h.commands(p.commands)
	h.head("Examples")
	scan := p.commands[0]
	for _, e := range scan.examples[:3] {
		h.example(e)
	}
	h.line("")
	h.line("`sonde COMMAND --help` tells more, `sonde man | man -l -` all.")
	return h.b.String()
}

// helpOf is `sonde COMMAND --help`.
func (p *program) helpOf(c *command) string {
	h := p.newPage()
	h.line(c.path() + ": " + c.summary)
	h.head("Usage")
	h.line(strings.TrimRight("  "+c.path()+" "+c.usage, " "))
	for _, text := range c.about {
		h.line("")
		h.indented("  ", text)
	}
	if len(c.subs) > 0 {
		h.commands(c.subs)
	}
	if len(c.examples) > 0 {
		h.head("Examples")
		for _, e := range c.examples {
			h.example(e)
		}
	}
	h.flags(p.allFlags(c))
	return h.b.String()
}

// commands lists what is listed of list.
func (h *page) commands(list []*command) {
	h.head("Commands")
	var rows [][]string
	for _, c := range list {
		if c.listed() {
			rows = append(rows, []string{"  " + c.name, c.summary})
		}
	}
	h.b.WriteString(columns(rows))
}

// page is help under construction.
type page struct {
	b     strings.Builder
	width int
	bold  bool
}

func (p *program) newPage() *page {
	return &page{width: min(widthOf(p.stdout), maxHelpWidth), bold: isTerminal(p.stdout) && colorWanted() && !p.noColor}
}

func (h *page) line(text string) { h.b.WriteString(text + "\n") }

func (h *page) head(text string) {
	if h.bold {
		text = sgrBold + text + sgrReset
	}
	h.line("\n" + text)
}

func (h *page) indented(indent, text string) {
	for _, line := range wrap(text, h.width-len(indent)) {
		h.line(indent + line)
	}
}

func (h *page) example(e example) {
	h.line("  " + e.line)
	h.indented("      ", e.doc)
}

// flags lists what is listed of specs, under the headings of their groups.
func (h *page) flags(specs []flagSpec) {
	for _, group := range groupsOf(specs) {
		h.head(group)
		for i := range specs {
			if f := &specs[i]; f.listed() && f.group == group {
				h.flag(f)
			}
		}
	}
}

func (h *page) flag(f *flagSpec) {
	text := f.help
	if f.many {
		text += "; may be repeated"
	}
	if f.def != "" {
		text += " (default: " + f.def + ")"
	}
	left := "  " + f.forms()
	indent := strings.Repeat(" ", flagColumn)
	for _, line := range wrap(text, h.width-flagColumn) {
		if n := utf8.RuneCountInString(left); n+2 > flagColumn {
			h.line(left)
			left = ""
		}
		h.line(left + indent[:flagColumn-utf8.RuneCountInString(left)] + line)
		left = ""
	}
}

// groupsOf names the groups of the listed flags, in the order in which they come.
func groupsOf(specs []flagSpec) []string {
	var groups []string
	for i := range specs {
		if f := &specs[i]; f.listed() && !slices.Contains(groups, f.group) {
			groups = append(groups, f.group)
		}
	}
	return groups
}
