package events

import (
	"encoding/json"
	"strconv"
	"time"
)

// wireEvent is the JSON of an event (docs/watch-events.md). Its keys are never renamed.
type wireEvent struct {
	ID       string            `json:"id"`
	Time     string            `json:"time"`
	Job      string            `json:"job"`
	Instance string            `json:"instance"`
	Labels   map[string]string `json:"labels,omitempty"`
	From     string            `json:"from"`
	To       string            `json:"to"`
	Status   string            `json:"status"`
	Side     string            `json:"error_side,omitempty"`
	Reason   string            `json:"error,omitempty"`
	Since    string            `json:"since,omitempty"`
}

// encode gives an entry its id and its line, if it has none. Nothing in it can fail to be written as JSON.
func (q *Queue) encode(e *entry) {
	if e.line != nil {
		return
	}
	e.id = q.run + "-" + strconv.FormatUint(e.number, 10)
	wire := wireEvent{
		ID: e.id, Time: timestamp(e.event.Time), Job: e.event.Job, Instance: e.event.Instance,
		From: e.event.From.String(), To: e.event.To.String(),
		Status: e.event.Status.String(), Side: e.event.Side.String(), Reason: e.event.Reason[:min(len(e.event.Reason), maxReason)],
	}
	if len(e.event.Labels) > 0 {
		wire.Labels = make(map[string]string, len(e.event.Labels))
		for _, label := range e.event.Labels {
			wire.Labels[label.Name] = label.Value
		}
	}
	if !e.event.Since.IsZero() {
		wire.Since = timestamp(e.event.Since)
	}
	e.line, _ = json.Marshal(&wire)
}

// timestamp is RFC 3339 in UTC with six digits, as in records.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }
