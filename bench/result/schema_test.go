package result_test

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"sonde/bench/result"
	"sonde/bench/result/resulttest"
)

const (
	schemaFile = "../../docs/bench.schema.json"
	docsFile   = "../../docs/bench-json.md"
)

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance is r as the validator wants it.
func instance(t *testing.T, r *result.Report) map[string]any {
	t.Helper()
	var file bytes.Buffer
	if err := r.Write(&file); err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(&file)
	if err != nil {
		t.Fatal(err)
	}
	return v.(map[string]any)
}

// TestSchema: what is written keeps to the schema that is published, and the schema is no empty promise.
func TestSchema(t *testing.T) {
	s := schema(t)
	empty := &result.Report{Schema: result.Schema, Kind: result.Hold, Total: &result.Part{}}
	unknown := &result.Report{Schema: result.Schema, Kind: result.Hold, Total: &result.Part{Usage: result.Usage{ResidentBefore: -1, ResidentHeld: -1, ResidentMax: -1, Descriptors: -1}}}
	for _, r := range []*result.Report{resulttest.Hold(), resulttest.Handshake(), resulttest.Request(), empty, unknown} {
		if err := s.Validate(instance(t, r)); err != nil {
			t.Errorf("%s: %v", r.Kind, err)
		}
	}
	total := func(m map[string]any) map[string]any { return m["total"].(map[string]any) }
	for name, spoil := range map[string]func(m map[string]any){
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
	} {
		m := instance(t, resulttest.Hold())
		if spoil(m); s.Validate(m) == nil {
			t.Errorf("%s: the schema takes it", name)
		}
	}
}

// TestDocsAreComplete: the page for users names every key, phase and figure, and the schema has all keys.
func TestDocsAreComplete(t *testing.T) {
	page, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	published, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, v := range []any{
		result.Report{}, result.Part{}, result.Failure{}, result.Interval{}, result.Usage{}, result.Engine{}, result.Machine{}, result.Kernel{},
		result.Worker{}, result.Run{}, result.Trial{},
	} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			keys = append(keys, name)
		}
	}
	for phase := range result.NumPhases {
		keys = append(keys, phase.String())
	}
	keys = append(keys, "count", "min", "mean", "p50", "p90", "p99", "p999", "max", "sum", "histogram")
	for _, key := range keys {
		if !strings.Contains(string(page), "`"+key+"`") {
			t.Errorf("%s does not explain `%s`", docsFile, key)
		}
		if !strings.Contains(string(published), `"`+key+`": `) {
			t.Errorf("%s has no %q", schemaFile, key)
		}
	}
	for _, figure := range []string{"operations_per_s", "failed_percent", "cpu_us_per_operation", "memory_per_connection"} {
		if !strings.Contains(string(page), "`"+figure+"`") {
			t.Errorf("%s does not explain the figure `%s`", docsFile, figure)
		}
	}
}
