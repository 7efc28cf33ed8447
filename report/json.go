package report

import (
	"net/netip"
	"strconv"
	"time"

	"sonde/internal/jsonappend"
)

// AppendJSON appends r as one JSON object (RFC 8259) without a newline, in the member order of docs/records.md:
//
//	{"timestamp","ip","port","domain","tag","probe","status","error_side","error","attempts","timing":{...},"result":{...}}
//
// timestamp, ip, port, probe, status, attempts and timing are always there; domain, tag, error_side, error and result
// only if they are not empty, and a phase of timing only if it happened. It writes strict UTF-8 whatever the strings
// hold, and it allocates nothing but room in dst (and what r.Result allocates).
func AppendJSON(dst []byte, r *Record) []byte {
	dst = append(dst, `{"timestamp":"`...)
	dst = appendTimestamp(dst, r.Timestamp)
	dst = append(dst, `","ip":`...)
	dst = appendIPString(dst, r.IP)
	dst = append(dst, `,"port":`...)
	dst = strconv.AppendUint(dst, uint64(r.Port), 10)
	if r.Domain != "" {
		dst = append(dst, `,"domain":`...)
		dst = jsonappend.String(dst, r.Domain)
	}
	if r.Tag != "" {
		dst = append(dst, `,"tag":`...)
		dst = jsonappend.String(dst, r.Tag)
	}
	dst = append(dst, `,"probe":`...)
	dst = jsonappend.String(dst, r.Probe)
	dst = append(dst, `,"status":"`...)
	dst = append(dst, r.Status.String()...)
	dst = append(dst, '"')
	if r.Side != SideNone {
		dst = append(dst, `,"error_side":"`...)
		dst = append(dst, r.Side.String()...)
		dst = append(dst, '"')
	}
	if r.Error != "" {
		dst = append(dst, `,"error":`...)
		dst = jsonappend.String(dst, r.Error)
	}
	dst = append(dst, `,"attempts":`...)
	dst = strconv.AppendInt(dst, int64(r.Attempts), 10)
	dst = append(dst, `,"timing":`...)
	dst = appendTiming(dst, &r.Timing)
	if r.Result != nil {
		dst = append(dst, `,"result":`...)
		dst = r.Result.AppendJSON(dst)
	}
	return append(dst, '}')
}

// appendTiming appends the phases that happened. Each is written with its comma in front; the first comma then becomes
// the brace, so that no phase need know whether one stands before it.
func appendTiming(dst []byte, t *Timing) []byte {
	start := len(dst)
	dst = appendPhase(dst, `,"sched_delay_us":`, t.SchedDelay)
	dst = appendPhase(dst, `,"dns_us":`, t.DNS)
	dst = appendPhase(dst, `,"connect_us":`, t.Connect)
	dst = appendPhase(dst, `,"kernel_rtt_us":`, t.KernelRTT)
	dst = appendPhase(dst, `,"tls_us":`, t.TLS)
	dst = appendPhase(dst, `,"tls_cpu_us":`, t.TLSCPU)
	dst = appendPhase(dst, `,"tls_wait_us":`, t.TLSWait)
	dst = appendPhase(dst, `,"first_byte_us":`, t.FirstByte)
	dst = appendPhase(dst, `,"total_us":`, t.Total)
	if len(dst) == start {
		return append(dst, "{}"...)
	}
	dst[start] = '{'
	return append(dst, '}')
}

func appendPhase(dst []byte, name string, d time.Duration) []byte {
	if d < 0 { // Absent
		return dst
	}
	dst = append(dst, name...)
	return strconv.AppendInt(dst, int64(d/time.Microsecond), 10)
}

// appendIPString appends ip as a JSON string, "" if it is invalid.
func appendIPString(dst []byte, ip netip.Addr) []byte {
	if ip.Zone() != "" { // a zone may hold any character (RFC 4007 s.11)
		return jsonappend.String(dst, ip.String())
	}
	dst = append(dst, '"')
	dst = appendIP(dst, ip)
	return append(dst, '"')
}

// appendIP appends ip, nothing if it is invalid.
func appendIP(dst []byte, ip netip.Addr) []byte {
	if !ip.IsValid() {
		return dst
	}
	return ip.AppendTo(dst)
}

// appendTimestamp appends t in UTC as RFC 3339 (s.5.6) with exactly six digits of fraction, cut and not rounded, so that
// timestamps have one length and sort as text. Years that the format can't show are held at its ends, 0 and 9999.
func appendTimestamp(dst []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	micros := t.Nanosecond() / 1000
	year = min(max(year, 0), 9999)
	dst = appendTwoDigits(dst, year/100)
	dst = appendTwoDigits(dst, year%100)
	dst = append(dst, '-')
	dst = appendTwoDigits(dst, int(month))
	dst = append(dst, '-')
	dst = appendTwoDigits(dst, day)
	dst = append(dst, 'T')
	dst = appendTwoDigits(dst, hour)
	dst = append(dst, ':')
	dst = appendTwoDigits(dst, minute)
	dst = append(dst, ':')
	dst = appendTwoDigits(dst, second)
	dst = append(dst, '.')
	dst = appendTwoDigits(dst, micros/10_000)
	dst = appendTwoDigits(dst, micros/100%100)
	dst = appendTwoDigits(dst, micros%100)
	return append(dst, 'Z')
}

func appendTwoDigits(dst []byte, n int) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }
