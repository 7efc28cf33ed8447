package serve

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/kernel/socket"
	"sonde/internal/testpeer"
)

// patience is the limit of whatever should happen at once; a machine under load may take a while.
const patience = 2 * time.Minute

func start(t *testing.T, cfg Config) *Fleet {
	t.Helper()
	f, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Close()
		if err := f.Err(); err != nil {
			t.Errorf("the fleet ended by itself: %v", err)
		}
	})
	return f
}

func dial(addr netip.AddrPort) (*net.TCPConn, error) {
	c, err := net.DialTimeout("tcp", addr.String(), patience)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), c.SetDeadline(time.Now().Add(patience))
}

// find returns the fleet's first target of kind k.
func find(t *testing.T, f *Fleet, k testpeer.Kind) netip.AddrPort {
	t.Helper()
	for _, e := range f.Targets() {
		if e.Kind == k {
			return e.Addr
		}
	}
	t.Fatalf("no %s in the fleet", k)
	return netip.AddrPort{}
}

// meet talks to a target as its kind wants and says what is wrong with it.
func meet(e Endpoint) error {
	if e.Kind == testpeer.DropSYN {
		c, err := net.DialTimeout("tcp", e.Addr.String(), 200*time.Millisecond)
		if err == nil {
			c.Close()
		}
		var netErr net.Error
		if !errors.As(err, &netErr) || !netErr.Timeout() {
			return fmt.Errorf("dial: got %v, want a timeout", err)
		}
		return nil
	}
	c, err := dial(e.Addr)
	switch {
	case e.Kind == testpeer.Refuse && errors.Is(err, syscall.ECONNREFUSED):
		return nil
	case (e.Kind == testpeer.Reset || e.Kind == testpeer.BannerReset) && errors.Is(err, syscall.ECONNRESET):
		return nil // before the dialler has looked
	case err != nil:
		return err
	}
	defer c.Close()
	says := map[testpeer.Kind][2]string{
		testpeer.Echo: {"hello", "hello"}, testpeer.HTTP: {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200"},
		testpeer.SSH: {"", "SSH-2.0"}, testpeer.Delayed: {"", "SSH-2.0"}, testpeer.SMTP: {"", "220 "}, testpeer.FTP: {"", "220 "},
		testpeer.IMAP: {"", "* OK"}, testpeer.POP3: {"", "+OK"}, testpeer.Redis: {"PING\r\n", "+PONG"}, testpeer.Drip: {"", "S"},
		testpeer.Endless: {"", "xxxx"}, testpeer.Garbage: {"", "\x00\xff"}, testpeer.HalfClose: {"", "220 "},
		testpeer.IgnoreFIN: {"", "220 "}, testpeer.BannerReset: {"", "SSH-2.0"},
	}
	say, ok := says[e.Kind]
	if !ok {
		return nil // sink and silent say nothing; of the rest an established connection tells enough
	}
	if say[0] != "" { // even a write of nothing fails on a connection that was reset
		if _, err := io.WriteString(c, say[0]); err != nil {
			return err
		}
	}
	got := make([]byte, len(say[1]))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != say[1] {
		return fmt.Errorf("got %q, %v; want %q", got, err, say[1])
	}
	return nil
}

func meetAll(t *testing.T, endpoints []Endpoint) {
	t.Helper()
	var wg sync.WaitGroup
	turns := make(chan struct{}, 200)
	for _, e := range endpoints {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			if err := meet(e); err != nil {
				t.Errorf("%s at %v: %v", e.Name, e.Addr, err)
			}
		})
	}
	wg.Wait()
}

