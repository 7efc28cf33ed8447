package histogram

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"
)

func filled(seed uint64, n int) *Histogram {
	h, r := New(), rand.New(rand.NewPCG(seed, 1))
	for range n {
		h.Record(time.Duration(r.ExpFloat64() * float64(3*time.Millisecond)))
	}
	return h
}

// same fails the test unless both have counted the same.
func same(t *testing.T, got, want *Histogram) {
	t.Helper()
	if got.Count() != want.Count() || got.min != want.min || got.max != want.max || got.sum != want.sum {
		t.Fatalf("got %d from %v to %v, want %d from %v to %v", got.Count(), got.Min(), got.Max(), want.Count(), want.Min(), want.Max())
	}
	for i := range 1001 {
		q := float64(i) / 1000
		if got.Quantile(q) != want.Quantile(q) {
			t.Fatalf("quantile %v: got %v, want %v", q, got.Quantile(q), want.Quantile(q))
		}
	}
}

func TestJSONLosesNothing(t *testing.T) {
	for _, n := range []int{0, 1, 2, 10_000} {
		want := filled(uint64(n), n)
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got := New()
		if err := json.Unmarshal(data, got); err != nil {
			t.Fatal(err)
		}
		same(t, got, want)
	}
}

func TestJSONRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no object":         `[]`,
		"no histogram":      `{"count": 3}`,
		"not base64":        `{"count": 3, "histogram": "***"}`,
		"another count":     `{"count": 3, "histogram": ` + countsOf(t, filled(1, 2)) + `}`,
		"cut in the middle": `{"count": 2, "histogram": ` + countsOf(t, filled(1, 2))[:20] + `"}`,
	} {
		if err := json.Unmarshal([]byte(text), New()); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// countsOf is h's counts as a JSON string.
func countsOf(t *testing.T, h *Histogram) string {
	data, err := json.Marshal(h.form().Counts)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
