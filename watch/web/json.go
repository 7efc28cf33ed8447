package web

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"sonde/policy/breaker"
	"sonde/report"
	"sonde/watch/history"
	"sonde/watch/track"
)

// stamp is a moment as JSON: milliseconds since 1970, as a browser counts them; null for none.
type stamp time.Time

// MarshalJSON implements json.Marshaler.
func (s stamp) MarshalJSON() ([]byte, error) {
	if time.Time(s).IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(time.Time(s).UnixMilli())
}

// IsZero leaves a moment out where omitzero says so.
func (s stamp) IsZero() bool { return time.Time(s).IsZero() }

// micros is a phase as JSON: whole microseconds. nil for one that did not happen.
func micros(d time.Duration) *int64 {
	if d < 0 {
		return nil
	}
	us := d.Microseconds()
	return &us
}

// outcome is how a probe ended, as JSON.
type outcome struct {
	At        stamp  `json:"at"`
	Status    string `json:"status"`
	Side      string `json:"side,omitempty"`
	Error     string `json:"error,omitempty"`
	DNS       *int64 `json:"dns_us,omitempty"`
	Connect   *int64 `json:"connect_us,omitempty"`
	TLS       *int64 `json:"tls_us,omitempty"`
	FirstByte *int64 `json:"first_byte_us,omitempty"`
	Total     *int64 `json:"total_us,omitempty"`
}

func lastOutcome(v *track.View) *outcome {
	if !v.Probed() {
		return nil
	}
	o := &outcome{
		At: stamp(v.At()), Status: v.Status().String(), Side: v.Side().String(),
		DNS: micros(v.Phase(track.PhaseDNS)), Connect: micros(v.Phase(track.PhaseConnect)), TLS: micros(v.Phase(track.PhaseTLS)),
		FirstByte: micros(v.Phase(track.PhaseFirstByte)), Total: micros(v.Phase(track.PhaseTotal)),
	}
	if v.Status() != report.Success {
		f, _ := v.Failure()
		o.Error = f.Error
	}
	return o
}

// lastFailure is nil if there was none.
func lastFailure(v *track.View) *outcome {
	f, ok := v.Failure()
	if !ok {
		return nil
	}
	return &outcome{At: stamp(f.At), Status: f.Status.String(), Side: f.Side.String(), Error: f.Error, Total: micros(f.Total)}
}

// row is a target as JSON.
type row struct {
	ID         uint32            `json:"id"`
	Job        string            `json:"job"`
	Instance   string            `json:"instance"`
	Module     string            `json:"module"`
	Labels     map[string]string `json:"labels,omitempty"`
	IntervalMS int64             `json:"interval_ms"`
	Address    string            `json:"address,omitempty"`
	State      string            `json:"state"`
	Since      stamp             `json:"since,omitzero"`
	Breaker    string            `json:"breaker"`
	Until      stamp             `json:"breaker_until,omitzero"` // while it is open
	Fallback   string            `json:"fallback,omitempty"`     // the module that gave the last answer instead
	Last       *outcome          `json:"last,omitempty"`
	Failure    *outcome          `json:"failure,omitempty"` // the last one
	LastGood   stamp             `json:"last_good,omitzero"`
	Probes     uint32            `json:"probes"`
	Failures   uint32            `json:"failures"`
	InARow     uint32            `json:"failures_in_a_row,omitempty"`
	CertExpiry stamp             `json:"cert_expiry,omitzero"`
	TLSVersion string            `json:"tls_version,omitempty"`
	HTTPStatus int               `json:"http_status,omitempty"`
	Kept       *kept             `json:"kept,omitempty"`
	Spark      *spark            `json:"spark,omitempty"`
}

// kept is a kept connection as JSON.
type kept struct {
	Up    bool   `json:"up"`
	Since stamp  `json:"since,omitzero"`
	RTT   *int64 `json:"rtt_us,omitempty"` // of the last heartbeat
	Drops uint32 `json:"drops"`
	Cause string `json:"cause,omitempty"` // of the last drop
}

