package tlswire

import "bytes"

// ParseClientHello parses the body of a client_hello message. Extensions that are known here come in their own types, if
// that type can say all that came: writing the result gives the same bytes. What can't be said so (a server_name with
// two names, padding that is not zero) and what is not known comes as a [RawExtension]. Content that breaks an
// extension's own framing is malformed. SessionID and the contents of extensions are parts of body; lists of numbers and
// strings are new memory.
func ParseClientHello(body []byte) (*ClientHello, error) {
	c := read("tls client_hello", body)
	h := &ClientHello{LegacyVersion: Version(c.uint16("legacy_version"))}
	if h.LegacyVersion>>8 != 3 {
		c.fail("legacy_version", "not SSL 3.0 or later")
	}
	copy(h.Random[:], c.bytes(len(h.Random), "random"))
	h.SessionID = c.opaque(1, 0, 32, "session_id")
	h.CipherSuites = numbers[CipherSuite](&c, 2, "cipher_suites")
	h.Compression = c.opaque(1, 1, 255, "compression_methods")
	if c.more() {
		h.Extensions = []Extension{}
		var seen typeSet
		outer := c.enter(2, 0, 1<<16-1, "extensions")
		for c.more() {
			if seen.n > 0 && seen.types[seen.n-1] == ExtPreSharedKey {
				c.fail("pre_shared_key", "not the last extension") // RFC 8446 s.4.2.11
			}
			t, block := c.enterExtension(&seen)
			e := parseExtension(t, &c)
			h.Extensions = append(h.Extensions, e)
			c.leaveExtension(t, block, true)
		}
		c.leave(outer, "extensions")
	}
	if err := c.finish(); err != nil {
		return nil, err
	}
	return h, nil
}

// parseExtension returns an extension in its own type if that can hold it, else raw.
func parseExtension(t ExtensionType, c *cursor) Extension {
	raw := RawExtension{ID: t, Data: c.rest()}
	e := typedExtension(t, c)
	if e == nil {
		c.all()
		return raw
	}
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
		return SupportedGroups(numbers[Group](c, 2, field))
	case ExtECPointFormats:
		return ECPointFormats(c.opaque(1, 1, 255, field))
	case ExtSignatureAlgorithms:
		return SignatureAlgorithms(numbers[SignatureScheme](c, 2, field))
	case ExtSignatureAlgorithmsCert:
		return SignatureAlgorithmsCert(numbers[SignatureScheme](c, 2, field))
	case ExtALPN:
		var names ALPN
		outer := c.enter(2, 2, 1<<16-1, field)
		for c.more() {
			names = append(names, string(c.opaque(1, 1, 255, field)))
		}
		c.leave(outer, field)
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
		return SupportedVersions(numbers[Version](c, 1, field))
	case ExtCookie:
		return Cookie(c.opaque(2, 1, 1<<16-1, field))
	case ExtPSKKeyExchangeModes:
		return PSKKeyExchangeModes(c.opaque(1, 1, 255, field))
	case ExtKeyShare:
		var shares KeyShares
		outer := c.enter(2, 0, 1<<16-1, field)
		for c.more() {
			shares = append(shares, KeyShare{Group(c.uint16(field)), c.opaque(2, 1, 1<<16-1, field)})
		}
		c.leave(outer, field)
		return shares
	case ExtRenegotiationInfo:
		return RenegotiationInfo(c.opaque(1, 0, 255, field))
	}
	return nil
}

// serverName takes a list of names (RFC 6066 s.3) and returns the last of them, which is the only one if there is but
// one.
func (c *cursor) serverName(field string) ServerName {
	var name ServerName
	outer := c.enter(2, 1, 1<<16-1, field)
	for c.more() {
		c.uint8(field)
		name = ServerName(c.opaque(2, 1, 1<<16-1, field))
	}
	c.leave(outer, field)
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
