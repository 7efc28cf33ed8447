package report

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"sonde/report/draw"
)

// textEncoder writes a table whose rows stream. Which columns there are is the terminal's width alone; how wide TARGET is,
// the first rows too. A longer target that comes later widens it from its row on, as far as the terminal allows.
type textEncoder struct {
	style    Style
	ellipsis string
	shown    textColumns
	target   int // columns of TARGET now
	most     int // that it may have
	scratch  []byte
}

// textColumns says which columns there are besides TARGET, STATUS and RESULT.
type textColumns struct{ probe, connect, firstByte, total bool }

// textRow is what a table shows of a record. It shares no memory with it.
type textRow struct {
	target, probe, detail string
	status                Status
	timing                Timing
}

// Widths in columns. The longest status has 20, a duration 6.
const (
	gap            = 2
	statusWidth    = 20
	probeWidth     = 6
	durationWidth  = 7
	firstByteWidth = 8
	wideFrom       = 100 // terminal width from which all columns are shown
	connectFrom    = 72  // from which CONNECT is
	totalFrom      = 60  // and TOTAL
	narrowest      = 40  // a narrower terminal is taken for this
	usualTarget    = len("255.255.255.255:65535")
	unboundTarget  = 64  // most of TARGET without a terminal
	unboundDetail  = 400 // and of RESULT
)

func newTextEncoder(style Style) *textEncoder {
	e := &textEncoder{style: style, ellipsis: "…"}
	if style.ASCII {
		e.ellipsis = "..."
	}
	width := max(style.Columns(), narrowest)
	if style.Width == Unbounded {
		e.shown, e.most = textColumns{true, true, true, true}, unboundTarget
	} else {
		e.shown = textColumns{width >= wideFrom, width >= connectFrom, width >= wideFrom, width >= totalFrom}
		e.most = (width - e.others()) * 2 / 3 // the rest is RESULT's
	}
	e.target = min(usualTarget, e.most)
	return e
}

// others are the columns of the cells between TARGET and RESULT, and of the gaps.
func (e *textEncoder) others() int {
	n := gap + statusWidth + gap
	if e.shown.probe {
		n += probeWidth + gap
	}
	if e.shown.connect {
		n += durationWidth + gap
	}
	if e.shown.firstByte {
		n += firstByteWidth + gap
	}
	if e.shown.total {
		n += durationWidth + gap
	}
	return n
}

// layOut makes TARGET as wide as the first rows want it.
func (e *textEncoder) layOut(rows []textRow) {
	for i := range rows {
		e.widen(draw.Width(string(draw.AppendVisible(nil, rows[i].target))))
	}
}

func (e *textEncoder) widen(target int) { e.target = min(max(e.target, target), e.most) }

func (e *textEncoder) appendHeader(dst []byte) []byte {
	dst = e.appendSGR(dst, draw.Bold)
	dst = appendPadded(dst, "TARGET", e.target)
	if e.shown.probe {
		dst = appendPadded(dst, "PROBE", probeWidth)
	}
	dst = appendPadded(dst, "STATUS", statusWidth)
	if e.shown.connect {
		dst = appendRight(dst, "CONNECT", durationWidth)
	}
	if e.shown.firstByte {
		dst = appendRight(dst, "1ST BYTE", firstByteWidth)
	}
	if e.shown.total {
		dst = appendRight(dst, "TOTAL", durationWidth)
	}
	dst = append(dst, "RESULT"...)
	return e.appendSGR(dst, draw.Reset)
}

func (e *textEncoder) appendRecord(dst []byte, r *Record) []byte {
	row := e.row(r)
	return e.appendRow(dst, &row)
}

func (e *textEncoder) row(r *Record) textRow {
	return textRow{
		target: strings.Clone(textTarget(r)), probe: strings.Clone(r.Probe), detail: e.detail(r), status: r.Status, timing: r.Timing,
	}
}

