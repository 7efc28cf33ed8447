package http1

import (
	"iter"
	"strconv"
	"strings"
)

// Preferences are the members of a field such as Accept or Accept-Encoding, in lower case and without parameters, with the weights that
// they have: 1 if none is said, and 0, not acceptable, for one that is none (RFC 9110 s.12.4.2).
func Preferences(field string) iter.Seq2[string, float64] {
	return func(yield func(string, float64) bool) {
		for member := range strings.SplitSeq(field, ",") {
			name, parameters, _ := strings.Cut(member, ";")
			if name = strings.ToLower(strings.Trim(name, " \t")); name != "" && !yield(name, weight(parameters)) {
				return
			}
		}
	}
}

func weight(parameters string) float64 {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.Trim(parameter, " \t"), "=")
		if !strings.EqualFold(name, "q") {
			continue
		}
		if w, err := strconv.ParseFloat(value, 64); err == nil && w >= 0 && w <= 1 {
			return w
		}
		return 0
	}
	return 1
}
