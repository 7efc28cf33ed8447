package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sonde/internal/testpeer"
)

// TestWatchStopsInTheMiddle sends SIGTERM to a watch that is at everything at once: dials and handshakes that hang, answers that do not
// come, names, repetitions, kept connections, lists and a web hook whose servers hang, a probe that somebody waits for, one who takes
// the metrics a byte at a time, and a reload. It ends within its limits, in order, and has not said much.
func TestWatchStopsInTheMiddle(t *testing.T) {
	t.Parallel()
	hanging, reached := make(chan struct{}), make(chan string, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reached <- r.URL.Path
		<-hanging
	}))
	defer server.Close()
	defer close(hanging)
	addr := func(kind testpeer.Kind) string { return testpeer.New(t, kind, testpeer.Options{}).Addr().String() }
	port := func(addr string) string { return addr[strings.LastIndexByte(addr, ':'):] }
	sink, hole, deaf := addr(testpeer.Sink), addr(testpeer.DropSYN), addr(testpeer.TLSSilent)
	list := filepath.Join(t.TempDir(), "list.json")
	if err := os.WriteFile(list, fmt.Appendf(nil, `[{"targets": [%q]}]`, sink), 0o600); err != nil {
		t.Fatal(err)
	}
	m := startService(t, fmt.Sprintf(`
allow: [127.0.0.0/8]
events: {url: "%[1]s/hook"}
modules:
  port: {probe: tcp, timeout: 2s}
  ask: {probe: redis, timeout: 2s}
  tls: {probe: tls, timeout: 2s}
jobs:
  - {name: ports, module: port, interval: 100ms, targets: [%[2]q, "localhost%[5]s", "127.0.0.1:1"]}
  - {name: holes, module: port, interval: 100ms, retries: 5, overlap: true, targets: [%[3]q]}
  - {name: asks, module: ask, interval: 100ms, overlap: true, targets: [%[2]q]}
  - {name: shakes, module: tls, interval: 100ms, overlap: true, targets: [%[4]q]}
  - {name: names, module: port, interval: 100ms, targets: ["none.invalid:1", "no-such.invalid:2"]}
  - {name: keeps, module: port, mode: keep, targets: [%[2]q]}
  - {name: listed, module: port, interval: 100ms, file_sd: [%[6]q], http_sd: [{url: "%[1]s/list"}]}
`, server.URL, sink, hole, deaf, port(sink), list))
	m.expect("READY=1")
	for seen := map[string]bool{}; !seen["/hook"] || !seen["/list"]; {
		seen[<-reached] = true
	}
	m.takeByte()
	page := m.page()
	var asking sync.WaitGroup
	for range 20 {
		asking.Go(func() { // whatever comes: it may be cut
			if res, err := http.Get(page + "/probe?module=ask&target=" + sink); err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		})
	}
	m.awaitInFlight(40)

	began := time.Now()
	m.signal(syscall.SIGHUP)
	m.signal(syscall.SIGTERM)
	for m.hear() != "STOPPING=1" {
	}
	if err := m.watch.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	took := time.Since(began)
	asking.Wait()
	// Ten seconds for probes, two for the hook; the rest is this machine's.
	if said := m.said.String(); took > 40*time.Second || strings.Count(said, "\n") > 40 || strings.Contains(said, "panic") {
		t.Errorf("it took %v to end, and said:\n%s", took, said)
	}
}

// takeByte asks for the metrics, takes a byte of them and no more.
func (m *serviceManager) takeByte() {
	m.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(m.page(), "http://"))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		m.t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		m.t.Fatal(err)
	}
}

// awaitInFlight waits until so many connections are in flight.
func (m *serviceManager) awaitInFlight(want float64) {
	m.t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for limit := time.After(2 * time.Minute); ; {
		var status struct {
			Engine []struct {
				Name  string
				Value float64
			}
		}
		res, err := http.Get(m.page() + "/api/v1/status")
		if err != nil {
			m.t.Fatal(err)
		}
		err = json.NewDecoder(res.Body).Decode(&status)
		res.Body.Close()
		if err != nil {
			m.t.Fatal(err)
		}
		for _, f := range status.Engine {
			if f.Name == "connections in flight" && f.Value >= want {
				return
			}
		}
		select {
		case <-ticker.C:
		case <-limit:
			m.t.Fatalf("fewer than %v connections are in flight after two minutes: %+v", want, status)
		}
	}
}