// appendRow appends a line that is no wider than the terminal. A target that is too long for its column loses its middle:
// its beginning and its port tell it from others, and the other formats have it whole.
func (e *textEncoder) appendRow(dst []byte, r *textRow) []byte {
	start := len(dst)
	target := string(draw.AppendVisible(nil, r.target))
	e.widen(draw.Width(target))
	dst = appendPadded(dst, draw.CutMiddle(target, e.target, e.ellipsis), e.target)
	if e.shown.probe {
		cell, used := draw.AppendFitted(e.scratch[:0], r.probe, probeWidth, e.ellipsis)
		dst = draw.AppendSpaces(append(dst, cell...), probeWidth-used+gap)
	}
	dst = e.appendSGR(dst, r.status.Color())
	dst = append(dst, r.status.String()...)
	dst = e.appendSGR(dst, draw.Reset)
	dst = draw.AppendSpaces(dst, statusWidth-len(r.status.String())+gap)
	if e.shown.connect {
		dst = e.appendDuration(dst, r.timing.Connect, durationWidth)
	}
	if e.shown.firstByte {
		dst = e.appendDuration(dst, r.timing.FirstByte, firstByteWidth)
	}
	if e.shown.total {
		dst = e.appendDuration(dst, r.timing.Total, durationWidth)
	}
	room := max(e.style.Columns(), narrowest) - e.target - e.others()
	if e.style.Width == Unbounded {
		room = unboundDetail
	}
	before := len(dst)
	dst, _ = draw.AppendFitted(dst, r.detail, room, e.ellipsis)
	if len(dst) == before { // nothing to say: no blanks at the end of the line
		for len(dst) > start && dst[len(dst)-1] == ' ' {
			dst = dst[:len(dst)-1]
		}
	}
	return dst
}

// textTarget is what the user asked for: the name if there is one, else the address.
func textTarget(r *Record) string {
	switch {
	case r.Domain != "" && r.Port != 0:
		return r.Domain + ":" + strconv.Itoa(int(r.Port))
	case r.Domain != "":
		return r.Domain
	case r.IP.IsValid():
		return netip.AddrPortFrom(r.IP, r.Port).String()
	}
	return "-"
}

// detail is the last column: the error, then the result in brief, then the address behind a name, which is what can be
// spared first where the column is cut.
func (e *textEncoder) detail(r *Record) string {
	e.scratch = append(e.scratch[:0], r.Error...)
	if r.Result != nil {
		if brief := r.Result.Brief(); brief != r.Error { // of a failure it may be the same
			e.scratch = appendPart(e.scratch, brief)
		}
	}
	if r.Domain != "" && r.IP.IsValid() && r.Domain != r.IP.String() {
		e.scratch = appendPart(e.scratch, r.IP.String())
	}
	return string(e.scratch)
}

// appendPart appends part behind two spaces, or at the start as it is.
func appendPart(dst []byte, part string) []byte {
	if part != "" && len(dst) > 0 {
		dst = draw.AppendSpaces(dst, gap)
	}
	return append(dst, part...)
}

func (e *textEncoder) appendDuration(dst []byte, d time.Duration, width int) []byte {
	return appendRight(dst, draw.Duration(d, e.style.ASCII), width)
}

// appendPadded appends s at the left of a cell of that width, and the gap behind it.
func appendPadded(dst []byte, s string, width int) []byte {
	dst = append(dst, s...)
	return draw.AppendSpaces(dst, max(width-draw.Width(s), 0)+gap)
}

// appendRight appends s at the right of a cell of that width, and the gap behind it.
func appendRight(dst []byte, s string, width int) []byte {
	dst = draw.AppendSpaces(dst, width-draw.Width(s))
	dst = append(dst, s...)
	return draw.AppendSpaces(dst, gap)
}

func (e *textEncoder) appendSGR(dst []byte, s draw.Color) []byte {
	if !e.style.Color {
		return dst
	}
	return append(dst, s...)
}
