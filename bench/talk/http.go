package talk

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sonde/probes"
	"sonde/protocol"
	"sonde/protocol/http1"
)

// request is an HTTP request, but for the host.
type request struct {
	method  string
	before  []byte // what stands before the value of the Host field; all of it if there is none to fill in
	after   []byte // what stands behind it
	host    string // "" is what Open is told
	close   bool   // it asks the server to close
	wanted  []probes.StatusRange
	reasons []string // for the codes from 100 on, of those that are not wanted
}

func (o *HTTPOptions) isZero() bool {
	return o.Method == "" && o.Path == "" && o.Host == "" && o.Headers == nil && o.Body == nil && o.Message == nil && o.Status == nil
}

// The codes that a status line can have (RFC 9112 s.4).
const minStatus, maxStatus = 100, 999

func newRequest(o HTTPOptions) (*request, error) {
	r := &request{method: o.Method, host: o.Host, wanted: append([]probes.StatusRange(nil), o.Status...)}
	var err error
	if o.Message != nil {
		err = r.takeMessage(o)
	} else {
		err = r.build(o)
	}
	if err != nil {
		return nil, err
	}
	for _, w := range r.wanted {
		if w.From < minStatus || w.To > maxStatus || w.From > w.To {
			return nil, fmt.Errorf("%d-%d is not a range of status codes; give codes from %d to %d, the lower first", w.From, w.To, minStatus, maxStatus)
		}
	}
	r.reasons = make([]string, maxStatus-minStatus+1)
	for i := range r.reasons {
		if code := minStatus + i; !r.wants(code) {
			r.reasons[i] = "status " + strconv.Itoa(code)
		}
	}
	return r, nil
}

func (r *request) wants(code int) bool {
	if len(r.wanted) == 0 {
		return code >= 200 && code < 400
	}
	for _, w := range r.wanted {
		if w.From <= code && code <= w.To {
			return true
		}
	}
	return false
}

// build makes the request of its parts.
func (r *request) build(o HTTPOptions) error {
	if r.method == "" {
		r.method = "GET"
		if len(o.Body) > 0 {
			r.method = "POST"
		}
	}
	path := o.Path
	if path == "" {
		path = "/"
	}
	if err := errors.Join(checkMethod(r.method), checkPath(path, r.method), checkHost(o.Host)); err != nil {
		return err
	}
	given := map[string]bool{}
	var fields []byte
	for _, text := range o.Headers {
		name, value, err := parseField(text)
		if err != nil {
			return err
		}
		given[strings.ToLower(name)] = true
		r.close = r.close || strings.EqualFold(name, "Connection") && hasToken(value, "close")
		fields = append(append(append(append(fields, name...), ": "...), value...), "\r\n"...)
	}
	r.before = []byte(r.method + " " + path + " HTTP/1.1\r\n")
	if !given["host"] {
		r.before = append(r.before, "Host: "...)
		r.after = []byte("\r\n")
	}
	tail := &r.after
	if given["host"] {
		tail = &r.before
		if o.Host != "" {
			return errors.New("the host is given twice, as a header too; leave one out")
		}
	}
	if !given["user-agent"] {
		*tail = append(*tail, "User-Agent: sonde\r\n"...)
	}
	*tail = append(*tail, fields...)
	switch {
	case given["content-length"] || given["transfer-encoding"]:
		return errors.New("Content-Length and Transfer-Encoding follow from the body; to send others give a whole message")
	case len(o.Body) > 0 || r.method == "POST" || r.method == "PUT" || r.method == "PATCH": // RFC 9110 s.8.6
		*tail = fmt.Appendf(*tail, "Content-Length: %d\r\n", len(o.Body))
	}
	*tail = append(append(*tail, "\r\n"...), o.Body...)
	return nil
}

// fixed reports whether the request is the same for all hosts.
func (r *request) fixed() bool { return r.after == nil || r.host != "" }

// bytes is the whole request to host.
func (r *request) bytes(host string) []byte {
	switch {
	case r.after == nil:
		return r.before
	case r.host != "":
		host = r.host
	case checkHost(host) != nil:
		host = "" // RFC 9112 s.3.2: what has no authority is sent an empty field
	}
	out := make([]byte, 0, len(r.before)+len(host)+len(r.after))
	return append(append(append(out, r.before...), host...), r.after...)
}

