package track

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/policy/breaker"
	"sonde/policy/flap"
	"sonde/probes"
	"sonde/report"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// good is a probe that succeeded after some seconds.
func good(after int) *Result {
	timing := report.NoTiming
	timing.Connect, timing.Total = 2*time.Millisecond, 5*time.Millisecond
	return &Result{
		At: start.Add(time.Duration(after) * time.Second), Addr: netip.MustParseAddrPort("192.0.2.7:443"), Attempts: 1,
		Timing: timing, Late: 3 * time.Microsecond,
	}
}

// bad is one that was refused.
func bad(after int) *Result {
	r := good(after)
	r.Status, r.Side, r.Error = report.ConnectionRefused, report.SideRemote, "connect 192.0.2.7:443: connection refused"
	return r
}

func newTable(s JobSettings) (*Table, uint32) {
	t := New(start, 10)
	t.SetJob("web", s)
	return t, t.Add(&Target{Job: "web", Instance: "example.com:443", Module: "tcp"})
}

func view(t *testing.T, table *Table, id uint32) *View {
	t.Helper()
	v, ok := table.View(id, 0)
	if !ok {
		t.Fatalf("no target %d", id)
	}
	return &v
}

// TestRowsHoldNoPointer proves that the garbage collector has nothing to scan in the rows of a hundred thousand targets.
func TestRowsHoldNoPointer(t *testing.T) {
	if path := pointerIn(reflect.TypeFor[row](), "row"); path != "" {
		t.Errorf("%s holds a pointer", path)
	}
	if path := pointerIn(reflect.TypeFor[View](), "View"); path == "" {
		t.Error("the check finds no pointer in View, which holds one: it can't fail")
	}
	if size := reflect.TypeFor[row]().Size(); size > 328 {
		t.Errorf("a row is %d bytes, want at most 328", size)
	}
}

func pointerIn(t reflect.Type, path string) string {
	switch t.Kind() {
	case reflect.Array:
		return pointerIn(t.Elem(), path+"[]")
	case reflect.Struct:
		for i := range t.NumField() {
			if p := pointerIn(t.Field(i).Type, path+"."+t.Field(i).Name); p != "" {
				return p
			}
		}
		return ""
	case reflect.Pointer, reflect.Slice, reflect.String, reflect.Map, reflect.Chan, reflect.Func, reflect.Interface, reflect.UnsafePointer:
		return fmt.Sprintf("%s (%s)", path, t)
	}
	return ""
}

func TestIDsAreUsedAgain(t *testing.T) {
	table := New(start, 3)
	for want := range uint32(600) { // more than two pages
		if got := table.Add(&Target{Job: "a", Instance: fmt.Sprint(want)}); got != want {
			t.Fatalf("got id %d, want %d", got, want)
		}
	}
	table.Record(300, bad(1), 0)
	table.Connected(300, start)
	table.Remove(300)
	if table.Target(300) != nil || table.Target(600) != nil || table.Len() != 599 {
		t.Errorf("a removed target is still there, or one that never was; %d targets", table.Len())
	}
	if _, ok := table.View(300, 0); ok {
		t.Error("a view of a removed target")
	}
	if got := table.Add(&Target{Job: "b", Instance: "new"}); got != 300 {
		t.Errorf("got id %d, want 300 again", got)
	}
	v := view(t, table, 300)
	if v.Probed() || v.Kept() != (Kept{RTT: report.Absent}) || len(table.History().Points(300, nil)) != 0 {
		t.Errorf("the new target has what was known of the old one: %+v", v)
	}
	if _, failed := v.Failure(); failed {
		t.Error("the new target has the failure of the old one")
	}
	if n := len(table.texts.refs); n != 0 {
		t.Errorf("%d texts are kept for nobody", n)
	}
}

