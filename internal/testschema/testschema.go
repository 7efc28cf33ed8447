// Package testschema holds what sonde writes and reads against the JSON schemas that docs publish, and those against the pages for users.
package testschema

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Load is the schema in a file. Formats, such as that of a time, are held to as well.
func Load(t *testing.T, file string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile(file)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Instance is JSON as Schema.Validate wants it: numbers are json.Number.
func Instance(t *testing.T, data []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	return v
}

// Refuses has a schema refuse an object that is valid and was spoiled in one way, for each way.
func Refuses(t *testing.T, s *jsonschema.Schema, valid []byte, spoiled map[string]func(object map[string]any)) {
	t.Helper()
	for name, spoil := range spoiled {
		m := Instance(t, valid).(map[string]any)
		if err := s.Validate(m); err != nil {
			t.Fatalf("%s: before that: %v", name, err)
		}
		if spoil(m); s.Validate(m) == nil {
			t.Errorf("%s: the schema takes it", name)
		}
	}
}

// Keys are those of structs as JSON has them.
func Keys(structs ...any) (keys []string) {
	for _, v := range structs {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(v)) {
			if key, _, _ := strings.Cut(field.Tag.Get("json"), ","); key != "" {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// Explained has a page name each of the words, as code.
func Explained(t *testing.T, page string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(page, "`"+word+"`") {
			t.Errorf("the page does not explain `%s`", word)
		}
	}
}

// Has has the schema in a file have each of the keys.
func Has(t *testing.T, file string, keys ...string) {
	t.Helper()
	text := Read(t, file)
	for _, key := range keys {
		if !strings.Contains(text, `"`+key+`": `) {
			t.Errorf("%s has no %q", file, key)
		}
	}
}

// Read is the text of a file.
func Read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
