package metrics

import (
	"time"

	"sonde/internal/histogram"
	"sonde/internal/kernel/usage"
	"sonde/ringbuf"
	"sonde/watch/schedule"
)

// process has a value for each figure of sonde's own.
func process() *Process {
	lag := histogram.New()
	for _, d := range []time.Duration{40 * time.Microsecond, 2 * time.Millisecond, 2 * time.Millisecond} {
		lag.Record(d)
	}
	return &Process{
		Late:    everything().Late(),
		Version: "1.2.3", GoVersion: "go1.26", Start: start, Usage: usage.Usage{User: 1500 * time.Millisecond, System: 500 * time.Millisecond, Resident: 1 << 27, Threads: 9},
		Goroutines: 21, HeapBytes: 1 << 26, FDs: 40, FDLimit: 20000, Ports: 28232, Paced: 1, Asked: 2,
		Engine: Engine{
			Loops: 1, Connections: []Connections{{"CONNECTING", 3}, {"IDLE", 12}}, Opened: 100, Closed: 85, Established: 90, FDWaits: 4, PortWaits: 5, BufferWaits: 6,
			Buffers: ringbuf.Stats{InUseBytes: 4096, BlockBytes: 1 << 20}, Armed: 15, Waiting: 2, LoopLag: lag,
		},
		Schedule: schedule.Stats{Turns: 1000, Missed: 2, Overlap: 3},
		Config:   Config{Hash: "abcdef", Loaded: start, OK: true, Reloads: 2, Failed: 1},
		Sources: []Source{
			{Job: "web", Kind: "file", Name: "targets/*.json", OK: true, Read: start.Add(1500 * time.Millisecond), Targets: 7}, {Job: "web", Kind: "http", Name: "http://sd/"},
		},
		Workers: []Worker{{Up: true, Restarts: 1, Usage: usage.Usage{User: time.Second, Resident: 1 << 25, Threads: 3}, FDs: 20, FDLimit: 20000}, {Restarts: 2}},
	}
}
