package metrics

import (
	"io"
	"math"
	"runtime"
	"strconv"
	"time"
)

// chunk is about how much is given to the writer at once.
const chunk = 64 << 10

// kind is the type of a family.
type kind string

const (
	gauge      kind = "gauge"
	counter    kind = "counter" // its samples end in _total
	histograms kind = "histogram"
)

// encoder writes families in the order in which they are begun. Nothing is checked: that no family comes twice and no series twice in a
// family is its callers' doing. The first error of the writer is kept, and what is written behind it is lost.
type encoder struct {
	w      io.Writer
	format Format
	buf    []byte
	err    error
	// family is that which was begun; its header is written with its first sample, so that one without samples leaves no trace.
	family, help string
	kind         kind
	pending      bool
	braces       bool // the sample under way has labels
}

// begin begins a family.
func (e *encoder) begin(name string, k kind, help string) {
	e.family, e.kind, e.help, e.pending = name, k, help, true
}

func (e *encoder) header() {
	name := e.family
	if e.format == OpenMetrics && e.kind == counter {
		name = name[:len(name)-len("_total")]
	}
	e.buf = append(append(append(append(append(e.buf, "# HELP "...), name...), ' '), e.help...), '\n')
	e.buf = append(append(append(append(append(e.buf, "# TYPE "...), name...), ' '), e.kind...), '\n')
	e.pending = false
}

// sample begins a sample of the family with labels as [appendLabels] renders them, which may be none. More labels may follow, and
// then its value has to.
func (e *encoder) sample(labels []byte) { e.suffixed("", labels) }

// suffixed is sample, of a histogram's series.
func (e *encoder) suffixed(suffix string, labels []byte) {
	if e.pending {
		e.header()
	}
	e.buf = append(append(e.buf, e.family...), suffix...)
	e.braces = len(labels) > 0
	if e.braces {
		e.buf = append(append(e.buf, '{'), labels...)
	}
}

// label adds a label to the sample that was begun.
func (e *encoder) label(name, value string) {
	e.labelName(name)
	e.buf = append(appendEscaped(e.buf, value), '"')
}

// labelName begins a label, of which the value and a quote have to follow.
func (e *encoder) labelName(name string) {
	before := byte('{')
	if e.braces {
		before = ','
	}
	e.braces = true
	e.buf = append(append(append(e.buf, before), name...), '=', '"')
}

func (e *encoder) beforeValue() {
	if e.braces {
		e.buf = append(e.buf, '}')
	}
	e.buf = append(e.buf, ' ')
}

func (e *encoder) afterValue() {
	e.buf = append(e.buf, '\n')
	if len(e.buf) >= chunk {
		e.flush()
	}
}

// flush gives the writer what there is.
func (e *encoder) flush() {
	if e.err == nil && len(e.buf) > 0 {
		_, e.err = e.w.Write(e.buf)
	}
	e.buf = e.buf[:0]
	runtime.Gosched() // on one core a turn would wait for the scheduler's 10 ms otherwise, again and again
}

// int, bool, float, seconds and unix give a sample its value and end it.
func (e *encoder) int(n int64) {
	e.beforeValue()
	e.buf = strconv.AppendInt(e.buf, n, 10)
	e.afterValue()
}

func (e *encoder) uint(n uint64) {
	e.beforeValue()
	e.buf = strconv.AppendUint(e.buf, n, 10)
	e.afterValue()
}

func (e *encoder) bool(b bool) {
	n := int64(0)
	if b {
		n = 1
	}
	e.int(n)
}

func (e *encoder) float(f float64) {
	e.beforeValue()
	e.buf = appendFloat(e.buf, f)
	e.afterValue()
}

func (e *encoder) seconds(d time.Duration) {
	e.beforeValue()
	e.buf = appendSeconds(e.buf, d)
	e.afterValue()
}

// unix is a moment in seconds since the Unix epoch, to the millisecond.
func (e *encoder) unix(t time.Time) {
	e.beforeValue()
	e.buf = appendDecimal(e.buf, t.UnixMilli(), 3)
	e.afterValue()
}

// appendFloat appends f as both formats have it.
func appendFloat(to []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(to, "NaN"...)
	case math.IsInf(f, 1):
		return append(to, "+Inf"...)
	case math.IsInf(f, -1):
		return append(to, "-Inf"...)
	}
	return strconv.AppendFloat(to, f, 'g', -1, 64)
}

// appendSeconds appends d in seconds, exactly.
func appendSeconds(to []byte, d time.Duration) []byte {
	if us := d / time.Microsecond; us*time.Microsecond == d {
		return appendDecimal(to, int64(us), 6)
	}
	return appendDecimal(to, int64(d), 9)
}

// appendDecimal appends n / 10^digits without the zeros at its end: some three times as fast as a float.
func appendDecimal(to []byte, n int64, digits int) []byte {
	size := uint64(n)
	if n < 0 {
		to, size = append(to, '-'), -size
	}
	power := uint64(1)
	for range digits {
		power *= 10
	}
	to = strconv.AppendUint(to, size/power, 10)
	rest := size % power
	if rest == 0 {
		return to
	}
	at := len(to)
	to = strconv.AppendUint(to, power+rest, 10) // a 1, and then the digits with their leading zeros
	to[at] = '.'
	end := len(to)
	for to[end-1] == '0' {
		end--
	}
	return to[:end]
}
