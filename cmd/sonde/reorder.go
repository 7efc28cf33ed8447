package main

import (
	"fmt"
	"slices"
	"strings"
)

// reorder brings the arguments of a command into the one form that package flag reads: every flag as --name=value, a "--",
// then the rest in its order. Flags may so stand before and after targets. It knows
//
//	--name=value   --name value   --switch   --switch=false
//	-n value   -nvalue   -n=value   -s   -sn value (switches together, the last may take a value)
//
// and "-" alone is a word like any other. Everything after "--" is.
func reorder(args []string, specs []flagSpec) ([]string, error) {
	r := reorderer{specs: specs}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		var err error
		switch {
		case arg == "--":
			r.words = append(r.words, args...)
			args = nil
		case strings.HasPrefix(arg, "--"):
			args, err = r.long(arg[2:], args)
		case len(arg) > 1 && arg[0] == '-':
			args, err = r.short(arg[1:], args)
		default:
			r.words = append(r.words, arg)
		}
		if err != nil {
			return nil, err
		}
	}
	return append(append(r.flags, "--"), r.words...), nil
}

type reorderer struct {
	specs []flagSpec
	flags []string
	words []string
}

// long takes the flag --text and its value, and returns the arguments that are left.
func (r *reorderer) long(text string, args []string) ([]string, error) {
	name, value, inline := strings.Cut(text, "=")
	spec := r.byName(name)
	if spec == nil {
		return nil, r.unknown("--"+name, name)
	}
	return r.take(spec, "--"+name, value, inline, args)
}

// short takes the flags -text: switches, and at the end perhaps one with a value.
func (r *reorderer) short(text string, args []string) ([]string, error) {
	if name, _, _ := strings.Cut(text, "="); len(name) > 1 && r.byName(name) != nil {
		// -rate is -r with the value "ate" by the book. Nobody means that.
		return nil, &usageError{text: "unknown flag -" + name, hint: "long flags take two dashes: --" + name}
	}
	for i, letter := range text {
		spec := r.byLetter(string(letter))
		if spec == nil {
			return nil, r.unknown("-"+string(letter), text)
		}
		rest := text[i+len(string(letter)):]
		if !spec.isSwitch() || strings.HasPrefix(rest, "=") {
			value, equals := strings.CutPrefix(rest, "=")
			return r.take(spec, "-"+spec.short, value, equals || rest != "", args)
		}
		r.flags = append(r.flags, "--"+spec.name)
	}
	return args, nil
}

// take stores a flag with its value, which is inline or the next argument.
func (r *reorderer) take(spec *flagSpec, as, value string, inline bool, args []string) ([]string, error) {
	switch {
	case inline:
		r.flags = append(r.flags, "--"+spec.name+"="+value)
	case spec.isSwitch():
		r.flags = append(r.flags, "--"+spec.name)
	case spec.later:
		return nil, notYet("--" + spec.name)
	case len(args) == 0:
		return nil, &usageError{text: fmt.Sprintf("%s wants a value: %s", as, valueForm(spec))}
	case r.isFlag(args[0]):
		return nil, &usageError{
			text: fmt.Sprintf("%s wants a value: %s", as, valueForm(spec)),
			hint: fmt.Sprintf("what follows is the flag %s; if it is meant as the value, write --%s=%s", args[0], spec.name, args[0]),
		}
	default:
		r.flags = append(r.flags, "--"+spec.name+"="+args[0])
		args = args[1:]
	}
	return args, nil
}

// valueForm is a flag with what its value stands for, and what it does.
func valueForm(spec *flagSpec) string {
	return fmt.Sprintf("--%s %s, %s", spec.name, spec.arg, spec.help)
}

// isFlag reports whether an argument is exactly a flag that there is.
func (r *reorderer) isFlag(arg string) bool {
	if name, ok := strings.CutPrefix(arg, "--"); ok {
		name, _, _ = strings.Cut(name, "=")
		return name == "" || r.byName(name) != nil
	}
	letter, ok := strings.CutPrefix(arg, "-")
	return ok && r.byLetter(letter) != nil
}

func (r *reorderer) byName(name string) *flagSpec {
	for i := range r.specs {
		if r.specs[i].name == name {
			return &r.specs[i]
		}
	}
	return nil
}

func (r *reorderer) byLetter(letter string) *flagSpec {
	for i := range r.specs {
		if letter != "" && r.specs[i].short == letter {
			return &r.specs[i]
		}
	}
	return nil
}

// unknown is the error for a flag that is not there. word is what is likely meant by it.
func (r *reorderer) unknown(as, word string) error {
	var names []string
	for i := range r.specs {
		if !r.specs[i].hidden {
			names = append(names, r.specs[i].name)
		}
	}
	e := &usageError{text: "unknown flag " + as}
	for i := range r.specs {
		if slices.Contains(r.specs[i].aka, word) {
			e.hint = didYouMean("--" + r.specs[i].name)
			return e
		}
	}
	if near := nearest(word, names); near != "" {
		e.hint = didYouMean("--" + near)
	}
	return e
}