// takeMessage takes a request that the user has written.
func (r *request) takeMessage(o HTTPOptions) error {
	if o.Method != "" || o.Path != "" || o.Host != "" || o.Headers != nil || o.Body != nil {
		return errors.New("a message is the whole request; leave out method, path, host, headers and body")
	}
	head, body, found := bytes.Cut(o.Message, []byte("\r\n\r\n"))
	if bytes.Contains(bytes.ReplaceAll(head, []byte("\r\n"), nil), []byte("\n")) {
		return errors.New("a line of the message's head ends in LF alone; HTTP wants CRLF (RFC 9112 s.2.2)")
	}
	if !found {
		return errors.New("the message's head does not end; an empty line is missing behind it")
	}
	lines := strings.Split(string(head), "\r\n")
	method, rest, _ := strings.Cut(lines[0], " ")
	path, version, _ := strings.Cut(rest, " ")
	if path == "" || version != "HTTP/1.1" && version != "HTTP/1.0" || method == "" {
		return fmt.Errorf("the message begins with %q; want a request line such as GET / HTTP/1.1", clip(lines[0]))
	}
	if err := checkMethod(method); err != nil {
		return err
	}
	length, coded, keep := -1, false, false
	for _, line := range lines[1:] {
		name, value, err := parseField(line)
		if err != nil {
			return fmt.Errorf("the message: %w", err)
		}
		switch strings.ToLower(name) {
		case "content-length":
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 || length >= 0 && n != length {
				return fmt.Errorf("the message's Content-Length %q is not one number", clip(value))
			}
			length = n
		case "transfer-encoding":
			coded = true
		case "connection":
			r.close = r.close || hasToken(value, "close")
			keep = keep || hasToken(value, "keep-alive")
		}
	}
	r.close = r.close || version == "HTTP/1.0" && !keep
	if !coded && len(body) != max(length, 0) {
		return fmt.Errorf("the message's body has %d bytes, but its head promises %d", len(body), max(length, 0))
	}
	r.method = method
	r.before = append([]byte(nil), o.Message...)
	return nil
}

// hasToken reports whether a list has the word, in any case (RFC 9110 s.7.6.1).
func hasToken(list, word string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.Trim(item, " \t"), word) {
			return true
		}
	}
	return false
}

func checkMethod(method string) error {
	switch {
	case strings.IndexFunc(method, notToken) >= 0:
		return fmt.Errorf("%q is not a method; give one word such as GET", clip(method))
	case method == "CONNECT":
		return errors.New("CONNECT asks for a tunnel, not for an answer; use GET or HEAD")
	}
	return nil
}

// checkPath takes the origin form of a request target, and "*" for OPTIONS (RFC 9112 s.3.2).
func checkPath(path, method string) error {
	if path == "*" && method == "OPTIONS" {
		return nil
	}
	if path[0] != '/' {
		return fmt.Errorf("the path %q does not begin with a slash; give one such as /health", clip(path))
	}
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return fmt.Errorf("the path has %q, which must be percent-encoded: write %%%02X", path[i:i+1], c)
		}
	}
	return nil
}

// checkHost turns down what would end the field or be no host (RFC 9110 s.7.2, RFC 3986 s.3.2.2).
func checkHost(host string) error {
	for i := range len(host) {
		if c := host[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("/?#@\\\"<>", c) >= 0 {
			return fmt.Errorf("%q is not allowed in a host; give a name or address, with :port if need be", host[i:i+1])
		}
	}
	return nil
}

// parseField takes "Name: value" apart (RFC 9112 s.5).
func parseField(text string) (name, value string, err error) {
	name, value, found := strings.Cut(text, ":")
	switch {
	case !found:
		return "", "", fmt.Errorf("the header %q has no colon; write Name: value", clip(text))
	case name == "" || strings.IndexFunc(name, notToken) >= 0:
		return "", "", fmt.Errorf("%q is not a header's name", clip(name))
	case strings.ContainsAny(value, "\r\n\x00"):
		return "", "", fmt.Errorf("the value of the header %s has a line end or NUL", name)
	}
	return name, strings.Trim(value, " \t"), nil
}

// notToken reports whether r is not a tchar (RFC 9110 s.5.6.2).
func notToken(r rune) bool {
	switch {
	case '0' <= r && r <= '9', 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z':
		return false
	}
	return !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// clip cuts what an error quotes.
func clip(text string) string { return text[:min(len(text), 80)] }

// hearHTTP takes a head or a part of a body. What is refused is read to its end all the same: the connection is kept.
func (s *Session) hearHTTP(f protocol.Frame, h *Heard) {
	if f.Kind == http1.Head {
		s.hearHead(h)
	} else {
		h.Done = f.Kind == http1.End
	}
	h.Last = h.Last || s.last
	if h.Done {
		h.Verdict, h.Reason = s.verdict, s.reason
		s.aside, s.verdict, s.reason = 0, protocol.Success, ""
	}
}

func (s *Session) hearHead(h *Heard) {
	if s.http.Interim() {
		h.Done = false
		if s.aside++; s.aside > maxAside {
			h.Done, s.last = true, true
			s.verdict, s.reason = protocol.Refused, "no final response after 17 interim ones"
		}
		return
	}
	h.Done = !s.http.HasBody()
	s.last = s.last || s.talk.http.close || !s.http.Persistent()
	if reason := s.talk.http.reasons[s.http.Status()-minStatus]; reason != "" {
		s.verdict, s.reason = protocol.Refused, reason
	}
}
