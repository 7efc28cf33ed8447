package transport_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"

	"sonde/bench/transport"
	"sonde/bench/transport/gnet"
	"sonde/bench/transport/loop"
	"sonde/bench/transport/netpoll"
	"sonde/bench/transport/std"
	"sonde/internal/testlag"
	"sonde/internal/testpeer"
)

func transports() []transport.Transport {
	return []transport.Transport{loop.Transport{}, netpoll.Transport{}, gnet.Transport{}, std.Transport{}}
}

var line = []byte("how do you do?\n")

// insecure trusts whatever it meets: the tests are about handshakes, not about certificates.
func insecure() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// TestRun has every transport do every workload against peers that do their part, and against such as fail it.
func TestRun(t *testing.T) {
	const connections, operations = 20, 300
	tests := map[string]struct {
		peers []testpeer.Kind // in turn
		job   transport.Job
		done  int
		// failed is what must be counted. netpoll tells less of the network than others; see its package comment.
		failed, netpoll map[string]int
	}{
		"connect": {
			peers: []testpeer.Kind{testpeer.Sink, testpeer.Sink}, job: transport.Job{Workload: transport.Connect}, done: operations,
		},
		"connect to the dead": {
			peers: []testpeer.Kind{testpeer.Refuse}, job: transport.Job{Workload: transport.Connect},
			failed:  map[string]int{"connection-refused": operations},
			netpoll: map[string]int{"connection-closed": operations},
		},
		"connect to some dead": {
			peers: []testpeer.Kind{testpeer.Sink, testpeer.Refuse, testpeer.Sink}, job: transport.Job{Workload: transport.Connect},
			done: operations * 2 / 3, failed: map[string]int{"connection-refused": operations / 3},
			netpoll: map[string]int{"connection-closed": operations / 3},
		},
		"tls": {
			peers: []testpeer.Kind{testpeer.TLS13}, job: transport.Job{Workload: transport.TLS, TLS: insecure()}, done: operations,
		},
		"tls with a peer of another mind": {
			peers: []testpeer.Kind{testpeer.TLSAlert}, job: transport.Job{Workload: transport.TLS, TLS: insecure()},
			failed: map[string]int{"handshake-error": operations},
		},
		"tls with a peer that hangs up": {
			peers: []testpeer.Kind{testpeer.TLSResetHello, testpeer.TLSCloseHello}, job: transport.Job{Workload: transport.TLS, TLS: insecure()},
			failed: map[string]int{"connection-reset": operations / 2, "connection-closed": operations / 2},
		},
		"tls with a certificate that is not believed": {
			peers: []testpeer.Kind{testpeer.TLSSelfSigned}, job: transport.Job{Workload: transport.TLS, TLS: &tls.Config{ServerName: "sonde.test"}},
			failed: map[string]int{"certificate-error": operations},
		},
		"tls with a peer that is silent": {
			peers: []testpeer.Kind{testpeer.TLSSilent}, done: 0,
			job:    transport.Job{Workload: transport.TLS, TLS: insecure(), Operations: 20, Limits: transport.Limits{Handshake: 100 * time.Millisecond}},
			failed: map[string]int{"tls-timeout": 20},
		},
		"echo": {
			peers: []testpeer.Kind{testpeer.Echo, testpeer.Echo}, job: transport.Job{Workload: transport.Echo, Payload: line}, done: operations,
		},
		"echo of much": {
			peers: []testpeer.Kind{testpeer.Echo}, done: operations,
			job: transport.Job{Workload: transport.Echo, Payload: bytes.Repeat(line, 4000)},
		},
		"echo from the dead": {
			peers: []testpeer.Kind{testpeer.Refuse}, job: transport.Job{Workload: transport.Echo, Payload: line},
			failed:  map[string]int{"connection-refused": operations},
			netpoll: map[string]int{"connection-closed": operations},
		},
		"echo from a peer that is silent": {
			peers:  []testpeer.Kind{testpeer.Silent},
			job:    transport.Job{Workload: transport.Echo, Payload: line, Operations: 40, Limits: transport.Limits{Read: 100 * time.Millisecond}},
			failed: map[string]int{"io-timeout": 40},
		},
		"echo from a peer that hangs up": {
			peers:  []testpeer.Kind{testpeer.CloseAtOnce},
			job:    transport.Job{Workload: transport.Echo, Payload: line},
			failed: map[string]int{"connection-closed or connection-reset": operations},
		},
		"echo of something else": {
			peers:  []testpeer.Kind{testpeer.Redis},
			job:    transport.Job{Workload: transport.Echo, Payload: []byte("PING\r\n+")},
			failed: map[string]int{"protocol-error": operations},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			job := tt.job
			for _, k := range tt.peers {
				job.Targets = append(job.Targets, testpeer.New(t, k, testpeer.Options{}).Addr())
			}
			job.Connections = connections
			if job.Operations == 0 {
				job.Operations = operations
			}
			for _, tr := range transports() {
				t.Run(tr.Name(), func(t *testing.T) {
					if ok, _ := tr.Supports(job.Workload); !ok {
						refuses(t, tr, job)
						return
					}
					r := run(t, tr, job)
					failed := tt.failed
					if tr.Name() == "netpoll" && tt.netpoll != nil {
						failed = tt.netpoll
					}
					if failed == nil {
						failed = map[string]int{}
					}
					got := r.Failed
					if n, ok := failed["connection-closed or connection-reset"]; ok { // which of them is for the kernel's timing to say
						got = map[string]int{"connection-closed or connection-reset": got["connection-closed"] + got["connection-reset"] + n - r.FailedOperations()}
					}
					if d := diff.Diff(failed, got); d != "" || r.Operations != tt.done {
						t.Errorf("got %d done, want %d; failed (-want +got):\n%s", r.Operations, tt.done, d)
					}
					if n := int(r.Latency.Count()); n != tt.done {
						t.Errorf("got %d latencies, want %d", n, tt.done)
					}
					if r.Wall <= 0 || r.CPU <= 0 || r.Goroutines <= 0 {
						t.Errorf("got wall %v, CPU %v, %d goroutines; want all above zero", r.Wall, r.CPU, r.Goroutines)
					}
					if q := r.Latency.Quantile(1); q > r.Wall {
						t.Errorf("got a latency of %v in a run of %v", q, r.Wall)
					}
				})
			}
		})
	}
}

