package track

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"sonde/policy/breaker"
	"sonde/policy/flap"
	"sonde/probes"
	"sonde/report"
)

// Edition says which set of targets a copy is of: it is another whenever one was added, changed or removed.
func (c *Copy) Edition() uint64 { return c.edition }

// AppendBinary appends c as another process of this same program reads it ([Remote.Append]). known is the edition whose targets that
// process has, 0 for none: where it is c's own they are not sent again, and a target takes some hundred bytes. now is the moment of
// the copy by this process' monotonic clock, which the other does not share.
func (c *Copy) AppendBinary(dst []byte, known uint64, now int64) []byte {
	w := &coder{data: dst, now: now, textAt: make(map[*string]uint64), tlsAt: make(map[*probes.TLSFigures]uint64)}
	edition, whole, views := c.edition, known == 0 || known != c.edition, len(c.Views)
	number(w, &edition)
	w.flag(&whole)
	jobs, err := json.Marshal(c.Jobs)
	if err != nil {
		panic(err) // numbers and a name
	}
	packed := string(jobs)
	w.str(&packed)
	number(w, &views)
	for i := range c.Views {
		v := c.Views[i] // a copy: the coder may write what it is given
		number(w, &v.id)
		if whole {
			w.target(v.Target)
		}
		w.view(&v)
	}
	return w.data
}

// errWire says that bytes are no copy that a process of this program sent.
var errWire = errors.New("malformed copy of a table")

// coder writes values, or reads the same ones: one walk over them is both, so that the two sides can't differ. While it reads,
// malformed is set by the first value that is none, and what comes after it is zero.
type coder struct {
	data      []byte // written so far, or left to be read
	reading   bool
	malformed bool
	now       int64

	// A text, and figures of TLS, are sent where they first come and named by their number from then on.
	textAt map[*string]uint64
	texts  []*string
	tlsAt  map[*probes.TLSFigures]uint64
	tls    []*probes.TLSFigures
	names  map[string]string // of targets, each once
}

