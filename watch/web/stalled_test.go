package web

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"

	"sonde/watch/metrics"
)

// noise is a backend whose metrics can't be compressed.
type noise struct {
	Backend
	text []byte
}

func (n *noise) WriteMetrics(_ context.Context, w io.Writer, _ metrics.Format) error {
	_, err := w.Write(n.text)
	return err
}

// stalled takes nothing of an answer until it is let go.
type stalled struct {
	*httptest.ResponseRecorder
	goOn <-chan struct{}
}

func (s *stalled) Write(b []byte) (int, error) {
	<-s.goOn
	return s.ResponseRecorder.Write(b)
}

// TestStalledScrapers has each of many scrapers begin to take an encoding of its own, and stall. The next one is served at once, and in
// the end the last of them, whose encodings were kept, have all of theirs; the others see that they have not.
func TestStalledScrapers(t *testing.T) {
	const many = 40
	for name, c := range map[string]struct{ room, kept int }{
		"all fit":     {many + 1, many + 1},
		"some fit":    {20, 20},
		"one is more": {0, keptAlways},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { stall(t, many, c.room, c.kept) })
		})
	}
}

// stall has so many scrapers stall, with room for so many encodings, of which so many are to be kept.
func stall(t *testing.T, many, room, kept int) {
	text := make([]byte, 100_000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(text)
	server := New(&noise{text: text}, Options{})
	scrapes := server.scrapes[metrics.Text]
	request := httptest.NewRequest("GET", "/metrics", nil)
	request.Header.Set("Accept-Encoding", "gzip")
	whole, goOn := make([]bool, many), make(chan struct{})
	for i := range many {
		go func() {
			defer func() { whole[i] = recover() == nil }()
			server.Handler().ServeHTTP(&stalled{httptest.NewRecorder(), goOn}, request)
		}()
		synctest.Wait()
		scrapes.room = room * scrapes.taken[0].size
	}
	next := httptest.NewRecorder()
	server.Handler().ServeHTTP(next, httptest.NewRequest("GET", "/metrics", nil))
	if !bytes.Equal(next.Body.Bytes(), text) {
		t.Errorf("the next one got %d bytes, want %d", next.Body.Len(), len(text))
	}
	if got := len(scrapes.taken); got != kept-1 {
		t.Errorf("%d encodings are kept for those that stall, want %d", got, kept-1)
	}
	close(goOn)
	synctest.Wait()
	want := make([]bool, many)
	for i := range want {
		want[i] = i >= many-(kept-1)
	}
	if !slices.Equal(whole, want) {
		t.Errorf("got all of theirs: %v, want the last %d", whole, kept-1)
	}
}
