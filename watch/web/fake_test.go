package web_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"sonde/internal/clock"
	"sonde/policy/breaker"
	"sonde/policy/flap"
	"sonde/probes"
	"sonde/report"
	"sonde/watch/history"
	"sonde/watch/metrics"
	"sonde/watch/track"
	"sonde/watch/web"
)

// hostile is what a target could be called, or answer, to have a script run on the page.
const hostile = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`

// fake is a backend with a real table, whose targets are probed by chance.
type fake struct {
	clock clock.Clock
	start time.Time

	mu       sync.Mutex
	table    *track.Table
	rng      *rand.Rand
	failures []web.Failure
	copies   int
	busy     bool          // each copy brings new outcomes
	awaited  chan struct{} // the history of one target comes when it is closed; nil: at once

	ready  error
	reload error
	probe  func(*web.ProbeRequest) (*web.ProbeAnswer, error)
	// probing is called by each probe, by its context; nil for nothing.
	probing func(ctx context.Context)
	// metrics writes the metrics; nil for one line.
	metrics func(ctx context.Context, w io.Writer) error
}

// The targets of newFake: what they are depends on their number alone.
const (
	numHostile = 3
	numDown    = 5  // and each hundredth from there on
	numStale   = 8  // likewise, each two hundredth
	numUnknown = 9  // likewise, each four hundredth
	numBroken  = 6  // likewise, each hundredth: down, its breaker open
	numLost    = 17 // each hundredth: its kept connection is lost
)

func newFake(t *testing.T, n int) *fake {
	t.Helper()
	f := &fake{clock: clock.NewSystem(), rng: rand.New(rand.NewPCG(5, 5))}
	now := f.clock.Wall(f.clock.Now()) // one moment for all: on a busy machine the last target comes long behind the first
	f.start = now.Add(-2 * time.Hour)
	f.table = track.New(f.start, 60)
	for _, job := range []string{"edge", "api", "mail"} {
		f.table.SetJob(job, track.JobSettings{Flap: flap.Settings{Rise: 1, Fall: 3}})
	}
	f.table.SetJob("database", track.JobSettings{
		Flap: flap.Settings{Rise: 1, Fall: 3}, Breaker: breaker.Settings{Window: 5, Failures: 5, OpenFor: time.Hour, MaxOpenFor: time.Hour},
	})
	for i := range n {
		id := f.table.Add(fakeTarget(i))
		if i%400 == numUnknown {
			continue
		}
		for p := range 60 {
			f.record(id, i, now.Add(time.Duration(p-60)*15*time.Second), p)
		}
		if f.table.Target(id).Keep {
			f.table.Connected(id, now.Add(-3*time.Hour))
			if i%100 == numLost {
				f.table.Dropped(id, now.Add(-2*time.Minute), track.CauseRST)
			}
		}
	}
	return f
}

func fakeTarget(i int) *track.Target {
	kinds := []struct{ job, module, name string }{
		{"edge", "https_2xx", "https://www-%04d.example.com/health"}, {"api", "https_2xx", "https://api-%04d.eu-west.example.net"},
		{"database", "tcp_connect", "db-%04d.internal.example.org:5432"}, {"mail", "smtp_starttls", "mx-%04d.example.net:25"},
		{"links", "keep", "edge-%04d.example.com:9000"},
	}
	k := kinds[i%5]
	switch i % 100 {
	case numBroken:
		k = kinds[2]
	case numLost:
		k = kinds[4]
	}
	t := &track.Target{
		Job: k.job, Module: k.module, Instance: fmt.Sprintf(k.name, i), Keep: k.job == "links", Interval: 15 * time.Second,
		Labels: []track.Label{{Name: "region", Value: []string{"eu-west", "eu-north", "us-east"}[i%3]}, {Name: "team", Value: []string{"core", "web"}[i%2]}},
	}
	if i == numHostile {
		t.Instance, t.Labels = "xss.example.com:443/"+hostile, []track.Label{{Name: "note", Value: hostile}}
	}
	return t
}

// record has target i be probed for the p-th time.
func (f *fake) record(id uint32, i int, at time.Time, p int) {
	ms := func(of float64) time.Duration {
		return time.Duration(of * (0.8 + f.rng.ExpFloat64()*0.25) * float64(time.Millisecond))
	}
	base := 2 + float64(i*37%90)
	r := &track.Result{
		At: at, Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 443), Attempts: 1, Timing: report.NoTiming, Figures: &probes.Figures{},
	}
	r.Timing.DNS, r.Timing.Connect, r.Timing.FirstByte = ms(0.4), ms(base), ms(base)
	r.Timing.Total = r.Timing.Connect + r.Timing.FirstByte
	if module := f.table.Target(id).Module; module == "https_2xx" || module == "smtp_starttls" {
		r.Timing.TLS = ms(base * 2)
		r.Timing.Total += r.Timing.TLS
		r.Figures.TLS = &probes.TLSFigures{Version: "TLS 1.3", EarliestExpiry: f.start.Add(time.Duration(3+i*13%300) * 24 * time.Hour)}
	}
	failed := i%100 == numDown && p >= 40 || i%100 == numBroken && p >= 20 || i%200 == numStale && p >= 58 || i == numHostile && p >= 50 || f.rng.IntN(300) == 0
	if failed {
		f.fail(i, r)
	}
	f.table.Record(id, r, f.clock.Now())
	if failed {
		target := f.table.Target(id)
		f.failures = append(f.failures, web.Failure{
			Job: target.Job, Instance: target.Instance, At: at, Status: r.Status, Side: r.Side, Error: r.Error, Timing: r.Timing,
		})
	}
}

// recordFailure has target i be refused.
func (f *fake) recordFailure(i int) {
	r := &track.Result{At: f.clock.Wall(f.clock.Now()), Attempts: 1, Timing: report.NoTiming}
	f.fail(i, r)
	f.table.Record(uint32(i), r, f.clock.Now())
}

func (f *fake) fail(i int, r *track.Result) {
	r.Figures, r.Side = nil, report.SideRemote
	r.Timing.TLS, r.Timing.FirstByte = report.Absent, report.Absent
	switch i % 100 {
	case numDown:
		r.Status, r.Error = report.CertificateError, "x509: certificate has expired: 2026-11-19T08:00:00Z is after 2026-11-18T23:59:59Z"
	case numBroken:
		r.Status, r.Error, r.Timing.Total, r.Timing.Connect = report.ConnectionTimeout, "no answer to the SYN within 3.5 s", 3500*time.Millisecond, report.Absent
	case numHostile:
		r.Status, r.Error = report.ApplicationError, hostile
	default:
		r.Status, r.Error = report.ConnectionRefused, "connect: connection refused"
	}
}

func (f *fake) Ready() error { return f.ready }

func (f *fake) Reload(ctx context.Context) error {
	if f.reload != nil {
		return f.reload
	}
	return ctx.Err()
}

func (f *fake) WriteMetrics(ctx context.Context, w io.Writer, _ metrics.Format) error {
	if f.metrics != nil {
		return f.metrics(ctx, w)
	}
	_, err := io.WriteString(w, "sonde_up 1\n")
	return err
}

func (f *fake) Probe(ctx context.Context, r *web.ProbeRequest) (*web.ProbeAnswer, error) {
	if f.probing != nil {
		f.probing(ctx)
	}
	return f.probe(r)
}

func (f *fake) Module(name string) (web.Limits, error) {
	switch name {
	case "https_2xx", "smtp_starttls":
		return web.Limits{DNS: time.Second, Connect: 250 * time.Millisecond, TLS: 500 * time.Millisecond, Total: time.Second}, nil
	case "tcp_connect", "keep", "http_2xx":
		return web.Limits{Connect: 250 * time.Millisecond, Total: 5 * time.Second}, nil
	case "ping":
		return web.Limits{}, &web.Problem{Code: http.StatusBadRequest, Text: `the module "ping" is disabled: blackbox.yml:12: there is no prober icmp`}
	}
	return web.Limits{}, &web.Problem{Code: http.StatusBadRequest, Text: fmt.Sprintf("no module %q", name)}
}

func (f *fake) Thresholds(job string) web.Limits {
	if job == "database" || job == "links" {
		return web.Limits{DNS: 50 * time.Millisecond, Connect: 100 * time.Millisecond, Total: time.Second}
	}
	return web.Limits{DNS: 50 * time.Millisecond, Connect: 100 * time.Millisecond, TLS: 300 * time.Millisecond, Total: time.Second}
}

func (f *fake) Copy(_ context.Context, into *track.Copy) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.copies++
	if f.busy {
		for i := range f.table.Len() {
			if i%400 != numUnknown && f.rng.IntN(15) == 0 {
				f.record(uint32(i), i, f.clock.Wall(f.clock.Now()), 60)
			}
		}
	}
	for from, done := uint32(0), false; !done; {
		from, done = f.table.Copy(into, from, 4096, f.clock.Now())
	}
	return nil
}

func (f *fake) Points(_ context.Context, of []web.Ref) ([][]history.Point, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if awaited := f.awaited; awaited != nil && len(of) == 1 {
		f.mu.Unlock()
		<-awaited
		f.mu.Lock()
	}
	all := make([][]history.Point, len(of))
	for i, ref := range of {
		if f.table.Target(ref.ID) == ref.Target {
			all[i] = f.table.History().Points(ref.ID, nil)
		}
	}
	return all, nil
}

func (f *fake) Failures(context.Context) ([]web.Failure, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	last := []web.Failure{}
	slices.SortStableFunc(f.failures, func(a, b web.Failure) int { return a.At.Compare(b.At) })
	for i := len(f.failures) - 1; i >= 0 && len(last) < 300; i-- {
		last = append(last, f.failures[i])
	}
	return last, nil
}

func (f *fake) Status(context.Context) (*web.Status, error) {
	now := f.clock.Wall(f.clock.Now())
	return &web.Status{
		Version: "0.5.0", Start: f.start,
		Config: web.Config{File: "/etc/sonde/watch.yml", Loaded: f.start, Warnings: []string{
			`blackbox.yml:12:3: the module "ping" is disabled: there is no prober icmp`,
		}},
		Sources: []web.Source{
			{Job: "edge", Kind: "file_sd", Name: "/etc/sonde/targets/edge-*.json", Targets: 2000, Read: now.Add(-40 * time.Second)},
			{Job: "api", Kind: "http_sd", Name: "http://inventory.example.net/api", Targets: 2000, Read: now.Add(-11 * time.Minute), Error: "connection refused; the 2,000 targets of 11 min ago are kept"},
			{Job: "links", Kind: "inline", Name: "watch.yml:44", Targets: 3, Read: f.start},
		},
		Engine: []web.Figure{
			{Name: "connections", Value: 2143}, {Name: "descriptors", Value: 2210}, {Name: "turns a second", Value: 666.7},
			{Name: "schedule lag p99", Value: 0.0013, Unit: "s"}, {Name: "memory", Value: 61 << 20, Unit: "B"},
		},
	}, nil
}

var errNotYet = errors.New("no configuration has run yet")
