package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testFlags are a flag of each sort.
func testFlags() []flagSpec {
	return []flagSpec{
		{name: "rate", short: "r", arg: "N", help: "a rate"},
		{name: "send", arg: "TEXT", help: "a text"},
		{name: "quiet", short: "q"},
		{name: "verbose", short: "v"},
		{name: "tls", later: true},
		{name: "sni", arg: "X", later: true},
	}
}

func TestReorder(t *testing.T) {
	tests := []struct {
		name string
		args string // space between arguments
		want string
	}{
		{"nothing", "", "--"},
		{"words only", "a b", "-- a b"},
		{"flags behind words", "a -r 5 b --quiet", "--rate=5 --quiet -- a b"},
		{"inline values", "--rate=5 --send=--x=y", "--rate=5 --send=--x=y --"},
		{"empty value", "--send= a", "--send= -- a"},
		{"attached", "-r5k", "--rate=5k --"},
		{"attached with equals", "-r=5k", "--rate=5k --"},
		{"switches together", "-qv a", "--quiet --verbose -- a"},
		{"switches and a value", "-qvr 5 a", "--quiet --verbose --rate=5 -- a"},
		{"switches and an attached value", "-qr5 a", "--quiet --rate=5 -- a"},
		{"switch with a value", "--quiet=false -q=false", "--quiet=false --quiet=false --"},
		{"order is kept", "--rate 1 x --rate 2", "--rate=1 --rate=2 -- x"},
		{"end of flags", "-q -- --rate -q", "--quiet -- --rate -q"},
		{"a dash is a word", "- -q", "--quiet -- -"},
		{"a dash is a value", "--send -", "--send=- --"},
		{"a value that only looks like a flag", "--send -5 --rate --x", "--send=-5 --rate=--x --"},
		{"a later switch", "--tls a", "--tls -- a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := reorder(strings.Fields(tt.args), testFlags())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("arguments differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReorderRefuses(t *testing.T) {
	tests := []struct {
		name, args string
		text, hint string
	}{
		{"unknown", "--nothing-like-it", "unknown flag --nothing-like-it", ""},
		{"near", "--quite", "unknown flag --quite", "did you mean --quiet?"},
		{"beginning", "--verb", "unknown flag --verb", "did you mean --verbose?"},
		{"unknown with a value", "--rat=5", "unknown flag --rat", "did you mean --rate?"},
		{"unknown letter", "-x", "unknown flag -x", ""},
		{"unknown letter among switches", "-qx", "unknown flag -x", ""},
		{"not ASCII", "-é", "unknown flag -é", ""},
		{"one dash", "-rate", "unknown flag -rate", "long flags take two dashes: --rate"},
		{"one dash and a value", "-rate=5", "unknown flag -rate", "long flags take two dashes: --rate"},
		{"no value", "--rate", "--rate wants a value: --rate N, a rate", ""},
		{"no value for a letter", "-qr", "-r wants a value: --rate N, a rate", ""},
		{"a flag for a value", "--rate -q", "--rate wants a value: --rate N, a rate",
			"what follows is the flag -q; if it is meant as the value, write --rate=-q"},
		{"the end of flags for a value", "--rate -- x", "--rate wants a value: --rate N, a rate",
			"what follows is the flag --; if it is meant as the value, write --rate=--"},
		{"a later flag without its value", "--sni", "--sni is not built yet in this version of sonde", notYetHint},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := reorder(strings.Fields(tt.args), testFlags())
			var usage *usageError
			if !errors.As(err, &usage) {
				t.Fatalf("error: got %v, want a usageError", err)
			}
			if usage.text != tt.text || usage.hint != tt.hint {
				t.Errorf("got %q, hint %q, want %q, hint %q", usage.text, usage.hint, tt.text, tt.hint)
			}
		})
	}
}
