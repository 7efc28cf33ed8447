package web

import (
	"fmt"
	"net/http"

	"sonde/watch/history"
	"sonde/watch/track"
)

// point is a history.Point as JSON.
type point struct {
	At      stamp  `json:"at"`
	Status  string `json:"status"`
	Total   *int64 `json:"total_us,omitempty"`
	Connect *int64 `json:"connect_us,omitempty"`
	TLS     *int64 `json:"tls_us,omitempty"`
}

// failure is a Failure as JSON.
type failure struct {
	Job      string `json:"job"`
	Instance string `json:"instance"`
	outcome
}

// history answers what is kept of one target: its row, its points, its last failures.
func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	job, instance := r.URL.Query().Get("job"), r.URL.Query().Get("instance")
	if job == "" || instance == "" {
		s.fail(w, "history", &Problem{http.StatusBadRequest, "the parameters job and instance are wanted"})
		return
	}
	var target *row
	var ref Ref
	err := s.views.look(r.Context(), func(in *shown) {
		if v := in.named(job, instance); v != nil {
			it := newRow(in, v)
			target, ref = &it, Ref{v.ID(), v.Target}
		}
	})
	if err == nil && target == nil {
		err = &Problem{http.StatusNotFound, fmt.Sprintf("no target %q in a job %q", instance, job)}
	}
	if err != nil {
		s.fail(w, "history", err)
		return
	}
	points, err := s.backend.Points(r.Context(), []Ref{ref})
	if err != nil {
		s.fail(w, "history", err)
		return
	}
	failures, err := s.backend.Failures(r.Context())
	if err != nil {
		s.fail(w, "history", err)
		return
	}
	var its []history.Point
	if len(points) > 0 {
		its = points[0]
	}
	target.Spark = newSpark(its)
	answer(w, struct {
		Target   *row              `json:"target"`
		Limits   map[string]limits `json:"limits"`
		P50      *int64            `json:"p50_us,omitempty"`
		P99      *int64            `json:"p99_us,omitempty"`
		Points   []point           `json:"points"`
		Failures []failure         `json:"failures"`
	}{target, s.limitsOf([]row{*target}), target.Spark.P50, target.Spark.P99, newPoints(its), failuresOf(failures, ref.Target)})
}

func newPoints(from []history.Point) []point {
	to := make([]point, len(from))
	for i, p := range from {
		to[i] = point{stamp(p.At), p.Status.String(), micros(p.Total), micros(p.Connect), micros(p.TLS)}
	}
	return to
}

// failuresOf turns failures into JSON: those of one target, or all if it is nil.
func failuresOf(all []Failure, one *track.Target) []failure {
	of := []failure{}
	for i := range all {
		f := &all[i]
		if one == nil || f.Job == one.Job && f.Instance == one.Instance {
			of = append(of, failure{f.Job, f.Instance, outcome{
				At: stamp(f.At), Status: f.Status.String(), Side: f.Side.String(), Error: f.Error,
				DNS: micros(f.Timing.DNS), Connect: micros(f.Timing.Connect), TLS: micros(f.Timing.TLS),
				FirstByte: micros(f.Timing.FirstByte), Total: micros(f.Timing.Total),
			}})
		}
	}
	return of
}

// failures answers the last failures of all targets.
func (s *Server) failures(w http.ResponseWriter, r *http.Request) {
	limit, err := readNumber(r.URL.Query(), "limit", defaultPage, maxPage)
	if err != nil {
		s.fail(w, "failures", err)
		return
	}
	all, err := s.backend.Failures(r.Context())
	if err != nil {
		s.fail(w, "failures", err)
		return
	}
	answer(w, struct {
		Failures []failure `json:"failures"`
	}{failuresOf(all[:min(limit, len(all))], nil)})
}

// status answers how sonde itself is.
func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	st, err := s.backend.Status(r.Context())
	if err != nil {
		s.fail(w, "status", err)
		return
	}
	type source struct {
		Job     string `json:"job"`
		Name    string `json:"name"`
		Kind    string `json:"kind"`
		Targets int    `json:"targets"`
		Read    stamp  `json:"read,omitzero"`
		Error   string `json:"error,omitempty"`
	}
	type figure struct {
		Name  string  `json:"name"`
		Value float64 `json:"value"`
		Unit  string  `json:"unit,omitempty"`
	}
	sources := make([]source, len(st.Sources))
	for i, from := range st.Sources {
		sources[i] = source{from.Job, from.Name, from.Kind, from.Targets, stamp(from.Read), from.Error}
	}
	engine := make([]figure, len(st.Engine))
	for i, f := range st.Engine {
		engine[i] = figure(f)
	}
	ready := ""
	if err := s.backend.Ready(); err != nil {
		ready = err.Error()
	}
	answer(w, map[string]any{
		"version": st.Version, "start": stamp(st.Start), "uptime_s": s.clock.Wall(s.clock.Now()).Sub(st.Start).Seconds(), "not_ready": ready,
		"config": map[string]any{
			"file": st.Config.File, "loaded": stamp(st.Config.Loaded), "error": st.Config.Error, "failed": stamp(st.Config.Failed),
			"warnings": append([]string{}, st.Config.Warnings...), "reload": s.opt.Reload,
		},
		"sources": sources, "engine": engine,
	})
}
