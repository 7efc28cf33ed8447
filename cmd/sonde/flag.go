package main

import (
	"flag"
	"fmt"

	"github.com/urfave/cli/v2"
)

// flagSpec declares one flag, once: parsing, help, the manual and completion all read it.
type flagSpec struct {
	name   string   // the long name, without dashes
	short  string   // one letter without its dash, or ""
	arg    string   // what stands for the value in help, "N"; "" for a switch
	group  string   // the heading under which help lists it
	help   string   // what it does: a sentence without capital and full stop
	def    string   // the default, for a person; "" if there is nothing to tell
	aka    []string // what other tools call it, for the hint to who tries that
	words  []string // the values that completion offers
	files  bool     // the value names a file: completion offers them
	many   bool     // may be given more than once, each adding to what was given before
	later  bool     // part of the contract and not built yet: refused, and absent from help and completion
	hidden bool     // works, and is absent from help and completion: a second name

	// set takes one value, of a switch "true" or "false". Its error says what is allowed; where it stood and what it was is
	// added by the caller.
	set func(value string) error
}

// isSwitch reports whether the flag stands alone.
func (f *flagSpec) isSwitch() bool { return f.arg == "" }

// forms is the flag as help shows it: "-r, --rate N".
func (f *flagSpec) forms() string {
	s := "    --" + f.name
	if f.short != "" {
		s = "-" + f.short + ", --" + f.name
	}
	if f.arg != "" {
		s += " " + f.arg
	}
	return s
}

// listed reports whether help and completion know the flag.
func (f *flagSpec) listed() bool { return !f.later && !f.hidden }

// cliFlag hands the values of a flag from urfave/cli to its flagSpec. Package flag flattens errors to text; the first of
// them is kept in parsed.
type cliFlag struct {
	spec   *flagSpec
	parsed *parsed
}

// parsed is what parsing found out besides the values.
type parsed struct {
	failed error             // the first bad value
	given  map[string]bool   // flags that were given, by their long names
	values map[string]string // the value of each that may be given once
	files  []namedFile       // values that name a file
}

var (
	_ cli.Flag   = (*cliFlag)(nil)
	_ flag.Value = (*cliFlag)(nil)
)

// cliFlags makes flags for urfave/cli from specs.
func cliFlags(specs []flagSpec, p *parsed) []cli.Flag {
	var flags []cli.Flag
	for i := range specs {
		flags = append(flags, &cliFlag{spec: &specs[i], parsed: p})
	}
	return flags
}

// Apply implements cli.Flag.
func (f *cliFlag) Apply(set *flag.FlagSet) error {
	set.Var(f, f.spec.name, f.spec.help)
	return nil
}

// Names implements cli.Flag. Short names are not among them: reorder has replaced them.
func (f *cliFlag) Names() []string { return []string{f.spec.name} }

// IsSet implements cli.Flag.
func (f *cliFlag) IsSet() bool { return f.parsed.given[f.spec.name] }

// IsBoolFlag tells package flag that a switch needs no value.
func (f *cliFlag) IsBoolFlag() bool { return f.spec.isSwitch() }

// String implements cli.Flag and flag.Value.
func (f *cliFlag) String() string {
	if f == nil || f.spec == nil {
		return "" // package flag makes a zero value to learn the default
	}
	return f.spec.forms()
}

// Set implements flag.Value.
func (f *cliFlag) Set(value string) error {
	err := f.once(value)
	if err == nil {
		err = f.take(value)
	}
	f.parsed.given[f.spec.name] = true
	if f.spec.files {
		f.parsed.files = append(f.parsed.files, namedFile{"--" + f.spec.name, value})
	}
	if err != nil && f.parsed.failed == nil {
		f.parsed.failed = err
	}
	return err
}

// once refuses to have a value replaced by another, which would pass the first over in silence. A switch that is given twice
// says the same twice.
func (f *cliFlag) once(value string) error {
	name := f.spec.name
	before, again := f.parsed.values[name]
	switch {
	case f.spec.many:
		return nil
	case again && !f.spec.isSwitch():
		return &usageError{fmt.Sprintf("--%s is given twice, as %s and as %s", name, quoteWord(before), quoteWord(value)), "it takes one value: leave one out"}
	case again && before != value:
		return &usageError{fmt.Sprintf("--%s is given as %s and as %s", name, before, value), "leave one out"}
	}
	if f.parsed.values == nil {
		f.parsed.values = make(map[string]string)
	}
	f.parsed.values[name] = value
	return nil
}

func (f *cliFlag) take(value string) error {
	if f.spec.later {
		return notYet("--" + f.spec.name)
	}
	if err := f.spec.set(value); err != nil {
		if f.spec.isSwitch() {
			return &usageError{text: fmt.Sprintf("--%s=%s: %v", f.spec.name, value, err)}
		}
		return &usageError{text: fmt.Sprintf("--%s %q: %v", f.spec.name, value, err), hint: hintOf(err)}
	}
	return nil
}
