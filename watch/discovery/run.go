package discovery

import (
	"context"
	"slices"
)

// Run reads the sources, again and again, until ctx is done; then it closes Updates and returns. It is called once. It does not wait for
// a look that is under way, which takes forever on a file system whose server is gone; nothing comes of that look any more.
func (d *Discovery) Run(ctx context.Context) {
	defer close(d.updates)
	d.inherit()
	files := &folders{Discovery: d}
	for _, s := range d.sources() {
		switch s.kind {
		case kindInline:
		case kindHTTPSD:
			go d.fetchAll(ctx, s)
		default:
			files.sources = append(files.sources, s)
		}
	}
	if len(files.sources) > 0 {
		go files.run(ctx)
	}
	var waiting []Update
	for _, j := range d.jobs {
		if j.isKnown() {
			waiting = d.tell(waiting, j)
		}
	}
	for {
		out, next := d.updates, Update{}
		if len(waiting) == 0 {
			out = nil
		} else {
			next = waiting[0]
		}
		select {
		case <-ctx.Done():
			return
		case out <- next:
			waiting = slices.Delete(waiting, 0, 1)
		case r := <-d.readings:
			if d.take(r) {
				waiting = d.tell(waiting, r.source.job)
			}
		}
	}
}

// take notes what a look at a source gave. It reports whether the job's list is another, or known for the first time.
func (d *Discovery) take(r reading) bool {
	s := r.source
	d.note(r)
	s.isKnown = true
	if r.isNew {
		s.docs = r.docs
	}
	return s.job.isKnown() && (r.isNew || !s.job.isTold)
}

// isKnown reports whether all sources were read, or have failed, once.
func (j *job) isKnown() bool {
	return !slices.ContainsFunc(j.sources, func(s *source) bool { return !s.isKnown })
}

// tell appends a job's list to those that wait to be received, and drops an older one of the job.
func (d *Discovery) tell(waiting []Update, j *job) []Update {
	l := j.list()
	j.isTold = true
	for _, fault := range l.faults {
		if !slices.Contains(j.faults, fault) {
			d.options.Log.Warn("targets of the job " + j.Name + ": " + fault)
		}
	}
	j.faults = l.faults
	d.count(j)
	waiting = slices.DeleteFunc(waiting, func(u Update) bool { return u.Job == j.Name })
	return append(waiting, Update{Job: j.Name, Targets: l.targets, Faults: l.faults})
}

// inherit takes over what the Discovery before knew of sources that both have.
func (d *Discovery) inherit() {
	before := d.options.Before
	d.options.Before = nil // and with it all those before it
	if before == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	known := map[sourceID]*source{}
	for _, s := range before.sources() {
		if s.kind != kindInline && s.isKnown {
			known[s.id()] = s
		}
	}
	for _, s := range d.sources() {
		if was := known[s.id()]; was != nil {
			s.docs, s.isKnown = was.docs, true
			for _, doc := range was.docs {
				at := doc.name
				if s.kind == kindHTTPSD {
					at = s.http.URL // under which it may have another name now
				}
				s.held[at] = &held{sum: doc.sum, doc: doc}
			}
			d.status[s.index] = before.status[was.index]
		}
	}
	for _, j := range d.jobs {
		for _, was := range before.jobs {
			if was.Name == j.Name {
				j.faults = was.faults
			}
		}
	}
}
