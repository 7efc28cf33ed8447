package discovery

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// answering is a server without a network, so that it can be asked in a bubble.
type answering func(*http.Request) (*http.Response, error)

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

// answer is a good one but for what is changed.
func answer(status int, kind, body string) (*http.Response, error) {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body)),
	}, nil
}

// fetching runs a Discovery of one job with one URL, in a bubble.
func fetching(t *testing.T, h HTTPSD, server answering) (*Discovery, *logged) {
	t.Helper()
	log := &logged{}
	h.URL = "http://user:secret@sd.example/targets?token=secret"
	jobs := []Job{{Name: "web", Read: readPlace, Inline: []string{"i:80"}, HTTPSD: []HTTPSD{h}}, {Name: "other", Read: readPlace, Inline: []string{"o:80"}}}
	d, err := New(jobs, Options{HTTPClient: &http.Client{Transport: server}, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go d.Run(ctx)
	return d, log
}

func TestHTTPSD(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body, start := sd("a:80"), time.Now()
		var requests []time.Duration
		d, log := fetching(t, HTTPSD{}, func(r *http.Request) (*http.Response, error) {
			requests = append(requests, time.Since(start))
			if got := r.Header.Get("X-Prometheus-Refresh-Interval-Seconds"); got != "60" {
				t.Errorf("the refresh interval is told as %q", got)
			}
			if user, password, _ := r.BasicAuth(); r.Method != "GET" || user != "user" || password != "secret" {
				t.Errorf("got the request %s by %s", r.Method, user)
			}
			switch now := time.Since(start); {
			case now < 10*time.Minute:
				return answer(200, "application/json; charset=UTF-8", body)
			case now < 20*time.Minute:
				return nil, errors.New("connection refused, or something new each time: " + now.String())
			}
			return answer(200, "application/json", sd("b:80"))
		})
		want(t, texts(<-d.Updates()), "o:80")
		want(t, texts(<-d.Updates()), "i:80", "a:80")
		want(t, texts(<-d.Updates()), "i:80", "b:80") // nothing is told for ten failures and as many answers that are the same
		if requests[0] != 0 || requests[1] <= 0 || requests[1] > time.Minute+1 || requests[1] == time.Minute || requests[2] != requests[1]+time.Minute {
			t.Errorf("requests came at %v", requests[:3])
		}
		status := d.Status()[1]
		if status.Name != "http://user:xxxxx@sd.example/targets?xxxxx" || status.Failures != 10 || status.Error != "" || status.Targets != 1 {
			t.Errorf("got the status %+v", status)
		}
		if got := len(log.containing("the last list stays")); got != 1 {
			t.Errorf("the failure is told %d times", got)
		}
		if got := len(log.containing("can be read again")); got != 1 {
			t.Errorf("its end is told %d times", got)
		}
		if told := log.containing("secret"); len(told) != 0 {
			t.Errorf("the password is told: %q", told)
		}
	})
}

// TestURLsThatLookAlike: two that differ in what is not shown have names of their own, and what is known of one stays with it when it
// gets another name.
func TestURLsThatLookAlike(t *testing.T) {
	server := &http.Client{Transport: answering(func(r *http.Request) (*http.Response, error) {
		return answer(200, "application/json", sd(r.URL.Query().Get("of")+":80"))
	})}
	lists := func(of ...string) Job {
		j := Job{FileSD: []string{"no.json", "./no.json"}}
		for _, of := range of {
			j.HTTPSD = append(j.HTTPSD, HTTPSD{URL: "http://sd.example/?of=" + of, Refresh: time.Second})
		}
		return j
	}
	before := start(t, Options{HTTPClient: server}, nil, lists("a", "b", "c"))
	want(t, before.next(), "a:80", "b:80", "c:80")
	for i, name := range []string{"no.json", "no.json#2", "http://sd.example/?xxxxx", "http://sd.example/?xxxxx#2", "http://sd.example/?xxxxx#3"} {
		if got := before.Status()[i].Name; got != name {
			t.Errorf("source %d: got the name %q, want %q", i, got, name)
		}
	}
	before.stop()
	after := start(t, Options{HTTPClient: server, Before: before.Discovery}, nil, lists("c", "d"))
	after.until("c:80", "d:80")
	for _, s := range after.sources()[2:] {
		if after.stop(); len(s.held) != 1 {
			t.Errorf("%s: got %d lists, want 1", s.http.URL, len(s.held))
		}
	}
}

