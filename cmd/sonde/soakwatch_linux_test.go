package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What `sonde watch` must hold to with a hundred thousand targets on one core.
const (
	soakWatchTargets  = 100_000
	soakWatchInterval = 10 * time.Second
	soakWatchCPU      = 50 * time.Microsecond // a probe
	soakWatchRSS      = 300 << 20
	soakWatchLate     = 1e-4 // the share of probes that may be more than 100 ms late
	soakWatchKept     = 15_000
	soakWatchKeptCPU  = 0.10 // of a core
)

// The cores: one for what is measured and the ticker beside it, the other for everything else.
const (
	watchedCore = 0
	otherCore   = 1
)

// soakWatchFor is for how long the soak of sonde watch runs; the test ends here if it is not to run.
func soakWatchFor(t *testing.T) time.Duration {
	text := os.Getenv("SONDE_SOAK_WATCH")
	if text == "" {
		t.Skip("takes minutes; run by make soak-watch")
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 20*time.Second {
		t.Fatalf("SONDE_SOAK_WATCH=%q: want at least 20s", text)
	}
	if runtime.NumCPU() < 2 {
		t.Fatal("wants two cores")
	}
	return d
}

// TestSoakWatch probes a hundred thousand targets of 127.0.0.0/8 each 10 s from one core, is scraped each 15 s, and holds what the
// metrics say against what was promised. Seconds in which a ticker on the same core was itself 20 ms late are left out.
func TestSoakWatch(t *testing.T) {
	lasts := soakWatchFor(t)
	s := startSoakWatch(t, "sink")
	s.config(fmt.Sprintf("modules: {connect: {probe: tcp, timeout: 5s}}\njobs:\n- {name: fleet, module: connect, interval: %v, files: [targets]}\nhistory: 60\n", soakWatchInterval))
	s.writeTargets(soakWatchTargets)
	s.start()
	s.settle(2 * soakWatchInterval)

	began := s.scrape()
	s.ticker.take()
	windows, leftOut := 0, 0
	var probes, late float64
	before := s.status()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	start := time.Now()
	for next := start.Add(15 * time.Second); time.Since(start) < lasts; {
		<-second.C
		if time.Now().After(next) {
			next = next.Add(15 * time.Second)
			go s.scrape() // beside it, as Prometheus would
		}
		now := s.status()
		stall, lateNow := s.ticker.take(), now["probes over 100 ms late"]-before["probes over 100 ms late"]
		if stall >= 20*time.Millisecond {
			leftOut++
		} else {
			windows++
			probes += now["probes"] - before["probes"]
			late += lateNow
		}
		if lateNow > 0 {
			t.Logf("at %v: %.0f probes more than 100 ms late, the ticker %v", time.Since(start).Round(time.Second), lateNow, stall)
		}
		before = now
	}
	end := s.scrape()
	all := end["sonde_schedule_turns_total"] - began["sonde_schedule_turns_total"]
	cpu := time.Duration((end["process_cpu_seconds_total"] - began["process_cpu_seconds_total"]) / all * 1e9)
	rss := end["process_resident_memory_bytes"]
	t.Logf("%d targets, %v: %.0f probes, %v of CPU each, %.0f MiB", soakWatchTargets, lasts, all, cpu, rss/(1<<20))
	t.Logf("%d seconds measured, %d left out since the ticker was late; %.0f of %.0f probes more than 100 ms late", windows, leftOut, late, probes)
	t.Logf("missed turns %.0f, overlapped %.0f, false %.0f", end["sonde_schedule_missed_turns_total"]-began["sonde_schedule_missed_turns_total"],
		end["sonde_schedule_overlapped_turns_total"]-began["sonde_schedule_overlapped_turns_total"], end["false"])
	if want := lasts.Seconds() / soakWatchInterval.Seconds() * soakWatchTargets; all < 0.95*want {
		t.Errorf("%.0f probes, want %.0f", all, want)
	}
	if end["false"] != 0 {
		t.Errorf("%.0f probes of healthy targets failed", end["false"])
	}
	if windows < leftOut {
		t.Errorf("the machine was too busy: %d of %d seconds were left out", leftOut, windows+leftOut)
	}
	if late > soakWatchLate*probes {
		t.Errorf("%.0f of %.0f probes were more than 100 ms late, want at most %.0f", late, probes, soakWatchLate*probes)
	}
	if cpu > soakWatchCPU {
		t.Errorf("a probe takes %v, want at most %v", cpu, soakWatchCPU)
	}
	if rss > soakWatchRSS {
		t.Errorf("%.0f MiB in RAM, want at most %d", rss/(1<<20), soakWatchRSS>>20)
	}
}

// TestSoakWatchKept keeps fifteen thousand connections with a heartbeat each 10 s.
func TestSoakWatchKept(t *testing.T) {
	lasts := min(soakWatchFor(t), time.Minute)
	s := startSoakWatch(t, "redis")
	s.config("modules: {ping: {probe: redis, timeout: 5s}}\njobs:\n- {name: kept, module: ping, mode: keep, heartbeat: 10s, files: [targets]}\n")
	s.writeTargets(soakWatchKept)
	s.start()
	s.settle(25 * time.Second)
	began, start := s.scrape(), time.Now()
	<-time.After(lasts)
	end := s.scrape()
	cpu := (end["process_cpu_seconds_total"] - began["process_cpu_seconds_total"]) / time.Since(start).Seconds()
	t.Logf("%.0f connections kept of %d, %.1f %% of a core, %.0f MiB, drops %.0f", end["kept"], soakWatchKept, 100*cpu,
		end["process_resident_memory_bytes"]/(1<<20), end["drops"])
	if end["kept"] != soakWatchKept || end["drops"] != 0 {
		t.Errorf("%.0f connections are kept of %d, %.0f were dropped", end["kept"], soakWatchKept, end["drops"])
	}
	if cpu > soakWatchKeptCPU {
		t.Errorf("%.1f %% of a core, want at most %.0f %%", 100*cpu, 100*soakWatchKeptCPU)
	}
}

// soakWatch is a sonde watch on one core, with what it asks on the other.
type soakWatch struct {
	t         *testing.T
	dir, bin  string
	port, url string
	ticker    *coreTicker
}

func startSoakWatch(t *testing.T, kind string) *soakWatch {
	t.Helper()
	s := &soakWatch{t: t, dir: t.TempDir()}
	s.bin = filepath.Join(s.dir, "sonde")
	if out, err := exec.Command("go", "build", "-o", s.bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	list := filepath.Join(s.dir, "served")
	s.run(otherCore, "serve", "-q", "--all-loopback", "--kinds", kind, "--targets", list)
	s.until("serving", func() bool {
		line, err := os.ReadFile(list)
		fields := strings.Split(strings.TrimSpace(string(line)), ",")
		s.port = fields[len(fields)-1]
		return err == nil
	})
	return s
}

// run starts sonde on a core, until the test ends.
func (s *soakWatch) run(core int, args ...string) {
	s.t.Helper()
	cmd := exec.Command("taskset", append([]string{"-c", strconv.Itoa(core), s.bin}, args...)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
}

func (s *soakWatch) until(what string, ok func() bool) {
	s.t.Helper()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(30 * time.Second); !ok(); <-poll.C {
		if time.Now().After(end) {
			s.t.Fatalf("not %s within 30 s", what)
		}
	}
}

func (s *soakWatch) config(text string) { s.write("watch.yml", text) }

func (s *soakWatch) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// writeTargets writes that many addresses of 127.0.0.0/8 to the file targets.
func (s *soakWatch) writeTargets(n int) {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "127.%d.%d.%d:%s\n", 1+i>>16, i>>8&255, i&255, s.port)
	}
	s.write("targets", b.String())
}

// start starts the watch, and the ticker beside it.
func (s *soakWatch) start() {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	s.url = "http://" + addr
	s.run(watchedCore, "watch", "--config", filepath.Join(s.dir, "watch.yml"), "--listen", addr)
	s.until("watching", func() bool {
		res, err := http.Get(s.url + "/-/ready")
		if err == nil {
			res.Body.Close()
		}
		return err == nil && res.StatusCode == 200
	})
	s.ticker = startCoreTicker(s.t)
}

// settle lets all begin.
func (s *soakWatch) settle(d time.Duration) { <-time.After(d) }

func (s *soakWatch) get(path string) []byte {
	res, err := http.Get(s.url + path)
	if err != nil {
		s.t.Error(err)
		return nil
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		s.t.Errorf("%s: %s, %v", path, res.Status, err)
	}
	return text
}

// status are the figures that the page shows.
func (s *soakWatch) status() map[string]float64 {
	var status struct {
		Engine []struct {
			Name  string
			Value float64
		}
	}
	if err := json.Unmarshal(s.get("/api/v1/status"), &status); err != nil {
		s.t.Fatal(err)
	}
	m := make(map[string]float64)
	for _, f := range status.Engine {
		m[f.Name] = f.Value
	}
	return m
}

// scrape reads the metrics: those without labels by name, and sums of what is asked of targets: "false" are the probes that did not
// succeed, "kept" the connections that stand, "drops" those that ended.
func (s *soakWatch) scrape() map[string]float64 {
	m := make(map[string]float64)
	for line := range bytes.Lines(s.get("/metrics")) {
		name, value, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		if strings.HasPrefix(name, "#") {
			continue
		}
		if i := strings.LastIndexByte(string(line), ' '); i >= 0 {
			value = strings.TrimSpace(string(line[i:]))
			name = strings.TrimSpace(string(line[:i]))
		}
		v, err := strconv.ParseFloat(value, 64)
		switch {
		case err != nil:
			s.t.Errorf("the metrics have %q", line)
		case strings.HasPrefix(name, "sonde_probes_total{") && !strings.Contains(name, `status="success"`):
			m["false"] += v
		case strings.HasPrefix(name, "probe_kept_connection_up{"):
			m["kept"] += v
		case strings.HasPrefix(name, "probe_kept_connection_drops_total{"):
			m["drops"] += v
		case !strings.Contains(name, "{"):
			m[name] = v
		}
	}
	return m
}

// coreTicker wakes each 2 ms on the core of what is measured, and notes how late.
type coreTicker struct{ worst atomic.Int64 }

func startCoreTicker(t *testing.T) *coreTicker {
	c, end := &coreTicker{}, make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(over)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		var set unix.CPUSet
		set.Set(watchedCore)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			t.Errorf("sched_setaffinity: %v", err)
			return
		}
		const each = 2 * time.Millisecond
		for {
			select {
			case <-end:
				return
			default:
			}
			before := time.Now()
			rest := unix.NsecToTimespec(int64(each))
			_ = unix.Nanosleep(&rest, nil)
			late := int64(time.Since(before) - each)
			for old := c.worst.Load(); late > old && !c.worst.CompareAndSwap(old, late); old = c.worst.Load() {
			}
		}
	}()
	t.Cleanup(func() { close(end); <-over })
	return c
}

// take is by how much it was late at most since it was last asked.
func (c *coreTicker) take() time.Duration { return time.Duration(c.worst.Swap(0)) }
