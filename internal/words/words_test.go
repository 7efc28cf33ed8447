package words

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	tests := []struct {
		value string
		want  time.Duration // 0: refused
	}{
		{"5", 5 * time.Second}, {"3.5", 3500 * time.Millisecond}, {"500ms", 500 * time.Millisecond}, {"1m30s", 90 * time.Second},
		{".5", 500 * time.Millisecond}, {"8784h", 366 * 24 * time.Hour},
		{"", 0}, {"0", 0}, {"0s", 0}, {"-5", 0}, {"-5s", 0}, {"5x", 0}, {"1.2.3", 0}, {".", 0}, {"8785h", 0}, {"1e3", 0}, {"inf", 0},
		{"99999999999999999999", 0},
	}
	for _, tt := range tests {
		got, err := ParseDuration(tt.value)
		if got != tt.want || (err != nil) != (tt.want == 0) {
			t.Errorf("ParseDuration(%q): got %v, %v, want %v", tt.value, got, err, tt.want)
		}
	}
}

func TestLists(t *testing.T) {
	for want, list := range map[string][]string{"": nil, "a": {"a"}, "a or b": {"a", "b"}, "a, b or c": {"a", "b", "c"}} {
		if got := Or(list); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got, want := And([]string{"a", "b", "c"}), "a, b and c"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
