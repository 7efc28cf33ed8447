package modules_test

import (
	"strings"
	"testing"
	"time"

	"sonde/watch/config"
	"sonde/watch/modules"
)

// TestCheckJob: what the file alone can't tell of a job.
func TestCheckJob(t *testing.T) {
	c, err := config.Parse("f.yml", []byte(`modules:
  web: {probe: http}
  lost: {prober: http, http: {body_file: /nonexistent}}
  falls: {probe: http, fallback: lost}
jobs:
  - {name: a, module: web, targets: [x]}
  - {name: b, module: web, mode: keep, targets: [x]}
  - {name: c, module: lost, targets: [x]}
  - {name: d, module: falls, targets: [x]}
`))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]*modules.Module)
	for i := range c.Modules {
		m, err := modules.Compile(&c.Modules[i], time.Now)
		if err != nil {
			t.Fatal(err)
		}
		all[m.Name] = m
	}
	for i, want := range []string{
		"", `line 7: job "b": mode: keep: the module "web" keeps no connection: the probe http`, `line 8: job "c": the module "lost" can't be run: line 3: http.body_file`,
		`line 9: job "d": the module "falls" has a fallback "lost" that can't be run`,
	} {
		err := modules.CheckJob(&c.Jobs[i], all)
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", c.Jobs[i].Name, err, want)
		}
	}
}
