package testpeer_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/testpeer"
	"sonde/report"
)

// patience is the limit of whatever should happen at once; a machine under load may take a while.
const patience = 2 * time.Minute

func dial(t *testing.T, p *testpeer.Peer) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", p.Addr().String(), patience)
	if err != nil {
		t.Fatalf("dial %s: %v", p.Kind(), err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func readN(t *testing.T, c net.Conn, n int) string {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatalf("read %d bytes: %v", n, err)
	}
	return string(b)
}

// expectQuiet fails if the peer says or does anything within a short while. The wait itself is what is tested.
func expectQuiet(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read(make([]byte, 1))
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: got %d bytes, %v; want none and a timeout", n, err)
	}
}

func TestKinds(t *testing.T) {
	words := map[string]bool{}
	for s := range report.NumStatuses {
		words[s.String()] = true
	}
	seen := map[testpeer.Kind]bool{}
	for _, a := range testpeer.Kinds() {
		if seen[a.Kind] {
			t.Errorf("%s: listed twice", a.Kind)
		}
		seen[a.Kind] = true
		if a.Doc == "" || a.Probe == "" || strings.HasSuffix(a.Doc, ".") {
			t.Errorf("%s: incomplete: %+v", a.Kind, a)
		}
		if !words[a.Expect] {
			t.Errorf("%s: %q is not a status", a.Kind, a.Expect)
		}
		if a.Healthy && a.Expect != "success" {
			t.Errorf("%s: healthy, yet expects %s", a.Kind, a.Expect)
		}
		if got, ok := testpeer.Lookup(a.Kind); !ok || got != a {
			t.Errorf("Lookup(%s): got %+v, %v; want %+v", a.Kind, got, ok, a)
		}
	}
}

func TestStartRefuses(t *testing.T) {
	taken := testpeer.New(t, testpeer.Sink, testpeer.Options{})
	tests := []struct {
		name string
		kind testpeer.Kind
		opts testpeer.Options
		want string
	}{
		{"unknown kind", "gopher", testpeer.Options{}, `unknown kind "gopher"`},
		{"any address", testpeer.Sink, testpeer.Options{Addr: netip.MustParseAddrPort("0.0.0.0:0")}, "not a loopback address"},
		{"foreign address", testpeer.Sink, testpeer.Options{Addr: netip.MustParseAddrPort("192.0.2.1:0")}, "not a loopback address"},
		{"negative delay", testpeer.Delayed, testpeer.Options{Delay: -1}, "below zero"},
		{"taken port", testpeer.Echo, testpeer.Options{Addr: taken.Addr()}, "address already in use"},
		{"taken port to refuse on", testpeer.Refuse, testpeer.Options{Addr: taken.Addr()}, "address already in use"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := testpeer.Start(tt.kind, tt.opts)
			if err == nil {
				p.Close()
				t.Fatalf("got no error, want %q", tt.want)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want %q in it", err, tt.want)
			}
		})
	}
}

func TestIPv6(t *testing.T) {
	p, err := testpeer.Start(testpeer.Echo, testpeer.Options{Addr: netip.MustParseAddrPort("[::1]:0")})
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Skip("no IPv6 on this machine's loopback")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c := dial(t, p)
	fmt.Fprint(c, "hi")
	if got := readN(t, c, 2); got != "hi" {
		t.Errorf("got %q, want hi", got)
	}
}

