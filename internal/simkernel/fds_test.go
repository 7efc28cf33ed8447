package simkernel

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
)

func TestLowestDescriptorIsReusedAtOnce(t *testing.T) {
	k := New(Options{})
	s := k.Sockets()
	connect := func() int {
		fd, _, _ := s.Connect(addr("10.0.0.1:80"), socket.Addr{})
		return fd
	}
	for want := firstFD; want < firstFD+4; want++ {
		if fd := connect(); fd != want {
			t.Errorf("got fd %d, want %d", fd, want)
		}
	}
	s.Close(firstFD+2, true)
	s.Close(firstFD+1, true)
	if got := k.OpenFDs(); !slices.Equal(got, []int{firstFD, firstFD + 3}) {
		t.Errorf("got open %v", got)
	}
	for _, want := range []int{firstFD + 1, firstFD + 2, firstFD + 4} {
		if fd := connect(); fd != want {
			t.Errorf("got fd %d, want %d", fd, want)
		}
	}
	if k.Opened() != 7 || k.Closed() != 2 {
		t.Errorf("got %d opened, %d closed, want 7 and 2", k.Opened(), k.Closed())
	}
}

func TestMaxFDs(t *testing.T) {
	k := New(Options{MaxFDs: 2})
	s := k.Sockets()
	a, _, _ := s.Connect(addr("10.0.0.1:80"), socket.Addr{})
	s.Connect(addr("10.0.0.1:80"), socket.Addr{})
	fd, call, e := s.Connect(addr("10.0.0.1:80"), socket.Addr{})
	if fd != -1 || call != socket.CallSocket || e != syscall.EMFILE {
		t.Errorf("got %d, %v, %v, want EMFILE of socket", fd, call, e)
	}
	s.Close(a, true)
	if fd, _, e := s.Connect(addr("10.0.0.1:80"), socket.Addr{}); fd != a || e != 0 {
		t.Errorf("got %d, %v after a close, want fd %d", fd, e, a)
	}
}

// TestPortsComeBack connects over the only local port, ends the connection, and looks when the port is free again.
func TestPortsComeBack(t *testing.T) {
	hold := Script{Steps: []Step{Hold()}}
	cases := []struct {
		name   string
		script Script
		end    func(k *Kernel, fd int)
		after  time.Duration
	}{
		{"our reset", hold, func(k *Kernel, fd int) { k.Sockets().Close(fd, true) }, 0},
		{"close while connecting", Script{Answer: BlackHole}, func(k *Kernel, fd int) { k.Sockets().Close(fd, false) }, 0},
		{"our fin first, never theirs", hold, func(k *Kernel, fd int) { k.Sockets().Close(fd, false) }, DefaultTimeWait},
		{"our fin first", Script{}, func(k *Kernel, fd int) { k.Sockets().Close(fd, false) }, DefaultTimeWait + time.Millisecond},
		{"our fin by shutdown", Script{}, func(k *Kernel, fd int) {
			k.Sockets().CloseWrite(fd)
			k.now += 5 * ms
			k.Sockets().Close(fd, false)
		}, DefaultTimeWait - 4*time.Millisecond},
		{"their fin long after ours", Script{Steps: []Step{Wait(30*time.Second + 9*time.Millisecond), Close()}},
			func(k *Kernel, fd int) { k.Sockets().Close(fd, false) }, 30*time.Second + DefaultTimeWait},
		{"their fin first", Script{Steps: []Step{Close()}}, func(k *Kernel, fd int) { k.Sockets().Close(fd, false) },
			time.Millisecond},
		{"unread data", Script{Steps: []Step{Send([]byte("x")), Hold()}},
			func(k *Kernel, fd int) { k.Sockets().Close(fd, false) }, 0},
		{"data after our close", Script{Steps: []Step{Wait(5*time.Second + 9*time.Millisecond), Send([]byte("x")), Hold()}},
			func(k *Kernel, fd int) { k.Sockets().Close(fd, false) }, 5 * time.Second},
		{"their reset", Script{Steps: []Step{Reset()}}, func(k *Kernel, fd int) { k.Sockets().Close(fd, false) }, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			k := New(Options{Ports: 1})
			k.Peer(addr("10.0.0.1:80"), c.script)
			k.Peer(addr("10.0.0.2:80"), hold)
			s := k.Sockets()
			fd, _, _ := s.Connect(addr("10.0.0.1:80"), socket.Addr{})
			k.now += 10 * ms
			free := func() bool {
				again, call, e := s.Connect(addr("10.0.0.1:80"), socket.Addr{})
				if e == syscall.EADDRNOTAVAIL && call == socket.CallConnect {
					return false
				}
				s.Close(again, true)
				return true
			}
			if e := s.Error(fd); e == 0 && free() {
				t.Error("got a second connection over the only port")
			}
			if _, _, e := s.Connect(addr("10.0.0.2:80"), socket.Addr{}); e != 0 {
				t.Errorf("got %v for another destination, want the same port to serve it", e)
			}
			c.end(k, fd)
			ended := k.now
			if c.after > 0 {
				if free() {
					t.Errorf("got the port back at once, want it after %v", c.after)
				}
				k.now = ended + int64(c.after) - ms - 10*callCost
				if free() {
					t.Errorf("got the port back before %v", c.after)
				}
			}
			k.now = ended + int64(c.after) + ms
			if !free() {
				t.Errorf("got the port still taken after %v", c.after)
			}
		})
	}
}

