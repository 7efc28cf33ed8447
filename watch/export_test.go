package watch

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"sonde/internal/testpeer"
	"sonde/report"
	"sonde/watch/track"
)

// collector is one of OpenTelemetry that takes all.
type collector struct {
	*httptest.Server
	mu      sync.Mutex
	traces  map[string]map[string]*tracepb.Span // by sonde.instance of the root and name, the last one each
	metrics []*metricspb.MetricsData
}

func newCollector(t *testing.T) *collector {
	c := &collector{traces: make(map[string]map[string]*tracepb.Span)}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		body, err := io.ReadAll(z)
		if err == nil && r.URL.Path == "/v1/traces" {
			err = c.takeTraces(body)
		} else if err == nil {
			m := &metricspb.MetricsData{}
			err = proto.Unmarshal(body, m)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.metrics = append(c.metrics, m)
		}
		if err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) takeTraces(body []byte) error {
	var m tracepb.TracesData
	if err := proto.Unmarshal(body, &m); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	instance := ""
	for _, s := range m.ResourceSpans[0].ScopeSpans[0].Spans { // a root is before its children
		for _, a := range s.Attributes {
			if a.Key == "sonde.instance" {
				instance = a.Value.GetStringValue()
				c.traces[instance] = make(map[string]*tracepb.Span)
			}
		}
		c.traces[instance][s.Name] = s
	}
	return nil
}

// trace is the last one of a target; nil if none came.
func (c *collector) trace(instance string) map[string]*tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.traces[instance]
}

// probes are how many of a status the last metrics tell; 0 if none came.
func (c *collector) probes(status report.Status) (n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.metrics) == 0 {
		return 0
	}
	for _, m := range c.metrics[len(c.metrics)-1].ResourceMetrics[0].ScopeMetrics[0].Metrics {
		if m.Name != "sonde.probes" {
			continue
		}
		for _, p := range m.GetSum().DataPoints {
			for _, a := range p.Attributes {
				if a.Value.GetStringValue() == status.String() {
					n += p.GetAsInt()
				}
			}
		}
	}
	return n
}

func otlpTo(c *collector) string {
	endpoint, _ := json.Marshal(strings.TrimPrefix(c.URL, "http://"))
	return "otlp: {endpoint: " + string(endpoint) + ", insecure: true, sample: 1}\n"
}

// TestExport: a collector is told from a reload on, another one from the next, none after one more; and at the end all that is known.
func TestExport(t *testing.T) {
	first, second := newCollector(t), newCollector(t)
	sink, refused := peer(t, testpeer.Sink), "127.0.0.1:1"
	jobs := connects + "jobs:\n" + job("a", "connect", 100*time.Millisecond, "", sink, refused)
	began := time.Now()
	p := start(t, jobs)
	p.write(jobs + otlpTo(first))
	p.until("traced", func() bool { return first.trace(sink) != nil && first.trace(refused) != nil })
	trace := first.trace(sink) // one of them: the next may come any time
	root, connect := trace["probe"], trace["connect"]
	if root == nil || connect == nil || string(connect.ParentSpanId) != string(root.SpanId) || root.StartTimeUnixNano != connect.StartTimeUnixNano ||
		connect.EndTimeUnixNano <= connect.StartTimeUnixNano || connect.EndTimeUnixNano > root.EndTimeUnixNano {
		t.Errorf("got root %v and child %v", root, connect)
	}
	if from, to := time.Unix(0, int64(root.GetStartTimeUnixNano())), time.Unix(0, int64(root.GetEndTimeUnixNano())); from.Before(began) || to.After(time.Now()) {
		t.Errorf("a probe from %v to %v, want one since %v", from, to, began)
	}
	if s := first.trace(refused)["connect"]; s.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("a connect that was refused: %v", s)
	}

	p.write(jobs + otlpTo(second))
	p.until("traced elsewhere", func() bool { return second.trace(sink) != nil })
	p.until("measured at the end of the first", func() bool { return first.probes(report.Success) > 0 })
	p.write(jobs)
	p.until("traced no more", func() bool { return p.export.Load() == nil })
	p.until("measured at the end of the second", func() bool { return second.probes(report.Success) > 0 })

	p.write(jobs + otlpTo(second))
	p.until("traced again", func() bool { return p.export.Load() != nil })
	p.end()
	var c track.Copy // which nobody owns any more
	if _, done := p.table.Copy(&c, 0, 1<<20, p.clk.Now()); !done {
		t.Error("the copy is not whole")
	}
	for _, status := range []report.Status{report.Success, report.ConnectionRefused} {
		if got, want := second.probes(status), c.Jobs[0].Probes[status]; uint64(got) != want {
			t.Errorf("the last metrics tell of %d probes of %v, the table of %d", got, status, want)
		}
	}
	if text := p.log.String(); strings.Contains(text, "OpenTelemetry") {
		t.Errorf("the log has trouble:\n%s", text)
	}
}

// TestExportRefused: an endpoint that is none is an error of the configuration.
func TestExportRefused(t *testing.T) {
	p := start(t, connects)
	p.write(connects + "otlp: {endpoint: 'grpc://secret:4317'}\n")
	p.until("refused", func() bool { return strings.Contains(p.log.String(), "otlp.endpoint") })
	if text := p.log.String(); strings.Contains(text, "secret") {
		t.Errorf("the log tells a secret:\n%s", text)
	}
}
