package tlsfacts

import "sonde/probes"

// Fields documents every member that a [Finding] writes, in the order in which it does. A member of a list's entries has
// the list's name and "[]" before its own. It is new memory.
func Fields() []probes.Field {
	fields := []probes.Field{
		{Name: "tls_depth", Type: "string", Doc: "how far the handshake was to go: hello, certs or full"},
		{Name: "starttls", Type: "string", Doc: "the protocol in which TLS was asked for; absent if it came first"},
		{Name: "sni", Type: "string", Doc: "the name that was asked for"},
		{Name: "tls_version", Type: "string", Doc: "the version that the server chose: ssl30, tls10 to tls13"},
		{Name: "cipher", Type: "string", Doc: "the cipher suite that it chose, by its IANA name"},
		{Name: "group", Type: "string", Doc: "the group of the key exchange, where one was visible"},
		{Name: "alpn", Type: "string", Doc: "the application protocol that it chose"},
		{Name: "hello_retry_request", Type: "boolean", Doc: "true if the server asked for another key share first"},
		{Name: "alert", Type: "string", Doc: "the alert by which the server ended the handshake, by its IANA name; of many hellos only if it took none"},
		{Name: "ja3s_hash", Type: "string", Doc: "JA3S fingerprint of the ServerHello, MD5 in hexadecimal"},
		{Name: "session_id", Type: "boolean", Doc: "whether the server gave a session ID to resume by; TLS 1.2 and below"},
		{Name: "session_ticket", Type: "boolean", Doc: "whether the server gives session tickets"},
		{Name: "resumed", Type: "boolean", Doc: "whether a session was resumed: by the second connection, where there are two"},
		{Name: "resumption", Type: "object", Doc: "what a second connection made of the session"},
		{Name: "resumption.method", Type: "string", Doc: "what the server accepted: psk, ticket, session-id or none"},
		{Name: "resumption.offered", Type: "string", Doc: "what there was to offer: the same words"},
		{Name: "resumption.full_us", Type: "integer", Doc: "duration of the first handshake, microseconds"},
		{Name: "resumption.resumed_us", Type: "integer", Doc: "duration of the second handshake, microseconds"},
		{Name: "client_cert_requested", Type: "boolean", Doc: "whether the server asked for a certificate of the client's"},
		{Name: "ech", Type: "string", Doc: "what became of the encrypted hello: accepted or rejected"},
		{Name: "ech_retry_configs", Type: "string", Doc: "the ECHConfigList to try again with, base64"},
	}
	fields = append(fields, verdictFields()...)
	fields = append(fields, certificateFields("", "the leaf's ")...)
	fields = append(fields, attachedFields()...)
	fields = append(fields, probes.Field{Name: "chain", Type: "list", Doc: "the certificates as they were sent, the leaf first"})
	fields = append(fields, certificateFields("chain[].", "the certificate's ")...)
	fields = append(fields, chainFields()...)
	return append(fields, enumFields()...)
}

func verdictFields() []probes.Field {
	return []probes.Field{
		{Name: "verified", Type: "boolean", Doc: "whether the certificate is trusted, within its time and for the name"},
		{Name: "verify_error", Type: "string", Doc: "what is wrong, a list in words: expired, not yet valid, name mismatch, unknown authority, self-signed, wrong usage, bad chain, unparsable, no certificate"},
		{Name: "verify_reason", Type: "string", Doc: "the same with details, for a person"},
		{Name: "expired", Type: "boolean", Doc: "true if it has expired"},
		{Name: "mismatched", Type: "boolean", Doc: "true if it is for other names"},
		{Name: "self_signed", Type: "boolean", Doc: "true if it signs itself and is not trusted"},
		{Name: "untrusted", Type: "boolean", Doc: "true if no trusted authority stands behind it"},
		{Name: "days_left", Type: "integer", Doc: "whole days until the leaf expires, rounded down; negative afterwards"},
	}
}

