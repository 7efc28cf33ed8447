package web

import (
	"context"
	"io"
	"time"

	"sonde/report"
	"sonde/watch/history"
	"sonde/watch/metrics"
	"sonde/watch/track"
)

// Backend is what the answers are made of: the runner. Its methods are called by many goroutines at once and give copies: nothing
// that they return is written to afterwards, by either side. A method that asks the owner of the table gives up when its context
// ends.
type Backend interface {
	// Ready is nil when probes run: not before the first configuration does, and no more while all comes to its end. The error
	// says which, for a person.
	Ready() error
	// Reload reads the configuration anew. The error says what is wrong with it; the old one runs on then.
	Reload(ctx context.Context) error

	// WriteMetrics writes all metrics in that format to w, which never makes it wait for a peer.
	WriteMetrics(ctx context.Context, w io.Writer, f metrics.Format) error
	// Probe runs one probe of a module. Its error is a [*Problem] if it is the asker's: a target that may not be probed (403),
	// one that makes no sense (400). A target that does not answer well is no error.
	Probe(ctx context.Context, request *ProbeRequest) (*ProbeAnswer, error)
	// Module is how long the phases of a module may take. Its error is a *Problem for one that is unknown or disabled (400).
	Module(name string) (Limits, error)

	// Copy fills into with what is known of all targets now ([track.Table.Copy]). It is asked for once a second at most, and only
	// while somebody looks; into is the same each time.
	Copy(ctx context.Context, into *track.Copy) error
	// Points gives the history of each of these targets, the oldest point first; nothing for one that is not there any more.
	Points(ctx context.Context, of []Ref) ([][]history.Point, error)
	// Failures are the last ones of all targets, the newest first, a few hundred at most.
	Failures(ctx context.Context) ([]Failure, error)
	// Status is how sonde itself is.
	Status(ctx context.Context) (*Status, error)
}

// Problem is an error that is told to the asker as it is.
type Problem struct {
	Code int // of HTTP: 400, 403, 503
	Text string
}

// Error implements error.
func (p *Problem) Error() string { return p.Text }

// ProbeRequest is what /probe was asked for, checked as far as it can be without the configuration.
type ProbeRequest struct {
	Module, Target string
	// Hostname is the name to ask for in the Host header and the server name of TLS, if it is not that in Target.
	Hostname string
	// Timeout is the whole time that the probe has; above zero.
	Timeout time.Duration
	// Debug asks for Log and Module in the answer.
	Debug bool
}

// ProbeAnswer is what came of it.
type ProbeAnswer struct {
	Metrics []byte   // in the text format
	Log     []string // a line each
	Module  string   // the module's configuration as YAML, secrets masked
}

// Ref names a target: its row, and what it was when the row was copied, by which it is told whether the row is still its own.
type Ref struct {
	ID     uint32
	Target *track.Target
}

// Limits are how long the phases of a module may take; 0 for no limit of its own. Total is that of a whole probe.
type Limits struct{ DNS, Connect, TLS, Total time.Duration }

// Thresholder is a Backend that knows for each job from which time on the page marks a phase; without it those are the limits of the
// target's module.
type Thresholder interface {
	Thresholds(job string) Limits
}

// Failure is a probe of a target that did not succeed.
type Failure struct {
	Job, Instance string
	At            time.Time
	Status        report.Status
	Side          report.Side
	Error         string // for a person
	Timing        report.Timing
}

// Status is how sonde itself is.
type Status struct {
	Version string
	Start   time.Time
	Config  Config
	Sources []Source
	// Engine are figures in the order in which they are shown: connections, descriptors, lag.
	Engine []Figure
}

// Config is how the configuration is.
type Config struct {
	File   string
	Loaded time.Time // when the one that runs was taken
	// Error says what was wrong at the last try, Failed when that was; empty if nothing was.
	Error    string
	Failed   time.Time
	Warnings []string // a line each: what of the file can't run
}

// Source is a list of targets: inline, a file, a URL.
type Source struct {
	Job, Name, Kind string
	Targets         int
	Read            time.Time // when it was last read whole
	Error           string    // what was wrong at the last try; empty if nothing was
}

// Figure is one number of the engine's.
type Figure struct {
	Name  string  // "connections", "schedule lag p99"
	Value float64 // in Unit
	Unit  string  // "", "s", "B"
}
