package discovery

import (
	"slices"
	"time"
)

// Status is how one source is.
type Status struct {
	Job  string
	Kind string // "inline", "files", "file_sd" or "http_sd"
	Name string // the path, pattern or URL (without password and query) as configured; empty for inline
	// LastSuccess is when it was last read as a whole; zero if never, and for inline.
	LastSuccess time.Time
	// Error is what is wrong with it now; empty if nothing is.
	Error string
	// Failures counts looks that failed, since the start or, behind a reload, since the source is configured.
	Failures uint64
	// Targets is how many it has in the job's list, and Refused how many of its entries can't be probed.
	Targets, Refused int
}

// Status returns how each source is, in the order of the configuration. Any goroutine may call it.
func (d *Discovery) Status() []Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.status)
}

// note has the status say what a look at a source gave, and the log what is new in it.
func (d *Discovery) note(r reading) {
	s := r.source
	d.mu.Lock()
	defer d.mu.Unlock()
	status := &d.status[s.index]
	was := status.Error
	if r.err == nil {
		status.Error = ""
		status.LastSuccess = d.options.Clock.Wall(d.options.Clock.Now())
		if was != "" {
			d.options.Log.Info("targets of the job " + status.Job + ": " + s.kind + " " + status.Name + " can be read again")
		}
		return
	}
	status.Error = r.err.Error()
	status.Failures++
	// Of files another error is another fault; of a server that is down it may be another each time.
	if was == "" || s.kind != kindHTTPSD && was != status.Error {
		stays := ""
		if !status.LastSuccess.IsZero() {
			stays = ", of which the last list stays"
		}
		d.options.Log.Warn("targets of the job " + status.Job + ": " + s.kind + " " + status.Name + stays + ": " + status.Error)
	}
}

// count has the status say how many targets each source of a job gave.
func (d *Discovery) count(j *job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range j.sources {
		d.status[s.index].Targets, d.status[s.index].Refused = s.targets, s.refused
	}
}
