package testpeer_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"sonde/internal/testpeer"
)

// ping sends a line, wants it back and returns how long that took.
func ping(t *testing.T, c net.Conn) time.Duration {
	t.Helper()
	began := time.Now()
	fmt.Fprint(c, "ping\n")
	if got := readN(t, c, 5); got != "ping\n" {
		t.Fatalf("got %q, want the line back", got)
	}
	return time.Since(began)
}

// TestStall asks again as soon as it is answered: the request that meets the start of a stall waits for all of it.
func TestStall(t *testing.T) {
	p := testpeer.New(t, testpeer.Stall, testpeer.Options{})
	c := dial(t, p)
	ping(t, c) // comes at the end of the first stall, or in it
	var ends []time.Time
	answers := 0
	for len(ends) < 2 {
		took := ping(t, c)
		answers++
		if took > testpeer.StallTime*3/4 {
			ends = append(ends, time.Now())
		}
	}
	if between := ends[1].Sub(ends[0]); between < 900*time.Millisecond || between > 1100*time.Millisecond {
		t.Errorf("stalls end %v apart, want a second", between)
	}
	if answers < 100 {
		t.Errorf("got %d answers in two seconds, want them at once but in a stall", answers)
	}
}

// TestLate pings on many connections at once. Whatever the machine does, no answer is early and most are hardly late.
func TestLate(t *testing.T) {
	p := testpeer.New(t, testpeer.Late, testpeer.Options{Seed: 7})
	took := make([]time.Duration, 200)
	var wg sync.WaitGroup
	for i := range took {
		c := dial(t, p)
		wg.Go(func() { took[i] = ping(t, c) })
	}
	wg.Wait()
	slices.Sort(took)
	if took[0] < testpeer.MinLateness {
		t.Errorf("got an answer after %v, want none before %v", took[0], testpeer.MinLateness)
	}
	if p50 := took[len(took)/2]; p50 < 270*time.Millisecond || p50 > 350*time.Millisecond {
		t.Errorf("half of the answers took %v, want 275 ms", p50)
	}
}

// TestFull finds the peer refusing when it has what it takes, and those that it took are served on.
func TestFull(t *testing.T) {
	p := testpeer.New(t, testpeer.Full, testpeer.Options{Accepts: 3, MaxConns: 1})
	var taken []net.Conn
	for range 3 {
		c := dial(t, p)
		ping(t, c)
		taken = append(taken, c)
	}
	for began := time.Now(); ; { // the listener closes a moment after the last was accepted
		c, err := net.Dial("tcp", p.Addr().String())
		if errors.Is(err, syscall.ECONNREFUSED) {
			break
		}
		if err == nil {
			c.Close()
		}
		if time.Since(began) > patience {
			t.Fatalf("got %v, want ECONNREFUSED", err)
		}
	}
	for _, c := range taken {
		ping(t, c)
	}
}

// TestMortal sees all connections end, and the listener go.
func TestMortal(t *testing.T) {
	p := testpeer.New(t, testpeer.Mortal, testpeer.Options{Life: 50 * time.Millisecond})
	began := time.Now()
	clients := []net.Conn{dial(t, p), dial(t, p)}
	for _, c := range clients {
		_, err := c.Read(make([]byte, 1))
		if err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read: got %v, want the end", err)
		}
	}
	if lived := time.Since(began); lived < 50*time.Millisecond {
		t.Errorf("it lived for %v, want 50 ms", lived)
	}
	if _, err := net.Dial("tcp", p.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: got %v, want ECONNREFUSED", err)
	}
}

// TestLoadHTTP asks each of them for a page.
func TestLoadHTTP(t *testing.T) {
	for _, a := range testpeer.Kinds() {
		if !a.Load {
			continue
		}
		t.Run(string(a.Kind), func(t *testing.T) {
			p := testpeer.New(t, a.Kind, testpeer.Options{})
			client := &http.Client{Timeout: patience}
			defer client.CloseIdleConnections()
			for range 2 {
				r, err := client.Get("http://" + p.Addr().String() + "/status/204")
				if err != nil {
					t.Fatal(err)
				}
				r.Body.Close()
				if r.StatusCode != 204 {
					t.Errorf("got status %d, want 204", r.StatusCode)
				}
			}
		})
	}
}
