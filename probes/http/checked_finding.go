package http

import (
	"strconv"
	"time"

	"sonde/internal/jsonappend"
	"sonde/probes"
	"sonde/probes/internal/conclude"
	"sonde/protocol/http1"
	"sonde/target"
)

// checkedFinding is what the response of a checked probe was, and where it leads.
type checkedFinding struct {
	finding
	length       int64 // of the body as announced; -1: not
	lastModified time.Time
	tls          bool
	regexpFailed bool

	redirects []string // where those led that were followed to this response
	refused   bool     // it is a redirect itself that is not followed
	mute      bool     // it leads on or astray: nothing of it counts as the answer
	counted   int      // redirects with this one
	next      target.Target
	probe     probes.Probe // asks there; nil: it leads nowhere
}

var (
	_ probes.Measured = (*checkedFinding)(nil)
	_ probes.Follower = (*checkedFinding)(nil)
)

func (f *checkedFinding) takeHead(p *http1.Parser, tls bool) {
	f.finding.takeHead(p)
	f.tls = tls
	f.length = f.contentLength
	if !p.HeadRequest && (f.status == 101 || f.status == 204 || f.status == 304) {
		f.length = 0 // RFC 9112 s.6.3, rule 1
	}
	f.lastModified = parseDate(string(p.Header("Last-Modified")))
}

// parseDate reads the three forms of a date that there are (RFC 9110 s.5.6.7); zero if it is none.
func parseDate(text string) time.Time {
	for _, layout := range [...]string{"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 MST", time.ANSIC} {
		if t, err := time.Parse(layout, text); err == nil {
			return t
		}
	}
	return time.Time{}
}

// AppendJSON implements [protocol.Finding].
func (f *checkedFinding) AppendJSON(dst []byte) []byte {
	o := jsonappend.Begin(dst)
	f.appendTo(&o)
	if len(f.redirects) > 0 {
		o.Strings("redirects", f.redirects)
	}
	return o.End()
}

// Brief implements [protocol.Finding].
func (f *checkedFinding) Brief() string {
	brief := f.finding.Brief()
	if n := len(f.redirects); n > 0 {
		brief += " after " + strconv.Itoa(n) + " redirects"
	}
	return conclude.Quote(brief)
}

// Figures implements [probes.Measured].
func (f *checkedFinding) Figures(to *probes.Figures) {
	to.RegexpFailed = &f.regexpFailed
	to.HTTP = &probes.HTTPFigures{Redirects: f.counted}
	if f.status == 0 || f.mute {
		return
	}
	h := to.HTTP
	h.StatusCode, h.TLS, h.LastModified = f.status, f.tls, f.lastModified
	h.Version, _ = strconv.ParseFloat(f.version, 64)
	h.ContentLength, h.BodyLength = f.length, f.bodyBytes
}

// Follow implements [probes.Follower].
func (f *checkedFinding) Follow() (target.Target, probes.Probe, bool) {
	return f.next, f.probe, f.probe != nil
}
