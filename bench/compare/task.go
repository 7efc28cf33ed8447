package compare

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"sonde/bench/transport"
	"sonde/internal/histogram"
	"sonde/internal/workers"
)

// goal is where to connect and, for TLS, whom to trust.
type goal struct {
	Targets    []netip.AddrPort `json:"targets"`
	ServerName string           `json:"server_name,omitempty"`
	Insecure   bool             `json:"insecure,omitempty"`
	RootPEM    []byte           `json:"root_pem,omitempty"`
}

// task is the assignment of one run.
type task struct {
	Transport    string             `json:"transport"`
	Workload     transport.Workload `json:"workload"`
	Goal         goal               `json:"goal"`
	Connections  int                `json:"connections"`
	Operations   int                `json:"operations"`
	Duration     time.Duration      `json:"duration_ns"`
	PingInterval time.Duration      `json:"ping_interval_ns"`
	Payload      int                `json:"payload_bytes"`
	Limits       transport.Limits   `json:"limits"`
}

// answer is the final message of a run: what transport.Result holds.
type answer struct {
	Error   string               `json:"error,omitempty"`
	Stopped bool                 `json:"stopped,omitempty"`
	Result  transport.Result     `json:"result"`
	Latency *histogram.Histogram `json:"latency,omitempty"`
}

// task makes the assignment of a run.
func (r *runner) task(w transport.Workload, name string, g goal) task {
	c := &r.config
	return task{Transport: name, Workload: w, Goal: g, Connections: c.inFlight(w), Operations: c.operations(w), Duration: c.Duration,
		PingInterval: c.PingInterval, Payload: c.Payload, Limits: c.Limits}
}

// Work is what a worker of RunRole does: one run of one transport.
func Work(w *workers.Worker) error {
	var t task
	if err := json.Unmarshal(w.Assignment(), &t); err != nil {
		return fmt.Errorf("compare: assignment: %w", err)
	}
	a := t.do(w.Context())
	data, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	return w.Finish(data)
}

// do runs the task in this process.
func (t *task) do(ctx context.Context) answer {
	tr := find(t.Transport)
	if tr == nil {
		return answer{Error: fmt.Sprintf("there is no transport %q", t.Transport)}
	}
	job, err := t.job()
	if err != nil {
		return answer{Error: err.Error()}
	}
	r, err := tr.Run(ctx, job)
	a := answer{Result: r, Latency: r.Latency}
	a.Result.Latency = nil
	switch {
	case err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()):
		a.Stopped = true
	case err != nil:
		a.Error = err.Error()
	}
	return a
}

// job is the task as transports have it.
func (t *task) job() (transport.Job, error) {
	job := transport.Job{Workload: t.Workload, Targets: t.Goal.Targets, Connections: t.Connections, Operations: t.Operations,
		Duration: t.Duration, PingInterval: t.PingInterval, Limits: t.Limits}
	job.Payload = append(bytes.Repeat([]byte{'x'}, max(0, t.Payload-1)), '\n')
	if t.Workload != transport.TLS {
		return job, nil
	}
	// Each handshake is a full one: nothing is kept to resume by.
	job.TLS = &tls.Config{ServerName: t.Goal.ServerName, InsecureSkipVerify: t.Goal.Insecure}
	if job.TLS.ServerName == "" && !t.Goal.Insecure {
		if len(t.Goal.Targets) == 0 {
			return job, errors.New("no target given")
		}
		job.TLS.ServerName = t.Goal.Targets[0].Addr().String()
	}
	if len(t.Goal.RootPEM) > 0 {
		job.TLS.RootCAs = x509.NewCertPool()
		if !job.TLS.RootCAs.AppendCertsFromPEM(t.Goal.RootPEM) {
			return job, errors.New("no certificate among the authorities")
		}
	}
	return job, nil
}

// errTooLong is for a run of which no end is to be seen.
var errTooLong = errors.New("it did not come to an end")

// run does a task in a worker process and tells what came of it, also if that is nothing.
func (r *runner) run(ctx context.Context, t task) RunResult {
	limit := runLimit
	if t.Workload == transport.Hold {
		limit += t.Duration
	}
	limited, cancel := context.WithTimeoutCause(ctx, limit, errTooLong)
	defer cancel()
	g, err := r.start(limited, RunRole, r.client, t)
	if err != nil {
		return RunResult{Error: err.Error(), Stopped: ctx.Err() != nil}
	}
	result := outcomeOf(&t, &g.Wait(nil)[0])
	if context.Cause(limited) == errTooLong {
		result.Error = fmt.Sprintf("%v within %v", errTooLong, limit)
	}
	return result
}

// start starts a worker of a role on those of the CPUs.
func (r *runner) start(ctx context.Context, role string, cpus []int, assignment any) (*workers.Group, error) {
	c := &r.config
	o := workers.Options{Count: 1, Executable: c.Executable, Args: c.Args(role), Env: c.Env, Stderr: c.Stderr,
		Assignment: func(int) ([]byte, error) { return json.Marshal(assignment) }}
	if len(cpus) > 0 {
		o.CPUs = [][]int{cpus}
	}
	return workers.Start(ctx, o)
}

// outcomeOf makes a run's result of how its process ended.
func outcomeOf(t *task, end *workers.End) RunResult {
	if end.Err != nil {
		return RunResult{Error: fmt.Sprintf("its process died: %v", end.Err)}
	}
	var a answer
	if err := json.Unmarshal(end.Last, &a); err != nil {
		return RunResult{Error: fmt.Sprintf("its process answered nonsense: %v", err)}
	}
	a.Result.Latency = a.Latency
	r := RunResult{Error: a.Error, Stopped: a.Stopped, Operations: a.Result.Operations, Failed: a.Result.Failed,
		Wall: a.Result.Wall.Microseconds(), Latency: a.Latency}
	if a.Error == "" {
		r.Figures = figuresOf(t.Workload, t.Connections, &a.Result)
	}
	return r
}
