// Package steady is peers that never end a connection, and tell what came to them: for tests of connections that are to outlive something.
package steady

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Peers answer whatever they are asked as Redis answers a ping, each at an address of its own. Make them with [Start]; their methods are
// safe for concurrent use.
type Peers struct {
	// Addrs are where they listen, on loopback.
	Addrs []string

	accepted, ended atomic.Int64

	mu          sync.Mutex
	first, last []time.Time // by peer: when it was connected to
}

// Start starts so many, which listen until the test ends.
func Start(t *testing.T, n int) *Peers {
	t.Helper()
	p := &Peers{first: make([]time.Time, n), last: make([]time.Time, n)}
	for i := range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		p.Addrs = append(p.Addrs, l.Addr().String())
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				p.note(i)
				go p.answer(c)
			}
		}()
	}
	return p
}

func (p *Peers) note(i int) {
	p.accepted.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last[i] = time.Now()
	if p.first[i].IsZero() {
		p.first[i] = p.last[i]
	}
}

func (p *Peers) answer(c net.Conn) {
	defer c.Close()
	b := make([]byte, 512)
	for {
		if _, err := c.Read(b); err != nil {
			p.ended.Add(1)
			return
		}
		if _, err := io.WriteString(c, "+PONG\r\n"); err != nil {
			return
		}
	}
}

// Accepted is how many connections there were.
func (p *Peers) Accepted() int64 { return p.accepted.Load() }

// Ended is how many of them the other side ended.
func (p *Peers) Ended() int64 { return p.ended.Load() }

// Spans are the times between the first connection to each peer and the last one.
func (p *Peers) Spans() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	spans := make([]time.Duration, len(p.first))
	for i := range spans {
		spans[i] = p.last[i].Sub(p.first[i])
	}
	return spans
}
