package watch

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sonde/internal/testpeer"
	"sonde/internal/workers"
	"sonde/policy/pace"
	"sonde/report"
	"sonde/watch/config"
	"sonde/watch/track"
	"sonde/watch/web"
)

// roleEnv makes the test binary a worker.
const roleEnv = "SONDE_TEST_WATCH"

// workerEnv makes it one. Under the race detector a process would wait for a second before it exits.
func workerEnv() []string {
	return []string{roleEnv + "=worker", "GORACE=" + os.Getenv("GORACE") + " atexit_sleep_ms=0"}
}

func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) == "" {
		os.Exit(m.Run())
	}
	w, err := workers.Serve(os.Stdin, os.Stdout)
	if err == nil {
		err = Work(w, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// figure is the value of a series; -1 if it is not there.
func (p *play) figure(series string) float64 {
	p.t.Helper()
	_, text := p.get("/metrics")
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(text)
	if m == nil {
		return -1
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// names are so many targets that are one peer by other names.
func names(t *testing.T, kind testpeer.Kind, n int) []string {
	t.Helper()
	addr := testpeer.New(t, kind, testpeer.Options{}).Addr()
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("%v,name-%d.test,,%d", addr.Addr(), i, addr.Port()))
	}
	return all
}

// TestFleet watches from three processes: all of it looks like one.
func TestFleet(t *testing.T) {
	sink, redis := peer(t, testpeer.Sink), peer(t, testpeer.Redis)
	const every = 100 * time.Millisecond
	refused := names(t, testpeer.Refuse, 40)
	kept := job("kept", "ping", 0, "mode: keep\n    heartbeat: 200ms", redis)
	probed := job("a", "connect", every, "", append(refused, sink)...)
	p := startIn(t, 3, connects+"jobs:\n"+probed+kept)
	total := len(refused) + 2
	p.until("all targets asked", func() bool {
		n := 0
		for _, v := range p.views() {
			if v.Probed() {
				n++
			}
		}
		return n == total
	})
	p.until("the connection kept", func() bool {
		v := p.views()[redis]
		return v.Kept().Up && v.Kept().RTT > 0
	})
	for series, want := range map[string]float64{
		`sonde_targets{job="a",state="down"}`: float64(len(refused)), `sonde_targets{job="a",state="up"}`: 1,
		`sonde_targets{job="kept",state="up"}`: 1, `sonde_kept_connections{job="kept",state="up"}`: 1,
		`sonde_worker_up{worker="0"}`: 1, `sonde_worker_up{worker="2"}`: 1, `sonde_worker_up{worker="3"}`: -1,
		`sonde_discovery_targets{job="a",kind="inline",source=""}`: float64(total - 1), `sonde_config_last_reload_successful`: 1,
	} {
		if got := p.figure(series); got != want {
			t.Errorf("%s: got %v, want %v", series, got, want)
		}
	}
	p.checkBackend(total, sink)

	// A reload moves nobody.
	before := p.views()
	p.write(connects + "jobs:\n" + job("a", "connect", every, "", append(refused[:20:20], sink)...) + kept) // which the parent notices
	p.until("without some targets", func() bool { return len(p.views()) == total-20 })
	after := p.views()
	for instance, v := range after {
		was := before[instance]
		if v.ID() != was.ID() || v.Counts().Probes < was.Counts().Probes {
			t.Errorf("%s: what was known of it is gone", instance)
		}
	}
	if v := after[redis]; v.Kept().Connects != 1 {
		t.Errorf("the kept connection did not live through a reload: %+v", v.Kept())
	}
	p.write("modules: {x: {probe: nothing}}\n")
	if res, err := http.Post(p.url+"/-/reload", "", nil); err != nil || res.StatusCode != http.StatusInternalServerError {
		t.Errorf("a bad file: %v, %v", res, err)
	}
	if n := len(p.views()); n != total-20 {
		t.Errorf("a bad file left %d targets of %d", n, total-20)
	}
	p.write(connects + "jobs:\n" + kept)
	p.until("silent of a job that is gone", func() bool {
		_, text := p.get("/metrics")
		return !strings.Contains(text, `job="a"`)
	})
}

// checkBackend asks all that the page asks, and a probe.
func (p *play) checkBackend(targets int, good string) {
	p.t.Helper()
	ctx, b := p.t.Context(), p.backend()
	var c track.Copy
	if err := b.Copy(ctx, &c); err != nil {
		p.t.Fatal(err)
	}
	var refs []web.Ref
	seen := map[uint32]bool{}
	for i := range c.Views {
		v := &c.Views[i]
		if i > 0 && c.Views[i-1].ID() >= v.ID() {
			p.t.Fatalf("ids are not in order: %d, %d", c.Views[i-1].ID(), v.ID())
		}
		seen[v.ID()>>30] = true
		refs = append(refs, web.Ref{ID: v.ID(), Target: v.Target})
	}
	if len(refs) != targets || len(seen) != 3 {
		p.t.Errorf("got %d targets of %d workers, want %d of 3", len(refs), len(seen), targets)
	}
	refs = append(refs, web.Ref{ID: refs[0].ID, Target: &track.Target{Instance: "another"}})
	points, err := b.Points(ctx, refs)
	if err != nil || len(points) != len(refs) {
		p.t.Fatalf("%d histories of %d, %v", len(points), len(refs), err)
	}
	for i := range refs[:targets] {
		of := points[i]
		if len(of) == 0 || (of[0].Status == report.Success) != (c.Views[i].Status() == report.Success) {
			p.t.Errorf("%s: got %d points %+v", refs[i].Target.Instance, len(of), of[:min(len(of), 1)])
		}
	}
	if of := points[targets]; of != nil {
		p.t.Errorf("got %d points of a target that is not there", len(of))
	}
	fails, err := b.Failures(ctx)
	if err != nil || len(fails) == 0 || fails[0].Status != report.ConnectionRefused || fails[0].At.Before(fails[len(fails)-1].At) {
		p.t.Errorf("got %d failures, %v", len(fails), err)
	}
	status, err := b.Status(ctx)
	if err != nil || status.Engine[0].Value != float64(targets) || len(status.Sources) != 2 || status.Config.File != p.file {
		p.t.Errorf("got status %+v, %v", status, err)
	}
	for range 4 { // of any worker
		if _, text := p.get("/probe?module=connect&target=" + good); !strings.Contains(text, "probe_success 1") {
			p.t.Errorf("a probe: %s", text)
		}
	}
	if code, text := p.get("/probe?module=connect&target=192.0.2.1:80"); code != http.StatusForbidden {
		p.t.Errorf("a probe of what is not allowed: %d %s", code, text)
	}
}

func TestShare(t *testing.T) {
	var all *share
	if !all.has(7) || all.rate(pace.Settings{PerSecond: 9}).PerSecond != 9 || all.file("f") != "f" {
		t.Error("who has no share has not all")
	}
	for key := range uint64(10) {
		n := 0
		for worker := range 3 {
			if (&share{Worker: worker, Count: 3}).has(key) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d workers have the target %d", n, key)
		}
	}
	s := &share{Worker: 2, Count: 3}
	if got := s.rate(pace.Settings{PerSecond: 9, Bits4: 24}); got != (pace.Settings{PerSecond: 3, Bits4: 24}) {
		t.Errorf("got rate %+v", got)
	}
	if got := s.file("spool"); got != "spool.2" {
		t.Errorf("got %q", got)
	}
	if got := s.file(""); got != "" {
		t.Errorf("got %q for no file", got)
	}
}

func TestCountWorkers(t *testing.T) {
	for _, c := range []struct{ kept, descriptors, want int }{
		{0, 1000, 0}, {800, 1000, 0}, {801, 1000, 2}, {15_000, 4000, 5}, {1 << 30, 100_000, config.MaxWorkers}, {1 << 30, 100, 25},
	} {
		if got := autoWorkers(c.kept, c.descriptors); got != c.want {
			t.Errorf("%d connections, %d descriptors: got %d workers, want %d", c.kept, c.descriptors, got, c.want)
		}
	}
	file := filepath.Join(t.TempDir(), "watch.yml")
	for _, c := range []struct {
		text string
		want config.Workers
		n    int
	}{
		{"", 0, 0}, {"workers: 3\n", 0, 3}, {"workers: 3\n", 2, 2}, {"workers: 3\n", config.Auto, 0}, {"workers: auto\n", 0, 0},
	} {
		text := connects + c.text + "jobs:\n" + job("k", "ping", 0, "mode: keep", "127.0.0.0/28:1") + job("a", "connect", time.Second, "", "127.0.0.0/8:1")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := CountWorkers(t.Context(), file, c.want); n != c.n || err != nil {
			t.Errorf("%q, %v: got %d, %v; want %d", c.text, c.want, n, err, c.n)
		}
	}
}
