package rate

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	tests := []struct {
		in   string
		want float64
		err  string // what the error says
	}{
		{in: "5000", want: 5000},
		{in: "5k", want: 5000},
		{in: "5K", want: 5000},
		{in: "1.5m", want: 1.5e6},
		{in: "10M", want: 10e6},
		{in: "0.01", want: 0.01},
		{in: ".5", want: 0.5},
		{in: "0.0005k", want: 0.5},
		{in: "007", want: 7},
		{in: "", err: "want a number a second"},
		{in: "k", err: "want a number a second"},
		{in: "five", err: "want a number a second"},
		{in: "5kk", err: "want a number a second"},
		{in: "5 k", err: "want a number a second"},
		{in: "5g", err: "want a number a second"},
		{in: "5/s", err: "want a number a second"},
		{in: "1,000", err: "want a number a second"},
		{in: "1_000", err: "want a number a second"},
		{in: "1e3", err: "want a number a second"},
		{in: "0x10", err: "want a number a second"},
		{in: "inf", err: "want a number a second"},
		{in: "nan", err: "want a number a second"},
		{in: "-1", err: "want a number a second"},
		{in: "+5", err: "want a number a second"},
		{in: "1.2.3", err: "want a number a second"},
		{in: "0", err: "want at least 0.01 a second"},
		{in: "0.009", err: "want at least 0.01 a second"},
		{in: "10.1m", err: "want at most 10m a second"},
		{in: strings.Repeat("9", 400), err: "want"},
	}
	for _, test := range tests {
		t.Run(test.in, func(t *testing.T) {
			got, err := Parse(test.in)
			if test.err == "" {
				if got != test.want || err != nil {
					t.Errorf("got %v, %v, want %v", got, err, test.want)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("got %v, %v, want an error with %q", got, err, test.err)
			}
		})
	}
}
