package track

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/policy/breaker"
	"sonde/policy/flap"
	"sonde/probes"
	"sonde/report"
)

// copyOf is all that a table knows.
func copyOf(t *testing.T, table *Table, now int64) *Copy {
	t.Helper()
	var c Copy
	if _, done := table.Copy(&c, 0, 1<<20, now); !done {
		t.Fatal("the copy did not end")
	}
	return &c
}

// compareCopies compares what readers see; wire leaves out what they don't, such as numbers in stores.
var compareCopies = cmp.Options{
	cmp.AllowUnexported(Copy{}, View{}, facts{}, outcome{}, failure{}, kept{}, answer{}, flap.Flap{}),
	cmp.FilterPath(func(p cmp.Path) bool {
		switch p.Last().String() {
		case ".edition", ".places", ".run":
			return true
		}
		return p.Last().Type() == reflect.TypeFor[ref]()
	}, cmp.Ignore()),
}

// randomResult is an outcome with whatever an outcome may have.
func randomResult(rng *rand.Rand, at time.Time) *Result {
	r := good(0)
	r.At = at
	if rng.IntN(3) == 0 {
		r = bad(0)
		r.At, r.Error = at, fmt.Sprintf("reason %d", rng.IntN(4))
	}
	r.Attempts = 1 + rng.IntN(3)
	r.Timing.TLS = time.Duration(rng.Int64N(int64(time.Hour)))
	f := &probes.Figures{}
	if rng.IntN(2) == 0 {
		f.HTTP = &probes.HTTPFigures{StatusCode: 200, Version: 1.1, ContentLength: -1, BodyLength: rng.Int64(), Redirects: 3, TLS: true}
	}
	if rng.IntN(2) == 0 {
		f.TLS = &probes.TLSFigures{Established: true, Version: "TLS 1.3", Serial: fmt.Sprint(rng.IntN(3)), EarliestExpiry: start}
	}
	if rng.IntN(2) == 0 {
		f.Expect = []probes.Capture{{Name: "banner", Value: fmt.Sprint(rng.IntN(3))}, {Name: "empty"}}
	}
	r.Figures = f
	return r
}

// fill adds targets and outcomes; some targets go again.
func fill(rng *rand.Rand, table *Table, targets int) {
	settings := JobSettings{Breaker: breaker.Settings{Window: 4, Failures: 1, OpenFor: time.Minute, MaxOpenFor: time.Hour}}
	for i := range targets {
		job := fmt.Sprint("job ", rng.IntN(3))
		table.SetJob(job, settings)
		t := &Target{Job: job, Module: "tcp", Instance: fmt.Sprint(i), Keep: i%2 == 0, Interval: time.Second}
		if i%3 == 0 {
			t.Labels = []Label{{"site", "a"}, {"zone", fmt.Sprint(i)}}
		}
		id := table.Add(t)
		for range rng.IntN(4) {
			if p, ok := table.Allow(id, 1); ok {
				r := randomResult(rng, start.Add(time.Duration(rng.Int64N(int64(time.Hour)))))
				r.Pass = p
				table.Record(id, r, 1)
			}
		}
		if rng.IntN(5) == 0 {
			table.Remove(id)
		}
	}
}

// TestRemoteKnowsTheSame sends copies of random tables to another process, whose clock is another.
func TestRemoteKnowsTheSame(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		table := New(start, 4)
		fill(rng, table, 50)
		const here, there = int64(time.Second), int64(time.Hour)
		want := copyOf(t, table, here)
		for i := range want.Views {
			v := &want.Views[i]
			v.id += 1 << 20
			if v.until != 0 {
				v.until += there - here
			}
		}
		sent := copyOf(t, table, here)
		var r Remote
		for _, known := range []uint64{0, sent.Edition()} {
			data := sent.AppendBinary(nil, known, here)
			var got Copy
			if err := r.Append(&got, data, 1<<20, there); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if diff := cmp.Diff(want, &got, compareCopies); diff != "" {
				t.Fatalf("seed %d, known edition %d (-want +got):\n%s", seed, known, diff)
			}
		}
	}
}

// TestRemoteKeepsTargets has the pointers of targets stay while one comes, one goes and one changes: the page tells by them who is who.
func TestRemoteKeepsTargets(t *testing.T) {
	table := New(start, 1)
	for i := range 4 {
		table.Add(&Target{Job: "a", Instance: fmt.Sprint(i), Labels: []Label{}})
	}
	var r Remote
	take := func() *Copy {
		var c Copy
		if err := r.Append(&c, copyOf(t, table, 1).AppendBinary(nil, r.Edition(), 1), 0, 1); err != nil {
			t.Fatal(err)
		}
		return &c
	}
	before := take()
	table.Remove(0)
	table.Set(1, &Target{Job: "a", Instance: "1", Module: "another"})
	table.Add(&Target{Job: "a", Instance: "new"}) // id 0
	table.Add(&Target{Job: "a", Instance: "newer"})
	after := take()
	if len(after.Views) != 5 {
		t.Fatalf("got %d targets, want 5", len(after.Views))
	}
	for i, same := range []bool{false, false, true, true} {
		if got := before.Views[i].Target == after.Views[i].Target; got != same {
			t.Errorf("target %d: got the same pointer %v, want %v", i, got, same)
		}
	}
}

