package load

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"sonde/bench/plan"
	"sonde/bench/result"
	"sonde/internal/kernel/limits"
	"sonde/internal/kernel/process"
	"sonde/internal/testlag"
	"sonde/internal/testnet"
	"sonde/internal/testpeer"
)

// span is what a time may be: least to most, give or take, and above it by at most twice what the machine was late with a timer: what
// is waited for has to wake up, and so has who waits.
type span struct{ least, most, give, late time.Duration }

// within wants a time to be in its span.
func within(t testing.TB, what string, got time.Duration, s span) {
	t.Helper()
	if got < s.least-s.give || got > s.most+s.give+2*s.late {
		t.Errorf("%s is %v, want %v to %v +- %v on a machine that is late by %v at most", what, got, s.least, s.most, s.give, s.late)
	}
}

// isSoak reports whether there is time for the long runs.
func isSoak() bool { return os.Getenv("SONDE_SOAK_SEEDS") != "" }

// roleEnv makes this binary, started again, one of roles.
const roleEnv = "SONDE_TEST_ROLE"

var roles = map[string]func(){
	// A peer of the kind that its input names: it prints its address, and ends with its input.
	"peer": func() {
		in := bufio.NewReader(os.Stdin)
		kind, err := in.ReadString('\n')
		if err != nil {
			return
		}
		runtime.GOMAXPROCS(2) // one CPU, and somebody for the timers
		p, err := testpeer.Start(testpeer.Kind(strings.TrimSpace(kind)), testpeer.Options{MaxConns: 1 << 17})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(p.Addr())
		_, _ = io.Copy(io.Discard, in)
	},
	// A load by the Spec in its input: it prints its Part.
	"load": func() {
		var spec Spec
		if err := json.NewDecoder(os.Stdin).Decode(&spec); err != nil {
			panic(err)
		}
		p, err := Run(context.Background(), spec, Hooks{})
		if err != nil {
			panic(err)
		}
		data, err := p.Encode()
		if err != nil {
			panic(err)
		}
		_, _ = os.Stdout.Write(data)
	},
}

// again is this binary in a role, on the last CPU alone if there are several, with its input.
func again(t testing.TB, role string, pinned bool) (*exec.Cmd, io.WriteCloser, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+role, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start := cmd.Start
	if cpus, err := process.CPUs(); pinned && err == nil && len(cpus) > 1 {
		start = func() error { return process.Pinned(cpus[len(cpus)-1:], cmd.Start) }
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill() // fails if it has ended by itself
		_ = cmd.Wait()
	})
	return cmd, in, bufio.NewReader(out)
}

// apart is a peer in a process of its own.
func apart(t *testing.T, kind testpeer.Kind) []plan.Target {
	t.Helper()
	_, in, out := again(t, "peer", true)
	if _, err := fmt.Fprintln(in, kind); err != nil {
		t.Fatal(err)
	}
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return at(netip.MustParseAddrPort(strings.TrimSpace(line)))
}

// TestTruthStall asks a peer that stalls for 200 ms each second, by a schedule. Of requests that come evenly a tenth waits for
// 100 ms or more and a hundredth for 190 ms or more: who counts from when a request was sent, not from when it was due, finds
// hardly any of them. What came due in a stall takes time to be answered behind it: at a share r of the peer's capacity the one that
// came t behind the begin of the stall waits for 200 ms - t + r*t, which at 5 % adds 5 ms to p90.
func TestTruthStall(t *testing.T) {
	targets := apart(t, testpeer.Stall)
	const connections = 100
	seconds := 6
	if isSoak() {
		seconds = 60
	}
	capacity := do(t, context.Background(), Spec{Kind: result.Request, Targets: targets, Connections: connections, Talk: lines,
		Duration: testpeer.StallPeriod}, Hooks{}, time.Minute)
	rate := max(capacity.OperationsPerSecond()*0.05, 300)
	if !isSoak() {
		rate = 300
	}
	tried(t, func(t testing.TB) {
		stop := testlag.Watch()
		p := do(t, context.Background(), Spec{Kind: result.Request, Targets: targets, Connections: connections, Talk: lines, Requests: rate,
			WarmUp: 300 * time.Millisecond, Duration: time.Duration(seconds) * testpeer.StallPeriod}, Hooks{}, 5*time.Minute)
		late := stop()
		if n := answered(p); len(p.Failures) > 0 || n < uint64(rate*3) {
			t.Errorf("%d answered, failures %+v", n, p.Failures)
			return
		}
		l := p.Phases[result.Latency]
		t.Logf("%.0f of %.0f a second: latency p50 %v, p90 %v, p99 %v, max %v; peer p90 %v, p99 %v", rate, capacity.OperationsPerSecond(),
			l.Quantile(0.5), l.Quantile(0.9), l.Quantile(0.99), l.Max(), p.Phases[result.Peer].Quantile(0.9), p.Phases[result.Peer].Quantile(0.99))
		share := rate / capacity.OperationsPerSecond() * (testpeer.StallPeriod - testpeer.StallTime).Seconds() / testpeer.StallPeriod.Seconds() // while it answers
		behind := func(t time.Duration) span {                                                                                                  // a busy machine may have told too little of a capacity
			return span{testpeer.StallTime - t, testpeer.StallTime - t + time.Duration(min(share, 1)*float64(t)), 5 * time.Millisecond, late}
		}
		within(t, "p90", l.Quantile(0.9), behind(testpeer.StallTime/2))
		within(t, "p99", l.Quantile(0.99), behind(testpeer.StallTime/20))
	})
}

