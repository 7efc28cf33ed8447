package simkernel

import (
	"bytes"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
)

// visit connects to a peer with this script, writes what is to be written, closes its side if fin, and reads for
// a minute or until the connection ends. It returns what came and how it ended: "fin", an errno's name, or "open".
func visit(t *testing.T, s Script, write string, fin bool) (got []byte, end string, took time.Duration, k *Kernel) {
	t.Helper()
	k = New(Options{})
	k.Peer(addr("10.0.0.1:80"), s)
	fd := dial(t, k, addr("10.0.0.1:80"))
	sock := k.Sockets()
	limit := k.Now() + time.Minute.Nanoseconds()
	k.ArmTimer(limit)
	connected := false
	b := make([]byte, 1000)
	err := k.Run(func(now int64, events []poller.Event) bool {
		took = time.Duration(now)
		for range events {
			if !connected {
				if e := sock.Error(fd); e != 0 {
					end = errnoName(e)
					return false
				}
				connected = true
				if write != "" {
					sock.Writev(fd, [][]byte{[]byte(write)})
				}
				if fin {
					sock.CloseWrite(fd)
				}
			}
			for end == "" {
				n, e := sock.Readv(fd, b, nil)
				got = append(got, b[:n]...)
				if e == syscall.EAGAIN {
					break
				} else if e != 0 {
					end = errnoName(e)
				} else if n == 0 {
					end = "fin"
				}
			}
		}
		return end == "" && now < limit
	})
	if stuck := (*DeadlockError)(nil); err != nil && !errors.As(err, &stuck) {
		t.Fatal(err)
	}
	if end == "" {
		end = "open"
	}
	return got, end, took.Round(time.Millisecond), k
}

func TestSteps(t *testing.T) {
	hello := []byte("hello")
	cases := []struct {
		name   string
		script Script
		write  string
		fin    bool
		got    string
		end    string
		took   time.Duration // 0: not looked at
	}{
		{name: "no steps", end: "open"},
		{name: "no steps, our fin", fin: true, end: "fin"},
		{name: "refuse", script: Script{Answer: Refuse}, end: "ECONNREFUSED", took: time.Millisecond},
		{name: "unreachable", script: Script{Answer: Unreachable}, end: "EHOSTUNREACH"},
		{name: "unreachable net", script: Script{Answer: Unreachable, Errno: syscall.ENETUNREACH, Delay: time.Second},
			end: "ENETUNREACH", took: 1001 * time.Millisecond},
		{name: "black hole", script: Script{Answer: BlackHole}, end: "open", took: time.Minute},
		{name: "late answer", script: Script{Delay: 3 * time.Second, Steps: []Step{Close()}}, end: "fin",
			took: 3002 * time.Millisecond},
		{name: "connect to itself", script: Script{Answer: SelfConnect}, write: "hello", fin: true, got: "hello", end: "fin"},
		{name: "send", script: Script{Steps: []Step{Send(hello), Close()}}, got: "hello", end: "fin"},
		{name: "send nothing", script: Script{Steps: []Step{Send(nil), Close()}}, end: "fin"},
		{name: "wait", script: Script{RTT: time.Second, Steps: []Step{Wait(7 * time.Second), Send(hello), Close()}},
			got: "hello", end: "fin", took: 9 * time.Second},
		{name: "pieces", script: Script{Steps: []Step{SendPieces(hello, 2, time.Second), Close()}},
			got: "hello", end: "fin", took: 2002 * time.Millisecond},
		{name: "drip", script: Script{Steps: []Step{Drip(hello, time.Second), Close()}},
			got: "hello", end: "fin", took: 4002 * time.Millisecond},
		{name: "a drip does not notice our fin", script: Script{Steps: []Step{Drip(hello, time.Second), Close()}}, fin: true,
			got: "hello", end: "fin", took: 4002 * time.Millisecond},
		{name: "read enough", script: Script{Steps: []Step{Read(4), Send(hello), Close()}}, write: "ping", got: "hello", end: "fin"},
		{name: "read too little", script: Script{Steps: []Step{Read(4), Send(hello), Close()}}, write: "pin", end: "open"},
		{name: "read until our fin", script: Script{Steps: []Step{Read(4), Send(hello), Close()}}, write: "pin", fin: true, end: "fin"},
		{name: "read through a narrow window", script: Script{Window: 1, Steps: []Step{Read(4), Send(hello), Close()}}, write: "ping",
			got: "hello", end: "fin"},
		{name: "expect", script: Script{Steps: []Step{Expect([]byte("ping")), Send(hello), Close()}}, write: "ping",
			got: "hello", end: "fin"},
		{name: "read a line", script: Script{Steps: []Step{ReadLine(), Send(hello), ReadLine(), Close()}}, write: "a\nb\n",
			got: "hello", end: "fin"},
		{name: "no whole line", script: Script{Steps: []Step{ReadLine(), Send(hello)}}, write: "ab", end: "open"},
		{name: "no whole line, our fin", script: Script{Steps: []Step{ReadLine(), Send(hello)}}, write: "ab", fin: true, end: "fin"},
		{name: "echo", script: Script{Steps: []Step{Echo()}}, write: "to and fro", got: "to and fro", end: "open"},
		{name: "echo, our fin", script: Script{Steps: []Step{Echo()}}, write: "to and fro", fin: true, got: "to and fro", end: "fin"},
		{name: "half-close, then read on", script: Script{Steps: []Step{CloseWrite(), Read(4)}}, write: "ping", end: "fin"},
		{name: "close with bytes unread", script: Script{Steps: []Step{Send(hello), Wait(time.Second), Close()}}, write: "ping",
			got: "hello", end: "ECONNRESET"},
		{name: "reset", script: Script{Steps: []Step{Send(hello), Reset()}}, got: "hello", end: "ECONNRESET"},
		{name: "reset at once", script: Script{Steps: []Step{Reset()}}, end: "ECONNRESET"},
		{name: "stop reading", script: Script{Steps: []Step{StopReading()}}, write: "ping", fin: true, end: "open"},
		{name: "hold", script: Script{Steps: []Step{Hold()}}, write: "ping", fin: true, end: "open"},
		{name: "fail", script: Script{Steps: []Step{Send(hello), Wait(time.Second), Fail(syscall.ETIMEDOUT)}}, got: "hello",
			end: "ETIMEDOUT"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, end, took, k := visit(t, c.script, c.write, c.fin)
			if string(got) != c.got || end != c.end {
				t.Errorf("got %q and %s, want %q and %s", got, end, c.got, c.end)
			}
			if c.took != 0 && took != c.took {
				t.Errorf("took %v, want %v", took, c.took)
			}
			if v := k.Violations(); len(v) != 0 {
				t.Errorf("got violations %q", v)
			}
		})
	}
}

