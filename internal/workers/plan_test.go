package workers

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	tests := map[string]struct {
		total, perWorker int
		want             []int
	}{
		"one takes all":      {5, 5, []int{5}},
		"one too many":       {6, 5, []int{3, 3}},
		"uneven":             {11, 4, []int{4, 4, 3}},
		"one each":           {3, 1, []int{1, 1, 1}},
		"as many as can be":  {math.MaxInt, math.MaxInt, []int{math.MaxInt}},
		"near the largest":   {math.MaxInt, math.MaxInt - 1, []int{math.MaxInt/2 + 1, math.MaxInt / 2}},
		"nothing":            {0, 5, nil},
		"less than nothing":  {-1, 5, nil},
		"no room":            {5, 0, nil},
		"less than no room":  {5, -3, nil},
		"more room than use": {2, 100, []int{2}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Split(tt.total, tt.perWorker)); diff != "" {
				t.Errorf("shares (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAuto(t *testing.T) {
	for _, tt := range []struct{ total, fdBudget, want int }{
		{1_000_000, 19_872, 51}, {19_872, 19_872, 1}, {19_873, 19_872, 2}, {0, 100, 1}, {1, 100, 1},
		{100, 0, 0}, {100, -28, 0}, {math.MaxInt, 2, math.MaxInt/2 + 1},
	} {
		if got := Auto(tt.total, tt.fdBudget); got != tt.want {
			t.Errorf("Auto(%d, %d): got %d, want %d", tt.total, tt.fdBudget, got, tt.want)
		}
	}
}

func TestMost(t *testing.T) {
	for _, tt := range []struct{ fdBudget, want int }{{20_000, 5000}, {7, 1}, {4, 1}, {3, 0}, {0, 0}, {-28, 0}} {
		if got := Most(tt.fdBudget); got != tt.want {
			t.Errorf("Most(%d): got %d, want %d", tt.fdBudget, got, tt.want)
		}
	}
}

// TestPlanAdds holds the two against each other.
func TestPlanAdds(t *testing.T) {
	for total := 1; total < 200; total++ {
		for per := 1; per < 50; per++ {
			shares := Split(total, per)
			sum, least, most := 0, total, 0
			for _, n := range shares {
				sum, least, most = sum+n, min(least, n), max(most, n)
			}
			if sum != total || most > per || most-least > 1 || len(shares) != Auto(total, per) {
				t.Fatalf("Split(%d, %d): got %v, Auto %d", total, per, shares, Auto(total, per))
			}
		}
	}
}
