package scan

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"sonde/engine"
	"sonde/internal/testpeer"
	"sonde/report"
)

// flaky is a peer that resets its first connections and greets those after them, or says nothing if greeting is empty.
func flaky(t *testing.T, resets int64, greeting string) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	var n atomic.Int64
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if n.Add(1) <= resets {
				conn.(*net.TCPConn).SetLinger(0)
				conn.Close()
				continue
			}
			t.Cleanup(func() { conn.Close() })
			fmt.Fprint(conn, greeting)
		}
	}()
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// TestRetries asks a peer again that resets its first two connections: with two retries it answers, with one it does not.
func TestRetries(t *testing.T) {
	for retries, wants := range map[int]report.Status{0: report.ConnectionReset, 1: report.ConnectionReset, 2: report.Success, 5: report.Success} {
		t.Run(fmt.Sprint(retries), func(t *testing.T) {
			addr := flaky(t, 2, "SSH-2.0-flaky\r\n")
			records, run := scanAll(t, Config{Args: []string{addr.String()}, Probes: []string{"ssh"}, Retries: retries})
			r := only(t, records)
			if r.Status != wants || r.Attempts != min(retries+1, 3) {
				t.Errorf("got %v after %d attempts, want %v after %d", r, r.Attempts, wants, min(retries+1, 3))
			}
			wantText(t, r.Status, r.Error)
			if run.Engine.Opened != uint64(r.Attempts) {
				t.Errorf("got %d sockets for %d attempts", run.Engine.Opened, r.Attempts)
			}
			again := run.Summary.Retried()
			switch {
			case retries == 0 && again != nil, retries == 1 && *again != (report.Retried{Targets: 1}),
				retries >= 2 && *again != (report.Retried{Targets: 1, Succeeded: 1}):
				t.Errorf("got %+v in the summary", again)
			}
			// It tells of the last attempt: when that began, and how long it took.
			if end := r.Timestamp.Add(r.Timing.Total); end.After(run.End) || r.Timing.Total > run.End.Sub(r.Timestamp) || r.Timing.SchedDelay < 0 {
				t.Errorf("dialled at %v for %v in a run that ended at %v", r.Timestamp, r.Timing.Total, run.End)
			}
		})
	}
}

// TestRetriesOfFaultsThatStay asks nobody again whose fault will be there again.
func TestRetriesOfFaultsThatStay(t *testing.T) {
	addrs := peers(t, testpeer.Refuse, testpeer.Garbage, testpeer.SSH)
	records, _ := scanAll(t, Config{
		Args: []string{addrs[0].String(), addrs[1].String(), addrs[2].String()}, Probes: []string{"ssh"}, Retries: 3,
	})
	if len(records) != len(addrs) {
		t.Fatalf("got %v, want %d records", records, len(addrs))
	}
	for i := range records {
		if r := &records[i]; r.Attempts != 1 {
			t.Errorf("got %v after %d attempts, want one", r, r.Attempts)
		}
	}
}

// TestRetriesHoldUpNobody has every second target fail at once, again and again, with one connection in flight: those that wait
// take no connection, or the run would take minutes.
func TestRetriesHoldUpNobody(t *testing.T) {
	const n, retries = 200, 2
	addrs := peers(t, testpeer.Reset, testpeer.SSH)
	records, run := scanAll(t, Config{
		Args: slices.Repeat([]string{addrs[0].String(), addrs[1].String()}, n), Probes: []string{"ssh"}, Retries: retries, Connections: 1,
		Limits: engine.Limits{Read: time.Minute},
	})
	if len(records) != 2*n {
		t.Fatalf("got %d records, want %d", len(records), 2*n)
	}
	for i := range records {
		r := &records[i]
		wants, attempts := report.ConnectionReset, retries+1
		if r.Port == addrs[1].Port() {
			wants, attempts = report.Success, 1
		}
		if r.Status != wants || r.Attempts != attempts {
			t.Errorf("got %v after %d attempts, want %v after %d", r, r.Attempts, wants, attempts)
		}
	}
	if run.Engine.InFlightMax != 1 || run.Engine.Opened != n*(retries+2) {
		t.Errorf("got %d in flight and %d dials, want 1 and %d", run.Engine.InFlightMax, run.Engine.Opened, n*(retries+2))
	}
	// One after the other the waits are 600 ms each in the mean.
	if took := run.Duration(); took > n*600*time.Millisecond/4 {
		t.Errorf("took %v", took)
	}
}

