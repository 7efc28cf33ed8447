package compare

import (
	"math"
	"slices"
	"time"

	"sonde/bench/result"
	"sonde/bench/transport"
	"sonde/internal/histogram"
	"sonde/internal/kernel/usage"
)

// Format is the version of Report's JSON. It grows by one when a member changes its meaning or goes.
const Format = 1

// Unknown stands for a figure that there is none of: it was not measured, or nothing was done that it could be of.
const Unknown = -1

// Report is what was compared.
type Report struct {
	Format int `json:"format"`
	// Version and Machine are the caller's to fill in.
	Version string         `json:"version,omitempty"`
	Machine result.Machine `json:"machine"`
	// ClientCPUs are those on which the transports ran, ServerCPUs those of the targets; empty: neither was bound to any.
	ClientCPUs []int `json:"client_cpus,omitempty"`
	ServerCPUs []int `json:"server_cpus,omitempty"`
	// Targets are those that were given; empty for a fleet of our own.
	Targets []string `json:"targets,omitempty"`
	Rounds  int      `json:"rounds"`
	// Stopped says why it ended early ("interrupted"), empty if it did not.
	Stopped  string    `json:"stopped,omitempty"`
	Sections []Section `json:"workloads"`
}

// Section is one workload.
type Section struct {
	Workload string `json:"workload"`
	// Connections is how many are in flight or held.
	Connections int `json:"connections"`
	// Operations is how many a run of connect, tls or echo has.
	Operations int `json:"operations,omitempty"`
	// Duration and PingInterval are those of hold, in microseconds; no interval: no pings.
	Duration     int64 `json:"duration_us,omitempty"`
	PingInterval int64 `json:"ping_interval_us,omitempty"`
	// Payload is the size of the line that is said, in bytes.
	Payload int   `json:"payload_bytes,omitempty"`
	Rows    []Row `json:"transports"`

	workload transport.Workload
}

// Row is one transport.
type Row struct {
	Transport string `json:"transport"`
	// Unsupported says why it can't do the workload; then there is nothing else.
	Unsupported string `json:"unsupported,omitempty"`
	// Figures are medians over the runs that came to their end, or over those that were stopped if there are no others; nil if
	// there is neither.
	Figures *Figures `json:"median,omitempty"`
	// Ratio is each figure as a multiple of ours; nil without Figures, or without ours.
	Ratio *Figures `json:"ratio,omitempty"`
	// Failed is how many operations of all runs failed, by words of report.Status.
	Failed map[string]int `json:"failed,omitempty"`
	Runs   []RunResult    `json:"runs,omitempty"`
}

// RunResult is one run of a transport, in a process of its own.
type RunResult struct {
	Round int `json:"round"`
	// Error says why there are no figures: the transport failed as a whole, or its process died.
	Error string `json:"error,omitempty"`
	// Stopped is true if the run was ended early. Its figures are of what it had done.
	Stopped bool     `json:"stopped,omitempty"`
	Figures *Figures `json:"figures,omitempty"`
	// Operations is how many ended well.
	Operations int            `json:"operations"`
	Failed     map[string]int `json:"failed,omitempty"`
	// Wall is how long the run took, in microseconds.
	Wall int64 `json:"wall_us"`
	// Latency is of the operations that ended well.
	Latency *histogram.Histogram `json:"latency_us,omitempty"`
}

// Figures are what is compared. Any may be Unknown. In a Ratio they are without unit.
type Figures struct {
	// Connections is how many were in flight; for hold how many stood.
	Connections float64 `json:"connections"`
	// MemoryPerConnection is resident memory, of which Heap and Stacks are live objects and goroutines' stacks, in bytes. Hold
	// only.
	MemoryPerConnection float64 `json:"memory_bytes_per_connection"`
	HeapPerConnection   float64 `json:"heap_bytes_per_connection"`
	StacksPerConnection float64 `json:"stack_bytes_per_connection"`
	// Goroutines and Threads are the most that were seen.
	Goroutines float64 `json:"goroutines"`
	Threads    float64 `json:"threads"`
	// CPUPerOperation is user and system time of the process over all operations, in microseconds, if any ended well; for hold what
	// was used while all stood, over the pings of that time.
	CPUPerOperation float64 `json:"cpu_us_per_operation"`
	// P50, P99 and P999 are latencies, in microseconds.
	P50  float64 `json:"p50_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p999_us"`
	// Rate is operations a second that ended well; for hold pings, while all stood.
	Rate float64 `json:"operations_per_s"`
	// Ramp is how long it took until all stood, in microseconds, HeldCPU what the process used then, in percent of a CPU.
	// Hold only.
	Ramp    float64 `json:"ramp_us"`
	HeldCPU float64 `json:"held_cpu_percent"`
}

// each returns all figures, always in the same order.
func (f *Figures) each() []*float64 {
	return []*float64{&f.Connections, &f.MemoryPerConnection, &f.HeapPerConnection, &f.StacksPerConnection, &f.Goroutines, &f.Threads,
		&f.CPUPerOperation, &f.P50, &f.P99, &f.P999, &f.Rate, &f.Ramp, &f.HeldCPU}
}

