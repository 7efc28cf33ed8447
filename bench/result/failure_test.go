package result_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/bench/result"
)

func TestFailures(t *testing.T) {
	var list result.Failures
	for _, f := range []result.Failure{
		{Status: "io-timeout", State: "ACTIVE", Text: "slow", Example: "a", Count: 2},
		{Status: "connection-reset", State: "IDLE", Text: "reset", Lost: true, Count: 5},
		{Status: "io-timeout", State: "ACTIVE", Text: "slow", Example: "b", Count: 1}, // the first example stays
		{Status: "connection-reset", State: "IDLE", Text: "reset", Count: 1},
		{Status: "io-timeout", State: "IDLE", Text: "slow", Count: 1},
	} {
		list.Add(f)
	}
	want := []result.Failure{
		{Status: "connection-reset", State: "IDLE", Text: "reset", Lost: true, Count: 5},
		{Status: "io-timeout", State: "ACTIVE", Text: "slow", Example: "a", Count: 3},
		{Status: "connection-reset", State: "IDLE", Text: "reset", Count: 1},
		{Status: "io-timeout", State: "IDLE", Text: "slow", Count: 1},
	}
	if diff := cmp.Diff(want, list.ByCount()); diff != "" {
		t.Errorf("failures differ (-want +got):\n%s", diff)
	}
	total, lost := list.Total()
	if total != 10 || lost != 5 {
		t.Errorf("got %d and %d lost, want 10 and 5", total, lost)
	}
	if diff := cmp.Diff(map[string]uint64{"connection-reset": 6, "io-timeout": 4}, list.ByStatus()); diff != "" {
		t.Errorf("statuses differ (-want +got):\n%s", diff)
	}
}

// TestFailuresAreLimited: texts without end take no memory without end, and none is left uncounted.
func TestFailuresAreLimited(t *testing.T) {
	const n = 10_000
	fill := func(from int) (list result.Failures) {
		for i := range n {
			list.Add(result.Failure{Status: []string{"io-timeout", "connection-reset"}[i%2], Text: fmt.Sprint(from + i), Count: 1})
		}
		return list
	}
	a, b := fill(0), fill(n)
	for _, list := range []result.Failures{a, b} {
		if total, _ := list.Total(); total != n || len(list) > 70 {
			t.Errorf("got %d in %d reasons, want all %d in few", total, len(list), n)
		}
	}
	a.Merge(b)
	if total, _ := a.Total(); total != 2*n || len(a) > 70 {
		t.Errorf("merged: got %d in %d reasons, want all %d in few", total, len(a), 2*n)
	}
	if got := a.ByStatus()["io-timeout"]; got != n {
		t.Errorf("got %d timeouts, want %d", got, n)
	}
	if !slices.IsSortedFunc(a, func(x, y result.Failure) int {
		if x.Status < y.Status || x.Status == y.Status && x.Text < y.Text {
			return -1
		}
		return 1
	}) {
		t.Error("the order is lost")
	}
}
