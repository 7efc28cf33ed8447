package testpeer

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// startTLSSession returns the part before TLS of a kind that begins it on request; nil for any other kind.
func startTLSSession(k Kind) Session {
	switch k {
	case StartTLSSMTP:
		return &lineSession{greeting: smtpGreeting, tooLong: smtpTooLong, reply: smtpReply, upgrade: smtpUpgrade}
	case StartTLSIMAP:
		return &lineSession{greeting: imapGreeting(true), tooLong: imapTooLong, reply: imapReply, upgrade: imapUpgrade}
	case StartTLSPOP3:
		return &lineSession{greeting: pop3Greeting, tooLong: pop3TooLong, reply: pop3Reply, upgrade: pop3Upgrade}
	case StartTLSFTP:
		return &lineSession{greeting: ftpGreeting, tooLong: ftpTooLong, reply: ftpReply, upgrade: ftpUpgrade}
	case StartTLSSieve:
		return &lineSession{greeting: sieveCapabilities(true), tooLong: sieveTooLong, reply: sieveReply, upgrade: sieveUpgrade}
	case StartTLSXMPP:
		return &xmppSession{}
	case StartTLSLDAP:
		return &ldapSession{}
	case StartTLSPostgres:
		return &postgresSession{}
	case StartTLSMySQL:
		return &mysqlSession{}
	}
	return nil
}

// xmppSession opens a stream (RFC 6120 s.4) and goes no further than TLS: it lets nobody in.
type xmppSession struct{ secured bool }

const (
	xmppHeader = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' " +
		"id='sondepeer' from='sonde.test' version='1.0'>"
	xmppOffersTLS  = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>"
	xmppOffersSASL = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-256</mechanism>" +
		"</mechanisms></stream:features>"
	xmppProceed = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	xmppRefusal = "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
)

func (*xmppSession) Greeting() []byte { return nil }

// Receive takes one tag at a time. A '>' inside an attribute, which XML allows, is not looked for.
func (s *xmppSession) Receive(in, out []byte) (int, []byte, Then) {
	if rest := bytes.TrimLeft(in, " \t\r\n"); len(rest) < len(in) {
		return len(in) - len(rest), out, Then{} // s.4.6.1: whitespace keeps a stream alive
	}
	if len(in) == 0 {
		return 0, out, Then{}
	}
	end := bytes.IndexByte(in[:min(len(in), maxPending)], '>')
	if in[0] == '<' && end < 0 && len(in) <= maxPending {
		return 0, out, Then{}
	}
	tag := in[:end+1]
	switch {
	case bytes.HasPrefix(tag, []byte("<?xml ")):
		return end + 1, out, Then{}
	case bytes.HasPrefix(tag, []byte("<stream:stream ")) && s.secured:
		return end + 1, append(out, xmppHeader+xmppOffersSASL...), Then{}
	case bytes.HasPrefix(tag, []byte("<stream:stream ")):
		return end + 1, append(out, xmppHeader+xmppOffersTLS...), Then{}
	case bytes.HasPrefix(tag, []byte("<starttls ")) && !s.secured:
		return end + 1, append(out, xmppProceed...), Then{StartTLS: true}
	case bytes.HasPrefix(tag, []byte("</stream:stream")):
		return len(in), append(out, "</stream:stream>"...), Then{Close: true}
	}
	return len(in), append(out, xmppRefusal...), Then{Close: true}
}

// ldapSession takes messages in BER (RFC 4511 s.5.1). It knows StartTLS, bind and search, and has nothing to show.
type ldapSession struct{ secured bool }

const (
	ldapMessage     = 0x30 // LDAPMessage, RFC 4511 s.4.1.1: a SEQUENCE of the ID and a request
	ldapMessageID   = 0x02
	ldapBind        = 0x60 // s.4.2
	ldapUnbind      = 0x42 // s.4.3
	ldapSearch      = 0x63 // s.4.5.1
	ldapExtended    = 0x77 // s.4.12
	ldapRequestName = 0x80

	ldapSuccess       = 0 // result codes, s.4.1.9
	ldapProtocolError = 2
	ldapNeedsTLS      = 13 // confidentialityRequired
	ldapUnwilling     = 53

	ldapStartTLS = "1.3.6.1.4.1.1466.20037" // s.4.14.1
	// ldapMaxID is how many bytes the ID takes at most, tag and length included: it is no more than 2^31 - 1.
	ldapMaxID = 6
)

func (*ldapSession) Greeting() []byte { return nil }

func (s *ldapSession) Receive(in, out []byte) (int, []byte, Then) {
	if len(in) > 0 && in[0] != ldapMessage {
		return len(in), out, Then{Close: true}
	}
	body, size, err := berElement(in)
	if err == errBERShort {
		return 0, out, Then{}
	}
	if err != nil {
		return len(in), out, Then{Close: true}
	}
	_, idSize, err := berElement(body)
	if err != nil || body[0] != ldapMessageID || idSize > ldapMaxID {
		return len(in), out, Then{Close: true}
	}
	id, request := body[:idSize], body[idSize:]
	inner, _, err := berElement(request)
	if err != nil {
		return len(in), out, Then{Close: true}
	}
	switch request[0] {
	case ldapExtended:
		name, _, err := berElement(inner)
		if err == nil && !s.secured && inner[0] == ldapRequestName && string(name) == ldapStartTLS {
			return size, appendLDAPResult(out, id, ldapExtended+1, ldapSuccess), Then{StartTLS: true}
		}
		return size, appendLDAPResult(out, id, ldapExtended+1, ldapProtocolError), Then{}
	case ldapBind:
		if s.secured {
			return size, appendLDAPResult(out, id, ldapBind+1, ldapSuccess), Then{}
		}
		return size, appendLDAPResult(out, id, ldapBind+1, ldapNeedsTLS), Then{}
	case ldapSearch:
		return size, appendLDAPResult(out, id, ldapSearch+2, ldapUnwilling), Then{} // SearchResultDone
	case ldapUnbind:
		return len(in), out, Then{Close: true}
	}
	return len(in), out, Then{Close: true}
}

