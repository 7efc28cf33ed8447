package web

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"sonde/watch/metrics"
)

// What blackbox_exporter does, so that a scrape configuration for it works.
const (
	defaultModule  = "http_2xx"
	timeoutHeader  = "X-Prometheus-Scrape-Timeout-Seconds"
	timeoutOffset  = 500 * time.Millisecond // the answer has to be back before Prometheus gives up
	probeLate      = 10 * time.Second       // by how much the backend may be late with an answer
	defaultTimeout = 2 * time.Minute
)

// maxProbes is how many probes run at once by /probe: each may take its whole time. Those count whose asker has left: nobody calls a
// connection back that is being made for him, so who asks and leaves would have as many as he likes.
const maxProbes = 1000

// maxTarget is how long a target may be written: a URL.
const maxTarget = 4096

// probe runs one probe and answers its metrics; GET /probe?target=&module=&hostname=&debug=true.
func (s *Server) probe(w http.ResponseWriter, r *http.Request) {
	request, err := s.probeRequest(r)
	if err != nil {
		s.fail(w, "probe", err)
		return
	}
	select {
	case s.probes <- struct{}{}:
		defer func() { <-s.probes }()
	default:
		s.fail(w, "probe", &Problem{http.StatusServiceUnavailable, fmt.Sprintf("%d probes are under way already", maxProbes)})
		return
	}
	// The backend keeps Timeout, and answers; also to nobody. On a busy machine it is late: that the target did not answer in time is
	// the answer all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), request.Timeout+probeLate)
	defer cancel()
	s.limitAnswer(w, request.Timeout+answerLimit)
	answer, err := s.backend.Probe(ctx, request)
	if err != nil {
		s.fail(w, "probe", err)
		return
	}
	if !request.Debug {
		w.Header().Set("Content-Type", metrics.Text.ContentType())
		_, _ = w.Write(answer.Metrics)
		return
	}
	var text bytes.Buffer
	text.WriteString("Logs for the probe:\n")
	for _, line := range answer.Log {
		text.WriteString(line + "\n")
	}
	text.WriteString("\n\n\nMetrics that would have been returned:\n")
	text.Write(answer.Metrics)
	text.WriteString("\n\n\nModule configuration:\n" + answer.Module)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(text.Bytes())
}

// probeRequest reads the parameters.
func (s *Server) probeRequest(r *http.Request) (*ProbeRequest, error) {
	bad := func(format string, args ...any) error {
		return &Problem{http.StatusBadRequest, fmt.Sprintf(format, args...)}
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, bad("the query: %v", err)
	}
	for name, values := range query {
		if len(values) > 1 {
			return nil, bad("the parameter %q is given %d times", name, len(values))
		}
	}
	request := &ProbeRequest{
		Module: query.Get("module"), Target: query.Get("target"), Hostname: query.Get("hostname"), Debug: query.Get("debug") == "true",
	}
	if request.Module == "" {
		request.Module = defaultModule
	}
	switch {
	case request.Target == "":
		return nil, bad("the parameter target is missing: what is to be probed")
	case len(request.Target) > maxTarget:
		return nil, bad("a target of %d bytes: at most %d", len(request.Target), maxTarget)
	case len(request.Hostname) > 255:
		return nil, bad("a hostname of %d bytes: at most 255", len(request.Hostname))
	}
	module, err := s.backend.Module(request.Module)
	if err != nil {
		return nil, err
	}
	request.Timeout, err = probeTimeout(r.Header.Get(timeoutHeader), module.Total)
	if err != nil {
		return nil, bad("the header %s: %v", timeoutHeader, err)
	}
	return request, nil
}

// probeTimeout is the time of a probe: what the scraper gives, less the offset, or the module's if that is less.
func probeTimeout(header string, module time.Duration) (time.Duration, error) {
	given := defaultTimeout
	if header != "" {
		seconds, err := strconv.ParseFloat(header, 64)
		if err != nil || math.IsNaN(seconds) || seconds < 0 {
			return 0, fmt.Errorf("%q is no number of seconds", header)
		}
		if seconds > 0 {
			given = time.Duration(min(seconds, time.Hour.Seconds()) * float64(time.Second))
		}
	}
	left := given - timeoutOffset
	if left <= 0 { // an offset that leaves nothing is none
		left = given
	}
	if module > 0 {
		left = min(left, module)
	}
	return left, nil
}
