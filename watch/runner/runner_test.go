package runner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"sonde/engine"
	"sonde/internal/testpeer"
	"sonde/policy/retry"
	"sonde/probes"
	"sonde/probes/banner"
	"sonde/probes/keep"
	"sonde/probes/tcp"
	"sonde/report"
	"sonde/target"
	"sonde/watch/modules"
	"sonde/watch/track"
)

// told is one result, as the owner told it.
type told struct {
	row uint32
	res track.Result
}

// play is a Runner that runs until the test ends.
type play struct {
	*Runner
	t    *testing.T
	told chan told
	stop context.CancelFunc
	done chan error
}

// start runs a Runner. When the test ends it is stopped, and must have given everything back.
func start(t *testing.T, o Options) *play {
	t.Helper()
	p := &play{t: t, told: make(chan told, 1<<16), done: make(chan error, 1)}
	if o.Table == nil {
		o.Table = track.New(time.Now(), 8)
	}
	if o.Drain == 0 {
		o.Drain = 100 * time.Millisecond
	}
	o.Told = func(row uint32, res *track.Result) { p.told <- told{row, *res} }
	var err error
	if p.Runner, err = New(o); err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, p.stop = context.WithCancel(context.Background())
	go func() { p.done <- p.Run(ctx) }()
	t.Cleanup(p.end)
	return p
}

func (p *play) end() {
	p.stop()
	if err := <-p.done; err != nil {
		p.t.Errorf("Run: %v", err)
	}
	p.done <- nil
	p.flights.each(func(id uint32, f *flight) {
		if f.stage != naming { // nobody waits for a name at the end
			p.t.Errorf("flight %d is left: use %d, stage %d", id, f.use, f.stage)
		}
	})
	for i, users := range p.profiles.users {
		if users != 0 {
			p.t.Errorf("profile %d has %d users", i, users)
		}
	}
	if s := p.engine.Stats(); s.Opened != s.Closed || s.Illegal != 0 {
		p.t.Errorf("%d sockets were opened and %d closed, %d illegal changes of state", s.Opened, s.Closed, s.Illegal)
	}
}

// do has the owner do it.
func (p *play) do(do func()) {
	p.t.Helper()
	if err := p.Visit(context.Background(), do); err != nil {
		p.t.Fatal(err)
	}
}

// SetTargets, SetJob, RemoveJob and KeepJobs are all steps of a change in one visit, to be called in it.
func (p *play) SetTargets(job string, of []Target) { finish(p.listing(job, of)) }
func (p *play) SetJob(j Job)                       { p.KeepJobs(func(name string) bool { return name != j.Name }, j) }
func (p *play) RemoveJob(name string)              { p.KeepJobs(func(other string) bool { return other != name }) }

// KeepJobs has the jobs be those that keep says yes to, and more.
func (p *play) KeepJobs(keep func(name string) bool, more ...Job) {
	for name, j := range p.jobs {
		if keep(name) {
			more = append(more, j.Job)
		}
	}
	for _, j := range p.setJobs(more) {
		finish(p.tending(j))
	}
}

func finish(step func() (done bool)) {
	for !step() {
	}
}

// next is the next result that is told.
func (p *play) next() told {
	p.t.Helper()
	select {
	case r := <-p.told:
		return r
	case <-time.After(time.Minute):
		p.t.Fatal("no result for a minute")
		panic("unreachable")
	}
}

// targets are the addresses, as a job's.
func targets(job string, addrs ...netip.AddrPort) []Target {
	var ts []Target
	for i, a := range addrs {
		ts = append(ts, Target{
			Key: uint64(i)<<32 | uint64(a.Port()), Entry: target.Target{Addr: a.Addr(), Port: a.Port()},
			About: &track.Target{Job: job, Module: "m", Instance: fmt.Sprint(a, "#", i)},
		})
	}
	return ts
}

// plain is a module of a probe with limits that a busy machine does not reach.
func plain(p probes.Probe) *modules.Module {
	return &modules.Module{
		Name: "m", Probing: p.About().Name, Probe: p, Kept: keep.Under(p), Timeout: time.Minute,
		Limits: engine.Limits{Connect: time.Minute, Read: time.Minute},
	}
}

func sink(t *testing.T) netip.AddrPort {
	return testpeer.New(t, testpeer.Sink, testpeer.Options{}).Addr()
}

// closed is an address at which nobody listens, and nobody will.
func closed(t *testing.T) netip.AddrPort {
	return testpeer.New(t, testpeer.Refuse, testpeer.Options{}).Addr()
}