// TestRemoveJob: a job that is gone is in no copy, its place may be another's, and of its counts only the sum over all jobs stays.
func TestRemoveJob(t *testing.T) {
	table := New(start, 1)
	probe := func(job string) (id uint32) {
		id = table.Add(&Target{Job: job})
		table.Record(id, good(1), 0)
		return id
	}
	check := func(what string, want map[string]int) {
		t.Helper()
		c, probes := copyOf(t, table, 0), make(map[string]int)
		for i := range c.Jobs {
			probes[c.Jobs[i].Name] = int(c.Jobs[i].Probes[report.Success])
		}
		if diff := cmp.Diff(want, probes); diff != "" {
			t.Errorf("%s: probes by job (-want +got):\n%s", what, diff)
		}
		for i := range c.Views {
			if v := &c.Views[i]; c.Jobs[v.JobIndex()].Name != v.Target.Job {
				t.Errorf("%s: a target of %s is counted of %s", what, v.Target.Job, c.Jobs[v.JobIndex()].Name)
			}
		}
	}
	a := probe("a")
	probe("b")
	probe("b")
	table.Remove(a)
	check("without targets", map[string]int{"a": 1, "b": 2})
	table.RemoveJob("a")
	table.RemoveJob("never there")
	check("without the job", map[string]int{"b": 2})
	if n := table.Late(); n.Count() != 3 {
		t.Errorf("%d probes of all jobs, want 3", n.Count())
	}
	if err := New(start, 1).TakeJobs(table.AppendJobs(nil)); err != nil {
		t.Error(err)
	}
	probe("c")
	table.SetJob("a", JobSettings{})
	check("with others", map[string]int{"b": 2, "c": 1, "a": 0})
}

// TestOutcome follows a target through a success and a failure.
func TestOutcome(t *testing.T) {
	table, id := newTable(JobSettings{})
	if v := view(t, table, id); v.Probed() || v.State() != flap.Unknown || v.HasFigures() {
		t.Errorf("a target without an outcome: %+v", v)
	}
	c := table.Record(id, good(10), 0)
	if want := (Change{From: flap.Unknown, To: flap.Up}); c != want {
		t.Errorf("got %+v, want %+v", c, want)
	}
	v := view(t, table, id)
	if !v.At().Equal(start.Add(10*time.Second)) || v.Status() != report.Success || v.Addr() != netip.MustParseAddrPort("192.0.2.7:443") || v.Attempts() != 1 {
		t.Errorf("got %v, %v, %v, %d attempts", v.At(), v.Status(), v.Addr(), v.Attempts())
	}
	for p, want := range map[Phase]time.Duration{
		PhaseDNS: report.Absent, PhaseConnect: 2 * time.Millisecond, PhaseTotal: 5 * time.Millisecond, PhaseLate: 3 * time.Microsecond, PhaseHeartbeat: report.Absent,
	} {
		if got := v.Phase(p); got != want {
			t.Errorf("%v: got %v, want %v", p, got, want)
		}
	}
	c = table.Record(id, bad(20), 0)
	if want := (Change{From: flap.Up, To: flap.Down, Since: start.Add(10 * time.Second)}); c != want {
		t.Errorf("got %+v, want %+v", c, want)
	}
	v = view(t, table, id)
	f, ok := v.Failure()
	want := Failure{At: start.Add(20 * time.Second), Status: report.ConnectionRefused, Side: report.SideRemote,
		Error: "connect 192.0.2.7:443: connection refused", Total: 5 * time.Millisecond}
	if diff := cmp.Diff(want, f); diff != "" || !ok {
		t.Error(diff)
	}
	if !v.Turned().Equal(start.Add(20*time.Second)) || !v.LastGood().Equal(start.Add(10*time.Second)) {
		t.Errorf("turned %v, last good %v", v.Turned(), v.LastGood())
	}
	table.Record(id, good(30), 0)
	if f, ok := view(t, table, id).Failure(); !ok || f.Error == "" {
		t.Error("the last failure is forgotten with the next success")
	}
	if got := view(t, table, id).Counts(); got.Probes != 3 || got.Failed[report.SideRemote] != 1 || got.InARow != 0 {
		t.Errorf("got %+v", got)
	}
	if points := table.History().Points(id, nil); len(points) != 3 || points[1].Status != report.ConnectionRefused {
		t.Errorf("got points %v", points)
	}
}

