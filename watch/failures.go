package watch

import (
	"sync"

	"sonde/report"
	"sonde/watch/track"
	"sonde/watch/web"
)

// maxFailures is how many of the last failures are kept for the page.
const maxFailures = 300

// failures are the last ones of all targets: a ring.
type failures struct {
	mu   sync.Mutex
	ring [maxFailures]web.Failure
	n    int // that were noted
}

// note is called by the runner's owner with each result.
func (f *failures) note(t *track.Target, res *track.Result) {
	if res.Status == report.Success || t == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ring[f.n%maxFailures] = web.Failure{
		Job: t.Job, Instance: t.Instance, At: res.At, Status: res.Status, Side: res.Side, Error: res.Error, Timing: res.Timing,
	}
	f.n++
}

// last are they, the newest first.
func (f *failures) last() []web.Failure {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]web.Failure, 0, min(f.n, maxFailures))
	for i := f.n - 1; i >= 0 && i >= f.n-maxFailures; i-- {
		out = append(out, f.ring[i%maxFailures])
	}
	return out
}
