package testpeer

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Limits of the HTTP peer.
const (
	// MaxHTTPBytes is the largest body that /bytes/N gives, in bytes: well above what a prober reads (64 KiB), and small
	// enough to be held for many slow clients.
	MaxHTTPBytes = 1 << 20
	// MaxHTTPDelay is the longest that /slow waits.
	MaxHTTPDelay = time.Minute
)

// httpSession answers HTTP/1.1 (RFC 9112). It has no clock and so sends no Date (RFC 9110 s.6.6.1).
type httpSession struct {
	skip int64 // bytes of a request's body that are still to be thrown away
}

func (*httpSession) Greeting() []byte { return nil }

func (s *httpSession) Receive(in, out []byte) (int, []byte, Then) {
	if s.skip > 0 {
		n := int(min(s.skip, int64(len(in))))
		s.skip -= int64(n)
		return n, out, Then{}
	}
	// A server ignores empty lines before the request line (RFC 9112 s.2.2).
	if bytes.HasPrefix(in, []byte("\r\n")) {
		return 2, out, Then{}
	}
	end := bytes.Index(in[:min(len(in), maxPending)], []byte("\r\n\r\n"))
	if end < 0 {
		if len(in) > maxPending {
			return len(in), appendResponse(out, httpRequest{last: true}, httpAnswer{status: 431}), Then{Close: true}
		}
		return 0, out, Then{}
	}
	req, err := parseHead(string(in[:end]))
	if err != nil {
		req.last = true
		return len(in), appendResponse(out, req, httpAnswer{status: 400, body: err.Error() + "\n"}), Then{Close: true}
	}
	s.skip = req.bodyBytes
	a := route(req.path)
	req.last = req.last || a.untilClose
	return end + 4, appendResponse(out, req, a), Then{Delay: a.delay, Close: req.last}
}

// httpRequest is what of a request matters here.
type httpRequest struct {
	head      bool   // HEAD: the answer has no body
	path      string // with the query
	bodyBytes int64  // Content-Length
	last      bool   // the client wants the connection closed after the answer
}

// parseHead reads a request head without its empty line. It refuses what would make the end of the request doubtful.
func parseHead(head string) (req httpRequest, err error) {
	lines := strings.Split(head, "\r\n")
	method, rest, _ := strings.Cut(lines[0], " ")
	path, version, ok := strings.Cut(rest, " ")
	if !ok || method == "" || !strings.HasPrefix(path, "/") || (version != "HTTP/1.1" && version != "HTTP/1.0") {
		return req, errors.New("not an HTTP/1 request line")
	}
	req.head, req.path, req.last = method == "HEAD", path, version == "HTTP/1.0"
	host, length := 0, 0
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return req, errors.New("not a header line")
		}
		value = strings.Trim(value, " \t")
		switch strings.ToLower(name) {
		case "host":
			host++
		case "connection":
			req.last = strings.EqualFold(value, "close") || req.last && !strings.EqualFold(value, "keep-alive")
		case "content-length":
			length++
			if req.bodyBytes, err = strconv.ParseInt(value, 10, 64); err != nil || req.bodyBytes < 0 || length > 1 {
				return req, errors.New("bad content-length")
			}
		case "transfer-encoding":
			return req, errors.New("no transfer codings are taken")
		}
	}
	// RFC 9112 s.3.2: an HTTP/1.1 request has exactly one Host.
	if host > 1 || host == 0 && version == "HTTP/1.1" {
		return req, errors.New("one host header, please")
	}
	return req, nil
}

// httpAnswer is a response before it is written.
type httpAnswer struct {
	status     int
	header     string // further header lines, each with its CRLF
	body       string
	chunked    bool          // framed by chunks instead of Content-Length
	untilClose bool          // framed by the end of the connection
	delay      time.Duration // before the first byte
}

const indexPage = "<!DOCTYPE html>\n<html><head><title>sonde test peer</title></head><body><p>It answers.</p></body></html>\n"

func route(path string) httpAnswer {
	u, err := url.ParseRequestURI(path)
	if err != nil {
		return httpAnswer{status: 400, body: "bad path\n"}
	}
	first, arg, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	switch first {
	case "":
		return httpAnswer{status: 200, header: "Content-Type: text/html; charset=utf-8\r\n", body: indexPage}
	case "status":
		if n, err := strconv.Atoi(arg); err == nil && n >= 200 && n <= 599 {
			return httpAnswer{status: n, body: "as you wish\n"}
		}
		return httpAnswer{status: 400, body: "/status/N takes 200 to 599\n"}
	case "bytes":
		if n, err := strconv.Atoi(arg); err == nil && n >= 0 && n <= MaxHTTPBytes {
			return httpAnswer{status: 200, body: strings.Repeat("x", n)}
		}
		return httpAnswer{status: 400, body: fmt.Sprintf("/bytes/N takes 0 to %d\n", MaxHTTPBytes)}
	case "slow":
		d, err := time.ParseDuration(u.Query().Get("d"))
		if err != nil || d < 0 || d > MaxHTTPDelay {
			return httpAnswer{status: 400, body: "/slow?d= takes a duration up to " + MaxHTTPDelay.String() + "\n"}
		}
		return httpAnswer{status: 200, body: "at last\n", delay: d}
	case "chunked":
		return httpAnswer{status: 200, body: "in three chunks", chunked: true}
	case "close":
		return httpAnswer{status: 200, body: "until the connection is closed\n", untilClose: true}
	case "redirect":
		return httpAnswer{status: 302, header: "Location: /\r\n", body: "over there\n"}
	}
	return httpAnswer{status: 404, body: "not here\n"}
}

// appendResponse writes a as the answer to req.
func appendResponse(out []byte, req httpRequest, a httpAnswer) []byte {
	reason := http.StatusText(a.status)
	if reason == "" {
		reason = "Unnamed"
	}
	out = fmt.Appendf(out, "HTTP/1.1 %d %s\r\nServer: sondepeer\r\n%s", a.status, reason, a.header)
	if !strings.Contains(a.header, "Content-Type") {
		out = append(out, "Content-Type: text/plain; charset=utf-8\r\n"...)
	}
	if req.last {
		out = append(out, "Connection: close\r\n"...)
	}
	// RFC 9110 s.6.4.1: neither 204 nor 304 has a body, and 204 has no Content-Length either (s.8.6).
	bodiless := a.status == http.StatusNoContent || a.status == http.StatusNotModified
	switch {
	case bodiless:
		out = append(out, "\r\n"...)
	case a.chunked:
		out = append(out, "Transfer-Encoding: chunked\r\nTrailer: X-Chunks\r\n\r\n"...)
	case a.untilClose:
		out = append(out, "\r\n"...)
	default:
		out = fmt.Appendf(out, "Content-Length: %d\r\n\r\n", len(a.body))
	}
	if bodiless || req.head {
		return out
	}
	if a.chunked {
		return appendChunks(out, a.body)
	}
	return append(out, a.body...)
}

// appendChunks frames body in three chunks, the second with an extension, and a trailer (RFC 9112 s.7.1).
func appendChunks(out []byte, body string) []byte {
	third := len(body) / 3
	for i, part := range []string{body[:third], body[third : 2*third], body[2*third:]} {
		ext := ""
		if i == 1 {
			ext = ";part=second"
		}
		out = fmt.Appendf(out, "%x%s\r\n%s\r\n", len(part), ext, part)
	}
	return append(out, "0\r\nX-Chunks: 3\r\n\r\n"...)
}
