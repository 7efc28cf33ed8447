package otlp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"sonde/internal/testpeer"
	"sonde/report"
	"sonde/watch/config"
	"sonde/watch/track"
)

// run runs an Exporter until end is called, or the test ends.
func run(t *testing.T, e *Exporter) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.Run(ctx)
	}()
	end = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(end)
	return end
}

// probe is one that gives a trace of two spans.
func probe(id uint32) Probe {
	return Probe{ID: id, Target: &track.Target{Job: "j"}, Result: track.Result{At: noon, Dialed: noon, Timing: timed(-1, 2, -1, -1, 2)}}
}

func TestSend(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20secret, x-scope-orgid=7")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.name=ours")
	rc := newReceiver(t, nil)
	e, log := exporter(t, strings.Replace(rc.URL, "//", "//user:word@", 1), Options{Settings: all})
	const n = 3*maxBatch + 7
	for id := range uint32(n) {
		e.Add(probe(id))
	}
	run(t, e)() // ends at once: all is in what is left
	if got := len(rc.spans()); got != 2*n {
		t.Errorf("%d spans came of %d probes, want %d", got, n, 2*n)
	}
	seen := make(map[string]bool)
	for _, s := range rc.spans() {
		seen[string(s.TraceId)] = true
	}
	if len(seen) != n {
		t.Errorf("%d traces, want %d", len(seen), n)
	}
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if got := len(rc.traces); got != 4 {
		t.Errorf("%d messages came, want 4", got)
	}
	resource := texts(rc.traces[0].Resource.Attributes)
	host, pid := resource["host.name"], fmt.Sprint(os.Getpid())
	if host == "" || resource["process.pid"] != pid || resource["service.instance.id"] != host+":"+pid {
		t.Errorf("the resource %v does not say which process of which host it is", resource)
	}
	for _, name := range []string{"host.name", "process.pid", "service.instance.id"} {
		delete(resource, name)
	}
	want := map[string]string{"service.name": "ours", "service.version": "1.2.3", "deployment.environment.name": "test"}
	if diff := cmp.Diff(want, resource); diff != "" {
		t.Errorf("got another resource than wanted (-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{
		"Api-Key": "a secret", "X-Scope-Orgid": "7", "Content-Type": "application/x-protobuf", "User-Agent": "sonde/1.2.3",
		"Authorization": "Basic dXNlcjp3b3Jk",
	} {
		if got := rc.headers.Get(name); got != want {
			t.Errorf("field %s: got %q, want %q", name, got, want)
		}
	}
	if log.String() != "" {
		t.Errorf("the log has %q, want nothing", log)
	}
}

// TestCollectorReturns: what a collector can't take now it gets when it can, and the log says so once each way.
func TestCollectorReturns(t *testing.T) {
	var left atomic.Int64
	left.Store(4)
	rc := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		if left.Add(-1) >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	e, log := exporter(t, rc.URL, Options{Settings: all})
	end := run(t, e)
	e.Add(probe(1))
	rc.wait()
	e.Add(probe(2))
	rc.wait()
	end()
	if got := len(rc.spans()); got != 4 {
		t.Errorf("%d spans came, want those of two probes, 4", got)
	}
	text := log.String()
	if strings.Count(text, "level=WARN") != 1 || !strings.Contains(text, "does not take traces") || !strings.Contains(text, "503") ||
		strings.Count(text, "level=INFO") != 1 || !strings.Contains(text, "takes traces again") || strings.Count(text, "\n") != 2 {
		t.Errorf("the log has, want two lines:\n%s", text)
	}
	if n := e.lost.Load(); n != 0 {
		t.Errorf("%d probes are lost, want none", n)
	}
}

// TestLastTry: what waits to be sent again when all ends is sent then, and not when its wait is over.
func TestLastTry(t *testing.T) {
	refused := make(chan struct{}, 1)
	var asked atomic.Int64
	rc := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
			refused <- struct{}{}
		}
	})
	e, _ := exporter(t, rc.URL, Options{Settings: all})
	end := run(t, e)
	e.Add(probe(1))
	<-refused
	end()
	if got := len(rc.spans()); got != 2 {
		t.Errorf("%d spans came, want 2", got)
	}
}

// TestRefused: what a collector never takes is given up at once, told once and counted.
func TestRefused(t *testing.T) {
	asked := make(chan struct{}, 1<<10)
	rc := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		asked <- struct{}{}
	})
	e, log := exporter(t, rc.URL, Options{Settings: all})
	end := run(t, e)
	for id := range uint32(3) {
		e.Add(probe(id))
		<-asked
	}
	end()
	if got := e.lost.Load(); got != 3 || len(asked) != 0 {
		t.Errorf("%d probes are lost and %d were sent again, want 3 and none", got, len(asked))
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "401") {
		t.Errorf("the log has, want one line:\n%s", text)
	}
}