// TestSeveralRemotes makes one copy of two tables whose jobs stand in another order.
func TestSeveralRemotes(t *testing.T) {
	tables := [2]*Table{New(start, 1), New(start, 1)}
	for i, jobs := range [2][]string{{"a", "b"}, {"b", "c"}} {
		for _, job := range jobs {
			id := tables[i].Add(&Target{Job: job, Instance: fmt.Sprint(i)})
			tables[i].Record(id, good(1), 1)
		}
	}
	var remotes [2]Remote
	gone := ""
	take := func(of ...int) *Copy {
		var c Copy
		for _, i := range of {
			if err := remotes[i].Append(&c, copyOf(t, tables[i], 1).AppendBinary(nil, remotes[i].Edition(), 1), uint32(i)<<20, 1); err != nil {
				t.Fatal(err)
			}
		}
		for i := range remotes {
			remotes[i].AppendPast(&c, func(job string) bool { return job != gone })
		}
		return &c
	}
	check := func(c *Copy, targets, probed []int) {
		t.Helper()
		for i, name := range []string{"a", "b", "c"} {
			j := &c.Jobs[i]
			late := j.Phases[PhaseLate].Count()
			if j.Name != name || j.Targets != targets[i] || j.Probes[report.Success] != uint64(probed[i]) || late != uint64(probed[i]) {
				t.Errorf("got job %q, %d targets, %d probes, %d late; want %q, %d, %d", j.Name, j.Targets, j.Probes[0], late, name, targets[i], probed[i])
			}
		}
		for i := range c.Views {
			if v := &c.Views[i]; c.Jobs[v.JobIndex()].Name != v.Target.Job {
				t.Errorf("target of job %s is counted of %s", v.Target.Job, c.Jobs[v.JobIndex()].Name)
			}
		}
	}
	check(take(0, 1), []int{1, 2, 1}, []int{1, 2, 1})
	// The second dies: its targets are gone, what it counted stays.
	remotes[1].Lost()
	check(take(0), []int{1, 1, 0}, []int{1, 2, 1})
	// Another takes its place, and dies as well.
	tables[1] = New(start, 1)
	tables[1].Record(tables[1].Add(&Target{Job: "b"}), good(1), 1)
	check(take(0, 1), []int{1, 2, 0}, []int{1, 3, 1})
	remotes[1].Lost()
	check(take(0), []int{1, 1, 0}, []int{1, 3, 1})
	// A job is taken out of the configuration, and comes back.
	for _, gone = range []string{"c", ""} {
		if c := take(0); len(c.Jobs) != 2 {
			t.Errorf("jobs %+v, want a and b", c.Jobs)
		}
	}
}

// TestRemoteRefuses has every beginning of a copy refused, and copies that say what can't be; nothing of them is taken.
func TestRemoteRefuses(t *testing.T) {
	table := New(start, 1)
	fill(rand.New(rand.NewPCG(1, 1)), table, 5)
	c := copyOf(t, table, 1)
	data := c.AppendBinary(nil, 0, 1)
	refused := func(what string, r *Remote, data []byte) {
		t.Helper()
		into := Copy{Views: make([]View, 1), Jobs: make([]Job, 1)}
		if err := r.Append(&into, data, 1, 1); err == nil || len(into.Views) != 1 || len(into.Jobs) != 1 || r.Edition() != 0 {
			t.Errorf("%s: got %v, %d views, want an error and nothing taken", what, err, len(into.Views)-1)
		}
	}
	for n := range data {
		refused(fmt.Sprintf("cut to %d of %d bytes", n, len(data)), &Remote{}, data[:n])
	}
	refused("a byte too many", &Remote{}, append(data[:len(data):len(data)], 0))
	refused("targets that nobody knows", &Remote{}, c.AppendBinary(nil, c.Edition(), 1))
	var r Remote
	if err := r.Append(&Copy{}, data, ^uint32(0), 1); err == nil {
		t.Error("got no error for ids that overflow")
	}
}

// FuzzRemote takes in anything without a panic; what it takes, it would send.
func FuzzRemote(f *testing.F) {
	table := New(start, 1)
	fill(rand.New(rand.NewPCG(2, 1)), table, 6)
	var c Copy
	table.Copy(&c, 0, 100, 1)
	f.Add(c.AppendBinary(nil, 0, 1))
	f.Add(binary.AppendVarint(nil, -1))
	f.Fuzz(func(t *testing.T, data []byte) {
		var first, second Copy
		if (&Remote{}).Append(&first, data, 0, 1) != nil {
			return
		}
		for i := range first.Views {
			v := &first.Views[i]
			_, _, _, _ = v.State().String(), v.Status().String(), v.Breaker().String(), v.Kept().Cause.String()
			if captures, ok := v.Expect(); ok {
				for range captures {
				}
			}
		}
		if err := (&Remote{}).Append(&second, first.AppendBinary(nil, 0, 1), 0, 1); err != nil {
			t.Fatalf("what was taken is refused when it is sent on: %v", err)
		}
		if diff := cmp.Diff(&first, &second, compareCopies); diff != "" {
			t.Errorf("(-first +second):\n%s", diff)
		}
	})
}

// BenchmarkRemote sends 10,000 targets that the other side knows.
func BenchmarkRemote(b *testing.B) {
	table := New(start, 1)
	fill(rand.New(rand.NewPCG(3, 1)), table, 12_500)
	var c, into Copy
	table.Copy(&c, 0, 1<<20, 1)
	var r Remote
	data := c.AppendBinary(nil, 0, 1)
	if err := r.Append(&into, data, 0, 1); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		data = c.AppendBinary(data[:0], r.Edition(), 1)
		into.Views, into.Jobs = into.Views[:0], into.Jobs[:0]
		if err := r.Append(&into, data, 0, 1); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(data))/float64(len(c.Views)), "B/target")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(c.Views)), "ns/target")
}
