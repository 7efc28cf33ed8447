package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// command is one command, or a group of them: what help, the manual and completion say of it, and what it does.
type command struct {
	name     string
	parent   *command   // the group that it is in, nil at the top
	subs     []*command // makes it a group: sonde NAME SUB; it has then neither flags nor run
	summary  string     // one line, lower case, no full stop
	usage    string     // what stands behind the name: "[flags] [TARGET ...]"
	about    []string
	examples []example
	flags    []flagSpec
	words    []string // what completion offers as arguments
	files    bool     // completion offers files as arguments
	hidden   bool     // works, and is absent from help, manual and completion
	run      func(ctx context.Context, args []string) error
}

// adopt tells each command of a group, on all levels, which group that is.
func adopt(commands []*command) {
	for _, c := range commands {
		for _, sub := range c.subs {
			sub.parent = c
		}
		adopt(c.subs)
	}
}

// path is the command as it is called: "sonde bench hold".
func (c *command) path() string {
	if c.parent != nil {
		return c.parent.path() + " " + c.name
	}
	return "sonde " + c.name
}

// listed reports whether help, manual and completion know the command.
func (c *command) listed() bool { return !c.hidden }

// example is a command line and what it is good for.
type example struct{ line, doc string }

// listed are those of commands that help lists.
func listed(commands []*command) []*command {
	var list []*command
	for _, c := range commands {
		if c.listed() {
			list = append(list, c)
		}
	}
	return list
}

// everyCommand are the listed commands of all levels, a group before what is in it.
func everyCommand(commands []*command) []*command {
	var list []*command
	for _, c := range listed(commands) {
		list = append(append(list, c), everyCommand(c.subs)...)
	}
	return list
}

// choose finds the command that words begin with, and returns it with the words behind its name. `sonde help bench hold` is
// `sonde bench hold --help`.
func (p *program) choose(words []string) (*command, []string, error) {
	if words[0] != "help" {
		return p.find(words)
	}
	if len(words) == 1 {
		return &command{name: "help", run: func(context.Context, []string) error { return p.print(p.overview()) }}, nil, nil
	}
	c, _, err := p.find(words[1:])
	return c, []string{"--help"}, err
}

// find walks from the program's commands down to the one that words name. Between a group and its command the flags that
// every command has may stand.
func (p *program) find(words []string) (*command, []string, error) {
	among, within := p.commands, (*command)(nil)
	var before []string
	for {
		at := slices.IndexFunc(among, func(c *command) bool { return c.name == words[0] })
		if at < 0 {
			return nil, nil, p.noCommand(words[0], within)
		}
		c := among[at]
		words = words[1:]
		next := slices.IndexFunc(words, func(w string) bool { return !strings.HasPrefix(w, "-") })
		if len(c.subs) == 0 || next < 0 {
			return c, slices.Concat(before, words), nil
		}
		// Refuses what is no such flag: its value would be taken for the command.
		if _, err := reorder(words[:next], p.commonFlags()); err != nil {
			var usage *usageError
			if errors.As(err, &usage) && usage.hint == "" {
				usage.hint = "the flags of a command stand behind its name: " + c.path() + " COMMAND [flags]"
			}
			return nil, nil, err
		}
		before = append(before, words[:next]...)
		among, within, words = c.subs, c, words[next:]
	}
}

// noCommand is the error for a name that no command has, of a group or, if that is nil, at the top.
func (p *program) noCommand(name string, within *command) error {
	prefix, among := "sonde", p.commands
	if within != nil {
		prefix, among = within.path(), within.subs
	}
	e := &usageError{text: "there is no command " + quoteWord(name)}
	if within != nil {
		e.text = fmt.Sprintf("%s has no command %s", prefix, quoteWord(name))
	}
	var names []string
	for _, c := range among {
		if !c.hidden {
			names = append(names, c.name)
		}
		for _, sub := range c.subs {
			if sub.name == name {
				e.hint = didYouMean(sub.path())
				return e
			}
		}
	}
	switch near := nearest(name, names); {
	case near != "":
		e.hint = didYouMean(prefix + " " + near)
	case within == nil && strings.ContainsAny(name, ".:/"):
		e.hint = "to probe it: sonde scan " + name
	default:
		e.hint = prefix + " --help lists the commands"
	}
	return e
}
