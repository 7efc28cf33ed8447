//go:build darwin || (linux && (amd64 || arm64))

package netpoll

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/cloudwego/netpoll"

	"sonde/bench/transport"
	"sonde/bench/transport/internal/callback"
	"sonde/internal/kernel/socket"
	"sonde/report"
)

// Transport is netpoll. The zero value is ready.
type Transport struct{}

var _ transport.Transport = Transport{}

// Name implements [transport.Transport].
func (Transport) Name() string { return "netpoll" }

// Supports implements [transport.Transport]: all but TLS.
func (Transport) Supports(w transport.Workload) (bool, string) {
	if w == transport.TLS {
		return false, "netpoll has no TLS"
	}
	return true, ""
}

// bufferSize is the first size of a connection's buffers, in bytes.
const bufferSize = 512

// configure sets netpoll up before its first connection; it may not be done later, nor twice.
var configure = sync.OnceValue(func() error {
	netpoll.LinkBufferCap = bufferSize // BufferSize alone is rounded up to it
	return netpoll.Configure(netpoll.Config{BufferSize: bufferSize, LoggerOutput: io.Discard, LoadBalance: netpoll.RoundRobin})
})

// Run implements [transport.Transport].
func (t Transport) Run(ctx context.Context, job transport.Job) (transport.Result, error) {
	if ok, why := t.Supports(job.Workload); !ok {
		return transport.Result{}, errors.New(why)
	}
	if err := configure(); err != nil {
		return transport.Result{}, fmt.Errorf("netpoll: %w", err)
	}
	m, err := transport.NewMeter(job)
	if err != nil {
		return transport.Result{}, err
	}
	d := dialer{job: m.Job}
	if err := errors.Join(callback.New(ctx, m, d.dial, statusOf).Run(), m.Stop()); err != nil {
		return transport.Result{}, err
	}
	return m.Result(ctx)
}

// statusOf knows the errors of netpoll's own, which are errnos above the kernel's.
func statusOf(phase transport.Phase, err error) report.Status {
	switch {
	case errors.Is(err, netpoll.ErrEOF), errors.Is(err, netpoll.ErrConnClosed):
		return report.ConnectionClosed
	case errors.Is(err, netpoll.ErrReadTimeout), errors.Is(err, netpoll.ErrWriteTimeout):
		return report.IOTimeout
	}
	return transport.StatusOf(phase, err)
}

// dialer opens the connections of a run.
type dialer struct{ job transport.Job }

// dial implements [callback.DialFunc].
func (d dialer) dial(ctx context.Context, to netip.AddrPort, c *callback.Conn) error {
	limited, cancel := context.WithTimeout(ctx, d.job.Limits.Connect)
	defer cancel()
	conn, err := netpoll.DialTCP(limited, "tcp", nil, &netpoll.TCPAddr{TCPAddr: *net.TCPAddrFromAddrPort(to)})
	if err != nil {
		if limited.Err() != nil {
			return limited.Err() // netpoll has but a text for it
		}
		return err
	}
	if err := socket.ResetOnClose(conn.Fd()); err != nil {
		_ = conn.Close()
		return err
	}
	l := line{conn: conn, c: c, payload: d.job.Payload, limit: d.job.Limits.Read}
	switch c.Opened(l) {
	case callback.End:
		l.Drop()
		return nil
	case callback.Say:
		return l.begin(true)
	}
	return l.begin(false)
}

// line is a connection.
type line struct {
	conn    *netpoll.TCPConnection
	c       *callback.Conn
	payload []byte
	limit   time.Duration // of a write
}

// begin says the line if it is to, and then has netpoll call back: an answer in between waits in the buffer. In the other
// order the next line could be written while this one still is, which netpoll does not allow.
func (l line) begin(say bool) error {
	err := l.conn.SetWriteTimeout(l.limit)
	if err == nil && say {
		err = l.Send(l.payload)
	}
	err = errors.Join(err,
		l.conn.AddCloseCallback(func(netpoll.Connection) error { l.c.OnClosed(netpoll.ErrEOF); return nil }),
		l.conn.SetOnRequest(l.onRequest),
	)
	// The peer may have closed before the callbacks were there, which then are never called.
	if err == nil && !l.conn.IsActive() {
		err = netpoll.ErrEOF
	}
	if err != nil {
		l.c.OnClosed(err)
		l.Drop()
	}
	return nil
}

// onRequest takes what has come. It must take all of it, or is called for ever.
func (l line) onRequest(context.Context, netpoll.Connection) error {
	r := l.conn.Reader()
	next := callback.Nothing
	data, err := r.Next(r.Len())
	if err == nil {
		next = l.c.OnData(data)
		err = r.Release()
	}
	if err == nil && next == callback.Say {
		err = l.Send(l.payload)
	}
	if err != nil {
		l.c.OnClosed(err)
	}
	if err != nil || next == callback.End {
		l.Drop()
	}
	return nil
}

// Send implements [callback.Line].
func (l line) Send(p []byte) error {
	w := l.conn.Writer()
	if _, err := w.WriteBinary(p); err != nil {
		return err
	}
	return w.Flush()
}

// Drop implements [callback.Line].
func (l line) Drop() { _ = l.conn.Close() }
