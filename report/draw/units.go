package draw

import (
	"strconv"
	"time"
)

// Duration writes d for a person in at most six columns up to 100 s: three digits and a unit that suits ("812µs",
// "1.23ms", "45.6s", "3m05s", "1h00m"). Below a microsecond is "0µs"; an absent phase is "-".
func Duration(d time.Duration, ascii bool) string {
	micro := "µs"
	if ascii {
		micro = "us"
	}
	us := int64(d / time.Microsecond)
	switch {
	case d < 0:
		return "-"
	case us < 1000:
		return strconv.FormatInt(us, 10) + micro
	case us < 999_500:
		return threeDigits(float64(us)/1e3) + "ms"
	case us < 99_950_000:
		return threeDigits(float64(us)/1e6) + "s"
	}
	return Elapsed(d)
}

// threeDigits writes v, which is from 1 to 999.5, with three digits.
func threeDigits(v float64) string {
	switch {
	case v < 9.995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 99.95:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

func twoDigits(n int64) string { return string([]byte{byte('0' + n/10), byte('0' + n%10)}) }

// Count writes n with a comma between each three digits.
func Count(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Share writes the share of part in whole as a percentage of five columns. A share that is not zero never reads 0 %,
// and one that is not whole never reads 100 %.
func Share(part, whole uint64) string {
	if whole == 0 || part == 0 {
		return "0%"
	}
	p := float64(part) / float64(whole) * 100
	switch {
	case part == whole:
		return "100%"
	case p < 0.1:
		return "<0.1%"
	case p > 99.9:
		return ">99.9%"
	}
	return strconv.FormatFloat(p, 'f', 1, 64) + "%"
}

// Elapsed writes d in whole seconds: "9s", "3m05s", "2h05m".
func Elapsed(d time.Duration) string {
	s := int64(max(d, 0).Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return strconv.FormatInt(s, 10) + "s"
	case s < 3600:
		return strconv.FormatInt(s/60, 10) + "m" + twoDigits(s%60) + "s"
	}
	return strconv.FormatInt(s/3600, 10) + "h" + twoDigits(s/60%60) + "m"
}

// Rate writes a rate in events a second.
func Rate(rate float64) string {
	if rate < 10 {
		return strconv.FormatFloat(max(rate, 0), 'f', 1, 64) + "/s"
	}
	return Count(uint64(rate+0.5)) + "/s"
}

// Signed is Count for a number that may be below zero.
func Signed(n int64) string {
	if n < 0 {
		return "-" + Count(uint64(-n))
	}
	return Count(uint64(n))
}

// Plural writes n and the noun, with an s unless n is one.
func Plural(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Count(n) + " " + noun + "s"
}

// Bytes writes a size with three digits and a unit that suits ("812 B", "1.23 KiB", "45.6 MiB"); below zero with a sign.
func Bytes(size float64) string {
	sign := ""
	if size < 0 {
		sign, size = "-", -size
	}
	if size < 999.5 {
		return sign + strconv.FormatFloat(size, 'f', 0, 64) + " B"
	}
	for _, unit := range []string{"KiB", "MiB", "GiB"} {
		if size /= 1024; size < 999.5 {
			return sign + threeDigits(size) + " " + unit
		}
	}
	return sign + threeDigits(size/1024) + " TiB"
}
