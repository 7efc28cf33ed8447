package track

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"sonde/report"
)

// TestCopyWhileTargetsCome takes a copy in slices while targets come and go: whatever is in there is in there once.
func TestCopyWhileTargetsCome(t *testing.T) {
	for _, changes := range []int{0, 1, 5} {
		table := New(start, 1)
		for i := range 100 {
			table.Add(&Target{Job: "a", Instance: fmt.Sprint(i)})
		}
		rng := rand.New(rand.NewPCG(uint64(changes), 1))
		var c Copy
		for round := range 3 { // the same memory each time
			left, visits := changes, 0
			for from, done := uint32(0), false; !done; visits++ {
				if visits > 100 {
					t.Fatalf("%d changes: no end", changes)
				}
				from, done = table.Copy(&c, from, 7, 0)
				if left > 0 && !done {
					left--
					id := uint32(rng.IntN(100)) // its target moves behind all others
					target := table.Target(id)
					table.Remove(id)
					if other := table.Add(&Target{Job: "a", Instance: fmt.Sprint("new ", round, left)}); other != id {
						t.Fatalf("got id %d, want %d", other, id)
					}
					table.Add(target)
				}
			}
			seen := map[string]bool{}
			for i := range c.Views {
				name := c.Views[i].Target.Instance
				if seen[name] {
					t.Fatalf("%d changes, round %d: %s is in there twice", changes, round, name)
				}
				seen[name] = true
			}
			if len(seen) != table.Len() || len(c.Jobs) != 1 || c.Jobs[0].Targets != table.Len() {
				t.Errorf("%d changes, round %d: %d targets of %d, jobs %+v", changes, round, len(seen), table.Len(), c.Jobs)
			}
		}
	}
}

// TestCopyStands has a copy stay what it was while the table goes on.
func TestCopyStands(t *testing.T) {
	table, id := newTable(JobSettings{})
	table.Record(id, bad(1), 0)
	var c Copy
	if next, done := table.Copy(&c, 0, 100, 0); !done || next != 1 {
		t.Fatalf("got %d, %v", next, done)
	}
	other := bad(2)
	other.Status, other.Error = report.IOTimeout, "nothing came"
	table.Record(id, other, 0)
	table.Remove(id)
	v := &c.Views[0]
	if f, _ := v.Failure(); f.Error != bad(1).Error || v.Status() != report.ConnectionRefused || c.Jobs[0].Probes[report.IOTimeout] != 0 {
		t.Errorf("the copy changed with the table: %+v", f)
	}
	if table.Copy(&c, 0, 100, 0); len(c.Views) != 0 {
		t.Errorf("%d targets in the copy of a table without any", len(c.Views))
	}
}

func TestHistogram(t *testing.T) {
	var h, other Histogram
	h.Add(0, 1)
	h.Add(100*time.Microsecond, 1) // a bound belongs to its bucket
	h.Add(101*time.Microsecond, 2)
	other.Add(time.Hour, 1)
	h.Merge(&other)
	if h.Counts[0] != 2 || h.Counts[1] != 2 || h.Counts[NumBuckets] != 1 || h.Count() != 5 || h.Sum != time.Hour+302*time.Microsecond {
		t.Errorf("got %+v", h)
	}
	for i := range NumBuckets - 1 {
		if Bucket(i) >= Bucket(i+1) {
			t.Errorf("bounds %v, %v", Bucket(i), Bucket(i+1))
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		report.Absent: report.Absent, 0: 0, 1999: time.Microsecond, time.Hour: time.Hour, 1 << 60: (1<<32 - 2) * time.Microsecond,
	} {
		if got := spanOf(d).duration(); got != want {
			t.Errorf("%v became %v, want %v", d, got, want)
		}
	}
}

// TestRecordAllocatesNothing holds for outcomes that say what was said before.
func TestRecordAllocatesNothing(t *testing.T) {
	table, id := newTable(JobSettings{})
	results := []*Result{good(1), bad(2)}
	table.Record(id, results[1], 0)
	table.History().Points(id, nil)
	n := 0
	if got := testing.AllocsPerRun(1000, func() {
		n++
		table.Record(id, results[n%2], int64(n))
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkRecord(b *testing.B) {
	const targets = 100_000
	table := New(start, 60)
	for i := range targets {
		table.Add(&Target{Job: fmt.Sprint("job", i%10)})
	}
	results := []*Result{good(1), good(2), good(3), bad(4)}
	n := 0
	for b.Loop() {
		table.Record(uint32(n*7919%targets), results[n%len(results)], int64(n))
		n++
	}
}

func BenchmarkCopy(b *testing.B) {
	const targets = 100_000
	table := New(start, 1)
	for i := range targets {
		table.Record(table.Add(&Target{Job: fmt.Sprint("job", i%10)}), bad(1), 0)
	}
	var c Copy
	for b.Loop() {
		for from, done := uint32(0), false; !done; {
			from, done = table.Copy(&c, from, 4096, 0)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/targets, "ns/target")
}