// TestIPv6 has every transport take an address of the other family.
func TestIPv6(t *testing.T) {
	peer, err := testpeer.Start(testpeer.Echo, testpeer.Options{Addr: netip.MustParseAddrPort("[::1]:0")})
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	defer peer.Close()
	for _, tr := range transports() {
		r := run(t, tr, transport.Job{Workload: transport.Echo, Targets: []netip.AddrPort{peer.Addr()}, Connections: 4, Operations: 40, Payload: line})
		if r.Operations != 40 {
			t.Errorf("%s: got %d done and %v failed, want 40 done", tr.Name(), r.Operations, r.Failed)
		}
	}
}

func refuses(t *testing.T, tr transport.Transport, job transport.Job) {
	t.Helper()
	_, why := tr.Supports(job.Workload)
	if _, err := tr.Run(t.Context(), job); err == nil || why == "" || !strings.Contains(err.Error(), why) {
		t.Errorf("got %v, want an error that says %q", err, why)
	}
}

// patient sets the limits of which a test says nothing: a busy machine is no slow peer.
func patient(l transport.Limits) transport.Limits {
	return transport.Limits{
		Connect: cmp.Or(l.Connect, time.Minute), Handshake: cmp.Or(l.Handshake, time.Minute), Read: cmp.Or(l.Read, time.Minute),
	}
}

// run runs a job that must succeed and leave nothing behind.
func run(t *testing.T, tr transport.Transport, job transport.Job) transport.Result {
	t.Helper()
	job.Limits = patient(job.Limits)
	r, err := tr.Run(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	leavesNothing(t)
	return r
}

// leavesNothing waits until no goroutine of a transport's or of the engine's is left: one that has said that it is done
// may still be on its way out.
func leavesNothing(t *testing.T) {
	t.Helper()
	limit, ticker := time.After(time.Minute), time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		left := ours()
		if left == "" {
			return
		}
		select {
		case <-ticker.C:
		case <-limit:
			t.Fatalf("goroutines are left:\n%s", left)
		}
	}
}

