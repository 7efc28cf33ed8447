package tlswire

import "fmt"

// NewSessionTicket is a ticket for a later, resumed connection (RFC 5077 s.3.3, RFC 8446 s.4.6.1). Its slices are parts
// of the message.
type NewSessionTicket struct {
	LifetimeSeconds uint32     // how long it may be kept: a hint in TLS 1.2, at most 604,800 in TLS 1.3; not checked
	AgeAdd          uint32     // TLS 1.3: ticket_age_add, in milliseconds modulo 2^32
	Nonce           []byte     // TLS 1.3: ticket_nonce
	Ticket          []byte     // empty in TLS 1.2 if the server gives none after all
	Extensions      Extensions // TLS 1.3
	MaxEarlyData    uint32     // TLS 1.3: bytes of early data that are allowed, 0 for none
}

// ParseNewSessionTicket parses the body of a new_session_ticket message in the form of version v.
func ParseNewSessionTicket(body []byte, v Version) (NewSessionTicket, error) {
	c := read("tls new_session_ticket", body)
	var t NewSessionTicket
	t.LifetimeSeconds = c.uint(4, "ticket_lifetime")
	if v.isTLS13() {
		t.AgeAdd = c.uint(4, "ticket_age_add")
		t.Nonce = c.opaque(1, 0, 255, "ticket_nonce")
		t.Ticket = c.opaque(2, 1, 1<<16-1, "ticket")
		t.extend(&c)
	} else {
		t.Ticket = c.opaque(2, 0, 1<<16-1, "ticket")
	}
	if err := c.finish(); err != nil {
		return NewSessionTicket{}, err
	}
	return t, nil
}

func (t *NewSessionTicket) extend(c *cursor) {
	var seen typeSet
	outer := c.enter(2, 0, 1<<16-1, "extensions")
	t.Extensions = Extensions(c.rest())
	for c.more() {
		kind, block := c.enterExtension(&seen)
		if kind == ExtEarlyData {
			t.MaxEarlyData = c.uint(4, "early_data")
		}
		c.leaveExtension(kind, block, kind == ExtEarlyData)
	}
	c.leave(outer, "extensions")
}

// ParseServerHelloDone checks the body of a server_hello_done message: it is empty (RFC 5246 s.7.4.5).
func ParseServerHelloDone(body []byte) error {
	if len(body) != 0 {
		return malformed("tls server_hello_done", 0, "not empty")
	}
	return nil
}

// FinishedSize is the size in bytes of verify_data: 36 in SSL 3.0 (RFC 6101 s.5.6.9), 12 up to TLS 1.2 (RFC 5246
// s.7.4.9; no suite asks for another size), the size of the suite's hash in TLS 1.3 (RFC 8446 s.4.4.4).
func FinishedSize(v Version, suite CipherSuite) int {
	switch {
	case v <= SSL30:
		return 36
	case v.isTLS13():
		return suite.HashSize()
	}
	return 12
}

// ParseFinished checks the length of the body of a finished message and returns it: verify_data, a part of body.
func ParseFinished(body []byte, v Version, suite CipherSuite) (verifyData []byte, err error) {
	if want := FinishedSize(v, suite); len(body) != want {
		return nil, malformed("tls finished", 0, fmt.Sprintf("%d bytes, want %d", len(body), want))
	}
	return body, nil
}
