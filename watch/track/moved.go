package track

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sonde/policy/breaker"
	"sonde/policy/flap"
	"sonde/probes"
	"sonde/report"
	"sonde/watch/history"
)

// section is a part of what is known of a target, on its way to another process, which may be of another version: a number, a length, and
// fields that never change. What is new is a new section; one that the reader does not know is left out, and one that is not there, or
// is malformed, leaves the row without it.
type section uint8

const (
	sectionOutcome section = iota + 1
	sectionFailure
	sectionKept
	sectionCounts
	sectionState
	sectionOwn
	sectionGood
	sectionBreaker
	sectionHistory
	lastSection = sectionHistory
)

// errMoved says that bytes are nothing that AppendRow made.
var errMoved = errors.New("malformed row")

// AppendRow appends all that is known of a target to dst, for another process to take by TakeRow. now is the moment by the monotonic
// clock.
func (t *Table) AppendRow(dst []byte, id uint32, now int64) []byte {
	m := moved{row: *t.row(id)}
	m.fallback, m.failText = text(t.texts.at(m.last.fallback)), text(t.texts.at(m.failure.text))
	for i, a := range []*answer{&m.own, &m.good} {
		m.expect[i] = text(t.texts.at(a.expect))
		if figures := t.tls.at(a.tls); figures != nil {
			m.tls[i] = *figures
		}
	}
	m.points = t.history.Points(id, nil)
	c := &coder{now: now}
	for s := sectionOutcome; s <= lastSection; s++ {
		c.data = c.data[:0]
		c.moved(s, &m)
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, uint64(s)), uint64(len(c.data)))
		dst = append(dst, c.data...)
	}
	return dst
}

// TakeRow takes what AppendRow said of a target, of which nothing is known yet.
func (t *Table) TakeRow(id uint32, data []byte, now int64) error {
	var m moved
	for len(data) > 0 {
		s, n := binary.Uvarint(data)
		size, n2 := binary.Uvarint(data[max(n, 0):])
		if n <= 0 || n2 <= 0 || size > uint64(len(data)-n-n2) {
			return errMoved
		}
		body := data[n+n2:][:size]
		data = data[n+n2+int(size):]
		if s < uint64(sectionOutcome) || s > uint64(lastSection) {
			continue
		}
		was := m
		c := &coder{data: body, reading: true, now: now}
		if c.moved(section(s), &m); c.malformed {
			m = was
		}
	}
	r := t.row(id)
	m.job = r.job
	m.last.fallback, m.failure.text = t.texts.replace(0, m.fallback), t.texts.replace(0, cut(m.failText, maxError))
	for i, a := range []*answer{&m.own, &m.good} {
		a.expect, a.tls = t.texts.replace(0, m.expect[i]), t.tls.replace(0, m.tls[i])
	}
	*r = m.row
	if !t.targets[id].Keep {
		r.kept = kept{}
	}
	for _, p := range m.points {
		t.history.Add(id, p)
	}
	return nil
}

// moved is a row with what it refers to.
type moved struct {
	row
	fallback, failText string
	expect             [2]string // of own and good
	tls                [2]probes.TLSFigures
	points             []history.Point
}

// moved is one section of a row.
func (c *coder) moved(s section, m *moved) {
	switch s {
	case sectionOutcome:
		c.flag(&m.probed)
		c.outcome(&m.last)
		c.str(&m.fallback)
	case sectionFailure:
		number(c, &m.failure.at)
		number(c, &m.failure.total)
		word(c, &m.failure.status, report.NumStatuses-1)
		word(c, &m.failure.side, report.SidePolicy)
		c.str(&m.failText)
	case sectionKept:
		c.kept(&m.kept)
	case sectionCounts:
		number(c, &m.counts.Probes)
		number(c, &m.counts.InARow)
		for i := range m.counts.Failed {
			number(c, &m.counts.Failed[i])
		}
		for i := range m.counts.Skipped {
			number(c, &m.counts.Skipped[i])
		}
	case sectionState:
		state, run := m.flap.State(), m.flap.Run()
		word(c, &state, flap.Down)
		number(c, &run)
		m.flap = flap.Restore(state, run)
		number(c, &m.turned)
		number(c, &m.goodAt)
	case sectionOwn:
		c.learned(&m.own, &m.expect[0], &m.tls[0])
	case sectionGood:
		c.learned(&m.good, &m.expect[1], &m.tls[1])
	case sectionBreaker:
		c.breaker(&m.breaker)
	case sectionHistory:
		c.points(&m.points)
	}
}

// learned is an answer with what it refers to.
func (c *coder) learned(a *answer, expect *string, tls *probes.TLSFigures) {
	c.answer(a)
	c.str(expect)
	if c.reading && !isPacked(*expect) {
		c.fail()
	}
	is := *tls != probes.TLSFigures{}
	if c.flag(&is); is {
		c.figures(tls)
	}
}

func (c *coder) breaker(b *breaker.Breaker) {
	p := b.Parts(c.now)
	failed := int64(p.Failed) // the same bits
	number(c, &failed)
	p.Failed = uint64(failed)
	number(c, &p.Left)
	number(c, &p.OpenFor)
	word(c, &p.State, breaker.HalfOpen)
	*b = breaker.From(p, c.now)
}

func (c *coder) points(all *[]history.Point) {
	n := len(*all)
	if number(c, &n); n < 0 || n > history.MaxPoints {
		c.fail()
		return
	}
	if c.reading {
		*all = make([]history.Point, min(n, len(c.data)))
	}
	var before int64
	for i := range *all {
		p := &(*all)[i]
		since := int64(0)
		if !c.reading {
			since = p.At.UnixNano()/int64(time.Millisecond) - before
		}
		number(c, &since)
		before += since
		p.At = time.UnixMilli(before).UTC()
		word(c, &p.Status, report.NumStatuses-1)
		for _, d := range []*time.Duration{&p.Total, &p.Connect, &p.TLS} {
			us := *d / time.Microsecond
			if *d < 0 {
				us = -1
			}
			if number(c, &us); us < 0 {
				*d = report.Absent
			} else {
				*d = us * time.Microsecond
			}
		}
	}
}

// AppendJobs appends what is counted of jobs, for another process to take by TakeJobs.
func (t *Table) AppendJobs(dst []byte) []byte {
	var jobs []Job
	for _, j := range t.jobs {
		if j != nil {
			jobs = append(jobs, *j)
		}
	}
	data, err := json.Marshal(jobs)
	if err != nil {
		panic(err) // numbers and a name
	}
	return append(dst, data...)
}

// TakeJobs adds what AppendJobs said to the counts of the jobs that are known here.
func (t *Table) TakeJobs(data []byte) error {
	var jobs []Job
	if err := json.Unmarshal(data, &jobs); err != nil {
		return fmt.Errorf("counts of jobs: %w", err)
	}
	for i := range jobs {
		if at, known := t.jobIDs[jobs[i].Name]; known {
			jobs[i].Targets = 0
			t.jobs[at].add(&jobs[i])
		}
	}
	return nil
}
