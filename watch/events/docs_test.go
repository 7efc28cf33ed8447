package events

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestDocs holds docs/watch-events.md against what is sent: its example has each key and no other, and it names each state.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/watch-events.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(page), "```json\n")
	example, _, _ = strings.Cut(example, "```")
	decoder := json.NewDecoder(bytes.NewReader([]byte(example)))
	decoder.DisallowUnknownFields()
	var events []wireEvent
	if err := decoder.Decode(&events); err != nil || len(events) != 1 {
		t.Fatalf("the example: %v", err)
	}
	fields := reflect.TypeFor[wireEvent]()
	for i := range fields.NumField() {
		key, _, _ := strings.Cut(fields.Field(i).Tag.Get("json"), ",")
		if !strings.Contains(string(page), "`"+key+"`") {
			t.Errorf("the key %s is not explained", key)
		}
		if reflect.ValueOf(events[0]).Field(i).IsZero() {
			t.Errorf("the example lacks %s", key)
		}
	}
	for _, word := range stateWords {
		if !strings.Contains(string(page), "`"+word+"`") {
			t.Errorf("the state %s is not explained", word)
		}
	}
}
