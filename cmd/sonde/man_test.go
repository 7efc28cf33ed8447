package main

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// output is what sonde writes to stdout for args.
func output(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr strings.Builder
	if code := Run(context.Background(), args, strings.NewReader(""), &stdout, &stderr); code != exitDone {
		t.Fatalf("sonde %s: exit code %d\n%s", strings.Join(args, " "), code, &stderr)
	}
	return stdout.String()
}

// docs/sonde.1 is what `make man` writes.
func TestManualIsKept(t *testing.T) {
	kept, err := os.ReadFile("../../docs/sonde.1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(kept), output(t, "man")); diff != "" {
		t.Errorf("docs/sonde.1 is not that of this source, run make man (-kept +new):\n%s", diff)
	}
}

// Nothing in a text of ours is a request to roff.
func TestRoffEscape(t *testing.T) {
	tests := []struct{ text, want string }{
		{"--rate", `\-\-rate`},
		{`\r`, `\er`},
		{".text", `\&.text`},
		{"'text'", `\(aqtext\(aq`},
		{"run `sonde -x` now", `run \fBsonde \-x\fR now`},
	}
	for _, tt := range tests {
		if got := roffEscape(tt.text); got != tt.want {
			t.Errorf("roffEscape(%q): got %q, want %q", tt.text, got, tt.want)
		}
	}
}

// Each flag is complete and unique: help, manual and completion are made of nothing else.
func TestFlagTables(t *testing.T) {
	p := newProgram(nil, io.Discard, io.Discard)
	for _, c := range everyCommand(p.commands) {
		seen := map[string]bool{}
		specs := p.allFlags(c)
		for i := range specs {
			f := &specs[i]
			for _, name := range []string{f.name, f.short} {
				if name != "" && seen[name] {
					t.Errorf("%s: two flags are called %s", c.path(), name)
				}
				seen[name] = true
			}
			switch {
			case f.later:
				if f.set != nil || f.help != "" {
					t.Errorf("%s --%s: a flag of a later version does something", c.path(), f.name)
				}
			case f.set == nil || f.help == "" || f.group == "":
				t.Errorf("%s --%s: without set, help or group", c.path(), f.name)
			case strings.HasSuffix(f.help, ".") || len(f.short) > 1:
				t.Errorf("%s --%s: help ends in a full stop, or the short name is long", c.path(), f.name)
			}
		}
	}
}
