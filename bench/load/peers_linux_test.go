package load

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sonde/bench/plan"
	"sonde/bench/result"
	"sonde/bench/talk"
	"sonde/internal/testpeer"
)

// at is a target of a test.
func at(addr netip.AddrPort) []plan.Target { return []plan.Target{{Addr: addr}} }

// peer is a target that behaves as its kind does.
func peer(t testing.TB, kind testpeer.Kind, o testpeer.Options) []plan.Target {
	return at(testpeer.New(t, kind, o).Addr())
}

// targetsOf starts peers that a test's cases share, which saves time: to fill an accept queue takes thousands of connections.
func targetsOf(t *testing.T) func(testpeer.Kind) []plan.Target {
	var mu sync.Mutex
	started := make(map[testpeer.Kind][]plan.Target)
	return func(kind testpeer.Kind) []plan.Target {
		mu.Lock()
		defer mu.Unlock()
		if started[kind] == nil {
			started[kind] = peer(t, kind, testpeer.Options{})
		}
		return slices.Clone(started[kind]) // a plan keeps what it is given
	}
}

// dialogueOf serves connections on loopback until the test ends, each by serve, and closes it behind that.
func dialogueOf(t testing.TB, serve func(c net.Conn, in *bufio.Reader)) []plan.Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c, bufio.NewReader(c))
			}()
		}
	}()
	return at(netip.MustParseAddrPort(l.Addr().String()))
}

// http answers HTTP requests by the function, and closes when that returns false.
func http(t testing.TB, answer func(c net.Conn, n int) (more bool)) []plan.Target {
	return dialogueOf(t, func(c net.Conn, in *bufio.Reader) {
		for n := 1; ; n++ {
			for { // a head
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if line == "\r\n" {
					break
				}
			}
			if !answer(c, n) {
				return
			}
		}
	})
}

// say writes text; what comes of it the other end will tell.
func say(c net.Conn, text string) bool {
	_, err := io.WriteString(c, text)
	return err == nil
}

// reset closes by RST (SO_LINGER with 0, socket(7)).
func reset(c net.Conn) {
	_ = c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// do runs the share, and fails the test if it is not over in time, or leaks a socket.
func do(t testing.TB, ctx context.Context, spec Spec, hooks Hooks, within time.Duration) *result.Part {
	t.Helper()
	began := time.Now()
	spec.Start = began.Add(100 * time.Millisecond) // by when the engine is there
	p, err := Run(ctx, spec, hooks)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > within {
		t.Errorf("took %v, want at most %v", took, within)
	}
	if n := p.Engine.Leaked(); n != 0 || p.Engine.Opened == 0 {
		t.Errorf("%d sockets opened and %d leaked, want some and none", p.Engine.Opened, n)
	}
	total := uint64(0)
	for i := range p.Intervals {
		total += p.Intervals[i].Failed
	}
	if failed, _ := p.Failures.Total(); failed != total {
		t.Errorf("%d failures in all and %d in the intervals", failed, total)
	}
	return p
}

// TestMain ends with a look at what the tests have left behind: nothing.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		roles[role]()
		return
	}
	flag.Parse()
	// The tests of faults wait, most of the time.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	code := m.Run()
	if left := left(); len(left) > 0 && code == 0 {
		fmt.Printf("goroutines that are left:\n%s\n", strings.Join(left, "\n\n"))
		code = 1
	}
	os.Exit(code)
}

// left waits until no goroutine of the engine's or of a load is left, and returns those that stay.
func left() (stacks []string) {
	buf := make([]byte, 4<<20)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for range 6000 { // a minute
		stacks = slices.DeleteFunc(strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n"), func(stack string) bool {
			return !strings.Contains(stack, "sonde/engine.") && !strings.Contains(stack, "sonde/bench/load.(*")
		})
		if len(stacks) == 0 {
			return nil
		}
		<-ticker.C
	}
	return stacks
}

// A test of times has so many tries at least, and goes on for so long: the tests beside it end meanwhile.
const (
	tries  = 6
	trying = 2 * time.Minute
)

// tried tries a check whose timing a busy machine can spoil until nothing is wrong; a fault of ours spoils all tries. What must
// hold on any machine, the check tells by Fatalf.
func tried(t *testing.T, check func(t testing.TB)) {
	t.Helper()
	began := time.Now()
	for n := 1; ; n++ {
		a := try{TB: t}
		if check(&a); a.wrong == "" {
			return
		}
		if n >= tries && time.Since(began) > trying {
			t.Fatalf("wrong in each of %d tries, the last: %s", n, a.wrong)
		}
		t.Log(a.wrong)
	}
}

// try is a try of tried.
type try struct {
	testing.TB
	wrong string
}

// Errorf notes what is wrong.
func (a *try) Errorf(format string, args ...any) { a.wrong += fmt.Sprintf(format, args...) + "; " }

// answered is how many operations ended well, those behind the end of the time too.
func answered(p *result.Part) (n uint64) {
	for i := range p.Intervals {
		n += p.Intervals[i].Operations
	}
	return n
}

// wantStatus wants failures of that status alone, at least so many and at most so many.
func wantStatus(t testing.TB, p *result.Part, status string, least, most uint64) {
	t.Helper()
	got := p.Failures.ByStatus()
	if n := got[status]; n < least || n > most || len(got) != 1 {
		t.Errorf("got failures %+v, want %d to %d of %s alone", p.Failures, least, most, status)
	}
}

// lines is the talk of an echo server, web that of a web server.
var (
	lines = talk.Options{Kind: talk.Echo}
	web   = talk.Options{Kind: talk.HTTP}
)