// TestDialogues says a line and wants the whole answer, byte for byte, until the peer closes.
func TestDialogues(t *testing.T) {
	tests := []struct {
		kind      testpeer.Kind
		say, want string
	}{
		{testpeer.SMTP, "EHLO me\r\nmail from:<>\r\nwhat\r\nQUIT\r\n", "220 sonde.test ESMTP sondepeer\r\n" +
			"250-sonde.test greets you\r\n250-PIPELINING\r\n250-SIZE 1048576\r\n250 8BITMIME\r\n" +
			"554 5.7.1 no mail here\r\n500 5.5.1 command unknown\r\n221 2.0.0 bye\r\n"},
		{testpeer.FTP, "feat\r\nQUIT\r\n", "220 sondepeer FTP ready\r\n211-Features:\r\n UTF8\r\n SIZE\r\n MDTM\r\n211 End\r\n221 bye\r\n"},
		{testpeer.IMAP, "a1 CAPABILITY\r\na2 LOGOUT\r\n", "* OK [CAPABILITY IMAP4rev1 IDLE LITERAL+] sondepeer ready\r\n" +
			"* CAPABILITY IMAP4rev1 IDLE LITERAL+\r\na1 OK CAPABILITY completed\r\n* BYE logging out\r\na2 OK LOGOUT completed\r\n"},
		{testpeer.POP3, "CAPA\nQUIT\r\n", "+OK sondepeer ready\r\n+OK capabilities follow\r\nUSER\r\nUIDL\r\nTOP\r\n.\r\n+OK bye\r\n"},
		{testpeer.Redis, "PING\r\n*1\r\n$4\r\nping\r\n*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\nINFO\r\nQUIT\r\n",
			"+PONG\r\n+PONG\r\n$2\r\nhi\r\n-ERR unknown command \"INFO\"\r\n+OK\r\n"},
		{testpeer.Redis, "*1\r\n:4\r\n", "-ERR Protocol error: expected '$'\r\n"},
		{testpeer.SMTP, strings.Repeat("x", 9000), "220 sonde.test ESMTP sondepeer\r\n500 5.5.2 line too long\r\n"},
	}
	for _, tt := range tests {
		t.Run(string(tt.kind), func(t *testing.T) {
			c := dial(t, testpeer.New(t, tt.kind, testpeer.Options{}))
			fmt.Fprint(c, tt.say)
			got, err := io.ReadAll(c)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("dialogue (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSSH(t *testing.T) {
	c := dial(t, testpeer.New(t, testpeer.SSH, testpeer.Options{}))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || line != "SSH-2.0-sondepeer_1.0 healthy\r\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

func TestDelayed(t *testing.T) {
	const delay = 60 * time.Millisecond
	p := testpeer.New(t, testpeer.Delayed, testpeer.Options{Delay: delay})
	start := time.Now()
	c := dial(t, p)
	if got := readN(t, c, 4); got != "SSH-" {
		t.Errorf("got %q, want SSH-", got)
	}
	if d := time.Since(start); d < delay {
		t.Errorf("greeted after %v, want at least %v", d, delay)
	}
}

func TestSinkAndEcho(t *testing.T) {
	sink := dial(t, testpeer.New(t, testpeer.Sink, testpeer.Options{}))
	fmt.Fprint(sink, "anybody?\r\n")
	expectQuiet(t, sink)

	echo := dial(t, testpeer.New(t, testpeer.Echo, testpeer.Options{}))
	sent := strings.Repeat("0123456789", 20_000)
	go func() {
		io.WriteString(echo, sent)
		echo.CloseWrite()
	}()
	got, err := io.ReadAll(echo)
	if err != nil || string(got) != sent {
		t.Errorf("echo: got %d bytes, %v; want the %d sent", len(got), err, len(sent))
	}
}

func TestRefuse(t *testing.T) {
	p := testpeer.New(t, testpeer.Refuse, testpeer.Options{})
	for range 50 {
		c, err := net.Dial("tcp", p.Addr().String())
		if err == nil {
			c.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("dial: got %v, want ECONNREFUSED", err)
		}
	}
	// It stays so: nobody else can have the address.
	if ln, err := net.Listen("tcp", p.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		if err == nil {
			ln.Close()
		}
		t.Errorf("listen on it: got %v, want EADDRINUSE", err)
	}
}

func TestDropSYN(t *testing.T) {
	p := testpeer.New(t, testpeer.DropSYN, testpeer.Options{})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			c, err := net.DialTimeout("tcp", p.Addr().String(), 300*time.Millisecond)
			if err == nil {
				c.Close()
			}
			var netErr net.Error
			if !errors.As(err, &netErr) || !netErr.Timeout() {
				t.Errorf("dial: got %v, want a timeout", err)
			}
		})
	}
	wg.Wait()
}

// TestReset accepts the reset at the dial too: it can come before the dialler has looked.
func TestReset(t *testing.T) {
	p := testpeer.New(t, testpeer.Reset, testpeer.Options{})
	c, err := net.DialTimeout("tcp", p.Addr().String(), patience)
	if err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want ECONNRESET", err)
	}
}

func TestCloseAtOnce(t *testing.T) {
	c := dial(t, testpeer.New(t, testpeer.CloseAtOnce, testpeer.Options{}))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read: got %d, %v; want EOF", n, err)
	}
}

func TestSilent(t *testing.T) {
	c := dial(t, testpeer.New(t, testpeer.Silent, testpeer.Options{}))
	fmt.Fprint(c, "PING\r\n")
	expectQuiet(t, c)
}

func TestDrip(t *testing.T) {
	const interval = 20 * time.Millisecond
	c := dial(t, testpeer.New(t, testpeer.Drip, testpeer.Options{Interval: interval}))
	start := time.Now()
	for i, want := range []byte("SSH-2.0-sondepeer_xx") {
		b := make([]byte, 64)
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if n != 1 || b[0] != want {
			// A reader that is held up may find two bytes at once; then the rest can't be compared one by one.
			if n == 1 || b[0] != want {
				t.Fatalf("byte %d: got %q, want %q", i, b[:n], want)
			}
			return
		}
	}
	if d := time.Since(start); d < 18*interval {
		t.Errorf("20 bytes took %v, want them at least %v apart", d, interval)
	}
}

func TestEndless(t *testing.T) {
	c := dial(t, testpeer.New(t, testpeer.Endless, testpeer.Options{}))
	got := readN(t, c, 4<<20)
	if strings.Contains(got, "\n") {
		t.Error("got a newline, want none")
	}
}

