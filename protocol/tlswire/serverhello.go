package tlswire

import "bytes"

// Groups of random bytes that mean something.
var (
	// helloRetryRandom marks a HelloRetryRequest: SHA-256 of "HelloRetryRequest" (RFC 8446 s.4.1.3).
	helloRetryRandom = []byte("\xCF\x21\xAD\x74\xE5\x9A\x61\x11\xBE\x1D\x8C\x02\x1E\x65\xB8\x91\xC2\xA2\x11\x16\x7A\xBB\x8C\x5E\x07\x9E\x09\xE2\xC8\xA8\x33\x9C")
	// downgradeTLS12 and downgradeTLS11 end the random of a server that speaks more than it chose (RFC 8446 s.4.1.3).
	downgradeTLS12 = []byte("DOWNGRD\x01")
	downgradeTLS11 = []byte("DOWNGRD\x00")
)

// ServerHello is a ServerHello of any version, or a HelloRetryRequest (RFC 8446 s.4.1.3 and s.4.1.4, RFC 5246 s.7.4.1.3,
// RFC 6101 s.5.6.1.3). Its slices are parts of the message.
type ServerHello struct {
	LegacyVersion Version // the version field; see Version for what was chosen
	Random        []byte  // 32 bytes
	SessionID     []byte  // up to 32 bytes; in TLS 1.3 the client's, sent back
	CipherSuite   CipherSuite
	Compression   uint8      // 0 for none; 1 is DEFLATE (RFC 3749 s.2)
	Extensions    Extensions // all, in order; nil also when there is no block

	// What the extensions say. A field is zero when its extension is not there.
	SelectedVersion Version  // supported_versions
	KeyShare        KeyShare // key_share; in a HelloRetryRequest only the group
	Cookie          []byte   // cookie, in a HelloRetryRequest
	ALPN            []byte   // the one protocol chosen; in TLS 1.3 it is in EncryptedExtensions
	PSK             int      // pre_shared_key: the identity accepted, from 0; -1 for none
	SCTs            SCTList  // signed_certificate_timestamp
	Renegotiation   []byte   // renegotiation_info: renegotiated_connection, empty and not nil on a first handshake
	PointFormats    []byte   // ec_point_formats
	MaxFragment     uint8    // max_fragment_length: 1 to 4 for 2^9 to 2^12 (RFC 6066 s.4)
	Heartbeat       uint8    // heartbeat: 1 or 2, whether requests are welcome (RFC 6520 s.2)
	ServerName      bool     // server_name: the name was used
	SessionTicket   bool     // session_ticket: a NewSessionTicket will come (RFC 5077 s.3.2)
	StatusRequest   bool     // status_request: a CertificateStatus will come (RFC 6066 s.8)
	ExtendedMaster  bool     // extended_master_secret
	EncryptThenMAC  bool     // encrypt_then_mac
}

// KeyShare is one entry of key_share (RFC 8446 s.4.2.8). Its size is not held against [Group.ShareSizes]. An entry of a
// HelloRetryRequest has no Key.
type KeyShare struct {
	Group Group
	Key   []byte
}

// Version is the version that the server chose: that of supported_versions if it is there, else the legacy one
// (RFC 8446 s.4.2.1).
func (h *ServerHello) Version() Version {
	if h.SelectedVersion != 0 {
		return h.SelectedVersion
	}
	return h.LegacyVersion
}

// IsRetry reports whether the message is a HelloRetryRequest (RFC 8446 s.4.1.4), by its random.
func (h *ServerHello) IsRetry() bool { return bytes.Equal(h.Random, helloRetryRandom) }

// Downgrade returns the version above which the server's random says it could have gone (RFC 8446 s.4.1.3): TLS 1.2 from
// a server that knows 1.3, TLS 1.1 from one that knows 1.2 or more and chose 1.1 or below; 0 if it says nothing.
func (h *ServerHello) Downgrade() Version {
	switch {
	case bytes.HasSuffix(h.Random, downgradeTLS12):
		return TLS12
	case bytes.HasSuffix(h.Random, downgradeTLS11):
		return TLS11
	}
	return 0
}

