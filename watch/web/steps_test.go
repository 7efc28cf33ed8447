package web_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"sonde/internal/clock"
	"sonde/watch/web"
)

// stepped is the clock of a process whose machine's wall clock was set by so much since it began.
type stepped struct {
	clock.Clock
	by time.Duration
}

// Wall implements clock.Clock.
func (s stepped) Wall(moment int64) time.Time { return s.Clock.Wall(moment).Add(-s.by) }

// TestClockSteps: answers are taken as before when the wall clock was set by hours, in either way.
func TestClockSteps(t *testing.T) {
	for _, by := range []time.Duration{-3 * time.Hour, 3 * time.Hour} {
		f := newFake(t, 10)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- web.New(f, web.Options{Clock: stepped{f.clock, by}}).Serve(ctx, l) }()
		for _, path := range []string{"/metrics", "/api/v1/targets", "/"} {
			res, err := http.Get("http://" + l.Addr().String() + path)
			if err != nil {
				t.Errorf("set by %v: %v", by, err)
				continue
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
				t.Errorf("set by %v: %s: %s, %v", by, path, res.Status, err)
			}
			res.Body.Close()
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
