package main

import (
	"context"
	"fmt"
	"strings"
)

func newManCommand(p *program) *command {
	return &command{
		name: "man", summary: "print the manual page",
		about:    []string{"It is roff, for man(1): `sonde man | man -l -` shows it, and `sonde man > /usr/local/share/man/man1/sonde.1` installs it."},
		examples: []example{{"sonde man | man -l -", "read it"}},
		run: func(_ context.Context, args []string) error {
			if err := noArguments("man", args); err != nil {
				return err
			}
			return p.print(p.manual())
		},
	}
}

// manual is the manual page in the macros of man(7). It tells no version, so that it changes only with what it describes.
func (p *program) manual() string {
	m := &roff{}
	m.macro(".TH SONDE 1")
	m.section("NAME")
	m.text("sonde - probe many TCP services at once")
	m.section("SYNOPSIS")
	for i, c := range everyCommand(p.commands) {
		if len(c.subs) > 0 {
			continue // it does nothing by itself
		}
		if i > 0 {
			m.macro(".br")
		}
		m.bold(c.path())
		if c.usage != "" {
			m.text(c.usage)
		}
	}
	m.section("DESCRIPTION")
	for _, text := range manDescription {
		m.paragraph(text)
	}
	for _, c := range everyCommand(p.commands) {
		m.command(c, p.listedFlags(c))
	}
	m.section("TARGETS")
	m.paragraph("An entry on the command line or a line of a file is one of these:")
	m.list(manTargets)
	for _, text := range manTargetRules {
		m.paragraph(text)
	}
	m.section("RECORDS")
	for _, text := range manRecords {
		m.paragraph(text)
	}
	m.list(manStatuses)
	m.section("SIGNALS")
	m.list(manSignals)
	m.section("EXIT STATUS")
	m.list(manExits)
	m.section("FILES")
	m.list(manFiles)
	m.section("ENVIRONMENT")
	m.list(manEnvironment)
	m.section("NOT YET")
	m.paragraph(p.laterText())
	m.section("SEE ALSO")
	m.paragraph("tcp(7), connect(2), getrlimit(2), ip(7), systemd.service(5); the files docs/records.md, docs/bench.md, docs/watch.md, " +
		"docs/watch-config.md, docs/metrics.md, docs/watch-events.md, docs/otlp.md and docs/glossary.md of the source.")
	return m.b.String()
}

// laterText names what is in the contract and not built.
func (p *program) laterText() string {
	var flags []string
	for _, c := range p.commands {
		for i := range c.flags {
			if c.flags[i].later {
				flags = append(flags, "--"+c.flags[i].name)
			}
		}
	}
	return fmt.Sprintf("Planned and not built: of scan the flag %s. Giving it is an error (exit code 2); it is not taken and ignored.",
		strings.Join(flags, ", "))
}

// roff writes a manual page.
type roff struct{ b strings.Builder }

func (m *roff) macro(line string)   { m.b.WriteString(line + "\n") }
func (m *roff) section(name string) { m.macro(".SH " + name) }

// text writes a line that is no request.
func (m *roff) text(text string) { m.macro(roffEscape(text)) }

func (m *roff) bold(text string) { m.macro(`\fB` + roffEscape(text) + `\fR`) }

func (m *roff) paragraph(text string) {
	m.macro(".PP")
	m.text(text)
}

// item is a term and what it means.
type item struct{ term, text string }

func (m *roff) list(items []item) {
	for _, i := range items {
		m.macro(".TP")
		m.bold(i.term)
		m.text(i.text)
	}
}

// command writes the section of a command.
func (m *roff) command(c *command, flags []flagSpec) {
	m.section(strings.ToUpper(c.path()))
	m.paragraph(sentence(c.summary))
	for _, text := range c.about {
		m.paragraph(text)
	}
	for _, group := range groupsOf(flags) {
		m.macro(".SS " + roffEscape(group))
		for i := range flags {
			if f := &flags[i]; f.group == group {
				m.flag(f)
			}
		}
	}
	if len(c.examples) == 0 {
		return
	}
	m.macro(".SS Examples")
	for _, e := range c.examples {
		m.macro(".TP")
		m.bold(e.line)
		m.text(sentence(e.doc))
	}
}

func (m *roff) flag(f *flagSpec) {
	m.macro(".TP")
	term := `\fB` + roffEscape("--"+f.name) + `\fR`
	if f.short != "" {
		term = `\fB` + roffEscape("-"+f.short) + `\fR, ` + term
	}
	if f.arg != "" {
		term += ` \fI` + roffEscape(f.arg) + `\fR`
	}
	m.macro(term)
	text := sentence(f.help)
	if f.many {
		text += " May be repeated."
	}
	if f.def != "" {
		text += " Default: " + f.def + "."
	}
	m.text(text)
}

// sentence makes a sentence of text, which has neither capital nor full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	if first := text[:1]; !strings.HasPrefix(text, "http") && !strings.HasPrefix(text, "jsonl") {
		text = strings.ToUpper(first) + text[1:]
	}
	return text + "."
}

// roffEscape makes text stand for itself: no escapes, no request at the start of a line, and hyphens that can be copied.
// What stands in backquotes becomes bold.
func roffEscape(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "~", `\(ti`, "^", `\(ha`).Replace(text)
	for strings.Count(text, "`") >= 2 {
		text = strings.Replace(text, "`", `\fB`, 1)
		text = strings.Replace(text, "`", `\fR`, 1)
	}
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}
