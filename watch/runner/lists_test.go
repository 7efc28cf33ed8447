package runner

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"sonde/probes/tcp"
	"sonde/target"
	"sonde/watch/track"
)

// seldom is a job whose targets have no turn while a test lasts.
func seldom(name string) Job {
	return Job{Name: name, Module: plain(tcp.Probe{}), Interval: 24 * time.Hour}
}

// many are targets with keys from first on, before last.
func many(job string, first, last int) (of []Target) {
	addr := netip.MustParseAddr("127.0.0.1")
	for i := first; i < last; i++ {
		of = append(of, Target{
			Key: uint64(i), Entry: target.Target{Addr: addr, Port: 9}, About: &track.Target{Job: job, Module: "m", Instance: fmt.Sprint(i)},
		})
	}
	return of
}

// keys are those of a job's targets, in their order. To be called in a visit.
func (p *play) keys(job string) (keys []int) {
	j := p.jobs[job]
	for key, row := range j.rows {
		if w := p.watched.at(row); w.key != key || w.job != j || j.members[w.place] != row || p.options.Table.Target(row) == nil {
			p.t.Errorf("target %d of %s is not what its job says", key, job)
		}
		keys = append(keys, int(key))
	}
	if len(keys) != len(j.members) || p.schedule.Len() != p.options.Table.Len() {
		p.t.Errorf("%d targets by key, %d in all; %d are on the schedule and %d in the table", len(keys), len(j.members), p.schedule.Len(), p.options.Table.Len())
	}
	slices.Sort(keys)
	return keys
}

func (p *play) wantKeys(job string, first, last int) {
	p.t.Helper()
	if got := p.keys(job); len(got) != last-first || len(got) > 0 && (got[0] != first || got[len(got)-1] != last-1) {
		p.t.Errorf("%d targets, want those from %d to %d", len(got), first, last-1)
	}
}

// TestStepsAreBounded: no step of a change touches more than so many targets, however many there are.
func TestStepsAreBounded(t *testing.T) {
	p := start(t, Options{})
	const n = 20_000
	there := func(*watched) bool { return true }
	for _, change := range []struct {
		what    string
		most    int
		total   int
		begin   func() (step func() (done bool))
		touched func(*watched) bool // those of the job's targets; or it is those that are not there any more
	}{
		{"new ones", addStep, n, func() func() bool { return p.listing("j", many("j", 0, n)) }, there},
		{"the same again", addStep, n, func() func() bool { return p.listing("j", many("j", 0, n)) }, func(w *watched) bool { return w.list == 2 }},
		{"another interval", tendStep, n, func() func() bool {
			j := seldom("j")
			j.Interval /= 2
			return p.tending(p.setJobs([]Job{j})[0])
		}, func(w *watched) bool { return w.plan == 1 }},
		{"a shorter list", tendStep, n / 2, func() func() bool { return p.listing("j", many("j", n/4, 3*n/4)) }, there},
		{"no job", tendStep, n / 2, func() func() bool { return p.tending(p.setJobs(nil)[0]) }, there},
	} {
		var j *job
		count := func() (seen int) {
			for _, row := range j.members {
				if change.touched(p.watched.at(row)) {
					seen++
				}
			}
			return seen
		}
		var step func() bool
		var before, was int
		p.do(func() {
			if p.jobs["j"] == nil {
				p.SetJob(seldom("j"))
			}
			j = p.jobs["j"]
			before = count()
			was, step = before, change.begin()
		})
		for done := false; !done; {
			p.do(func() {
				done = step()
				now := count()
				if d := max(now-was, was-now); d > change.most {
					t.Errorf("%s: a step touches %d targets, want %d at most", change.what, d, change.most)
				}
				was = now
			})
		}
		if d := max(was-before, before-was); d != change.total {
			t.Errorf("%s: %d targets were touched, want %d", change.what, d, change.total)
		}
	}
	p.do(func() {
		if n := p.options.Table.Len(); n != 0 {
			t.Errorf("%d targets are left", n)
		}
	})
}

// TestTurnsBetweenSteps: in the middle of a change, turns go on, those of targets too that came with a step of it.
func TestTurnsBetweenSteps(t *testing.T) {
	p := start(t, Options{})
	addr := sink(t)
	p.do(func() {
		p.SetJob(fast("old", plain(tcp.Probe{})))
		p.SetTargets("old", targets("old", addr))
		p.SetJob(fast("new", plain(tcp.Probe{})))
	})
	of := many("new", 0, 4*addStep)
	for i := range of {
		of[i].Entry.Addr, of[i].Entry.Port = addr.Addr(), addr.Port()
	}
	step := p.listing("new", of)
	p.do(func() { step() })
	asked := make(map[uint32]int)
	for len(asked) < 1+addStep || asked[0] < 2 {
		asked[p.next().row]++
	}
	p.do(func() {
		finish(step)
		if n := len(p.jobs["new"].members); n != len(of) {
			t.Errorf("%d targets in the end, want %d", n, len(of))
		}
	})
}

