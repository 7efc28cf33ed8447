package flight

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/testcert"
	"sonde/probes"
	"sonde/probes/internal/tlsfacts"
	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// hand is a server whose answers are made by hand, for one Client.
type hand struct{ c *Client }

// hello13 is a ServerHello of TLS 1.3 with a share of X25519, changed by edit.
func (h hand) hello13(edit func(*serverHello)) []byte {
	share := append([]byte{0, byte(tlswire.X25519), 0, 32}, bytes.Repeat([]byte{9}, 32)...)
	s := serverHello{sessionID: h.c.offer.sessionID, cipher: tlswire.AES128GCMSHA256,
		ext: slices.Concat(extension(tlswire.ExtSupportedVersions, 3, 4), extension(tlswire.ExtKeyShare, share...))}
	s.random[0] = 1
	if edit != nil {
		edit(&s)
	}
	return s.record()
}

// retry is a HelloRetryRequest with these extensions besides the version.
func (h hand) retry(ext ...[]byte) []byte {
	return h.hello13(func(s *serverHello) {
		copy(s.random[:], "\xCF\x21\xAD\x74\xE5\x9A\x61\x11\xBE\x1D\x8C\x02\x1E\x65\xB8\x91\xC2\xA2\x11\x16\x7A\xBB\x8C\x5E\x07\x9E\x09\xE2\xC8\xA8\x33\x9C")
		s.ext = slices.Concat(append([][]byte{extension(tlswire.ExtSupportedVersions, 3, 4)}, ext...)...)
	})
}

// hello12 is a ServerHello of TLS 1.2 with ECDHE and ECDSA, changed by edit.
func hello12(edit func(*serverHello)) []byte {
	s := serverHello{cipher: 0xC02B}
	if edit != nil {
		edit(&s)
	}
	return s.record()
}

// done is a ServerHelloDone.
func done() []byte { return messageRecord(tlswire.HandshakeServerHelloDone, nil) }

// exchangeOf is a ServerKeyExchange of ECDHE in a group, signed with nothing.
func exchangeOf(g tlswire.Group) []byte {
	return messageRecord(tlswire.HandshakeServerKeyExchange, []byte{3, byte(g >> 8), byte(g), 2, 4, 4, 4, 3, 0, 0})
}

func alert(level tlswire.AlertLevel, d tlswire.AlertDescription) []byte {
	return tlswire.AppendRecords(nil, tlswire.RecordAlert, tlswire.TLS12, []byte{byte(level), byte(d)})
}

