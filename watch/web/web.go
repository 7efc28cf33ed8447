// Package web is what sonde watch says over HTTP: metrics, probes on demand, the API, events, and the page for people. It knows
// how to ask and to answer; what is known of targets is the [Backend]'s, and it is read as copies, so that nobody who reads
// slowly holds anything but a socket.
//
//	GET  /                    the page (package page)
//	GET  /metrics             scrape.go: one encoding at a time, shared
//	GET  /probe               probe.go: one probe, now
//	GET  /-/healthy /-/ready  admin.go
//	POST /-/reload            admin.go
//	GET  /api/v1/targets      targets.go: filtered, sorted, by pages
//	GET  /api/v1/history      answers.go; also failures and status
//	GET  /api/v1/events       events.go: once a second, what changed
//	GET  /debug/pprof/        only if [Options] says so
//
// Who may ask is for the listener's address and exporter-toolkit's web configuration to say; guard.go adds what keeps a browser
// from being used against it.
package web

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/goccy/go-yaml"
	toolkit "github.com/prometheus/exporter-toolkit/web"

	"sonde/internal/clock"
	"sonde/internal/kernel/regular"
	"sonde/watch/metrics"
	"sonde/watch/page"
)

// Options are how a Server is.
type Options struct {
	// ConfigFile is exporter-toolkit's web configuration (basic auth, TLS, client certificates); empty for plain HTTP. It is read
	// again with each request and connection.
	ConfigFile string
	// Reload allows /-/reload. Whoever reaches it can have the configuration read again, no more; still it is best left to
	// servers that only this machine or known users reach.
	Reload bool
	// Pprof serves /debug/pprof/.
	Pprof bool
	// Connections is how many there are at once at most, over all listeners; 0 means MaxConnections.
	Connections int
	// Grace is how long requests under way may take when the server ends; 0 means 5 s.
	Grace time.Duration
	// Log gets what goes wrong, the same thing once a minute at most; nil for nowhere.
	Log *slog.Logger
	// Clock is that of the moments in the backend's copies; the machine's, from now on, if nil.
	Clock clock.Clock
}

// The limits of a connection.
const (
	headerLimit  = 10 * time.Second // to send the header of a request
	idleLimit    = 2 * time.Minute  // between two requests; Prometheus asks each minute or sooner
	bodyLimit    = 30 * time.Second // to send a body, which nothing here reads; what takes longer without one goes on
	answerLimit  = 30 * time.Second // to take an answer
	profileLimit = 10 * time.Minute // to take one that begins when its time is over: 30 s, if the asker does not say
	maxHeader    = 64 << 10
	defaultGrace = 5 * time.Second
)

// Server answers over HTTP. Make one with [New].
type Server struct {
	backend Backend
	opt     Options
	clock   clock.Clock
	log     *slog.Logger

	scrapes [metrics.NumFormats]*scrapes
	views   *views
	hub     *hub
	probes  chan struct{} // a place for each probe under way
	// loopback is set by Serve before it takes the first request.
	loopback bool
}

// New returns a server of what b knows.
func New(b Backend, opt Options) *Server {
	s := &Server{backend: b, opt: opt, clock: opt.Clock, probes: make(chan struct{}, maxProbes)}
	if s.clock == nil {
		s.clock = clock.NewSystem()
	}
	s.log = slog.New(slog.DiscardHandler)
	if opt.Log != nil {
		s.log = slog.New(newSeldom(opt.Log.Handler(), s.clock))
	}
	for f := range metrics.NumFormats {
		s.scrapes[f] = newScrapes(b, f)
	}
	s.views = newViews(b, s.clock)
	s.hub = newHub(s.views, s.log)
	return s
}

// CheckConfig says what is wrong with a file that is to be Options.ConfigFile.
func CheckConfig(file string) error {
	if _, err := read(file); file != "" && err != nil {
		return err // the toolkit would wait for who writes to a pipe
	}
	return toolkit.Validate(file)
}

func read(file string) ([]byte, error) {
	f, err := regular.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// HasTLS reports whether a file that is Options.ConfigFile has TLS spoken.
func HasTLS(file string) bool {
	text, err := read(file)
	var says struct {
		TLS map[string]any `yaml:"tls_server_config"`
	}
	return file != "" && err == nil && yaml.Unmarshal(text, &says) == nil && len(says.TLS) > 0
}

// Handler answers everything but what ConfigFile adds.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", s.metrics)
	mux.HandleFunc("GET /probe", s.probe)
	mux.HandleFunc("GET /-/healthy", s.healthy)
	mux.HandleFunc("GET /-/ready", s.ready)
	mux.HandleFunc("GET /-/reload", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "a reload is asked for by POST or PUT", http.StatusMethodNotAllowed)
	})
	mux.HandleFunc("POST /-/reload", s.reload)
	mux.HandleFunc("PUT /-/reload", s.reload)
	mux.HandleFunc("GET /api/v1/targets", s.targets)
	mux.HandleFunc("GET /api/v1/history", s.history)
	mux.HandleFunc("GET /api/v1/failures", s.failures)
	mux.HandleFunc("GET /api/v1/status", s.status)
	mux.HandleFunc("GET /api/v1/events", s.events)
	mux.Handle("GET /", page.Handler())
	if s.opt.Pprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", s.patiently(pprof.Profile))
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", s.patiently(pprof.Trace))
	}
	return s.guard(mux)
}

// Serve answers on the listeners, which it closes, until ctx ends; requests under way then have Options.Grace. It returns nil
// then, and otherwise what ended it. To be called once.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	s.loopback = allLoopback(listeners)
	handler := s.Handler()
	servers := make([]*http.Server, len(listeners))
	ended := make(chan error, len(listeners))
	places := make(chan struct{}, cmp.Or(s.opt.Connections, MaxConnections))
	for i, l := range listeners {
		l = newCrowd(l, places)
		// One each: the toolkit wraps the handler of the server that it is given.
		servers[i] = &http.Server{
			Handler: handler, ReadHeaderTimeout: headerLimit, ReadTimeout: bodyLimit, IdleTimeout: idleLimit, MaxHeaderBytes: maxHeader,
			ErrorLog: log.New(lines{s.log}, "", 0),
		}
		flags := &toolkit.FlagConfig{WebConfigFile: &s.opt.ConfigFile}
		go func() { ended <- toolkit.Serve(l, servers[i], flags, s.log) }()
	}
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-ended:
	}
	s.hub.close()
	grace := s.opt.Grace
	if grace == 0 {
		grace = defaultGrace
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	var all sync.WaitGroup
	for i, server := range servers {
		all.Go(func() {
			if server.Shutdown(ending) != nil {
				server.Close()
			}
			listeners[i].Close() // the toolkit may have given up before it served
		})
	}
	all.Wait()
	if errors.Is(failed, http.ErrServerClosed) {
		return nil
	}
	return failed
}

// patiently has h answer within profileLimit.
func (s *Server) patiently(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.limitAnswer(w, profileLimit)
		h(w, r)
	}
}

// limitAnswer gives the peer so long to take the answer.
func (s *Server) limitAnswer(w http.ResponseWriter, limit time.Duration) {
	// A writer without deadlines is a test's.
	_ = http.NewResponseController(w).SetWriteDeadline(clock.Deadline(limit))
}
