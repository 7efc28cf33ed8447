package metrics

import (
	"strconv"
	"strings"
	"time"

	"sonde/internal/histogram"
	"sonde/internal/kernel/usage"
	"sonde/ringbuf"
	"sonde/watch/schedule"
	"sonde/watch/track"
)

// Process is what is said of sonde itself. A negative number is not known and not written.
type Process struct {
	Version, GoVersion string
	Start              time.Time
	// Usage is what the process has used so far; Goroutines and HeapBytes are of the moment.
	Usage      usage.Usage
	Goroutines int
	HeapBytes  int64 // of live objects and those not yet swept
	// FDs are open, FDLimit may be; Ports are there for dials to one destination.
	FDs, FDLimit, Ports int64
	Engine              Engine
	Schedule            schedule.Stats
	Late                track.Histogram // by how much probes began after their turns, those of jobs that are gone too
	Paced               uint64          // dials that waited for their host's turn or their subnet's
	Asked               uint64          // probes by /probe
	Config              Config
	Sources             []Source
	// Workers are the processes that share the targets, if there are any: what is above is of all of them and this one together.
	Workers []Worker
}

// Worker is one of several processes.
type Worker struct {
	Up           bool // else nothing is known but Restarts
	Restarts     uint64
	Usage        usage.Usage
	FDs, FDLimit int64
}

// Engine are the figures of the event loops.
type Engine struct {
	Loops       int
	Connections []Connections
	// Opened and Closed count sockets, Established connections. FDWaits, PortWaits and BufferWaits count how often something waited
	// for a descriptor, a local port, a buffer.
	Opened, Closed, Established, FDWaits, PortWaits, BufferWaits uint64
	Buffers                                                      ringbuf.Stats
	Armed, Waiting                                               int64                // deadlines in the wheels; jobs that wait to be dialled
	LoopLag                                                      *histogram.Histogram // how late the loops were; nil: not known
}

// Connections are how many are in a state of the engine's, which is written in lower case.
type Connections struct {
	State string
	N     int64
}

// Config is how the last reloads went.
type Config struct {
	Hash    string    // of the one that runs
	Loaded  time.Time // when that was taken
	OK      bool      // the last try was taken
	Reloads uint64    // that were taken
	Failed  uint64    // that were not
}

// Source is one that a job's targets come from.
type Source struct {
	Job, Kind, Name string
	OK              bool      // the last reading was good
	Read            time.Time // the last good one; zero: none
	Targets         int
}

// one is a family of one series without labels.
type one struct {
	name  string
	kind  kind
	help  string
	value float64
}

func (p *Process) write(e *encoder) {
	g := &p.Engine
	e.info("sonde_build_info", "The version that runs.", "version", p.Version, "goversion", p.GoVersion)
	e.ones([]one{
		{"process_start_time_seconds", gauge, "When the process began, in Unix time.", unixFloat(p.Start)},
		{"process_cpu_seconds_total", counter, "CPU time of all threads, of user and system.", p.Usage.CPU().Seconds()},
		{"process_resident_memory_bytes", gauge, "Memory in RAM.", float64(p.Usage.Resident)},
		{"process_open_fds", gauge, "Open descriptors.", float64(p.FDs)},
		{"process_max_fds", gauge, "How many descriptors may be open.", float64(p.FDLimit)},
		{"go_goroutines", gauge, "Goroutines.", float64(p.Goroutines)},
		{"go_threads", gauge, "Threads of the operating system.", float64(p.Usage.Threads)},
		{"go_memstats_heap_alloc_bytes", gauge, "Heap in use, what is not swept yet included.", float64(p.HeapBytes)},

		{"sonde_local_ports", gauge, "Local ports for dials to one destination from one address.", float64(p.Ports)},
		{"sonde_event_loops", gauge, "Event loops.", float64(g.Loops)},
		{"sonde_sockets_opened_total", counter, "Sockets that were opened.", float64(g.Opened)},
		{"sonde_sockets_closed_total", counter, "Sockets that were closed.", float64(g.Closed)},
		{"sonde_connections_established_total", counter, "Connections that were established.", float64(g.Established)},
		{"sonde_fd_waits_total", counter, "How often dials waited for a descriptor.", float64(g.FDWaits)},
		{"sonde_port_waits_total", counter, "Dials that waited for a local port.", float64(g.PortWaits)},
		{"sonde_buffer_waits_total", counter, "How often a read waited for a buffer.", float64(g.BufferWaits)},
		{"sonde_buffer_used_bytes", gauge, "Ring buffers that are lent.", float64(g.Buffers.InUseBytes)},
		{"sonde_buffer_held_bytes", gauge, "Memory that ring buffers are cut from.", float64(g.Buffers.BlockBytes)},
		{"sonde_waiting_dials", gauge, "Dials that wait for room, a descriptor, a port or their turn.", float64(g.Waiting)},
		{"sonde_armed_deadlines", gauge, "Deadlines in the timing wheels.", float64(g.Armed)},

		{"sonde_schedule_turns_total", counter, "Turns that were taken.", float64(p.Schedule.Turns)},
		{"sonde_schedule_missed_turns_total", counter, "Turns that came too late to be taken.", float64(p.Schedule.Missed)},
		{"sonde_schedule_overlapped_turns_total", counter, "Turns that were not taken since the probe before was not over.", float64(p.Schedule.Overlap)},
		{"sonde_paced_dials_total", counter, "Dials that waited for the turn of their host or subnet.", float64(p.Paced)},
		{"sonde_probe_requests_total", counter, "Probes that were asked for by /probe.", float64(p.Asked)},

		{"sonde_config_last_reload_successful", gauge, "Whether the last try to load the configuration succeeded.", float64(indexOf(p.Config.OK))},
		{"sonde_config_last_reload_success_timestamp_seconds", gauge, "When the configuration was loaded that runs.", unixFloat(p.Config.Loaded)},
	})
	e.info("sonde_config_info", "The configuration that runs.", "hash", p.Config.Hash)
	e.begin("sonde_config_reloads_total", counter, "Tries to load the configuration, by result.")
	for i, n := range [...]uint64{p.Config.Failed, p.Config.Reloads} {
		e.sample(nil)
		e.label("result", [...]string{"failure", "success"}[i])
		e.uint(n)
	}
	e.begin("sonde_connections", gauge, "Connections of the engine by state.")
	for _, s := range g.Connections {
		e.sample(nil)
		e.label("state", strings.ToLower(s.State))
		e.int(s.N)
	}
	e.lags(g.LoopLag, &p.Late)
	e.sources(p.Sources)
	e.workers(p.Workers)
}

