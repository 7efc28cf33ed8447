package discovery

// job is one with its sources.
type job struct{ Job }

func newJob(spec Job) (*job, error) { return &job{spec}, nil }

// reading is what one look at a source gave.
type reading struct{}