// ParseServerHello parses the body of a server_hello message. It allocates nothing.
func ParseServerHello(body []byte) (ServerHello, error) {
	c := read("tls server_hello", body)
	h := ServerHello{PSK: -1}
	h.LegacyVersion = Version(c.uint16("legacy_version"))
	if h.LegacyVersion>>8 != 3 && h.LegacyVersion>>8 != 0x7f {
		c.fail("legacy_version", "not SSL 3.0 or later")
	}
	h.Random = c.bytes(32, "random")
	h.SessionID = c.opaque(1, 0, 32, "session_id")
	h.CipherSuite = CipherSuite(c.uint16("cipher_suite"))
	h.Compression = c.uint8("compression_method")
	if c.more() { // RFC 5246 s.7.4.1.3: without extensions the message ends here
		outer := c.enter(2, 0, 1<<16-1, "extensions")
		h.Extensions = Extensions(c.rest())
		retry := h.IsRetry()
		var seen typeSet
		for c.more() {
			t, block := c.enterExtension(&seen)
			c.leaveExtension(t, block, h.hear(t, &c, retry))
		}
		c.leave(outer, "extensions")
	}
	if err := c.finish(); err != nil {
		return ServerHello{}, err
	}
	return h, nil
}

// hear takes what an extension says and reports whether it is one that is known here.
func (h *ServerHello) hear(t ExtensionType, c *cursor, retry bool) bool {
	switch t {
	case ExtSupportedVersions:
		h.SelectedVersion = Version(c.uint16("supported_versions"))
	case ExtKeyShare:
		h.KeyShare.Group = Group(c.uint16("key_share"))
		if !retry {
			h.KeyShare.Key = c.opaque(2, 1, 1<<16-1, "key_share")
		}
	case ExtCookie:
		h.Cookie = c.opaque(2, 1, 1<<16-1, "cookie")
	case ExtPreSharedKey:
		h.PSK = int(c.uint16("pre_shared_key"))
	case ExtALPN:
		h.ALPN = c.protocolName()
	case ExtSignedCertTimestamp:
		h.SCTs = c.scts()
	case ExtRenegotiationInfo:
		h.Renegotiation = c.opaque(1, 0, 255, "renegotiation_info")
	case ExtECPointFormats:
		h.PointFormats = c.opaque(1, 1, 255, "ec_point_formats")
	case ExtMaxFragmentLength:
		h.MaxFragment = c.uint8("max_fragment_length")
	case ExtHeartbeat:
		h.Heartbeat = c.uint8("heartbeat")
	// The rest say it by being there.
	case ExtServerName:
		h.ServerName = true
	case ExtSessionTicket:
		h.SessionTicket = true
	case ExtStatusRequest:
		h.StatusRequest = true
	case ExtExtendedMasterSecret:
		h.ExtendedMaster = true
	case ExtEncryptThenMAC:
		h.EncryptThenMAC = true
	default:
		return false
	}
	return true
}

// EncryptedExtensions is what a server of TLS 1.3 says under the handshake keys (RFC 8446 s.4.3.1). Its slices are parts
// of the message.
type EncryptedExtensions struct {
	Extensions      Extensions // all, in order
	ALPN            []byte     // the one protocol chosen, nil for none
	SupportedGroups []Group    // what the server would rather have (RFC 8446 s.4.2.7); new memory
	ECHRetryConfigs []byte     // encrypted_client_hello: an ECHConfigList for another try (RFC 9849 s.5)
	RecordSizeLimit uint16     // record_size_limit in bytes (RFC 8449 s.4), 0 for none
	ServerName      bool       // server_name: the name was used
	EarlyData       bool       // early_data was accepted
}

// ParseEncryptedExtensions parses the body of an encrypted_extensions message.
func ParseEncryptedExtensions(body []byte) (EncryptedExtensions, error) {
	c := read("tls encrypted_extensions", body)
	var e EncryptedExtensions
	var seen typeSet
	outer := c.enter(2, 0, 1<<16-1, "extensions")
	e.Extensions = Extensions(c.rest())
	for c.more() {
		t, block := c.enterExtension(&seen)
		c.leaveExtension(t, block, e.hear(t, &c))
	}
	c.leave(outer, "extensions")
	if err := c.finish(); err != nil {
		return EncryptedExtensions{}, err
	}
	return e, nil
}

// hear takes what an extension says and reports whether it is one that is known here.
func (e *EncryptedExtensions) hear(t ExtensionType, c *cursor) bool {
	switch t {
	case ExtALPN:
		e.ALPN = c.protocolName()
	case ExtSupportedGroups:
		e.SupportedGroups = numbers[Group](c, 2, "supported_groups")
	case ExtEncryptedClientHello:
		e.ECHRetryConfigs = c.all()
	case ExtRecordSizeLimit:
		e.RecordSizeLimit = c.uint16("record_size_limit")
	case ExtServerName:
		e.ServerName = true
	case ExtEarlyData:
		e.EarlyData = true
	default:
		return false
	}
	return true
}