// TestRefusals: each way in which a server can be wrong has its verdict and its reason, and what it said is kept.
func TestRefusals(t *testing.T) {
	for _, depth := range depths {
		c := newClient(t, probes.TLSOptions{Depth: depth, ALPN: []string{"h2"}})
		h := hand{c}
		chain := messageRecord(tlswire.HandshakeCertificate, chainOf(issue(t, testcert.Leaf{}).Certificate))
		ccs := tlswire.AppendRecords(nil, tlswire.RecordChangeCipherSpec, tlswire.TLS12, []byte{1})
		at := func(edit func(*serverHello)) []byte { return h.hello13(edit) }
		refused, spoken, over := protocol.HandshakeRefused, protocol.NotSpoken, protocol.OverLimit
		for _, k := range []struct {
			name    string
			says    []byte
			verdict protocol.Verdict
			reason  string
			only    probes.Depth // 0: both
		}{
			{"alert", alert(tlswire.AlertFatal, tlswire.AlertHandshakeFailure), refused, "alert handshake_failure", 0},
			{"close_notify", alert(tlswire.AlertWarning, tlswire.AlertCloseNotify), refused, "alert close_notify", 0},
			{"alert behind a warning", append(alert(tlswire.AlertWarning, tlswire.AlertUnrecognizedName), alert(tlswire.AlertFatal, tlswire.AlertInternalError)...), refused, "alert internal_error", 0},
			{"warnings without end", bytes.Repeat(alert(tlswire.AlertWarning, tlswire.AlertUnrecognizedName), maxIdle+1), refused, "more than 16 records", 0},
			{"malformed alert", tlswire.AppendRecords(nil, tlswire.RecordAlert, tlswire.TLS12, []byte{9, 9}), refused, "malformed tls alert", 0},
			{"text", []byte("HTTP/1.1 400 Bad Request\r\n"), spoken, "not TLS", 0},
			{"SSL 2.0", []byte("\x80\x03\x00\x00\x01"), spoken, "not TLS", 0},
			{"application data", tlswire.AppendRecords(nil, tlswire.RecordApplicationData, tlswire.TLS12, []byte("x")), refused, "application data", 0},
			{"heartbeat", tlswire.AppendRecords(nil, tlswire.RecordHeartbeat, tlswire.TLS12, []byte("x")), refused, "record of type heartbeat", 0},
			{"change_cipher_spec first", ccs, refused, "change_cipher_spec in place of the ServerHello", 0},
			{"certificate first", chain, refused, "certificate in place of the ServerHello", 0},
			{"garbage behind a record", append(hello12(nil), "garbage"...), refused, "malformed tls record", 0},
			{"huge record", []byte{22, 3, 3, 0xFF, 0xFF}, over, "65535 bytes", 0},
			{"empty record", []byte{22, 3, 3, 0, 0}, refused, "malformed tls record: empty record", 0},
			{"huge message", tlswire.AppendRecords(nil, tlswire.RecordHandshake, tlswire.TLS12, []byte{2, 1, 0, 1}), over, "server_hello of 65537 bytes", 0},
			{"huge certificate", append(hello12(nil), tlswire.AppendRecords(nil, tlswire.RecordHandshake, tlswire.TLS12, []byte{11, 0xFF, 0xFF, 0xFF})...), over, "certificate of 16777215 bytes", 0},
			{"malformed hello", messageRecord(tlswire.HandshakeServerHello, []byte{3, 3}), refused, "malformed tls server_hello", 0},
			{"alert in a message", append(tlswire.AppendRecords(nil, tlswire.RecordHandshake, tlswire.TLS12, []byte{2, 0, 1}), ccs...), refused, "in the middle of a handshake message", 0},

			{"version", hello12(func(s *serverHello) { s.legacy = 0x0305 }), refused, "which was not offered", 0},
			{"suite", hello12(func(s *serverHello) { s.cipher = 0x00A8 }), refused, "chose suite TLS_PSK_WITH_AES_128_GCM_SHA256, which was not offered", 0},
			{"suite of another version", hello12(func(s *serverHello) { s.cipher = 0x1301 }), refused, "does not have", 0},
			{"old suite in 1.3", at(func(s *serverHello) { s.cipher = 0xC02B }), refused, "which TLS 1.3 does not have", 0},
			{"compression", hello12(func(s *serverHello) { s.compress = 1 }), refused, "compression 1", 0},
			{"extension", hello12(func(s *serverHello) { s.ext = extension(tlswire.ExtHeartbeat, 1) }), refused, "extension heartbeat, which was not offered", 0},
			{"protocol", hello12(func(s *serverHello) { s.ext = extension(tlswire.ExtALPN, 0, 3, 2, 'h', '3') }), refused, `chose protocol "h3"`, 0},
			{"downgrade from 1.3", hello12(func(s *serverHello) { copy(s.random[24:], "DOWNGRD\x01") }), refused, "a downgrade", 0},
			{"downgrade from 1.2", hello12(func(s *serverHello) { s.legacy = tlswire.TLS10; copy(s.random[24:], "DOWNGRD\x00") }), refused, "a downgrade", 0},
			{"1.3 without the extension", hello12(func(s *serverHello) { s.legacy = tlswire.TLS13; s.cipher = 0x1301 }), refused, "without supported_versions", 0},
			{"1.2 by the extension", hello12(func(s *serverHello) { s.ext = extension(tlswire.ExtSupportedVersions, 3, 3) }), refused, "by supported_versions", 0},
			{"other session ID", at(func(s *serverHello) { s.sessionID = make([]byte, 32) }), refused, "session ID", 0},
			{"ALPN in the clear", at(func(s *serverHello) { s.ext = append(s.ext, extension(tlswire.ExtALPN, 0, 3, 2, 'h', '2')...) }), refused, "extension application_layer_protocol_negotiation in the wrong message", 0},
			{"no share", at(func(s *serverHello) { s.ext = extension(tlswire.ExtSupportedVersions, 3, 4) }), refused, "no key share", 0},
			{"group", at(func(s *serverHello) {
				s.ext = append(extension(tlswire.ExtSupportedVersions, 3, 4), extension(tlswire.ExtKeyShare, 0, 30, 0, 1, 0)...)
			}), refused, "chose group x448, which was not offered", 0},
			{"share of another group", at(func(s *serverHello) {
				s.ext = append(extension(tlswire.ExtSupportedVersions, 3, 4), extension(tlswire.ExtKeyShare, 0, 23, 0, 1, 0)...)
			}), refused, "chose group secp256r1, for which no share was sent", 0},
			{"message behind the hello of 1.3", tlswire.AppendRecords(nil, tlswire.RecordHandshake, tlswire.TLS12, append(at(nil)[tlswire.RecordHeaderSize:], 8)), refused, "behind the ServerHello", 0},
			{"retry without a wish", h.retry(), refused, "without a wish", 0},
			{"retry for what was sent", h.retry(extension(tlswire.ExtKeyShare, 0, 29)), refused, "which was sent", 0},
			{"retry for what was not offered", h.retry(extension(tlswire.ExtKeyShare, 0, 30)), refused, "x448, which was not offered", 0},

			{"short share", at(func(s *serverHello) {
				s.ext = append(extension(tlswire.ExtSupportedVersions, 3, 4), extension(tlswire.ExtKeyShare, 0, 29, 0, 1, 0)...)
			}), refused, "1 bytes, want 32", probes.DepthCerts},
			{"share of small order", at(func(s *serverHello) {
				s.ext = append(extension(tlswire.ExtSupportedVersions, 3, 4), extension(tlswire.ExtKeyShare, append([]byte{0, 29, 0, 32}, make([]byte, 32)...)...)...)
			}), refused, "key share for x25519", probes.DepthCerts},
			{"record that can't be decrypted", slices.Concat(at(nil), ccs, tlswire.AppendRecords(nil, tlswire.RecordApplicationData, tlswire.TLS12, make([]byte, 64))), refused, "bad_record_mac", probes.DepthCerts},
			{"certificate of 1.3 in the clear", append(at(nil), chain...), refused, "a handshake message in the clear", probes.DepthCerts},
			{"alert of 1.3 in the clear", append(at(nil), alert(tlswire.AlertWarning, tlswire.AlertInternalError)...), refused, "alert internal_error", probes.DepthCerts},

			{"finished early", append(hello12(nil), done()...), refused, "no Certificate message", 0},
			{"no exchange", slices.Concat(hello12(nil), chain, done()), refused, "no ServerKeyExchange", 0},
			{"exchange that the suite has not", slices.Concat(hello12(func(s *serverHello) { s.cipher = 0x002F }), chain, exchangeOf(tlswire.X25519)), refused, "no known server_key_exchange", 0},
			{"group of 1.2", slices.Concat(hello12(nil), chain, exchangeOf(tlswire.X448)), refused, "chose group x448", 0},
			{"chain twice", slices.Concat(hello12(nil), chain, chain), refused, "certificate in place of the end of the server's flight", 0},
			{"empty chain", append(hello12(nil), messageRecord(tlswire.HandshakeCertificate, []byte{0, 0, 0})...), refused, "without a certificate", 0},
			{"staple unannounced", slices.Concat(hello12(nil), chain, messageRecord(tlswire.HandshakeCertificateStatus, []byte{1, 0, 0, 1, 0})), refused, "not announced", 0},
			{"resumption of nothing", append(hello12(func(s *serverHello) { s.sessionID = c.offer.sessionID }), ccs...), refused, "change_cipher_spec in place of", 0},
			{"nobody", slices.Concat(hello12(func(s *serverHello) { s.cipher = 0xC018 }),
				messageRecord(tlswire.HandshakeServerKeyExchange, []byte{3, 0, 29, 1, 4}), done()), protocol.Untrusted, "no certificate", 0},
		} {
			if k.only != 0 && k.only != depth {
				continue
			}
			t.Run(depth.String()+"/"+k.name, func(t *testing.T) {
				got := say(c.open(), k.says)
				if got.Verdict != k.verdict || !strings.Contains(got.Reason, k.reason) {
					t.Errorf("got verdict %d (%s), want %d (%s)", got.Verdict, got.Reason, k.verdict, k.reason)
				}
				if got.Finding == nil {
					t.Fatal("no finding")
				}
				if result := string(got.Finding.AppendJSON(nil)); k.name == "text" && !strings.Contains(result, `"first_bytes":"HTTP/1.1 400 `) {
					t.Errorf("the first bytes: got %s", result)
				}
			})
		}
	}
}

