// Package discovery says what a job's list of targets is now, and tells each new one. A job's targets come from sources: entries
// in the configuration, files of entries as scan reads them, files and URLs in the forms of Prometheus (file_sd, http_sd). It reads
// and fetches; it probes nothing and keeps nothing of a target but its name and labels.
//
// # What is known stays known
//
// A source that fails keeps its last good list, is told once and says so in its [Status]; when it can be read again, that is told
// once too. A file that can't be parsed is such a failure, and so is one of no bytes: that is what a file looks like while it is
// written in place. A plain list of entries that is cut short can't be told from a short list; so write a new file beside it and
// rename it over the old one (rename(2)), which is seen whole.
//
// A file that is gone means one of two things. A pattern ("targets/*.json") says that whatever is there counts, so a file of it
// that was deleted takes its targets with it, as with Prometheus, once it has been away for [VanishGrace] (a deployment may delete
// and write anew). A file that the configuration names outright ought to be there: its absence is a failure as any other,
// and its targets stay; to take them away write an empty list, [], or change the configuration. The same holds if it is the folder
// that can't be read, since what it holds isn't known then. (Prometheus drops the targets in all of these cases. Here a disk that was not
// mounted would end thousands of held connections and their histories, with nothing left to alert on.)
//
// # Who owns what
//
// [Discovery.Run] owns the lists and puts them together; a goroutine for all files and one for each URL read, none for a target. Each
// [Update] is a whole list that nobody changes any more: the receiver compares it with the one before by Key.
package discovery

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"sonde/internal/clock"
	"sonde/target"
	"sonde/watch/track"
)

// Limits. None of them is a setting: they keep a bad source from taking the process along.
const (
	// MaxTargets of a job; what is behind them is left out, and told. A target takes 150 B and its text.
	MaxTargets = 1_000_000
	// MaxBytes of a file or an answer: a million targets of some 60 bytes.
	MaxBytes = 64 << 20
	// maxCommas of JSON: what it makes of a list's bytes takes ten times as much memory, and of many short ones a hundred times.
	maxCommas = 4 * MaxTargets
	// maxText is the length of an entry in bytes, as in package target, and of a label's name and value.
	maxText = 4 << 10
	// maxLabels of a group: all of them are in every series of each of its targets.
	maxLabels = 64
	// maxFiles that one pattern may find.
	maxFiles = 10_000
)

// VanishGrace is for how long a file that a pattern found may be away before its targets go.
const VanishGrace = 5 * time.Second

// Job is where the targets of one job come from.
type Job struct {
	Name string
	// Labels are given to each target that has no label of the same name of its own; in any order.
	Labels []track.Label
	// Read says what an entry means to the job's module, or why it can't be probed by it. It is called by Run's goroutine.
	Read func(text string) (target.Target, error)
	// Inline are entries in any form of scan, CIDR blocks and ranges too.
	Inline []string
	// Files are lists with an entry a line, as scan reads them; the last part of a path may be a pattern (path.Match).
	Files []string
	// FileSD are lists of Prometheus' form; the last part of a path may be a pattern, and ends in .json, .yml or .yaml.
	FileSD []string
	HTTPSD []HTTPSD
}

// HTTPSD is an address that answers with a list of Prometheus' form.
type HTTPSD struct {
	URL string // http or https
	// Refresh is the time between two requests; default 1 m, at least 1 s.
	Refresh time.Duration
	// Timeout is for one answer; default 10 s. It is cut to Refresh.
	Timeout time.Duration
}

// Target is one that a job has now.
type Target struct {
	// Text is the entry as written; of a CIDR block or range that of the single address, with the block's port if it has one.
	Text string
	// Labels are the job's and its own, sorted by name; without what begins with "__" and what is empty. Shared by targets:
	// not to be changed.
	Labels []track.Label
	// Key is its identity: a hash of job and text, so that its history outlives other labels and a restart. When a job has
	// a text several times with different labels, the first by labels has that key, and those of the others depend on their
	// labels.
	Key uint64
	// Entry is what the job's Read made of it.
	Entry target.Target
}

// Update is a job's whole new list, in the order of its sources. Nobody changes it any more.
type Update struct {
	Job     string
	Targets []Target
	// Faults are the entries and labels that are not in Targets, at most some twenty, each with its place and why: for a person.
	Faults []string
}

// Options of a Discovery. The zero value works.
type Options struct {
	Log        *slog.Logger // nil: nowhere
	HTTPClient *http.Client // nil: http.DefaultClient
	Clock      clock.Clock  // nil: the machine's
	// Before is the Discovery that this one takes the place of at a reload; its Run has returned by the time that this one's is
	// called. What it knows of sources that both have is known from the start, so that one that does not answer now loses
	// no target.
	Before *Discovery
}

// Discovery finds the targets of jobs. Make one with [New].
type Discovery struct {
	options  Options
	jobs     []*job
	updates  chan Update
	readings chan reading
	timing   timing

	mu     sync.Mutex // guards status
	status []Status
}

// New makes a Discovery. Nothing is read yet; an error says what no reading could mend: a bad label, pattern or URL.
func New(jobs []Job, o Options) (*Discovery, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.HTTPClient == nil {
		o.HTTPClient = http.DefaultClient
	}
	if o.Clock == nil {
		o.Clock = clock.NewSystem()
	}
	d := &Discovery{options: o, updates: make(chan Update), readings: make(chan reading), timing: usualTiming}
	names := map[string]bool{}
	for _, spec := range jobs {
		j, err := newJob(spec)
		if err != nil {
			return nil, fmt.Errorf("job %q: %w", spec.Name, err)
		}
		if names[spec.Name] {
			return nil, fmt.Errorf("job %q: twice", spec.Name)
		}
		names[spec.Name] = true
		d.jobs = append(d.jobs, j)
		for _, s := range j.sources {
			s.index = len(d.status)
			d.status = append(d.status, Status{Job: spec.Name, Kind: s.kind, Name: s.name})
		}
	}
	return d, nil
}

// Updates yields the list of a job when it is known for the first time, which is when each of its sources was read or has
// failed once, and whenever it is another. One that was not received when the next comes is dropped for that one.
func (d *Discovery) Updates() <-chan Update { return d.updates }

// sources are those of all jobs, in the order of status.
func (d *Discovery) sources() []*source {
	var all []*source
	for _, j := range d.jobs {
		all = append(all, j.sources...)
	}
	return all
}
