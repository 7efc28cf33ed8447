package report

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"sonde/internal/histogram"
	"sonde/report/draw"
)

// noResumption is the method of a second handshake that resumed nothing.
const noResumption = "none"

// maxMethods bounds the methods told apart: more than TLS has. What goes beyond is counted as noResumption.
const maxMethods = 8

// Resumption sums up what servers made of sessions that were offered to them again.
type Resumption struct {
	methods []methodCount // in the order in which they first came, noResumption among them
	// full and resumed hold both handshakes of the targets that resumed, so that like is compared with like: neither, if the
	// time of one is not known.
	full, resumed *histogram.Histogram
}

// methodCount is how often servers accepted a session by one method.
type methodCount struct {
	method string
	count  uint64
}

// Resumption is what servers made of sessions, nil if none was offered. It is the Summary's own and grows on; read it only.
func (s *Summary) Resumption() *Resumption { return s.resumption }

func (s *Summary) addResumption(r Resumer) {
	full, resumed, method, ok := r.Resumption()
	if !ok {
		return
	}
	if s.resumption == nil {
		s.resumption = &Resumption{full: histogram.New(), resumed: histogram.New()}
	}
	s.resumption.add(method, full, resumed)
}

func (r *Resumption) add(method string, fullUS, resumedUS int64) {
	i := slices.IndexFunc(r.methods, func(m methodCount) bool { return m.method == method })
	if i < 0 && len(r.methods) >= maxMethods-1 {
		method = noResumption
		i = slices.IndexFunc(r.methods, func(m methodCount) bool { return m.method == method })
	}
	if i < 0 {
		i = len(r.methods)
		r.methods = append(r.methods, methodCount{method: strings.Clone(method)})
	}
	r.methods[i].count++
	if method != noResumption && fullUS > 0 && resumedUS > 0 {
		r.full.Record(time.Duration(fullUS) * time.Microsecond)
		r.resumed.Record(time.Duration(resumedUS) * time.Microsecond)
	}
}

// tried returns how many targets were to use a session again, and how many did.
func (r *Resumption) tried() (tried, accepted uint64) {
	for _, m := range r.methods {
		tried += m.count
		if m.method != noResumption {
			accepted += m.count
		}
	}
	return tried, accepted
}

// sorted is the methods, the most frequent first.
func (r *Resumption) sorted() []methodCount {
	methods := slices.Clone(r.methods)
	slices.SortStableFunc(methods, func(a, b methodCount) int {
		switch {
		case a.count != b.count:
			return int(min(max(int64(b.count)-int64(a.count), -1), 1))
		default:
			return strings.Compare(a.method, b.method)
		}
	})
	return methods
}

// MarshalJSON implements [json.Marshaler]: how often each method was accepted, and both distributions
// if the times of any are known.
func (r *Resumption) MarshalJSON() ([]byte, error) {
	var dst bytes.Buffer
	dst.WriteString(`{"methods":{`)
	for i, m := range r.sorted() {
		if i > 0 {
			dst.WriteByte(',')
		}
		name, err := json.Marshal(m.method)
		if err != nil {
			return nil, err
		}
		dst.Write(name)
		dst.WriteString(":" + strconv.FormatUint(m.count, 10))
	}
	dst.WriteByte('}')
	if r.resumed.Count() > 0 {
		for _, part := range []struct {
			name string
			of   *histogram.Histogram
		}{{"full_us", r.full}, {"resumed_us", r.resumed}} {
			text, err := json.Marshal(DistributionOf(part.of))
			if err != nil {
				return nil, err
			}
			dst.WriteString(`,"` + part.name + `":`)
			dst.Write(text)
		}
	}
	dst.WriteByte('}')
	return dst.Bytes(), nil
}

// resumption shows what a handshake costs with a session and without one.
func (p *page) resumption(r *Resumption) {
	if r == nil {
		return
	}
	tried, accepted := r.tried()
	p.Section("RESUMPTION", len("RESUMPTION")+gap)
	p.Text(draw.Count(accepted), " of ", draw.Plural(tried, "session"), " resumed")
	separator := ": "
	for _, m := range r.sorted() {
		if m.method != noResumption {
			p.Text(separator, draw.Count(m.count), " by ", string(draw.AppendVisible(nil, m.method)))
			separator = ", "
		}
	}
	p.End()
	if r.resumed.Count() == 0 {
		return
	}
	for _, row := range []struct {
		name string
		of   *histogram.Histogram
	}{{"full", r.full}, {"resumed", r.resumed}} {
		p.Left("  "+row.name, len("RESUMPTION")+gap)
		p.Text("p50 ", draw.Duration(row.of.Quantile(0.5), p.Style.ASCII), ", p99 ", draw.Duration(row.of.Quantile(0.99), p.Style.ASCII))
		p.End()
	}
}
