package compare

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/bench/plan"
	"sonde/bench/transport"
	"sonde/internal/kernel/limits"
	"sonde/internal/testpeer"
	"sonde/internal/workers"
)

// roleEnv makes the test binary a worker; its first argument is the role.
const roleEnv = "SONDE_TEST_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) == "" {
		os.Exit(m.Run())
	}
	if os.Args[1] == "wordless" {
		os.Exit(5) // before it has said anything
	}
	w, err := workers.Serve(os.Stdin, os.Stdout)
	if err == nil {
		err = map[string]func(*workers.Worker) error{
			RunRole: Work, FleetRole: Serve,
			"killed":   func(*workers.Worker) error { return syscall.Kill(os.Getpid(), syscall.SIGKILL) },
			"nonsense": func(w *workers.Worker) error { return w.Finish([]byte("no JSON")) },
			"mortal":   mortal,
		}[os.Args[1]](w)
	}
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

// mortal is a fleet that dies of its first connection.
func mortal(w *workers.Worker) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	data, err := json.Marshal(site{Addr: ln.Addr().(*net.TCPAddr).AddrPort()})
	if err != nil {
		return err
	}
	if err := w.Send(data); err != nil {
		return err
	}
	if _, err := ln.Accept(); err != nil {
		return err
	}
	os.Exit(7)
	return nil
}

// small is a config of little work.
func small() Config {
	return Config{
		Workloads: []transport.Workload{transport.Connect}, Transports: []string{"loop", "std"}, Rounds: 2, Connections: 5, Operations: 20,
		Duration: 100 * time.Millisecond, PingInterval: 20 * time.Millisecond,
		Limits: transport.Limits{Connect: time.Minute, Handshake: time.Minute, Read: time.Minute}, // a busy machine is no slow peer
		Args:   func(role string) []string { return []string{role} },
		Env:    []string{roleEnv + "=1", "GORACE=" + os.Getenv("GORACE") + " atexit_sleep_ms=0"},
	}
}

// run runs c, which must work.
func run(t *testing.T, ctx context.Context, c Config) *Report {
	t.Helper()
	var stderr strings.Builder
	c.Stderr = &stderr
	r, err := Run(ctx, c)
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	return r
}

// TestEverything has each transport do each workload against the fleet, and reads that all was done and measured.
func TestEverything(t *testing.T) {
	c := small()
	c.Workloads, c.Transports, c.Rounds, c.Duration = nil, nil, 1, time.Second
	var steps []string
	c.OnStep = func(s Step) { steps = append(steps, s.Workload.String()+" "+s.Transport) }
	r := run(t, t.Context(), c)
	var want []string
	for i := range r.Sections {
		s := &r.Sections[i]
		if s.workload != Workloads()[i] || len(s.Rows) != len(Transports()) {
			t.Fatalf("got workload %v with %d rows", s.workload, len(s.Rows))
		}
		for j := range s.Rows {
			row := &s.Rows[j]
			name := s.Workload + " " + row.Transport
			if noTLS := s.Workload == "tls" && (row.Transport == "netpoll" || row.Transport == "gnet"); noTLS {
				if row.Unsupported != row.Transport+" has no TLS" || len(row.Runs) > 0 || row.Figures != nil {
					t.Errorf("%s: got %+v, want only that it can't", name, row)
				}
				continue
			}
			want = append(want, name)
			checkRow(t, name, s, row)
		}
	}
	if diff := cmp.Diff(want, steps); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
}

