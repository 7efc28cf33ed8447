package report

import (
	"strconv"
	"time"
)

// formatDuration writes d for a person in at most six columns up to 100 s: three digits and a unit that suits ("812µs",
// "1.23ms", "45.6s", "3m05s", "1h00m"). Below a microsecond is "0µs"; an absent phase is "-".
func formatDuration(d time.Duration, ascii bool) string {
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
	s := int64((d + time.Second/2) / time.Second)
	if s < 3600 {
		return strconv.FormatInt(s/60, 10) + "m" + twoDigits(s%60) + "s"
	}
	return strconv.FormatInt(s/3600, 10) + "h" + twoDigits(s/60%60) + "m"
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

func twoDigits(n int64) string { return string(appendTwoDigits(nil, int(n))) }
