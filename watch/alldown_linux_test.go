package watch

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

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
	addr string
	l    net.Listener
}

func (d *doors) open() {
	var err error
	if d.l, err = net.Listen("tcp4", d.addr); err != nil {
		d.t.Fatal(err)
	}
	d.addr = d.l.Addr().String()
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
	d := &doors{t: t, addr: "0.0.0.0:0"}
	d.open()
	port := d.l.Addr().(*net.TCPAddr).Port
	const n = 300
	var targets []string
	for i := range n {
		targets = append(targets, fmt.Sprintf("127.0.%d.%d:%d", 1+i/250, 1+i%250, port))
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
	d.l.Close()
	p.until("all down", all(flap.Down))
	p.rounds(2)
	before := heap()
	p.rounds(6)
	if after := heap(); after > before+before/4+1<<20 {
		t.Errorf("six rounds of failures: the heap grew from %d to %d bytes", before, after)
	}
	d.open()
	defer d.l.Close()
	p.until("all up again", all(flap.Up))
	p.end() // which writes what the log has not told yet
	// A second has ten lines of single targets at most, else one; the turn may fall into two or three.
	if down, up := p.lines("down"), p.lines("up"); down < 1 || up < 1 || down+up > 40 || strings.Count(p.log.String(), "\n") > 60 {
		t.Errorf("the log has %d lines of targets that are down and %d of those that are up:\n%s", down, up, p.log)
	}
}
