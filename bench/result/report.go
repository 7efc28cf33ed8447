package result

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"sonde/internal/histogram"
)

// Schema names the form of a Report's JSON. A change that a reader could stumble over changes the number.
const Schema = "sonde-bench/1"

// The kinds of load.
const (
	Hold      = "hold"
	Handshake = "handshake"
	Request   = "request"
)

// Report is a load that has ended: what was asked for, where, and what came of it.
type Report struct {
	Schema  string `json:"schema"`
	Kind    string `json:"kind"` // hold, handshake or request
	Version string `json:"version"`
	// Command is the command line, without the program's name.
	Command []string `json:"command"`
	// Config is what was asked for, defaults filled in, as a flat object of settings.
	Config map[string]any `json:"config"`
	// Machine is where sonde ran.
	Machine Machine `json:"machine"`
	// Stopped says why the load ended early ("interrupted"), empty if it did not.
	Stopped string `json:"stopped,omitempty"`
	// Total is what all processes counted.
	Total *Part `json:"total"`
	// Kernel is what the kernel held for the connections.
	Kernel Kernel `json:"kernel"`
	// Workers are the worker processes; none if there was one process.
	Workers []Worker `json:"workers,omitempty"`
	// Runs are the repeated runs, of which Total is the one in the middle, for the comparison with a baseline; none if there was one.
	Runs []Run `json:"runs,omitempty"`
	// Searched is what `--find-rate` tried, in its order.
	Searched []Trial `json:"searched,omitempty"`
}

// Machine is the machine of a load.
type Machine struct {
	OS       string `json:"os"` // "linux/amd64"
	Kernel   string `json:"kernel"`
	CPUs     int    `json:"cpus"` // that this process may use
	CPUModel string `json:"cpu_model,omitempty"`
	Memory   int64  `json:"memory"` // bytes; -1 if not known
	Go       string `json:"go"`
	Hostname string `json:"hostname,omitempty"`
}

// Kernel is what the kernel's TCP held, of all processes of the machine: over loopback both ends are in it.
type Kernel struct {
	// Sockets and Memory are by how much sockstat (proc_net(5)) grew from before the first connection to when all were held:
	// sockets over IPv4, and bytes of their buffers. -1 if not known.
	Sockets int64 `json:"sockets"`
	Memory  int64 `json:"buffer_memory"`
	// Slab is by how much all slabs together grew (/proc/meminfo: the sockets themselves, files, inodes). -1 if not known.
	Slab int64 `json:"slab_memory"`
}

// Worker is how a worker process ended.
type Worker struct {
	Number      int           `json:"number"`
	PID         int           `json:"pid"`
	Connections uint64        `json:"connections"` // its share
	CPU         time.Duration `json:"cpu_ns"`
	Error       string        `json:"error,omitempty"` // why it died; its share is among the failures
}

// Run is the figures of one of several repeated runs.
type Run struct {
	Figures map[string]float64 `json:"figures"`
}

// Trial is one rate that was tried.
type Trial struct {
	Rate     float64       `json:"rate"`     // asked for, per second
	Achieved float64       `json:"achieved"` // per second
	Value    time.Duration `json:"value_ns"` // the quantile of the promise
	Kept     bool          `json:"kept"`     // the promise
}

// OperationsPerSecond is the rate of operations in the time in which they count.
func (p *Part) OperationsPerSecond() float64 {
	if p.Measured <= 0 {
		return 0
	}
	return float64(p.Operations) / p.Measured.Seconds()
}

// CPUPerOperation is the CPU time of an operation in the time in which they count, failures not counted; 0 if there was none.
func (p *Part) CPUPerOperation() time.Duration {
	if p.Operations == 0 {
		return 0
	}
	return time.Duration(float64(p.Usage.MeasuredCPU) / float64(p.Operations))
}

// OperationsPerCore is how many operations a second of CPU time does.
func (p *Part) OperationsPerCore() float64 {
	if p.Usage.MeasuredCPU <= 0 {
		return 0
	}
	return float64(p.Operations) / p.Usage.MeasuredCPU.Seconds()
}