// TestWhatSaysNothing has outcomes that are not the target's doing leave its state alone.
func TestWhatSaysNothing(t *testing.T) {
	table, id := newTable(JobSettings{Breaker: breaker.Settings{Window: 1, Failures: 1, OpenFor: time.Second, MaxOpenFor: time.Second}})
	table.Record(id, good(1), 0)
	for _, tt := range []struct {
		status report.Status
		side   report.Side
		probes uint32
	}{{report.Cancelled, report.SideLocal, 1}, {report.LocalFDLimit, report.SideLocal, 2}, {report.Blocked, report.SidePolicy, 3}} {
		r := bad(2)
		r.Status, r.Side = tt.status, tt.side
		c := table.Record(id, r, 0)
		v := view(t, table, id)
		if c.From != flap.Up || c.To != flap.Up || c.BreakerTo != breaker.Closed || v.State() != flap.Up || v.Counts().Probes != tt.probes {
			t.Errorf("%v: %+v, %v, %+v", tt.status, c, v.State(), v.Counts())
		}
	}
	if v := view(t, table, id); v.Status() != report.Blocked {
		t.Errorf("got %v, want the last outcome that was counted", v.Status())
	}
}

func TestBreaker(t *testing.T) {
	s := JobSettings{Breaker: breaker.Settings{Window: 2, Failures: 2, OpenFor: time.Second, MaxOpenFor: time.Second}}
	table, id := newTable(s)
	now := int64(time.Hour)
	table.Record(id, bad(1), now)
	c := table.Record(id, bad(2), now)
	if c.BreakerFrom != breaker.Closed || c.BreakerTo != breaker.Open {
		t.Errorf("got %+v, want it to open", c)
	}
	if allows(table, id, now) || table.OpenUntil(id) != now+int64(time.Second) {
		t.Error("an open breaker lets a probe through, or for another time than its own")
	}
	later := now + int64(time.Second)
	p, ok := table.Allow(id, later)
	if !ok || allows(table, id, later) {
		t.Error("want one trial")
	}
	for _, r := range []*Result{good(3), bad(3)} { // of turns before it opened
		if c := table.Record(id, r, later); c.BreakerTo != breaker.HalfOpen || allows(table, id, later) {
			t.Errorf("what is not the trial's outcome changed it: %+v", c)
		}
	}
	table.Forget(id, p)
	if p, ok = table.Allow(id, later); !ok {
		t.Error("want another trial when one came to nothing")
	}
	failed := bad(4)
	if failed.Pass = p; table.Record(id, failed, later).BreakerTo != breaker.Open {
		t.Error("a trial that failed has not opened it again")
	}
	later += int64(time.Second)
	allows(table, id, later)
	// A reload takes the breaker away while its trial is under way.
	table.SetJob("web", JobSettings{})
	first, second := allows(table, id, later), allows(table, id, later)
	if !first || !second || view(t, table, id).Breaker() != breaker.Closed {
		t.Error("a breaker that is gone holds probes back")
	}
	if got := view(t, table, id).Counts().Skipped[SkipBreaker]; got != 4 {
		t.Errorf("%d turns were skipped, want 4", got)
	}
	table.Skip(id, SkipMissed, 3)
	var c2 Copy
	table.Copy(&c2, 0, 10, later)
	if got, want := c2.Jobs[0].Skipped, [NumSkips]uint64{SkipBreaker: 4, SkipMissed: 3}; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func allows(table *Table, id uint32, now int64) bool {
	_, ok := table.Allow(id, now)
	return ok
}

func TestFlap(t *testing.T) {
	table, id := newTable(JobSettings{Flap: flap.Settings{Rise: 2, Fall: 3}})
	table.Record(id, good(1), 0)
	for i := range 3 {
		if c := table.Record(id, bad(2+i), 0); (c.To == flap.Down) != (i == 2) {
			t.Errorf("failure %d: %+v", i+1, c)
		}
	}
	if v := view(t, table, id); v.Counts().InARow != 3 || !v.Turned().Equal(start.Add(4*time.Second)) {
		t.Errorf("%d in a row, down since %v", v.Counts().InARow, v.Turned())
	}
}

func TestFigures(t *testing.T) {
	yes := true
	all := good(1)
	all.Figures = &probes.Figures{
		HTTP:         &probes.HTTPFigures{StatusCode: 200, Version: 1.1, ContentLength: -1, BodyLength: 1 << 40, LastModified: start, Redirects: 2, TLS: true},
		TLS:          &probes.TLSFigures{Version: "TLS 1.3", EarliestExpiry: start, Fingerprint: "ab", Names: "a,b"},
		Expect:       []probes.Capture{{Name: "version", Value: "2.0"}, {Name: "", Value: "a\x00\xffb"}},
		RegexpFailed: &yes,
	}
	table, id := newTable(JobSettings{})
	table.Record(id, all, 0)
	check := func(what string, stale bool, want *probes.Figures) {
		t.Helper()
		v := view(t, table, id)
		got := new(probes.Figures)
		if h, ok := v.HTTP(); ok {
			h.LastModified = h.LastModified.UTC()
			got.HTTP = &h
		}
		got.TLS = v.TLS()
		if captures, ok := v.Expect(); ok {
			got.Expect = slices.AppendSeq([]probes.Capture{}, captures)
		}
		if failed, ok := v.RegexpFailed(); ok {
			got.RegexpFailed = &failed
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		if v.Stale() != stale || v.HasFigures() != (want.HTTP != nil || want.TLS != nil || want.Expect != nil) {
			t.Errorf("%s: stale is %v, any figures %v", what, v.Stale(), v.HasFigures())
		}
	}
	check("good", false, all.Figures)

	table.Record(id, bad(2), 0)
	stale := *all.Figures
	stale.RegexpFailed = nil // it says how the last probe failed
	check("refused", true, &stale)

	broken := bad(3)
	broken.Figures = &probes.Figures{HTTP: &probes.HTTPFigures{StatusCode: 503}, Expect: []probes.Capture{}}
	table.Record(id, broken, 0)
	check("an answer that was none wanted", false, broken.Figures)

	nowhere := bad(4)
	nowhere.Figures = &probes.Figures{HTTP: &probes.HTTPFigures{Redirects: 1}}
	table.Record(id, nowhere, 0)
	check("a redirect that led nowhere", true, &stale)

	table.Remove(id)
	if len(table.texts.refs) != 0 || len(table.tls.refs) != 0 {
		t.Errorf("%d texts and %d certificates are kept for nobody", len(table.texts.refs), len(table.tls.refs))
	}
}

// TestInterned has many targets share what is the same, however it was made.
func TestInterned(t *testing.T) {
	table := New(start, 2)
	for i := range 1000 {
		id := table.Add(&Target{Job: "a"})
		r := bad(1)
		r.Error = strings.Repeat("x", 5000)
		r.Figures = &probes.Figures{TLS: &probes.TLSFigures{Subject: strings.Clone("CN=a"), EarliestExpiry: start.In(time.FixedZone("", i%3*3600))}}
		table.Record(id, r, 0)
	}
	if len(table.texts.refs) != 1 || len(table.tls.refs) != 1 {
		t.Errorf("%d texts and %d certificates, want one of each", len(table.texts.refs), len(table.tls.refs))
	}
	if f, _ := view(t, table, 7).Failure(); len(f.Error) != maxError {
		t.Errorf("a text of %d bytes, want %d", len(f.Error), maxError)
	}
	for id := range uint32(1000) {
		r := bad(2)
		r.Error = fmt.Sprint("another ", id)
		table.Record(id, r, 0)
	}
	if len(table.texts.refs) != 1000 || len(table.texts.slots) > 1002 || len(table.tls.refs) != 0 {
		t.Errorf("%d texts in %d slots, %d certificates", len(table.texts.refs), len(table.texts.slots), len(table.tls.refs))
	}
}

func TestAddresses(t *testing.T) {
	table, id := newTable(JobSettings{})
	for addr, want := range map[string]string{
		"192.0.2.7:1": "192.0.2.7:1", "[::ffff:192.0.2.7]:2": "192.0.2.7:2", "[2001:db8::1]:65535": "[2001:db8::1]:65535", "0.0.0.0:0": "0.0.0.0:0",
	} {
		r := good(1)
		r.Addr = netip.MustParseAddrPort(addr)
		table.Record(id, r, 0)
		if got := view(t, table, id).Addr(); got != netip.MustParseAddrPort(want) {
			t.Errorf("%s: got %v, want %s", addr, got, want)
		}
	}
	for _, none := range []netip.AddrPort{{}, netip.AddrPortFrom(netip.Addr{}, 80)} { // the other is of a name that did not resolve
		r := good(1)
		r.Addr = none
		table.Record(id, r, 0)
		if got := view(t, table, id).Addr(); got.IsValid() {
			t.Errorf("%v: got %v, want no address", none, got)
		}
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		s    string
		n    int
		want string
	}{{"abc", 3, "abc"}, {"abc", 2, "ab"}, {"aä", 2, "a"}, {"\x80\x80\x80", 2, ""}} {
		if got := cut(tt.s, tt.n); got != tt.want {
			t.Errorf("%q to %d: got %q, want %q", tt.s, tt.n, got, tt.want)
		}
	}
}

func TestKept(t *testing.T) {
	table := New(start, 5)
	id := table.Add(&Target{Job: "a", Keep: true})
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	table.Connected(id, at(1))
	table.Beat(id, 700*time.Microsecond, at(2))
	want := Kept{Up: true, Since: at(1), Connects: 1, RTT: 700 * time.Microsecond, Beat: at(2)}
	if diff := cmp.Diff(want, view(t, table, id).Kept()); diff != "" {
		t.Error(diff)
	}
	table.Dropped(id, at(3), CauseSilence)
	want.Up, want.Since, want.Cause = false, at(3), CauseSilence
	want.Drops[CauseSilence]++
	if diff := cmp.Diff(want, view(t, table, id).Kept()); diff != "" {
		t.Error(diff)
	}
	var c Copy
	table.Copy(&c, 0, 10, 0)
	if c.Jobs[0].Drops[CauseSilence] != 1 || c.Jobs[0].Phases[PhaseHeartbeat].Count() != 1 {
		t.Errorf("the job knows nothing of it: %+v", c.Jobs[0])
	}
	if points := table.History().Points(id, nil); len(points) != 1 || points[0].Total != 700*time.Microsecond {
		t.Errorf("got points %v, want the heartbeat", points)
	}
	// Changed words leave it; a job that keeps nothing ends it.
	table.Set(id, &Target{Job: "b", Keep: true})
	if k := view(t, table, id).Kept(); k.Drops[CauseSilence] != 1 {
		t.Errorf("got %+v behind a change of labels", k)
	}
	table.Set(id, &Target{Job: "b"})
	if k := view(t, table, id).Kept(); k.Connects != 0 {
		t.Errorf("got %+v of what is not kept any more", k)
	}
	table.Copy(&c, 0, 10, 0)
	if c.Jobs[0].Targets != 0 || c.Jobs[1].Targets != 1 {
		t.Errorf("%d targets of a, %d of b; want 0, 1", c.Jobs[0].Targets, c.Jobs[1].Targets)
	}
}

func TestAbove(t *testing.T) {
	var h Histogram
	for _, d := range []time.Duration{time.Millisecond, 100 * time.Millisecond, 101 * time.Millisecond, time.Minute} {
		h.Add(d, 1)
	}
	if got := h.Above(100 * time.Millisecond); got != 2 {
		t.Errorf("above 100 ms: %d, want 2", got)
	}
	if got := h.Above(time.Hour); got != 1 { // beyond the bounds nothing is known
		t.Errorf("above an hour: %d, want 1", got)
	}
}

// TestBreakerOfKept: the breaker of a target that keeps a connection stays closed: nobody asks it whether to connect again.
func TestBreakerOfKept(t *testing.T) {
	table := New(time.Unix(0, 0), 1)
	table.SetJob("j", JobSettings{Breaker: breaker.Settings{Window: 1, Failures: 1, OpenFor: time.Second, MaxOpenFor: time.Second}})
	id := table.Add(&Target{Job: "j"})
	if c := table.Record(id, bad(1), 1); c.BreakerTo != breaker.Open {
		t.Fatalf("the breaker of a target that is asked is %v", c.BreakerTo)
	}
	table.Set(id, &Target{Job: "j", Keep: true})
	for i := range 3 {
		c := table.Record(id, bad(2+i), int64(2+i))
		if c.BreakerFrom != breaker.Closed || c.BreakerTo != breaker.Closed || view(t, table, id).Breaker() != breaker.Closed {
			t.Errorf("failure %d: the breaker is %v, then %v", i, c.BreakerFrom, c.BreakerTo)
		}
	}
}
