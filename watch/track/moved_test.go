package track

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRowsMove takes all rows of a table to another one, whose clock is another: what is shown of each target, its history, and what its
// breaker and its state do next are the same.
func TestRowsMove(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const away = int64(time.Hour)
	now := int64(time.Minute)
	from, to := New(start, 5), New(start.Add(-time.Hour), 5)
	fill(rng, from, 40)
	for id := range uint32(len(from.targets)) {
		target := from.Target(id)
		if target == nil {
			to.targets, to.free = append(to.targets, nil), append(to.free, id)
			if id%pageRows == 0 {
				to.pages = append(to.pages, new([pageRows]row))
			}
			continue
		}
		to.SetJob(target.Job, from.jobs[from.row(id).job].Settings)
		free := to.free
		to.free = nil
		if got := to.Add(target); got != id {
			t.Fatalf("id %d, want %d", got, id)
		}
		to.free = free
		if err := to.TakeRow(id, from.AppendRow(nil, id, now), now+away); err != nil {
			t.Fatal(err)
		}
	}
	if err := to.TakeJobs(from.AppendJobs(nil)); err != nil {
		t.Fatal(err)
	}
	for id := range uint32(len(from.targets)) {
		if from.Target(id) == nil {
			continue
		}
		was, _ := from.View(id, now)
		is, _ := to.View(id, now+away)
		if was.until != 0 {
			was.until += away
		}
		was.job, is.job = 0, 0
		if diff := cmp.Diff(was, is, compareCopies); diff != "" {
			t.Fatalf("target %d (-was +is):\n%s", id, diff)
		}
		if a, b := from.row(id), to.row(id); a.flap != b.flap || a.breaker.Parts(now) != b.breaker.Parts(now+away) {
			t.Errorf("target %d: %+v %+v, want %+v %+v", id, b.flap, b.breaker, a.flap, a.breaker)
		}
		if diff := cmp.Diff(from.history.Points(id, nil), to.history.Points(id, nil)); diff != "" {
			t.Errorf("history of %d (-was +is):\n%s", id, diff)
		}
	}
	for _, j := range from.jobs {
		if other := to.jobs[to.jobIDs[j.Name]]; other.Probes != j.Probes || other.Phases != j.Phases || other.Targets != j.Targets {
			t.Errorf("job %s: got %+v, want %+v", j.Name, other, j)
		}
	}
}

// TestRowsOfOtherVersions has sections that are not known, are missing or malformed leave the others as they are.
func TestRowsOfOtherVersions(t *testing.T) {
	from, id := newTable(JobSettings{})
	from.Record(id, good(1), 0)
	from.Record(id, bad(2), 0)
	whole := from.AppendRow(nil, id, 0)
	var other []byte
	for rest := whole; len(rest) > 0; {
		s, n := binary.Uvarint(rest)
		size, n2 := binary.Uvarint(rest[n:])
		body := rest[n+n2:][:size]
		rest = rest[n+n2+int(size):]
		switch section(s) {
		case sectionKept: // not there
			continue
		case sectionHistory:
			body = []byte{0xff}
		case sectionOutcome: // and one that we don't know before it
			other = append(binary.AppendUvarint(binary.AppendUvarint(other, 4711), 3), 1, 2, 3)
		}
		other = append(binary.AppendUvarint(binary.AppendUvarint(other, s), uint64(len(body))), body...)
	}
	to, id := newTable(JobSettings{})
	if err := to.TakeRow(id, other, 0); err != nil {
		t.Fatal(err)
	}
	v := view(t, to, id)
	if v.Counts().Probes != 2 || v.Status() != bad(2).Status || len(to.History().Points(id, nil)) != 0 {
		t.Errorf("got %+v", v)
	}
	for n := range whole {
		to, id := newTable(JobSettings{})
		_ = to.TakeRow(id, whole[:n], 0) // cut short anywhere: no panic
	}
}

func FuzzTakeRow(f *testing.F) {
	from := New(start, 5)
	fill(rand.New(rand.NewPCG(1, 2)), from, 10)
	for id := range uint32(len(from.targets)) {
		if from.Target(id) != nil {
			f.Add(from.AppendRow(nil, id, 1))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		to, id := newTable(JobSettings{})
		if to.TakeRow(id, data, 1) != nil {
			return
		}
		again := to.AppendRow(nil, id, 1)
		other, id := newTable(JobSettings{})
		if err := other.TakeRow(id, again, 1); err != nil {
			t.Fatalf("what was taken can't be taken again: %v", err)
		}
		view(t, other, id)
		other.Remove(id)
	})
}