// FailedShare is how many of all operations failed, from 0 to 1. Where nothing is said over the connections, or hardly
// anything, it is how many of the connections did.
func (p *Part) FailedShare() float64 {
	failed, _ := p.Failures.Total()
	if failed == 0 {
		return 0
	}
	return float64(failed) / float64(max(p.Operations+failed, p.Wanted))
}

// MemoryPerConnection is by how many bytes the processes grew for each connection that was held, 0 if they shrank, and
// whether that is known.
func (p *Part) MemoryPerConnection() (bytes float64, ok bool) {
	u := &p.Usage
	if p.Held == 0 || u.ResidentBefore < 0 || u.ResidentHeld < 0 {
		return 0, false
	}
	return float64(max(u.ResidentHeld-u.ResidentBefore, 0)) / float64(p.Held), true
}

// quantiles are those that are figures.
var quantiles = []struct {
	word string
	q    float64
	// least is how many counts there are a figure from, 1/(1-q): of fewer it is the greatest, whatever its name.
	least uint64
}{{"p50", 0.50, 2}, {"p90", 0.90, 10}, {"p99", 0.99, 100}, {"p999", 0.999, 1000}}

// The names of the figures that are of no phase.
const (
	OperationsPerS     = "operations_per_s"
	FailedPercent      = "failed_percent"
	CPUPerOperationUS  = "cpu_us_per_operation"
	BytesPerConnection = "memory_per_connection"
)

// QuantileFigures returns the names of the figures of a phase, the median first.
func QuantileFigures(of Phase) []string {
	var names []string
	for _, q := range quantiles {
		names = append(names, of.String()+"_"+q.word)
	}
	return names
}

// FigureNames returns the names of all figures that there can be, in the order in which they are shown.
func FigureNames() []string {
	names := []string{OperationsPerS, FailedPercent, CPUPerOperationUS, BytesPerConnection}
	for phase := range NumPhases {
		names = append(names, QuantileFigures(phase)...)
	}
	return names
}

// Figures are the figures by which two reports are compared, by name. The rate and the share of failures are always there: a
// load of which nothing ended well has a rate of 0, and not none. Others that nothing was counted of, or too little, are left
// out. In all but OperationsPerS less is better.
func (p *Part) Figures() map[string]float64 {
	m := map[string]float64{OperationsPerS: p.OperationsPerSecond(), FailedPercent: 100 * p.FailedShare()}
	if p.Operations > 0 {
		m[CPUPerOperationUS] = float64(p.CPUPerOperation()) / float64(time.Microsecond)
	}
	if bytes, ok := p.MemoryPerConnection(); ok {
		m[BytesPerConnection] = bytes
	}
	for phase, h := range p.Phases {
		if h == nil {
			continue
		}
		for _, q := range quantiles {
			if h.Count() >= q.least {
				m[Phase(phase).String()+"_"+q.word] = float64(h.Quantile(q.q)) / float64(time.Microsecond)
			}
		}
	}
	return m
}

// Write writes r as JSON with a line's end. The error is w's.
func (r *Report) Write(w io.Writer) error {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

// Read reads a report that Write wrote. It fails for other schemas and for what is no report.
func Read(in io.Reader) (*Report, error) {
	r := new(Report)
	if err := json.NewDecoder(in).Decode(r); err != nil {
		return nil, fmt.Errorf("not a report of sonde bench: %w", err)
	}
	switch {
	case r.Schema != Schema:
		return nil, fmt.Errorf("the report's schema is %q, want %q", r.Schema, Schema)
	case r.Total == nil:
		return nil, fmt.Errorf("the report has no total")
	}
	return r, nil
}

// WriteHDR writes the intervals' latencies as an HdrHistogram log. The error is w's.
func (r *Report) WriteHDR(w io.Writer) error {
	log := histogram.NewLog(w, r.Total.Start)
	for i := range r.Total.Intervals {
		in := &r.Total.Intervals[i]
		if in.Latency != nil {
			log.Add(time.Duration(in.Index)*IntervalLength, IntervalLength, in.Latency)
		}
	}
	return log.Close()
}
