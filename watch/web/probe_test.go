package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sonde/watch/web"
)

func TestProbe(t *testing.T) {
	const metrics = "probe_success 1\n"
	for _, c := range []struct {
		name, query, timeout string
		fails                error
		code                 int
		says                 string
		want                 web.ProbeRequest // what the backend is asked; zero: nothing
	}{
		{
			name: "all of it", query: "target=example.com:443&module=tcp_connect&hostname=www.example.com", timeout: "10", code: 200, says: metrics,
			want: web.ProbeRequest{Module: "tcp_connect", Target: "example.com:443", Hostname: "www.example.com", Timeout: 5 * time.Second},
		},
		{
			name: "the scraper's time is less than the module's", query: "target=a&module=tcp_connect", timeout: "2.5", code: 200, says: metrics,
			want: web.ProbeRequest{Module: "tcp_connect", Target: "a", Timeout: 2 * time.Second},
		},
		{
			name: "less than the offset", query: "target=a&module=tcp_connect", timeout: "0.25", code: 200, says: metrics,
			want: web.ProbeRequest{Module: "tcp_connect", Target: "a", Timeout: 250 * time.Millisecond},
		},
		{name: "the module of old", query: "target=a", code: 200, says: metrics, want: web.ProbeRequest{Module: "http_2xx", Target: "a", Timeout: 5 * time.Second}},
		{
			name: "debug", query: "target=a&debug=true", code: 200, says: "Metrics that would have been returned:\n" + metrics,
			want: web.ProbeRequest{Module: "http_2xx", Target: "a", Timeout: 5 * time.Second, Debug: true},
		},
		{name: "no target", query: "module=tcp_connect", code: 400, says: "target is missing"},
		{name: "two targets", query: "target=a&target=b", code: 400, says: `"target" is given 2 times`},
		{name: "a long target", query: "target=" + strings.Repeat("a", 5000), code: 400, says: "5000 bytes"},
		{name: "a query that is none", query: "target=%zz", code: 400, says: "query"},
		{name: "unknown module", query: "target=a&module=nope", code: 400, says: `no module "nope"`},
		{name: "disabled module", query: "target=a&module=ping", code: 400, says: "there is no prober icmp"},
		{name: "bad header", query: "target=a", timeout: "soon", code: 400, says: `"soon" is no number of seconds`},
		{name: "not a number", query: "target=a", timeout: "NaN", code: 400, says: "no number of seconds"},
		{
			name: "refused", query: "target=169.254.169.254", fails: &web.Problem{Code: 403, Text: "169.254.169.254 is outside of what is allowed"}, code: 403, says: "outside of what is allowed",
			want: web.ProbeRequest{Module: "http_2xx", Target: "169.254.169.254", Timeout: 5 * time.Second},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, 0)
			var asked web.ProbeRequest
			f.probe = func(r *web.ProbeRequest) (*web.ProbeAnswer, error) {
				asked = *r
				return &web.ProbeAnswer{Metrics: []byte(metrics), Log: []string{"connected in 3 ms"}, Module: "prober: tcp\n"}, c.fails
			}
			w := ask(handler(f, web.Options{}), "GET", "/probe?"+c.query, "X-Prometheus-Scrape-Timeout-Seconds", c.timeout)
			if w.Code != c.code || !strings.Contains(w.Body.String(), c.says) {
				t.Errorf("got %d, %q, want %d, %q", w.Code, w.Body, c.code, c.says)
			}
			if asked != c.want {
				t.Errorf("asked %+v, want %+v", asked, c.want)
			}
			if c.want.Debug && (!strings.Contains(w.Body.String(), "connected in 3 ms\n") || !strings.Contains(w.Body.String(), "Module configuration:\nprober: tcp\n")) {
				t.Errorf("got %q, want the log and the module", w.Body)
			}
		})
	}
}

// TestProbeAbandoned has an asker leave: the probe goes on, and so counts until it is over.
func TestProbeAbandoned(t *testing.T) {
	f := newFake(t, 0)
	begun, end := make(chan struct{}), make(chan error)
	f.probing = func(ctx context.Context) {
		close(begun)
		<-end
		end <- ctx.Err()
	}
	f.probe = func(*web.ProbeRequest) (*web.ProbeAnswer, error) { return &web.ProbeAnswer{}, nil }
	ctx, leave := context.WithCancel(t.Context())
	h, over := handler(f, web.Options{}), make(chan struct{})
	go func() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/probe?target=a", nil))
		close(over)
	}()
	<-begun
	leave()
	end <- nil
	if err := <-end; err != nil {
		t.Errorf("the backend is told to give up: %v", err)
	}
	<-over
}

