package web_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"sonde/internal/clock"
	"sonde/watch/web"
)

func itoa(n int) string { return strconv.Itoa(n) }

// stopped is a clock that stands still.
type stopped struct{ clock.Clock }

func (stopped) Now() int64 { return 1 }

func (s stopped) Wall(int64) time.Time { return s.Clock.Wall(s.Clock.Now()) }

type tick struct {
	Totals map[string]int
	Turned []struct {
		ID    uint32
		State string
	}
	Rows []struct {
		ID       uint32
		Instance string
	}
}

// listen subscribes, and returns what gives the next event; false when there are no more.
func listen(t *testing.T, url, ids string) func() (tick, bool) {
	t.Helper()
	w, err := http.Get(url + "/api/v1/events?ids=" + ids)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Body.Close() })
	if w.StatusCode != 200 || w.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("got %d, %s", w.StatusCode, w.Header.Get("Content-Type"))
	}
	lines := bufio.NewScanner(w.Body)
	lines.Buffer(nil, 1<<20)
	return func() (e tick, ok bool) {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &e); err != nil {
					t.Fatal(err)
				}
				return e, true
			}
		}
		return e, false
	}
}

func TestEvents(t *testing.T) {
	f := newFake(t, 100)
	url, end := serve(t, f, web.Options{Grace: time.Hour}) // which no event may make use of
	next := listen(t, url, "1,2,77777")
	e, _ := next()
	if e.Totals["all"] != 100 || len(e.Rows) != 2 || e.Rows[0].ID != 1 || e.Turned != nil {
		t.Fatalf("the first: got %+v, want all rows on the page that are there", e)
	}
	next() // of the hub's first turn: from here on states are compared
	// One turns that is not on the page, one on the page is probed.
	f.mu.Lock()
	for range 3 {
		f.recordFailure(12)
	}
	f.record(2, 2, f.clock.Wall(f.clock.Now()), 0)
	f.mu.Unlock()
	rows, turned := 0, false
	for !turned {
		e, ok := next()
		if !ok {
			t.Fatal("the events ended")
		}
		rows += len(e.Rows)
		for _, row := range e.Turned {
			turned = turned || row.ID == 12 && row.State == "down"
		}
	}
	if rows != 1 {
		t.Errorf("got %d rows since, want that which was probed", rows)
	}
	// The end of the server is that of its events.
	end()
	for ok := true; ok; {
		_, ok = next()
	}
}

func TestEventsRefused(t *testing.T) {
	h := handler(newFake(t, 0), web.Options{})
	for _, ids := range []string{"a", "-1", "1,,2", strings.Repeat("1,", 500) + "1"} {
		if w := ask(h, "GET", "/api/v1/events?ids="+ids); w.Code != 400 {
			t.Errorf("ids %.20s: got %d, want 400", ids, w.Code)
		}
	}
}

// TestEventsFull has more subscribers than there is room for, of whom one goes.
func TestEventsFull(t *testing.T) {
	url, _ := serve(t, newFake(t, 10), web.Options{})
	for range 64 {
		next := listen(t, url, "1")
		next()
	}
	w, err := http.Get(url + "/api/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	if w.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the 65th: got %d, want 503", w.StatusCode)
	}
}