// TestNobodyThere: nothing blocks and memory is bounded while no collector answers.
func TestNobodyThere(t *testing.T) {
	gone := testpeer.New(t, testpeer.Refuse, testpeer.Options{}).Addr()
	e, log := exporter(t, fmt.Sprint("http://user:word@", gone), Options{Settings: all})
	for id := range uint32(queueLength + 100) {
		e.Add(probe(id))
	}
	if got := e.lost.Load(); got != 100 {
		t.Errorf("%d probes are lost, want the 100 for which there is no room", got)
	}
	run(t, e)()
	if got := e.lost.Load(); got != queueLength+100 {
		t.Errorf("%d probes are lost at the end, want all %d", got, queueLength+100)
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || strings.Contains(text, "word") || strings.Contains(text, "http") {
		t.Errorf("the log has, want one line without what is secret:\n%s", text)
	}
}

// TestDeafCollector: one that never answers holds the end up for no longer than it may.
func TestDeafCollector(t *testing.T) {
	release := make(chan struct{})
	rc := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-release
	}))
	defer rc.Close()
	defer close(release)
	e, _ := exporter(t, rc.URL, Options{Settings: all})
	e.collector.client.Timeout, e.flushLimit = 0, 10*time.Millisecond // so that it is the end's own limit that holds
	end := run(t, e)
	e.Add(probe(1))
	end() // else the test ends by its limit
	if got := e.lost.Load(); got != 1 {
		t.Errorf("%d probes are lost, want 1", got)
	}
}

// TestPartlyRefused reads what a collector says that it did not take.
func TestPartlyRefused(t *testing.T) {
	inner := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 2)
	inner = protowire.AppendString(protowire.AppendTag(inner, 2, protowire.BytesType), "too \xff old")
	answer := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), inner)
	rc := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) })
	e, log := exporter(t, rc.URL, Options{Settings: all})
	end := run(t, e)
	for id := range uint32(2) {
		e.Add(probe(id))
		rc.wait()
	}
	end()
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "refused=2") || !strings.Contains(text, "old") {
		t.Errorf("the log has, want one line:\n%s", text)
	}
	for i := range answer { // what is cut short says less, and is no trouble
		partial(answer[:i])
	}
}

// TestTextOfPeers: a text that is no UTF-8, or has no end, spoils nothing.
func TestTextOfPeers(t *testing.T) {
	rc := newReceiver(t, nil)
	e, _ := exporter(t, rc.URL, Options{Settings: all})
	bad := probe(1)
	bad.Target = &track.Target{Job: "j\xff", Instance: strings.Repeat("é", maxText)}
	bad.Result.Status, bad.Result.Error = report.ProtocolError, "banner \xc3\x28 of "+strings.Repeat("x", 1<<20)
	e.Add(bad)
	e.Add(probe(2))
	run(t, e)()
	spans := rc.spans()
	if len(spans) != 4 {
		t.Fatalf("%d spans came, want 4", len(spans))
	}
	if got := spans[0].Status.Message; !strings.HasPrefix(got, "banner \uFFFD( of x") || len(got) > maxText+2 {
		t.Errorf("got a message of %d bytes, %.20q", len(got), got)
	}
}

// TestNoRedirect: what authorizes us goes to the collector and to nobody else.
func TestNoRedirect(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret")
	other := newReceiver(t, nil)
	rc := newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	e, log := exporter(t, rc.URL, Options{Settings: all})
	e.Add(probe(1))
	run(t, e)()
	if n := len(other.spans()); n != 0 {
		t.Errorf("%d spans were led elsewhere", n)
	}
	if !strings.Contains(log.String(), "307") {
		t.Errorf("the log has %q, want 307 in it", log)
	}
}

func TestEndpoint(t *testing.T) {
	for _, test := range []struct {
		text     string
		insecure bool
		want     string // of traces; empty: refused
	}{
		{"localhost:4318", true, "http://localhost:4318/v1/traces"},
		{"collector.example:4318", false, "https://collector.example:4318/v1/traces"},
		{"[2001:db8::1]:4318", false, "https://[2001:db8::1]:4318/v1/traces"},
		{"http://localhost:4318", false, "http://localhost:4318/v1/traces"},
		{"http://localhost:4318", true, "http://localhost:4318/v1/traces"},
		{"https://api.example/otlp/", false, "https://api.example/otlp/v1/traces"},
		{"https://secret@api.example/otlp", false, "https://secret@api.example/otlp/v1/traces"},
		{"https://api.example/otlp", true, ""},
		{"localhost", true, ""},
		{":4318", true, ""},
		{"grpc://secret@localhost:4317", true, ""},
		{"https://", false, ""},
		{"https://api.example/?secret=1", false, ""},
		{"https://secret:a b@api.example\x7f/", false, ""},
		{"secret@host:4318:1", false, ""},
	} {
		e, err := New(Options{Settings: config.OTLP{Endpoint: config.Secret(test.text), Insecure: test.insecure}})
		switch {
		case err != nil && test.want != "":
			t.Errorf("%q: %v", test.text, err)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("%q: the error tells a secret: %v", test.text, err)
		case err == nil && test.want == "":
			t.Errorf("%q is taken, want it refused", test.text)
		case err == nil:
			if got := e.collector.base.JoinPath("v1/traces").String(); got != test.want {
				t.Errorf("%q: got %s, want %s", test.text, got, test.want)
			}
		}
	}
}

func TestBadEnvironment(t *testing.T) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_RESOURCE_ATTRIBUTES"} {
		for _, text := range []string{"secret", "=secret", "a=%zzsecret", "a=1,secret"} {
			t.Run(fmt.Sprint(name, " ", text), func(t *testing.T) {
				t.Setenv(name, text)
				_, err := New(Options{Settings: config.OTLP{Endpoint: "localhost:4318"}})
				if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "secret") {
					t.Errorf("got %v, want an error that names %s and tells no secret", err, name)
				}
			})
		}
	}
}