// TestDeadHTTPSD: a server that does not answer delays its own job by the timeout, and no other.
func TestDeadHTTPSD(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		d, _ := fetching(t, HTTPSD{Timeout: 3 * time.Second}, func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		want(t, texts(<-d.Updates()), "o:80")
		if waited := time.Since(start); waited != 0 {
			t.Errorf("another job waited for %v", waited)
		}
		want(t, texts(<-d.Updates()), "i:80")
		if waited := time.Since(start); waited != 3*time.Second {
			t.Errorf("the job waited for %v, want its timeout", waited)
		}
	})
}

func TestBadAnswers(t *testing.T) {
	long := func() (*http.Response, error) {
		response, err := answer(200, "application/json", "")
		response.Body = io.NopCloser(io.MultiReader(strings.NewReader("["), endless{}))
		return response, err
	}
	cases := []struct {
		name   string
		answer func() (*http.Response, error)
		want   string
	}{
		{"status", func() (*http.Response, error) { return answer(503, "application/json", sd("x:80")) }, `"Service Unavailable", want 200`},
		{"no content", func() (*http.Response, error) { return answer(204, "application/json", "") }, "want 200"},
		{"type", func() (*http.Response, error) { return answer(200, "text/html", sd("x:80")) }, `Content-Type "text/html"`},
		{"no type", func() (*http.Response, error) { return answer(200, "", sd("x:80")) }, `Content-Type ""`},
		{"charset", func() (*http.Response, error) { return answer(200, "application/json; charset=latin1", sd("x:80")) }, "latin1"},
		{"cut short", func() (*http.Response, error) { return answer(200, "application/json", `[{"targets": ["x`) }, "ends in the middle"},
		{"another form", func() (*http.Response, error) { return answer(200, "application/json", `{"error": "x"}`) }, "line 1"},
		{"another key, a long one", func() (*http.Response, error) {
			return answer(200, "application/json", `[{"`+strings.Repeat("x", 1<<20)+`": 1}]`)
		}, "unknown field"},
		{"endless", long, "more than 64 MiB"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				isBad := false
				d, _ := fetching(t, HTTPSD{}, func(*http.Request) (*http.Response, error) {
					if isBad {
						return c.answer()
					}
					isBad = true
					return answer(200, "application/json", sd("a:80"))
				})
				<-d.Updates()
				want(t, texts(<-d.Updates()), "i:80", "a:80")
				time.Sleep(time.Minute + time.Second) // of the bubble: the second request was made
				synctest.Wait()
				if status := d.Status()[1]; !strings.Contains(status.Error, c.want) || len(status.Error) > 2*maxTold || status.Targets != 1 {
					t.Errorf("got the status %+v, want the error %q", status, c.want)
				}
			})
		})
	}
}

// endless is white space without an end.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

// TestStopWhileAReaderHangs: Run returns, and who comes after it has what it knew.
func TestStopWhileAReaderHangs(t *testing.T) {
	hang, isHung := make(chan struct{}), make(chan struct{})
	defer close(hang)
	jobs := []Job{{Name: "web", Read: readPlace, HTTPSD: []HTTPSD{{URL: "http://sd.example/", Refresh: time.Second}}}}
	asked := 0
	server := answering(func(*http.Request) (*http.Response, error) {
		if asked++; asked == 2 {
			close(isHung)
			<-hang // whatever the request's context says
		}
		return answer(200, "application/json", sd("a:80"))
	})
	before := start(t, Options{HTTPClient: &http.Client{Transport: server}}, nil, jobs...)
	want(t, before.next(), "a:80")
	<-isHung
	before.stop()
	silent := answering(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	after := start(t, Options{HTTPClient: &http.Client{Transport: silent}, Before: before.Discovery}, nil, jobs...)
	want(t, after.next(), "a:80")
}
