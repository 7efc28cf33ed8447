package watch

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sonde/policy/flap"
)

// heap is what is in use behind a collection.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// doors is a peer at each address of 127/8, on one port, which accepts and closes while it is open.
type doors struct {
	t    *testing.T
	port int
	l    net.Listener
}

// newDoors takes a port until the test ends, so that nobody else has it while the doors are closed. SO_REUSEADDR (socket(7)) lets the
// listeners, which set it too, share it with one that does not listen.
func newDoors(t *testing.T) *doors {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{}); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return &doors{t: t, port: at.(*unix.SockaddrInet4).Port}
}

func (d *doors) open() {
	var err error
	if d.l, err = net.Listen("tcp4", fmt.Sprint("0.0.0.0:", d.port)); err != nil {
		d.t.Fatal(err)
	}
	go func(l net.Listener) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}(d.l)
}

// TestAllDown has three hundred targets go down at once, and up again: the log tells it in a line or two each, and rounds of failures
// take no memory.
func TestAllDown(t *testing.T) {
	d := newDoors(t)
	d.open()
	const n = 300
	var targets []string
	for i := range n {
		targets = append(targets, fmt.Sprintf("127.0.%d.%d:%d", 1+i/250, 1+i%250, d.port))
	}
	p := start(t, connects+"jobs:\n"+job("a", "connect", 200*time.Millisecond, "", targets...))
	p.rounds(2)
	all := func(state flap.State) func() bool {
		return func() bool {
			v := p.views()
			for _, one := range v {
				if one.State() != state {
					return false
				}
			}
			return len(v) == n
		}
	}
	p.until("all up", all(flap.Up))
	began := time.Now()
	d.l.Close()
	p.until("all down", all(flap.Down))
	turning := time.Since(began)
	p.rounds(2)
	before := heap()
	p.rounds(6)
	if after := heap(); after > before+before/4+1<<20 {
		t.Errorf("six rounds of failures: the heap grew from %d to %d bytes", before, after)
	}
	began = time.Now()
	d.open()
	defer d.l.Close()
	p.until("all up again", all(flap.Up))
	turning += time.Since(began)
	p.end() // which writes what the log has not told yet
	// A second has ten lines of single targets at most, else one; a turn begins and ends within one.
	most := 10 * (4 + int(turning/time.Second))
	if down, up := p.lines("down"), p.lines("up"); down < 1 || up < 1 || down+up > most || strings.Count(p.log.String(), "\n") > most+20 {
		t.Errorf("the log has %d lines of targets that are down and %d of those that are up:\n%s", down, up, p.log)
	}
}