func fast(name string, m *modules.Module) Job {
	return Job{Name: name, Module: m, Interval: 100 * time.Millisecond}
}

func TestTurns(t *testing.T) {
	p := start(t, Options{})
	addr := sink(t)
	const n = 20
	addrs := make([]netip.AddrPort, n)
	for i := range addrs {
		addrs[i] = addr
	}
	p.do(func() {
		p.SetJob(fast("j", plain(tcp.Probe{})))
		p.SetTargets("j", targets("j", addrs...))
	})
	seen := make(map[uint32][]time.Time)
	for range 5 * n {
		r := p.next()
		if r.res.Status != report.Success || r.res.Attempts != 1 || r.res.Timing.Connect <= 0 || r.res.Addr != addr || r.res.Late < 0 {
			t.Fatalf("%+v", r.res)
		}
		seen[r.row] = append(seen[r.row], r.res.At)
	}
	if len(seen) != n {
		t.Errorf("%d targets were asked, want %d", len(seen), n)
	}
}

func TestRetries(t *testing.T) {
	p := start(t, Options{})
	asks, err := (banner.Probe{}).Configure(probes.Options{Send: []byte("x\n"), Expect: never})
	if err != nil {
		t.Fatal(err)
	}
	j := fast("j", plain(asks))
	j.Retries = retry.Settings{Retries: 2, Delay: time.Millisecond}
	p.do(func() {
		p.SetJob(j)
		p.SetTargets("j", targets("j", testpeer.New(t, testpeer.Reset, testpeer.Options{}).Addr(), closed(t)))
	})
	want := []int{3, 1} // who refuses would refuse again
	for range 4 {
		if r := p.next(); r.res.Status == report.Success || r.res.Attempts != want[r.row] {
			t.Errorf("target %d: %v after %d attempts, want %d", r.row, r.res.Status, r.res.Attempts, want[r.row])
		}
	}
}

// TestTimeout has a module's timeout end probes whose phases may take longer, a kept connection's first one too.
func TestTimeout(t *testing.T) {
	p := start(t, Options{})
	waits, err := (banner.Probe{}).Configure(probes.Options{Send: []byte("x\n"), Expect: never})
	if err != nil {
		t.Fatal(err)
	}
	m := plain(waits)
	m.Limits, m.Timeout = engine.Limits{Read: time.Hour}, 200*time.Millisecond
	silent := testpeer.New(t, testpeer.Sink, testpeer.Options{}).Addr()
	keeps := fast("keeps", m)
	keeps.Keep = true
	p.do(func() {
		p.SetJob(fast("asks", m))
		p.SetTargets("asks", targets("asks", silent))
		p.SetJob(keeps)
		p.SetTargets("keeps", targets("keeps", silent))
	})
	heard := make(map[uint32]int)
	for heard[0] < 2 || heard[1] < 2 {
		r := p.next()
		heard[r.row]++
		if r.res.Status != report.IOTimeout || r.res.Timing.Total < m.Timeout {
			t.Errorf("target %d: %v after %v, %s", r.row, r.res.Status, r.res.Timing.Total, r.res.Error)
		}
	}
}

func TestFallback(t *testing.T) {
	p := start(t, Options{})
	dead, err := (banner.Probe{}).Configure(probes.Options{Send: []byte("x\n"), Expect: never})
	if err != nil {
		t.Fatal(err)
	}
	j := fast("j", plain(dead))
	j.Fallback = plain(tcp.Probe{})
	j.Fallback.Name = "connects"
	p.do(func() {
		p.SetJob(j)
		p.SetTargets("j", targets("j", testpeer.New(t, testpeer.Echo, testpeer.Options{}).Addr(), closed(t)))
	})
	want := map[uint32]string{0: "connects", 1: ""}
	for range 4 {
		r := p.next()
		if r.res.Status == report.Success || r.res.Fallback != want[r.row] || r.res.Attempts != 2 {
			t.Errorf("target %d: %v by the fallback %q in %d attempts", r.row, r.res.Status, r.res.Fallback, r.res.Attempts)
		}
	}
}