// TestListInTheMiddle has another list come in the middle of one, after any number of its steps: what both have stays as it was, with its turn, and
// the end of the first list changes nothing any more.
func TestListInTheMiddle(t *testing.T) {
	const n = 4 * addStep
	for steps := 1; steps <= 8; steps++ {
		p := start(t, Options{})
		p.do(func() {
			p.SetJob(seldom("j"))
			p.SetTargets("j", many("j", 0, n))
			var coming []int64
			rows := make(map[int]uint32)
			for key := n / 2; key < n; key++ {
				row := p.jobs["j"].rows[uint64(key)]
				rows[key], coming = row, append(coming, p.schedule.Coming(row))
			}
			first, second := p.listing("j", many("j", n/4, 2*n)), p.listing("j", many("j", n/2, n+n/2))
			for range steps {
				first()
			}
			second()
			if done := first(); !done {
				t.Errorf("after %d steps the older list goes on", steps)
			}
			finish(second)
			p.wantKeys("j", n/2, n+n/2)
			for key := n / 2; key < n; key++ {
				row := p.jobs["j"].rows[uint64(key)]
				if row != rows[key] || p.schedule.Coming(row) != coming[key-n/2] {
					t.Errorf("after %d steps, target %d is another, or has another turn", steps, key)
				}
			}
		})
		p.do(func() { p.RemoveJob("j") })
	}
}

// TestListBreaksOff: when ctx ends in the middle of a list, all targets are there that were, and the next list is whole.
func TestListBreaksOff(t *testing.T) {
	p := start(t, Options{})
	const n = 2 * addStep
	p.do(func() {
		p.SetJob(seldom("j"))
		p.SetTargets("j", many("j", 0, n))
	})
	ctx, cancel := context.WithCancel(context.Background())
	step, steps := p.listing("j", many("j", n, 2*n)), 0
	err := p.inSteps(ctx, func() bool {
		if steps++; steps == 2 {
			cancel()
		}
		return step()
	})
	if err != nil && !errors.Is(err, context.Canceled) { // nil: the owner was ready, too, each time
		t.Error(err)
	}
	p.do(func() {
		if got := p.keys("j"); len(got) < n {
			t.Errorf("%d targets are there, want the %d that were", len(got), n)
		}
	})
	if err := p.Runner.SetTargets(context.Background(), "j", many("j", n/2, n)); err != nil {
		t.Fatal(err)
	}
	p.do(func() { p.wantKeys("j", n/2, n) })
}

// TestJobThatComesBack: with a job goes what was counted of it, and one of its name begins anew.
func TestJobThatComesBack(t *testing.T) {
	p := start(t, Options{})
	addr := sink(t)
	ctx := context.Background()
	set := func(jobs ...Job) {
		t.Helper()
		if err := p.SetJobs(ctx, jobs, Limits{}); err != nil {
			t.Fatal(err)
		}
	}
	names := func() (names []string, probes uint64) {
		var c track.Copy
		p.do(func() { p.options.Table.Copy(&c, 0, 1<<20, p.clk.Now()) })
		for i := range c.Jobs {
			names = append(names, c.Jobs[i].Name)
			probes += c.Jobs[i].Probes[0]
		}
		return names, probes
	}
	set(fast("a", plain(tcp.Probe{})), seldom("b"))
	if err := p.Runner.SetTargets(ctx, "a", targets("a", addr)); err != nil {
		t.Fatal(err)
	}
	p.next()
	set(seldom("b"))
	if got, probes := names(); !slices.Equal(got, []string{"b"}) || probes != 0 {
		t.Errorf("jobs %q with %d probes, want b alone", got, probes)
	}
	set(seldom("b"), seldom("a"))
	if got, probes := names(); len(got) != 2 || probes != 0 {
		t.Errorf("jobs %q with %d probes, want both and none", got, probes)
	}
	p.do(func() {
		if late := p.options.Table.Late(); late.Count() == 0 {
			t.Error("the turns of a job that is gone are gone, and their sum over all jobs falls")
		}
	})
}

// BenchmarkReload measures the steps of each change of 100,000 targets, for each of which no turn is begun: their median, since what the
// longest is told of is the machine.
func BenchmarkReload(b *testing.B) {
	const n = 100_000
	of := many("j", 0, n)
	for i := range of {
		of[i].Key *= 0x9e3779b97f4a7c15 // as hashes are
	}
	took := make(map[string][]time.Duration)
	for b.Loop() {
		r, err := New(Options{Table: track.New(time.Now(), 60)})
		if err != nil {
			b.Fatal(err)
		}
		run := func(what string, step func() (done bool)) {
			for done := false; !done; {
				begun := time.Now()
				done = step()
				took[what] = append(took[what], time.Since(begun))
			}
		}
		j := seldom("j")
		r.setJobs([]Job{j})
		run("add", r.listing("j", of))
		run("same", r.listing("j", of))
		j.Interval /= 2
		run("interval", r.tending(r.setJobs([]Job{j})[0]))
		run("remove", r.tending(r.setJobs(nil)[0]))
		r.engine.Abort()
		for more := true; more; {
			<-r.engine.Ready()
			_, more = r.engine.Outcomes(nil)
		}
	}
	for what, steps := range took {
		slices.Sort(steps)
		b.ReportMetric(float64(steps[len(steps)/2].Microseconds()), "us-"+what)
	}
}
