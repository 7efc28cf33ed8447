// Package config reads the file of `sonde watch`: YAML that says what is asked (modules), of whom and how often (jobs), and how much
// this machine gives to it. A file of blackbox_exporter is one, too: its modules stand beside sonde's own.
//
// It is strict. A key that nobody knows, a value of the wrong kind, a name that comes twice is an [Error] with its line and column and
// how to mend it, and all that are found in a file are told together. A key or a prober that blackbox_exporter has and sonde has not
// disables its module alone, with a [Warning].
//
// The package reads the one file and nothing else: what the files and URLs that it names hold is for watch/modules and
// watch/discovery. A Config is not changed once it is read.
package config

import (
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"strconv"
	"time"

	"sonde/internal/kernel/regular"
	"sonde/policy/breaker"
	"sonde/policy/flap"
	"sonde/policy/pace"
	"sonde/policy/retry"
)

// maxFile is how long a file may be, in bytes: a hundred thousand targets are 2 MB, and lists have files of their own.
const maxFile = 8 << 20

// Config is a file, read and found to be sound. Defaults are filled in.
type Config struct {
	// Name is the file's, for messages.
	Name string `yaml:"-"`
	// Modules say how targets are asked, in the file's order. Their names differ.
	Modules []Module `yaml:"modules,keyed"`
	// Jobs say who is asked and when, in the file's order. Their names differ.
	Jobs []Job `yaml:"jobs"`
	// Allow is what /probe may dial: no target outside these prefixes, and a name none of whose addresses is inside. Nil: the file
	// does not say; see [Config.Allowed].
	Allow []netip.Prefix `yaml:"allow"`
	// HostRate is how many dials a second one address gets at most, above 0 and at most 1e6; 0: no limit.
	HostRate float64 `yaml:"host_rate"`
	// SubnetRate is the same for all addresses that share a prefix, written as in "100/24"; zero: no limit.
	SubnetRate pace.Settings `yaml:"subnet_rate"`
	// Connections is how many probes may be under way at once, 1 to 1,048,576; 0: as many as descriptors allow. Kept connections
	// are not among them.
	Connections int `yaml:"connections"`
	// Loops is how many event loops there are, 1 to 1024; 0: one a CPU.
	Loops int `yaml:"loops"`
	// Workers is in how many processes the targets are watched, 1 to MaxWorkers; 0: in this one; or [Auto].
	Workers Workers `yaml:"workers"`
	// History is how many of the last outcomes of each target are kept, 1 to 16,384; default 60.
	History int `yaml:"history"`
	// DNS says how names are resolved.
	DNS DNS `yaml:"dns"`
	// Events is where changes of state are delivered; nil: nowhere.
	Events *Events `yaml:"events"`
	// OTLP is where metrics and traces are sent; nil: nowhere.
	OTLP *OTLP `yaml:"otlp"`
	// Warnings are what an operator should know of a file that was taken, in its order.
	Warnings []Warning `yaml:"-"`
	// Fingerprint is equal for two files if, and as good as only if, they say the same, wherever in them.
	Fingerprint uint64 `yaml:"-"`
}

