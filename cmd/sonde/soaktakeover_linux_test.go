package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What is probed besides the connections that TestSoakWatchTakeover keeps.
const (
	soakTakeoverProbed = 2000
	soakTakeoverEvery  = time.Second
)

// TestSoakWatchTakeover reloads each second for a minute, and has another process take over in the middle: of fifteen thousand kept
// connections none is dropped or made anew, and of two thousand targets that are probed each second no turn is lost.
func TestSoakWatchTakeover(t *testing.T) {
	lasts := min(soakWatchFor(t), time.Minute)
	s := startSoakWatch(t, "redis")
	s.config(fmt.Sprintf(`modules: {ping: {probe: redis, timeout: 5s}, connect: {probe: tcp, timeout: 5s}}
jobs:
- {name: kept, module: ping, mode: keep, heartbeat: 10s, files: [kept]}
- {name: probed, module: connect, interval: %v, files: [probed]}
`, soakTakeoverEvery))
	s.writeTargets(soakWatchKept + soakTakeoverProbed)
	s.split("targets", "kept", "probed", soakWatchKept)
	s.start()
	s.until("keeping all", func() bool { return s.scrape()["kept"] == soakWatchKept })

	began, start := s.takeoverFigures(), time.Now()
	reload := time.NewTicker(time.Second)
	defer reload.Stop()
	reloads, taken := 0, false
	for time.Since(start) < lasts {
		<-reload.C
		if !taken && time.Since(start) > lasts/2 {
			taken = true
			s.run(watchedCore, "watch", "--config", filepath.Join(s.dir, "watch.yml"), "--listen", strings.TrimPrefix(s.url, "http://"), "--takeover")
		}
		res, err := http.Post(s.url+"/-/reload", "", nil)
		if err != nil {
			t.Errorf("a reload: %v", err)
			continue
		}
		res.Body.Close()
		reloads++
	}
	s.until("taken over", func() bool { return s.takeoverFigures().process != began.process })
	end, took := s.takeoverFigures(), time.Since(start)
	turns := end.probes + end.skipped - began.probes - began.skipped
	want := soakTakeoverProbed * took.Seconds() / soakTakeoverEvery.Seconds()
	t.Logf("%d reloads in %v; %.0f connections kept of %d, %.0f connects, %.0f drops; %.0f turns of some %.0f, of which %.0f skipped", reloads, took,
		end.kept, soakWatchKept, end.connects, end.drops, turns, want, end.skipped-began.skipped)
	if end.kept != soakWatchKept || end.drops != 0 || end.connects != began.connects {
		t.Errorf("%.0f connections are kept of %d, %.0f were dropped, %.0f were made", end.kept, soakWatchKept, end.drops, end.connects-began.connects)
	}
	if lost := want - turns; lost > soakTakeoverProbed/4 || lost < -soakTakeoverProbed/4 { // a scrape takes some of them
		t.Errorf("%.0f turns, want some %.0f", turns, want)
	}
	if end.failed != began.failed {
		t.Errorf("%.0f probes of healthy targets failed", end.failed-began.failed)
	}
}

// split shares the lines of a file among two others: so many for the first.
func (s *soakWatch) split(from, first, second string, n int) {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, from))
	if err != nil {
		s.t.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	s.write(first, string(bytes.Join(lines[:n], nil)))
	s.write(second, string(bytes.Join(lines[n:], nil)))
}

// takeoverFigures are what must go on over a takeover.
type takeoverFigures struct {
	process                                        float64 // when it began
	kept, drops, connects, probes, skipped, failed float64
}

func (s *soakWatch) takeoverFigures() (f takeoverFigures) {
	s.t.Helper()
	for line := range bytes.Lines(s.get("/metrics")) {
		text := strings.TrimSpace(string(line))
		at := strings.LastIndexByte(text, ' ')
		v, err := strconv.ParseFloat(text[at+1:], 64)
		if err != nil || text[0] == '#' {
			continue
		}
		name, labels, _ := strings.Cut(text[:at], "{")
		probed := strings.Contains(labels, `job="probed"`)
		switch {
		case name == "process_start_time_seconds":
			f.process = v
		case name == "probe_kept_connection_up":
			f.kept += v
		case name == "probe_kept_connection_drops_total":
			f.drops += v
		case name == "sonde_probes_total" && !strings.Contains(labels, `status="success"`):
			f.failed += v
		case name == "sonde_probes_total" && probed:
			f.probes += v
		case name == "sonde_probes_total":
			f.connects += v
		case name == "sonde_turns_skipped_total" && probed:
			f.skipped += v
		}
	}
	return f
}
