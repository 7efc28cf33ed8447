package result

import (
	"cmp"
	"slices"
	"strings"
)

// Failure is one reason why operations or connections failed.
type Failure struct {
	// Status and Side are words of a record (package report): "connection-refused", "remote".
	Status string `json:"status"`
	Side   string `json:"side"`
	// State is that of the connection when it failed: "CONNECTING", "IDLE" for one that was held.
	State string `json:"state"`
	// Text is the error in words for a person.
	Text string `json:"text"`
	// Example is a target that failed so.
	Example string `json:"example,omitempty"`
	// Lost says that the connection had stood: it was dropped.
	Lost  bool   `json:"lost"`
	Count uint64 `json:"count"`
}

func (f *Failure) compare(o *Failure) int {
	lost := 0
	if f.Lost != o.Lost {
		lost = 1
		if o.Lost {
			lost = -1
		}
	}
	return cmp.Or(strings.Compare(f.Status, o.Status), strings.Compare(f.Side, o.Side), strings.Compare(f.State, o.State),
		strings.Compare(f.Text, o.Text), lost)
}

// maxFailures is how many reasons are told apart; what comes then is counted without its text.
const maxFailures = 64

// Failures are reasons, in an order of their own (by status), each once.
type Failures []Failure

// Add counts f.Count failures for the reason f.
func (list *Failures) Add(f Failure) {
	at, found := slices.BinarySearchFunc(*list, f, func(a, b Failure) int { return a.compare(&b) })
	switch {
	case found:
		(*list)[at].Count += f.Count
	case len(*list) >= maxFailures && f.Text != "":
		f.Text = ""
		list.Add(f)
	default:
		*list = slices.Insert(*list, at, f)
	}
}

// Merge adds those of other.
func (list *Failures) Merge(other Failures) {
	for _, f := range other {
		list.Add(f)
	}
}

// Total is how many there were; Lost how many of them were connections that had stood.
func (list Failures) Total() (total, lost uint64) {
	for i := range list {
		total += list[i].Count
		if list[i].Lost {
			lost += list[i].Count
		}
	}
	return total, lost
}

// ByStatus is how many there were of each status.
func (list Failures) ByStatus() map[string]uint64 {
	m := make(map[string]uint64)
	for i := range list {
		m[list[i].Status] += list[i].Count
	}
	return m
}

// ByCount returns copies, the most frequent first.
func (list Failures) ByCount() []Failure {
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(a, b Failure) int { return cmp.Compare(b.Count, a.Count) })
	return sorted
}
