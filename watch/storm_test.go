package watch

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sonde/internal/clock"
	"sonde/internal/testpeer"
)

// stalls counts how often this process stood still for longer than limit, until the function that it returns is called.
func stalls(limit time.Duration) (end func() int) {
	stop, counted := make(chan struct{}), make(chan int)
	go func() {
		ticker := time.NewTicker(limit / 4)
		defer ticker.Stop()
		clk := clock.NewSystem()
		n, last := 0, clk.Now()
		for {
			select {
			case <-ticker.C:
				now := clk.Now()
				n += int(time.Duration(now-last) / limit)
				last = now
			case <-stop:
				counted <- n
				return
			}
		}
	}()
	return func() int { close(stop); return <-counted }
}

// loopback finds every name at 127.0.0.1.
func loopback(o *Options) {
	o.Lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
}

// TestScrapeStorm has a hundred scrapers ask at once, again and again, and one take a byte and no more: turns are taken as ever.
func TestScrapeStorm(t *testing.T) {
	sink := peer(t, testpeer.Sink)
	_, port, _ := net.SplitHostPort(sink)
	var targets []string
	for i := range 50 {
		targets = append(targets, fmt.Sprintf("name%d.test:%s", i, port))
	}
	file := filepath.Join(t.TempDir(), "targets.txt")
	if err := os.WriteFile(file, []byte(strings.Join(targets, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	const every = 500 * time.Millisecond // a turn may be late by a tenth of it
	p := startWith(t, fmt.Sprintf("%sjobs:\n  - {name: a, module: connect, interval: %v, files: [%s]}\n", connects, every, file), loopback)
	p.rounds(1)

	slow, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	_ = slow.(*net.TCPConn).SetReadBuffer(1 << 10)
	if _, err := io.WriteString(slow, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := slow.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}

	before, stood := p.stats().Schedule, stalls(every/20)
	stop := make(chan struct{})
	var scraped atomic.Int64
	var scrapers sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	defer client.CloseIdleConnections()
	for range 100 {
		scrapers.Go(func() {
			pause := time.NewTicker(50 * time.Millisecond) // they share the CPU with what is tested
			defer pause.Stop()
			for {
				select {
				case <-stop:
					return
				case <-pause.C:
				}
				res, err := client.Get(p.url + "/metrics")
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
					t.Errorf("%s, %v", res.Status, err)
				}
				res.Body.Close()
				scraped.Add(1)
			}
		})
	}
	p.rounds(4)
	close(stop)
	scrapers.Wait()
	after, excuse := p.stats().Schedule, stood()*len(targets)
	taken, lost := after.Turns-before.Turns, after.Missed-before.Missed+after.Overlap-before.Overlap
	if int(lost) > excuse || scraped.Load() < 100 {
		t.Errorf("%d scrapes: %d turns were taken and %d were not, of which %d may be for want of a CPU", scraped.Load(), taken, lost, excuse)
	}
}
