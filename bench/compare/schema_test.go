package compare

import (
	"encoding/json"
	"strings"
	"testing"

	"sonde/internal/testschema"
)

const (
	schemaFile = "../../docs/compare.schema.json"
	docsFile   = "../../docs/bench-json.md"
)

// written is r as JSON.
func written(t *testing.T, r *Report) []byte {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestSchema: a report of real runs keeps to the schema that is published, and the schema is no empty promise.
func TestSchema(t *testing.T) {
	s := testschema.Load(t, schemaFile)
	c := small()
	c.Workloads, c.Transports, c.Rounds = nil, []string{"loop", "gnet"}, 1 // gnet has no TLS
	r := run(t, t.Context(), c)
	stopped := &Report{Format: Format, Stopped: "interrupted", Sections: []Section{{Workload: "hold", Rows: []Row{{
		Transport: "loop", Failed: map[string]int{"io-timeout": 2}, Runs: []RunResult{{Round: 1, Error: "died"}, {Round: 2, Stopped: true, Figures: figures(1, Unknown)}},
	}}}}}
	for name, r := range map[string]*Report{"all": r, "stopped": stopped, "nothing": {Format: Format}} {
		if err := s.Validate(testschema.Instance(t, written(t, r))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	first := func(m map[string]any, key string) map[string]any { return m[key].([]any)[0].(map[string]any) }
	row := func(m map[string]any) map[string]any { return first(first(m, "workloads"), "transports") }
	testschema.Refuses(t, s, written(t, r), map[string]func(m map[string]any){
		"another format":      func(m map[string]any) { m["format"] = json.Number("2") },
		"a key too many":      func(m map[string]any) { m["extra"] = true },
		"another workload":    func(m map[string]any) { first(m, "workloads")["workload"] = "scan" },
		"no transports":       func(m map[string]any) { delete(first(m, "workloads"), "transports") },
		"a figure too few":    func(m map[string]any) { delete(row(m)["median"].(map[string]any), "p99_us") },
		"a figure below -1":   func(m map[string]any) { row(m)["ratio"].(map[string]any)["p99_us"] = json.Number("-2") },
		"a count as text":     func(m map[string]any) { first(row(m), "runs")["operations"] = "7" },
		"no histogram":        func(m map[string]any) { first(row(m), "runs")["latency_us"] = map[string]any{} },
		"a machine with less": func(m map[string]any) { delete(m["machine"].(map[string]any), "cpus") },
	})
}

// TestDocsAreComplete: the page for users names every key, and the schema has all of them.
func TestDocsAreComplete(t *testing.T) {
	_, section, ok := strings.Cut(testschema.Read(t, docsFile), "# What `sonde bench compare --json` writes\n")
	if !ok {
		t.Fatalf("%s has no section of compare", docsFile)
	}
	keys := testschema.Keys(Report{}, Section{}, Row{}, RunResult{}, Figures{})
	testschema.Explained(t, section, keys...)
	testschema.Has(t, schemaFile, keys...)
}
