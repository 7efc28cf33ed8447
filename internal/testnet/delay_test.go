package testnet

import (
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"sonde/internal/testlag"
)

// TestDelaySYNACK connects and exchanges a byte over the slow wire: the first takes 50 ms, the second no time.
func TestDelaySYNACK(t *testing.T) {
	const delay = 50 * time.Millisecond
	if !Inside(t) {
		n := New(t)
		n.DelaySYNACK(t, delay)
		n.Run(t)
		return
	}
	l, err := net.Listen("tcp", net.JoinHostPort(DelayedListen, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var connects, exchanges []time.Duration
	stop := testlag.Watch()
	for range 21 {
		began := time.Now()
		c, err := net.DialTimeout("tcp", net.JoinHostPort(DelayedDial, port), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		connects = append(connects, time.Since(began))
		began = time.Now()
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		exchanges = append(exchanges, time.Since(began))
		c.Close()
	}
	late := 2 * stop() // who serves the wire has to wake up, and so has who waits
	slices.Sort(connects)
	slices.Sort(exchanges)
	if connects[0] < delay {
		t.Errorf("the fastest connect took %v, want none below %v", connects[0], delay)
	}
	// The median: a machine that is busy elsewhere may be late once in a while.
	if got := connects[len(connects)/2]; got > delay+2*time.Millisecond+late {
		t.Errorf("connect took %v, want %v and at most 2 ms and %v more", got, delay, late)
	}
	if got := exchanges[len(exchanges)/2]; got > delay/2+late {
		t.Errorf("an exchange took %v, want that only the connect is slow", got)
	}
	t.Logf("connect %v to %v, exchange %v", connects[0], connects[len(connects)-1], exchanges[len(exchanges)/2])
}
