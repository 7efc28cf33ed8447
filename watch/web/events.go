package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sonde/watch/track"
)

// The limits of events.
const (
	tickEvery      = time.Second
	maxSubscribers = 64
	maxWatched     = 400              // targets of one subscriber
	maxTurned      = 50               // that one tick names; the totals count them all
	eventLimit     = 10 * time.Second // for a subscriber to take a tick; then it is dropped and may come again
)

// hub tells its subscribers once a second what changed. It works only while there are any.
type hub struct {
	views *views
	log   *slog.Logger

	mu          sync.Mutex
	closed      bool
	subscribers map[*subscriber]bool
	stop        context.CancelFunc // of run; nil while it does not
	gone        chan struct{}      // closed by close
}

// subscriber is one browser. Who takes a tick too late finds the next in its place: a tick says what is, not what happened.
type subscriber struct {
	watched []uint32
	sent    map[uint32]int64 // of each watched target: when the probe began that was told last
	ticks   chan []byte      // of one place
}

func newHub(v *views, log *slog.Logger) *hub {
	return &hub{views: v, log: log, subscribers: map[*subscriber]bool{}, gone: make(chan struct{})}
}

// join returns nil if there is no more room.
func (h *hub) join(watched []uint32) *subscriber {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.subscribers) >= maxSubscribers {
		return nil
	}
	s := &subscriber{watched: watched, sent: map[uint32]int64{}, ticks: make(chan []byte, 1)}
	h.subscribers[s] = true
	if h.stop == nil {
		ctx, stop := context.WithCancel(context.Background())
		h.stop = stop
		go h.run(ctx)
	}
	return s
}

func (h *hub) leave(s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subscribers, s)
	if len(h.subscribers) == 0 && h.stop != nil {
		h.stop()
		h.stop = nil
	}
}

// close ends all subscriptions.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		close(h.gone)
	}
}

// run makes ticks until ctx ends.
func (h *hub) run(ctx context.Context) {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	states := map[*track.Target]state{}
	for {
		if err := h.views.look(ctx, func(in *shown) { h.tick(ctx, in, states) }); err != nil && ctx.Err() == nil {
			h.log.Error("events", "err", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// tick is the event as JSON.
type tick struct {
	At     stamp  `json:"at"`
	Totals totals `json:"totals"`
	// Turned are targets whose state is another than a tick ago, Rows those on the subscriber's page that were probed since.
	Turned []row `json:"turned,omitempty"`
	Rows   []row `json:"rows,omitempty"`
}

// tick gives each subscriber its event. states are those of the tick before.
func (h *hub) tick(ctx context.Context, in *shown, states map[*track.Target]state) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return // another run has begun
	}
	turned := newlyTurned(in, states)
	for s := range h.subscribers {
		h.send(s, in, turned)
	}
}

// first gives a subscriber its first event, so that it need not wait for the next tick.
func (h *hub) first(s *subscriber, in *shown) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.send(s, in, nil)
}

// send is called with mu held.
func (h *hub) send(s *subscriber, in *shown, turned []row) {
	select {
	case <-s.ticks: // it has not taken the last one, so it is told of all of its rows again
		clear(s.sent)
	default:
	}
	event, err := json.Marshal(tick{At: stamp(in.at), Totals: in.totals, Turned: turned, Rows: s.news(in)})
	if err != nil {
		h.log.Error("events", "err", err)
		return
	}
	s.ticks <- event
}

// newlyTurned returns the targets whose state is another than in states, and writes it there.
func newlyTurned(in *shown, states map[*track.Target]state) (turned []row) {
	if len(states) > len(in.Views) { // some went
		there := make(map[*track.Target]bool, len(in.Views))
		for i := range in.Views {
			there[in.Views[i].Target] = true
		}
		for t := range states {
			if !there[t] {
				delete(states, t)
			}
		}
	}
	for i := range in.Views {
		v := &in.Views[i]
		is := stateOf(v)
		was, known := states[v.Target]
		states[v.Target] = is
		if known && was != is && len(turned) < maxTurned {
			turned = append(turned, newRow(in, v))
		}
	}
	return turned
}

// news are the rows of s that were probed since it was told of them.
func (s *subscriber) news(in *shown) (rows []row) {
	for _, id := range s.watched {
		v := in.target(id)
		if v == nil {
			continue
		}
		at := max(v.At().UnixNano(), v.Kept().Since.UnixNano(), v.Kept().Beat.UnixNano())
		if s.sent[id] != at {
			s.sent[id] = at
			rows = append(rows, newRow(in, v))
		}
	}
	return rows
}

// events streams what changes as server-sent events (HTML, 9.2): GET /api/v1/events?ids=1,2,3, the rows that are to be told of. The
// first one tells of all of them, so a browser that comes back knows where it stands.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	watched, err := readIDs(r.URL.Query().Get("ids"))
	if err != nil {
		s.fail(w, "events", err)
		return
	}
	me := s.hub.join(watched)
	if me == nil {
		s.fail(w, "events", &Problem{http.StatusServiceUnavailable, fmt.Sprintf("no room for more than %d subscribers, or no more of them", maxSubscribers)})
		return
	}
	defer s.hub.leave(me)
	if err := s.views.look(r.Context(), func(in *shown) { s.hub.first(me, in) }); err != nil {
		s.fail(w, "events", err)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	flush := http.NewResponseController(w).Flush
	event := bytes.NewBufferString("retry: 2000\n\n") // milliseconds
	for {
		s.limitAnswer(w, eventLimit)
		if _, err := w.Write(event.Bytes()); err != nil || flush() != nil {
			return
		}
		select {
		case data := <-me.ticks:
			event.Reset()
			event.WriteString("data: ")
			event.Write(data) // JSON has no line ends
			event.WriteString("\n\n")
		case <-r.Context().Done():
			return
		case <-s.hub.gone:
			return
		}
	}
}

func readIDs(list string) ([]uint32, error) {
	if list == "" {
		return nil, nil
	}
	words := strings.Split(list, ",")
	if len(words) > maxWatched {
		return nil, &Problem{http.StatusBadRequest, fmt.Sprintf("%d ids: at most %d", len(words), maxWatched)}
	}
	ids := make([]uint32, len(words))
	for i, word := range words {
		id, err := strconv.ParseUint(word, 10, 32)
		if err != nil {
			return nil, &Problem{http.StatusBadRequest, fmt.Sprintf("the id %q: want a number", word)}
		}
		ids[i] = uint32(id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}
