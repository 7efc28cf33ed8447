package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"sonde/internal/workers"
)

// WorkersConfig says what to run in several processes: a fleet in each, for more connections than one process may have
// descriptors.
type WorkersConfig struct {
	// Config is each worker's, but for Host. Demo and AllLoopback must not be set: each stands on addresses that the others'
	// would be, too.
	Config
	// Hosts are the workers' addresses, one each, of loopback and all different.
	Hosts []netip.Addr
	// Args are the arguments by which this program calls Work.
	Args []string
	// Stderr receives what workers write to stderr, see workers.Options; nil throws it away.
	Stderr io.Writer
	// OnDeath hears of each worker that ends while it should serve, from one goroutine at a time. nil is silent.
	OnDeath func(host netip.Addr, err error)
}

// Workers is a fleet in several processes. Its methods are safe for concurrent use.
type Workers struct {
	cfg   WorkersConfig
	group *workers.Group

	mu        sync.Mutex
	endpoints [][]Endpoint // by worker; nil before it is ready
	roots     [][]byte
	settled   []bool // workers that were ready, or died
	waiting   int    // the number of the others
	dead      []string
	firstErr  error // of the first that died

	ready chan struct{} // closed when none is waiting
	done  chan struct{}
	err   error // set before done is closed
}

// share is what a worker is told to run.
type share struct {
	Config Config `json:"config"`
	Number int    `json:"number"`
}

// standing is what a worker tells when its fleet stands.
type standing struct {
	PID       int        `json:"pid"`
	Endpoints []Endpoint `json:"endpoints"`
	Root      []byte     `json:"root,omitempty"`
}

// StartWorkers runs a fleet in each of several worker processes until ctx ends or Close is called. When it returns, every
// target behaves as its kind says; if one of the workers can't, it fails and none is left. A worker that dies later is
// reported, and the others serve on.
func StartWorkers(ctx context.Context, cfg WorkersConfig) (*Workers, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	n := len(cfg.Hosts)
	w := &Workers{
		cfg: cfg, endpoints: make([][]Endpoint, n), roots: make([][]byte, n), settled: make([]bool, n), waiting: n,
		ready: make(chan struct{}), done: make(chan struct{}),
	}
	var err error
	w.group, err = workers.Start(ctx, workers.Options{
		Count: n, Args: cfg.Args, Stderr: cfg.Stderr,
		Assignment: func(worker int) ([]byte, error) {
			s := share{cfg.Config, worker + 1}
			s.Config.Host = cfg.Hosts[worker]
			return json.Marshal(s)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("serve: start the workers: %w", err)
	}
	go w.watch()
	<-w.ready
	w.mu.Lock()
	err = w.firstErr
	w.mu.Unlock()
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("serve: %w", err)
	}
	return w, nil
}

func (cfg *WorkersConfig) check() error {
	switch {
	case len(cfg.Hosts) == 0:
		return errors.New("no address for a worker")
	case cfg.Demo != 0 || cfg.AllLoopback:
		return errors.New("a fleet of many addresses has no room for workers")
	}
	for i, host := range cfg.Hosts {
		switch {
		case !host.IsLoopback():
			return fmt.Errorf("host %v is not a loopback address", host)
		case slices.Contains(cfg.Hosts[:i], host):
			return fmt.Errorf("two workers have the address %v", host)
		}
	}
	return nil
}

// watch hears the workers until the last has ended.
func (w *Workers) watch() {
	w.group.Wait(w.onEvent)
	w.mu.Lock()
	if len(w.dead) > 0 {
		w.err = fmt.Errorf("serve: %d of %d workers died, at %s", len(w.dead), len(w.cfg.Hosts), strings.Join(w.dead, ", "))
	}
	w.mu.Unlock()
	close(w.done)
}

func (w *Workers) onEvent(e workers.Event) {
	switch e := e.(type) {
	case workers.Message:
		var s standing
		if e.Final || json.Unmarshal(e.Data, &s) != nil {
			return // both sides are one program: the second can't be
		}
		for i := range s.Endpoints {
			s.Endpoints[i].PID = s.PID
		}
		w.mu.Lock()
		w.endpoints[e.Worker], w.roots[e.Worker] = s.Endpoints, s.Root
		w.settle(e.Worker)
		w.mu.Unlock()
	case workers.Death:
		w.onDeath(e.Worker, e.Err)
	}
}

// settle notes that a worker is ready or dead. The caller holds mu.
func (w *Workers) settle(worker int) {
	if w.settled[worker] {
		return
	}
	w.settled[worker] = true
	if w.waiting--; w.waiting == 0 {
		close(w.ready)
	}
}

func (w *Workers) onDeath(worker int, err error) {
	host := w.cfg.Hosts[worker]
	w.mu.Lock()
	early := w.waiting > 0
	w.dead = append(w.dead, host.String())
	if w.firstErr == nil {
		w.firstErr = fmt.Errorf("worker at %v: %w", host, err)
	}
	w.settle(worker)
	w.mu.Unlock()
	if early {
		w.group.Stop() // StartWorkers fails; it tells of the first
		return
	}
	if w.cfg.OnDeath != nil {
		w.cfg.OnDeath(host, err)
	}
}

// Targets returns the targets of all workers, those of a kind in the workers' order. The caller owns the slice.
func (w *Workers) Targets() []Endpoint {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Endpoint
	for i := range w.endpoints[0] {
		for _, of := range w.endpoints { // each worker has the same kinds in the same order
			all = append(all, of[i])
		}
	}
	return all
}

// RootPEM returns the roots of all workers, see Fleet.RootPEM.
func (w *Workers) RootPEM() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Concat(w.roots...)
}

