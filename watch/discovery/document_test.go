package discovery

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/watch/track"
)

func TestParse(t *testing.T) {
	want := []group{
		{texts: []string{"a:80", "b:80"}, labels: []track.Label{{Name: "env", Value: "prod"}, {Name: "port", Value: "80"}}},
		{texts: []string{"[2001:db8::1]:443"}},
	}
	cases := []struct{ name, text string }{
		{"a.json", `[{"targets": ["a:80", "b:80"], "labels": {"env": "prod", "__meta_x": "y", "port": "80"}}, {"targets": ["[2001:db8::1]:443"]}]`},
		{"a.yml", "- targets: [a:80, 'b:80']\n  labels:\n    env: prod\n    __meta_x: y\n    port: 80\n- targets:\n  - '[2001:db8::1]:443'\n"},
		{"marked.json", "\xef\xbb\xbf" + `[{"targets": ["a:80", "b:80"], "labels": {"env": "prod", "port": "80"}}, {"targets": ["[2001:db8::1]:443"]}]`},
		{"marked.yml", "\xef\xbb\xbf- {targets: [a:80, b:80], labels: {env: prod, port: 80}}\n- {targets: ['[2001:db8::1]:443']}\n"},
		{"b.yml", "- {targets: [a:80, b:80], labels: {env: prod, __meta_x: y, port: 80}}\n- {targets: ['[2001:db8::1]:443']}\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			doc, err := (&source{kind: kindFileSD}).parse(c.name, []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, doc.groups, cmp.AllowUnexported(group{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	cases := []struct{ name, file, text, want string }{
		{"empty", "a.json", "", "being written"},
		{"half", "a.json", `[{"targets": ["a:8`, "being written"},
		{"half a list", "a.json", `[{"targets": ["a:80"]},`, "being written"},
		{"null", "a.json", "null", "written []"},
		{"a group of null", "a.json", "[null]", "group 1 is null"},
		{"an object", "a.json", `{"targets": []}`, "line 1"},
		{"a number for a target", "a.json", "[{\"targets\":\n[1]}]", "line 2"},
		{"a label that is no text", "a.json", `[{"labels": {"a": 1}}]`, "line 1"},
		{"another key", "a.json", `[{"target": ["a:80"]}]`, "unknown field"},
		{"two lists", "a.json", "[]\n[]", "behind the list"},
		{"garbage behind", "a.json", "[]]", "behind the list"},
		{"not JSON", "a.json", "\n\n<html>", "line 3"},
		{"too much", "a.json", "[" + strings.Repeat("{},", maxCommas+1) + "{}]", "more than 4000000 entries"},
		{"too many groups", "a.json", "[" + strings.Repeat("{},", MaxTargets) + "{}]", "1000001 groups: at most 1000000"},
		{"empty YAML", "a.yml", "", "written []"},
		{"YAML with comments only", "a.yaml", "# nothing yet\n", "written []"},
		{"another key in YAML", "a.yml", "- target: [a]\n", "unknown field"},
		{"a group of null in YAML", "a.yml", "-\n", "group 1 is null"},
		{"broken YAML", "a.yml", "- targets: [a\n", "[1:"},
		{"deep YAML", "a.yml", strings.Repeat("[", 1<<20), "deeply"},
		{"deep YAML by lines", "a.yml", "-\n" + strings.Repeat(" [{\n", 1<<20), "deeply"},
		{"deep YAML with dashes", "a.yml", strings.Repeat("- ", 1<<20), "deeply"},
		{"too many entries in a group of YAML", "a.yml", "- targets: [" + strings.Repeat("a,", maxEntries) + "]\n", "as YAML"},
		{"too long a group of YAML", "a.yml", "- targets: [" + strings.Repeat("a", maxPiece) + "]\n", "as YAML"},
		{"too many groups of null in YAML", "a.yml", strings.Repeat("-\n", 1<<20), "group 1 is null"},
		{"broken YAML behind many groups", "a.yml", strings.Repeat("- targets: [a]\n", 5000) + "- target: [a]\n", "[5001:3] unknown field"},
		{"a mapping in YAML", "a.yml", "targets: [a]\n", "[1:"},
		{"another key in braces", "a.yml", "- {target: [a:80]}\n", "unknown field"},
		{"a key twice in braces", "a.yml", "- {targets: [a:80], targets: [b:80]}\n", "already defined"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			doc, err := (&source{kind: kindFileSD}).parse(c.file, []byte(c.text))
			if err == nil || doc != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v, want an error with %q", doc, err, c.want)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("more than a line, or a steering character: %q", err)
			}
		})
	}
	for _, empty := range []struct{ file, text string }{{"a.json", " [] \n"}, {"a.yml", "[]\n"}, {"a.yml", "---\n[]\n"}} {
		if doc, err := (&source{kind: kindFileSD}).parse(empty.file, []byte(empty.text)); err != nil || len(doc.groups) != 0 {
			t.Errorf("%s %q: got %v, %v, want an empty list", empty.file, empty.text, doc, err)
		}
	}
}

