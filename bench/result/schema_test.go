package result_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"sonde/bench/result"
	"sonde/bench/result/resulttest"
	"sonde/internal/testschema"
)

const (
	schemaFile = "../../docs/bench.schema.json"
	docsFile   = "../../docs/bench-json.md"
)

// written is r as it is written.
func written(t *testing.T, r *result.Report) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := r.Write(&file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// TestSchema: what is written keeps to the schema that is published, and the schema is no empty promise.
func TestSchema(t *testing.T) {
	s := testschema.Load(t, schemaFile)
	empty := &result.Report{Schema: result.Schema, Kind: result.Hold, Total: &result.Part{}}
	unknown := &result.Report{Schema: result.Schema, Kind: result.Hold, Total: &result.Part{Usage: result.Usage{ResidentBefore: -1, ResidentHeld: -1, ResidentMax: -1, Descriptors: -1}}}
	for _, r := range []*result.Report{resulttest.Hold(), resulttest.Handshake(), resulttest.Request(), empty, unknown} {
		if err := s.Validate(testschema.Instance(t, written(t, r))); err != nil {
			t.Errorf("%s: %v", r.Kind, err)
		}
	}
	total := func(m map[string]any) map[string]any { return m["total"].(map[string]any) }
	testschema.Refuses(t, s, written(t, resulttest.Hold()), map[string]func(m map[string]any){
		"another schema":     func(m map[string]any) { m["schema"] = "sonde-bench/2" },
		"another kind":       func(m map[string]any) { m["kind"] = "scan" },
		"a key too many":     func(m map[string]any) { m["extra"] = 1 },
		"no total":           func(m map[string]any) { delete(m, "total") },
		"a number as text":   func(m map[string]any) { total(m)["held"] = "7" },
		"a count below zero": func(m map[string]any) { total(m)["held"] = json.Number("-1") },
		"fewer than unknown": func(m map[string]any) { total(m)["usage"].(map[string]any)["descriptors"] = json.Number("-2") },
		"an unknown phase":   func(m map[string]any) { total(m)["phases"].(map[string]any)["x_us"] = nil },
		"no time":            func(m map[string]any) { total(m)["start"] = "yesterday" },
		"another side":       func(m map[string]any) { total(m)["failures"].([]any)[0].(map[string]any)["side"] = "ours" },
	})
}

// TestDocsAreComplete: the page for users names every key, phase and figure, and the schema has all keys.
func TestDocsAreComplete(t *testing.T) {
	page := testschema.Read(t, docsFile)
	keys := testschema.Keys(
		result.Report{}, result.Part{}, result.Failure{}, result.Interval{}, result.Usage{}, result.Engine{}, result.Machine{}, result.Kernel{},
		result.Worker{}, result.Run{}, result.Trial{},
	)
	for phase := range result.NumPhases {
		keys = append(keys, phase.String())
	}
	keys = append(keys, "count", "min", "mean", "p50", "p90", "p99", "p999", "max", "sum", "histogram")
	testschema.Explained(t, page, keys...)
	testschema.Has(t, schemaFile, keys...)
	testschema.Explained(t, page, "operations_per_s", "failed_percent", "cpu_us_per_operation", "memory_per_connection") // figures made of them
}
