package web

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestDocs has docs/watch-api.md tell of the fields that answers have.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/watch-api.md")
	if err != nil {
		t.Fatal(err)
	}
	told := string(text)
	for _, of := range []any{row{}, outcome{}, kept{}, spark{}, totals{}, limits{}, point{}, failure{}, tick{}} {
		for f := range reflect.TypeOf(of).Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name != "" && !strings.Contains(told, "`"+name+"`") {
				t.Errorf("docs/watch-api.md does not tell of %s of a %T", name, of)
			}
		}
	}
	for _, words := range [][]string{stateWords[:], {breakerOpen, keptDown}} {
		for _, word := range words {
			if !strings.Contains(told, "`"+word+"`") {
				t.Errorf("docs/watch-api.md does not tell of the state %s", word)
			}
		}
	}
	for word := range orders {
		if !strings.Contains(told, "`"+word+"`") {
			t.Errorf("docs/watch-api.md does not tell of the order %s", word)
		}
	}
}
