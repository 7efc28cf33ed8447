package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// guard stands before everything. It keeps a browser from being used by other people's pages:
//
//   - a name of theirs that they let point to 127.0.0.1 (DNS rebinding) makes their page of one origin with ours. The Host
//     header still holds their name; so where only loopback is listened on, it must be a name of loopback;
//   - a page from elsewhere may send requests without reading the answers. It has neither a probe run nor a reload by that
//     (Fetch Metadata, Origin);
//   - ours runs no script and loads nothing from elsewhere, and nobody frames it (Content Security Policy 3); its icons are data in
//     its script. No CORS header is ever sent.
func (s *Server) guard(next http.Handler) http.Handler {
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		s.limitAnswer(w, answerLimit)
		switch {
		case s.loopback && !loopbackHost(r.Host):
			http.Error(w, "this server listens on loopback only and is asked for by its name there: localhost, 127.0.0.1 or [::1]", http.StatusMisdirectedRequest)
		case r.URL.Path == "/probe" && otherSite(r):
			http.Error(w, "a page of another site may not have a probe run", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// secure sets the headers that every answer has; one that the web configuration has set stands.
func secure(h http.Header) {
	for _, header := range [...][2]string{
		{"Content-Security-Policy", "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"},
		{"X-Content-Type-Options", "nosniff"},
		{"X-Frame-Options", "deny"},
		{"Referrer-Policy", "no-referrer"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
	} {
		if h.Get(header[0]) == "" {
			h.Set(header[0], header[1])
		}
	}
}

// otherSite reports whether a browser says that another site's page asks (Fetch Metadata, Sec-Fetch-Site). What is no browser
// says nothing.
func otherSite(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// loopbackHost reports whether a Host header names loopback, with whatever port: it may be forwarded.
func loopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// allLoopback reports whether only this machine reaches the listeners, by TCP.
func allLoopback(listeners []net.Listener) bool {
	for _, l := range listeners {
		addr, ok := l.Addr().(*net.TCPAddr)
		if !ok || !addr.IP.IsLoopback() {
			return false
		}
	}
	return len(listeners) > 0
}