// figuresOf makes the figures of a run that had so many connections in flight.
func figuresOf(w transport.Workload, inFlight int, r *transport.Result) *Figures {
	f := &Figures{}
	for _, p := range f.each() {
		*p = Unknown
	}
	f.Connections, f.Goroutines = float64(inFlight), float64(r.Goroutines)
	if r.Threads != usage.Unknown {
		f.Threads = float64(r.Threads)
	}
	if r.Latency != nil && r.Latency.Count() > 0 {
		f.P50, f.P99, f.P999 = us(r.Latency.Quantile(0.5)), us(r.Latency.Quantile(0.99)), us(r.Latency.Quantile(0.999))
	}
	if w != transport.Hold {
		if r.Wall > 0 {
			f.Rate = float64(r.Operations) / r.Wall.Seconds()
		}
		if n := r.Operations + r.FailedOperations(); r.Operations > 0 {
			f.CPUPerOperation = us(r.CPU) / float64(n)
		}
		return f
	}
	f.Connections, f.Ramp = float64(r.Held), us(r.Ramp)
	if held := r.Wall - r.Ramp; held > 0 {
		f.HeldCPU = 100 * r.HeldCPU.Seconds() / held.Seconds()
		f.Rate = float64(r.HeldOperations) / held.Seconds()
	}
	if r.HeldOperations > 0 {
		f.CPUPerOperation = us(r.HeldCPU) / float64(r.HeldOperations)
	}
	if r.Held > 0 {
		per := func(n int64) float64 { return max(0, float64(n)/float64(r.Held)) } // below zero by a little is none
		f.HeapPerConnection, f.StacksPerConnection = per(r.Memory.Heap), per(r.Memory.Stacks)
		if r.Memory.Resident != usage.Unknown {
			f.MemoryPerConnection = per(r.Memory.Resident)
		}
	}
	return f
}

func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// newReport makes the report of what is going to be done.
func newReport(c *Config) *Report {
	r := &Report{Format: Format, Rounds: c.Rounds}
	for _, t := range c.Targets {
		r.Targets = append(r.Targets, t.String())
	}
	for _, w := range c.Workloads {
		s := Section{Workload: w.String(), Connections: c.inFlight(w), Operations: c.operations(w), workload: w}
		switch w {
		case transport.Hold:
			s.Duration, s.PingInterval = c.Duration.Microseconds(), c.PingInterval.Microseconds()
			if c.PingInterval > 0 {
				s.Payload = c.Payload
			}
		case transport.Echo:
			s.Payload = c.Payload
		}
		for _, name := range c.Transports {
			s.Rows = append(s.Rows, Row{Transport: name, Unsupported: supports(name, w)})
		}
		r.Sections = append(r.Sections, s)
	}
	return r
}

// total is how many runs there are to be.
func (r *Report) total() int {
	n := 0
	for i := range r.Sections {
		for j := range r.Sections[i].Rows {
			if r.Sections[i].Rows[j].Unsupported == "" {
				n += r.Rounds
			}
		}
	}
	return n
}

// finish makes medians and ratios of the runs.
func (r *Report) finish() {
	for i := range r.Sections {
		rows := r.Sections[i].Rows
		for j := range rows {
			rows[j].sum()
		}
		ours := slices.IndexFunc(rows, func(row Row) bool { return row.Transport == Ours && row.Figures != nil })
		for j := range rows {
			if ours >= 0 && rows[j].Figures != nil {
				rows[j].Ratio = ratio(rows[j].Figures, rows[ours].Figures)
			}
		}
	}
}

// sum makes the row of its runs.
func (r *Row) sum() {
	var whole, stopped []*Figures
	for i := range r.Runs {
		run := &r.Runs[i]
		for word, n := range run.Failed {
			if r.Failed == nil {
				r.Failed = make(map[string]int)
			}
			r.Failed[word] += n
		}
		switch {
		case run.Error != "" || run.Figures == nil:
		case run.Stopped:
			stopped = append(stopped, run.Figures)
		default:
			whole = append(whole, run.Figures)
		}
	}
	if len(whole) == 0 {
		whole = stopped
	}
	r.Figures = medians(whole)
}

// medians is the median of each figure by itself; nil of none.
func medians(of []*Figures) *Figures {
	if len(of) == 0 {
		return nil
	}
	m := &Figures{}
	for i, p := range m.each() {
		var values []float64
		for _, f := range of {
			if v := *f.each()[i]; v >= 0 {
				values = append(values, v)
			}
		}
		*p = median(values)
	}
	return m
}

// median is the middle one of values, or the mean of the two in the middle; Unknown of none. It sorts them.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return Unknown
	}
	slices.Sort(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// ratio is each figure over ours.
func ratio(f, ours *Figures) *Figures {
	r := &Figures{}
	for i, p := range r.each() {
		a, b := *f.each()[i], *ours.each()[i]
		if *p = Unknown; a >= 0 && b > 0 {
			*p = math.Round(1000*a/b) / 1000
		}
	}
	return r
}
