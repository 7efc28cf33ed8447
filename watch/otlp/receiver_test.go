package otlp

import (
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"sonde/internal/testlog"
	"sonde/watch/config"
)

// receiver is a collector: it takes what is sent, and answers what the test says.
type receiver struct {
	*httptest.Server
	t      *testing.T
	answer func(w http.ResponseWriter, r *http.Request) // nil: 200, and the message is taken
	came   chan struct{}                                // for each message that was taken

	mu      sync.Mutex
	traces  []*tracepb.ResourceSpans
	metrics []*metricspb.ResourceMetrics
	headers http.Header // of the last request
}

func newReceiver(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	rc := &receiver{t: t, answer: answer, came: make(chan struct{}, 1<<10)}
	rc.Server = httptest.NewServer(rc)
	t.Cleanup(rc.Close)
	return rc
}

// answered is written by an answer that refuses.
type answered struct {
	http.ResponseWriter
	code int
}

func (a *answered) WriteHeader(code int) {
	a.code = code
	a.ResponseWriter.WriteHeader(code)
}

func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		rc.t.Errorf("the body is not compressed: %v", err)
		return
	}
	body, err := io.ReadAll(z)
	if err != nil {
		rc.t.Errorf("body: %v", err)
	}
	if rc.answer != nil {
		a := &answered{w, 200}
		if rc.answer(a, r); a.code != 200 {
			return
		}
	}
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.headers = r.Header.Clone()
	switch r.URL.Path {
	case "/v1/traces":
		var m tracepb.TracesData
		err = proto.Unmarshal(body, &m)
		rc.traces = append(rc.traces, m.ResourceSpans...)
	case "/v1/metrics":
		var m metricspb.MetricsData
		err = proto.Unmarshal(body, &m)
		rc.metrics = append(rc.metrics, m.ResourceMetrics...)
	default:
		rc.t.Errorf("request of %s", r.URL.Path)
	}
	if err != nil {
		rc.t.Errorf("%s: %v", r.URL.Path, err)
	}
	rc.came <- struct{}{}
}

// spans are all that came.
func (rc *receiver) spans() (all []*tracepb.Span) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	for _, r := range rc.traces {
		for _, s := range r.ScopeSpans {
			all = append(all, s.Spans...)
		}
	}
	return all
}

// wait waits for a message.
func (rc *receiver) wait() {
	rc.t.Helper()
	select {
	case <-rc.came:
	case <-time.After(time.Minute):
		rc.t.Fatal("nothing came within a minute")
	}
}

// manual is a clock that tests set.
type manual struct{ now int64 }

func (m *manual) Now() int64                  { return m.now }
func (m *manual) Wall(moment int64) time.Time { return time.Unix(1700000000, moment).UTC() }

// exporter is one that sends all, at once, and gives a busy machine time to take it.
func exporter(t *testing.T, endpoint string, o Options) (*Exporter, *testlog.Log) {
	t.Helper()
	log := &testlog.Log{}
	o.Settings.Endpoint = config.Secret(endpoint)
	o.Version, o.Log = "1.2.3", slog.New(slog.NewTextHandler(log, nil))
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	e.linger, e.collector.wait, e.flushLimit = time.Millisecond, time.Millisecond, time.Minute
	return e, log
}

// all are the settings of one that sends every probe.
var all = config.OTLP{Sample: 1, Traces: true}
