package tlswire

// ExtensionType tells extensions apart (registry "TLS ExtensionType Values"; RFC 8446 s.4.2).
type ExtensionType uint16

// The extensions that this package reads or writes; String knows all.
const (
	ExtServerName              ExtensionType = 0      // RFC 6066 s.3
	ExtMaxFragmentLength       ExtensionType = 1      // RFC 6066 s.4
	ExtStatusRequest           ExtensionType = 5      // RFC 6066 s.8, RFC 8446 s.4.4.2.1
	ExtSupportedGroups         ExtensionType = 10     // RFC 8446 s.4.2.7
	ExtECPointFormats          ExtensionType = 11     // RFC 8422 s.5.1.2
	ExtSignatureAlgorithms     ExtensionType = 13     // RFC 8446 s.4.2.3
	ExtHeartbeat               ExtensionType = 15     // RFC 6520 s.2
	ExtALPN                    ExtensionType = 16     // RFC 7301 s.3.1
	ExtSignedCertTimestamp     ExtensionType = 18     // RFC 6962 s.3.3.1
	ExtPadding                 ExtensionType = 21     // RFC 7685 s.3
	ExtEncryptThenMAC          ExtensionType = 22     // RFC 7366 s.2
	ExtExtendedMasterSecret    ExtensionType = 23     // RFC 7627 s.5.1
	ExtCompressCertificate     ExtensionType = 27     // RFC 8879 s.3
	ExtRecordSizeLimit         ExtensionType = 28     // RFC 8449 s.4
	ExtSessionTicket           ExtensionType = 35     // RFC 5077 s.3.2
	ExtPreSharedKey            ExtensionType = 41     // RFC 8446 s.4.2.11
	ExtEarlyData               ExtensionType = 42     // RFC 8446 s.4.2.10
	ExtSupportedVersions       ExtensionType = 43     // RFC 8446 s.4.2.1
	ExtCookie                  ExtensionType = 44     // RFC 8446 s.4.2.2
	ExtPSKKeyExchangeModes     ExtensionType = 45     // RFC 8446 s.4.2.9
	ExtCertificateAuthorities  ExtensionType = 47     // RFC 8446 s.4.2.4
	ExtPostHandshakeAuth       ExtensionType = 49     // RFC 8446 s.4.2.6
	ExtSignatureAlgorithmsCert ExtensionType = 50     // RFC 8446 s.4.2.3
	ExtKeyShare                ExtensionType = 51     // RFC 8446 s.4.2.8
	ExtEncryptedClientHello    ExtensionType = 0xFE0D // RFC 9849 s.5
	ExtRenegotiationInfo       ExtensionType = 0xFF01 // RFC 5746 s.3.2
)

// extensionTypes is the registry "TLS ExtensionType Values", and three that browsers used without registering them.
var extensionTypes = []named[ExtensionType]{
	// RFC 6066
	{0, "server_name"}, {1, "max_fragment_length"}, {2, "client_certificate_url"}, {3, "trusted_ca_keys"},
	{4, "truncated_hmac"}, {5, "status_request"},
	// RFC 4681
	{6, "user_mapping"},
	// RFC 5878
	{7, "client_authz"}, {8, "server_authz"},
	// RFC 6091
	{9, "cert_type"},
	// RFC 8446, RFC 8422, RFC 7919
	{10, "supported_groups"},
	// RFC 8422
	{11, "ec_point_formats"},
	// RFC 5054
	{12, "srp"},
	// RFC 8446
	{13, "signature_algorithms"},
	// RFC 5764
	{14, "use_srtp"},
	// RFC 6520
	{15, "heartbeat"},
	// RFC 7301
	{16, "application_layer_protocol_negotiation"},
	// RFC 6961
	{17, "status_request_v2"},
	// RFC 6962
	{18, "signed_certificate_timestamp"},
	// RFC 7250
	{19, "client_certificate_type"}, {20, "server_certificate_type"},
	// RFC 7685
	{21, "padding"},
	// RFC 7366
	{22, "encrypt_then_mac"},
	// RFC 7627
	{23, "extended_master_secret"},
	// RFC 8472
	{24, "token_binding"},
	// RFC 7924
	{25, "cached_info"},
	// draft-gutmann-tls-lts
	{26, "tls_lts"},
	// RFC 8879
	{27, "compress_certificate"},
	// RFC 8449
	{28, "record_size_limit"},
	// RFC 8492
	{29, "pwd_protect"}, {30, "pwd_clear"}, {31, "password_salt"},
	// RFC 8672
	{32, "ticket_pinning"},
	// RFC 8773
	{33, "tls_cert_with_extern_psk"},
	// RFC 9345
	{34, "delegated_credential"},
	// RFC 5077
	{35, "session_ticket"},
	// ETSI TS 103 523-2
	{36, "TLMSP"}, {37, "TLMSP_proxying"}, {38, "TLMSP_delegate"},
	// RFC 8870
	{39, "supported_ekt_ciphers"},
	// RFC 8446
	{41, "pre_shared_key"}, {42, "early_data"}, {43, "supported_versions"}, {44, "cookie"},
	{45, "psk_key_exchange_modes"}, {47, "certificate_authorities"}, {48, "oid_filters"},
	// RFC 8446
	{49, "post_handshake_auth"}, {50, "signature_algorithms_cert"}, {51, "key_share"},
	// RFC 9162
	{52, "transparency_info"},
	// RFC 9146
	{53, "connection_id_deprecated"}, {54, "connection_id"},
	// RFC 8844
	{55, "external_id_hash"}, {56, "external_session_id"},
	// RFC 9001
	{57, "quic_transport_parameters"},
	// RFC 9149
	{58, "ticket_request"},
	// RFC 9102
	{59, "dnssec_chain"},
	// draft-pismenny-tls-dtls-plaintext-sequence-number
	{60, "sequence_number_encryption_algorithms"},
	// RFC 9853
	{61, "rrc"},
	// draft-agl-tls-nextprotoneg; not registered
	{13172, "next_protocol_negotiation"},
	// draft-vvv-tls-alps; not registered
	{17513, "application_settings_old"}, {17613, "application_settings"},
	// RFC 9849
	{0xFD00, "ech_outer_extensions"},
	{0xFE0D, "encrypted_client_hello"},
	// RFC 5746
	{0xFF01, "renegotiation_info"},
}

// String returns the registry's name ("key_share"), or the number of an extension that has none ("0x4469").
func (t ExtensionType) String() string { return nameOf(extensionTypes, t) }
