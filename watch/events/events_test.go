package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/policy/breaker"
	"sonde/policy/flap"
	"sonde/report"
	"sonde/watch/track"
)

// receiver is a web hook without a network, so that it works in a bubble.
type receiver struct {
	mu       sync.Mutex
	answer   func(request int) (status int, err error) // nil: 200 to all
	requests []time.Time
	sizes    []int
	got      []wireEvent // of all requests that were answered with 200
}

func (r *receiver) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	var batch []wireEvent
	if err := json.Unmarshal(body, &batch); err != nil {
		return nil, fmt.Errorf("the body %q: %w", body, err)
	}
	if request.Method != "POST" || request.Header.Get("Content-Type") != "application/json" {
		return nil, errors.New("not a POST of JSON")
	}
	r.mu.Lock()
	number := len(r.requests)
	r.requests, r.sizes = append(r.requests, time.Now()), append(r.sizes, len(batch))
	r.mu.Unlock()
	status := 200
	if r.answer != nil {
		if status, err = r.answer(number); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if status == 200 {
		r.got = append(r.got, batch...)
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Location": {"/elsewhere"}}, Body: io.NopCloser(strings.NewReader(""))}, nil
}

// want checks that these events came, in this order and with ids of their own.
func (r *receiver) want(t *testing.T, first, last int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := map[string]bool{}
	for i, e := range r.got {
		if want := fmt.Sprintf("host%d:80", first+i); e.Instance != want {
			t.Fatalf("event %d is %s, want %s", i, e.Instance, want)
		}
		ids[e.ID] = true
	}
	if len(r.got) != last-first+1 || len(ids) != len(r.got) {
		t.Fatalf("got %d events with %d ids, want %d", len(r.got), len(ids), last-first+1)
	}
}

// tested is a queue with its receiver and its log.
type tested struct {
	*Queue
	t        *testing.T
	receiver *receiver
	log      *strings.Builder
	stop     func() // returns when Run has
}

// open makes a queue that does not run yet.
func open(t *testing.T, o Options, answer func(int) (int, error)) *tested {
	t.Helper()
	q := &tested{t: t, receiver: &receiver{answer: answer}, log: &strings.Builder{}}
	o.URL = "https://hook.example/secret"
	o.Client = &http.Client{Transport: q.receiver}
	o.Log = slog.New(slog.NewTextHandler(q.log, nil))
	var err error
	if q.Queue, err = Open(o); err != nil {
		t.Fatal(err)
	}
	return q
}

// start runs it, in a bubble.
func (q *tested) start() {
	ctx, cancel := context.WithCancel(q.t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		q.Run(ctx)
	}()
	q.stop = func() { cancel(); <-over }
	q.t.Cleanup(q.stop)
}

// add adds the events of these numbers.
func (q *tested) add(first, last int) {
	for i := first; i <= last; i++ {
		q.Add(Event{
			Time: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), Job: "web", Instance: fmt.Sprintf("host%d:80", i), From: Up, To: Down,
			Status: report.ConnectionRefused, Side: report.SideRemote,
		})
	}
}

// wantLog checks how often the log says something.
func (q *tested) wantLog(text string, times int) {
	q.t.Helper()
	if got := strings.Count(q.log.String(), text); got != times {
		q.t.Errorf("the log says %q %d times, want %d: %s", text, got, times, q.log)
	}
}

