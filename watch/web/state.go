package web

import (
	"cmp"
	"slices"
	"time"

	"sonde/policy/breaker"
	"sonde/policy/flap"
	"sonde/report"
	"sonde/watch/track"
)

// state is what people are told of a target in a word.
type state uint8

// The states, the worst first.
const (
	down    state = iota // after fall: it counts as failed
	stale                // the last probe failed, but it does not count as down: its last good answer stands
	up                   // the last probe succeeded
	unknown              // no outcome yet
	numStates
)

var stateWords = [numStates]string{"down", "stale", "up", "unknown"}

func (s state) String() string { return stateWords[s] }

func stateOf(v *track.View) state {
	switch {
	case v.State() == flap.Down:
		return down
	case v.State() == flap.Unknown && v.Status() == report.Success: // of one not probed as well
		return unknown
	case v.Status() != report.Success:
		return stale
	}
	return up
}

// The words by which targets are asked for besides their states.
const (
	breakerOpen = "breaker-open" // or half-open: it is not asked as often as it should be
	keptDown    = "kept-down"    // the connection that is to be kept is not up, and was tried
)

func isBreakerOpen(v *track.View) bool { return v.Breaker() != breaker.Closed }

func isKeptDown(v *track.View) bool { return v.Target.Keep && v.Probed() && !v.Kept().Up }

// orders are the ways of sorting besides that by name, which follows where two are equal.
var orders = map[string]func(a, b *track.View) int{
	"state":  func(a, b *track.View) int { return cmp.Compare(badness(a), badness(b)) },
	"since":  func(a, b *track.View) int { return b.Turned().Compare(a.Turned()) },
	"total":  func(a, b *track.View) int { return cmp.Compare(b.Phase(track.PhaseTotal), a.Phase(track.PhaseTotal)) },
	"expiry": func(a, b *track.View) int { return cmp.Compare(expiry(a), expiry(b)) },
	"probed": func(a, b *track.View) int { return b.At().Compare(a.At()) },
}

// badness is lowest for what a person wants to see first.
func badness(v *track.View) int {
	s := stateOf(v)
	if s == up && (isBreakerOpen(v) || isKeptDown(v)) {
		return 2*int(stale) + 1
	}
	return 2 * int(s)
}

// expiry has those without a certificate last.
func expiry(v *track.View) int64 {
	if t := certExpiry(v); !t.IsZero() {
		return t.Unix()
	}
	return 1<<63 - 1
}

// certExpiry is when the first certificate of those that it showed ends; zero if none is known.
func certExpiry(v *track.View) time.Time {
	if v.TLS() == nil {
		return time.Time{}
	}
	return v.TLS().EarliestExpiry
}

// totals count targets by state.
type totals struct {
	All         int `json:"all"`
	Up          int `json:"up"`
	Down        int `json:"down"`
	Stale       int `json:"stale"`
	Unknown     int `json:"unknown"`
	BreakerOpen int `json:"breaker_open"` // whatever their state
	KeptDown    int `json:"kept_down"`    // whatever their state
}

func (t *totals) add(v *track.View) {
	t.All++
	*[numStates]*int{down: &t.Down, stale: &t.Stale, up: &t.Up, unknown: &t.Unknown}[stateOf(v)]++
	if isBreakerOpen(v) {
		t.BreakerOpen++
	}
	if isKeptDown(v) {
		t.KeptDown++
	}
}

// byName sorts the indexes of views by job and instance.
func byName(views []track.View) []int32 {
	sorted := make([]int32, len(views))
	for i := range sorted {
		sorted[i] = int32(i)
	}
	slices.SortFunc(sorted, func(a, b int32) int {
		return compareName(views[a].Target, views[b].Target.Job, views[b].Target.Instance)
	})
	return sorted
}

func compareName(t *track.Target, job, instance string) int {
	return cmp.Or(cmp.Compare(t.Job, job), cmp.Compare(t.Instance, instance))
}
