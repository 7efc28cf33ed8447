package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"

	"sonde/internal/rate"
	"sonde/internal/workers"
	"sonde/report"
	"sonde/scan"
	"sonde/target"
)

// scanRole is the role of a worker process that scans.
const scanRole = "scan"

// scanShare is what a worker that scans is told: the command line, which it reads as its parent did, and what differs.
type scanShare struct {
	Words   []string `json:"words"`
	Seed    uint64   `json:"seed"` // as the parent drew it
	Workers int      `json:"workers"`
	Worker  int      `json:"worker"`
	Loops   int      `json:"loops"`
	// Spooled names a file for each input that only the parent can read, by the name of that; "-" is standard input.
	Spooled map[string]string `json:"spooled,omitempty"`
}

// scanCrew are the worker processes of a scan.
type scanCrew struct {
	o     *scanOptions
	share scanShare // of worker 0
}

// hire finds out whether worker processes are wanted, and prepares what they need.
func (o *scanOptions) hire(ctx context.Context, s *scan.Scan) error {
	if !o.workers.given {
		return nil
	}
	connections, perProcess := s.Connections()
	n := o.workers.n
	if o.workers.auto {
		n = min(workers.Auto(connections, perProcess), workers.Most(perProcess))
	}
	n = min(n, connections)
	if o.cfg.MaxTargets > 0 {
		n = int(min(uint64(n), o.cfg.MaxTargets))
	}
	if n <= 1 {
		return nil
	}
	if !o.workers.auto && n < o.workers.n {
		o.p.stderr.note("%d workers: there is nothing for more", n)
	}
	if err := o.checkShareable(n); err != nil {
		return err
	}
	loops := o.cfg.Loops
	if loops == 0 {
		loops = max(runtime.GOMAXPROCS(0)/n, 1)
	}
	crew := &scanCrew{o: o, share: scanShare{Words: o.p.words, Seed: o.cfg.Seed, Workers: n, Loops: loops}}
	if err := crew.spool(ctx); err != nil {
		crew.close()
		return err
	}
	o.crew = crew
	return nil
}

// checkShareable refuses rates that can't be divided, and files besides the targets that can be read only once.
func (o *scanOptions) checkShareable(n int) error {
	for _, of := range []struct {
		flag      string
		perSecond float64
	}{{"--rate", o.cfg.Rate}, {"--host-rate", o.cfg.HostRate}, {"--subnet-rate", o.cfg.SubnetRate.PerSecond}} {
		if of.perSecond > 0 && of.perSecond/float64(n) < rate.Min {
			return &usageError{fmt.Sprintf("%s %v is too little to be shared by %d workers", of.flag, of.perSecond, n),
				"one process is enough for it: leave out --workers"}
		}
	}
	for _, f := range o.p.parsed.files {
		if !slices.Contains([]string{"--blocklist-file", "--cacert", "--cert", "--key", "--ech-config"}, f.flag) {
			continue
		}
		if info, err := os.Stat(f.name); err == nil && !info.Mode().IsRegular() {
			return &usageError{fmt.Sprintf("%s %s is no regular file, and every worker has to read it", f.flag, quoteWord(f.name)),
				"write it to a file first, or leave out --workers"}
		}
	}
	return nil
}

// spool copies the inputs that can be read only once to files that all workers can read. Their targets are shared out
// by their places, so that each worker reads all of them.
func (c *scanCrew) spool(ctx context.Context) error {
	ctx, stop := stopOnSignal(ctx, func(error) {}, func() {})
	defer stop()
	for _, name := range c.o.cfg.InputFiles {
		source := c.o.p.stdin
		if name != "-" {
			info, err := os.Stat(name)
			if err != nil || info.Mode().IsRegular() {
				continue
			}
			f, err := os.Open(name)
			if err != nil {
				return fmt.Errorf("open the targets: %w", err)
			}
			defer f.Close()
			source = f
		}
		if _, ok := c.share.Spooled[name]; ok {
			continue
		}
		if name == "-" && !c.o.quiet {
			c.o.p.stderr.note("reading all targets from standard input before the %d workers begin", c.share.Workers)
		}
		if err := c.copyAside(ctx, name, source); err != nil {
			return err
		}
	}
	return nil
}