type integer interface {
	~int | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// number is any whole number, in as few bytes as it takes.
func number[T integer](c *coder, p *T) {
	if !c.reading {
		c.data = binary.AppendVarint(c.data, int64(*p))
		return
	}
	n, size := binary.Varint(c.data)
	if *p = T(n); size <= 0 || int64(*p) != n {
		c.fail()
		*p = 0
		return
	}
	c.data = c.data[size:]
}

// word is a number out of a closed set, of which last is the greatest.
func word[T ~uint8](c *coder, p *T, last T) {
	if number(c, p); *p > last {
		c.fail()
		*p = 0
	}
}

func (c *coder) fail() { c.malformed, c.data = true, nil }

func (c *coder) flag(p *bool) {
	var n uint8
	if *p {
		n = 1
	}
	word(c, &n, 1)
	*p = n == 1
}

// bytes are so many.
func (c *coder) bytes(p []byte) {
	switch {
	case !c.reading:
		c.data = append(c.data, p...)
	case len(c.data) < len(p):
		c.fail()
	default:
		c.data = c.data[copy(p, c.data):]
	}
}

// take reads a length and so many bytes, which are not kept.
func (c *coder) take() []byte {
	var size int
	if number(c, &size); size < 0 || size > len(c.data) {
		c.fail()
		return nil
	}
	b := c.data[:size]
	c.data = c.data[size:]
	return b
}

func (c *coder) str(p *string) {
	if c.reading {
		*p = string(c.take())
		return
	}
	c.data = append(binary.AppendVarint(c.data, int64(len(*p))), *p...)
}

// name is a text that many targets share.
func (c *coder) name(p *string) {
	if !c.reading {
		c.str(p)
		return
	}
	b := c.take()
	known, ok := c.names[string(b)]
	if !ok {
		known = string(b)
		c.names[known] = known
	}
	*p = known
}

// shared is a pointer to a value that many views share, nil among them.
func shared[V any](c *coder, p **V, at map[*V]uint64, all *[]*V, value func(*V)) {
	if !c.reading {
		n, known := at[*p]
		if *p != nil && !known {
			n = uint64(len(at)) + 1
			at[*p] = n
		}
		if number(c, &n); *p != nil && !known {
			value(*p)
		}
		return
	}
	var n uint64
	number(c, &n)
	switch {
	case n == 0:
		*p = nil
	case n <= uint64(len(*all)):
		*p = (*all)[n-1]
	case n == uint64(len(*all))+1:
		*p = new(V)
		value(*p)
		*all = append(*all, *p)
	default:
		c.fail()
	}
}

func (c *coder) text(p **string) { shared(c, p, c.textAt, &c.texts, c.str) }

func (c *coder) target(t *Target) {
	c.name(&t.Job)
	c.name(&t.Module)
	c.str(&t.Instance)
	c.flag(&t.Keep)
	number(c, &t.Interval)
	n := len(t.Labels)
	if number(c, &n); n < 0 || c.reading && n > len(c.data) {
		c.fail()
		return
	}
	if c.reading && n > 0 {
		t.Labels = make([]Label, n)
	}
	for i := range t.Labels {
		c.name(&t.Labels[i].Name)
		c.name(&t.Labels[i].Value)
	}
}

// view is all of a view but its id and target.
func (c *coder) view(v *View) {
	c.outcome(&v.last)
	number(c, &v.failure.at)
	number(c, &v.failure.total)
	word(c, &v.failure.status, report.NumStatuses-1)
	word(c, &v.failure.side, report.SidePolicy)
	c.kept(&v.kept)
	number(c, &v.counts.Probes)
	number(c, &v.counts.InARow)
	for i := range v.counts.Failed {
		number(c, &v.counts.Failed[i])
	}
	for i := range v.counts.Skipped {
		number(c, &v.counts.Skipped[i])
	}
	number(c, &v.turned)
	number(c, &v.goodAt)
	number(c, &v.job)
	c.flag(&v.probed)
	state := v.State()
	word(c, &state, flap.Down)
	v.flap = flap.At(state)
	c.answer(&v.shown)
	number(c, &v.own)
	c.flag(&v.stale)
	word(c, &v.breaker, breaker.HalfOpen)
	c.moment(&v.until)
	c.text(&v.failText)
	c.text(&v.fallback)
	c.text(&v.expect)
	if c.reading && !isPacked(text(v.expect)) {
		c.fail()
		v.expect = nil
	}
	shared(c, &v.tls, c.tlsAt, &c.tls, c.figures)
}

func (c *coder) outcome(o *outcome) {
	number(c, &o.at)
	c.bytes(o.addr[:])
	for i := range o.phases {
		number(c, &o.phases[i])
	}
	number(c, &o.transfer)
	number(c, &o.port)
	word(c, &o.status, report.NumStatuses-1)
	word(c, &o.side, report.SidePolicy)
	number(c, &o.attempts)
	c.flag(&o.v4)
}

func (c *coder) kept(k *kept) {
	number(c, &k.since)
	number(c, &k.beat)
	for i := range k.drops {
		number(c, &k.drops[i])
	}
	number(c, &k.connects)
	number(c, &k.rtt)
	c.flag(&k.up)
	word(c, &k.cause, NumCauses-1)
}

func (c *coder) answer(a *answer) {
	number(c, &a.contentLength)
	number(c, &a.bodyLength)
	number(c, &a.lastModified)
	number(c, &a.statusCode)
	number(c, &a.redirects)
	number(c, &a.httpVersion)
	number(c, &a.has)
}

// moment is one by the monotonic clock, 0 for none.
func (c *coder) moment(p *int64) {
	is := *p != 0
	if c.flag(&is); !is {
		*p = 0
		return
	}
	away := *p - c.now
	number(c, &away)
	*p = max(c.now+away, 1)
}

func (c *coder) figures(f *probes.TLSFigures) {
	c.flag(&f.Established)
	for _, t := range []*time.Time{&f.EarliestExpiry, &f.LastChainExpiry} {
		seconds := t.Unix() // certificates have no less
		number(c, &seconds)
		*t = time.Unix(seconds, 0).UTC()
	}
	for _, s := range []*string{&f.Version, &f.Cipher, &f.Fingerprint, &f.Subject, &f.Issuer, &f.Names, &f.Serial} {
		c.str(s)
	}
}

// isPacked reports whether packCaptures may have made s.
func isPacked(s string) bool {
	words := 0
	for ; s != ""; words++ {
		n, size := binary.Uvarint([]byte(s[:min(len(s), binary.MaxVarintLen64)]))
		if size <= 0 || n > uint64(len(s)-size) {
			return false
		}
		s = s[size+int(n):]
	}
	return words%2 == 0
}