// say lets the server say all that it has to, then close, and concludes.
func say(e *exchange, says []byte) protocol.Conclusion {
	e.Begin()
	buf := slices.Clone(says)
	defer clear(buf) // as the engine uses its buffers again
	for len(buf) > 0 {
		f, n, err := e.Parser().ParseFrame(buf)
		switch {
		case err == protocol.ErrIncomplete:
			e.OnEnd(protocol.EndOfStream, buf, nil)
			return e.Conclusion()
		case err != nil:
			end := protocol.EndTooLarge
			if _, ok := err.(*protocol.MalformedError); ok {
				end = protocol.EndMalformed
			}
			e.OnEnd(end, buf, err)
			return e.Conclusion()
		}
		if e.OnFrame(f).Then == protocol.Done {
			return e.Conclusion()
		}
		buf = buf[n:]
	}
	e.OnEnd(protocol.EndOfStream, nil, nil)
	return e.Conclusion()
}

// chainOf is the body of a certificate message of TLS 1.2.
func chainOf(certificates [][]byte) []byte {
	size := func(dst []byte, n int) []byte { return append(dst, byte(n>>16), byte(n>>8), byte(n)) }
	var list []byte
	for _, c := range certificates {
		list = append(size(list, len(c)), c...)
	}
	return append(size(nil, len(list)), list...)
}

