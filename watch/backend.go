package watch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"sonde/report"
	"sonde/target"
	"sonde/watch/config"
	"sonde/watch/history"
	"sonde/watch/modules"
	"sonde/watch/runner"
	"sonde/watch/track"
	"sonde/watch/web"
)

// backend is the Watch as the web server sees it.
type backend struct{ *Watch }

var (
	_ web.Backend     = backend{}
	_ web.Thresholder = backend{}
)

// now is the configuration that runs; nil before the first does.
func (w *Watch) now() *loaded {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.loads.taken == 0 {
		return nil
	}
	return w.current
}

// isJob reports whether the configuration that runs has a job of that name.
func (w *Watch) isJob(name string) bool {
	l := w.now()
	return l != nil && slices.ContainsFunc(l.config.Jobs, func(j config.Job) bool { return j.Name == name })
}

// Ready implements web.Backend.
func (b backend) Ready() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.ending:
		return errors.New("ending")
	case b.loads.taken == 0:
		return errors.New("the first configuration does not run yet")
	}
	return nil
}

// copySlice is how many rows are copied between two probes: some 100 us.
const copySlice = 1024

// Copy implements web.Backend.
func (b backend) Copy(ctx context.Context, into *track.Copy) error {
	b.lists.RLock()
	defer b.lists.RUnlock()
	for from, done := uint32(0), false; !done; {
		err := b.visit(ctx, func() { from, done = b.table.Copy(into, from, copySlice, b.clk.Now()) })
		if err != nil {
			return err
		}
	}
	return nil
}

// Points implements web.Backend.
func (b backend) Points(ctx context.Context, of []web.Ref) ([][]history.Point, error) {
	points := make([][]history.Point, len(of))
	i := 0
	for part := range slices.Chunk(of, 256) {
		err := b.runner.Visit(ctx, func() {
			for _, ref := range part {
				// The same, or what says the same: of a parent's target, or of one from before a reload.
				if t := b.table.Target(ref.ID); t != nil && ref.Target != nil && t.Equal(ref.Target) {
					points[i] = b.table.History().Points(ref.ID, nil)
				}
				i++
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return points, nil
}

// Failures implements web.Backend.
func (b backend) Failures(context.Context) ([]web.Failure, error) { return b.fails.last(), nil }

// find returns a module that can run.
func (b backend) find(name string) (*modules.Module, error) {
	l := b.now()
	if l == nil {
		return nil, &web.Problem{Code: 503, Text: "the first configuration does not run yet"}
	}
	m := l.modules[name]
	switch {
	case m == nil:
		return nil, &web.Problem{Code: 400, Text: fmt.Sprintf("unknown module %q", name)}
	case m.Disabled != "":
		return nil, &web.Problem{Code: 400, Text: fmt.Sprintf("module %q is disabled: %s", name, m.Disabled)}
	}
	return m, nil
}

// Module implements web.Backend.
func (b backend) Module(name string) (web.Limits, error) {
	m, err := b.find(name)
	if err != nil {
		return web.Limits{}, err
	}
	return web.Limits{Connect: m.Limits.Connect, TLS: m.Limits.Handshake, Total: m.Timeout}, nil
}

// Thresholds implements web.Thresholder.
func (b backend) Thresholds(job string) web.Limits {
	if l := b.now(); l != nil {
		for i := range l.config.Jobs {
			if j := &l.config.Jobs[i]; j.Name == job {
				return web.Limits(j.Thresholds)
			}
		}
	}
	return web.Limits{}
}

// Probe implements web.Backend.
func (b backend) Probe(ctx context.Context, q *web.ProbeRequest) (*web.ProbeAnswer, error) {
	m, err := b.find(q.Module)
	if err != nil {
		return nil, err
	}
	t, err := m.Target(q.Target)
	if err != nil {
		// There is an answer, as of blackbox_exporter: who counts failures is to see this one.
		return b.answer(q, m, &track.Result{
			At: b.clk.Wall(b.clk.Now()), Status: report.InvalidInput, Side: report.SideLocal, Error: err.Error(), Timing: report.NoTiming,
		})
	}
	if q.Hostname != "" {
		if m, err = m.For(q.Hostname); err != nil {
			return nil, &web.Problem{Code: 400, Text: fmt.Sprintf("hostname %q: %v", q.Hostname, err)}
		}
	}
	res, err := b.runner.Ask(ctx, runner.Question{Target: t, Module: m, Timeout: q.Timeout})
	var refused *runner.NotAllowedError
	switch {
	case errors.As(err, &refused):
		return nil, &web.Problem{Code: 403, Text: refused.Error()}
	case errors.Is(err, runner.ErrEnded):
		return nil, &web.Problem{Code: 503, Text: err.Error()}
	case err != nil:
		return nil, err
	}
	return b.answer(q, m, res)
}

// onLoopback reports whether only this machine reaches the web server.
func (w *Watch) onLoopback() bool {
	if w.options.share != nil {
		return w.options.share.Loopback // the web server is the parent's
	}
	for _, l := range w.options.Listeners {
		addr, ok := l.Addr().(*net.TCPAddr)
		if !ok || !addr.AddrPort().Addr().Unmap().IsLoopback() {
			return false
		}
	}
	return true
}

// setOf is a set of prefixes.
func setOf(prefixes []netip.Prefix) *target.Set {
	s := &target.Set{}
	for _, p := range prefixes {
		s.AddPrefix(p)
	}
	return s
}