func TestExpectTellsOtherBytes(t *testing.T) {
	_, _, _, k := visit(t, Script{Steps: []Step{Read(1), Expect([]byte("ing"))}}, "pong", false)
	if v := k.Violations(); len(v) != 1 || !strings.Contains(v[0], `10.0.0.1:80 got "ong" at byte 0 of what it expects, want "ing"`) {
		t.Errorf("got %q, want one about the bytes", v)
	}
}

func TestEndlessGoesAsFastAsItIsRead(t *testing.T) {
	chunk := bytes.Repeat([]byte("x"), 1000)
	k, fd := dialScript(t, Options{ReceiveBuffer: 2500}, Script{Steps: []Step{Endless(chunk, 0)}})
	wantNothing := func() {
		for range 1000 { // nobody reads: the sender must come to a stop
			err := k.Run(func(int64, []poller.Event) bool { return false })
			if stuck := (*DeadlockError)(nil); errors.As(err, &stuck) {
				return
			}
		}
		t.Error("got a thousand batches though nobody reads")
	}
	wantNothing()
	c := k.fds.at(fd)
	if len(c.received) != 2500 || len(c.backlog) == 0 || len(c.backlog) > 100_000 {
		t.Errorf("got %d bytes received and %d behind them, want 2500 and some", len(c.received), len(c.backlog))
	}
	total := 0
	for range 1000 {
		n, _ := k.Sockets().Readv(fd, make([]byte, 2000), make([]byte, 1000))
		if n == 0 {
			break
		}
		total += n
		poll(t, k)
	}
	if total < 1_000_000 {
		t.Errorf("got %d bytes in a thousand reads, want the stream to go on", total)
	}
}

