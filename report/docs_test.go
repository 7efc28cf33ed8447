package report

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestDocsAreComplete: the reference for users names every status, column, phase and key.
func TestDocsAreComplete(t *testing.T) {
	text, err := os.ReadFile("../docs/records.md")
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Split(csvHeader, ",")
	for s := range NumStatuses {
		words = append(words, s.String())
	}
	for p := range NumPhases {
		words = append(words, p.String())
	}
	for s := range SidePolicy {
		words = append(words, (s + 1).String())
	}
	words = append(words, strings.Split(string(AppendStatusHeader(nil)), ",")...)
	for _, v := range []any{Metadata{}, Engine{}, Buffers{}, Distribution{}} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			words = append(words, name)
		}
	}
	words = append(words, "leaked")
	for _, word := range words {
		if !strings.Contains(string(text), "`"+word+"`") {
			t.Errorf("docs/records.md does not explain `%s`", word)
		}
	}
	if !strings.Contains(string(text), "\n    "+csvHeader+"\n") {
		t.Error("docs/records.md shows another CSV header")
	}
	_, sample, _ := strings.Cut(string(text), "### JSON lines\n\n")
	sample, _, _ = strings.Cut(sample, "\n\n")
	if !json.Valid([]byte(sample)) {
		t.Errorf("the sample record is no JSON: %s", sample)
	}
}
