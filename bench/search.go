package bench

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"sonde/bench/load"
	"sonde/bench/result"
)

// Promise is what a rate has to keep: a quantile of the latency below a bound, and failures below 1 in 1,000.
type Promise struct {
	Quantile float64 // 0.99
	Below    time.Duration
	Text     string // as it was written
}

var promiseForm = regexp.MustCompile(`^p(\d{1,2}(?:\.\d+)?|\d{3,})\s*(<=?)\s*([^\s=]+)$`)

// ParsePromise reads "p99<10ms": p and a percentage (50, 99, 99.9, or 999 for 99.9), below a Go duration, or with <= not above it.
func ParsePromise(text string) (*Promise, error) {
	bad := errors.New(`want as in "p99<10ms"`)
	m := promiseForm.FindStringSubmatch(text)
	if m == nil {
		return nil, bad
	}
	q, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return nil, bad
	}
	for q > 100 { // 999 is 99.9
		q /= 10
	}
	d, err := time.ParseDuration(m[3])
	if err != nil || d <= 0 || q <= 0 || q >= 100 {
		return nil, bad
	}
	if m[2] == "<=" {
		d++ // no latency lies between
	}
	return &Promise{Quantile: q / 100, Below: d, Text: text}, nil
}

// The search.
const (
	searchStart   = 1000.0 // a second, where nothing else is said
	searchUnder   = 0.95   // of the rate asked for that must be had
	searchFailing = 1e-3   // of the operations that may fail
	searchPrecise = 0.03   // how close the highest rate that keeps the promise is to the lowest that does not
	searchTrials  = 24     // at most
)

// search doubles the rate until the promise is broken, or halves it until it is kept, and then closes in. The report is that of
// the highest rate that kept it; without one, of the last trial that came to its end.
func (p *Prepared) search(ctx context.Context, once attempt) (*result.Report, error) {
	rate := max(p.Load.Requests, p.Load.Dials)
	if rate <= 0 {
		rate = searchStart
	}
	var best, first, last *result.Report
	var trials []result.Trial
	var kept, broken float64
	var why string // it was broken off
	for len(trials) < searchTrials {
		r, err := once(ctx, p.at(rate))
		if err != nil || r.Stopped != "" { // half a trial tells nothing
			if last == nil {
				return r, err
			}
			why = p.brokenOff(ctx, fmt.Sprintf("trial %d", len(trials)+1), r, err)
			break
		}
		if last = r; first == nil {
			first = r
		}
		t := p.judge(r, rate)
		trials = append(trials, t)
		words := "breaks"
		if t.Kept {
			words = "keeps"
		}
		p.tell("%.0f a second %s %s: %v at %.0f a second", rate, words, p.Promise.Text, t.Value.Round(time.Microsecond), t.Achieved)
		if t.Kept {
			kept, best = rate, r
		} else {
			broken = rate
		}
		if r.Total.Operations == 0 {
			p.tell("nothing ended well at all: a lower rate won't change that")
			break
		}
		switch {
		case broken == 0:
			rate *= 2
		case kept == 0:
			rate /= 2
		default:
			rate = (kept + broken) / 2
		}
		if kept > 0 && broken > 0 && broken-kept <= searchPrecise*kept || rate < 1 {
			break
		}
	}
	if best == nil {
		best = last
	}
	best.Searched, best.Stopped = trials, why
	memoryOfFirst(best, first)
	return best, nil
}

// at is the load at that rate.
func (p *Prepared) at(rate float64) load.Spec {
	spec := p.Load
	if spec.Kind == result.Handshake {
		spec.Dials = rate
	} else {
		spec.Requests = rate
	}
	return spec
}

// judge tells whether a trial kept the promise.
func (p *Prepared) judge(r *result.Report, rate float64) result.Trial {
	t := result.Trial{Rate: rate, Achieved: r.Total.OperationsPerSecond()}
	phase := result.Latency
	if p.Load.Kind == result.Handshake {
		phase = result.Connect
		if p.Load.TLS != nil {
			phase = result.TLS
		}
	}
	if h := r.Total.Phases[phase]; h != nil {
		t.Value = h.Quantile(p.Promise.Quantile)
	}
	failed, _ := r.Total.Failures.Total()
	t.Kept = r.Total.Operations > 0 && t.Value < p.Promise.Below && t.Achieved >= searchUnder*rate &&
		float64(failed) <= searchFailing*float64(r.Total.Operations) && r.Stopped == ""
	return t
}