func TestGone(t *testing.T) {
	p := start(t, Options{})
	silent := testpeer.New(t, testpeer.Sink, testpeer.Options{}).Addr()
	waits, err := (banner.Probe{}).Configure(probes.Options{Send: []byte("x\n"), Expect: never})
	if err != nil {
		t.Fatal(err)
	}
	addr := sink(t)
	p.do(func() {
		p.SetJob(fast("waits", plain(waits)))
		p.SetTargets("waits", targets("waits", silent, silent))
		p.SetJob(fast("j", plain(tcp.Probe{})))
		p.SetTargets("j", targets("j", addr, addr, addr))
	})
	for range 6 {
		p.next()
	}
	p.do(func() {
		p.RemoveJob("waits") // in the middle of its probes
		p.SetTargets("j", targets("j", addr, addr, addr)[1:])
		if n := p.options.Table.Len(); n != 2 {
			t.Errorf("%d targets are left, want 2", n)
		}
	})
	for range 6 {
		if r := p.next(); r.res.Status != report.Success {
			t.Error(r.res.Status)
		}
	}
}

func TestAsk(t *testing.T) {
	allow := &target.Set{}
	if err := allow.Add("127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	lookup := func(_ context.Context, _, host string) ([]netip.Addr, error) {
		switch host {
		case "good.test":
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		case "elsewhere.test":
			return []netip.Addr{netip.MustParseAddr("127.0.0.2")}, nil
		}
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	p := start(t, Options{Names: target.ResolverOptions{Lookup: lookup}})
	p.do(func() { p.SetLimits(Limits{Allow: allow}) })
	port := sink(t).Port()
	ctx := context.Background()
	res, err := p.Ask(ctx, Question{Target: target.Target{Domain: "good.test", Port: port}, Module: plain(tcp.Probe{}), Timeout: time.Minute})
	if err != nil || res.Status != report.Success || res.Timing.DNS < 0 || res.Addr.Addr().String() != "127.0.0.1" {
		t.Errorf("%+v, %v", res, err)
	}
	var not *NotAllowedError
	if _, err := p.Ask(ctx, Question{Target: target.Target{Domain: "elsewhere.test", Port: port}, Module: plain(tcp.Probe{}), Timeout: time.Minute}); !errors.As(err, &not) || not.Host != "elsewhere.test" {
		t.Errorf("a name of what may not be asked: %v", err)
	}
	if _, err := p.Ask(ctx, Question{Target: target.Target{Addr: netip.MustParseAddr("127.0.0.2"), Port: port}, Module: plain(tcp.Probe{}), Timeout: time.Minute}); !errors.As(err, &not) || not.Host != "127.0.0.2" {
		t.Errorf("an address that may not be asked: %v", err)
	}
	res, err = p.Ask(ctx, Question{Target: target.Target{Domain: "none.test", Port: port}, Module: plain(tcp.Probe{}), Timeout: time.Minute})
	if err != nil || res.Status != report.DNSError || res.Side != report.SideRemote || res.Timing.Connect >= 0 {
		t.Errorf("%+v, %v", res, err)
	}
	p.stop()
	p.done <- <-p.done
	if _, err := p.Ask(ctx, Question{Target: target.Target{Addr: netip.MustParseAddr("127.0.0.1"), Port: port}, Module: plain(tcp.Probe{}), Timeout: time.Minute}); !errors.Is(err, ErrEnded) {
		t.Errorf("behind the end: %v", err)
	}
}

// TestAskedAtTheEnd asks for a name whose lookup hangs, and ends meanwhile.
func TestAskedAtTheEnd(t *testing.T) {
	asked := make(chan struct{})
	lookup := func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
		close(asked)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	p := start(t, Options{Names: target.ResolverOptions{Lookup: lookup}})
	answers := make(chan error, 1)
	go func() {
		_, err := p.Ask(context.Background(), Question{Target: target.Target{Domain: "slow.test", Port: 1}, Module: plain(tcp.Probe{}), Timeout: time.Minute})
		answers <- err
	}()
	<-asked
	p.stop()
	if err := <-answers; !errors.Is(err, ErrEnded) {
		t.Errorf("got %v, want %v", err, ErrEnded)
	}
}

// TestGap has passes come further apart the more there is to do, and never so far that turns are missed for it.
func TestGap(t *testing.T) {
	r := &Runner{jobs: map[string]*job{"slow": {Job: Job{Interval: 10 * time.Second}}}}
	if idle, some, many := r.gapBehind(0), r.gapBehind(20), r.gapBehind(500); idle != tick || some <= idle || many <= some || many != maxGap {
		t.Errorf("behind nothing, some and many: %v, %v, %v", idle, some, many)
	}
	r.jobs["fast"] = &job{Job: Job{Interval: 100 * time.Millisecond}}
	if got := r.gapBehind(500); got > 100*time.Millisecond/20 {
		t.Errorf("with a target each 100 ms: %v, and it misses a turn that is 10 ms late", got)
	}
}
