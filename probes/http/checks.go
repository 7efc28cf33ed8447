package http

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sonde/probes"
	"sonde/protocol/http1"
)

// DefaultBodyLimit is how many bytes of a body, decoded, a checked probe takes if Checks.BodyLimit says nothing: a body that
// never ends must end somewhere, and expressions need what they search in memory.
const DefaultBodyLimit = 16 << 20

// Checks is what a checked probe sends and what it wants to hear, in the terms of blackbox_exporter's http prober. The zero
// Checks sends GET, follows redirects and is content with 200 to 299. Nothing in it may be changed once it is given away.
type Checks struct {
	// Method is GET if it is empty.
	Method string
	// Fields are sent in this order. One named Host says what the server is asked for, and is kept over redirects that name
	// no host. What follows from the body is not sent (Content-Length, Transfer-Encoding, Trailer).
	Fields []Field
	// Body is sent with its Content-Length. A method that usually has a body (POST, PUT, PATCH) is sent with a length of 0
	// if it is empty (RFC 9110 s.8.6).
	Body []byte
	// BasicAuth and Bearer are credentials, of which one is allowed (RFC 7617, RFC 6750); a field Authorization is sent in
	// their place. As all fields that hold secrets they are not sent to other hosts.
	BasicAuth *Login
	Bearer    string

	// Status are the status codes that are wanted; empty: 200-299.
	Status []probes.StatusRange
	// Versions are those that are wanted, "HTTP/1.1"; empty: any.
	Versions []string
	// RefuseTLS and RequireTLS are about the last response.
	RefuseTLS, RequireTLS bool
	// RefuseBody and RequireBody must match nowhere in the decoded body, and each somewhere.
	RefuseBody, RequireBody []*regexp.Regexp
	// RefuseField must match no value of their field, and RequireField one at least.
	RefuseField, RequireField []FieldCheck

	// StayHere has redirects judged like any other response; else 10 are followed at most.
	StayHere bool
	// Compression is how bodies are taken to be encoded, whatever the server says: "gzip", "deflate" (with or without zlib's
	// header, RFC 1950), or "identity" or empty for not at all. Nothing is sent for it: that is for a field Accept-Encoding.
	Compression string
	// BodyLimit is the most bytes of a decoded body; 0 is DefaultBodyLimit.
	BodyLimit int64

	// Secure puts TLS under p, for targets that want it; elsewhere says that a redirect led to another host than was first
	// asked, so that a name which was configured for TLS is not that one's. It must be set.
	Secure func(p probes.Probe, elsewhere bool) probes.Probe
}

// Field is a field of a request.
type Field struct{ Name, Value string }

// Login is a name and a password.
type Login struct{ Name, Password string }

// FieldCheck is an expression for the values of a field of the response. A field that is missing fails unless AllowMissing.
type FieldCheck struct {
	Name         string
	Regexp       *regexp.Regexp
	AllowMissing bool
}

// NewChecked returns the probe that makes these checks. It runs over TLS where a target says so, and its findings are
// [probes.Measured] and [probes.Follower]. An error names the option as blackbox_exporter does, what is wrong and how to
// mend it.
func NewChecked(c Checks) (probes.Probe, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Method == "" {
		c.Method = "GET"
	}
	if c.BodyLimit == 0 {
		c.BodyLimit = DefaultBodyLimit
	}
	if len(c.Status) == 0 {
		c.Status = []probes.StatusRange{{From: 200, To: 299}}
	}
	c.Compression = strings.ToLower(c.Compression)
	first := c.first()
	return &either{plain: first, secure: c.Secure(first, false)}, nil
}

func (c *Checks) check() error {
	if err := checkMethod("method", c.Method); err != nil {
		return err
	}
	for _, f := range c.Fields {
		if err := f.check(); err != nil {
			return err
		}
	}
	if err := c.checkCredentials(); err != nil {
		return err
	}
	for _, r := range c.Status {
		if r.From < 100 || r.To > 999 || r.From > r.To {
			return fmt.Errorf("valid_status_codes: %d-%d is not a range of status codes; give codes from 100 to 999", r.From, r.To)
		}
	}
	if len(c.Versions) > 0 && !slices.ContainsFunc(c.Versions, func(v string) bool { return strings.HasPrefix(v, "HTTP/1.") }) {
		return fmt.Errorf("valid_http_versions: %s is not spoken here; add HTTP/1.1", strings.Join(c.Versions, ", "))
	}
	if c.RefuseTLS && c.RequireTLS {
		return fmt.Errorf("fail_if_ssl: together with fail_if_not_ssl every response fails; leave one out")
	}
	switch strings.ToLower(c.Compression) {
	case "", "identity", "gzip", "deflate":
	default:
		return fmt.Errorf("compression: %q can't be undone here; give gzip, deflate or identity", c.Compression)
	}
	for _, f := range c.Fields {
		if c.Compression != "" && strings.EqualFold(f.Name, "Accept-Encoding") && !accepts(f.Value, strings.ToLower(c.Compression)) {
			return fmt.Errorf("compression: %s is not what the header Accept-Encoding asks for, %q; add it there", c.Compression, f.Value)
		}
	}
	switch {
	case c.BodyLimit < 0:
		return fmt.Errorf("body_size_limit: %d is below 0; give a number of bytes", c.BodyLimit)
	case c.Secure == nil:
		return fmt.Errorf("http.Checks: Secure is nil")
	}
	return nil
}

func (f Field) check() error {
	switch {
	case f.Name == "" || strings.IndexFunc(f.Name, notToken) >= 0:
		return fmt.Errorf("headers: %q is not a field name; give letters, digits and minus signs", f.Name)
	case strings.ContainsAny(f.Value, "\r\n\x00"):
		return fmt.Errorf("headers: the value of %s holds a CR, LF or NUL; give one line", f.Name)
	case strings.EqualFold(f.Name, "Host") && (f.Value == "" || strings.IndexFunc(f.Value, notHost) >= 0):
		return fmt.Errorf("headers: %q is not a host; give a name or address, with :port if need be", f.Value)
	}
	return nil
}

// accepts reports whether a field Accept-Encoding allows a coding (RFC 9110 s.12.5.3), which is in lower case.
func accepts(field, coding string) bool {
	others := coding == "identity"
	for name, weight := range http1.Preferences(field) {
		switch name {
		case coding:
			return weight > 0
		case "*":
			others = weight > 0
		}
	}
	return others
}

func (c *Checks) checkCredentials() error {
	switch {
	case c.BasicAuth != nil && c.Bearer != "":
		return fmt.Errorf("basic_auth: there is a bearer token as well; give one of the two")
	case c.BasicAuth != nil && strings.Contains(c.BasicAuth.Name, ":"):
		return fmt.Errorf("basic_auth: the name holds a colon, which would end it (RFC 7617 s.2); give another")
	case strings.ContainsAny(c.Bearer, "\r\n\x00"):
		return fmt.Errorf("authorization: the token holds a CR, LF or NUL; give one line")
	}
	return nil
}