// Job is targets that are asked in the same way and at the same pace.
type Job struct {
	// Name is the label "job" of its metrics: any text without control characters, at most 200 bytes.
	Name string `yaml:"name"`
	// Module is the name of a module.
	Module string `yaml:"module"`
	// Mode is whether targets are probed again and again, or a connection to each is kept.
	Mode Mode `yaml:"mode"`
	// Interval is the time between two probes of a target, 100 ms to 30 d; default 10 s. A job that keeps connections has none of its
	// own: it is the Heartbeat.
	Interval time.Duration `yaml:"interval"`
	// Jitter is by how much a turn may come later, drawn anew each time; below Interval, default 0.
	Jitter time.Duration `yaml:"jitter"`
	// Overlap lets a probe begin while the one before it is not over; otherwise that turn is left out.
	Overlap bool `yaml:"overlap"`
	// Heartbeat is how often a kept connection is asked, 100 ms to 30 d; default 10 s. For Keep only, else 0.
	Heartbeat time.Duration `yaml:"heartbeat"`
	// Labels are added to the metrics of its targets, sorted by name.
	Labels []Label `yaml:"labels,pairs"`
	// Tag is that of targets that have none of their own.
	Tag string `yaml:"tag"`
	// Retries, RetryDelay, RetryMaxDelay and RetryBudget are those of [retry.Settings]; see [Job.Retry].
	Retries       int           `yaml:"retries"`
	RetryDelay    time.Duration `yaml:"retry_delay"`
	RetryMaxDelay time.Duration `yaml:"retry_max_delay"`
	RetryBudget   time.Duration `yaml:"retry_budget"`
	// Breaker is when a target that fails is asked less often; nil: never.
	Breaker *Breaker `yaml:"breaker"`
	// Flap is how many outcomes in a row turn a target up or down.
	Flap Flap `yaml:"flap"`
	// Thresholds are what the phases of a probe are held against on the page.
	Thresholds Thresholds `yaml:"thresholds"`
	// Targets are entries as `sonde scan` takes them: addresses, names, blocks, ranges, URLs.
	Targets []string `yaml:"targets"`
	// Files are lists of such entries, one a line.
	Files []string `yaml:"files"`
	// FileSD are patterns of the files of Prometheus' file_sd, JSON or YAML (path/filepath.Match).
	FileSD []string `yaml:"file_sd"`
	// HTTPSD are URLs of Prometheus' http_sd.
	HTTPSD []HTTPSD `yaml:"http_sd"`
	// Line is where the job stands in the file.
	Line int `yaml:"-"`
	// Fingerprint is equal for two jobs if, and as good as only if, all of the above is equal but Line.
	Fingerprint uint64 `yaml:"-"`
}

// Mode is what is done with the targets of a job.
type Mode uint8

const (
	Probe Mode = iota // connect, ask, close
	Keep              // connect once and stay, with heartbeats
)

// String returns the word of the file.
func (m Mode) String() string { return [...]string{"probe", "keep"}[m] }

// Workers is a number of worker processes.
type Workers int

// Auto is as many workers as the targets with kept connections need.
const Auto Workers = -1

// MaxWorkers is the most that there may be: at 20,000 descriptors each, twice what a machine's kernel holds by default (fs.file-max on
// 256 GiB).
const MaxWorkers = 2048

