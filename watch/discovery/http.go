package discovery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// fetchAll requests a source's list at once and then each refresh interval, until ctx is done. The second request comes at a
// random moment of the first interval, so that a fleet that was started at once does not ask at once.
func (d *Discovery) fetchAll(ctx context.Context, s *source) {
	wait := time.NewTimer(0)
	defer wait.Stop()
	next := rand.N(s.http.Refresh) + 1
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		wait.Reset(next)
		next = s.http.Refresh
		if r := d.fetch(ctx, s); ctx.Err() == nil {
			d.send(ctx, r)
		}
	}
}

// fetch makes one request and says what came of it.
func (d *Discovery) fetch(ctx context.Context, s *source) reading {
	r := reading{source: s}
	data, err := d.request(ctx, s)
	if err != nil {
		r.err = err
		return r
	}
	h := s.held[s.http.URL]
	if h == nil {
		h = &held{}
		s.held[s.http.URL] = h
	}
	if r.isNew = h.take(data, func() (*document, error) { return parseJSON(s.name, data) }); r.isNew {
		r.docs = s.documents()
	}
	r.err = h.err
	return r
}

// request makes a request as Prometheus does ("Writing HTTP service discovery") and returns the body of a good answer.
func (d *Discovery) request(ctx context.Context, s *source) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.http.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.http.URL, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "sonde")
	request.Header.Set("X-Prometheus-Refresh-Interval-Seconds", strconv.FormatFloat(s.http.Refresh.Seconds(), 'f', -1, 64))
	response, err := d.options.HTTPClient.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // the rest repeats the URL, which may hold a token
		}
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %q, want 200", clip(response.Status))
	}
	kind, parameters, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	charset := parameters["charset"]
	if err != nil || kind != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, fmt.Errorf("the answer has Content-Type %q, want application/json", clip(response.Header.Get("Content-Type")))
	}
	return readLimited(response.Body, "the answer")
}
