package discovery

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sonde/watch/track"
)

// ownLabels returns a group's labels, sorted, and what is wrong with those that are left out. What begins with "__" is left out
// without a word: it is meant for relabelling, which there is none of.
func ownLabels(wire map[string]string) (labels []track.Label, faults []string) {
	for _, name := range slices.Sorted(maps.Keys(wire)) {
		if strings.HasPrefix(name, "__") {
			continue
		}
		if err := checkLabel(name); err != nil {
			faults = append(faults, err.Error()+"; it is left out")
			continue
		}
		if len(wire[name]) > maxText {
			faults = append(faults, fmt.Sprintf("label %q: its value has %d bytes, at most %d can be; it is left out", name, len(wire[name]), maxText))
			continue
		}
		if len(labels) == maxLabels {
			faults = append(faults, fmt.Sprintf("more than %d labels; those from %q on are left out", maxLabels, name))
			break
		}
		labels = append(labels, track.Label{Name: name, Value: strings.ToValidUTF8(wire[name], "\ufffd")})
	}
	return labels, faults
}

// checkLabel says why a target can't have a label of that name. The alphabet is that of the exposition format, version 0.0.4.
func checkLabel(name string) error {
	switch name {
	case "":
		return errors.New("a label without a name")
	case "job", "instance", "module":
		return fmt.Errorf("label %q: each target has this one already", name)
	}
	if len(name) > maxText {
		return fmt.Errorf("label %q...: a name of %d bytes, at most %d can be", clip(name), len(name), maxText)
	}
	for i, c := range []byte(name) {
		isLetter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
		if !isLetter && (i == 0 || c < '0' || c > '9') {
			return fmt.Errorf("label %q: a name has letters, digits and underscores, and begins with no digit", clip(name))
		}
	}
	return nil
}

// jobLabels checks a job's labels and sorts them.
func jobLabels(labels []track.Label) ([]track.Label, error) {
	labels = slices.Clone(labels)
	slices.SortFunc(labels, compareLabels)
	for i, label := range labels {
		if err := checkLabel(label.Name); err != nil {
			return nil, err
		}
		if strings.HasPrefix(label.Name, "__") {
			return nil, fmt.Errorf("label %q: names that begin with __ are not for targets", label.Name)
		}
		if i > 0 && labels[i-1].Name == label.Name {
			return nil, fmt.Errorf("label %q: twice", label.Name)
		}
	}
	return labels, nil
}

// merged is a job's labels and a group's, of which the group's win. An empty one is none: so a group takes a label of the job away.
func merged(jobs, own []track.Label) []track.Label {
	all := make([]track.Label, 0, len(jobs)+len(own))
	for len(jobs) > 0 || len(own) > 0 {
		var label track.Label
		switch {
		case len(own) == 0 || len(jobs) > 0 && jobs[0].Name < own[0].Name:
			label, jobs = jobs[0], jobs[1:]
		default:
			if len(jobs) > 0 && jobs[0].Name == own[0].Name {
				jobs = jobs[1:]
			}
			label, own = own[0], own[1:]
		}
		if label.Value != "" {
			all = append(all, label)
		}
	}
	return all
}

func compareLabels(a, b track.Label) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
}

// maxTold is how much of what a source says is told again, in bytes.
const maxTold = 200

func clip(text string) string { return text[:min(len(text), maxTold)] }
