package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"sonde/watch/config"
)

const (
	// requestLimit is how long one request may take, as OpenTelemetry's exporters have it.
	requestLimit = 10 * time.Second
	// A batch that the collector does not take now is sent again after firstWait, twice that, and so on, maxWait at most; when it
	// has been tried for patience, it is lost, since others wait behind it.
	firstWait = time.Second
	maxWait   = 15 * time.Second
	patience  = time.Minute
	// maxAnswer is how much of an answer is read, in bytes.
	maxAnswer = 64 << 10
)

// collector is the peer that takes what is sent.
type collector struct {
	base    *url.URL
	headers []pair
	agent   string
	client  *http.Client
	log     *slog.Logger
	wait    time.Duration // firstWait
}

// newCollector reads where the collector is. No error and no line of the log has what may be secret of it.
func newCollector(s config.OTLP, version string, log *slog.Logger) (*collector, error) {
	base, err := endpointOf(string(s.Endpoint), s.Insecure)
	if err != nil {
		return nil, fmt.Errorf("otlp.endpoint: %w", err)
	}
	c := &collector{base: base, agent: "sonde/" + version, log: log, wait: firstWait}
	if c.headers, err = pairs(os.Getenv("OTEL_EXPORTER_OTLP_HEADERS")); err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_HEADERS: %w", err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxConnsPerHost = 2 // one a signal
	c.client = &http.Client{
		Transport: transport, Timeout: requestLimit,
		// A redirect would carry the fields that authorize us to who knows whom.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// endpointOf reads a host and a port, or a URL to which the path of a signal is added.
func endpointOf(text string, insecure bool) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		if host, _, err := net.SplitHostPort(text); err != nil || host == "" {
			return nil, errors.New("it is neither host:port, as in localhost:4318, nor a URL")
		}
		scheme := "https://"
		if insecure {
			scheme = "http://"
		}
		text = scheme + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("it is no URL") // the reason repeats it
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("its scheme is neither http nor https: OTLP is spoken over HTTP, by default at port 4318")
	case u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("it is no URL of a host and a path")
	case u.Scheme == "https" && insecure:
		return nil, errors.New("https goes with TLS, and insecure without")
	}
	return u, nil
}

func (c *collector) close() { c.client.CloseIdleConnections() }

// signal is one of what is sent. It belongs to one goroutine.
type signal struct {
	path, name string
	troubled   bool // the log knows that it is not taken
	partly     bool // the log knows that some of it is not
}

// send sends a message, and again if it is patient and the collector can't take it now. Once ctx has ended it tries one time
// more at once, and once sending has, it gives up. It reports how much of the message the collector refused.
func (c *collector) send(ctx, sending context.Context, s *signal, m proto.Message, patient bool) (rejected int64, err error) {
	body, err := packed(m)
	if err != nil {
		return 0, err
	}
	waited, wait := time.Duration(0), c.wait
	for {
		last := !patient || waited >= patience || ctx.Err() != nil
		var reason string
		if rejected, reason, err = c.post(sending, s.path, body); err == nil {
			c.taken(s, rejected, reason)
			return rejected, nil
		}
		c.refused(s, err)
		var answer *answerError
		isAnswer := errors.As(err, &answer)
		if last || isAnswer && !answer.again() {
			return 0, err
		}
		pause := wait/2 + rand.N(wait/2+1)
		if isAnswer {
			pause = max(pause, min(answer.after, patience))
		}
		sleep(ctx, pause)
		waited, wait = waited+pause, min(2*wait, maxWait)
	}
}

// sleep waits, until ctx ends at most.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// packed is a message as it is sent.
func packed(m proto.Message) ([]byte, error) {
	plain, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	_, _ = z.Write(plain) // no error comes from a buffer
	_ = z.Close()
	return out.Bytes(), nil
}

// answerError is an answer that is none of success.
type answerError struct {
	code  int
	after time.Duration // that it asks us to wait
}

func (e *answerError) Error() string {
	return fmt.Sprintf("it answers %d %s", e.code, http.StatusText(e.code))
}

// again reports whether the same may be sent again (OTLP specification, "Retryable Response Codes").
func (e *answerError) again() bool { return slices.Contains([]int{429, 502, 503, 504}, e.code) }

// post sends a body one time.
func (c *collector) post(ctx context.Context, path string, body []byte) (rejected int64, reason string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return 0, "", errors.New("no request can be made for it")
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("Content-Encoding", "gzip")
	req.Header.Set("User-Agent", c.agent)
	for _, h := range c.headers {
		req.Header.Set(h.name, h.value)
	}
	res, err := c.client.Do(req)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // without the URL
		}
		return 0, "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if res.StatusCode/100 != 2 {
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		return 0, "", &answerError{res.StatusCode, time.Duration(min(max(seconds, 0), 3600)) * time.Second}
	}
	if err != nil {
		return 0, "", err
	}
	rejected, reason = partial(answer)
	return rejected, reason, nil
}

// partial reads of an ExportTraceServiceResponse or one of metrics, which are alike, what was not taken: partial_success (1) with the
// number (1) and the reason (2).
func partial(answer []byte) (rejected int64, reason string) {
	eachField(answer, func(number protowire.Number, inner []byte, _ uint64) {
		if number != 1 {
			return
		}
		eachField(inner, func(number protowire.Number, text []byte, n uint64) {
			switch number {
			case 1:
				rejected = max(int64(n), 0)
			case 2:
				reason = clean(string(text))
			}
		})
	})
	return rejected, reason
}

// eachField calls do with the fields of a message that are bytes or numbers, up to where it makes no sense.
func eachField(message []byte, do func(number protowire.Number, bytes []byte, n uint64)) {
	for len(message) > 0 {
		number, kind, length := protowire.ConsumeTag(message)
		if length < 0 {
			return
		}
		message = message[length:]
		length = protowire.ConsumeFieldValue(number, kind, message)
		if length < 0 {
			return
		}
		switch kind {
		case protowire.BytesType:
			text, _ := protowire.ConsumeBytes(message)
			do(number, text, 0)
		case protowire.VarintType:
			n, _ := protowire.ConsumeVarint(message)
			do(number, nil, n)
		}
		message = message[length:]
	}
}

// refused tells the log, once until it is taken again.
func (c *collector) refused(s *signal, err error) {
	if !s.troubled {
		s.troubled = true
		c.log.Warn("the OpenTelemetry collector does not take "+s.name+"; told once until it does", "collector", c.base.Host, "error", err)
	}
}

// taken tells the log if it was not before, and what is not taken of it, once.
func (c *collector) taken(s *signal, rejected int64, reason string) {
	if s.troubled {
		s.troubled = false
		c.log.Info("the OpenTelemetry collector takes "+s.name+" again", "collector", c.base.Host)
	}
	if rejected > 0 && !s.partly {
		s.partly = true
		c.log.Warn("the OpenTelemetry collector refuses some of the "+s.name+"; told once", "collector", c.base.Host, "refused", rejected, "reason", reason)
	}
}
