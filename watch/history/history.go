// Package history keeps the last outcomes of many targets in fixed memory: a ring of points for each, of 12 bytes a point, without
// pointers, so that a hundred thousand targets with 60 points are 72 MB of which the garbage collector looks at none.
package history

import (
	"math/bits"
	"time"

	"sonde/report"
)

// Point is one outcome.
type Point struct {
	// At is when it began, cut to 10 ms. A history spans 497 days at most: an older point seems to be younger.
	At     time.Time
	Status report.Status
	// Total, Connect and TLS are true to one part in 4096; report.Absent where the phase did not happen.
	Total, Connect, TLS time.Duration
}

// point is a Point as it is kept.
type point struct {
	at                  uint32 // units since History.start, modulo 2^32
	status              report.Status
	_                   uint8
	total, connect, tls packed
}

const unit = 10 * time.Millisecond

// pageTargets is how many targets share a page: memory is taken a page at a time.
const pageTargets = 256

// History has the rings of all targets. It belongs to one goroutine. Make one with [New].
type History struct {
	start time.Time
	last  uint64    // units from start to the youngest point
	each  int       // points a target
	pages [][]point // of pageTargets rings each; nil where no target has one
	rings []ring
}

// ring is where the points of a target are.
type ring struct{ next, count uint16 }

// MaxPoints is the most points that a target has.
const MaxPoints = 1 << 14

// New returns a History without targets, for points from start on, each target with so many of them, 1 to MaxPoints.
func New(start time.Time, each int) *History {
	return &History{start: start.Truncate(unit), each: min(max(each, 1), MaxPoints)}
}

// Add adds a point of target id, and forgets its oldest if there is no more room. Ids are small, dense numbers.
func (h *History) Add(id uint32, p Point) {
	for int(id) >= len(h.rings) {
		h.rings = append(h.rings, ring{})
	}
	page := int(id / pageTargets)
	for page >= len(h.pages) {
		h.pages = append(h.pages, nil)
	}
	if h.pages[page] == nil {
		h.pages[page] = make([]point, pageTargets*h.each)
	}
	r := &h.rings[id]
	at := uint64(max(p.At.Sub(h.start), 0) / unit)
	h.last = max(h.last, at)
	h.of(id)[r.next] = point{at: uint32(at), status: p.Status, total: pack(p.Total), connect: pack(p.Connect), tls: pack(p.TLS)}
	r.next = uint16((int(r.next) + 1) % h.each)
	r.count = uint16(min(int(r.count)+1, h.each))
}

// of is the ring of a target that has a page.
func (h *History) of(id uint32) []point {
	at := int(id%pageTargets) * h.each
	return h.pages[id/pageTargets][at : at+h.each]
}

// Points appends the points of target id, the oldest first.
func (h *History) Points(id uint32, to []Point) []Point {
	if int(id) >= len(h.rings) {
		return to
	}
	r := h.rings[id]
	for i := range int(r.count) {
		p := &h.of(id)[(int(r.next)-int(r.count)+i+h.each)%h.each]
		to = append(to, Point{
			At: h.moment(p.at), Status: p.status, Total: p.total.duration(), Connect: p.connect.duration(), TLS: p.tls.duration(),
		})
	}
	return to
}

// moment is when a point was, which is not after the youngest.
func (h *History) moment(at uint32) time.Time {
	return h.start.Add(time.Duration(h.last-uint64(uint32(h.last)-at)) * unit)
}

// Clear forgets the points of target id.
func (h *History) Clear(id uint32) {
	if int(id) < len(h.rings) {
		h.rings[id] = ring{}
	}
}

// packed is a duration in whole microseconds in 16 bits: 0 is none, 1 is zero; else a float without a sign, an exponent of 5 bits
// above a mantissa of 11, less 2. Packed durations sort as durations do.
type packed uint16

const mantissaBits = 11

func pack(d time.Duration) packed {
	if d < 0 {
		return 0
	}
	us := uint64(d / time.Microsecond)
	shift := max(bits.Len64(us)-mantissaBits-1, 0)
	if shift > 0 { // the nearest
		us += 1 << (shift - 1)
		shift = bits.Len64(us) - mantissaBits - 1
	}
	us >>= shift
	if shift > 0 || us >= 1<<mantissaBits {
		us = uint64(shift+1)<<mantissaBits | us&(1<<mantissaBits-1)
	}
	return packed(min(us+1, 1<<16-1))
}

func (p packed) duration() time.Duration {
	if p == 0 {
		return report.Absent
	}
	us := uint64(p - 1)
	if exponent := us >> mantissaBits; exponent > 0 {
		us = (us&(1<<mantissaBits-1) | 1<<mantissaBits) << (exponent - 1)
	}
	return time.Duration(us) * time.Microsecond
}
