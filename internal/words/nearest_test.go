package words

import "testing"

func TestNearest(t *testing.T) {
	words := []string{"rate", "retries", "connections", "connect-timeout", "ftp", "http", "close"}
	tests := []struct{ word, want string }{
		{"rat", "rate"},
		{"raet", "rate"}, // neighbours swapped
		{"conections", "connections"},
		{"connect-", "connect-timeout"}, // a beginning is nearer than anything else
		{"htp", "http"},                 // as near as ftp, and begins like it
		{"ratio", ""},
		{"clse", "close"},
		{"banana", ""},
		{"x", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := Nearest(tt.word, words); got != tt.want {
			t.Errorf("Nearest(%q): got %q, want %q", tt.word, got, tt.want)
		}
	}
}

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"abc", "", 3}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "abd", 1}, {"abc", "ab", 1}, {"ab", "abc", 1},
		{"ab", "ba", 1}, {"abcd", "acbd", 1}, {"kitten", "sitting", 3},
	}
	for _, tt := range tests {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q): got %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