// TestProbeLate has a probe end by its timeout on a machine that is late to say so: who asked is told.
func TestProbeLate(t *testing.T) {
	f := newFake(t, 0)
	synctest.Test(t, func(t *testing.T) {
		f.probe = func(r *web.ProbeRequest) (*web.ProbeAnswer, error) {
			return &web.ProbeAnswer{Metrics: []byte("probe_success 0\n")}, nil
		}
		f.probing = func(ctx context.Context) {
			select {
			case <-time.After(5*time.Second + 3*time.Second): // of the module, and late
			case <-ctx.Done():
				t.Error("given up on")
			}
		}
		if w := ask(handler(f, web.Options{}), "GET", "/probe?target=a"); w.Code != 200 || w.Body.String() != "probe_success 0\n" {
			t.Errorf("got %d, %q", w.Code, w.Body)
		}
	})
}

type targetsAnswer struct {
	Matched  int
	Totals   map[string]int
	Matching map[string]int
	Jobs     []string
	Limits   map[string]map[string]int64
	Targets  []struct {
		ID                   uint32
		Job, Instance, State string
		Breaker              string
		Labels               map[string]string
		Last, Failure        *struct {
			Status, Side, Error string
			Total               int64 `json:"total_us"`
		}
		CertExpiry int64 `json:"cert_expiry"`
		Spark      *struct {
			Totals []int64
			P50    int64 `json:"p50_us"`
			P99    int64 `json:"p99_us"`
		}
	}
}

func getTargets(t *testing.T, h http.Handler, query string) targetsAnswer {
	t.Helper()
	return decode[targetsAnswer](t, ask(h, "GET", "/api/v1/targets?"+query))
}

// TestTargets has all targets told, by pages.
func TestTargets(t *testing.T) {
	h := handler(newFake(t, 1000), web.Options{})
	t.Run("a page", func(t *testing.T) {
		a := getTargets(t, h, "")
		if len(a.Targets) != 100 || a.Matched != 1000 || a.Totals["all"] != 1000 || len(a.Jobs) != 5 {
			t.Errorf("got %d rows of %d, totals %v, jobs %v", len(a.Targets), a.Matched, a.Totals, a.Jobs)
		}
		if sum := a.Totals["up"] + a.Totals["down"] + a.Totals["stale"] + a.Totals["unknown"]; sum != 1000 {
			t.Errorf("the states add up to %d, want 1000", sum)
		}
		if a.Limits["api"]["tls_us"] != 300_000 {
			t.Errorf("limits: got %v", a.Limits)
		}
	})
	t.Run("all pages hold each target once", func(t *testing.T) {
		seen := map[uint32]bool{}
		for offset := 0; offset < 1000; offset += 300 {
			for _, r := range getTargets(t, h, "sort=total&limit=300&offset="+itoa(offset)).Targets {
				if seen[r.ID] {
					t.Errorf("target %d is on two pages", r.ID)
				}
				seen[r.ID] = true
			}
		}
		if len(seen) != 1000 {
			t.Errorf("got %d targets, want 1000", len(seen))
		}
	})
	t.Run("with histories", func(t *testing.T) {
		s := getTargets(t, h, "job=api&limit=1&spark=1").Targets[0].Spark
		if s == nil || len(s.Totals) != 60 || s.P50 <= 0 || s.P99 < s.P50 {
			t.Errorf("got %+v", s)
		}
	})
}

// TestSomeTargets has those told that are asked for, in an order.
func TestSomeTargets(t *testing.T) {
	h := handler(newFake(t, 1000), web.Options{})
	t.Run("by state", func(t *testing.T) {
		a := getTargets(t, h, "state=unknown")
		if a.Matched != 3 || a.Totals["all"] != 1000 || a.Matching["unknown"] != 3 {
			t.Errorf("got %d unknown, totals %v", a.Matched, a.Totals)
		}
		if open := getTargets(t, h, "state=breaker-open"); open.Matched != 10 || open.Targets[0].Breaker != "open" || open.Targets[0].State != "down" {
			t.Errorf("got %d with an open breaker, the first %+v; want 10", open.Matched, open.Targets)
		}
		if both := getTargets(t, h, "state=unknown,breaker-open"); both.Matched != 13 {
			t.Errorf("got %d of two states, want 13", both.Matched)
		}
	})
	t.Run("by job, label and text", func(t *testing.T) {
		a := getTargets(t, h, "job=api&label=region%3Deu-west&q=API-00")
		for _, r := range a.Targets {
			if r.Job != "api" || r.Labels["region"] != "eu-west" || !strings.Contains(r.Instance, "api-00") {
				t.Errorf("got %+v", r)
			}
		}
		if a.Matched == 0 {
			t.Error("got none")
		}
		if by := getTargets(t, h, "q=certificate+has+expired"); by.Matched == 0 || by.Targets[0].Failure.Side != "remote" {
			t.Errorf("by reason: got %+v", by.Targets)
		}
	})
	t.Run("the worst first", func(t *testing.T) {
		a := getTargets(t, h, "sort=state&limit=1000")
		order := map[string]int{"down": 0, "stale": 1, "up": 2, "unknown": 3}
		for i := 1; i < len(a.Targets); i++ {
			if order[a.Targets[i].State] < order[a.Targets[i-1].State] {
				t.Fatalf("%s comes behind %s", a.Targets[i].State, a.Targets[i-1].State)
			}
		}
		if back := getTargets(t, h, "sort=-state&limit=1"); back.Targets[0].State != "unknown" {
			t.Errorf("the other way around: got %s first", back.Targets[0].State)
		}
	})
	t.Run("what makes no sense", func(t *testing.T) {
		for query, says := range map[string]string{
			"state=sick": `no such state: "sick"`, "sort=colour": `no such order: "colour"`, "limit=1001": "0 to 1000", "offset=-1": "want a number", "label=x": "name=value",
			"state=" + strings.Repeat("up,", 32) + "up": "at most 32", strings.Repeat("&label=a%3Db", 33)[1:]: "at most 32",
		} {
			if w := ask(h, "GET", "/api/v1/targets?"+query); w.Code != 400 || !strings.Contains(w.Body.String(), says) {
				t.Errorf("%s: got %d, %q, want 400, %q", query, w.Code, w.Body, says)
			}
		}
	})
}

// TestOneCopyASecond asks many times at once: the owner of the table is visited once.
func TestOneCopyASecond(t *testing.T) {
	f := newFake(t, 10)
	f.clock = stopped{f.clock}
	h := handler(f, web.Options{})
	for range 20 {
		ask(h, "GET", "/api/v1/targets")
	}
	if f.copies != 1 {
		t.Errorf("got %d copies, want 1", f.copies)
	}
}

func TestHistory(t *testing.T) {
	h := handler(newFake(t, 10), web.Options{})
	type answer struct {
		Target   struct{ State string }
		P50      int64 `json:"p50_us"`
		Points   []struct{ Status string }
		Failures []struct{ Instance, Status, Error string }
	}
	a := decode[answer](t, ask(h, "GET", "/api/v1/history?job=edge&instance="+url.QueryEscape("https://www-0005.example.com/health")))
	if a.Target.State != "down" || len(a.Points) != 60 || a.P50 == 0 || len(a.Failures) < 20 || a.Points[59].Status != "certificate-error" {
		t.Errorf("got %+v", a)
	}
	for _, f := range a.Failures {
		if f.Instance != "https://www-0005.example.com/health" {
			t.Errorf("a failure of %s", f.Instance)
		}
	}
	if w := ask(h, "GET", "/api/v1/history?job=edge&instance=nobody"); w.Code != 404 {
		t.Errorf("of nobody: got %d, want 404", w.Code)
	}
	if w := ask(h, "GET", "/api/v1/history?job=edge"); w.Code != 400 {
		t.Errorf("without an instance: got %d, want 400", w.Code)
	}
}

func TestFailuresAndStatus(t *testing.T) {
	f := newFake(t, 10)
	f.ready = errNotYet
	h := handler(f, web.Options{Reload: true})
	failures := decode[struct{ Failures []struct{ At int64 } }](t, ask(h, "GET", "/api/v1/failures?limit=5")).Failures
	if len(failures) != 5 || failures[0].At < failures[4].At {
		t.Errorf("got %v, want 5, the newest first", failures)
	}
	status := decode[struct {
		Version  string
		NotReady string  `json:"not_ready"`
		Uptime   float64 `json:"uptime_s"`
		Config   struct{ Warnings []string }
		Sources  []struct{ Job, Error string }
		Engine   []struct {
			Name  string
			Value float64
		}
	}](t, ask(h, "GET", "/api/v1/status"))
	if status.Version != "0.5.0" || status.NotReady != errNotYet.Error() || status.Uptime < 7200 || len(status.Config.Warnings) != 1 ||
		len(status.Sources) != 3 || status.Engine[0].Value != 2143 {
		t.Errorf("got %+v", status)
	}
}
