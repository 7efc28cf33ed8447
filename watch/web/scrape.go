package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"sonde/watch/metrics"
)

// maxDelivered is how many encodings may lie in memory while slow scrapers take them, each for at most takeLimit. The next one
// waits until one is taken.
const (
	maxDelivered = 16
	takeLimit    = 10 * time.Second
)

// scrapes makes encodings of the metrics one at a time. Who asks while one is made gets the next, together with all others who
// ask meanwhile: so a storm of scrapes costs two encodings, and none is older than the question. An encoding is kept
// compressed, some 5 % of it, and whole: a scrape is all or nothing, and a slow scraper keeps nobody waiting.
type scrapes struct {
	backend Backend
	format  metrics.Format
	places  chan struct{} // one for each encoding that is being taken

	mu   sync.Mutex
	next *encoding // has not begun; nil if nobody waits
	busy bool      // make runs
	size int       // of the last one
}

// encoding is one for all who wait for it.
type encoding struct {
	done       chan struct{} // closed when gzip and err stand
	gzip       []byte
	err        error
	users      int // who wait for it or take it
	ctx        context.Context
	cancel     context.CancelFunc
	whenUnused func()
}

func newScrapes(b Backend, f metrics.Format) *scrapes {
	return &scrapes{backend: b, format: f, places: make(chan struct{}, maxDelivered)}
}

// join returns the encoding that begins next. Who joins leaves.
func (s *scrapes) join() *encoding {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		ctx, cancel := context.WithCancel(context.Background())
		s.next = &encoding{done: make(chan struct{}), ctx: ctx, cancel: cancel}
	}
	s.next.users++
	if !s.busy {
		s.busy = true
		go s.make()
	}
	return s.next
}

// leave says that one who joined waits and takes no more. Nobody left: it need not be made.
func (s *scrapes) leave(e *encoding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.users--
	if e.users > 0 {
		return
	}
	e.cancel()
	if s.next == e {
		s.next = nil
	}
	if e.whenUnused != nil {
		e.whenUnused()
	}
}

// make makes encodings as long as somebody waits for one.
func (s *scrapes) make() {
	for {
		s.places <- struct{}{} // who comes meanwhile joins
		s.mu.Lock()
		e := s.next
		s.next = nil
		if e == nil {
			s.busy = false
			<-s.places
			s.mu.Unlock()
			return
		}
		e.whenUnused = sync.OnceFunc(func() { <-s.places })
		size := s.size
		s.mu.Unlock()

		e.gzip, e.err = s.encode(e.ctx, size)
		close(e.done)

		s.mu.Lock()
		s.size = len(e.gzip)
		s.mu.Unlock()
	}
}

func (s *scrapes) encode(ctx context.Context, size int) ([]byte, error) {
	out := bytes.NewBuffer(make([]byte, 0, size+size/8))
	z, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if err := s.backend.WriteMetrics(ctx, z, s.format); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	format := metrics.Negotiate(r.Header.Get("Accept"))
	w.Header().Set("Content-Type", format.ContentType())
	w.Header().Set("Vary", "Accept, Accept-Encoding")
	if r.Method == http.MethodHead {
		return
	}
	scrapes := s.scrapes[format]
	e := scrapes.join()
	defer scrapes.leave(e)
	select {
	case <-e.done:
	case <-r.Context().Done():
		return
	}
	if e.err != nil {
		s.fail(w, "metrics", e.err)
		return
	}
	s.limitAnswer(w, takeLimit)
	if takesGzip(r.Header.Values("Accept-Encoding")) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Length", strconv.Itoa(len(e.gzip)))
		_, _ = w.Write(e.gzip) // who went away is told nothing
		return
	}
	z, err := gzip.NewReader(bytes.NewReader(e.gzip))
	if err != nil {
		s.fail(w, "metrics", err)
		return
	}
	_, _ = io.Copy(w, z)
}

// takesGzip reports whether a header Accept-Encoding names gzip, and not to refuse it (RFC 9110 s.12.5.3).
func takesGzip(accept []string) bool {
	for coding := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			_, q, _ := strings.Cut(weight, "=")
			return strings.Trim(q, " 0.") != "" || strings.TrimSpace(q) == ""
		}
	}
	return false
}

// fail answers an error: a [Problem] as it says, another as ours.
func (s *Server) fail(w http.ResponseWriter, what string, err error) {
	code := http.StatusInternalServerError
	var problem *Problem
	switch {
	case errors.As(err, &problem):
		code = problem.Code
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		code = http.StatusServiceUnavailable
	default:
		s.log.Error(what, "err", err)
	}
	http.Error(w, err.Error(), code)
}
