package tlsclient

import (
	"crypto/tls"
	"sync"
)

// Session keeps one session of one target, so that a second connection can resume it: the ticket of TLS 1.2
// (RFC 5077) or the newest one of TLS 1.3 (RFC 8446 s.4.6.1). The zero Session is empty. It serves connections to one
// target only and passes over the key that crypto/tls gives: targets without a name would share theirs.
//
// In TLS 1.3 the ticket comes after the handshake: it is there once Read was given the bytes.
type Session struct {
	// crypto/tls says that a cache is called concurrently; the two connections of a target may be on different loops.
	mu    sync.Mutex
	state *tls.ClientSessionState
}

var _ tls.ClientSessionCache = (*Session)(nil)

// Get implements [tls.ClientSessionCache].
func (s *Session) Get(string) (*tls.ClientSessionState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, s.state != nil
}

// Put implements [tls.ClientSessionCache]. A nil state empties the Session: crypto/tls so discards one whose handshake
// failed.
func (s *Session) Put(_ string, state *tls.ClientSessionState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
}

// Held reports whether there is a session to resume, that is, whether the server gave a ticket.
func (s *Session) Held() bool {
	_, ok := s.Get("")
	return ok
}