var (
	errBERShort = errors.New("element is not whole")
	errBERForm  = errors.New("length is indefinite or above the limit")
)

// berElement takes the element at the start of in; size is how many bytes it has with its tag and length. LDAP rules out
// the indefinite form (RFC 4511 s.5.1); a length in more bytes than it needs is allowed.
func berElement(in []byte) (content []byte, size int, err error) {
	if len(in) < 2 {
		return nil, 0, errBERShort
	}
	head, length := 2, int(in[1])
	if length >= 0x80 {
		n := length & 0x7f
		if n < 1 || n > 4 {
			return nil, 0, errBERForm
		}
		if len(in) < 2+n {
			return nil, 0, errBERShort
		}
		head, length = 2+n, 0
		for _, b := range in[2:head] {
			length = length<<8 | int(b)
		}
	}
	if length < 0 || length > maxPending {
		return nil, 0, errBERForm
	}
	size = head + length
	if len(in) < size {
		return nil, 0, errBERShort
	}
	return in[head:size], size, nil
}

// appendLDAPResult writes a response with an LDAPResult that has no name and no text (RFC 4511 s.4.1.9). id is the
// request's, tag and length included.
func appendLDAPResult(out, id []byte, response, code byte) []byte {
	result := []byte{response, 7, 0x0a, 1, code, 4, 0, 4, 0}
	out = append(out, ldapMessage, byte(len(id)+len(result)))
	return append(append(out, id...), result...)
}

// postgresSession takes the packets that come before the log-in ("Message Formats" in the PostgreSQL manual, chapter
// "Frontend/Backend Protocol"). It lets nobody in.
type postgresSession struct{ secured bool }

const (
	postgresSSLRequest = 80877103
	postgresGSSRequest = 80877104
	postgresHeader     = 8 // length and code, 4 bytes each; the length counts itself
	postgresRefusal    = "SFATAL\x00VFATAL\x00C28000\x00Mnobody may log in here\x00\x00"
)

func (*postgresSession) Greeting() []byte { return nil }

func (s *postgresSession) Receive(in, out []byte) (int, []byte, Then) {
	if len(in) < postgresHeader {
		return 0, out, Then{}
	}
	size, code := binary.BigEndian.Uint32(in), binary.BigEndian.Uint32(in[4:])
	switch {
	case size < postgresHeader || size > maxPending:
		return len(in), out, Then{Close: true}
	case len(in) < int(size):
		return 0, out, Then{}
	case size == postgresHeader && code == postgresSSLRequest && !s.secured:
		return int(size), append(out, 'S'), Then{StartTLS: true}
	case size == postgresHeader && code == postgresGSSRequest:
		return int(size), append(out, 'N'), Then{}
	}
	out = append(out, 'E')
	out = binary.BigEndian.AppendUint32(out, uint32(4+len(postgresRefusal)))
	return len(in), append(out, postgresRefusal...), Then{Close: true}
}

// mysqlSession greets and takes the client's first packet ("Connection Phase" in the MySQL source documentation). It lets
// nobody in.
type mysqlSession struct{ secured bool }

const (
	mysqlClientSSL  = 0x0800 // capability flags
	mysqlSSLRequest = 32     // bytes of the packet SSLRequest: a HandshakeResponse41 cut before the user's name
	mysqlHeader     = 4      // length, 3 bytes little-endian, and sequence number
	mysqlRefusal    = "\xff\x15\x04#28000nobody may log in here"

	// mysqlGreeting is the packet HandshakeV10: version, thread ID, 8 bytes of salt; capabilities (PROTOCOL_41, SSL,
	// SECURE_CONNECTION, PLUGIN_AUTH among them), character set, status, length of the salt; 10 bytes reserved, the rest of
	// the salt, the plugin's name.
	mysqlGreeting = "\x0a8.0.0-sondepeer\x00\x01\x00\x00\x00saltsalt\x00" +
		"\x0f\xaa\xff\x02\x00\x08\x00\x15" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + "saltsaltsalt\x00caching_sha2_password\x00"
)

func (s *mysqlSession) Greeting() []byte {
	if s.secured {
		return nil
	}
	return appendMySQL(nil, 0, mysqlGreeting)
}

func (s *mysqlSession) Receive(in, out []byte) (int, []byte, Then) {
	if len(in) < mysqlHeader {
		return 0, out, Then{}
	}
	size := int(in[0]) | int(in[1])<<8 | int(in[2])<<16
	if size > maxPending {
		return len(in), out, Then{Close: true}
	}
	if len(in) < mysqlHeader+size {
		return 0, out, Then{}
	}
	packet := in[mysqlHeader : mysqlHeader+size]
	if !s.secured && size == mysqlSSLRequest && binary.LittleEndian.Uint32(packet)&mysqlClientSSL != 0 {
		return mysqlHeader + size, out, Then{StartTLS: true}
	}
	return len(in), appendMySQL(out, in[3]+1, mysqlRefusal), Then{Close: true}
}

func appendMySQL(out []byte, sequence byte, packet string) []byte {
	out = append(out, byte(len(packet)), byte(len(packet)>>8), byte(len(packet)>>16), sequence)
	return append(out, packet...)
}
