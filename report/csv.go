package report

import (
	"strconv"
	"strings"
	"time"

	"sonde/report/draw"
)

// csvHeader names the columns; docs/records.md describes them.
const csvHeader = "timestamp,ip,port,domain,tag,probe,status,error_side,error,attempts," +
	"sched_delay_us,dns_us,connect_us,kernel_rtt_us,tls_us,tls_cpu_us,tls_wait_us,first_byte_us,total_us,result"

// csvEncoder writes RFC 4180 with three decisions of ours:
//
//   - A line ends with LF, as lines do for every other Unix tool, and a field holds no line break: what can't be printed
//     is escaped as in the table (\n, \x1b). One record is one line for wc, tail and grep too.
//   - A field whose text comes from outside and begins with a character that a spreadsheet takes for a formula gets an
//     apostrophe in front. The result can't be one: it begins with a brace.
//   - What is absent is an empty field.
type csvEncoder struct {
	scratch []byte // a field before it is quoted
}

func (*csvEncoder) appendHeader(dst []byte) []byte { return append(dst, csvHeader...) }

func (e *csvEncoder) appendRecord(dst []byte, r *Record) []byte {
	dst = appendTimestamp(dst, r.Timestamp)
	dst = append(dst, ',')
	e.scratch = appendIP(e.scratch[:0], r.IP)
	dst = e.appendText(dst, string(e.scratch)) // a zone may hold any character
	dst = append(dst, ',')
	dst = strconv.AppendUint(dst, uint64(r.Port), 10)
	dst = append(dst, ',')
	dst = e.appendText(dst, r.Domain)
	dst = append(dst, ',')
	dst = e.appendText(dst, r.Tag)
	dst = append(dst, ',')
	dst = e.appendText(dst, r.Probe)
	dst = append(dst, ',')
	dst = append(dst, r.Status.String()...)
	dst = append(dst, ',')
	dst = append(dst, r.Side.String()...)
	dst = append(dst, ',')
	dst = e.appendText(dst, r.Error)
	dst = append(dst, ',')
	dst = strconv.AppendInt(dst, int64(r.Attempts), 10)
	t := &r.Timing
	for _, d := range [...]time.Duration{
		t.SchedDelay, t.DNS, t.Connect, t.KernelRTT, t.TLS, t.TLSCPU, t.TLSWait, t.FirstByte, t.Total,
	} {
		dst = append(dst, ',')
		if d >= 0 {
			dst = strconv.AppendInt(dst, int64(d/time.Microsecond), 10)
		}
	}
	dst = append(dst, ',')
	if r.Result != nil {
		e.scratch = r.Result.AppendJSON(e.scratch[:0])
		dst = appendQuoted(dst, e.scratch)
	}
	return dst
}

// appendText appends a field whose text may come from outside.
func (e *csvEncoder) appendText(dst []byte, s string) []byte {
	if s == "" {
		return dst
	}
	e.scratch = e.scratch[:0]
	if isFormula(s) {
		e.scratch = append(e.scratch, '\'')
	}
	e.scratch = draw.AppendVisible(e.scratch, s)
	if strings.ContainsAny(s, `",`) || s[0] == ' ' || s[len(s)-1] == ' ' {
		return appendQuoted(dst, e.scratch)
	}
	return append(dst, e.scratch...)
}

// isFormula reports whether a spreadsheet could take a cell that begins as s does for a formula: by = + - @, by their
// full-width forms, or by a tab or line break before them, which some drop.
func isFormula(s string) bool {
	if strings.IndexByte("=+-@\t\r\n", s[0]) >= 0 {
		return true
	}
	for _, wide := range [...]string{"＝", "＋", "－", "＠"} {
		if strings.HasPrefix(s, wide) {
			return true
		}
	}
	return false
}

// appendQuoted appends text in double quotes, each of its own doubled (RFC 4180 s.2.7).
func appendQuoted(dst, text []byte) []byte {
	dst = append(dst, '"')
	for _, c := range text {
		if c == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}