// ours is the stacks of goroutines that were started by a transport, the engine or gnet's client.
func ours() string {
	buf := make([]byte, 4<<20)
	var left []string
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "transport_test.") {
			continue // the test itself
		}
		for _, what := range []string{"sonde/bench/transport", "sonde/engine", "gnet/v2.(*eventloop)"} {
			if strings.Contains(g, what) {
				left = append(left, g)
				break
			}
		}
	}
	return strings.Join(left, "\n\n")
}

// TestCancel has every transport stop at once, whatever it is doing, and say what was under way.
func TestCancel(t *testing.T) {
	forever := transport.Limits{Connect: time.Hour, Handshake: time.Hour, Read: time.Hour}
	tests := map[string]struct {
		peer testpeer.Kind
		job  transport.Job
		// cancelled is how many operations are under way: all connections', or none that would count.
		cancelled int
	}{
		"dialling":            {testpeer.DropSYN, transport.Job{Workload: transport.Connect}, 10},
		"in the handshake":    {testpeer.TLSSilent, transport.Job{Workload: transport.TLS, TLS: insecure()}, 10},
		"waiting for an echo": {testpeer.Silent, transport.Job{Workload: transport.Echo, Payload: line}, 10},
		"holding":             {testpeer.Sink, transport.Job{Workload: transport.Hold, Duration: time.Hour}, 0},
		"waiting for the answer to a ping": {testpeer.Silent,
			transport.Job{Workload: transport.Hold, Duration: time.Hour, PingInterval: 10 * time.Millisecond, Payload: line}, 0},
		"opening what is to be held": {testpeer.DropSYN, transport.Job{Workload: transport.Hold, Duration: time.Hour}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			peer := testpeer.New(t, tt.peer, testpeer.Options{})
			for _, tr := range transports() {
				t.Run(tr.Name(), func(t *testing.T) {
					job := tt.job
					job.Targets, job.Connections, job.Operations, job.Limits = []netip.AddrPort{peer.Addr()}, 10, 1000, forever
					if ok, _ := tr.Supports(job.Workload); !ok {
						return
					}
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					cancelledAt := make(chan time.Time, 1)
					go func() {
						if tt.peer == testpeer.DropSYN {
							<-time.After(time.Second) // time enough to dial; nobody sees it
						} else {
							awaitClients(t, peer, job.Connections)
							<-time.After(200 * time.Millisecond)
						}
						cancelledAt <- time.Now()
						cancel()
					}()
					lag := testlag.Watch()
					r, err := tr.Run(ctx, job)
					took, late := time.Since(<-cancelledAt), 2*lag()
					if took > time.Second+late {
						t.Errorf("it took %v to stop, want at most 1s and %v", took, late)
					}
					if !errors.Is(err, context.Canceled) {
						t.Errorf("got %v, want the context's error", err)
					}
					if r.Operations != 0 || r.Failed["cancelled"] != tt.cancelled || r.FailedOperations() != tt.cancelled {
						t.Errorf("got %d done and %v failed, want none and %d cancelled", r.Operations, r.Failed, tt.cancelled)
					}
					leavesNothing(t)
				})
			}
		})
	}
}

// awaitClients waits until the peer has so many.
func awaitClients(t *testing.T, peer *testpeer.Peer, n int) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(time.Minute); peer.Clients() < n; <-ticker.C {
		if time.Now().After(end) {
			t.Errorf("the peer has %d clients after a minute, want %d", peer.Clients(), n)
			return
		}
	}
}

