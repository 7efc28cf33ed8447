package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzParse: whatever a file holds, it is taken or told what is wrong with it, at a place that the file has; and what is taken reads
// the same again.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*/*.yml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, text := range []string{"", "a: &a [*a]", "<<: {a: b}", "modules: {a: {<<: [{probe: tcp}, {probe: x}]}}", "modules: &m {a: {probe: tcp}}\n", "? [a]\n: b", "!!str a: b", "\xff\xfe", "a: \"\\u0000\""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f.yml", data)
		var errs Errors
		switch {
		case err == nil:
			again, err := Parse("f.yml", data)
			if err != nil {
				t.Fatalf("taken, and then: %v", err)
			}
			for i := range c.Modules {
				if c.Modules[i].Fingerprint != again.Modules[i].Fingerprint {
					t.Errorf("module %d has two fingerprints", i)
				}
				_ = c.Modules[i].Text()
			}
			return
		case !errors.As(err, &errs) || len(errs) == 0:
			t.Fatalf("got %v, want errors", err)
		}
		lines := bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) + 1
		for _, e := range errs {
			if e.Line < 0 || e.Line > lines || e.Line > 0 && e.Column < 1 {
				t.Errorf("%v: the file has %d lines", e, lines)
			}
			if e.Text == "" || bytes.ContainsAny([]byte(e.Error()), "\n\r\x1b\x00") {
				t.Errorf("%q", e.Error())
			}
		}
	})
}