func TestJSON(t *testing.T) {
	q := &Queue{run: "0123456789abcdef"}
	full := entry{number: 7, event: Event{
		Time: time.Date(2026, 3, 4, 5, 6, 7, 89012345, time.FixedZone("", 3600)), Job: "web", Instance: "www.example.com:443",
		Labels: []track.Label{{Name: "env", Value: "prod"}, {Name: "zone", Value: "a\"b"}}, From: Up, To: Down,
		Status: report.CertificateError, Side: report.SideRemote, Reason: "expired " + strings.Repeat("x", 2*maxReason),
		Since: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
	}}
	q.encode(&full)
	want := `{"id":"0123456789abcdef-7","time":"2026-03-04T04:06:07.089012Z","job":"web","instance":"www.example.com:443",` +
		`"labels":{"env":"prod","zone":"a\"b"},"from":"up","to":"down","status":"certificate-error","error_side":"remote",` +
		`"error":"expired ` + strings.Repeat("x", maxReason-8) + `","since":"2026-03-01T00:00:00.000000Z"}`
	if diff := cmp.Diff(want, string(full.line)); diff != "" {
		t.Error(diff)
	}
	short := entry{number: 8, event: Event{From: Flap(flap.Unknown), To: Breaker(breaker.HalfOpen)}}
	q.encode(&short)
	want = `{"id":"0123456789abcdef-8","time":"0001-01-01T00:00:00.000000Z","job":"","instance":"","from":"unknown","to":"breaker-half-open","status":"success"}`
	if diff := cmp.Diff(want, string(short.line)); diff != "" {
		t.Error(diff)
	}
}

func TestStates(t *testing.T) {
	for want, got := range map[string]State{
		"up": Flap(flap.Up), "down": Flap(flap.Down), "breaker-closed": Breaker(breaker.Closed), "breaker-open": Breaker(breaker.Open), "stale": Stale,
	} {
		if got.String() != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}

// TestReceiverDown: what happened while the receiver was away comes in order, each event once, and both are told once.
func TestReceiverDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		q := open(t, Options{}, func(int) (int, error) {
			switch passed := time.Since(begin); {
			case passed < 30*time.Minute:
				return 0, errors.New("connection refused, " + passed.String())
			case passed < time.Hour:
				return 503, nil
			}
			return 200, nil
		})
		q.start()
		for i := range 60 {
			q.add(i*20+1, i*20+20)
			time.Sleep(time.Minute)
		}
		time.Sleep(3 * time.Minute)
		q.receiver.want(t, 1, 1200)
		if got := len(q.receiver.requests); got < 30 || got > 300 {
			t.Errorf("got %d requests in an hour, want about one a minute", got)
		}
		stats := q.Stats()
		if stats.Waiting != 0 || stats.Delivered != 1200 || stats.Dropped != 0 || stats.Failures < 30 || stats.Error != "" || stats.LastSuccess.IsZero() {
			t.Errorf("got %+v", stats)
		}
		q.wantLog("connection refused", 1)
		q.wantLog("delivered again", 1)
		q.wantLog("secret", 0)
	})
}

// TestSlowReceiver: what comes while a request is under way goes with the next, and Add waits for none.
func TestSlowReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, Options{}, func(int) (int, error) { time.Sleep(5 * time.Second); return 200, nil })
		q.start()
		q.add(1, 1)
		synctest.Wait()
		begin := time.Now()
		q.add(2, 1300)
		if passed := time.Since(begin); passed != 0 {
			t.Errorf("Add took %v", passed)
		}
		time.Sleep(time.Minute)
		q.receiver.want(t, 1, 1300)
		if diff := cmp.Diff([]int{1, 500, 500, 299}, q.receiver.sizes); diff != "" {
			t.Error(diff)
		}
	})
}

// TestSilentReceiver: one that never answers is given up after the timeout, and the event comes again.
func TestSilentReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, Options{}, nil)
		var answers atomic.Bool
		q.client.Transport = answering(func(r *http.Request) (*http.Response, error) {
			if !answers.Load() {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return q.receiver.RoundTrip(r)
		})
		q.start()
		q.add(1, 1)
		time.Sleep(requestTimeout + time.Millisecond)
		synctest.Wait()
		if got := q.Stats(); got.Failures != 1 || !strings.Contains(got.Error, "deadline") {
			t.Errorf("got %+v", got)
		}
		answers.Store(true)
		time.Sleep(time.Minute)
		q.receiver.want(t, 1, 1)
	})
}

