package compare

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"sync"

	"sonde/bench/transport"
	"sonde/internal/testpeer"
	"sonde/internal/workers"
	"sonde/serve"
)

// fleet is the targets: worker processes, each with one target of the kind that the workload wants. They share the
// connections, so that no pair of addresses carries too many and no process runs out of descriptors.
type fleet struct{ members []*member }

// member is a process of a fleet.
type member struct {
	group *workers.Group
	site  site
	gone  sync.WaitGroup // the goroutine that waits for the group

	mu   sync.Mutex
	dead error // guarded by mu: how it ended, if it should not have
}

// site is what a process of the fleet tells when its target listens.
type site struct {
	Addr    netip.AddrPort `json:"addr"`
	Name    string         `json:"name"`
	RootPEM []byte         `json:"root_pem,omitempty"`
}

// fleetTask is the assignment of a process of the fleet.
type fleetTask struct {
	Kind testpeer.Kind `json:"kind"`
}

// kindOf is the target that suits a workload.
func kindOf(w transport.Workload, pings bool) testpeer.Kind {
	switch {
	case w == transport.TLS:
		return testpeer.TLS13
	case w == transport.Echo || w == transport.Hold && pings:
		return testpeer.Echo
	}
	return testpeer.Sink
}

// startFleet starts as many processes as the workload needs and returns when all of their targets listen. One at a time: two
// at once could choose the same port, which SO_REUSEPORT would let them have.
func (r *runner) startFleet(ctx context.Context, w transport.Workload) (*fleet, error) {
	need := 0
	for _, name := range r.config.Transports {
		if supports(name, w) == "" {
			need = max(need, descriptors(name, w, r.config.inFlight(w)))
		}
	}
	f := &fleet{}
	for range fleetSize(need, r.perFleet) {
		m, err := r.startMember(ctx, fleetTask{kindOf(w, r.config.PingInterval > 0)})
		if err != nil {
			f.stop()
			return nil, err
		}
		f.members = append(f.members, m)
	}
	return f, nil
}

// fleetSize is how many processes n connections need.
func fleetSize(n, perFleet int) int { return max(1, workers.Auto(n, perFleet)) }

// startMember starts one process and waits until its target listens.
func (r *runner) startMember(ctx context.Context, t fleetTask) (*member, error) {
	// It outlives ctx: what is measured is stopped first.
	g, err := r.start(context.WithoutCancel(ctx), FleetRole, r.server, t)
	if err != nil {
		return nil, err
	}
	m := &member{group: g}
	ready := make(chan error, 1)
	m.gone.Go(func() {
		told := false
		g.Wait(func(e workers.Event) {
			switch e := e.(type) {
			case workers.Message:
				if !told && !e.Final {
					told = true
					ready <- json.Unmarshal(e.Data, &m.site)
				}
			case workers.Death:
				m.mu.Lock()
				m.dead = e.Err
				m.mu.Unlock()
				if !told {
					told = true
					ready <- fmt.Errorf("its process died: %w", e.Err)
				}
			}
		})
	})
	select {
	case err = <-ready:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		g.Stop()
		m.gone.Wait()
		return nil, err
	}
	return m, nil
}

// stop ends the fleet and waits until it is gone.
func (f *fleet) stop() {
	for _, m := range f.members {
		m.group.Stop()
	}
	for _, m := range f.members {
		m.gone.Wait()
	}
}

// died says why a process of the fleet is there no more; nil if all are, or if there is no fleet.
func (f *fleet) died() error {
	if f == nil {
		return nil
	}
	for _, m := range f.members {
		m.mu.Lock()
		err := m.dead
		m.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// goal is where to connect. The targets of a kind have the same name; each has an authority of its own.
func (f *fleet) goal() goal {
	var g goal
	for _, m := range f.members {
		g.Targets = append(g.Targets, m.site.Addr)
		g.ServerName = m.site.Name
		g.RootPEM = append(g.RootPEM, m.site.RootPEM...)
	}
	return g
}

// Serve is what a worker of FleetRole does: it is a target until it is told to stop.
func Serve(w *workers.Worker) error {
	var t fleetTask
	if err := json.Unmarshal(w.Assignment(), &t); err != nil {
		return fmt.Errorf("compare: assignment: %w", err)
	}
	f, err := serve.Start(w.Context(), serve.Config{Kinds: []testpeer.Kind{t.Kind}})
	if err != nil {
		return err
	}
	defer f.Close()
	target := f.Targets()[0]
	data, err := json.Marshal(site{Addr: target.Addr, Name: target.Name, RootPEM: f.RootPEM()})
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	if err := w.Send(data); err != nil {
		return err
	}
	<-f.Done()
	if err := f.Err(); err != nil {
		return err
	}
	return w.Finish(nil)
}
