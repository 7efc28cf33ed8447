package testpeer

import (
	"crypto/tls"
	"fmt"
	"net"
)

// tlsConfig returns how a peer of kind k shakes hands; nil for a kind that never gets that far.
func tlsConfig(k Kind, c *Credentials) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	switch k {
	case TLSSilent, TLSAlert, TLSGarbage, TLSHalfRecord, TLSHugeCertificate, TLSDrip, TLSResetHello, TLSResetCertificate, TLSCloseHello:
		return nil, nil
	case TLS12, TLSResetFinished:
		// In TLS 1.3 the client is the last to speak (RFC 8446 s.2): it would be content before a reset could reach it.
		cfg.MaxVersion = tls.VersionTLS12
	case TLS13:
		cfg.MinVersion = tls.VersionTLS13
	case TLSClientCert:
		cfg.ClientAuth, cfg.ClientCAs = tls.VerifyClientCertIfGiven, c.clients.Pool()
	case TLSALPN:
		cfg.NextProtos = []string{"h2", "http/1.1"}
	case TLSNoResume:
		cfg.SessionTicketsDisabled = true
	}
	leaf, err := c.leaf(k)
	if err != nil {
		return nil, err
	}
	cfg.Certificates = []tls.Certificate{leaf}
	return cfg, nil
}

// prepareTLS readies what a TLS kind needs before its first client.
func (p *Peer) prepareTLS() error {
	if !p.about.TLS {
		return nil
	}
	p.creds = p.opts.Credentials
	if p.creds == nil {
		var err error
		if p.creds, err = sharedCredentials(); err != nil {
			return err
		}
	}
	var err error
	if p.tls, err = tlsConfig(p.about.Kind, p.creds); err != nil {
		return err
	}
	if p.tls == nil {
		if p.script, err = newScript(p.creds); err != nil {
			return fmt.Errorf("script: %w", err)
		}
	}
	return nil
}

// behaveTLS is the life of one connection to a TLS kind. The caller closes c when it returns.
func (p *Peer) behaveTLS(c *net.TCPConn) {
	kind := p.about.Kind
	switch {
	case p.about.StartTLS != "":
		if ahead, ok := p.converse(c, NewSession(kind)); ok {
			p.secure(c, ahead)
		}
	case p.tls != nil:
		p.secure(c, nil)
	case kind == TLSSilent:
		discard(c)
	default:
		p.breakHandshake(c)
	}
}

// secure is the server's side of a handshake and of what is said over it. ahead is what the client has sent of its
// ClientHello already.
func (p *Peer) secure(c *net.TCPConn, ahead []byte) {
	ahead, ok := p.awaitHello(c, ahead)
	if !ok {
		return
	}
	var under net.Conn = &replayConn{TCPConn: c, ahead: ahead}
	if p.about.Kind == TLSResetFinished {
		under = &oneFlightConn{Conn: under, after: func() { reset(c) }}
	}
	tc := tls.Server(under, p.tls)
	if tc.Handshake() != nil {
		drain(c) // our alert must reach the client
		return
	}
	p.converse(tc, p.securedSession(tc.ConnectionState().NegotiatedProtocol))
	_ = tc.CloseWrite() // RFC 8446 s.6.1: answer close_notify by ours; the client may be gone
}

// awaitHello waits for the first byte of the ClientHello and then for Delay. It takes no more than that byte: of thousands
// of clients that wait, each costs a small stack, and no TLS state.
func (p *Peer) awaitHello(c *net.TCPConn, ahead []byte) (read []byte, ok bool) {
	if len(ahead) == 0 {
		ahead = make([]byte, 1)
		if n, err := c.Read(ahead); n == 0 || err != nil {
			return nil, false
		}
	}
	if p.opts.Delay > 0 && !p.pause(p.opts.Delay) {
		return nil, false
	}
	return ahead, true
}

// securedSession is what is spoken over TLS. A protocol that began without it goes on where it was.
func (p *Peer) securedSession(agreed string) Session {
	switch p.about.Kind {
	case StartTLSSMTP:
		return &lineSession{tooLong: smtpTooLong, reply: smtpReply}
	case StartTLSIMAP:
		return &lineSession{tooLong: imapTooLong, reply: imapReply}
	case StartTLSPOP3:
		return &lineSession{tooLong: pop3TooLong, reply: pop3Reply}
	case StartTLSFTP:
		return &lineSession{tooLong: ftpTooLong, reply: ftpReply}
	case StartTLSSieve:
		// RFC 5804 s.2.2: the server gives its capabilities again, since the first ones could have been forged.
		return &lineSession{greeting: sieveCapabilities(false), tooLong: sieveTooLong, reply: sieveReply}
	case StartTLSXMPP:
		return &xmppSession{secured: true}
	case StartTLSLDAP:
		return &ldapSession{secured: true}
	case StartTLSPostgres:
		return &postgresSession{secured: true}
	case StartTLSMySQL:
		return &mysqlSession{secured: true}
	}
	if agreed == "h2" {
		return &http2Session{}
	}
	return &httpSession{}
}

// replayConn gives the bytes that were read ahead before those that come.
type replayConn struct {
	*net.TCPConn
	ahead []byte
}

// Read implements net.Conn.
func (c *replayConn) Read(b []byte) (int, error) {
	if len(c.ahead) == 0 {
		return c.TCPConn.Read(b)
	}
	n := copy(b, c.ahead)
	c.ahead = c.ahead[n:]
	return n, nil
}

// oneFlightConn lets the first flight through and calls after in place of the second. A flight is what is written
// between two reads.
type oneFlightConn struct {
	net.Conn
	after   func() // to close the connection
	flights int
	writing bool
}

// Read implements net.Conn.
func (c *oneFlightConn) Read(b []byte) (int, error) {
	c.writing = false
	return c.Conn.Read(b)
}

// Write implements net.Conn.
func (c *oneFlightConn) Write(b []byte) (int, error) {
	if !c.writing {
		c.writing = true
		c.flights++
	}
	if c.flights > 1 {
		c.after()
		return 0, net.ErrClosed
	}
	return c.Conn.Write(b)
}