// TestRetriesKeepTheRate: a dial is a dial.
func TestRetriesKeepTheRate(t *testing.T) {
	const n, perSecond = 10, 40
	addr := peers(t, testpeer.Reset)[0]
	records, run := scanAll(t, Config{
		Args: slices.Repeat([]string{addr.String()}, n), Probes: []string{"ssh"}, Retries: 2, Rate: perSecond,
	})
	if least := time.Second * (3*n - 1) / perSecond; len(records) != n || run.Duration() < least*9/10 {
		t.Errorf("got %d records in %v, want %d in %v at least", len(records), run.Duration(), n, least)
	}
}

// TestRetriesKeepTheBudget: however many retries are left, the target's time is that of all of them.
func TestRetriesKeepTheBudget(t *testing.T) {
	const n, read, budget = 30, 50 * time.Millisecond, 300 * time.Millisecond
	addr := peers(t, testpeer.Silent)[0]
	records, run := scanAll(t, Config{
		Args: slices.Repeat([]string{addr.String()}, n), Probes: []string{"ssh"}, Retries: 100,
		Limits: engine.Limits{Read: read, Target: budget},
	})
	if len(records) != n {
		t.Fatalf("got %d records, want %d", len(records), n)
	}
	for i := range records {
		r := &records[i]
		want(t, r, report.IOTimeout, report.SideRemote)
		if r.Attempts < 1 || r.Attempts > int(budget/read) {
			t.Errorf("got %d attempts of %v each within %v", r.Attempts, read, budget)
		}
	}
	if again := run.Summary.Retried(); again == nil || again.Succeeded != 0 { // three of four wait less than is left
		t.Errorf("got %+v in the summary, want some that were asked again", again)
	}
}

// TestLastAttemptIsCutShort: an attempt has what those before it left.
func TestLastAttemptIsCutShort(t *testing.T) {
	t.Parallel() // it waits, most of the time
	const n = 30
	addr := peers(t, testpeer.Silent)[0]
	records, _ := scanAll(t, Config{
		Args: slices.Repeat([]string{addr.String()}, n), Probes: []string{"ssh"}, Retries: 100,
		Limits: engine.Limits{Read: 4 * time.Second, Target: 6 * time.Second}, // a busy machine is not late by the difference
	})
	for i := range records {
		r := &records[i]
		wants := map[int]string{1: "no whole answer within 4s", 2: "target's time budget of 6s is spent"}[r.Attempts]
		if r.Status != report.IOTimeout || r.Error != wants {
			t.Errorf("got %v after %d attempts, want %q", r, r.Attempts, wants)
		}
	}
}

// TestSpent: what a target has spent are its attempts and the waits between them, and an attempt that was no dial costs nothing.
func TestSpent(t *testing.T) {
	const limit = time.Hour
	s := &Scan{cfg: Config{Retries: 9}, limits: engine.Limits{Target: limit}, dialer: &dialer{again: make(chan uint32, 1)}}
	c := &collector{scan: s, repeater: newRepeater(s)}
	var target course
	spent := time.Duration(0)
	for i := range 10 {
		o := engine.Outcome{ID: 7, Cause: engine.ReadTimeout, EndedAt: int64(i) * int64(time.Minute), Total: time.Second}
		if i == 3 {
			o.Cause, o.Total = engine.PortsExhausted, engine.Absent
		}
		again := c.asksAgain(&target, &o)
		if again != (i < 9) {
			t.Fatalf("attempt %d: asked again %v", i, again)
		}
		spent += max(o.Total, 0)
		if !again {
			break
		}
		spent += time.Duration(target.until - o.EndedAt)
		if id := <-s.dialer.again; id != 7 || target.spent != spent || target.job.Budget != limit-spent || *target.last != o {
			t.Fatalf("attempt %d: target %d has spent %v and has %v left, want 7, %v and %v", i, id, target.spent, target.job.Budget, spent, limit-spent)
		}
	}
}