// checkRow reads a row of which nothing may have failed.
func checkRow(t *testing.T, name string, s *Section, row *Row) {
	t.Helper()
	f := row.Figures
	if len(row.Runs) != 1 || row.Runs[0].Error != "" || len(row.Failed) > 0 || f == nil || row.Ratio == nil {
		t.Errorf("%s: got %+v, want one run that did all", name, row)
		return
	}
	run := &row.Runs[0]
	if s.Workload != "hold" && run.Operations != 20 || s.Workload == "hold" && run.Operations == 0 {
		t.Errorf("%s: got %d operations", name, run.Operations)
	}
	if run.Latency == nil || int(run.Latency.Count()) != run.Operations {
		t.Errorf("%s: got latencies %v of %d operations", name, run.Latency, run.Operations)
	}
	if f.Connections != 5 || f.Goroutines < 1 || f.P50 < 0 || f.P999 < f.P99 || f.P99 < f.P50 || f.Rate <= 0 || f.CPUPerOperation < 0 {
		t.Errorf("%s: got figures %+v", name, f)
	}
	if hold := f.HeapPerConnection >= 0 && f.Ramp > 0 && f.HeldCPU >= 0; hold != (s.Workload == "hold") {
		t.Errorf("%s: got memory %v, ramp %v, CPU while held %v", name, f.HeapPerConnection, f.Ramp, f.HeldCPU)
	}
	if row.Transport == Ours && row.Ratio.Connections != 1 {
		t.Errorf("%s: got ratio %+v to itself", name, row.Ratio)
	}
}

// TestDeadProcess kills the second run of std; the others count, and its row says what happened.
func TestDeadProcess(t *testing.T) {
	tests := map[string]string{
		"killed":   "its process died: signal: killed, no final message",
		"wordless": "its process died: exit status 5, no final message",
		"nonsense": "its process answered nonsense: invalid character 'o' in literal null (expecting 'u')",
	}
	for role, want := range tests {
		t.Run(role, func(t *testing.T) {
			c := small()
			var step Step
			c.OnStep = func(s Step) { step = s }
			c.Args = func(r string) []string {
				if r == RunRole && step.Transport == "std" && step.Round == 2 {
					return []string{role}
				}
				return []string{r}
			}
			r := run(t, t.Context(), c)
			loop, std := &r.Sections[0].Rows[0], &r.Sections[0].Rows[1]
			if len(loop.Runs) != 2 || loop.Runs[0].Error+loop.Runs[1].Error != "" || loop.Figures == nil {
				t.Errorf("got loop %+v, want two good runs", loop)
			}
			if len(std.Runs) != 2 || std.Runs[0].Error != "" || std.Runs[1].Error != want || std.Runs[1].Round != 2 {
				t.Errorf("got std %+v, want %q of the second run", std.Runs, want)
			}
			if diff := cmp.Diff(std.Runs[0].Figures, std.Figures); diff != "" {
				t.Errorf("figures of the row (-those of its good run +got):\n%s", diff)
			}
			if std.Runs[1].Figures != nil {
				t.Errorf("got figures %+v of a dead process", std.Runs[1].Figures)
			}
		})
	}
}

// TestAllDie leaves a row without figures, and the others without a ratio if it is ours.
func TestAllDie(t *testing.T) {
	c := small()
	var step Step
	c.OnStep = func(s Step) { step = s }
	c.Args = func(r string) []string {
		if r == RunRole && step.Transport == "loop" {
			return []string{"killed"}
		}
		return []string{r}
	}
	r := run(t, t.Context(), c)
	loop, std := &r.Sections[0].Rows[0], &r.Sections[0].Rows[1]
	if loop.Figures != nil || loop.Ratio != nil || std.Figures == nil || std.Ratio != nil {
		t.Errorf("got loop %+v, std %+v; want figures of std alone", loop, std)
	}
}

// TestDeadTargets has the fleet die: what was measured then is no figure.
func TestDeadTargets(t *testing.T) {
	c := small()
	c.Rounds, c.Transports = 1, []string{"std"}
	c.Args = func(r string) []string {
		if r == FleetRole {
			r = "mortal"
		}
		return []string{r}
	}
	row := &run(t, t.Context(), c).Sections[0].Rows[0]
	if want := "the targets died: exit status 7, no final message"; row.Runs[0].Error != want || row.Figures != nil {
		t.Errorf("got %+v, want %q", row, want)
	}
	c.Args = func(r string) []string {
		if r == FleetRole {
			r = "wordless"
		}
		return []string{r}
	}
	if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "start the targets: its process died: exit status 5") {
		t.Errorf("got %v, want that the targets did not start", err)
	}
}