func TestOneOfEachKind(t *testing.T) {
	f := start(t, Config{})
	var got, want []testpeer.Kind
	for _, e := range f.Targets() {
		got = append(got, e.Kind)
	}
	for _, a := range testpeer.Kinds() {
		if !a.TLS && !a.Load {
			want = append(want, a.Kind)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	meetAll(t, f.Targets())
}

func TestDemo(t *testing.T) {
	f := start(t, Config{Demo: 1000, Descriptors: 8000})
	endpoints := f.Targets()
	if len(endpoints) != 1000 {
		t.Fatalf("got %d targets, want 1000", len(endpoints))
	}
	names, addrs, healthy := map[string]bool{}, map[netip.AddrPort]bool{}, 0
	for _, e := range endpoints {
		names[e.Name], addrs[e.Addr] = true, true
		if e.Healthy {
			healthy++
		}
		if !e.Addr.Addr().IsLoopback() {
			t.Errorf("%s is at %v", e.Name, e.Addr)
		}
	}
	if len(names) != 1000 || len(addrs) != 1000 {
		t.Errorf("got %d names at %d addresses, want 1000 of each", len(names), len(addrs))
	}
	if healthy < 850 || healthy > 950 {
		t.Errorf("got %d healthy targets, want about 900", healthy)
	}
	meetAll(t, endpoints)
}

// TestFewDescriptors: a thousand targets on a machine that allows 256 descriptors. Addresses repeat, names don't.
func TestFewDescriptors(t *testing.T) {
	f := start(t, Config{Demo: 1000, Descriptors: 224})
	names, addrs := map[string]bool{}, map[netip.AddrPort]bool{}
	for _, e := range f.Targets() {
		names[e.Name], addrs[e.Addr] = true, true
	}
	if len(names) != 1000 || len(addrs) > 112 {
		t.Errorf("got %d names at %d addresses, want 1000 at no more than 112", len(names), len(addrs))
	}
	for _, k := range testpeer.Kinds() {
		if k.TLS || k.Load {
			continue
		}
		if err := meet(Endpoint{Kind: k.Kind, Addr: find(t, f, k.Kind)}); err != nil {
			t.Errorf("%s: %v", k.Kind, err)
		}
	}
}

func TestStartRefuses(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := uint16(ln.Addr().(*net.TCPAddr).Port)
	tests := []struct {
		name string
		cfg  Config
		want string
	}{
		{"public host", Config{Host: netip.MustParseAddr("192.0.2.1")}, "not a loopback address"},
		{"any host", Config{Host: netip.IPv4Unspecified()}, "not a loopback address"},
		{"all of IPv6 loopback", Config{Host: netip.IPv6Loopback(), AllLoopback: true}, "IPv4 only"},
		{"too many targets", Config{Demo: MaxTargets + 1}, "want 0 to 50000"},
		{"unknown kind", Config{Kinds: []testpeer.Kind{"gopher"}}, `unknown kind "gopher"`},
		{"kind twice", Config{Kinds: []testpeer.Kind{"ssh", "ssh"}}, "named twice"},
		{"negative delay", Config{Delay: -1}, "below zero"},
		{"few descriptors", Config{Descriptors: 10}, "10 file descriptors are too few"},
		{"taken port", Config{Kinds: []testpeer.Kind{testpeer.Sink}, PortBase: taken}, "address already in use"},
		{"ports above the last", Config{PortBase: 65530}, "none above 65535"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Start(t.Context(), tt.cfg)
			if err == nil {
				f.Close()
				t.Fatalf("got no error, want %q", tt.want)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want %q in it", err, tt.want)
			}
		})
	}
}

// TestSecondFleet: the first holds the usual ports, so the second takes a later block, and both serve.
func TestSecondFleet(t *testing.T) {
	one, two := start(t, Config{}), start(t, Config{})
	for i, e := range two.Targets() {
		if e.Addr == one.Targets()[i].Addr {
			t.Fatalf("both fleets have %s at %v", e.Kind, e.Addr)
		}
	}
	meetAll(t, one.Targets())
	meetAll(t, two.Targets())
}

// TestFleetsAtOnce: those that start at the same moment take different ports, also where all of their listeners would share a
// port with others' (SO_REUSEPORT, socket(7)).
func TestFleetsAtOnce(t *testing.T) {
	const fleets = 8
	var running sync.WaitGroup
	var mu sync.Mutex
	owner := map[netip.AddrPort]int{}
	for i := range fleets {
		running.Go(func() {
			f, err := Start(t.Context(), Config{Kinds: []testpeer.Kind{testpeer.HTTP, testpeer.Redis, testpeer.Sink, testpeer.Silent}})
			if err != nil {
				t.Errorf("fleet %d: %v", i, err)
				return
			}
			t.Cleanup(f.Close)
			mu.Lock()
			defer mu.Unlock()
			for _, e := range f.Targets() {
				if other, ok := owner[e.Addr]; ok {
					t.Errorf("fleets %d and %d both have %v", i, other, e.Addr)
				}
				owner[e.Addr] = i
			}
		})
	}
	running.Wait()
	if want := fleets * 4; len(owner) != want {
		t.Errorf("%d ports, want %d", len(owner), want)
	}
}

func TestIPv6(t *testing.T) {
	f, err := Start(t.Context(), Config{Host: netip.IPv6Loopback()})
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Skip("no IPv6 on this machine's loopback")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	meetAll(t, f.Targets())
}

func TestLines(t *testing.T) {
	e := Endpoint{Name: "ssh-0007.sonde.test", Addr: netip.MustParseAddrPort("127.0.1.6:9743"), Kind: testpeer.SSH,
		Doc: "d", Healthy: true, Probe: "ssh", Expect: "success"}
	if got, want := e.Line(), "127.0.1.6,ssh-0007.sonde.test,ssh,9743"; got != want {
		t.Errorf("line: got %q, want %q", got, want)
	}
	got, err := json.Marshal(e)
	want := `{"name":"ssh-0007.sonde.test","addr":"127.0.1.6:9743","kind":"ssh","doc":"d","healthy":true,"probe":"ssh","expect":"success"}`
	if err != nil || string(got) != want {
		t.Errorf("JSON: got %s, %v; want %s", got, err, want)
	}

	f := start(t, Config{Kinds: []testpeer.Kind{testpeer.Echo, testpeer.SSH}})
	if diff := cmp.Diff([]string{"echo=tcp", "ssh=ssh"}, f.Triggers()); diff != "" {
		t.Errorf("triggers (-want +got):\n%s", diff)
	}
	var b bytes.Buffer
	if err := f.WriteTargets(&b); err != nil || strings.Count(b.String(), "\n") != 2 {
		t.Errorf("targets: got %q, %v; want two lines", b.String(), err)
	}
}

func TestAllLoopback(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127.0.0.0/8")
	}
	f := start(t, Config{AllLoopback: true, Demo: 2000, Descriptors: 600})
	addrs := map[netip.AddrPort]bool{}
	for _, e := range f.Targets() {
		if e.Healthy && e.Kind != testpeer.Delayed {
			addrs[e.Addr] = true
		}
	}
	if len(addrs) < 1700 {
		t.Errorf("got %d addresses of healthy targets, want one for each", len(addrs))
	}
	port := find(t, f, testpeer.Echo).Port()
	for _, ip := range []string{"127.0.0.1", "127.9.8.7", "127.255.255.254"} {
		if err := meet(Endpoint{Kind: testpeer.Echo, Addr: netip.AddrPortFrom(netip.MustParseAddr(ip), port)}); err != nil {
			t.Errorf("echo at %s: %v", ip, err)
		}
	}
	// A connection to another of this machine's addresses never leaves the machine either.
	foreign := otherAddr(t)
	if !foreign.IsValid() {
		t.Log("this machine has no other address: only arrivedOnLoopback is tested")
		return
	}
	c, err := dial(netip.AddrPortFrom(foreign, port))
	if err == nil {
		defer c.Close()
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("echo at %v: got %v, want ECONNRESET", foreign, err)
	}
}

