package baseline

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sonde/bench/result"
)

// MismatchError says why two reports can't be compared.
type MismatchError struct{ Reason string }

// Error implements error.
func (e *MismatchError) Error() string { return "the baseline is of another load: " + e.Reason }

// unmeasured are settings that change nothing of a single run.
var unmeasured = []string{"runs"}

// Check tells before a load is run whether its report can be compared with old: it returns a *MismatchError if not. Of new it
// looks at Schema, Kind and Config.
func Check(old, new *result.Report) error { return sameLoad(old, new) }

// sameLoad returns what keeps the reports from being of one load, nil if nothing does.
func sameLoad(old, new *result.Report) error {
	switch {
	case old.Schema != new.Schema:
		return &MismatchError{fmt.Sprintf("its schema is %q, want %q", old.Schema, new.Schema)}
	case old.Kind != new.Kind:
		return &MismatchError{fmt.Sprintf("it is of bench %s, this one of bench %s", old.Kind, new.Kind)}
	}
	was, is := maps.Clone(old.Config), maps.Clone(new.Config)
	for _, name := range unmeasured {
		delete(was, name)
		delete(is, name)
	}
	if list := differences(was, is); len(list) > 0 {
		return &MismatchError{strings.Join(list, "; ")}
	}
	return nil
}

// differences lists the settings that differ, by name. Values are compared as JSON: a report that was read has other types
// than one that was made.
func differences(old, new map[string]any) []string {
	names := map[string]bool{}
	for name := range old {
		names[name] = true
	}
	for name := range new {
		names[name] = true
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if was, is := text(old, name), text(new, name); was != is {
			list = append(list, fmt.Sprintf("%s was %s, is %s", name, was, is))
		}
	}
	return list
}

func text(settings map[string]any, name string) string {
	v, ok := settings[name]
	if !ok {
		return "not set"
	}
	var data strings.Builder
	enc := json.NewEncoder(&data)
	enc.SetEscapeHTML(false) // a person reads it
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(data.String())
}
