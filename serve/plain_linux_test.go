package serve

import (
	"bytes"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"sonde/internal/clock"
	"sonde/internal/kernel/poller"
	"sonde/internal/testpeer"
)

// TestEchoOfHalfClosed: what a client sent before its FIN comes back whole, though the client reads late and the socket takes
// it in parts.
func TestEchoOfHalfClosed(t *testing.T) {
	f := start(t, Config{Kinds: []testpeer.Kind{testpeer.Echo}, Loops: 2})
	addr := find(t, f, testpeer.Echo)
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			c, err := dial(addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			sent := bytes.Repeat([]byte{byte(i), 'x', '\n'}, maxOutbound/3)
			if _, err := c.Write(sent); err != nil {
				t.Errorf("write: %v", err)
			}
			if err := c.CloseWrite(); err != nil {
				t.Errorf("close: %v", err)
			}
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("got %d of %d bytes, error %v", len(got), len(sent), err)
			}
		})
	}
	clients.Wait()
}

// TestPlainIsBounded: connections beyond the descriptors are reset, those of both ways of serving counted together, and each
// that ends makes room for another.
func TestPlainIsBounded(t *testing.T) {
	// Four descriptors are the listeners', six are left.
	f := start(t, Config{Kinds: []testpeer.Kind{testpeer.Echo, testpeer.SSH}, Descriptors: 8})
	served := func(kind testpeer.Kind) (io.Closer, bool) {
		c, err := dial(find(t, f, kind))
		if err != nil {
			return io.NopCloser(nil), false // the reset was faster
		}
		_, _ = c.Write([]byte("x")) // may meet the reset, which the read tells
		_, err = c.Read(make([]byte, 1))
		return c, err == nil
	}
	var open []io.Closer
	for i := range 6 {
		kind := []testpeer.Kind{testpeer.Echo, testpeer.SSH}[i%2]
		c, ok := served(kind)
		if !ok {
			t.Fatalf("connection %d, to %s, was turned away", i, kind)
		}
		open = append(open, c)
	}
	if c, ok := served(testpeer.Echo); ok {
		t.Error("a connection too many was served")
	} else {
		c.Close()
	}
	for _, c := range open {
		c.Close()
	}
	for range 6 { // served as soon as the ends are seen
		for {
			c, ok := served(testpeer.Echo)
			if ok {
				defer c.Close()
				break
			}
			c.Close()
		}
	}
}

// TestStarvedListenerWaitsOnce: each connection that comes while there are no descriptors wakes the listener, which waits for
// them all the same once, not once for each.
func TestStarvedListenerWaitsOnce(t *testing.T) {
	p, err := poller.Open(clock.NewSystem())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	l := &plainLoop{plain: &plain{conns: new(atomic.Int64)}, poller: p}
	broken := &plainListener{fd: -1} // accept4(2) fails as it does without descriptors: with none
	first, second := poller.MakeToken(7, 1), poller.MakeToken(8, 2)
	for range 3 {
		l.accept(0, first, broken)
		l.accept(0, second, broken)
	}
	if want := []poller.Token{first, second}; !slices.Equal(l.starved, want) {
		t.Errorf("got the listeners %v waiting, want each once: %v", l.starved, want)
	}
}