func TestFinComesBehindWhatTheWindowHeldBack(t *testing.T) {
	k, fd := dialScript(t, Options{ReceiveBuffer: 100}, Script{Steps: []Step{
		Wait(time.Millisecond), Send(make([]byte, 250)), Close(),
	}})
	for i, want := range []struct {
		ready string
		n     int
	}{{"RW", 100}, {"RW", 100}, {"RWH", 50}} {
		wantOnly(t, k, want.ready)
		if n, e := k.Sockets().Readv(fd, make([]byte, 1000), nil); n != want.n || e != 0 {
			t.Errorf("read %d: got %d, %v, want %d bytes", i, n, e, want.n)
		}
	}
	if n, e := k.Sockets().Readv(fd, make([]byte, 1), nil); n != 0 || e != 0 {
		t.Errorf("got %d, %v, want the end", n, e)
	}
}

func TestPeerHearsOfOurReset(t *testing.T) {
	k, fd := dialScript(t, Options{}, Script{Steps: []Step{Endless([]byte("x"), time.Second)}})
	k.Remove(fd)
	k.Sockets().Close(fd, true)
	wantNothing(t, k, time.Minute)
	if n := len(k.agenda.heap); n != 0 {
		t.Errorf("got %d things to happen long after the reset, want the peer to have stopped", n)
	}
}

func TestScriptsInTurn(t *testing.T) {
	k := New(Options{})
	k.Peer(addr("10.0.0.1:80"), Script{Answer: Refuse, AtOnce: true}, Script{AtOnce: true})
	s := k.Sockets()
	for i, want := range []syscall.Errno{syscall.ECONNREFUSED, 0, 0} {
		if _, _, e := s.Connect(addr("10.0.0.1:80"), socket.Addr{}); e != want {
			t.Errorf("connect %d: got %v, want %v", i, e, want)
		}
	}
	k.Otherwise(func(a socket.Addr) Script {
		return Script{Answer: Unreachable, AtOnce: true, Errno: syscall.Errno(a.Port)}
	})
	if _, call, e := s.Connect(addr("10.0.0.2:13"), socket.Addr{}); e != 13 || call != socket.CallConnect {
		t.Errorf("got %v of %v, want the script for that address", e, call)
	}
}

func TestSelfConnectHasOneAddress(t *testing.T) {
	k := New(Options{})
	k.Peer(addr("127.0.0.1:40000"), Script{Answer: SelfConnect, AtOnce: true})
	fd, _, _ := k.Sockets().Connect(addr("127.0.0.1:40000"), socket.Addr{})
	if got := k.Sockets().Local(fd); got != addr("127.0.0.1:40000") {
		t.Errorf("got local address %v, want the remote one", got.AddrPort())
	}
	if i := k.Sockets().Info(fd); !i.Established || i.RTTMicros != 1000 || i.SegsIn == 0 {
		t.Errorf("got %+v, want it established with the script's round-trip time", i)
	}
}

// shouter is an App that answers in capitals, after a greeting, and closes at a full stop.
type shouter struct{ pieces int }

func (a *shouter) Hear(in []byte, fin bool) (out []byte, over bool) {
	if a.pieces++; a.pieces == 1 {
		return []byte("hi "), false
	}
	return bytes.ToUpper(in), bytes.HasSuffix(in, []byte("."))
}

func TestServe(t *testing.T) {
	for _, c := range []struct {
		write    string
		fin      bool
		got, end string
	}{
		{"", false, "hi ", "open"},
		{"there", false, "hi THERE", "open"},
		{"there", true, "hi THERE", "fin"},
		{"bye.", false, "hi BYE.", "fin"},
	} {
		got, end, _, _ := visit(t, Script{Steps: []Step{Serve(func() App { return &shouter{} })}}, c.write, c.fin)
		if string(got) != c.got || end != c.end {
			t.Errorf("after %q: got %q and %s, want %q and %s", c.write, got, end, c.got, c.end)
		}
	}
}

// TestNoPortNoScript: a dial for which there is no local port leaves the address' next script to the dial that is made.
func TestNoPortNoScript(t *testing.T) {
	k := New(Options{Ports: 1})
	k.Peer(addr("10.0.0.1:80"), Script{}, Script{Answer: Refuse, AtOnce: true}, Script{})
	fd := dial(t, k, addr("10.0.0.1:80"))
	if _, _, errno := k.Sockets().Connect(addr("10.0.0.1:80"), socket.Addr{}); errno != syscall.EADDRNOTAVAIL {
		t.Fatalf("got %v, want EADDRNOTAVAIL", errno)
	}
	k.Sockets().Close(fd, true)
	if _, _, errno := k.Sockets().Connect(addr("10.0.0.1:80"), socket.Addr{}); errno != syscall.ECONNREFUSED {
		t.Errorf("got %v, want the second script's ECONNREFUSED", errno)
	}
}
