package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestModule runs the rules over this module.
func TestModule(t *testing.T) {
	root := os.DirFS("../..")
	// An empty or wrong folder would pass every rule.
	mod, err := fs.ReadFile(root, "go.mod")
	if err != nil || !strings.HasPrefix(string(mod), "module "+modulePath+"\n") {
		t.Fatalf("../.. is not the root of module %s: %v", modulePath, err)
	}
	violations, err := Check(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Error(v)
	}
}

// TestRulesBite runs the rules over small fake modules, testdata/RULE.txtar each: files, and in "want" what must be found,
// all of it and nothing else. Each rule must have one that it is found by.
func TestRulesBite(t *testing.T) {
	for _, r := range Rules() {
		t.Run(r.Name, func(t *testing.T) {
			archive, err := txtar.ParseFile(filepath.Join("testdata", r.Name+".txtar"))
			if err != nil {
				t.Fatal(err)
			}
			var want, got []string
			tree := fstest.MapFS{}
			for _, f := range archive.Files {
				if f.Name == "want" {
					want = strings.Split(strings.TrimSpace(string(f.Data)), "\n")
					continue
				}
				tree[f.Name] = &fstest.MapFile{Data: f.Data}
			}
			if !strings.Contains(strings.Join(want, ""), "("+r.Name+")") {
				t.Fatalf("want names no violation of %s", r.Name)
			}
			violations, err := Check(tree)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range violations {
				// The fake modules need not be documented, but where that is the point.
				if v.Rule == "docs" && r.Name != "docs" {
					continue
				}
				got = append(got, v.String())
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

// TestUnparsable reports a file that is no Go instead of passing over it.
func TestUnparsable(t *testing.T) {
	_, err := Check(fstest.MapFS{"scan/scan.go": {Data: []byte("package scan\nfunc {")}})
	if err == nil || !strings.Contains(err.Error(), "scan/scan.go:2") {
		t.Errorf("got error %v, want one that names scan/scan.go:2", err)
	}
}

func TestWithin(t *testing.T) {
	tests := map[string]struct {
		dir, pattern string
		want         bool
	}{
		"itself":                 {"engine", "engine", true},
		"below, not asked for":   {"engine/x", "engine", false},
		"itself with dots":       {"engine", "engine/...", true},
		"far below with dots":    {"engine/x/y", "engine/...", true},
		"only begins like it":    {"engines", "engine/...", false},
		"one level":              {"probes/ssh", "probes/*", true},
		"two levels":             {"probes/internal/x", "probes/*", false},
		"the folder of the star": {"probes", "probes/*", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := within(tt.dir, tt.pattern); got != tt.want {
				t.Errorf("within(%q, %q): got %v, want %v", tt.dir, tt.pattern, got, tt.want)
			}
		})
	}
}
