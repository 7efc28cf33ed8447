package builtin

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"sonde/probes"
)

func TestAllIsSortedAndUnique(t *testing.T) {
	names := map[string]bool{}
	schemes := map[string]string{}
	last := ""
	for _, p := range All() {
		a := p.About()
		if names[a.Name] {
			t.Errorf("%s: listed twice", a.Name)
		}
		names[a.Name] = true
		if a.Name < last {
			t.Errorf("%s: listed behind %s", a.Name, last)
		}
		last = a.Name
		for _, scheme := range slices.Concat(a.Schemes, a.TLSSchemes) {
			if other, taken := schemes[scheme]; taken {
				t.Errorf("%s: scheme %s is %s's too", a.Name, scheme, other)
			}
			schemes[scheme] = a.Name
		}
	}
}

func TestFind(t *testing.T) {
	for _, p := range All() {
		name := p.About().Name
		if got, ok := Find(name); !ok || got.About().Name != name {
			t.Errorf("Find(%q): got %v, %t", name, got, ok)
		}
	}
	for _, name := range []string{"", "TCP", "htt", "zzz"} {
		if p, ok := Find(name); ok || p != nil {
			t.Errorf("Find(%q): got %v, %t, want none", name, p, ok)
		}
	}
}

func TestAboutIsComplete(t *testing.T) {
	word := regexp.MustCompile(`^[a-z][a-z0-9]*$`)
	// A member of an object or of a list's entries has the outer name before its own.
	field := regexp.MustCompile(`^[a-z][a-z0-9_]*(\[\])?(\.[a-z][a-z0-9_]*(\[\])?)*$`)
	flag := regexp.MustCompile(`^--[a-z][a-z-]*$`)
	line := func(s string) bool { return s != "" && !strings.HasSuffix(s, ".") && !strings.Contains(s, "\n") }
	anyPort := []string{"banner", "tcp"}
	for _, p := range All() {
		a := p.About()
		t.Run(a.Name, func(t *testing.T) {
			if !word.MatchString(a.Name) {
				t.Errorf("name: got %q, want lower case letters and digits", a.Name)
			}
			if !line(a.Summary) {
				t.Errorf("summary: got %q, want one line without a full stop", a.Summary)
			}
			if own := a.Port != 0; own == slices.Contains(anyPort, a.Name) {
				t.Errorf("port: got %d", a.Port)
			}
			for _, scheme := range slices.Concat(a.Schemes, a.TLSSchemes) {
				if !word.MatchString(scheme) {
					t.Errorf("scheme: got %q", scheme)
				}
			}
			if (a.TLSPort != 0) != (len(a.TLSSchemes) > 0) {
				t.Errorf("over TLS: got port %d and schemes %v, want both or none", a.TLSPort, a.TLSSchemes)
			}
			for _, option := range a.Options {
				if !flag.MatchString(option) {
					t.Errorf("option: got %q, want a flag", option)
				}
			}
			if _, configurable := p.(probes.Configurable); configurable != (len(a.Options) > 0) {
				t.Errorf("options: got %v, but configurable: %t", a.Options, configurable)
			}
			seen := map[string]bool{}
			for _, f := range a.Reports {
				if !field.MatchString(f.Name) || seen[f.Name] {
					t.Errorf("field: got %q, want snake case, once", f.Name)
				}
				seen[f.Name] = true
				if !slices.Contains([]string{"string", "integer", "boolean", "list", "object"}, f.Type) || !line(f.Doc) {
					t.Errorf("field %s: got type %q, doc %q", f.Name, f.Type, f.Doc)
				}
			}
			if len(a.Reports) == 0 && a.Name != "tcp" {
				t.Error("reports nothing")
			}
		})
	}
}