type answering func(*http.Request) (*http.Response, error)

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

// TestFullQueue: of 10,001 events that can't be delivered the oldest goes.
func TestFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, Options{}, nil)
		q.add(0, DefaultQueue)
		if got := q.Stats(); got.Waiting != DefaultQueue || got.Dropped != 1 || got.Added != DefaultQueue+1 {
			t.Errorf("got %+v", got)
		}
		q.start()
		time.Sleep(time.Second)
		q.receiver.want(t, 1, DefaultQueue)
		q.wantLog("the queue of 10000 is full", 1)
		if got := len(q.receiver.sizes); got != DefaultQueue/MaxBatch {
			t.Errorf("got %d requests, want %d", got, DefaultQueue/MaxBatch)
		}
	})
}

// TestDropWhileSending: an event that leaves the full queue while it is on its way is lost only if it does not arrive.
func TestDropWhileSending(t *testing.T) {
	for _, status := range []int{200, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := open(t, Options{Queue: 10}, func(request int) (int, error) {
					if request == 0 {
						time.Sleep(5 * time.Second)
						return status, nil
					}
					return 200, nil
				})
				q.start()
				q.add(1, 2)
				synctest.Wait() // one or both are on their way
				q.add(3, 11)
				time.Sleep(time.Minute)
				wantDropped := 0
				if status != 200 {
					wantDropped = 1
				}
				q.receiver.want(t, 1+wantDropped, 11)
				if got := q.Stats(); got.Dropped != uint64(wantDropped) || got.Delivered != uint64(11-wantDropped) {
					t.Errorf("got %+v, want %d dropped", got, wantDropped)
				}
			})
		})
	}
}

// TestRefused: a request that will be refused each time does not hold up those behind it; a redirect is not followed.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, Options{}, func(request int) (int, error) { return []int{400, 307, 200}[min(request, 2)], nil })
		q.add(1, MaxBatch+1)
		q.start()
		time.Sleep(time.Minute)
		q.receiver.want(t, MaxBatch+1, MaxBatch+1)
		if got := q.Stats(); got.Refused != MaxBatch || got.Delivered != 1 || got.Failures != 2 || len(q.receiver.requests) != 3 {
			t.Errorf("got %+v with %d requests", got, len(q.receiver.requests))
		}
	})
}

// TestStop: what is queued is delivered if that goes at once; else its loss is told.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, Options{}, nil)
		q.start()
		synctest.Wait()
		q.add(1, 1200)
		q.stop()
		q.receiver.want(t, 1, 1200)
		q.wantLog("lost", 0)
	})
	for _, answer := range []func(int) (int, error){
		func(int) (int, error) { return 503, nil },
		func(int) (int, error) { time.Sleep(time.Hour); return 503, nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			q := open(t, Options{}, answer)
			q.client.Transport = answering(func(r *http.Request) (*http.Response, error) {
				result := make(chan *http.Response, 1)
				go func() {
					response, _ := q.receiver.RoundTrip(r)
					result <- response
				}()
				select {
				case response := <-result:
					return response, nil
				case <-r.Context().Done():
					return nil, r.Context().Err()
				}
			})
			q.start()
			q.add(1, 3)
			begin := time.Now()
			synctest.Wait()
			q.stop()
			if passed := time.Since(begin); passed > lastChance {
				t.Errorf("Run went on for %v", passed)
			}
			q.wantLog("3 are not delivered, and lost", 1)
			time.Sleep(2 * time.Hour) // of the bubble: the sleeping answer ends
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, o := range []Options{{}, {URL: "hook.example"}, {URL: "ftp://a/secret"}, {URL: "http:///secret"}, {URL: "http://a/", Queue: -1}, {URL: "http://a/", Spool: "/nonexistent/spool"}} {
		if _, err := Open(o); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: got %v", o, err)
		}
	}
}
