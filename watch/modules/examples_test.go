package modules_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sonde/watch/config"
	"sonde/watch/modules"
)

// TestExamples: what is shipped runs. What each is an example of is in its comments; here it is only held against the modules.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/watch/*.yml")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		c, err := config.Load(file)
		if err != nil {
			t.Error(err)
			continue
		}
		all := make(map[string]*modules.Module)
		for i := range c.Modules {
			m, err := modules.Compile(&c.Modules[i], time.Now)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			all[m.Name] = m
			if m.Disabled != "" && m.Name != "icmp" {
				t.Errorf("%s: %s", file, m.Disabled)
			}
		}
		for i := range c.Jobs {
			j := &c.Jobs[i]
			if err := modules.CheckJob(j, all); err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			for _, text := range j.Targets {
				_, err := all[j.Module].Target(text)
				if err != nil && !strings.Contains(err.Error(), "one target is wanted") { // a block, which becomes several
					t.Errorf("%s: %s: %v", file, text, err)
				}
			}
		}
	}
}