// workers writes what is said of each worker process.
func (e *encoder) workers(workers []Worker) {
	if len(workers) == 0 {
		return
	}
	for _, f := range []struct {
		name   string
		kind   kind
		help   string
		always bool // of one that is down, too
		value  func(w *Worker) float64
	}{
		{"sonde_worker_up", gauge, "Whether the worker process runs; while it does not, its targets are not watched.", true, func(w *Worker) float64 {
			return float64(indexOf(w.Up))
		}},
		{"sonde_worker_restarts_total", counter, "How often the worker process was started again.", true, func(w *Worker) float64 { return float64(w.Restarts) }},
		{"sonde_worker_cpu_seconds_total", counter, "CPU time of the worker process.", false, func(w *Worker) float64 { return w.Usage.CPU().Seconds() }},
		{"sonde_worker_resident_memory_bytes", gauge, "Memory of the worker process in RAM.", false, func(w *Worker) float64 { return float64(w.Usage.Resident) }},
		{"sonde_worker_open_fds", gauge, "Open descriptors of the worker process.", false, func(w *Worker) float64 { return float64(w.FDs) }},
		{"sonde_worker_max_fds", gauge, "How many descriptors the worker process may have open.", false, func(w *Worker) float64 { return float64(w.FDLimit) }},
	} {
		e.begin(f.name, f.kind, f.help)
		for i := range workers {
			if n := f.value(&workers[i]); n >= 0 && (workers[i].Up || f.always) {
				e.sample(nil)
				e.label("worker", strconv.Itoa(i))
				e.float(n)
			}
		}
	}
}

// unixFloat is a moment in seconds since the Unix epoch; negative, not known, for the zero Time.
func unixFloat(t time.Time) float64 {
	if t.IsZero() {
		return -1
	}
	return float64(t.UnixMilli()) / 1000
}

func (e *encoder) ones(families []one) {
	for _, f := range families {
		if f.value >= 0 {
			e.begin(f.name, f.kind, f.help)
			e.sample(nil)
			e.float(f.value)
		}
	}
}

// info writes a series of the value 1 with labels, names and values in turn.
func (e *encoder) info(name, help string, labels ...string) {
	e.begin(name, gauge, help)
	e.sample(nil)
	for i := 0; i < len(labels); i += 2 {
		e.label(labels[i], labels[i+1])
	}
	e.int(1)
}

// lags writes how late the loops were, and the turns of all jobs.
func (e *encoder) lags(loops *histogram.Histogram, turns *track.Histogram) {
	if loops != nil {
		var h track.Histogram
		for b := range loops.Buckets() {
			h.Add(b.To, b.Count)
		}
		h.Sum = time.Duration(loops.Count()) * loops.Mean()
		e.begin("sonde_loop_lag_seconds", histograms, "How late event loops were: by what they were busy with, or by the operating system.")
		e.histogram(nil, &h)
	}
	e.begin("sonde_schedule_lag_seconds", histograms, "How much after their turn probes began, those of all jobs.")
	e.histogram(nil, turns)
}

func (e *encoder) sources(sources []Source) {
	labeled := func(s *Source) {
		e.sample(nil)
		e.label("job", s.Job)
		e.label("kind", s.Kind)
		e.label("source", s.Name)
	}
	e.begin("sonde_discovery_up", gauge, "Whether the source of targets could be read the last time.")
	for i := range sources {
		labeled(&sources[i])
		e.bool(sources[i].OK)
	}
	e.begin("sonde_discovery_targets", gauge, "Targets of the source.")
	for i := range sources {
		labeled(&sources[i])
		e.int(int64(sources[i].Targets))
	}
	e.begin("sonde_discovery_last_success_timestamp_seconds", gauge, "When the source of targets could last be read.")
	for i := range sources {
		if !sources[i].Read.IsZero() {
			labeled(&sources[i])
			e.unix(sources[i].Read)
		}
	}
}
