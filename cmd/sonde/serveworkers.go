package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"

	"sonde/serve"
)

// serveRole is the role of a worker process that serves.
const serveRole = "serve"

// maxWorkers is how many worker processes may be asked for: at 20,000 descriptors each, twice the most that a machine's
// kernel holds by default (fs.file-max on 256 GiB).
const maxWorkers = 2048

// workerCount is the value of --workers.
type workerCount struct {
	given bool
	auto  bool
	n     int
}

func (w *workerCount) set(value string) error {
	w.given = true
	if value == "auto" {
		w.auto = true
		return nil
	}
	if err := toCount(&w.n, 1, maxWorkers)(value); err != nil {
		return &valueError{fmt.Sprintf("want auto or a number from 1 to %d", maxWorkers), hintOf(err)}
	}
	return nil
}

// fleet is what a started fleet can do, in this process or in workers.
type fleet interface {
	Targets() []serve.Endpoint
	WriteTargets(io.Writer) error
	RootPEM() []byte
	Done() <-chan struct{}
	Err() error
	Close()
}

func (o *serveOptions) addListen(value string) error {
	words, err := splitList(value)
	if err != nil {
		return err
	}
	for _, word := range words {
		addr, err := netip.ParseAddr(word)
		if err != nil || !addr.IsLoopback() {
			return errors.New("want addresses of loopback, as in 127.0.0.1,127.0.0.2")
		}
		o.listen = append(o.listen, addr.Unmap())
	}
	return nil
}

// checkWorkers refuses what does not go with --workers, and finds the workers' addresses.
func (o *serveOptions) checkWorkers() error {
	if !o.workers.given {
		if len(o.listen) > 0 {
			return &usageError{"--listen without --workers", "for one process, --host is its address"}
		}
		return nil
	}
	for _, f := range []struct {
		name, why string
		given     bool
	}{
		{"--demo", "its targets stand on many addresses already", o.cfg.Demo > 0},
		{"--all-loopback", "one process has all addresses then", o.cfg.AllLoopback},
		{"--client-cert", "each worker believes other certificates", o.clientCert != ""},
		{"--host", "--listen names all the addresses", o.cfg.Host.IsValid() && len(o.listen) > 0},
	} {
		if f.given && f.name == "--host" {
			return &usageError{"--host does not go with --listen", f.why}
		}
		if f.given {
			return &usageError{f.name + " does not go with --workers", f.why}
		}
	}
	n := o.workers.n
	switch {
	case len(o.listen) == 0 && o.workers.auto:
		n = runtime.GOMAXPROCS(0)
	case len(o.listen) == 0 || o.workers.auto:
		n = max(n, len(o.listen))
	case n != len(o.listen):
		return &usageError{fmt.Sprintf("--workers %d with %d addresses of --listen", n, len(o.listen)), "each worker has an address of its own"}
	}
	if len(o.listen) > 0 {
		return nil
	}
	first := o.cfg.Host
	if !first.IsValid() {
		first = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	hosts, err := serve.WorkerHosts(first.Unmap(), n)
	if err != nil {
		return &usageError{"--workers: " + err.Error(), "--listen names addresses"}
	}
	o.listen = hosts
	return nil
}

// start runs the fleet.
func (o *serveOptions) start(ctx context.Context) (fleet, error) {
	if !o.workers.given {
		return serve.Start(ctx, o.cfg)
	}
	return serve.StartWorkers(ctx, serve.WorkersConfig{
		Config: o.cfg, Hosts: o.listen, Args: o.p.workerArgs(serveRole), Stderr: o.p.stderr,
		OnDeath: func(host netip.Addr, err error) {
			o.p.stderr.warn("the worker at %v is gone: %v; the others serve on", host, err)
		},
	})
}

// processTable tells which worker process serves which address; "" without workers.
func processTable(targets []serve.Endpoint) string {
	rows := [][]string{{"WORKER", "PROCESS", "ADDRESS"}}
	seen := make(map[int]bool)
	for _, t := range targets {
		if t.PID != 0 && !seen[t.PID] {
			seen[t.PID] = true
			rows = append(rows, []string{fmt.Sprint(len(rows) - 1), fmt.Sprint(t.PID), t.Addr.Addr().String()})
		}
	}
	if len(rows) == 1 {
		return ""
	}
	return "\n" + columns(rows)
}
