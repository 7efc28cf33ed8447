package tlswire

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// parser is one of the Parse functions with its version and suite set; the tests and the fuzz targets go through all.
type parser struct {
	name  string
	parse func(body []byte) error
	good  string // a good body in hexadecimal, spaces ignored
	ends  []int  // the strict prefixes of it that are good too
	bad   []badBody
}

// badBody is a body with one thing wrong.
type badBody struct {
	name, hex string
	want      string // a part of the error
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

const (
	zeros   = "0000000000000000000000000000000000000000000000000000000000000000" // 32 bytes
	helloA  = "0303" + zeros + "00 c02f 00"                                      // a ServerHello up to its extensions
	retryA  = "0303 cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c 00 1301 00"
	clientA = "0303" + zeros + "00 0002 1301 01 00" // a ClientHello up to its extensions
)

// hello returns a ServerHello with one extension.
func hello(ext string) string { return block(helloA, ext) }

// block puts a length before ext and head before that.
func block(head, ext string) string { return fmt.Sprintf("%s %04x %s", head, len(unhex(ext)), ext) }

func parsers() []parser {
	return []parser{
		{
			name:  "ServerHello",
			parse: func(b []byte) error { _, err := ParseServerHello(b); return err },
			good: block("0303"+zeros+"02 abcd 1301 00", "002b 0002 0304  0033 0005 001d 0001 aa  0029 0002 0000  0010 0005 0003 02 6832"+
				"0012 0005 0003 0001 55  ff01 0001 00  000b 0002 01 00  0001 0001 01  000f 0001 01  0000 0000  0023 0000  0005 0000  0017 0000  0016 0000  3a3a 0001 00"),
			ends: []int{40},
			bad: []badBody{
				{"version", "0203" + zeros + "00 c02f 00", "legacy_version: not SSL 3.0"},
				{"session ID beyond the end", "0303" + zeros + "20 00", "session_id: length beyond"},
				{"session ID of 33", "0303" + zeros + "21" + zeros + "00 c02f 00", "session_id: too long"},
				{"block beyond the end", helloA + "0005 00000000", "extensions: length beyond"},
				{"block too short", helloA + "0000 00", "message: bytes behind"},
				{"half a type", hello("00"), "extension: cut short"},
				{"no length", hello("0000 00"), "extension: cut short"},
				{"content beyond the block", hello("0000 0001"), "extension: length beyond"},
				{"twice", hello("0023 0000 0023 0000"), "session_ticket: extension comes twice"},
				{"unknown twice", hello("7777 0000 7777 0000"), "0x7777: extension comes twice"},
				{"too many", hello(manyExtensions(MaxExtensions + 1)), "more than 128"},
				{"supported_versions short", hello("002b 0001 03"), "supported_versions: cut short"},
				{"supported_versions long", hello("002b 0003 0304 00"), "supported_versions: bytes behind"},
				{"key_share without a key", hello("0033 0002 001d"), "key_share: cut short"},
				{"key_share with an empty key", hello("0033 0004 001d 0000"), "key_share: too short"},
				{"key_share beyond", hello("0033 0005 001d 0002 aa"), "key_share: length beyond"},
				{"key_share left over", hello("0033 0006 001d 0001 aa bb"), "key_share: bytes behind"},
				{"retry with a key", block(retryA, "0033 0005 001d 0001 aa"), "key_share: bytes behind"},
				{"empty cookie", block(retryA, "002c 0002 0000"), "cookie: too short"},
				{"two protocols", hello("0010 0006 0004 01 61 01 62"), "alpn: bytes behind"},
				{"empty protocol", hello("0010 0003 0001 00"), "alpn: too short"},
				{"no protocol", hello("0010 0002 0000"), "alpn: too short"},
				{"protocol beyond", hello("0010 0005 0003 03 6832"), "alpn: length beyond"},
				{"protocol list left over", hello("0010 0006 0003 02 6832 00"), "negotiation: bytes behind"},
				{"empty SCT", hello("0012 0004 0002 0000"), "timestamp: too short"},
				{"no SCT", hello("0012 0002 0000"), "timestamp: too short"},
				{"SCT beyond", hello("0012 0005 0003 0002 55"), "timestamp: length beyond"},
				{"renegotiation_info empty", hello("ff01 0000"), "renegotiation_info: cut short"},
				{"renegotiation_info beyond", hello("ff01 0001 01"), "renegotiation_info: length beyond"},
				{"point formats empty", hello("000b 0001 00"), "ec_point_formats: too short"},
				{"session_ticket with content", hello("0023 0001 00"), "session_ticket: bytes behind"},
				{"server_name with content", hello("0000 0001 00"), "server_name: bytes behind"},
				{"status_request with content", hello("0005 0001 01"), "status_request: bytes behind"},
				{"extended_master_secret with content", hello("0017 0001 01"), "extended_master_secret: bytes behind"},
				{"encrypt_then_mac with content", hello("0016 0001 01"), "encrypt_then_mac: bytes behind"},
				{"heartbeat empty", hello("000f 0000"), "heartbeat: cut short"},
				{"max_fragment_length long", hello("0001 0002 0101"), "max_fragment_length: bytes behind"},
				{"pre_shared_key short", hello("0029 0001 00"), "pre_shared_key: cut short"},
			},
		},
		{
			name:  "ClientHello",
			parse: func(b []byte) error { _, err := ParseClientHello(b); return err },
			good:  block(clientA, "0000 0006 0004 00 0001 61  000a 0004 0002 001d  0010 0004 0002 01 78  0005 0005 01 0000 0000  0033 0007 0005 001d 0001 aa  002b 0003 02 0304  1a1a 0000"),
			ends:  []int{41},
			bad: []badBody{
				{"SSL 2.0", "0002" + zeros + "00 0002 1301 01 00", "legacy_version"},
				{"session ID of 33", "0303" + zeros + "21" + zeros + "00 0002 1301 01 00", "session_id: too long"},
				{"no suites", "0303" + zeros + "00 0000 01 00", "cipher_suites: too short"},
				{"half a suite", "0303" + zeros + "00 0003 130113 01 00", "cipher_suites: odd length"},
				{"suites beyond", "0303" + zeros + "00 0004 1301 01", "cipher_suites: length beyond"},
				{"no compression", "0303" + zeros + "00 0002 1301 00", "compression_methods: too short"},
				{"block left over", clientA + "0000 00", "message: bytes behind"},
				{"twice", block(clientA, "0017 0000 0017 0000"), "comes twice"},
				{"pre_shared_key not last", block(clientA, "0029 0000 0017 0000"), "pre_shared_key: not the last"},
				{"server_name list beyond", block(clientA, "0000 0006 0005 00 0001 61"), "server_name: length beyond"},
				{"server_name empty", block(clientA, "0000 0005 0003 00 0000"), "server_name: too short"},
				{"server_name without a list", block(clientA, "0000 0000"), "server_name: cut short"},
				{"groups odd", block(clientA, "000a 0005 0003 001d00"), "supported_groups: odd length"},
				{"groups empty", block(clientA, "000a 0002 0000"), "supported_groups: too short"},
				{"versions odd", block(clientA, "002b 0004 03 030403"), "supported_versions: odd length"},
				{"key_share empty key", block(clientA, "0033 0006 0004 001d 0000"), "key_share: too short"},
				{"protocol empty", block(clientA, "0010 0004 0002 00 00"), "negotiation: too short"},
				{"extended_master_secret with content", block(clientA, "0017 0001 00"), "bytes behind"},
				{"status_request cut", block(clientA, "0005 0003 01 0000"), "status_request: cut short"},
			},
		},
		{
			name:  "EncryptedExtensions",
			parse: func(b []byte) error { _, err := ParseEncryptedExtensions(b); return err },
			good:  block("", "0010 0005 0003 02 6832  000a 0004 0002 001d  fe0d 0001 aa  001c 0002 4001  0000 0000  002a 0000  7777 0001 00"),
			bad: []badBody{
				{"nothing", "", "extensions: cut short"},
				{"two protocols", block("", "0010 0006 0004 01 61 01 62"), "alpn: bytes behind"},
				{"groups odd", block("", "000a 0005 0003 001d00"), "odd length"},
				{"groups empty", block("", "000a 0002 0000"), "too short"},
				{"record_size_limit short", block("", "001c 0001 40"), "record_size_limit: cut short"},
				{"server_name with content", block("", "0000 0001 00"), "server_name: bytes behind"},
				{"early_data with content", block("", "002a 0001 00"), "early_data: bytes behind"},
				{"twice", block("", "002a 0000 002a 0000"), "comes twice"},
			},
		},
		{
			name:  "Certificate 1.2",
			parse: func(b []byte) error { _, err := ParseCertificate(b, TLS12); return err },
			good:  "000009 000002 aabb 000001 cc",
			bad: []badBody{
				{"list beyond", "000006 000002 aabb", "certificate_list: length beyond"},
				{"list too short", "000004 000002 aabb", "certificate: length beyond"},
				{"certificate beyond", "000005 000003 aabb", "certificate: length beyond"},
				{"empty certificate", "000003 000000", "certificate: too short"},
				{"half a length", "000002 0000", "certificate: cut short"},
			},
		},
		{
			name:  "Certificate 1.3",
			parse: func(b []byte) error { _, err := ParseCertificate(b, TLS13); return err },
			good:  "01 77 00001f 000002 aabb 0012 0005 0005 01 000001 dd 0012 0005 0003 0001 ee 000001 cc 0000",
			bad: []badBody{
				{"context beyond", "02 77", "certificate_request_context: length beyond"},
				{"no extensions", "00 000005 000002 aabb", "extensions: cut short"},
				{"extensions beyond", "00 000007 000002 aabb 0001", "extensions: length beyond"},
				{"OCSP beyond", "00 000010 000002 aabb 0009 0005 0005 01 000002 dd", "ocsp_response: length beyond"},
				{"OCSP empty", "00 00000f 000002 aabb 0008 0005 0004 01 000000", "ocsp_response: too short"},
				{"OCSP of another type", "00 000010 000002 aabb 0009 0005 0005 02 000001 dd", "status_type: not ocsp"},
				{"SCT empty", "00 00000f 000002 aabb 0008 0012 0004 0002 0000", "timestamp: too short"},
				{"twice", "00 00000f 000002 aabb 0008 7777 0000 7777 0000", "comes twice"},
			},
		},
		{
			name:  "CertificateStatus",
			parse: func(b []byte) error { _, err := ParseCertificateStatus(b); return err },
			good:  "01 000002 aabb",
			bad: []badBody{
				{"another type", "02 000002 aabb", "status_type: not ocsp"},
				{"empty", "01 000000", "too short"},
				{"beyond", "01 000003 aabb", "length beyond"},
				{"left over", "01 000001 aabb", "bytes behind"},
			},
		},
		{
			name:  "CertificateRequest 1.0",
			parse: func(b []byte) error { _, err := ParseCertificateRequest(b, TLS10); return err },
			good:  "01 40 0005 0003 aabbcc",
			bad:   []badBody{{"no types", "00 0000", "certificate_types: too short"}},
		},
		{
			name:  "CertificateRequest 1.2",
			parse: func(b []byte) error { _, err := ParseCertificateRequest(b, TLS12); return err },
			good:  "02 0140 0004 0403 0804 0005 0003 aabbcc",
			bad: []badBody{
				{"no schemes", "01 40 0000 0000", "signature_algorithms: too short"},
				{"schemes odd", "01 40 0003 040308 0000", "signature_algorithms: odd length"},
				{"empty authority", "01 40 0002 0403 0002 0000", "certificate_authorities: too short"},
				{"authority beyond", "01 40 0002 0403 0003 0002 aa", "certificate_authorities: length beyond"},
				{"left over", "01 40 0002 0403 0000 00", "bytes behind"},
			},
		},
		{
			name:  "CertificateRequest 1.3",
			parse: func(b []byte) error { _, err := ParseCertificateRequest(b, TLS13); return err },
			good:  "01 77" + block("", "000d 0004 0002 0403  0032 0004 0002 0804  002f 0005 0003 0001 aa  7777 0000"),
			bad: []badBody{
				{"no extensions", "00 0000", "extensions: too short"},
				{"no schemes", "00" + block("", "7777 0000"), "signature_algorithms: not there"},
				{"empty schemes", "00" + block("", "000d 0002 0000"), "signature_algorithms: too short"},
				{"empty authorities", "00" + block("", "000d 0004 0002 0403 002f 0002 0000"), "certificate_authorities: too short"},
			},
		},
		{
			name:  "ServerKeyExchange ECDHE 1.2",
			parse: keyExchange(0xC02F, TLS12),
			good:  "03 001d 02 aabb 0401 0002 ccdd",
			bad: []badBody{
				{"explicit curve", "01 001d 02 aabb 0401 0000", "curve_type: not a named curve"},
				{"empty point", "03 001d 00 0401 0000", "ec_point: too short"},
				{"point beyond", "03 001d 09 aabb", "ec_point: length beyond"},
				{"signature beyond", "03 001d 01 aa 0401 0003 ccdd", "signature: length beyond"},
				{"left over", "03 001d 01 aa 0401 0001 ccdd", "bytes behind"},
			},
		},
		{name: "ServerKeyExchange ECDHE 1.0", parse: keyExchange(0xC013, TLS10), good: "03 0017 02 aabb 0002 ccdd"},
		{name: "ServerKeyExchange ECDH anon", parse: keyExchange(0xC018, TLS12), good: "03 0017 02 aabb"},
		{
			name: "ServerKeyExchange DHE 1.2", parse: keyExchange(0x009E, TLS12), good: "0002 0fff 0001 02 0002 aabb 0401 0001 cc",
			bad: []badBody{
				{"empty prime", "0000 0001 02 0001 aa 0401 0000", "dh_p: too short"},
				{"empty generator", "0001 17 0000 0001 aa 0401 0000", "dh_g: too short"},
				{"empty public value", "0001 17 0001 02 0000 0401 0000", "dh_Ys: too short"},
				{"prime beyond", "0009 17", "dh_p: length beyond"},
			},
		},
		{name: "ServerKeyExchange DH anon", parse: keyExchange(0x00A6, TLS12), good: "0002 0fff 0001 02 0002 aabb"},
		{name: "ServerKeyExchange EXPORT", parse: keyExchange(0x0003, TLS10), good: "0002 0fff 0001 03 0002 aabb",
			bad: []badBody{{"empty modulus", "0000 0001 03 0000", "rsa_modulus: too short"}, {"empty exponent", "0001 03 0000 0000", "rsa_exponent: too short"}}},
		{name: "ServerKeyExchange PSK", parse: keyExchange(0x00A8, TLS12), good: "0002 6869", bad: []badBody{{"hint beyond", "0003 6869", "psk_identity_hint: length beyond"}}},
		{name: "ServerKeyExchange DHE PSK", parse: keyExchange(0x00AA, TLS12), good: "0002 6869 0002 0fff 0001 02 0002 aabb"},
		{name: "ServerKeyExchange ECDHE PSK", parse: keyExchange(0xD001, TLS12), good: "0000 03 001d 02 aabb"},
		{
			name:  "CertificateVerify 1.3",
			parse: func(b []byte) error { _, err := ParseCertificateVerify(b, TLS13); return err },
			good:  "0804 0002 aabb",
			bad:   []badBody{{"beyond", "0804 0003 aabb", "signature: length beyond"}},
		},
		{
			name:  "NewSessionTicket 1.2",
			parse: func(b []byte) error { _, err := ParseNewSessionTicket(b, TLS12); return err },
			good:  "00001c20 0002 aabb",
			bad:   []badBody{{"beyond", "00001c20 0003 aabb", "ticket: length beyond"}, {"left over", "00001c20 0001 aabb", "bytes behind"}},
		},
		{
			name:  "NewSessionTicket 1.3",
			parse: func(b []byte) error { _, err := ParseNewSessionTicket(b, TLS13); return err },
			good:  "00001c20 11223344 01 00 0002 aabb 0008 002a 0004 00004000",
			bad: []badBody{
				{"nonce beyond", "00001c20 11223344 09 00", "ticket_nonce: length beyond"},
				{"empty ticket", "00001c20 11223344 00 0000 0000", "ticket: too short"},
				{"early data short", "00001c20 11223344 00 0001 aa 0007 002a 0003 000040", "early_data: cut short"},
				{"early data long", "00001c20 11223344 00 0001 aa 0009 002a 0005 0000400000", "early_data: bytes behind"},
			},
		},
		{name: "ServerHelloDone", parse: ParseServerHelloDone, good: "", bad: []badBody{{"not empty", "00", "not empty"}}},
		{
			name:  "Finished 1.3",
			parse: func(b []byte) error { _, err := ParseFinished(b, TLS13, AES128GCMSHA256); return err },
			good:  zeros,
			bad:   []badBody{{"short", "0000", "2 bytes, want 32"}, {"of TLS 1.2", "000000000000000000000000", "12 bytes, want 32"}},
		},
	}
}

func keyExchange(suite CipherSuite, v Version) func([]byte) error {
	return func(b []byte) error { _, err := ParseServerKeyExchange(b, suite, v); return err }
}

// manyExtensions returns n extensions of different unknown types, without content.
func manyExtensions(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%04x0000", 0x7000+i)
	}
	return b.String()
}
