package tlswire

import "bytes"

// ParseClientHello parses the body of a client_hello message. Extensions that are known here come in their own types, if
// that type can say all that came: writing the result gives the same bytes. What can't be said so (a server_name with two
// names, padding that is not zero) and what is not known comes as a [RawExtension]. Content that breaks an extension's own
// framing is malformed. SessionID and the contents of extensions are parts of body; lists of numbers and strings are new
// memory.
func ParseClientHello(body []byte) (*ClientHello, error) {
	f := fault{format: "tls client_hello"}
	c := f.cursor(body)
	h := &ClientHello{LegacyVersion: Version(c.uint16("legacy_version"))}
	if h.LegacyVersion>>8 != 3 && !f.found {
		c.fail("legacy_version", "not SSL 3.0 or later")
	}
	copy(h.Random[:], c.bytes(len(h.Random), "random"))
	h.SessionID = c.opaque(1, 0, 32, "session_id")
	suites := c.vector(2, 2, 1<<16-2, "cipher_suites")
	h.CipherSuites = pairs[CipherSuite](&suites, "cipher_suites")
	h.Compression = c.opaque(1, 1, 255, "compression_methods")
	if c.more() {
		_, block := c.extensions(0)
		h.Extensions = []Extension{}
		for {
			t, content, ok := block.next()
			if !ok {
				break
			}
			h.Extensions = append(h.Extensions, parseExtension(t, content))
		}
		last := len(h.Extensions) - 1
		for i, e := range h.Extensions {
			if e.Type() == ExtPreSharedKey && i != last {
				c.fail("pre_shared_key", "not the last extension") // RFC 8446 s.4.2.11
			}
		}
	}
	c.end("extensions")
	if err := f.err(); err != nil {
		return nil, err
	}
	return h, nil
}

// parseExtension returns an extension in its own type if that can hold it, else raw.
func parseExtension(t ExtensionType, c cursor) Extension {
	raw := RawExtension{ID: t, Data: c.rest}
	e := typedExtension(t, &c)
	if e == nil || c.fault.found {
		return raw
	}
	c.end(t.String())
	var w writer
	if e.write(&w); w.fault != nil || !bytes.Equal(w.buf, raw.Data) {
		return raw
	}
	return e
}

// typedExtension reads the content of an extension that has a type of its own; nil for others.
func typedExtension(t ExtensionType, c *cursor) Extension {
	field := t.String()
	switch t {
	case ExtServerName:
		return c.serverName(field)
	case ExtMaxFragmentLength:
		return MaxFragmentLength(c.uint8(field))
	case ExtStatusRequest:
		return c.statusRequest(field)
	case ExtSupportedGroups:
		return SupportedGroups(listOf[Group](c, 2, field))
	case ExtECPointFormats:
		return ECPointFormats(c.opaque(1, 1, 255, field))
	case ExtSignatureAlgorithms:
		return SignatureAlgorithms(listOf[SignatureScheme](c, 2, field))
	case ExtSignatureAlgorithmsCert:
		return SignatureAlgorithmsCert(listOf[SignatureScheme](c, 2, field))
	case ExtALPN:
		var names ALPN
		list := c.vector(2, 2, 1<<16-1, field)
		for list.more() {
			names = append(names, string(list.opaque(1, 1, 255, field)))
		}
		return names
	case ExtSignedCertTimestamp:
		return SignedCertTimestamp{}
	case ExtPadding:
		return Padding(len(c.all()))
	case ExtEncryptThenMAC:
		return EncryptThenMAC{}
	case ExtExtendedMasterSecret:
		return ExtendedMasterSecret{}
	case ExtSessionTicket:
		return SessionTicket(c.all())
	case ExtSupportedVersions:
		return SupportedVersions(listOf[Version](c, 1, field))
	case ExtCookie:
		return Cookie(c.opaque(2, 1, 1<<16-1, field))
	case ExtPSKKeyExchangeModes:
		return PSKKeyExchangeModes(c.opaque(1, 1, 255, field))
	case ExtKeyShare:
		var shares KeyShares
		list := c.vector(2, 0, 1<<16-1, field)
		for list.more() {
			shares = append(shares, KeyShare{Group(list.uint16(field)), list.opaque(2, 1, 1<<16-1, field)})
		}
		return shares
	case ExtRenegotiationInfo:
		return RenegotiationInfo(c.opaque(1, 0, 255, field))
	}
	return nil
}

// listOf takes a list of numbers of two bytes, at least one, with a length of size bytes.
func listOf[T ~uint16](c *cursor, size int, field string) []T {
	list := c.vector(size, 2, 1<<(8*size)-2, field)
	return pairs[T](&list, field)
}

// serverName takes a list of names (RFC 6066 s.3) and returns the last of them, which is the only one if there is but one.
func (c *cursor) serverName(field string) ServerName {
	var name ServerName
	list := c.vector(2, 1, 1<<16-1, field)
	for list.more() {
		list.uint8(field)
		name = ServerName(list.opaque(2, 1, 1<<16-1, field))
	}
	return name
}

// statusRequest takes a request of type ocsp (RFC 6066 s.8); one of another type has no form to check.
func (c *cursor) statusRequest(field string) Extension {
	if t := c.uint8(field); t != 1 {
		c.all()
		return nil
	}
	c.opaque(2, 0, 1<<16-1, field)
	c.opaque(2, 0, 1<<16-1, field)
	return StatusRequest{}
}