// TestSecondRetry: a server may ask for another hello once (RFC 8446 s.4.1.4).
func TestSecondRetry(t *testing.T) {
	c := newClient(t, probes.TLSOptions{Depth: probes.DepthCerts})
	h := hand{c}
	first := h.retry(extension(tlswire.ExtKeyShare, 0, byte(tlswire.SecP256R1)), extension(tlswire.ExtCookie, 0, 2, 'o', 'k'))
	for name, k := range map[string]struct {
		second []byte
		reason string
	}{
		"again":         {h.retry(extension(tlswire.ExtKeyShare, 0, byte(tlswire.SecP384R1))), "a second HelloRetryRequest"},
		"another group": {h.hello13(nil), "chose group x25519, for which no share was sent"},
		"another suite": {h.hello13(func(s *serverHello) {
			s.cipher = tlswire.AES256GCMSHA384
			s.ext = append(extension(tlswire.ExtSupportedVersions, 3, 4), extension(tlswire.ExtKeyShare, 0, 23, 0, 1, 4)...)
		}), "other choices than in the HelloRetryRequest"},
	} {
		got := say(c.open(), slices.Concat(first, k.second))
		if got.Verdict != protocol.HandshakeRefused || !strings.Contains(got.Reason, k.reason) {
			t.Errorf("%s: got verdict %d (%s), want %q", name, got.Verdict, got.Reason, k.reason)
		}
	}
}