// newRow is what in has of v.
func newRow(in *shown, v *track.View) row {
	t, counts := v.Target, v.Counts()
	r := row{
		ID: v.ID(), Job: t.Job, Instance: t.Instance, Module: t.Module, IntervalMS: t.Interval.Milliseconds(),
		State: stateOf(v).String(), Since: stamp(v.Turned()), Breaker: v.Breaker().String(), Fallback: v.Fallback(),
		Last: lastOutcome(v), Failure: lastFailure(v), LastGood: stamp(v.LastGood()), Probes: counts.Probes, InARow: counts.InARow, CertExpiry: stamp(certExpiry(v)),
	}
	for _, n := range counts.Failed {
		r.Failures += n
	}
	if until := v.OpenUntil(); v.Breaker() == breaker.Open {
		r.Until = stamp(in.clock.Wall(until))
	}
	if addr := v.Addr(); addr.IsValid() {
		r.Address = addr.String()
	}
	if tls := v.TLS(); tls != nil {
		r.TLSVersion = tls.Version
	}
	if h, ok := v.HTTP(); ok {
		r.HTTPStatus = h.StatusCode
	}
	if len(t.Labels) > 0 {
		r.Labels = make(map[string]string, len(t.Labels))
		for _, l := range t.Labels {
			r.Labels[l.Name] = l.Value
		}
	}
	if t.Keep {
		r.Kept = newKept(v.Kept())
	}
	return r
}

func newKept(k track.Kept) *kept {
	to := &kept{Up: k.Up, Since: stamp(k.Since), RTT: micros(k.RTT)}
	for _, n := range k.Drops {
		to.Drops += n
	}
	if to.Drops > 0 {
		to.Cause = k.Cause.String()
	}
	return to
}

// spark is a history as a sparkline needs it: the totals in microseconds, the oldest first, negative for a probe that failed
// (less one, so that there is a -1 for none); and over those that succeeded the quantiles.
type spark struct {
	Totals []int64 `json:"totals"`
	P50    *int64  `json:"p50_us,omitempty"`
	P99    *int64  `json:"p99_us,omitempty"`
}

func newSpark(points []history.Point) *spark {
	s := &spark{Totals: make([]int64, len(points))}
	for i, p := range points {
		total := max(p.Total, 0).Microseconds()
		if p.Status != report.Success {
			total = -total - 1
		}
		s.Totals[i] = total
	}
	s.P50, s.P99 = quantile(points, 50), quantile(points, 99)
	return s
}

// quantile is the total that so many percent of the successful points do not exceed, by the nearest rank, in microseconds; nil
// without any.
func quantile(points []history.Point, percent int) *int64 {
	var sorted []time.Duration
	for _, p := range points {
		if p.Status == report.Success && p.Total >= 0 {
			sorted = append(sorted, p.Total)
		}
	}
	if len(sorted) == 0 {
		return nil
	}
	slices.Sort(sorted)
	rank := (len(sorted)*percent + 99) / 100
	return micros(sorted[max(rank, 1)-1])
}

// limits are Limits as JSON, without those that are none.
type limits struct {
	DNS     int64 `json:"dns_us,omitempty"`
	Connect int64 `json:"connect_us,omitempty"`
	TLS     int64 `json:"tls_us,omitempty"`
	Total   int64 `json:"total_us,omitempty"`
}

// limitsOf are what the phases of these rows are held against, by their jobs.
func (s *Server) limitsOf(rows []row) map[string]limits {
	of := map[string]limits{}
	for i := range rows {
		job := rows[i].Job
		if _, known := of[job]; known {
			continue
		}
		var l Limits
		if b, ok := s.backend.(Thresholder); ok {
			l = b.Thresholds(job)
		} else if l, _ = s.backend.Module(rows[i].Module); l == (Limits{}) {
			continue
		}
		of[job] = limits{l.DNS.Microseconds(), l.Connect.Microseconds(), l.TLS.Microseconds(), l.Total.Microseconds()}
	}
	return of
}

// answer writes v as JSON. Nobody may keep it: the next question has another answer.
func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // who went away is told nothing
}