func TestGarbage(t *testing.T) {
	c := dial(t, testpeer.New(t, testpeer.Garbage, testpeer.Options{}))
	got := readN(t, c, 4<<10)
	if got[0] != 0 || utf8.ValidString(got) || !strings.Contains(got, "\x1b[") || !strings.Contains(got, "\n") {
		t.Errorf("got %q..., want NUL first, bad UTF-8, an escape sequence and a newline", got[:40])
	}
}

func TestHalfClose(t *testing.T) {
	c := dial(t, testpeer.New(t, testpeer.HalfClose, testpeer.Options{}))
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "220 sonde.test ready\r\n" {
		t.Fatalf("got %q, %v; want the greeting and EOF", got, err)
	}
	// It stays: a peer that had closed would answer the first of these with a reset and fail the next.
	for range 100 {
		if _, err := fmt.Fprint(c, "still there?\r\n"); err != nil {
			t.Fatalf("write after its FIN: %v", err)
		}
	}
}

func TestIgnoreFIN(t *testing.T) {
	c := dial(t, testpeer.New(t, testpeer.IgnoreFIN, testpeer.Options{}))
	readN(t, c, len("220 sonde.test ready\r\n"))
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	expectQuiet(t, c)
}

// TestBannerReset: the banner must survive the reset behind it. A net.Dial that is held up finds the reset already when it
// asks for its own outcome (SO_ERROR), and gives up; such a dial tells nothing and is done again.
func TestBannerReset(t *testing.T) {
	p := testpeer.New(t, testpeer.BannerReset, testpeer.Options{})
	deadline := time.Now().Add(patience)
	for seen := 0; seen < 20; {
		c, err := net.DialTimeout("tcp", p.Addr().String(), patience)
		if errors.Is(err, syscall.ECONNRESET) && time.Now().Before(deadline) {
			continue
		}
		if err != nil {
			t.Fatalf("dial: %v", err)
		}
		c.SetDeadline(time.Now().Add(patience))
		got, err := io.ReadAll(c)
		c.Close()
		if string(got) != "SSH-2.0-sondepeer_reset" || !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("got %q, %v; want the banner and ECONNRESET", got, err)
		}
		seen++
	}
}

// TestMaxConns: the second client waits in the accept queue until the first has gone.
func TestMaxConns(t *testing.T) {
	p := testpeer.New(t, testpeer.SSH, testpeer.Options{MaxConns: 1})
	first := dial(t, p)
	readN(t, first, 4)
	second := dial(t, p)
	expectQuiet(t, second)
	first.Close()
	if err := second.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if got := readN(t, second, 4); got != "SSH-" {
		t.Errorf("got %q, want SSH-", got)
	}
}

// TestCloseLeavesNothing closes every kind with clients of every mood connected, and looks for goroutines and listeners
// that are left.
func TestCloseLeavesNothing(t *testing.T) {
	for _, a := range testpeer.Kinds() {
		t.Run(string(a.Kind), func(t *testing.T) {
			p, err := testpeer.Start(a.Kind, testpeer.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if a.Kind != testpeer.Refuse && a.Kind != testpeer.DropSYN {
				for i := range 8 {
					c, err := net.Dial("tcp", p.Addr().String())
					if err != nil {
						continue // Reset may be that fast
					}
					defer c.Close()
					io.WriteString(c, "GET /slow?d=1m HTTP/1.1\r\nHost: x\r\n\r\n")
					if i%2 == 0 {
						c.(*net.TCPConn).SetLinger(0)
						c.Close()
					}
				}
			}
			p.Close()
			p.Close()
			noGoroutines(t)
			c, err := net.DialTimeout("tcp", p.Addr().String(), patience)
			if err == nil {
				c.Close()
			}
			if !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("dial after Close: got %v, want ECONNREFUSED", err)
			}
		})
	}
}

// noGoroutines waits until no goroutine of a peer is left: one that has done its work may take a moment to be gone.
func noGoroutines(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for left := peerGoroutines(); left != ""; left = peerGoroutines() {
		if time.Now().After(deadline) {
			t.Fatalf("goroutines left:\n%s", left)
		}
		runtime.Gosched()
	}
}

func peerGoroutines() string {
	buf := make([]byte, 1<<20)
	var left []string
	for _, g := range bytes.Split(buf[:runtime.Stack(buf, true)], []byte("\n\n")) {
		if bytes.Contains(g, []byte("testpeer.(*Peer)")) {
			left = append(left, string(g))
		}
	}
	return strings.Join(left, "\n\n")
}

// TestManyClients: a thousand at once, a third of which reset in the middle; the rest get their answer.
func TestManyClients(t *testing.T) {
	p := testpeer.New(t, testpeer.HTTP, testpeer.Options{})
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			c, err := net.DialTimeout("tcp", p.Addr().String(), patience)
			if err != nil {
				t.Errorf("dial: %v", err)
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			io.WriteString(c, "GET /bytes/100000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			if i%3 == 0 {
				c.(*net.TCPConn).SetLinger(0)
				return
			}
			got, err := io.ReadAll(c)
			if err != nil || len(got) < 100_000 {
				t.Errorf("got %d bytes, %v; want the whole answer", len(got), err)
			}
		})
	}
	wg.Wait()
}