// TestTargetsGiven connects to those, one of them dead.
func TestTargetsGiven(t *testing.T) {
	c := small()
	c.Rounds = 1
	c.Targets = []netip.AddrPort{testpeer.New(t, testpeer.Sink, testpeer.Options{}).Addr(), testpeer.New(t, testpeer.Refuse, testpeer.Options{}).Addr()}
	c.Args = func(r string) []string {
		if r == FleetRole {
			t.Error("started a fleet though targets were given")
		}
		return []string{r}
	}
	r := run(t, t.Context(), c)
	if len(r.ClientCPUs) > 0 || len(r.Targets) != 2 {
		t.Errorf("got CPUs %v and targets %v, want no binding and two", r.ClientCPUs, r.Targets)
	}
	for i := range r.Sections[0].Rows {
		row := &r.Sections[0].Rows[i]
		if diff := cmp.Diff(map[string]int{"connection-refused": 10}, row.Failed); diff != "" || row.Runs[0].Operations != 10 {
			t.Errorf("%s: got %d operations; failed (-want +got):\n%s", row.Transport, row.Runs[0].Operations, diff)
		}
	}
}

// TestTLSTrust has the certificate judged: by the authority that was given, by none, or not at all.
func TestTLSTrust(t *testing.T) {
	peer := testpeer.New(t, testpeer.TLS13, testpeer.Options{})
	for name, tt := range map[string]struct {
		change func(*Config)
		failed map[string]int
	}{
		"an authority and a name": {func(c *Config) { c.RootPEM, c.ServerName = peer.Credentials().RootPEM(), "tls13.sonde.test" }, nil},
		"another name": {func(c *Config) { c.RootPEM, c.ServerName = peer.Credentials().RootPEM(), "example.com" },
			map[string]int{"certificate-error": 20}},
		"no authority": {func(c *Config) { c.ServerName = "tls13.sonde.test" }, map[string]int{"certificate-error": 20}},
		"any":          {func(c *Config) { c.Insecure = true }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := small()
			c.Workloads, c.Rounds, c.Targets = []transport.Workload{transport.TLS}, 1, []netip.AddrPort{peer.Addr()}
			tt.change(&c)
			r := run(t, t.Context(), c)
			for i := range r.Sections[0].Rows {
				if diff := cmp.Diff(tt.failed, r.Sections[0].Rows[i].Failed); diff != "" {
					t.Errorf("%s: failed (-want +got):\n%s", r.Sections[0].Rows[i].Transport, diff)
				}
			}
		})
	}
}

// TestStopped cancels in the middle of a run, which stands with what it had done; what had not begun has no run.
func TestStopped(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	why := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var conns []net.Conn
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for range 5 {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns = append(conns, conn)
		}
		cancel(why)
	}()
	c := small()
	c.Workloads, c.Duration, c.PingInterval = []transport.Workload{transport.Hold, transport.Connect}, time.Hour, -1
	c.Targets = []netip.AddrPort{ln.Addr().(*net.TCPAddr).AddrPort()}
	r := run(t, ctx, c)
	<-accepted
	for _, conn := range conns {
		conn.Close()
	}
	if r.Stopped != "interrupted" {
		t.Errorf("got stopped %q, want why", r.Stopped)
	}
	loop, std := &r.Sections[0].Rows[0], &r.Sections[0].Rows[1]
	if len(loop.Runs) != 1 || !loop.Runs[0].Stopped || loop.Runs[0].Error != "" || loop.Figures == nil {
		t.Errorf("got %+v, want one run, stopped, with figures", loop)
	}
	if len(std.Runs)+len(r.Sections[1].Rows[0].Runs) > 0 {
		t.Errorf("got runs that began after the end: %+v, %+v", std.Runs, r.Sections[1].Rows[0].Runs)
	}
}