// copyAside copies source to a file of its own, until ctx ends.
func (c *scanCrew) copyAside(ctx context.Context, name string, source io.Reader) error {
	f, err := os.CreateTemp("", "sonde-targets-*")
	if err != nil {
		return fmt.Errorf("keep the targets for the workers: %w", err)
	}
	if c.share.Spooled == nil {
		c.share.Spooled = make(map[string]string)
	}
	c.share.Spooled[name] = f.Name()
	copied := make(chan error, 1)
	go func() {
		_, err := io.Copy(f, source)
		copied <- errors.Join(err, f.Close())
	}()
	select {
	case err = <-copied:
	case <-ctx.Done():
		return exitStatus(exitStopped) // no read can be called back: the copy ends with the process
	}
	if err != nil {
		return fmt.Errorf("keep the targets for the workers: %w", err)
	}
	return nil
}

// close removes what spool made; c may be nil.
func (c *scanCrew) close() {
	if c == nil {
		return
	}
	for _, name := range c.share.Spooled {
		_ = os.Remove(name) // a temporary file
	}
}

func (c *scanCrew) shareOf(worker int) scanShare {
	share := c.share
	share.Worker = worker
	return share
}

func (c *scanCrew) config() scan.WorkersConfig {
	console := c.o.p.stderr
	return scan.WorkersConfig{
		Count: c.share.Workers, Args: c.o.p.workerArgs(scanRole), Stderr: console,
		Assignment: func(worker int) ([]byte, error) { return json.Marshal(c.shareOf(worker)) },
		Share:      c.count,
		OnDeath: func(worker int, err error) {
			console.warn("worker %d died: %v; the others go on, and what it had and did not tell counts as local-error", worker, err)
		},
	}
}

// count walks the share of a worker as that would have.
func (c *scanCrew) count(ctx context.Context, worker int) (uint64, error) {
	share := c.shareOf(worker)
	s, err := share.open(&program{stderr: newConsole(io.Discard)}, nil)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	bad := uint64(0)
	n, err := s.DryRun(ctx, report.NewLineWriter(io.Discard), func(*target.InputError) { bad++ })
	return n + bad, err
}

// open makes the scan of a share. p is a program that has read no command line yet.
func (share *scanShare) open(p *program, sink report.Sink) (*scan.Scan, error) {
	o := &scanOptions{p: p}
	p.parsed = parsed{given: make(map[string]bool)}
	specs := append(scanFlags(o), p.commonFlags()...)
	at := slices.Index(share.Words, "--")
	for _, word := range share.Words[:at] {
		name, value, ok := strings.Cut(word[2:], "=")
		if !ok {
			value = "true"
		}
		i := slices.IndexFunc(specs, func(f flagSpec) bool { return f.name == name })
		if i < 0 {
			return nil, fmt.Errorf("unknown flag %s", quoteWord(word))
		}
		if err := (&cliFlag{spec: &specs[i], parsed: &p.parsed}).Set(value); err != nil {
			return nil, err
		}
	}
	if err := o.complete(share.Words[at+1:]); err != nil {
		return nil, err
	}
	for i, name := range o.cfg.InputFiles {
		spooled, ok := share.Spooled[name]
		switch {
		case !ok:
		case name == "-":
			f, err := os.Open(spooled)
			if err != nil {
				return nil, fmt.Errorf("open the targets: %w", err)
			}
			o.cfg.Stdin = f // ends with the process
		default:
			o.cfg.InputFiles[i] = spooled
		}
	}
	o.cfg.Seed, o.cfg.Loops = share.Seed, share.Loops
	o.cfg = o.cfg.Divide(share.Workers, share.Worker)
	o.cfg.Sink = sink
	o.cfg.Log = slog.New(consoleLog{console: p.stderr})
	return scan.New(o.cfg)
}

// scanWork is what a worker process that scans does.
func scanWork(w *workers.Worker, stderr *console) error {
	var share scanShare
	if err := json.Unmarshal(w.Assignment(), &share); err != nil {
		return fmt.Errorf("read the assignment: %w", err)
	}
	s, err := share.open(&program{stderr: stderr}, scan.ToParent(w))
	if err != nil {
		return err
	}
	defer s.Close()
	spareProcessor(s.Loops())
	return s.Work(w)
}