// otherAddr is an IPv4 address of this machine that is not loopback; invalid if there is none.
func otherAddr(t *testing.T) netip.Addr {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

type fixedLocal struct{ addr socket.Addr }

func (f fixedLocal) Local(int) socket.Addr { return f.addr }

func TestArrivedOnLoopback(t *testing.T) {
	tests := []struct {
		local string
		want  bool
	}{
		{"127.0.0.1:80", true}, {"127.255.255.254:80", true}, {"[::1]:80", true}, {"[::ffff:127.0.0.1]:80", true},
		{"192.0.2.1:80", false}, {"[2001:db8::1]:80", false}, {"0.0.0.0:80", false}, {"", false},
	}
	for _, tt := range tests {
		ap, _ := netip.ParseAddrPort(tt.local) // "" stays invalid: getsockname(2) failed
		if got := arrivedOnLoopback(fixedLocal{socket.AddrFrom(ap, 0)}, 0); got != tt.want {
			t.Errorf("%q: got %v, want %v", tt.local, got, tt.want)
		}
	}
}

// TestHTTP talks to the service as real clients do: kept connections, slow answers, large ones.
func TestHTTP(t *testing.T) {
	f := start(t, Config{Kinds: []testpeer.Kind{testpeer.HTTP}})
	base := "http://" + find(t, f, testpeer.HTTP).String()
	client := &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for path, want := range map[string]struct{ code, size int }{
				"/": {200, 104}, "/status/503": {503, 12}, "/bytes/1000000": {200, 1_000_000}, "/slow?d=20ms": {200, 8},
				"/chunked": {200, 15}, "/close": {200, 31}, "/redirect": {302, 11}, "/nowhere": {404, 9},
			} {
				r, err := client.Get(base + path)
				if err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				body, err := io.ReadAll(r.Body)
				r.Body.Close()
				if err != nil || r.StatusCode != want.code || len(body) != want.size {
					t.Errorf("client %d: %s: got %d and %d bytes, %v; want %+v", i, path, r.StatusCode, len(body), err, want)
				}
			}
		})
	}
	wg.Wait()
}

