package main

import (
	"io"
	"regexp"
	"slices"
	"testing"
)

// TestBenchHelpNamesOwnFlags reads the help of each load: flags that it takes over from scan say nothing of those that it does not.
func TestBenchHelpNamesOwnFlags(t *testing.T) {
	p := newProgram(nil, io.Discard, io.Discard)
	for _, c := range newBenchCommand(p).subs {
		flags := p.allFlags(c)
		for _, match := range regexp.MustCompile(`--([a-z][a-z0-9-]+)`).FindAllStringSubmatch(p.helpOf(c), -1) {
			if !slices.ContainsFunc(flags, func(f flagSpec) bool { return f.name == match[1] }) {
				t.Errorf("the help of bench %s names %s, which it does not have", c.name, match[0])
			}
		}
	}
}
