package web_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"sonde/watch/web"
)

func TestMetrics(t *testing.T) {
	f := newFake(t, 0)
	h := handler(f, web.Options{})
	plain := ask(h, "GET", "/metrics")
	if plain.Code != 200 || plain.Body.String() != "sonde_up 1\n" || plain.Header().Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("got %d, %q, %q", plain.Code, plain.Body, plain.Header())
	}
	zipped := ask(h, "GET", "/metrics", "Accept-Encoding", "deflate, gzip")
	z, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(z); string(text) != "sonde_up 1\n" || err != nil {
		t.Errorf("compressed: got %q, %v", text, err)
	}
	for accept, want := range map[string]string{
		"": "", "gzip": "gzip", "GZIP;q=0.5": "gzip", "identity, gzip; q=1": "gzip", "gzip;q=0": "", "gzip; q=0.000, identity": "", "x-gzipped": "",
	} {
		if got := ask(h, "GET", "/metrics", "Accept-Encoding", accept).Header().Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding %q: got %q, want %q", accept, got, want)
		}
	}
	if head := ask(h, "HEAD", "/metrics"); head.Code != 200 || head.Body.Len() > 0 {
		t.Errorf("HEAD: got %d with %d bytes", head.Code, head.Body.Len())
	}
}

// TestScrapeStorm asks many times while an encoding is under way: all share the next one, which is none that began before.
func TestScrapeStorm(t *testing.T) {
	const storm = 100
	f := newFake(t, 0)
	var encodings atomic.Int32
	begun, goOn := make(chan struct{}, storm), make(chan struct{})
	f.metrics = func(_ context.Context, w io.Writer) error {
		n := encodings.Add(1)
		begun <- struct{}{}
		<-goOn
		_, err := fmt.Fprintf(w, "encoding %d\n", n)
		return err
	}
	server := web.New(f, web.Options{Clock: f.clock})
	h := server.Handler()
	answers := make(chan string, storm+1)
	scrape := func() { answers <- ask(h, "GET", "/metrics").Body.String() }
	go scrape()
	<-begun // the first, for the first alone
	var asked sync.WaitGroup
	for range storm {
		asked.Add(1)
		go func() {
			r := httptest.NewRequestWithContext(&noted{t.Context(), sync.OnceFunc(asked.Done)}, "GET", "/metrics", nil)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			answers <- w.Body.String()
		}()
	}
	asked.Wait() // they all have joined, for they wait
	close(goOn)
	got := map[string]int{}
	for range storm + 1 {
		got[<-answers]++
	}
	if got["encoding 1\n"] != 1 || got["encoding 2\n"] != storm || encodings.Load() != 2 {
		t.Errorf("got %v in %d encodings, want 1 of the first and %d of the second", got, encodings.Load(), storm)
	}
}

// noted is a context that tells when somebody waits for it.
type noted struct {
	context.Context
	waited func()
}

func (n *noted) Done() <-chan struct{} {
	n.waited()
	return n.Context.Done()
}

// TestScrapeAbandoned goes away in the middle of an encoding, which is given up; the next scrape finds nothing in its way.
func TestScrapeAbandoned(t *testing.T) {
	f := newFake(t, 0)
	begun := make(chan struct{})
	f.metrics = func(ctx context.Context, w io.Writer) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}
	h := handler(f, web.Options{})
	ctx, leave := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/metrics", nil))
		close(over)
	}()
	<-begun
	f.metrics = nil
	leave()
	<-over
	if w := ask(h, "GET", "/metrics"); w.Body.String() != "sonde_up 1\n" {
		t.Errorf("the next: got %d, %q", w.Code, w.Body)
	}
}

// TestSlowScraper leaves several scrapes untaken, of more than the sockets hold. Others are answered as ever.
func TestSlowScraper(t *testing.T) {
	f := newFake(t, 0)
	big := make([]byte, 16<<20)
	chance := rand.New(rand.NewPCG(1, 2))
	for i := range big {
		big[i] = byte(chance.Uint32()) // it does not compress
	}
	f.metrics = func(_ context.Context, w io.Writer) error {
		_, err := w.Write(big)
		return err
	}
	url, _ := serve(t, f, web.Options{Grace: 1})
	for range 4 {
		slow, err := net.Dial("tcp", url[len("http://"):])
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Close()
		if _, err := io.WriteString(slow, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(slow, make([]byte, 1000)); err != nil { // the answer has begun
			t.Fatal(err)
		}
	}
	w, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	if got, err := io.ReadAll(w.Body); err != nil || !bytes.Equal(got, big) {
		t.Errorf("got %d bytes, %v, want %d", len(got), err, len(big))
	}
}