// TestCancelled has a context that ended before the run: nothing is dialled.
func TestCancelled(t *testing.T) {
	peer := testpeer.New(t, testpeer.Echo, testpeer.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tr := range transports() {
		for _, w := range []transport.Workload{transport.Connect, transport.TLS, transport.Hold, transport.Echo} {
			if ok, _ := tr.Supports(w); !ok {
				continue
			}
			r, err := tr.Run(ctx, transport.Job{Workload: w, Targets: []netip.AddrPort{peer.Addr()}, Connections: 5, Operations: 50,
				Duration: time.Hour, Payload: line, TLS: insecure()})
			if !errors.Is(err, context.Canceled) || r.Operations != 0 {
				t.Errorf("%s, %v: got %d done, %v; want none, and the context's error", tr.Name(), w, r.Operations, err)
			}
			leavesNothing(t)
		}
	}
}

// TestHold has every transport keep connections, and notice those that go.
func TestHold(t *testing.T) {
	const connections = 60
	tests := map[string]struct {
		peers  []testpeer.Kind
		ping   time.Duration
		read   time.Duration // the limit of an answer
		last   time.Duration // for how long they are held
		held   int
		failed map[string]int // netpoll apart
		pings  bool
	}{
		"quietly":        {peers: []testpeer.Kind{testpeer.Sink}, held: connections},
		"with pings":     {peers: []testpeer.Kind{testpeer.Echo}, ping: 50 * time.Millisecond, last: 2 * time.Second, held: connections, pings: true},
		"some are dead":  {peers: []testpeer.Kind{testpeer.Sink, testpeer.Refuse}, held: connections / 2, failed: map[string]int{"connection-refused": connections / 2}},
		"none is there":  {peers: []testpeer.Kind{testpeer.Refuse}, failed: map[string]int{"connection-refused": connections}},
		"silent to ping": {peers: []testpeer.Kind{testpeer.Silent}, ping: 50 * time.Millisecond, read: 100 * time.Millisecond, last: 2 * time.Second, held: connections, failed: map[string]int{"io-timeout": connections}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var targets []netip.AddrPort
			for _, k := range tt.peers {
				targets = append(targets, testpeer.New(t, k, testpeer.Options{}).Addr())
			}
			for _, tr := range transports() {
				t.Run(tr.Name(), func(t *testing.T) {
					job := transport.Job{Workload: transport.Hold, Targets: targets, Connections: connections, Duration: cmp.Or(tt.last, 400*time.Millisecond),
						PingInterval: tt.ping, Payload: line, Limits: transport.Limits{Read: tt.read}}
					r := run(t, tr, job)
					failed := map[string]int{}
					for word, n := range tt.failed {
						if tr.Name() == "netpoll" && word == "connection-refused" {
							word = "connection-closed"
						}
						failed[word] = n
					}
					if d := diff.Diff(failed, r.Failed); d != "" || r.Held != tt.held {
						t.Errorf("got %d held, want %d; failed (-want +got):\n%s", r.Held, tt.held, d)
					}
					least, most := 0, 0
					if tt.pings { // 39 are due in the time; a machine with other work may manage fewer, none may manage more
						least, most = 2*connections, connections*(1+int(r.Wall/tt.ping))
					}
					if r.Operations < least || r.Operations > most {
						t.Errorf("got %d pings answered, want %d to %d", r.Operations, least, most)
					}
					if n := int(r.Latency.Count()); n != r.Operations {
						t.Errorf("got %d latencies of %d pings", n, r.Operations)
					}
					if r.HeldOperations < 0 || r.HeldOperations > r.Operations || tt.pings && r.HeldOperations == 0 {
						t.Errorf("got %d pings answered while all stood, of %d", r.HeldOperations, r.Operations)
					}
					if r.Ramp <= 0 || r.Wall < job.Duration || r.Ramp+job.Duration > r.Wall+10*time.Millisecond || r.HeldCPU > r.CPU {
						t.Errorf("got ramp %v, wall %v, CPU %v, of it while held %v", r.Ramp, r.Wall, r.CPU, r.HeldCPU)
					}
				})
			}
		})
	}
}

// TestHoldNoticesLoss has the peer go while its connections are held.
func TestHoldNoticesLoss(t *testing.T) {
	for _, tr := range transports() {
		t.Run(tr.Name(), func(t *testing.T) {
			peer := testpeer.New(t, testpeer.Sink, testpeer.Options{})
			go func() {
				awaitClients(t, peer, 30)
				<-time.After(500 * time.Millisecond) // until the other side knows, too, that all stand
				peer.Close()                         // it resets them
			}()
			r := run(t, tr, transport.Job{Workload: transport.Hold, Targets: []netip.AddrPort{peer.Addr()}, Connections: 30, Duration: 2 * time.Second})
			word := "connection-reset"
			if tr.Name() == "netpoll" {
				word = "connection-closed"
			}
			if d := diff.Diff(map[string]int{word: 30}, r.Failed); d != "" || r.Held != 30 {
				t.Errorf("got %d held, want 30; failed (-want +got):\n%s", r.Held, d)
			}
		})
	}
}