// TestCloseAfterLargeAnswer: the connection is to be closed behind answers that the kernel can't take while the client does
// not read. It reads only once the service has done all it could: nothing may be lost.
func TestCloseAfterLargeAnswer(t *testing.T) {
	f := start(t, Config{Kinds: []testpeer.Kind{testpeer.HTTP, testpeer.Echo}})
	c, err := dial(find(t, f, testpeer.HTTP))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	request := "GET /bytes/1048576 HTTP/1.1\r\nHost: x\r\n"
	io.WriteString(c, request+"\r\n"+request+"\r\n"+request+"Connection: close\r\n\r\n")
	// The one loop answers in the order in which things come, so after two echoes it has seen the requests.
	for range 2 {
		if err := meet(Endpoint{Kind: testpeer.Echo, Addr: find(t, f, testpeer.Echo)}); err != nil {
			t.Fatal(err)
		}
	}
	r := bufio.NewReader(c)
	for i := range 3 {
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		if n, err := io.Copy(io.Discard, answer.Body); err != nil || n != 1<<20 {
			t.Fatalf("answer %d: got %d bytes, %v; want %d", i, n, err, 1<<20)
		}
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("after the last answer: got %v, want EOF", err)
	}
}

// TestRudeClients: thousands at once, many of whom reset in the middle; the others are served.
func TestRudeClients(t *testing.T) {
	f := start(t, Config{Kinds: []testpeer.Kind{testpeer.HTTP, testpeer.Echo}, Loops: 2})
	var wg sync.WaitGroup
	for i := range 2000 {
		wg.Go(func() {
			k := [...]testpeer.Kind{testpeer.HTTP, testpeer.Echo}[i%2]
			if i%5 != 0 {
				if err := meet(Endpoint{Kind: k, Addr: find(t, f, k)}); err != nil {
					t.Errorf("%s: %v", k, err)
				}
				return
			}
			c, err := dial(find(t, f, k))
			if err != nil {
				t.Errorf("%s: %v", k, err)
				return
			}
			io.WriteString(c, "GET /slow?d=10ms HTTP/1.1\r\nHost: x\r\n\r\n")
			c.SetLinger(0)
			c.Close()
		})
	}
	wg.Wait()
}

