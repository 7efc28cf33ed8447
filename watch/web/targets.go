package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sonde/report"
	"sonde/watch/track"
)

// The limits of a page of targets.
const (
	defaultPage = 100
	maxPage     = 1000
	maxSparks   = 200 // with their histories
	maxWanted   = 32  // labels, or words for states: each is held against all targets
)

// query is which targets are asked for, and how.
type query struct {
	job    string
	states []string // words of State, "breaker-open", "kept-down"; empty for all
	text   string   // lower case
	labels [][2]string
	sort   func(a, b *track.View) int // nil: by name
	back   bool
	offset int
	limit  int
	spark  bool
}

// readQuery reads the parameters: job, state (a list with commas), q, label (name=value, may be repeated), sort (with a "-"
// before it: the other way around), offset, limit, spark.
func readQuery(from url.Values) (*query, error) {
	bad := func(format string, args ...any) (*query, error) {
		return nil, &Problem{http.StatusBadRequest, fmt.Sprintf(format, args...)}
	}
	q := &query{job: from.Get("job"), text: strings.ToLower(strings.TrimSpace(from.Get("q"))), spark: from.Get("spark") == "1", limit: defaultPage}
	if words := from.Get("state"); words != "" {
		q.states = strings.Split(words, ",")
	}
	if len(q.states) > maxWanted || len(from["label"]) > maxWanted {
		return bad("%d states and %d labels: at most %d of each", len(q.states), len(from["label"]), maxWanted)
	}
	for _, word := range q.states {
		if word != breakerOpen && word != keptDown && !slices.Contains(stateWords[:], word) {
			return bad("no such state: %q; there are %s, breaker-open and kept-down", word, strings.Join(stateWords[:], ", "))
		}
	}
	for _, label := range from["label"] {
		name, value, ok := strings.Cut(label, "=")
		if !ok {
			return bad("the label %q: want name=value", label)
		}
		q.labels = append(q.labels, [2]string{name, value})
	}
	word, back := strings.CutPrefix(from.Get("sort"), "-")
	q.back = back
	if word != "" && word != "name" {
		if q.sort = orders[word]; q.sort == nil {
			return bad("no such order: %q; there are name, state, since, total, expiry and probed", word)
		}
	}
	var err error
	if q.offset, err = readNumber(from, "offset", 0, 1<<31-1); err != nil {
		return nil, err
	}
	q.limit, err = readNumber(from, "limit", q.limit, maxPage)
	return q, err
}

func readNumber(from url.Values, name string, without, most int) (int, error) {
	text := from.Get(name)
	if text == "" {
		return without, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most {
		return 0, &Problem{http.StatusBadRequest, fmt.Sprintf("%s=%q: want a number, 0 to %d", name, text, most)}
	}
	return n, nil
}

// has reports whether a target is asked for, apart from its state.
func (q *query) has(v *track.View) bool {
	if q.job != "" && v.Target.Job != q.job {
		return false
	}
	for _, label := range q.labels {
		if !hasLabel(v.Target, label[0], label[1]) {
			return false
		}
	}
	return q.text == "" || hasText(v, q.text)
}

func hasLabel(t *track.Target, name, value string) bool {
	for _, l := range t.Labels {
		if l.Name == name {
			return l.Value == value
		}
	}
	return false
}

// hasText looks where a person would.
func hasText(v *track.View, text string) bool {
	in := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	t := v.Target
	if in(t.Instance) || in(t.Job) || in(t.Module) {
		return true
	}
	for _, l := range t.Labels {
		if in(l.Value) {
			return true
		}
	}
	if f, _ := v.Failure(); v.Status() != report.Success && (in(v.Status().String()) || in(f.Error)) {
		return true
	}
	return v.Addr().IsValid() && in(v.Addr().String())
}

// hasState reports whether a target is in one of the states that are asked for.
func (q *query) hasState(v *track.View) bool {
	if len(q.states) == 0 {
		return true
	}
	return slices.ContainsFunc(q.states, func(word string) bool {
		switch word {
		case breakerOpen:
			return isBreakerOpen(v)
		case keptDown:
			return isKeptDown(v)
		}
		return stateOf(v).String() == word
	})
}

// run returns the page that is asked for, how many targets there are on all pages, and the totals of what is asked for in any
// state.
func (q *query) run(in *shown) (page []*track.View, matched int, of totals) {
	var all []*track.View
	for _, i := range in.byName {
		v := &in.Views[i]
		if !q.has(v) {
			continue
		}
		of.add(v)
		if q.hasState(v) {
			all = append(all, v)
		}
	}
	if q.sort != nil {
		slices.SortStableFunc(all, q.sort)
	}
	if q.back {
		slices.Reverse(all)
	}
	begin := min(q.offset, len(all))
	return all[begin:min(begin+q.limit, len(all))], len(all), of
}

// targets answers a page of rows.
func (s *Server) targets(w http.ResponseWriter, r *http.Request) {
	q, err := readQuery(r.URL.Query())
	if err != nil {
		s.fail(w, "targets", err)
		return
	}
	var out struct {
		At       stamp             `json:"at"`
		Matched  int               `json:"matched"`
		Offset   int               `json:"offset"`
		Totals   totals            `json:"totals"`   // of all targets
		Matching totals            `json:"matching"` // of those that match in any state
		Jobs     []string          `json:"jobs"`
		Limits   map[string]limits `json:"limits"` // by job, of the rows on this page
		Targets  []row             `json:"targets"`
	}
	out.Offset, out.Jobs, out.Targets = q.offset, []string{}, []row{}
	var refs []Ref
	err = s.views.look(r.Context(), func(in *shown) {
		var page []*track.View
		page, out.Matched, out.Matching = q.run(in)
		out.At, out.Totals = stamp(in.at), in.totals
		for _, v := range page {
			out.Targets = append(out.Targets, newRow(in, v))
			refs = append(refs, Ref{v.ID(), v.Target})
		}
		for i := range in.Jobs {
			if in.Jobs[i].Targets > 0 {
				out.Jobs = append(out.Jobs, in.Jobs[i].Name)
			}
		}
	})
	if err == nil && q.spark {
		err = s.addSparks(r.Context(), out.Targets, refs[:min(len(refs), maxSparks)])
	}
	if err != nil {
		s.fail(w, "targets", err)
		return
	}
	slices.Sort(out.Jobs)
	out.Limits = s.limitsOf(out.Targets)
	answer(w, out)
}

// addSparks gives the first rows their histories and what follows from those.
func (s *Server) addSparks(ctx context.Context, rows []row, of []Ref) error {
	points, err := s.backend.Points(ctx, of)
	if err != nil {
		return err
	}
	for i := range points {
		rows[i].Spark = newSpark(points[i])
	}
	return nil
}
