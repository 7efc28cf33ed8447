package page

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// whole writes n with a comma before each three digits.
func whole(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// number writes v so that three digits of it count: 0.0123, 1.23, 12.3, 123, 1,234.
func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "n/a"
	case v < 0:
		return "-" + number(-v)
	case a == 0:
		return "0"
	case a >= 99.95:
		return whole(uint64(math.Round(min(v, 1e18))))
	default:
		digits := 2 - int(math.Floor(math.Log10(a*1.0005)))
		return trimZeros(strconv.FormatFloat(v, 'f', min(digits, 6), 64))
	}
}

// short is number for an axis: 1.5k, 20M, 250.
func short(v float64) string {
	for _, u := range []struct {
		at   float64
		word string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= u.at {
			return number(v/u.at) + u.word
		}
	}
	return number(v)
}

func trimZeros(s string) string {
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// micros writes a duration in microseconds with the unit that fits it.
func micros(us float64) string {
	switch a := math.Abs(us); {
	case a < 999.5:
		return number(us) + " µs"
	case a < 999.5e3:
		return number(us/1e3) + " ms"
	case a < 600e6:
		return number(us/1e6) + " s"
	default:
		return number(us/60e6) + " min"
	}
}

// toMicros is d in microseconds.
func toMicros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// span writes a duration of a load.
func span(d time.Duration) string {
	if d < time.Minute {
		return micros(toMicros(d))
	}
	words := d.Round(time.Second).String()
	if strings.HasSuffix(words, "m0s") {
		words = strings.TrimSuffix(words, "0s")
	}
	return words
}

// sizes are the units of memory.
var sizes = []struct {
	bytes float64
	word  string
}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}}

// sizeUnit is the unit in which so many bytes are written.
func sizeUnit(bytes float64) (unit float64, word string) {
	for _, s := range sizes {
		if math.Abs(bytes) >= s.bytes {
			return s.bytes, s.word
		}
	}
	return 1, "B"
}

// size writes an amount of memory.
func size(bytes float64) string {
	unit, word := sizeUnit(bytes)
	if word == "KiB" && math.Abs(bytes) < 10<<10 { // what a connection takes is compared to the byte
		unit, word = 1, "B"
	}
	return number(bytes/unit) + " " + word
}

// knownSize is size, or words for what is not known.
func knownSize(bytes int64) string {
	if bytes < 0 {
		return "not known"
	}
	return size(float64(bytes))
}

// moment writes the second at of a load that lasts until end, as the axis' caption says (see momentUnit).
func moment(at, end int) string {
	switch {
	case end <= 120:
		return strconv.Itoa(at)
	case end < 7200:
		return fmt.Sprintf("%d:%02d", at/60, at%60)
	default:
		return fmt.Sprintf("%d:%02d", at/3600, at/60%60)
	}
}

func momentUnit(end int) string {
	switch {
	case end <= 120:
		return "seconds since the start"
	case end < 7200:
		return "minutes:seconds since the start"
	default:
		return "hours:minutes since the start"
	}
}

// percent writes a share.
func percent(share float64) string { return number(share*100) + " %" }

// quantileWord writes q as people say it: p50, p99.9.
func quantileWord(q float64) string {
	return "p" + trimZeros(strconv.FormatFloat(q*100, 'f', 7, 64))
}

// setting writes a value of the configuration.
func setting(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	data, err := json.Marshal(v)
	if err != nil { // a channel, a NaN: nothing that a report could hold
		return fmt.Sprint(v)
	}
	return string(data)
}

// commandLine writes the arguments of a command so that a shell reads them back.
func commandLine(args []string) string {
	words := []string{"sonde"}
	for _, a := range args {
		plain := a != "" && !strings.ContainsFunc(a, func(r rune) bool {
			return !strings.ContainsRune("-_=.,:/@%+", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		})
		if !plain {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}
