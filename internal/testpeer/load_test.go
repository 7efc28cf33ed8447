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

	"sonde/internal/testlag"
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

// TestStall asks again as soon as it is answered, for three stalls: nothing is both asked and answered in one of them, and between
// them answers come at once. However late a busy machine makes an answer, it does not bring one into a stall.
func TestStall(t *testing.T) {
	before := time.Now() // the peer's seconds begin between the two
	p := testpeer.New(t, testpeer.Stall, testpeer.Options{})
	after := time.Now()
	c := dial(t, p)
	fastest := patience
	for time.Since(after) < 3*testpeer.StallPeriod {
		began := time.Now()
		fastest = min(fastest, ping(t, c))
		stall := began.Sub(after) / testpeer.StallPeriod * testpeer.StallPeriod
		if at := time.Since(before); at < stall+testpeer.StallTime {
			t.Errorf("asked %v and answered %v after its start, want silence for %v each second", began.Sub(after), at, testpeer.StallTime)
		}
	}
	if fastest > testpeer.StallTime/2 {
		t.Errorf("the fastest of all answers took %v, want them at once but in a stall", fastest)
	}
}

// TestLate pings on many connections at once. Whatever the machine does, no answer is early; most are hardly late, but for what the
// machine takes away from each of the four who have to wake up for one: client and peer, each twice.
func TestLate(t *testing.T) {
	p := testpeer.New(t, testpeer.Late, testpeer.Options{Seed: 7})
	took := make([]time.Duration, 200)
	stop := testlag.Watch()
	var wg sync.WaitGroup
	for i := range took {
		c := dial(t, p)
		wg.Go(func() { took[i] = ping(t, c) })
	}
	wg.Wait()
	lag := stop()
	slices.Sort(took)
	if took[0] < testpeer.MinLateness {
		t.Errorf("got an answer after %v, want none before %v", took[0], testpeer.MinLateness)
	}
	if p50 := took[len(took)/2]; p50 < 270*time.Millisecond || p50 > 280*time.Millisecond+4*lag {
		t.Errorf("half of the answers took %v, want 275 ms, and at most four times %v more", p50, lag)
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
