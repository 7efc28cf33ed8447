package watch

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sonde/internal/testlog"
	"sonde/internal/testpeer"
	"sonde/report"
	"sonde/watch/track"
)

// play is a Watch that runs until the test ends.
type play struct {
	*Watch
	t    *testing.T
	file string
	url  string
	log  *testlog.Log
	end  func()
}

// start runs a Watch by a configuration, with a web server.
func start(t *testing.T, configuration string) *play {
	return startWith(t, configuration, func(*Options) {})
}

// startIn is start in so many worker processes.
func startIn(t *testing.T, workers int, configuration string) *play {
	return startWith(t, configuration, func(o *Options) {
		o.Workers = Workers{Count: workers, Env: workerEnv(), Stderr: o.Workers.Stderr}
	})
}

// startWith is start with other options.
func startWith(t *testing.T, configuration string, change func(*Options)) *play {
	t.Helper()
	p := &play{t: t, file: filepath.Join(t.TempDir(), "watch.yml"), log: &testlog.Log{}}
	p.write(configuration)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.url = "http://" + l.Addr().String()
	ready := make(chan struct{})
	log := slog.New(slog.NewTextHandler(p.log, nil))
	o := Options{File: p.file, Listeners: []net.Listener{l}, Version: "test", Log: log, Ready: func() { close(ready) }, Drain: 100 * time.Millisecond}
	o.Web.Reload = true
	o.Workers.Stderr = p.log
	change(&o)
	if p.Watch, err = New(o); err != nil {
		l.Close()
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	p.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(p.end)
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	return p
}

// write replaces the configuration at once, as a deployment would.
func (p *play) write(configuration string) {
	p.t.Helper()
	next := p.file + ".new"
	if err := os.WriteFile(next, []byte(configuration), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(next, p.file); err != nil {
		p.t.Fatal(err)
	}
}

// get asks the web server.
func (p *play) get(path string) (code int, body string) {
	p.t.Helper()
	res, err := http.Get(p.url + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// until waits until ok holds.
func (p *play) until(what string, ok func() bool) {
	p.t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for limit := time.After(time.Minute); !ok(); {
		select {
		case <-ticker.C:
		case <-limit:
			p.t.Fatalf("not %s within a minute; the log:\n%s", what, p.log)
		}
	}
}

// views are the targets by instance.
func (p *play) views() map[string]track.View {
	p.t.Helper()
	var c track.Copy
	if err := p.backend().Copy(context.Background(), &c); err != nil {
		p.t.Fatal(err)
	}
	m := make(map[string]track.View)
	for _, v := range c.Views {
		m[v.Target.Instance] = v
	}
	return m
}

// connects are modules whose limits a busy machine does not reach.
const connects = `
modules:
  connect: {probe: tcp, timeout: 1m, connect_timeout: 1m}
  ping: {probe: redis, timeout: 1m, connect_timeout: 1m, read_timeout: 1m}
`

// job is one of a configuration.
func job(name, module string, interval time.Duration, more string, targets ...string) string {
	text := fmt.Sprintf("  - name: %s\n    module: %s\n    %s\n    targets: [", name, module, more)
	if !strings.Contains(more, "keep") {
		text = strings.Replace(text, "    targets", fmt.Sprintf("    interval: %v\n    targets", interval), 1)
	}
	for _, t := range targets {
		text += fmt.Sprintf("%q, ", t)
	}
	return text + "]\n"
}

func peer(t *testing.T, kind testpeer.Kind) string {
	return testpeer.New(t, kind, testpeer.Options{}).Addr().String()
}

func TestReload(t *testing.T) {
	sink, redis := peer(t, testpeer.Sink), peer(t, testpeer.Redis)
	const every = 100 * time.Millisecond
	kept := job("kept", "ping", 0, "mode: keep\n    heartbeat: 200ms", redis)
	p := start(t, connects+"jobs:\n"+job("a", "connect", every, "", sink)+kept)
	p.until("probed, and kept", func() bool {
		v := p.views()
		a, r := v[sink], v[redis]
		return a.Counts().Probes > 2 && r.Kept().Up
	})
	before := p.views()

	p.write(connects + "jobs:\n" + job("a", "connect", every, "", sink, "127.0.0.1:1") + kept) // which it notices by itself
	p.until("probing the new target", func() bool {
		v := p.views()["127.0.0.1:1"]
		return v.Probed() && v.Status() == report.ConnectionRefused
	})
	after := p.views()
	a, was := after[sink], before[sink]
	if a.Counts().Probes < was.Counts().Probes || a.ID() != was.ID() {
		t.Error("what was known of a target that did not change is gone")
	}
	r, keptWas := after[redis], before[redis]
	if r.Kept().Connects != 1 || !r.Kept().Since.Equal(keptWas.Kept().Since) {
		t.Errorf("the kept connection did not live through a reload: %+v", r.Kept())
	}

	p.write("modules: {x: {probe: nothing}}\n")
	if code, text := p.get("/-/ready"); code != 200 {
		t.Errorf("ready: %d %s", code, text)
	}
	res, err := http.Post(p.url+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if res.StatusCode != http.StatusInternalServerError || !strings.Contains(string(text), `"nothing"`) {
		t.Errorf("a bad file: %d %s", res.StatusCode, text)
	}
	if v := p.views(); len(v) != 3 {
		t.Errorf("a bad file left %d targets of 3", len(v))
	}
	if _, text := p.get("/metrics"); !strings.Contains(text, "sonde_config_last_reload_successful 0") {
		t.Error("the metrics say nothing of a bad file")
	}
	p.write(connects + "jobs:\n" + kept)
	p.until("without the other job", func() bool { return len(p.views()) == 1 })
	if r := p.views()[redis]; r.Kept().Connects != 1 {
		t.Errorf("the kept connection did not live through the end of another job: %+v", r.Kept())
	}
	if _, text := p.get("/metrics"); !strings.Contains(text, "sonde_config_last_reload_successful 1") || strings.Contains(text, `job="a"`) {
		t.Errorf("the metrics say nothing of a good file, or something of a job that is gone:\n%s", text)
	}
}

func TestProbe(t *testing.T) {
	sink := peer(t, testpeer.Sink)
	p := start(t, connects+"allow: [127.0.0.0/8]\n")
	for _, c := range []struct {
		module, target string
		code           int
		has            string
	}{
		{"connect", sink, 200, "probe_success 1"},
		{"connect", "127.0.0.1:1", 200, `probe_failure_info{reason="connection-refused",side="remote"} 1`},
		{"connect", "192.0.2.1:80", 403, "not within the networks"},
		{"nothing", sink, 400, `"nothing"`},
		{"connect", "", 400, "target"},
		{"connect", "127.0.0.1:80:80", 200, `probe_failure_info{reason="invalid-input",side="local"} 1`},
	} {
		code, text := p.get("/probe?module=" + c.module + "&target=" + url.QueryEscape(c.target))
		if code != c.code || !strings.Contains(text, c.has) {
			t.Errorf("%s of %q: got %d, want %d with %q:\n%s", c.module, c.target, code, c.code, c.has, text)
		}
	}
	if _, text := p.get("/probe?debug=true&module=connect&target=127.0.0.1"); !strings.Contains(text, "\nstatus invalid-input: no port") || strings.Contains(text, "connection 1") {
		t.Errorf("the log of what is no target:\n%s", text)
	}
	if _, text := p.get("/probe?debug=true&module=connect&target=" + sink); !strings.Contains(text, "\naddress "+sink+", status success\n") || !strings.Contains(text, `probe: "tcp"`) || !strings.Contains(text, "connection 1: connect") {
		t.Errorf("debug: %s", text)
	}
}

func TestOnce(t *testing.T) {
	sink := peer(t, testpeer.Sink)
	file := filepath.Join(t.TempDir(), "watch.yml")
	text := connects + "jobs:\n" + job("a", "connect", time.Hour, "tag: x", sink, "127.0.0.1:1") +
		job("k", "ping", 0, "mode: keep", peer(t, testpeer.Redis))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := New(Options{File: file, Once: true})
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]report.Record)
	targets, failed, err := w.Once(context.Background(), func(r *report.Record) error {
		got[fmt.Sprintf("%v:%d", r.IP, r.Port)] = *r
		return nil
	})
	if err != nil || targets != 3 || failed != 1 {
		t.Errorf("%d targets, %d failed, %v", targets, failed, err)
	}
	if r := got[sink]; r.Status != report.Success || r.Tag != "x" || r.Probe != "tcp" || r.Attempts != 1 {
		t.Errorf("%+v", r)
	}
	if r := got["127.0.0.1:1"]; r.Status != report.ConnectionRefused {
		t.Errorf("%+v", r)
	}
}

// TestFormats has the metrics in both formats, as the scraper wants them.
func TestFormats(t *testing.T) {
	p := start(t, connects)
	for accept, kind := range map[string]string{
		"": "text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0": "application/openmetrics-text",
	} {
		q, err := http.NewRequest(http.MethodGet, p.url+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Accept", accept)
		res, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if got := res.Header.Get("Content-Type"); err != nil || !strings.HasPrefix(got, kind) || strings.HasSuffix(string(text), "# EOF\n") != (accept != "") {
			t.Errorf("%q: got %s, %d bytes, %v", accept, got, len(text), err)
		}
	}
}
