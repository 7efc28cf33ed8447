package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sonde/protocol/http1"
	"sonde/watch/metrics"
)

// What lies in memory while scrapers take it, each for at most takeLimit: the last keptAlways encodings, and those before them as long as
// all together are no more than keptBytes. One that is given up is not taken to its end by who still takes it: so however many stall,
// the next scrape begins at once, and one that takes its own while eight others are made is served.
const (
	keptAlways = 8
	keptBytes  = 64 << 20
	takeLimit  = 10 * time.Second
)

// scrapes makes encodings of the metrics one at a time. Who asks while one is made gets the next, together with all others who
// ask meanwhile: so a storm of scrapes costs two encodings, and none is older than the question. An encoding is kept
// compressed, some 5 % of it, and whole: a scrape is all or nothing, and a slow scraper keeps nobody waiting.
type scrapes struct {
	backend Backend
	format  metrics.Format
	room    int // keptBytes

	mu    sync.Mutex
	next  *encoding   // has not begun; nil if nobody waits
	taken []*encoding // those that are being taken and are not given up, the oldest first
	busy  bool        // make runs
	size  int         // of the last one
}

// encoding is one for all who wait for it.
type encoding struct {
	done   chan struct{} // closed when size, gzip and err stand
	size   int           // of gzip
	gzip   atomic.Pointer[[]byte]
	err    error
	users  int // who wait for it or take it
	ctx    context.Context
	cancel context.CancelFunc
}

func newScrapes(b Backend, f metrics.Format) *scrapes {
	return &scrapes{backend: b, format: f, room: keptBytes}
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

// leave says that one who joined waits and takes no more. Nobody left: it need not be made, or kept.
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
	s.taken = slices.DeleteFunc(s.taken, func(t *encoding) bool { return t == e })
}

// make makes encodings as long as somebody waits for one.
func (s *scrapes) make() {
	for {
		s.mu.Lock()
		e := s.next
		s.next = nil
		if e == nil {
			s.busy = false
			s.mu.Unlock()
			return
		}
		size := s.size
		s.mu.Unlock()

		text, err := s.encode(e.ctx, size)
		e.size, e.err = len(text), err
		e.gzip.Store(&text)

		s.mu.Lock()
		s.size = e.size
		if e.users > 0 {
			s.taken = append(s.taken, e)
			s.giveUp()
		}
		s.mu.Unlock()
		close(e.done)
	}
}

// giveUp drops the encodings for which there is no room any more.
func (s *scrapes) giveUp() {
	sum := 0
	for i, e := range slices.Backward(s.taken) {
		sum += e.size
		if len(s.taken)-i <= keptAlways || sum <= s.room {
			continue
		}
		for _, old := range s.taken[:i+1] {
			old.gzip.Store(nil)
		}
		s.taken = slices.Delete(s.taken, 0, i+1)
		return
	}
}

// taker takes an encoding, whose memory is its own only while Read runs.
type taker struct {
	from *encoding
	at   int
}

var errGivenUp = errors.New("newer metrics were asked for meanwhile, again and again")

// Read implements io.Reader.
func (t *taker) Read(p []byte) (int, error) {
	if t.at == t.from.size {
		return 0, io.EOF
	}
	text := t.from.gzip.Load()
	if text == nil {
		return 0, errGivenUp
	}
	n := copy(p, (*text)[t.at:])
	t.at += n
	return n, nil
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
	var body io.Reader = &taker{from: e}
	var err error
	if takesGzip(r.Header.Values("Accept-Encoding")) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Length", strconv.Itoa(e.size))
	} else {
		body, err = gzip.NewReader(body)
	}
	if err == nil {
		_, err = io.Copy(w, body)
	}
	if err != nil {
		panic(http.ErrAbortHandler) // nobody is to take a part for the whole
	}
}

// takesGzip reports whether a header Accept-Encoding names gzip, and not to refuse it (RFC 9110 s.12.5.3).
func takesGzip(accept []string) bool {
	for coding, weight := range http1.Preferences(strings.Join(accept, ",")) {
		if coding == "gzip" {
			return weight > 0
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