// TestRetryAnswer: the second hello is the first but for the share and the cookie (RFC 8446 s.4.1.2).
func TestRetryAnswer(t *testing.T) {
	c := newClient(t, probes.TLSOptions{Depth: probes.DepthCerts, ALPN: []string{"h2"}})
	e := c.open()
	e.Begin()
	record := hand{c}.retry(extension(tlswire.ExtKeyShare, 0, byte(tlswire.SecP256R1)), extension(tlswire.ExtCookie, 0, 2, 'o', 'k'))
	f, _, err := e.Parser().ParseFrame(record)
	if err != nil {
		t.Fatal(err)
	}
	step := e.OnFrame(f)
	if step.Then != protocol.Read || len(step.Send) != 1 {
		t.Fatalf("got %+v, want a hello", step)
	}
	parse := func(record []byte) *tlswire.ClientHello {
		h, err := tlswire.ParseClientHello(record[tlswire.RecordHeaderSize+tlswire.HandshakeHeaderSize:])
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	first, second := parse(c.hello(testName)), parse(step.Send[0])
	shares, _ := second.Extension(tlswire.ExtKeyShare).(tlswire.KeyShares)
	if len(shares) != 1 || shares[0].Group != tlswire.SecP256R1 || len(shares[0].Key) != 65 {
		t.Errorf("shares: got %v, want one for secp256r1", shares)
	}
	if cookie, _ := second.Extension(tlswire.ExtCookie).(tlswire.Cookie); string(cookie) != "ok" {
		t.Errorf("cookie: got %q", cookie)
	}
	rest := func(h *tlswire.ClientHello) []byte {
		h.Extensions = slices.DeleteFunc(h.Extensions, func(x tlswire.Extension) bool {
			return x.Type() == tlswire.ExtKeyShare || x.Type() == tlswire.ExtCookie
		})
		b, err := h.AppendMessage(nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if !bytes.Equal(rest(first), rest(second)) {
		t.Error("the rest of the second hello differs from the first")
	}
}

// TestOldServer: a warning before the ServerHello does no harm, and an SSL 3.0 server is heard out.
func TestOldServer(t *testing.T) {
	c := newClient(t, probes.TLSOptions{Depth: probes.DepthHello})
	chain := messageRecord(tlswire.HandshakeCertificate, chainOf(issue(t, testcert.Leaf{}).Certificate))
	says := slices.Concat(alert(tlswire.AlertWarning, tlswire.AlertUnrecognizedName),
		hello12(func(s *serverHello) { s.legacy, s.cipher, s.sessionID = tlswire.SSL30, 0x0005, []byte("session") }), chain, done())
	e := c.open()
	got := say(e, says)
	if got.Verdict != protocol.Success {
		t.Fatalf("got verdict %d (%s)", got.Verdict, got.Reason)
	}
	if result := string(got.Finding.AppendJSON(nil)); !strings.Contains(result, `"tls_version":"ssl30"`) || !strings.Contains(result, `"session_id":true`) {
		t.Errorf("got %s", result)
	}
	if got.Finding.(*tlsfacts.Finding).Brief() == "" {
		t.Error("no brief")
	}
}

// behind puts an exchange where the ServerHello of TLS 1.3 has been read, and has it take what comes as if decrypted.
func (e *exchange) behind() {
	e.begin()
	e.facts.Version, e.facts.Cipher, e.stage = tlswire.TLS13, tlswire.AES128GCMSHA256, awaitExtensions
}

// TestProtectedRefusals: what a server can do wrong under its keys.
func TestProtectedRefusals(t *testing.T) {
	c := newClient(t, probes.TLSOptions{Depth: probes.DepthCerts, ALPN: []string{"h2"}})
	extensions := func(ext ...byte) []byte {
		return messageRecord(tlswire.HandshakeEncryptedExtensions, append([]byte{byte(len(ext) >> 8), byte(len(ext))}, ext...))
	}
	request := messageRecord(tlswire.HandshakeCertificateRequest, append([]byte{0, 0, 8}, extension(tlswire.ExtSignatureAlgorithms, 0, 2, 4, 3)...))
	for _, k := range []struct {
		name   string
		says   []byte
		reason string
	}{
		{"extension", extensions(extension(tlswire.ExtRecordSizeLimit, 1, 0)...), "extension record_size_limit, which was not offered"},
		{"extension of another message", extensions(extension(tlswire.ExtKeyShare, 0, 29)...), "extension key_share in the wrong message"},
		{"protocol", extensions(extension(tlswire.ExtALPN, 0, 3, 2, 'h', '3')...), `chose protocol "h3"`},
		{"certificate first", messageRecord(tlswire.HandshakeCertificate, []byte{0, 0, 0, 0}), "certificate in place of the EncryptedExtensions"},
		{"extensions twice", append(extensions(), extensions()...), "encrypted_extensions in place of the certificates"},
		{"request twice", slices.Concat(extensions(), request, request), "certificate_request in place of the certificates"},
		{"empty chain", append(extensions(), messageRecord(tlswire.HandshakeCertificate, []byte{0, 0, 0, 0})...), "without a certificate"},
		{"compressed", append(extensions(), messageRecord(tlswire.HandshakeCompressedCertificate, []byte{0})...), "compressed_certificate in place of"},
		{"warning", alert(tlswire.AlertWarning, tlswire.AlertUnrecognizedName), "alert unrecognized_name"},
		{"user_canceled", slices.Concat(alert(tlswire.AlertWarning, 90), alert(tlswire.AlertWarning, tlswire.AlertCloseNotify)), "alert close_notify"},
		{"HelloRequest", messageRecord(tlswire.HandshakeHelloRequest, nil), "hello_request in place of"},
	} {
		e := c.open()
		e.behind()
		got := say(e, k.says)
		if got.Verdict != protocol.HandshakeRefused || !strings.Contains(got.Reason, k.reason) {
			t.Errorf("%s: got verdict %d (%s), want %q", k.name, got.Verdict, got.Reason, k.reason)
		}
	}
}

// TestJA3S: the fingerprint that is remembered is not taken for another one.
func TestJA3S(t *testing.T) {
	var remembered ja3s
	for _, edit := range []func(*serverHello){
		nil,
		func(s *serverHello) { s.cipher = 0xC02F },
		func(s *serverHello) { s.legacy = tlswire.TLS11 },
		func(s *serverHello) { s.ext = extension(tlswire.ExtSessionTicket) },
		func(s *serverHello) { s.ext = extension(tlswire.ExtExtendedMasterSecret) },
		func(s *serverHello) {
			s.ext = append(extension(tlswire.ExtExtendedMasterSecret), extension(tlswire.ExtSessionTicket)...)
		},
		func(s *serverHello) {
			s.ext = append(extension(tlswire.ExtSessionTicket), extension(tlswire.ExtExtendedMasterSecret)...)
		},
		nil,
	} {
		h, err := tlswire.ParseServerHello(hello12(edit)[tlswire.RecordHeaderSize+tlswire.HandshakeHeaderSize:])
		if err != nil {
			t.Fatal(err)
		}
		want := md5.Sum([]byte(h.JA3S()))
		for range 2 {
			if got := remembered.of(&h); got != hex.EncodeToString(want[:]) {
				t.Errorf("%s: got %s, want %x", h.JA3S(), got, want)
			}
		}
	}
}

// TestFactsAreCopies: what was learned holds nothing of the memory that the records were read in.
func TestFactsAreCopies(t *testing.T) {
	e := newClient(t, probes.TLSOptions{Depth: probes.DepthCerts}).open()
	s := server{leaf: testcert.Leaf{Staple: testcert.StapleGood, Timestamps: 2}}
	cfg := s.ready(t)
	converse(t, e, cfg)
	clear(e.reader.plain[:cap(e.reader.plain)])
	want := cfg.Certificates[0]
	if diff := cmp.Diff(want.OCSPStaple, e.facts.OCSP); diff != "" {
		t.Errorf("staple (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want.SignedCertificateTimestamps, e.facts.SCTs); diff != "" {
		t.Errorf("timestamps (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want.Certificate, e.facts.Chain); diff != "" {
		t.Errorf("chain (-want +got):\n%s", diff)
	}
}