func TestSourceAddress(t *testing.T) {
	k := New(Options{})
	s := k.Sockets()
	a, _, _ := s.Connect(addr("10.0.0.1:80"), addr("198.51.100.7:0"))
	if got := s.Local(a).AddrPort(); got.Addr().String() != "198.51.100.7" || got.Port() < firstPort {
		t.Errorf("got local address %v, want a port of the source", got)
	}
	for _, remote := range []string{"127.0.0.9:1", "[::1]:1", "10.0.0.1:1", "[2001:db8::9]:1"} {
		fd, _, _ := s.Connect(addr(remote), socket.Addr{})
		if l := s.Local(fd); !l.IsValid() || l.V6 != addr(remote).V6 {
			t.Errorf("to %s: got local address %v", remote, l.AddrPort())
		}
	}
}

func TestViolations(t *testing.T) {
	token := poller.MakeToken(5, 1)
	cases := []struct {
		name, want string
		do         func(k *Kernel, fd int)
	}{
		{"double close", "close of fd 7, which is not open", func(k *Kernel, fd int) {
			k.Remove(fd)
			k.Sockets().Close(fd, true)
			k.Sockets().Close(fd, true)
		}},
		{"close without remove", "fd 7 closed while it is watched", func(k *Kernel, fd int) { k.Sockets().Close(fd, true) }},
		{"add twice", "fd 7 watched twice", func(k *Kernel, fd int) { _ = k.Add(fd, token) }},
		{"add of a closed fd", "add of fd 99, which is not open", func(k *Kernel, fd int) { _ = k.Add(99, token) }},
		{"remove twice", "remove of fd 7, which is not watched", func(k *Kernel, fd int) {
			k.Remove(fd)
			k.Remove(fd)
		}},
		{"remove of a closed fd", "remove of fd 99, which is not open", func(k *Kernel, fd int) { k.Remove(99) }},
		{"token used again", "generation 1, which was used before", func(k *Kernel, fd int) {
			k.Remove(fd)
			_ = k.Add(fd, poller.MakeToken(1, 1))
		}},
		{"slot used twice", "slot 1, which another descriptor has", func(k *Kernel, fd int) {
			other, _, _ := k.Sockets().Connect(addr("10.0.0.1:80"), socket.Addr{})
			_ = k.Add(other, poller.MakeToken(1, 2))
		}},
		{"read of a closed fd", "readv of fd 99", func(k *Kernel, fd int) { k.Sockets().Readv(99, make([]byte, 1), nil) }},
		{"read into nothing", "into no room", func(k *Kernel, fd int) { k.Sockets().Readv(fd, nil, nil) }},
		{"write to a closed fd", "writev of fd 99", func(k *Kernel, fd int) { k.Sockets().Writev(99, [][]byte{{1}}) }},
		{"write of nothing", "writev of nothing", func(k *Kernel, fd int) { k.Sockets().Writev(fd, [][]byte{{}}) }},
		{"shutdown of a closed fd", "shutdown of fd 99", func(k *Kernel, fd int) { k.Sockets().CloseWrite(99) }},
		{"error of a closed fd", "getsockopt of fd 99", func(k *Kernel, fd int) { k.Sockets().Error(99) }},
		{"info of a closed fd", "getsockopt of fd 99", func(k *Kernel, fd int) { k.Sockets().Info(99) }},
		{"local of a closed fd", "getsockname of fd 99", func(k *Kernel, fd int) { k.Sockets().Local(99) }},
		{"connect to nothing", "connect to no address", func(k *Kernel, fd int) {
			k.Sockets().Connect(socket.Addr{}, socket.Addr{})
		}},
		{"negative timer", "negative moment", func(k *Kernel, fd int) { k.ArmTimer(-1) }},
		{"run within run", "runs already", func(k *Kernel, fd int) {
			k.Again()
			_ = k.Run(func(int64, []poller.Event) bool { return k.Run(nil) == nil })
		}},
		{"poller closed twice", "closed already", func(k *Kernel, fd int) {
			_ = k.Close()
			_ = k.Close()
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			k, fd := dialScript(t, Options{}, Script{})
			if v := k.Violations(); len(v) != 0 {
				t.Fatalf("got %q before anything was done", v)
			}
			c.do(k, fd)
			if v := k.Violations(); len(v) != 1 || !strings.Contains(v[0], c.want) {
				t.Errorf("got %q, want one with %q", v, c.want)
			}
		})
	}
}

// TestDials checks the truth that records are held against.
func TestDials(t *testing.T) {
	k, fd := dialScript(t, Options{Ports: 1}, Script{Steps: []Step{Read(3), Send([]byte("hello")), Reset()}})
	s := k.Sockets()
	s.Writev(fd, [][]byte{[]byte("abc")})
	poll(t, k)
	s.Readv(fd, make([]byte, 4), nil)
	s.Connect(addr("10.0.0.1:80"), socket.Addr{})
	k.Remove(fd)
	s.Close(fd, true)
	want := []Dial{{
		Remote: addr("10.0.0.1:80"), Local: addr("192.0.2.1:32768"), FD: fd,
		At: 1 + callCost, Established: 1 + callCost + ms, Ended: 1 + 2*callCost + 2*ms, Err: syscall.ECONNRESET,
		Closed: 1 + 6*callCost + 2*ms, Reset: true, Read: 4, Written: 3,
	}}
	if d := cmp.Diff(want, k.Dials()[:1], cmp.AllowUnexported(socket.Addr{})); d != "" {
		t.Errorf("dials (-want +got):\n%s", d)
	}
	// The reset had freed the port, so the second dial went through.
	if d := k.Dials()[1]; d.FD != fd+1 || d.Errno != 0 || d.Local != want[0].Local || d.Established != 0 {
		t.Errorf("got %+v, want a dial under way over the same port", d)
	}
}
