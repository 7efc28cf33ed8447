package http

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"sonde/internal/jsonappend"
	"sonde/probes"
	"sonde/probes/internal/conclude"
	"sonde/protocol/http1"
)

// maxTitle is the most bytes of a title that are kept.
const maxTitle = 256

// finding is what the response was.
type finding struct {
	status        int // 0 before the final head
	reason        string
	version       string
	server        string
	contentType   string
	location      string
	contentLength int64 // -1 without
	bodyRead      bool
	bodyBytes     int64
	title         string
	match         []string // the match and its groups; nil without
	received      string
	overTLS       bool
	expects       bool // a regular expression is to match the body
}

// Figures implements [probes.Measured].
func (f finding) Figures(to *probes.Figures) {
	if f.status == 0 {
		return
	}
	version, _ := strconv.ParseFloat(f.version, 64) // the parser has seen that it is one
	to.HTTP = &probes.HTTPFigures{
		StatusCode: f.status, Version: version, ContentLength: f.contentLength, BodyLength: f.bodyBytes, TLS: f.overTLS,
	}
	if f.expects {
		failed := f.bodyRead && f.match == nil
		to.RegexpFailed = &failed
	}
}

func (f *finding) takeHead(p *http1.Parser) {
	f.status = p.Status()
	f.reason = conclude.Text(p.Reason())
	f.version = p.Version()
	f.server = conclude.Text(p.Header("Server"))
	f.contentType = conclude.Text(p.Header("Content-Type"))
	f.location = conclude.Text(p.Header("Location"))
	f.contentLength = p.ContentLength()
}

// takeMatch copies the match and its groups, at these places of body; a group that took no part is empty.
func (f *finding) takeMatch(body []byte, at []int) {
	f.match = make([]string, 0, len(at)/2)
	for i := 0; i < len(at); i += 2 {
		var text []byte
		if at[i] >= 0 {
			text = body[at[i]:at[i+1]]
		}
		f.match = append(f.match, conclude.Text(text))
	}
}

// AppendJSON implements [protocol.Finding].
func (f finding) AppendJSON(dst []byte) []byte {
	o := jsonappend.Begin(dst)
	f.appendTo(&o)
	return o.End()
}

func (f *finding) appendTo(o *jsonappend.Object) {
	if f.status != 0 {
		o.Int("status_code", int64(f.status))
		conclude.AddText(o, "reason", f.reason)
		o.String("version", f.version)
		conclude.AddText(o, "server", f.server)
		conclude.AddText(o, "content_type", f.contentType)
		conclude.AddText(o, "location", f.location)
		if f.contentLength >= 0 {
			o.Int("content_length", f.contentLength)
		}
	}
	if f.bodyRead {
		o.Int("body_bytes", f.bodyBytes)
		conclude.AddText(o, "title", f.title)
	}
	if f.match != nil {
		o.Strings("body_match", f.match)
	}
	conclude.AddText(o, "received", f.received)
}

// Brief implements [protocol.Finding].
func (f finding) Brief() string {
	if f.status == 0 {
		return conclude.Quote(f.received)
	}
	brief := strconv.Itoa(f.status) + " " + f.reason
	if f.location != "" {
		brief += " to " + f.location
	}
	return conclude.Quote(brief)
}

// unwanted says which status came and which were wanted.
func unwanted(code int, wanted []probes.StatusRange) string {
	var b strings.Builder
	fmt.Fprintf(&b, "status %d, want ", code)
	for i, r := range wanted {
		if i > 0 {
			b.WriteString(", ")
		}
		if b.WriteString(strconv.Itoa(r.From)); r.To != r.From {
			b.WriteString("-" + strconv.Itoa(r.To))
		}
	}
	return b.String()
}

// title returns the text of the first title element of an HTML page, with its whitespace made single spaces; "" if there
// is none or it does not end. It is a hint for a person, not a parser: character references stay as they are.
func title(page []byte) string {
	start := indexFold(page, "<title")
	if start < 0 {
		return ""
	}
	page = page[start+len("<title"):]
	tagEnd := bytes.IndexByte(page, '>')
	end := indexFold(page, "</title")
	if tagEnd < 0 || end < tagEnd || tagEnd > 0 && page[0] > ' ' {
		return ""
	}
	return conclude.Clip(bytes.Join(bytes.Fields(page[tagEnd+1:end]), []byte(" ")), maxTitle)
}

// indexFold finds s, which is lower case ASCII, in any case.
func indexFold(b []byte, s string) int {
	for i := 0; i+len(s) <= len(b); i++ {
		if (b[i]|0x20 == s[0] || b[i] == s[0]) && bytes.EqualFold(b[i:i+len(s)], []byte(s)) {
			return i
		}
	}
	return -1
}
