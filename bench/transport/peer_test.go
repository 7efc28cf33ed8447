package transport_test

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sonde/bench/transport"
	"sonde/internal/testpeer"
)

// peerKind has the test's binary be a peer of that kind until its standard input ends: a run measures its whole process,
// where the peer then has no part.
const peerKind = "SONDE_TEST_PEER"

func TestMain(m *testing.M) {
	if kind := os.Getenv(peerKind); kind != "" {
		peer, err := testpeer.Start(testpeer.Kind(kind), testpeer.Options{MaxConns: 1 << 20})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(peer.Addr())
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	os.Exit(m.Run())
}

// apart starts a peer in a process of its own, which ends with the test.
func apart(t testing.TB, kind testpeer.Kind) netip.AddrPort {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), peerKind+"="+string(kind))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the peer said no address: %v", err)
	}
	addr, err := netip.ParseAddrPort(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// TestWhoHasGoroutines holds each transport to what it says of itself: only std keeps a goroutine, and its stack, for each
// connection.
func TestWhoHasGoroutines(t *testing.T) {
	const connections = 500
	job := transport.Job{Workload: transport.Hold, Targets: []netip.AddrPort{apart(t, testpeer.Sink)}, Connections: connections, Duration: 10 * time.Millisecond}
	for _, tr := range transports() {
		t.Run(tr.Name(), func(t *testing.T) {
			r := run(t, tr, job)
			each := r.Memory.Per(connections)
			t.Logf("%d goroutines, %d threads; a connection: %+v", r.Goroutines, r.Threads, each)
			if r.Held != connections || r.FailedOperations() != 0 {
				t.Fatalf("got %d held, %v failed; want all", r.Held, r.Failed)
			}
			if tr.Name() == "std" {
				if r.Goroutines < connections || each.Stacks < 1<<10 {
					t.Errorf("got %d goroutines, %d bytes of stack; want one each", r.Goroutines, each.Stacks)
				}
				return
			}
			// While it opens them, a transport whose dial blocks has some for that, and the stacks are pooled in spans: of 8 KiB
			// each under the race detector.
			const few = transport.MaxDials + 50
			if r.Goroutines > few || each.Stacks > few*8<<10/connections {
				t.Errorf("got %d goroutines, %d bytes of stack for each connection; want few", r.Goroutines, each.Stacks)
			}
		})
	}
}

// BenchmarkTransports reports what a user reads in the table of `sonde bench compare`.
func BenchmarkTransports(b *testing.B) {
	for _, w := range []transport.Workload{transport.Connect, transport.TLS, transport.Echo} {
		kind := map[transport.Workload]testpeer.Kind{transport.Connect: testpeer.Sink, transport.TLS: testpeer.TLS13, transport.Echo: testpeer.Echo}[w]
		addr := apart(b, kind)
		for _, tr := range transports() {
			if ok, _ := tr.Supports(w); !ok {
				continue
			}
			b.Run(w.String()+"/"+tr.Name(), func(b *testing.B) {
				r, err := tr.Run(b.Context(), transport.Job{
					Workload: w, Targets: []netip.AddrPort{addr}, Connections: 100, Operations: b.N, Payload: line, TLS: insecure(),
				})
				if err != nil || r.FailedOperations() > 0 {
					b.Fatalf("got %v failed, %v", r.Failed, err)
				}
				b.ReportMetric(float64(r.CPUPerOperation().Nanoseconds()), "cpu-ns/op")
				b.ReportMetric(float64(r.Latency.Quantile(0.5).Microseconds()), "p50-us")
				b.ReportMetric(float64(r.Latency.Quantile(0.99).Microseconds()), "p99-us")
				b.ReportMetric(float64(r.Goroutines), "goroutines")
			})
		}
	}
}

// BenchmarkHold reports the bytes of a held connection.
func BenchmarkHold(b *testing.B) {
	const connections = 4000
	addr := apart(b, testpeer.Sink)
	for _, tr := range transports() {
		b.Run(tr.Name(), func(b *testing.B) {
			for b.Loop() {
				r, err := tr.Run(b.Context(), transport.Job{
					Workload: transport.Hold, Targets: []netip.AddrPort{addr}, Connections: connections, Duration: time.Millisecond,
				})
				if err != nil || r.Held != connections {
					b.Fatalf("got %d held, %v failed, %v", r.Held, r.Failed, err)
				}
				each := r.Memory.Per(connections)
				b.ReportMetric(float64(each.Resident), "resident-B/conn")
				b.ReportMetric(float64(each.Heap), "heap-B/conn")
				b.ReportMetric(float64(each.Stacks), "stack-B/conn")
			}
		})
	}
}
