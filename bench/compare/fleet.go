package compare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"sonde/bench/transport"
	"sonde/internal/testpeer"
	"sonde/internal/workers"
	"sonde/serve"
)

// fleet is the targets: worker processes, each with one target of the kind that the workload wants. They share the
// connections, so that no pair of addresses carries too many and no process runs out of descriptors.
type fleet struct{ members []*member }

// member is a process of a fleet. A goroutine of its own, watch, waits for it.
type member struct {
	group   *workers.Group
	site    site          // by watch, before started
	started chan error    // by watch, once: nil when site is there
	replies chan struct{} // by watch: an answer to ask
	ended   chan struct{} // closed by watch: there is no process any more
	dead    error         // by watch, before ended: how it ended, if it should not have
}

// askLimit is how long a process of the fleet may take to say that it is there: far more than one does that is.
const askLimit = 10 * time.Second

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
	m := &member{group: g, started: make(chan error, 1), replies: make(chan struct{}, 1), ended: make(chan struct{})}
	go m.watch()
	select {
	case err = <-m.started:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		g.Stop()
		<-m.ended
		return nil, err
	}
	return m, nil
}

// watch sees the process to its end.
func (m *member) watch() {
	defer close(m.ended)
	started := false
	m.group.Wait(func(e workers.Event) {
		switch e := e.(type) {
		case workers.Message:
			switch {
			case e.Final:
			case !started:
				started = true
				m.started <- json.Unmarshal(e.Data, &m.site)
			default:
				select {
				case m.replies <- struct{}{}:
				default: // to a question that was given up
				}
			}
		case workers.Death:
			m.dead = e.Err
			if !started {
				started = true
				m.started <- fmt.Errorf("its process died: %w", e.Err)
			}
		}
	})
}

// ask returns nil if the process is there, or why it is not.
func (m *member) ask() error {
	limit := time.NewTimer(askLimit)
	defer limit.Stop()
	if err := m.group.Send(0, nil); err != nil && !errors.Is(err, workers.ErrEnded) {
		return err
	}
	select {
	case <-m.replies:
		return nil
	case <-m.ended:
		if m.dead == nil {
			return workers.ErrEnded
		}
		return m.dead
	case <-limit.C:
		return fmt.Errorf("no answer for %v", askLimit)
	}
}

// stop ends the fleet and waits until it is gone.
func (f *fleet) stop() {
	for _, m := range f.members {
		m.group.Stop()
	}
	for _, m := range f.members {
		<-m.ended
	}
}

// died says why a process of the fleet is there no more; nil if all are, or if there is no fleet. It asks them: the end of a
// process is told a little later than its connections feel it.
func (f *fleet) died() error {
	if f == nil {
		return nil
	}
	for _, m := range f.members {
		if err := m.ask(); err != nil {
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
	for commands := w.Commands(); ; {
		select {
		case _, ok := <-commands: // the only one there is: are you there?
			if !ok {
				commands = nil // told to stop, and f ends
			} else if err := w.Send(nil); err != nil {
				return err
			}
		case <-f.Done():
			if err := f.Err(); err != nil {
				return err
			}
			return w.Finish(nil)
		}
	}
}
