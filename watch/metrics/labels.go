package metrics

import (
	"slices"
	"strings"
	"unicode/utf8"

	"sonde/watch/track"
)

// taken are the labels that series of a target have besides its own. A label of the user's of such a name is written with
// "exported_" before it, as Prometheus does when a scrape meets a label that it has set itself.
var taken = map[string]bool{
	"job": true, "instance": true, "module": true, "phase": true, "reason": true, "side": true, "cause": true, "version": true,
	"fallback": true, "fingerprint_sha256": true, "issuer": true, "subject": true, "subjectalternative": true,
}

// appendLabels appends the labels of a target as a sample has them, without braces.
func appendLabels(to []byte, t *track.Target) []byte {
	to = append(appendEscaped(append(to, `job="`...), t.Job), `",instance="`...)
	to = append(appendEscaped(to, t.Instance), `",module="`...)
	to = append(appendEscaped(to, t.Module), '"')
	var names []string // nil: as they are
	if !plainNames(t.Labels) {
		names = labelNames(t.Labels)
	}
	for i, l := range t.Labels {
		name := l.Name
		if names != nil {
			name = names[i]
		}
		to = append(append(append(to, ','), name...), '=', '"')
		to = append(appendEscaped(to, l.Value), '"')
	}
	return to
}

// plainNames reports whether the names of labels can be written as they are, as nearly all can; those that are not sorted may come twice.
func plainNames(labels []track.Label) bool {
	for i, l := range labels {
		if !isLabelName(l.Name) || taken[l.Name] || i > 0 && labels[i-1].Name >= l.Name {
			return false
		}
	}
	return true
}

// labelNames are the names under which the labels of a target are written.
func labelNames(labels []track.Label) []string {
	names := make([]string, 0, len(labels))
	for _, l := range labels {
		names = append(names, labelName(l.Name, func(name string) bool { return taken[name] || slices.Contains(names, name) }))
	}
	return names
}

// labelName is name, or what is nearest to it that the format allows and that is not taken.
func labelName(name string, taken func(name string) bool) string {
	if !isLabelName(name) {
		name = cleanName(name)
	}
	for taken(name) {
		name = "exported_" + name
	}
	return name
}

// isLabelName reports whether name is a label's name in the text format: [a-zA-Z_][a-zA-Z0-9_]*.
func isLabelName(name string) bool {
	for i := range len(name) {
		if c := name[i]; !(c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' || i > 0 && '0' <= c && c <= '9') {
			return false
		}
	}
	return name != ""
}

func cleanName(name string) string {
	clean := []byte(name)
	for i, c := range clean {
		if !isLabelName("_"+string(c)) || c >= utf8.RuneSelf {
			clean[i] = '_'
		}
	}
	if len(clean) == 0 || '0' <= clean[0] && clean[0] <= '9' {
		clean = append([]byte{'_'}, clean...)
	}
	return string(clean)
}

// appendEscaped appends the value of a label as both formats have it: a backslash before a backslash and a quote, \n for a newline,
// and U+FFFD for what is not UTF-8, for which Prometheus would throw away the whole scrape.
func appendEscaped(to []byte, value string) []byte {
	if isPlain(value) {
		return append(to, value...)
	}
	if !utf8.ValidString(value) {
		value = strings.ToValidUTF8(value, "\uFFFD")
	}
	for i := range len(value) {
		switch c := value[i]; c {
		case '\\', '"':
			to = append(to, '\\', c)
		case '\n':
			to = append(to, '\\', 'n')
		default:
			to = append(to, c)
		}
	}
	return to
}

// isPlain reports whether value is ASCII with nothing to escape.
func isPlain(value string) bool {
	for i := range len(value) {
		if c := value[i]; c == '\\' || c == '"' || c == '\n' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
