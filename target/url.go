package target

import (
	"errors"
	"net/url"
	"strings"
)

// parseURL reads a URL (RFC 3986). The fragment is dropped: it is never sent (s.3.5).
func (e *entry) parseURL(b []byte) *refusal {
	u, err := url.Parse(string(b))
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // the rest of its text repeats the entry
		}
		return malformed("not a URL: "+err.Error(), "write scheme://host:port/path")
	}
	switch {
	case u.User != nil:
		return malformed("a URL with a user name or password", "leave out what stands before the @")
	case u.Hostname() == "":
		return malformed("a URL without a host", "write scheme://host:port/path")
	}
	// What stands between the slashes is a place as it could stand alone, but for blocks and ranges; brackets are kept
	// by u.Host, and %25 before a zone is already undone (RFC 6874 s.2).
	host := strings.TrimSuffix(u.Host, ":")
	if refused := e.parsePlace([]byte(host)); refused != nil {
		return refused
	}
	if e.isBlock {
		return malformed("a URL with a block for a host", "list the block alone and choose the probe with --probe")
	}
	e.isURL = true
	e.scheme = strings.ToLower(u.Scheme)
	e.path = u.EscapedPath()
	if u.RawQuery != "" {
		e.path += "?" + u.RawQuery
	}
	return nil
}
