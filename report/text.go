package report

import (
	"net/netip"
	"strconv"
	"time"
)

// textEncoder writes a table whose rows stream: its layout depends on the terminal alone and is fixed from the first
// row on.
type textEncoder struct {
	style    Style
	ellipsis string
	target   int  // columns of TARGET
	wide     bool // room for PROBE and 1ST BYTE
	scratch  []byte
}

// Widths in columns. The longest status has 20, a duration 6.
const (
	gap            = 2
	statusWidth    = 20
	probeWidth     = 6
	durationWidth  = 7
	firstByteWidth = 8
	wideFrom       = 100 // terminal width from which all columns are shown
	resultMin      = 10
)

func newTextEncoder(style Style) *textEncoder {
	e := &textEncoder{style: style, ellipsis: "…", target: len("255.255.255.255:65535"), wide: style.width() >= wideFrom}
	if style.ASCII {
		e.ellipsis = "..."
	}
	if extra := style.width() - wideFrom; extra > 0 {
		e.target += min(extra/2, 26) // up to the longest IPv6 address with a port, 47
	}
	return e
}

func (e *textEncoder) appendHeader(dst []byte) []byte {
	dst = e.appendSGR(dst, sgrBold)
	dst = appendPadded(dst, "TARGET", e.target)
	if e.wide {
		dst = appendPadded(dst, "PROBE", probeWidth)
	}
	dst = appendPadded(dst, "STATUS", statusWidth)
	dst = appendRight(dst, "CONNECT", durationWidth)
	if e.wide {
		dst = appendRight(dst, "1ST BYTE", firstByteWidth)
	}
	dst = appendRight(dst, "TOTAL", durationWidth)
	dst = append(dst, "RESULT"...)
	return e.appendSGR(dst, sgrReset)
}

// appendRecord appends the row of r. A target is never cut, for it must be good to copy: it pushes the rest to the right.
func (e *textEncoder) appendRecord(dst []byte, r *Record) []byte {
	start := len(dst)
	dst, used := appendFitted(dst, textTarget(r), e.style.width(), e.ellipsis)
	dst = appendSpaces(dst, max(e.target-used, 0)+gap)
	column := max(e.target, used) + gap
	if e.wide {
		probe, used := appendFitted(e.scratch[:0], r.Probe, e.style.width(), e.ellipsis)
		dst = appendPadded(dst, string(probe), probeWidth)
		column += max(probeWidth, used) + gap
	}
	dst = e.appendSGR(dst, sgrOf(r.Status))
	dst = append(dst, r.Status.String()...)
	dst = e.appendSGR(dst, sgrReset)
	dst = appendSpaces(dst, statusWidth-len(r.Status.String())+gap)
	dst = e.appendDuration(dst, r.Timing.Connect, durationWidth)
	if e.wide {
		dst = e.appendDuration(dst, r.Timing.FirstByte, firstByteWidth)
		column += firstByteWidth + gap
	}
	dst = e.appendDuration(dst, r.Timing.Total, durationWidth)
	column += statusWidth + 2*durationWidth + 3*gap
	before := len(dst)
	dst, _ = appendFitted(dst, e.detail(r), max(e.style.width()-column, resultMin), e.ellipsis)
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
		e.scratch = appendPart(e.scratch, r.Result.Brief())
	}
	if r.Domain != "" && r.IP.IsValid() && r.Domain != r.IP.String() {
		e.scratch = appendPart(e.scratch, r.IP.String())
	}
	return string(e.scratch)
}

// appendPart appends part behind two spaces, or at the start as it is.
func appendPart(dst []byte, part string) []byte {
	if part != "" && len(dst) > 0 {
		dst = appendSpaces(dst, gap)
	}
	return append(dst, part...)
}

func (e *textEncoder) appendDuration(dst []byte, d time.Duration, width int) []byte {
	return appendRight(dst, formatDuration(d, e.style.ASCII), width)
}

// appendPadded appends s at the left of a cell of that width, and the gap behind it.
func appendPadded(dst []byte, s string, width int) []byte {
	dst = append(dst, s...)
	return appendSpaces(dst, max(width-displayWidth(s), 0)+gap)
}

// appendRight appends s at the right of a cell of that width, and the gap behind it.
func appendRight(dst []byte, s string, width int) []byte {
	dst = appendSpaces(dst, width-displayWidth(s))
	dst = append(dst, s...)
	return appendSpaces(dst, gap)
}

// sgr is a Select Graphic Rendition sequence (ECMA-48 s.8.3.117).
type sgr string

const (
	sgrReset   sgr = "\x1b[0m"
	sgrBold    sgr = "\x1b[1m"
	sgrDim     sgr = "\x1b[2m"
	sgrRed     sgr = "\x1b[31m"
	sgrGreen   sgr = "\x1b[32m"
	sgrYellow  sgr = "\x1b[33m"
	sgrMagenta sgr = "\x1b[35m"
)

func (e *textEncoder) appendSGR(dst []byte, s sgr) []byte {
	if !e.style.Color {
		return dst
	}
	return append(dst, s...)
}

// sgrOf is the colour of a status: green for success, yellow for silence, magenta for trouble of our own, dim for what was
// not to be probed, red for the rest.
func sgrOf(s Status) sgr {
	switch s {
	case Success:
		return sgrGreen
	case ConnectionTimeout, TLSTimeout, IOTimeout:
		return sgrYellow
	case LocalFDLimit, LocalPortExhausted, LocalError:
		return sgrMagenta
	case Blocked, Cancelled, InvalidInput:
		return sgrDim
	}
	return sgrRed
}