// TestNoRoom asks for more than the machine has room for, of which nothing may be begun.
func TestNoRoom(t *testing.T) {
	machine := limits.Limits{Files: limits.Files{Soft: 1000, Hard: 1000, PerProcess: limits.Unknown, System: limits.Unknown, SystemInUse: limits.Unknown},
		Ports: limits.Ports{First: 32768, Last: 60999}, Procs: 2,
		Memory: limits.Memory{Total: 8 << 30, Available: 8 << 30, Cgroup: limits.Unlimited, CgroupFree: limits.Unlimited}}
	tests := map[string]struct {
		transport string
		workload  transport.Workload
		n         int
		targets   []netip.AddrPort
		want      string // part of the error; empty for none
	}{
		"room":                  {"loop", transport.Hold, 900, nil, ""},
		"for ours alone":        {"std", transport.Hold, 950, nil, "hold over std: 950 connections are more than there is room for"},
		"two for each":          {"gnet", transport.Connect, 500, nil, "connect over gnet: 500 connections are more"},
		"two for each, but few": {"gnet", transport.Connect, 450, nil, ""},
		"one while held":        {"gnet", transport.Hold, 500, nil, ""},
		"of no TLS":             {"gnet", transport.TLS, 5000, nil, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := Config{Workloads: []transport.Workload{tt.workload}, Transports: []string{tt.transport}, Connections: tt.n, Operations: 100_000, Targets: tt.targets}
			err := c.checkRoom(machine)
			var s *plan.Shortage
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v, want none", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !errors.As(err, &s) || s.Allows >= tt.n):
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	c := small()
	c.Connections, c.Operations = 1<<30, 1<<30
	c.Args = func(string) []string { t.Error("started a process"); return nil }
	var s *plan.Shortage
	if _, err := Run(t.Context(), c); !errors.As(err, &s) {
		t.Errorf("got %v, want a shortage", err)
	}
}

func TestRotation(t *testing.T) {
	var got [][]int
	for round := range 5 {
		got = append(got, rotation(4, round))
	}
	want := [][]int{{0, 1, 2, 3}, {1, 2, 3, 0}, {2, 3, 0, 1}, {3, 0, 1, 2}, {0, 1, 2, 3}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
}

// TestOrder reads it off a run, in which each transport must begin one round.
func TestOrder(t *testing.T) {
	c := small()
	var got []string
	c.OnStep = func(s Step) { got = append(got, s.Transport) }
	run(t, t.Context(), c)
	if want := []string{"loop", "std", "std", "loop"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSplit(t *testing.T) {
	for _, tt := range []struct{ cpus, client, server []int }{
		{nil, nil, nil}, {[]int{3}, nil, nil}, {[]int{0, 1}, []int{1}, []int{0}}, {[]int{0, 2, 4}, []int{2, 4}, []int{0}},
		{[]int{0, 1, 2, 3}, []int{2, 3}, []int{0, 1}},
	} {
		client, server := split(tt.cpus)
		if !slices.Equal(client, tt.client) || !slices.Equal(server, tt.server) {
			t.Errorf("split(%v): got %v and %v, want %v and %v", tt.cpus, client, server, tt.client, tt.server)
		}
	}
}

func TestFleetSize(t *testing.T) {
	for _, tt := range []struct{ n, per, want int }{{1, 12_000, 1}, {12_000, 12_000, 1}, {12_001, 12_000, 2}, {0, 12_000, 1}} {
		if got := fleetSize(tt.n, tt.per); got != tt.want {
			t.Errorf("fleetSize(%d, %d): got %d, want %d", tt.n, tt.per, got, tt.want)
		}
	}
}
