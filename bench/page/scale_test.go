package page

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// texts are the marks' words in one line.
func texts(ticks []tick) string {
	var list []string
	for _, t := range ticks {
		list = append(list, t.text)
	}
	return strings.Join(list, " | ")
}

func TestTicks(t *testing.T) {
	linear := func(hi, unit float64, text func(float64) string) string {
		_, ticks := linearTicks(hi, unit, text)
		return texts(ticks)
	}
	log := func(lo, hi float64) string {
		_, _, ticks := logTicks(lo, hi, micros)
		return texts(ticks)
	}
	for _, tt := range []struct{ name, got, want string }{
		{"counts", linear(2000, 1, short), "0 | 500 | 1k | 1.5k | 2k"},
		{"few counts", linear(3, 1, short), "0 | 1 | 2 | 3"},
		{"nothing", linear(0, 1, short), "0 | 1"},
		{"not a number", linear(math.NaN(), 1, short), "0 | 1"},
		{"a million", linear(1e6, 1, short), "0 | 200k | 400k | 600k | 800k | 1M"},
		{"memory", linear(14.3*(1<<20), 1<<20, size), "0 B | 5 MiB | 10 MiB | 15 MiB"},
		{"many decades", log(30, 200_000), "10 µs | 100 µs | 1 ms | 10 ms | 100 ms | 1 s"},
		{"two decades", log(150, 9000), "100 µs | 200 µs | 500 µs | 1 ms | 2 ms | 5 ms | 10 ms"},
		{"within a decade", log(19_000, 36_000), "10 ms | 20 ms | 30 ms | 50 ms"},
		{"a single value", log(1000, 1000), "500 µs | 700 µs | 1 ms | 2 ms"},
		{"a minute", texts(timeTicks(0, 60)), "0 | 10 | 20 | 30 | 40 | 50 | 60"},
		{"a second", texts(timeTicks(0, 1)), "0 | 1"},
		{"from the middle", texts(timeTicks(57, 226)), "1:00 | 1:30 | 2:00 | 2:30 | 3:00 | 3:30"},
		{"an hour", texts(timeTicks(0, 3600)), "0:00 | 10:00 | 20:00 | 30:00 | 40:00 | 50:00 | 60:00"},
		{"a day", texts(timeTicks(0, 86400)), "0:00 | 4:00 | 8:00 | 12:00 | 16:00 | 20:00 | 24:00"},
		{"a thousand", texts(percentileTicks(1000)), "0 | 50 | 90 | 99 | 99.9"},
		{"ten million", texts(percentileTicks(1e7)), "0 | 99 | 99.99 | 99.9999"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

// TestScalesHold draws ranges of all sizes: the marks are in order, hold the range, and are few.
func TestScalesHold(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 10))
	for range 5000 {
		lo := math.Pow(10, rnd.Float64()*9)
		hi := lo * math.Pow(10, rnd.Float64()*rnd.Float64()*6)
		from, to, ticks := logTicks(lo, hi, micros)
		if from > lo*1.01 || to < hi*0.99 || len(ticks) < 2 || len(ticks) > 13 {
			t.Fatalf("%v to %v: got %v to %v, %d marks: %s", lo, hi, from, to, len(ticks), texts(ticks))
		}
		top, linear := linearTicks(hi, 1, short)
		if top < hi*(1-1e-6) || len(linear) > 7 {
			t.Fatalf("to %v: got %v, %d marks: %s", hi, top, len(linear), texts(linear))
		}
		for _, list := range [][]tick{ticks, linear} {
			for i := 1; i < len(list); i++ {
				if list[i].value <= list[i-1].value || list[i].text == list[i-1].text {
					t.Fatalf("%v to %v: marks %s", lo, hi, texts(list))
				}
			}
		}
		y := scale{lo: from, hi: to, from: 200, to: 10, log: true}
		for _, v := range []float64{0, lo / 2, lo, hi, hi * 3, math.Inf(1)} {
			if at := y.at(v); !(at >= 10 && at <= 200) {
				t.Fatalf("%v is put at %v, outside", v, at)
			}
		}
	}
}

func TestWords(t *testing.T) {
	got := []string{
		number(0), number(0.01234), number(1.999), number(99.96), number(1234567), number(-3.25), number(math.Inf(1)), number(math.NaN()),
		micros(0), micros(1), micros(999.6), micros(12_345), micros(2e6), micros(900e6), size(148), size(9999), size(10 << 10), size(5.5 * (1 << 30)),
		knownSize(-1), quantileWord(0.5), quantileWord(0.999), quantileWord(1 - 1e-6), span(226 * time.Second), span(90 * time.Minute), span(time.Minute), span(70 * time.Second),
		moment(59, 60), moment(61, 600), moment(3660, 7200), whole(1_000_000), setting([]string{"a"}), setting(1e6), percent(0.561),
	}
	want := []string{
		"0", "0.0123", "2", "100", "1,234,567", "-3.25", "n/a", "n/a",
		"0 µs", "1 µs", "1 ms", "12.3 ms", "2 s", "15 min", "148 B", "9,999 B", "10 KiB", "5.5 GiB",
		"not known", "p50", "p99.9", "p99.9999", "3m46s", "1h30m", "1m", "1m10s",
		"59", "1:01", "1:01", "1,000,000", `["a"]`, "1000000", "56.1 %",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got, want := commandLine([]string{"bench", "-H", "a b", "it's", ""}), `sonde bench -H 'a b' 'it'\''s' ''`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
