package rate

import (
	"fmt"
	"strconv"
	"strings"
)

// Parse reads a rate as the command line has it: N, Nk or Nm turns a second, where k is a thousand and m a million, and
// N is a plain decimal number ("5000", "5k", "1.5m"). It refuses what is outside Min to Max.
func Parse(s string) (perSecond float64, err error) {
	number, factor := s, 1.0
	switch {
	case strings.HasSuffix(s, "k"), strings.HasSuffix(s, "K"):
		number, factor = s[:len(s)-1], 1e3
	case strings.HasSuffix(s, "m"), strings.HasSuffix(s, "M"):
		number, factor = s[:len(s)-1], 1e6
	}
	// ParseFloat knows more than a person would write here: inf, 0x1p4, 1e3.
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || strings.Trim(number, "0123456789.") != "" {
		return 0, fmt.Errorf("rate %q: want a number a second, with k for thousands or m for millions (5000, 5k, 1.5m)", s)
	}
	n *= factor
	switch {
	case n < Min:
		return 0, fmt.Errorf("rate %q: want at least %v a second", s, Min)
	case n > Max:
		return 0, fmt.Errorf("rate %q: want at most %.0fm a second", s, Max/1e6)
	}
	return n, nil
}
