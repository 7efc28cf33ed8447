// Package gnet is the client of panjf2000/gnet as a transport: event loops that call back.
//
// It is used as its documentation has it: one Client with an event loop for each CPU, an EventHandler, writes from within
// the callbacks. Its Dial is a blocking net.Dial without a limit or a context, followed by Enroll, which duplicates the
// descriptor and hands it to a loop. The dial is made here, with both, and enrolled as Dial would: the same calls. So a
// dial takes a goroutine, a descriptor of the runtime's poller and one of gnet's; where all connections are opened first a
// few goroutines dial, and end with it.
package gnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"

	"github.com/panjf2000/gnet/v2"

	"sonde/bench/transport"
	"sonde/bench/transport/internal/callback"
)

// Transport is the client of gnet. The zero value is ready.
type Transport struct{}

var _ transport.Transport = Transport{}

// Name implements [transport.Transport].
func (Transport) Name() string { return "gnet" }

// Supports implements [transport.Transport]: all but TLS.
func (Transport) Supports(w transport.Workload) (bool, string) {
	if w == transport.TLS {
		return false, "gnet has no TLS"
	}
	return true, ""
}

// Run implements [transport.Transport].
func (t Transport) Run(ctx context.Context, job transport.Job) (transport.Result, error) {
	if ok, why := t.Supports(job.Workload); !ok {
		return transport.Result{}, errors.New(why)
	}
	m, err := transport.NewMeter(job)
	if err != nil {
		return transport.Result{}, err
	}
	err = run(ctx, m)
	if err != nil {
		return transport.Result{}, err
	}
	return m.Result(ctx)
}

// run does the job between the client's beginning and its end, of which the end is not measured.
func run(ctx context.Context, m *transport.Meter) error {
	h := &handler{dialer: net.Dialer{Timeout: m.Job.Limits.Connect, KeepAlive: -1}}
	client, err := gnet.NewClient(h, gnet.WithNumEventLoop(runtime.GOMAXPROCS(0)), gnet.WithLogger(silent{}))
	if err == nil {
		err = client.Start()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("gnet: %w", err), m.Stop())
	}
	h.client, h.line = client, m.Job.Payload
	err = callback.New(ctx, m, h.dial, transport.StatusOf).Run()
	return errors.Join(err, m.Stop(), client.Stop())
}

// handler takes the events of all connections. A connection's context is its callback.Conn.
type handler struct {
	gnet.BuiltinEventEngine
	dialer net.Dialer
	client *gnet.Client
	line   []byte
}

// errNotRegistered is for a connection of which the loop says nothing: its poller did not take it, and gnet keeps the
// reason to itself.
var errNotRegistered = errors.New("gnet: connection was not registered")

// dial implements [callback.DialFunc].
func (h *handler) dial(ctx context.Context, to netip.AddrPort, c *callback.Conn) error {
	conn, err := h.dialer.DialTCP(ctx, "tcp", netip.AddrPort{}, to)
	if err != nil {
		return err
	}
	if _, err := h.client.EnrollContext(conn, c); err != nil { // it closes conn
		return err
	}
	if !c.IsOpened() { // OnOpen has run when EnrollContext returns
		return errNotRegistered
	}
	return nil
}

// OnOpen implements [gnet.EventHandler].
func (h *handler) OnOpen(conn gnet.Conn) ([]byte, gnet.Action) {
	c := conn.Context().(*callback.Conn)
	if err := conn.SetLinger(0); err != nil {
		return nil, gnet.Close // not opened: dial tells
	}
	switch c.Opened(line{conn}) {
	case callback.Say:
		return h.line, gnet.None
	case callback.End:
		return nil, gnet.Close
	}
	return nil, gnet.None
}

// OnTraffic implements [gnet.EventHandler].
func (h *handler) OnTraffic(conn gnet.Conn) gnet.Action {
	c := conn.Context().(*callback.Conn)
	data, err := conn.Next(-1) // all there is, without a copy
	if err != nil {
		c.OnClosed(err)
		return gnet.Close
	}
	switch c.OnData(data) {
	case callback.Say:
		if _, err := conn.Write(h.line); err != nil { // gnet closes conn and has told OnClose
			return gnet.None
		}
	case callback.End:
		return gnet.Close
	}
	return gnet.None
}

// OnClose implements [gnet.EventHandler]. err is nil for a connection that we closed.
func (h *handler) OnClose(conn gnet.Conn, err error) gnet.Action {
	if c, ok := conn.Context().(*callback.Conn); ok {
		c.OnClosed(err)
	}
	return gnet.None
}

// line is a connection, for calls from outside its loop.
type line struct{ conn gnet.Conn }

// Send implements [callback.Line].
func (l line) Send(p []byte) error { return l.conn.AsyncWrite(p, nil) }

// Drop implements [callback.Line].
func (l line) Drop() { _ = l.conn.Close() } // fails only when the loops have ended, and all connections with them

// silent is the logger that gnet is given: what it would say comes as an error too.
type silent struct{}

// Debugf implements logging.Logger.
func (silent) Debugf(string, ...any) {}

// Infof implements logging.Logger.
func (silent) Infof(string, ...any) {}

// Warnf implements logging.Logger.
func (silent) Warnf(string, ...any) {}

// Errorf implements logging.Logger.
func (silent) Errorf(string, ...any) {}

// Fatalf implements logging.Logger. It does not exit: that is for cmd to decide.
func (silent) Fatalf(string, ...any) {}