// TestDialerLosesNobody: what has just come to be asked again, and what the engine no longer takes, waits when the run is over.
func TestDialerLosesNobody(t *testing.T) {
	s := open(t, Config{Args: []string{"127.0.0.1:1"}, Retries: 1})
	var err error
	if s.engine, err = engine.New(s.engineCfg); err != nil {
		t.Fatal(err)
	}
	d := newDialer(s)
	for id := range 3 {
		s.flights.entries[id].course = &course{until: s.clk.Now() + int64(time.Hour)}
	}
	s.engine.Stop()
	d.lobby.add(1)
	if _, ok := d.dial(t.Context(), s.clk.Now()); ok {
		t.Error("got a job taken by an engine that was stopped")
	}
	d.again <- 2
	if got := slices.Sorted(d.waiting()); !slices.Equal(got, []uint32{1, 2}) {
		t.Errorf("got %v waiting, want 1 and 2", got)
	}
	for more := true; more; {
		<-s.engine.Ready()
		_, more = s.engine.Outcomes(nil)
	}
	if err := s.engine.Wait(); err != nil {
		t.Error(err)
	}
}

// startWaiting runs a scan of targets that are reset, to be asked again for ever, and returns when each has been dialled twice in
// the mean, with a function that waits for the end.
func startWaiting(t *testing.T, ctx context.Context, n int, cfg Config) (sink *memorySink, wait func() *report.Run) {
	t.Helper()
	addr := peers(t, testpeer.Reset)[0]
	sink = &memorySink{}
	cfg.Sink, cfg.Probes, cfg.Retries, cfg.Limits = sink, []string{"ssh"}, 100, engine.Limits{Target: -1}
	cfg.Args = slices.Repeat([]string{addr.String()}, n)
	s := open(t, cfg)
	var run *report.Run
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		run, err = s.Run(ctx)
	}()
	within(t, "the dialling", func() {
		for s.state().Engine.Opened < uint64(2*n) && ctx.Err() == nil {
			select {
			case <-done:
				return
			default:
				runtime.Gosched()
			}
		}
	})
	return sink, func() *report.Run {
		t.Helper()
		within(t, "the scan", func() { <-done })
		if err != nil {
			t.Fatal(err)
		}
		return run
	}
}

// TestStopWhileWaiting: what waits to be asked again when the run is stopped has the record of its last attempt, and is not waited for.
func TestStopWhileWaiting(t *testing.T) {
	const n = 100
	check := func(t *testing.T, sink *memorySink, run *report.Run, cause error) {
		t.Helper()
		if run.Stopped != cause.Error() {
			t.Errorf("got stopped %q, want %q", run.Stopped, cause)
		}
		if len(sink.records) != n {
			t.Fatalf("got %d records, want %d", len(sink.records), n)
		}
		dials := 0
		for i := range sink.records {
			r := &sink.records[i]
			want(t, r, report.ConnectionReset, report.SideRemote)
			dials += r.Attempts
		}
		if run.Engine.Opened != uint64(dials) || run.Engine.Leaked() != 0 {
			t.Errorf("got %d dials in the records of %d, %d leaked", dials, run.Engine.Opened, run.Engine.Leaked())
		}
		noGoroutines(t)
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		sink, wait := startWaiting(t, ctx, n, Config{})
		cancel(errInterrupted)
		check(t, sink, wait(), errInterrupted)
	})
	t.Run("the time is over", func(t *testing.T) {
		sink, wait := startWaiting(t, t.Context(), n, Config{MaxRuntime: 5 * time.Second}) // in which a busy machine has dialled all
		check(t, sink, wait(), ErrMaxRuntime)
	})
}

// TestAbortWhileAskedAgain: an attempt that we cancel says nothing, so the record is that of the one before.
func TestAbortWhileAskedAgain(t *testing.T) {
	sink := &memorySink{}
	s := open(t, Config{
		Args: []string{flaky(t, 1, "").String()}, Sink: sink, Probes: []string{"ssh"}, Retries: 3,
		Limits: engine.Limits{Read: time.Hour, Target: -1},
	})
	go func() {
		for {
			if shot := s.state(); shot.Engine.Established == 2 && shot.InFlight == 1 {
				s.Abort()
				return
			}
			runtime.Gosched()
		}
	}()
	finish(t, t.Context(), s)
	r := only(t, sink.records)
	want(t, r, report.ConnectionReset, report.SideRemote)
	if r.Attempts != 2 {
		t.Errorf("got %d attempts, want 2", r.Attempts)
	}
}