// TestHugeLabels: what would be in every series of a target has a limit.
func TestHugeLabels(t *testing.T) {
	wire := map[string]string{"a": strings.Repeat("x", maxText), "b": strings.Repeat("x", maxText+1), strings.Repeat("c", maxText+1): "x"}
	labels, faults := ownLabels(wire)
	if len(labels) != 1 || labels[0].Name != "a" || len(faults) != 2 || len(strings.Join(faults, "")) > 1000 {
		t.Errorf("got %d labels and the faults %q, want a alone", len(labels), faults)
	}
	for i := range 2 * maxLabels {
		wire[fmt.Sprintf("l%03d", i)] = "x"
	}
	labels, faults = ownLabels(wire)
	if len(labels) != maxLabels || len(faults) != 3 || !strings.Contains(faults[2], `"l063" on`) {
		t.Errorf("got %d labels and the faults %q, want %d", len(labels), faults, maxLabels)
	}
}

// TestFaultsAreFew: labels that are left out are counted beyond the first of them.
func TestFaultsAreFew(t *testing.T) {
	doc, err := parseJSON("a.json", []byte("["+strings.Repeat(`{"labels": {"a-b": "c"}},`, 50)+`{"targets": ["a:80"]}]`))
	if err != nil || len(doc.faults) != maxFaults || doc.more != 50-maxFaults {
		t.Fatalf("got %d faults and %d more, %v", len(doc.faults), doc.more, err)
	}
	j := &job{Job: Job{Name: "web", Read: readPlace}, most: MaxTargets}
	j.add(source{kind: kindFileSD}).docs = []*document{doc}
	if l := j.list(); len(l.targets) != 1 || len(l.faults) != maxFaults+1 || l.faults[maxFaults] != "and 30 more such entries" {
		t.Errorf("got %d targets and the faults %q", len(l.targets), l.faults)
	}
}

func TestParseList(t *testing.T) {
	if doc, err := (&source{kind: kindFiles}).parse("list", nil); err == nil {
		t.Errorf("a file of no bytes gave %+v", doc)
	}
	long := strings.Repeat("x", 2*maxText)
	doc := parseList("list", []byte("\xef\xbb\xbf# hosts\r\na:80\r\n\n \t b:80 # the second\n"+long+"\nc:80"))
	want := []group{{texts: []string{"a:80", "b:80", long[:maxText+1], "c:80"}, lines: []int32{2, 4, 5, 6}}}
	if diff := cmp.Diff(want, doc.groups, cmp.AllowUnexported(group{})); diff != "" {
		t.Error(diff)
	}
	if got := doc.place(0, 1); got != "list:4" {
		t.Errorf("got the place %q", got)
	}
}

// FuzzParse holds that no input makes a parser panic, that what is taken has sorted labels with good names.

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"[]", `[{"targets": ["a:80"], "labels": {"env": "prod"}}]`, "- targets: [a]\n  labels: {a: b}\n", "- &x\n  targets: [a]\n- *x\n", "[", "null",
		"- targets:\n  - a\n  labels:\n    \"a\\tb\": |\n      x\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, parse := range []func(string, []byte) (*document, error){parseJSON, parseYAML} {
			doc, err := parse("x", data)
			if (doc == nil) == (err == nil) {
				t.Fatalf("got %v with the error %v", doc, err)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("more than a line, or a steering character: %q", err)
			}
			if doc == nil {
				continue
			}
			for _, group := range doc.groups {
				for i, label := range group.labels {
					if checkLabel(label.Name) != nil || i > 0 && group.labels[i-1].Name >= label.Name {
						t.Fatalf("got the labels %q", group.labels)
					}
				}
			}
		}
		parseList("x", data)
	})
}