// ParseWorkers reads "auto" or a number from 1 to MaxWorkers.
func ParseWorkers(text string) (Workers, error) {
	if text == "auto" {
		return Auto, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > MaxWorkers {
		return 0, fmt.Errorf("want auto or a number from 1 to %d", MaxWorkers)
	}
	return Workers(n), nil
}

// Label is a name and a value. The name is one of Prometheus' (letters, digits, underscores) and none that sonde gives itself.
type Label struct{ Name, Value string }

// Breaker is [breaker.Settings] with the defaults of the file: 5 failures of the last 10 open it, for 30 s at first and 5 min at most.
type Breaker struct {
	Window     int           `yaml:"window"`
	Failures   int           `yaml:"failures"`
	OpenFor    time.Duration `yaml:"open_for"`
	MaxOpenFor time.Duration `yaml:"max_open_for"`
}

// Flap is [flap.Settings]; default 1 and 1.
type Flap struct {
	Rise int `yaml:"rise"`
	Fall int `yaml:"fall"`
}

// Thresholds are how long a phase may take before the page marks it: default 50 ms, 100 ms, 300 ms and 1 s.
type Thresholds struct {
	DNS     time.Duration `yaml:"dns"`
	Connect time.Duration `yaml:"connect"`
	TLS     time.Duration `yaml:"tls"`
	Total   time.Duration `yaml:"total"`
}

// HTTPSD is one URL that answers with target groups.
type HTTPSD struct {
	URL URL `yaml:"url"`
	// RefreshInterval is how often it is asked, 1 s to 30 d; default 60 s. Timeout is for one answer; default 10 s.
	RefreshInterval time.Duration `yaml:"refresh_interval"`
	Timeout         time.Duration `yaml:"timeout"`
}

// DNS says how names are resolved.
type DNS struct {
	// TTL is how long an address is used before its name is resolved again, 1 s to 24 h; default 60 s.
	TTL time.Duration `yaml:"ttl"`
}

// Events is a web hook.
type Events struct {
	URL URL `yaml:"url"`
	// Queue is how many events wait at most while it does not answer, 1 to 1,000,000; default 10,000. The oldest leave first.
	Queue int `yaml:"queue"`
	// Spool is a file that keeps what waits while sonde does not run; empty: what waits then is lost.
	Spool string `yaml:"spool"`
}

// OTLP is a collector of OpenTelemetry, spoken to by OTLP over HTTP.
type OTLP struct {
	// Endpoint is its host and port, or a URL.
	Endpoint Secret `yaml:"endpoint"`
	// Insecure speaks to it without TLS.
	Insecure bool `yaml:"insecure"`
	// Sample is the share of probes that give a span, 0 to 1; default 0.01.
	Sample float64 `yaml:"sample"`
	// Metrics and Traces say what is sent; default both.
	Metrics bool `yaml:"metrics"`
	Traces  bool `yaml:"traces"`
}

// Secret is a text that is not to be seen: formatted or marshalled it is "<secret>". string(s) is the text.
type Secret string

// hidden is what is printed in place of a secret.
const hidden = "<secret>"

// String implements fmt.Stringer.
func (Secret) String() string { return hidden }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return hidden }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// URL is one of http or https. It may hold a password, which its methods leave out; string(u) is all of it.
type URL string

// String is the URL with what may be secret left out: user, password and query.
func (u URL) String() string { return redact(string(u)) }

// GoString implements fmt.GoStringer.
func (u URL) GoString() string { return redact(string(u)) }

// MarshalText implements encoding.TextMarshaler.
func (u URL) MarshalText() ([]byte, error) { return []byte(redact(string(u))), nil }

// Retry is how the targets of j are asked again.
func (j *Job) Retry() retry.Settings {
	return retry.Settings{Retries: j.Retries, Delay: j.RetryDelay, MaxDelay: j.RetryMaxDelay, Budget: j.RetryBudget}
}

// BreakerSettings are those of j's targets.
func (j *Job) BreakerSettings() breaker.Settings {
	if j.Breaker == nil {
		return breaker.Settings{}
	}
	return breaker.Settings(*j.Breaker)
}

// FlapSettings are those of j's targets.
func (j *Job) FlapSettings() flap.Settings { return flap.Settings(j.Flap) }

// Module returns the module of that name; nil if there is none.
func (c *Config) Module(name string) *Module {
	for i := range c.Modules {
		if c.Modules[i].Name == name {
			return &c.Modules[i]
		}
	}
	return nil
}

// Allowed is what /probe may dial. What the file says holds; if it says nothing, that is loopback if the listener is on loopback, and
// else nothing: who can reach a listener on loopback can dial loopback himself, but any other who may choose what we dial
// could see with our eyes (our loopback, the networks behind us, a cloud's metadata service).
func (c *Config) Allowed(listenerOnLoopback bool) []netip.Prefix {
	if c.Allow == nil && listenerOnLoopback {
		return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	return c.Allow
}

// Load reads a file. An error is that of reading it, or [Errors]. Names of files in it are relative to its folder.
func Load(path string) (*Config, error) {
	data, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Read(path, data)
}

// ReadFile is what a file holds, as much of it as [Read] needs to refuse one that is too long.
func ReadFile(path string) ([]byte, error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, err // names the file
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1)) // its errors name the file, too
}

// Read is Load of a file that holds data, whatever is there now.
func Read(path string, data []byte) (*Config, error) {
	c, err := Parse(path, data)
	if err == nil {
		c.resolve(filepath.Dir(path))
	}
	return c, err
}