// TestTruthLate has first bytes that come 50 to 500 ms late, evenly spread, over ten thousand connections.
func TestTruthLate(t *testing.T) {
	targets := apart(t, testpeer.Late)
	machine, err := limits.Read()
	if err != nil {
		t.Fatal(err)
	}
	connections := min(10_000, plan.PerProcess(machine, 0)-100)
	spec := Spec{Kind: result.Request, Targets: targets, Connections: connections, Talk: lines, Requests: 2500, WarmUp: 2500 * time.Millisecond,
		Duration: 2 * time.Second, KernelTimestamps: true}
	least := 600 // first bytes
	if isSoak() {
		spec.Requests, spec.Duration = 10_000, time.Minute
	}
	tried(t, func(t testing.TB) {
		stop := testlag.Watch()
		p := do(t, context.Background(), spec, Hooks{}, 5*time.Minute)
		late := stop()
		if len(p.Failures) > 0 || p.Held != uint64(spec.Connections) {
			t.Errorf("%d of %d connections, failures %+v", p.Held, spec.Connections, p.Failures)
			if n := spec.Requests / 2; int(n*spec.Duration.Seconds()) >= least { // a busy machine may do less
				spec.Requests, spec.Connections = n, spec.Connections/2
			}
			return
		}
		f := p.Phases[result.FirstByte]
		p50, p99 := f.Quantile(0.5), f.Quantile(0.99)
		t.Logf("%d connections, %d first bytes: p50 %v, p99 %v", p.Held, f.Count(), p50, p99)
		within(t, "p50", p50, span{275 * time.Millisecond, 275 * time.Millisecond, 2750 * time.Microsecond, late})
		within(t, "p99", p99, span{495500 * time.Microsecond, 495500 * time.Microsecond, 4955 * time.Microsecond, late})
	})
}

// TestTruthConnect connects over a link that delays the SYN-ACK by 50 ms.
func TestTruthConnect(t *testing.T) {
	const delay = 50 * time.Millisecond
	if !testnet.Inside(t) {
		n := testnet.New(t)
		n.DelaySYNACK(t, delay)
		n.Run(t)
		return
	}
	l, err := net.Listen("tcp", net.JoinHostPort(testnet.DelayedListen, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	to := netip.AddrPortFrom(netip.MustParseAddr(testnet.DelayedDial), netip.MustParseAddrPort(l.Addr().String()).Port())
	tried(t, func(t testing.TB) {
		stop := testlag.Watch()
		p := do(t, context.Background(), Spec{Kind: result.Handshake, Targets: at(to), Connections: 50, Dials: 200, WarmUp: 200 * time.Millisecond,
			Duration: time.Second}, Hooks{}, time.Minute)
		late := stop()
		if len(p.Failures) > 0 || p.Operations < 100 {
			t.Errorf("%d connects, failures %+v", p.Operations, p.Failures)
			return
		}
		connect, rtt := p.Phases[result.Connect].Quantile(0.5), p.Phases[result.KernelRTT].Quantile(0.5)
		t.Logf("%d connects: p50 %v, by the kernel %v", p.Operations, connect, rtt)
		within(t, "connect", connect, span{delay, delay, 2 * time.Millisecond, late})
		within(t, "kernel", rtt, span{delay, delay, 2 * time.Millisecond, late})
	})
}

// TestTruthKernelTimestamps stops the process of a load for a while, in which answers come that nobody reads. The kernel's
// time stamps tell that this was no fault of the peer's; without them it can't be known.
func TestTruthKernelTimestamps(t *testing.T) {
	const answerAfter, stopped = 100 * time.Millisecond, 500 * time.Millisecond
	targets := dialogueOf(t, func(c net.Conn, in *bufio.Reader) {
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			<-time.After(answerAfter)
			if !say(c, line) {
				return
			}
		}
	})
	spec := Spec{Kind: result.Request, Targets: targets, Connections: 50, Talk: lines, Requests: 50, Duration: 1400 * time.Millisecond}
	tried(t, func(t testing.TB) {
		spec.Start = time.Now().Add(200 * time.Millisecond)
		var loads [2]*exec.Cmd
		var outs [2]io.Reader
		for i := range loads {
			cmd, in, out := again(t, "load", false)
			loads[i], outs[i] = cmd, out
			spec.KernelTimestamps = i == 1
			if err := json.NewEncoder(in).Encode(&spec); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(time.Until(spec.Start.Add(600 * time.Millisecond)))
		signalAll(t, loads[:], syscall.SIGSTOP)
		<-time.After(stopped)
		signalAll(t, loads[:], syscall.SIGCONT)
		var peer, latency [2]time.Duration // the greatest of each
		for i, out := range outs {
			data, err := io.ReadAll(out)
			if err != nil {
				t.Fatal(err)
			}
			p, err := result.Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Failures) > 0 || p.Operations < 40 {
				t.Errorf("%d operations, failures %+v", p.Operations, p.Failures)
				return
			}
			peer[i], latency[i] = p.Phases[result.Peer].Max(), p.Phases[result.Latency].Max()
		}
		t.Logf("the peer's part is at most %v of %v, with stamps %v of %v", peer[0], latency[0], peer[1], latency[1])
		if peer[0] < stopped*4/5 {
			t.Errorf("without stamps the peer's part is at most %v, want that it holds most of the stop", peer[0])
		}
		if latency[1] < stopped || peer[1] < answerAfter-5*time.Millisecond || peer[1] > answerAfter+stopped/4 {
			t.Errorf("with stamps it is at most %v of %v, want about %v of more than %v", peer[1], latency[1], answerAfter, stopped)
		}
	})
}

func signalAll(t testing.TB, processes []*exec.Cmd, s syscall.Signal) {
	t.Helper()
	for _, cmd := range processes {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
}