// WriteTargets writes one target line for each endpoint.
func (w *Workers) WriteTargets(out io.Writer) error { return writeTargets(out, w.Targets()) }

// Done is closed when the last worker has ended.
func (w *Workers) Done() <-chan struct{} { return w.done }

// Err says which workers ended otherwise than they were asked to; nil while any runs, and if none did.
func (w *Workers) Err() error {
	select {
	case <-w.done:
		return w.err
	default:
		return nil
	}
}

// Close ends all workers and returns when they are gone. Calling it again waits for the same.
func (w *Workers) Close() {
	w.group.Stop()
	<-w.done
}

// Work is a worker's side of StartWorkers: it runs its fleet until it is told to end.
func Work(w *workers.Worker) error {
	var s share
	if err := json.Unmarshal(w.Assignment(), &s); err != nil {
		return fmt.Errorf("read the assignment: %w", err)
	}
	fleet, err := Start(w.Context(), s.Config)
	if err != nil {
		return err
	}
	defer fleet.Close()
	told := standing{PID: os.Getpid(), Endpoints: fleet.Targets(), Root: fleet.RootPEM()}
	for i := range told.Endpoints {
		e := &told.Endpoints[i]
		e.Name = numberedName(e.Kind, s.Number)
	}
	data, err := json.Marshal(told)
	if err != nil {
		return fmt.Errorf("tell what is served: %w", err)
	}
	if err := w.Send(data); err != nil {
		return fmt.Errorf("tell what is served: %w", err)
	}
	<-fleet.Done()
	if err := fleet.Err(); err != nil {
		return err
	}
	return w.Finish(nil)
}

// WorkerHosts returns addresses for n workers: first, and those after it. Only Linux has all of 127.0.0.0/8; elsewhere, and
// over IPv6, an address beyond the first has to be made by hand (ifconfig lo0 alias), and then to be named.
func WorkerHosts(first netip.Addr, n int) ([]netip.Addr, error) {
	if n > 1 && (runtime.GOOS != "linux" || !first.Is4()) {
		return nil, fmt.Errorf("one address of loopback is there, and %d workers want one each", n)
	}
	var hosts []netip.Addr
	for host := first; len(hosts) < n; host = host.Next() {
		if !host.IsLoopback() {
			return nil, fmt.Errorf("from %v on there are no %d addresses of loopback", first, n)
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}
