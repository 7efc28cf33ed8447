package config

import (
	"fmt"
	"slices"
	"strings"
)

// checkBlackboxHTTP holds the section against what blackbox_exporter refuses, and against what can be done here.
func (r *reader) checkBlackboxHTTP(m *Module, h *BlackboxHTTP, path string) {
	if h.NoFollowRedirects {
		h.FollowRedirects = false
	}
	if r.has(&h.NoFollowRedirects) {
		r.warn(m, r.at(&h.NoFollowRedirects), "http.no_follow_redirects: it is an old word; write follow_redirects: "+fmt.Sprint(h.FollowRedirects))
	}
	if r.has(&h.EnableHTTP2) && h.EnableHTTP2 {
		r.warn(m, r.at(&h.EnableHTTP2), "http.enable_http2: it is asked by HTTP/1.1 all the same, which servers of HTTP/2 speak too")
	}
	for i, code := range h.ValidStatusCodes {
		r.within(&h.ValidStatusCodes[i], float64(code), 100, 999, fmt.Sprintf("%s.valid_status_codes[%d]", path, i))
	}
	ours := []string{"HTTP/1.0", "HTTP/1.1"}
	if len(h.ValidHTTPVersions) > 0 && !slices.ContainsFunc(h.ValidHTTPVersions, func(v string) bool { return slices.Contains(ours, v) }) {
		r.cannot(m, r.at(&h.ValidHTTPVersions), "http.valid_http_versions", "it is asked by HTTP/1.1, which is none of them")
	}
	r.checkHeaders(h.Headers, path+".headers")
	for i := range h.HTTPHeaders {
		f := &h.HTTPHeaders[i]
		list := []Header{{Name: f.Name}}
		for _, v := range f.Values {
			list = append(list, Header{f.Name, Secret(v)})
		}
		for _, v := range f.Secrets {
			list = append(list, Header{f.Name, v})
		}
		for _, one := range list {
			if !isToken(one.Name) || hasControl(string(one.Value)) {
				r.fail(r.at(&f.Name), "", "%s.http_headers: %q is no name of a field, or its value has a line end", path, clip(f.Name))
				break
			}
		}
	}
	r.checkCompression(m, h, path)
	r.checkHeaderMatches(h.FailIfHeaderMatches, path+".fail_if_header_matches")
	r.checkHeaderMatches(h.FailIfHeaderNotMatches, path+".fail_if_header_not_matches")
	r.checkCredentials(h, path)
	if h.Body != "" && h.BodyFile != "" {
		r.fail(r.at(&h.BodyFile), "leave one of them out", "%s: both body and body_file", path)
	}
	r.checkBlackboxTLS(&h.TLS, path+".tls_config")
}

// checkCompression takes the encodings that Go's library undoes.
func (r *reader) checkCompression(m *Module, h *BlackboxHTTP, path string) {
	h.Compression = strings.ToLower(h.Compression) // as there
	switch h.Compression {
	case "", "identity", "gzip", "deflate":
	case "br":
		r.cannot(m, r.at(&h.Compression), "http.compression: br", "Brotli is not undone here; gzip, deflate and identity are")
	default:
		err := wantWord(h.Compression, []string{"br", "deflate", "gzip", "identity"}).(*mendable)
		r.fail(r.at(&h.Compression), err.hint, "%s.compression: %s", path, err.text)
	}
}

func (r *reader) checkHeaderMatches(list []HeaderMatch, path string) {
	for i := range list {
		m, path := &list[i], fmt.Sprintf("%s[%d]", path, i)
		if m.Header == "" {
			r.fail(r.at(m), "header: names the field", "%s.header: it is missing", path)
		}
		if m.Regexp == nil && !r.has(&m.Regexp) {
			r.fail(r.at(m), "regexp: is what its value is held against", "%s.regexp: it is missing", path)
		}
	}
}

// checkCredentials allows one way of saying who asks, each part of it in the clear or in a file.
func (r *reader) checkCredentials(h *BlackboxHTTP, path string) {
	var ways []string
	for _, way := range []struct {
		key   string
		given bool
	}{
		{"basic_auth", h.BasicAuth != nil}, {"authorization", h.Authorization != nil},
		{"bearer_token", h.BearerToken != ""}, {"bearer_token_file", h.BearerTokenFile != ""},
	} {
		if way.given {
			ways = append(ways, way.key)
		}
	}
	if len(ways) > 1 {
		r.fail(r.at(&h.BearerTokenFile, &h.BearerToken, &h.Authorization), "leave all but one out", "%s: it has %s", path, strings.Join(ways, " and "))
	}
	if b := h.BasicAuth; b != nil {
		if b.Username != "" && b.UsernameFile != "" {
			r.fail(r.at(&b.UsernameFile), "leave one of them out", "%s.basic_auth: both username and username_file", path)
		}
		if b.Password != "" && b.PasswordFile != "" {
			r.fail(r.at(&b.PasswordFile), "leave one of them out", "%s.basic_auth: both password and password_file", path)
		}
	}
	if a := h.Authorization; a != nil {
		switch {
		case a.Credentials != "" && a.CredentialsFile != "":
			r.fail(r.at(&a.CredentialsFile), "leave one of them out", "%s.authorization: both credentials and credentials_file", path)
		case strings.EqualFold(strings.TrimSpace(a.Type), "basic"):
			r.fail(r.at(&a.Type), "basic_auth: takes a user and a password", "%s.authorization.type: Basic has a key of its own", path)
		case !isToken(a.Type):
			r.fail(r.at(&a.Type), "as in Bearer", "%s.authorization.type: it is no name of a scheme", path)
		}
	}
}

func (r *reader) checkBlackboxTCP(t *BlackboxTCP, path string) {
	for i := range t.QueryResponse {
		q, path := &t.QueryResponse[i], fmt.Sprintf("%s.query_response[%d]", path, i)
		if q.Expect != nil && q.ExpectBytes != "" {
			r.fail(r.at(&q.ExpectBytes), "leave one of them out", "%s: both expect and expect_bytes", path)
		}
		for k := range q.Labels {
			if l := &q.Labels[k]; !labelName.MatchString(l.Name) {
				r.fail(r.at(&l.Name, l), "a label has letters, digits and underscores", "%s.labels[%d].name: %q is no label", path, k, clip(l.Name))
			}
		}
	}
	r.checkBlackboxTLS(&t.TLSConfig, path+".tls_config")
}

func (r *reader) checkBlackboxTLS(t *BlackboxTLS, path string) {
	switch {
	case (t.CertFile == "") != (t.KeyFile == ""):
		r.fail(r.at(&t.CertFile, &t.KeyFile), "give both or none", "%s: one of cert_file and key_file without the other", path)
	case t.MinVersion != 0 && t.MaxVersion != 0 && t.MinVersion > t.MaxVersion:
		r.fail(r.at(&t.MinVersion), "turn them round", "%s: min_version %s is above max_version %s", path, t.MinVersion.Word(), t.MaxVersion.Word())
	}
}

// isToken reports whether s is a token (RFC 9110 s.5.6.2), which names of fields and schemes are.
func isToken(s string) bool {
	return s != "" && strings.Trim(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// hasControl reports whether s would break out of its line.
func hasControl(s string) bool { return strings.ContainsAny(s, "\r\n\x00") }