// TestEndsByReset listens itself: every connection must end by RST, after each workload.
func TestEndsByReset(t *testing.T) {
	const connections = 20
	jobs := map[string]transport.Job{
		"connect": {Workload: transport.Connect},
		"echo":    {Workload: transport.Echo, Payload: line},
		"hold":    {Workload: transport.Hold, Duration: 20 * time.Millisecond},
	}
	for name, job := range jobs {
		for _, tr := range transports() {
			t.Run(name+"/"+tr.Name(), func(t *testing.T) {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer ln.Close()
				ends := make(chan error, connections)
				go func() {
					for range connections {
						c, err := ln.Accept()
						if err != nil {
							ends <- err
							continue
						}
						go func() {
							defer c.Close()
							_, err := io.Copy(c, onlyReader{c})
							ends <- err
						}()
					}
				}()
				limit := time.After(time.Minute)
				job.Targets, job.Connections, job.Operations = []netip.AddrPort{ln.Addr().(*net.TCPAddr).AddrPort()}, connections, connections
				if r := run(t, tr, job); r.FailedOperations() > 0 {
					t.Fatalf("got %v failed, want none", r.Failed)
				}
				for range connections {
					select {
					case err := <-ends:
						if !errors.Is(err, syscall.ECONNRESET) {
							t.Errorf("the peer got %v, want a reset", err)
						}
					case <-limit:
						t.Fatal("not every connection was opened and ended")
					}
				}
			})
		}
	}
}

// onlyReader hides what lets io.Copy move the bytes in the kernel, which tells of a reset in another way.
type onlyReader struct{ io.Reader }

// TestNoDescriptorIsLeft counts them: once a transport has run, a second run opens none that it does not close.
func TestNoDescriptorIsLeft(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	peer := testpeer.New(t, testpeer.Echo, testpeer.Options{})
	job := transport.Job{Workload: transport.Echo, Targets: []netip.AddrPort{peer.Addr()}, Connections: 20, Operations: 100, Payload: line}
	for _, tr := range transports() {
		run(t, tr, job) // netpoll's poller stays
		before := settledFDs(t, peer)
		run(t, tr, job)
		if after := settledFDs(t, peer); after > before { // the collector may have closed one that another test had forgotten
			t.Errorf("%s: got %d descriptors, want %d as before", tr.Name(), after, before)
		}
	}
}

// settledFDs counts the descriptors once the peer has let go of its own.
func settledFDs(t *testing.T, peer *testpeer.Peer) int {
	t.Helper()
	for peer.Clients() > 0 {
		runtime.Gosched()
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestSenselessJobs are refused by every transport in the same way.
func TestSenselessJobs(t *testing.T) {
	addr := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9")}
	for name, job := range map[string]transport.Job{
		"no target":      {Connections: 1, Operations: 1},
		"no port":        {Targets: []netip.AddrPort{netip.AddrPortFrom(addr[0].Addr(), 0)}, Connections: 1, Operations: 1},
		"no connection":  {Targets: addr, Operations: 1},
		"no operation":   {Targets: addr, Connections: 1},
		"no time":        {Workload: transport.Hold, Targets: addr, Connections: 1},
		"no line":        {Workload: transport.Echo, Targets: addr, Connections: 1, Operations: 1},
		"a long line":    {Workload: transport.Echo, Targets: addr, Connections: 1, Operations: 1, Payload: make([]byte, 64<<10+1)},
		"negative pings": {Workload: transport.Hold, Targets: addr, Connections: 1, Duration: 1, PingInterval: -1},
		"no such work":   {Workload: 77, Targets: addr, Connections: 1, Operations: 1},
	} {
		for _, tr := range transports() {
			if _, err := tr.Run(t.Context(), job); err == nil {
				t.Errorf("%s: %s took it", name, tr.Name())
			}
		}
	}
	if _, err := (std.Transport{}).Run(t.Context(), transport.Job{Workload: transport.TLS, Targets: addr, Connections: 1, Operations: 1}); err == nil {
		t.Error("TLS without a configuration was taken")
	}
}