// TestFlood: a client that writes to echo and never reads is reset; it does not fill our memory.
func TestFlood(t *testing.T) {
	f := start(t, Config{Kinds: []testpeer.Kind{testpeer.Echo}})
	c, err := dial(find(t, f, testpeer.Echo))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	block := bytes.Repeat([]byte{'x'}, 64<<10)
	for sent := 0; ; sent += len(block) {
		if sent > 256<<20 {
			t.Fatal("256 MiB went in and nobody minded")
		}
		if _, err := c.Write(block); err != nil {
			if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				t.Errorf("write: got %v, want a reset", err)
			}
			return
		}
	}
}

// TestTooManyClients: those beyond the descriptors are reset, and the fleet lives on.
func TestTooManyClients(t *testing.T) {
	f := start(t, Config{Kinds: []testpeer.Kind{testpeer.SSH}, Descriptors: 10})
	addr := find(t, f, testpeer.SSH)
	greeted := func() (c *net.TCPConn, ok bool) {
		c, err := dial(addr)
		if err != nil {
			return nil, false
		}
		_, err = io.ReadFull(c, make([]byte, 4))
		return c, err == nil
	}
	served := 0
	var conns []*net.TCPConn
	for range 50 {
		c, ok := greeted()
		if ok {
			served++
		}
		conns = append(conns, c)
	}
	if served < 1 || served > 10 {
		t.Errorf("%d of 50 clients were served at once, want 1 to 10", served)
	}
	for _, c := range conns {
		if c != nil {
			c.Close()
		}
	}
	deadline := time.Now().Add(patience)
	for {
		c, ok := greeted()
		if c != nil {
			c.Close()
		}
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody is served after all the others have gone")
		}
	}
}

// TestCloseLeavesNothing: by Close and by the context, with clients in the middle of a slow answer.
func TestCloseLeavesNothing(t *testing.T) {
	kinds := []testpeer.Kind{testpeer.TLS13, testpeer.StartTLSSMTP, testpeer.TLSSilent}
	for _, a := range testpeer.Kinds() {
		if !a.TLS {
			kinds = append(kinds, a.Kind)
		}
	}
	for _, how := range []string{"close", "context"} {
		t.Run(how, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			// On an address of its own no other test takes a port of it behind its end.
			f, err := Start(ctx, Config{Host: netip.MustParseAddr("127.61.4.9"), Kinds: kinds, Delay: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				c, err := dial(find(t, f, testpeer.HTTP))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				io.WriteString(c, "GET /slow?d=30ms HTTP/1.1\r\nHost: x\r\n\r\n")
				if c, err = dial(find(t, f, testpeer.TLS13)); err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				io.WriteString(c, "\x16") // a handshake that waits
			}
			if how == "context" {
				cancel()
				<-f.Done()
			}
			f.Close()
			f.Close()
			if err := f.Err(); err != nil {
				t.Errorf("Err: got %v, want nil", err)
			}
			for _, e := range f.Targets() {
				c, err := dial(e.Addr)
				if err == nil {
					c.Close()
				}
				if !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("dial %s after Close: got %v, want ECONNREFUSED", e.Kind, err)
				}
			}
			deadline := time.Now().Add(patience)
			for left := goroutines(); left != ""; left = goroutines() {
				if time.Now().After(deadline) {
					t.Fatalf("goroutines left:\n%s", left)
				}
				runtime.Gosched()
			}
		})
	}
}

func goroutines() string {
	buf := make([]byte, 1<<20)
	var left []string
	for _, g := range bytes.Split(buf[:runtime.Stack(buf, true)], []byte("\n\n")) {
		for _, ours := range []string{"testpeer.(*Peer)", "serve.(*Fleet)", "serve.startServices", "gnet/v2.(*eventloop)"} {
			if bytes.Contains(g, []byte(ours)) {
				left = append(left, string(g))
				break
			}
		}
	}
	return strings.Join(left, "\n\n")
}