// certificateFields are those that stand at the top, for the leaf, and in the chain.
func certificateFields(prefix, whose string) []probes.Field {
	fields := []probes.Field{
		{Name: "subject_dn", Type: "string", Doc: "subject, as RFC 2253 writes it"},
		{Name: "subject_cn", Type: "string", Doc: "subject's common name"},
		{Name: "subject_org", Type: "list", Doc: "subject's organizations"},
		{Name: "subject_an", Type: "list", Doc: "DNS names and addresses, its alternative names"},
		{Name: "emails", Type: "list", Doc: "mail addresses among its alternative names"},
		{Name: "uris", Type: "list", Doc: "URIs among its alternative names"},
		{Name: "issuer_dn", Type: "string", Doc: "issuer, as RFC 2253 writes it"},
		{Name: "issuer_cn", Type: "string", Doc: "issuer's common name"},
		{Name: "issuer_org", Type: "list", Doc: "issuer's organizations"},
		{Name: "serial", Type: "string", Doc: "serial number, hexadecimal"},
		{Name: "not_before", Type: "string", Doc: "first moment of validity, RFC 3339"},
		{Name: "not_after", Type: "string", Doc: "last moment of validity, RFC 3339"},
		{Name: "wildcard_certificate", Type: "boolean", Doc: "names: true if one stands for any name of a domain"},
		{Name: "fingerprint_hash", Type: "object", Doc: "digests"},
		{Name: "fingerprint_hash.md5", Type: "string", Doc: "MD5, hexadecimal"},
		{Name: "fingerprint_hash.sha1", Type: "string", Doc: "SHA-1, hexadecimal"},
		{Name: "fingerprint_hash.sha256", Type: "string", Doc: "SHA-256, hexadecimal"},
	}
	for i := range fields {
		fields[i].Name, fields[i].Doc = prefix+fields[i].Name, whose+fields[i].Doc
	}
	return fields
}

func attachedFields() []probes.Field {
	return []probes.Field{
		{Name: "ocsp_stapled", Type: "boolean", Doc: "whether the server sent an OCSP response along"},
		{Name: "ocsp_status", Type: "string", Doc: "what that says of the leaf: good, revoked or unknown"},
		{Name: "ocsp_error", Type: "string", Doc: "why the response can't be read, or not be relied on"},
		{Name: "ocsp_this_update", Type: "string", Doc: "when that was known to be so, RFC 3339"},
		{Name: "ocsp_next_update", Type: "string", Doc: "when there will be a newer response, RFC 3339"},
		{Name: "ocsp_revoked_at", Type: "string", Doc: "when the certificate was revoked, RFC 3339"},
		{Name: "scts", Type: "list", Doc: "certificate transparency timestamps of the leaf; not verified"},
		{Name: "scts[].log_id", Type: "string", Doc: "the log's ID, base64"},
		{Name: "scts[].timestamp", Type: "string", Doc: "when the log saw the certificate, RFC 3339"},
		{Name: "scts[].source", Type: "string", Doc: "where it came from: handshake or certificate"},
	}
}

func chainFields() []probes.Field {
	return []probes.Field{
		{Name: "chain[].key_algorithm", Type: "string", Doc: "kind of public key: RSA, ECDSA, Ed25519, DSA, or its OID"},
		{Name: "chain[].key_bits", Type: "integer", Doc: "size of the public key, bits"},
		{Name: "chain[].signature_algorithm", Type: "string", Doc: "how the issuer signed it, or the OID of that"},
		{Name: "chain[].size_bytes", Type: "integer", Doc: "size of the certificate in DER, bytes"},
		{Name: "chain[].parse_error", Type: "string", Doc: "why the certificate can't be read"},
		{Name: "chain[].pem", Type: "string", Doc: "the certificate in PEM, if asked for"},
	}
}

func enumFields() []probes.Field {
	return []probes.Field{
		{Name: "version_enum", Type: "list", Doc: "the versions that the server takes, the newest first"},
		{Name: "version_enum[].version", Type: "string", Doc: "a version"},
		{Name: "version_enum[].weak", Type: "list", Doc: "why it is not to be used: broken or deprecated"},
		{Name: "cipher_enum", Type: "list", Doc: "the cipher suites that it takes, by version"},
		{Name: "cipher_enum[].version", Type: "string", Doc: "the version"},
		{Name: "cipher_enum[].server_order", Type: "boolean", Doc: "whether the server insists on its own order"},
		{Name: "cipher_enum[].ciphers", Type: "list", Doc: "the suites, in the server's order of preference"},
		{Name: "cipher_enum[].ciphers[].cipher", Type: "string", Doc: "a suite, by its IANA name"},
		{Name: "cipher_enum[].ciphers[].weak", Type: "list", Doc: "why it is weak, the worst first"},
		{Name: "group_enum", Type: "list", Doc: "the groups that it takes, in its order of preference"},
		{Name: "group_enum[].group", Type: "string", Doc: "a group, by its IANA name"},
		{Name: "group_enum[].weak", Type: "list", Doc: "why it is not to be used: deprecated"},
		{Name: "enum_incomplete", Type: "string", Doc: "why the lists may lack something; absent if they are whole"},
		{Name: "enum_connections", Type: "integer", Doc: "how many connections the enumeration took"},
		{Name: "jarm_hash", Type: "string", Doc: "JARM fingerprint of the server, 62 characters"},
		{Name: "first_bytes", Type: "string", Doc: "the first bytes of what is not TLS"},
		{Name: "first_bytes_base64", Type: "string", Doc: "the same in base64, if they are not UTF-8"},
	}
}
