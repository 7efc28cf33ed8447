package tls13

import (
	"bytes"
	"crypto/ecdh"
	"crypto/mlkem"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// trace is the simple 1-RTT handshake of RFC 8448 s.3.
var trace = struct{ clientKey, clientHello, serverHello, record, plaintext string }{
	clientKey: "49af42ba7f7994852d713ef2784bcbcaa7911de26adc5642cb634540e7ea5005",
	clientHello: "010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7000006130113031302010000910000000b00090000" +
		"06736572766572ff01000100000a00140012001d0017001800190100010101020103010400230000003300260024001d002099381de560e4bd43d23d" +
		"8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c002b0003020304000d0020001e04030503060302030804080508060401050106010201040205" +
		"0206020202002d00020101001c00024001",
	serverHello: "020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692800130100002e00330024001d0020c98288761120" +
		"95fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b00020304",
	record: "d1ff334a56f5bff6594a07cc87b580233f500f45e489e7f33af35edf7869fcf40aa40aa2b8ea73f848a7ca07612ef9f945cb960b4068905123ea78" +
		"b111b429ba9191cd05d2a389280f526134aadc7fc78c4b729df828b5ecf7b13bd9aefb0e57f271585b8ea9bb355c7c79020716cfb9b1183ef3ab20" +
		"e37d57a6b9d7477609aee6e122a4cf51427325250c7d0e509289444c9b3a648f1d71035d2ed65b0e3cdd0cbae8bf2d0b227812cbb360987255cc744" +
		"110c453baa4fcd610928d809810e4b7ed1a8fd991f06aa6248204797e36a6a73b70a2559c09ead686945ba246ab66e5edd8044b4c6de3fcf2a89441" +
		"ac66272fd8fb330ef8190579b3684596c960bd596eea520a56a8d650f563aad27409960dca63d3e688611ea5e22f4415cf9538d51a200c270342729" +
		"68a264ed6540c84838d89f72c24461aad6d26f59ecaba9acbbb317b66d902f4f292a36ac1b639c637ce343117b659622245317b49eeda0c6258f100" +
		"d7d961ffb138647e92ea330faeea6dfa31c7a84dc3bd7e1b7a6c7178af36879018e3f252107f243d243dc7339d5684c8b0378bf30244da8c87c843f" +
		"5e56eb4c5e8280a2b48052cf93b16499a66db7cca71e4599426f7d461e66f99882bd89fc50800becca62d6c74116dbd2972fda1fa80f85df881edbe" +
		"5a37668936b335583b599186dc5c6918a396fa48a181d6b6fa4f9d62d513afbb992f2b992f67f8afe67f76913fa388cb5630c8ca01e0c65d11c66a1" +
		"e2ac4c85977b7c7a6999bbf10dc35ae69f5515614636c0b9b68c19ed2e31c0b3b66763038ebba42f3b38edc0399f3a9f23faa63978c317fc9fa66a7" +
		"3f60f0504de93b5b845e275592c12335ee340bbc4fddd502784016e4b3be7ef04dda49f4b440a30cb5d2af939828fd4ae3794e44f94df5a631ede42" +
		"c1719bfdabf0253fe5175be898e750edc53370d2b",
	plaintext: "080000240022000a00140012001d00170018001901000101010201030104001c000240010000",
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// traceKey is the client's half of the trace's key agreement.
func traceKey(t *testing.T) *KeyPair {
	t.Helper()
	key, err := ecdh.X25519().NewPrivateKey(unhex(t, trace.clientKey))
	if err != nil {
		t.Fatal(err)
	}
	return &KeyPair{group: tlswire.X25519, curve: key, public: key.PublicKey().Bytes()}
}

// TestTrace goes the whole way of the trace in RFC 8448 s.3: from the two hellos to the decrypted flight.
func TestTrace(t *testing.T) {
	hello, err := tlswire.ParseServerHello(unhex(t, trace.serverHello)[tlswire.HandshakeHeaderSize:])
	if err != nil {
		t.Fatal(err)
	}
	secret, err := traceKey(t).Agree(hello.KeyShare.Key)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(secret), "8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d"; got != want {
		t.Errorf("shared secret: got %s, want %s", got, want)
	}
	r, err := NewReader(hello.CipherSuite, secret, unhex(t, trace.clientHello), unhex(t, trace.serverHello))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(r.iv[:]), "5d313eb2671276ee13000b30"; got != want {
		t.Errorf("iv: got %s, want %s", got, want)
	}
	record := unhex(t, trace.record)
	plain, err := r.Open(nil, tlswire.TLS12, record)
	if err != nil {
		t.Fatal(err)
	}
	content, kind, err := tlswire.SplitInner(plain)
	if err != nil || kind != tlswire.RecordHandshake || len(content) != 657 {
		t.Fatalf("got %d bytes of %v (%v), want 657 of handshake", len(content), kind, err)
	}
	if want := unhex(t, trace.plaintext); !bytes.HasPrefix(content, want) {
		t.Errorf("EncryptedExtensions: got %x, want %x", content[:len(want)], want)
	}
	if _, err := r.Open(nil, tlswire.TLS12, record); !errors.Is(err, ErrBadRecord) {
		t.Errorf("the same record as the second: got %v, want %v", err, ErrBadRecord)
	}
}

// TestServerTraffic holds the middle of the key schedule against the trace in RFC 8448 s.3.
func TestServerTraffic(t *testing.T) {
	if got, want := hex.EncodeToString(sha256Derived()), "6f2615a108c702c5678f54fc9dbab69716c076189c48250cebeac3576c3611ba"; got != want {
		t.Errorf("derived secret: got %s, want %s", got, want)
	}
	c, _ := suiteOf(tlswire.AES128GCMSHA256)
	traffic, err := c.serverTraffic(unhex(t, "8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d"),
		unhex(t, "860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(traffic), "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38"; got != want {
		t.Errorf("server_handshake_traffic_secret: got %s, want %s", got, want)
	}
}

func TestReaderRefuses(t *testing.T) {
	if _, err := NewReader(0xC02F, make([]byte, 32)); err == nil {
		t.Error("a reader for a suite of TLS 1.2")
	}
	if _, err := Retried(0xC02F, nil); err == nil {
		t.Error("a transcript for a suite of TLS 1.2")
	}
	for _, s := range Suites() {
		r, err := NewReader(s, make([]byte, 32), []byte("hello"))
		if err != nil || !r.Ready() {
			t.Fatalf("%v: %v", s, err)
		}
		for _, n := range []int{0, 1, 15, 16, 17, 100} {
			if _, err := r.Open(nil, tlswire.TLS12, make([]byte, n)); !errors.Is(err, ErrBadRecord) {
				t.Errorf("%v: %d bytes of nothing: got %v, want %v", s, n, err, ErrBadRecord)
			}
		}
		if _, err := r.Open(nil, tlswire.TLS12, make([]byte, tlswire.MaxFragment+1)); !errors.Is(err, protocol.ErrTooLarge) {
			t.Errorf("%v: a record above the limit: got %v", s, err)
		}
	}
	if (&Reader{}).Ready() {
		t.Error("the zero Reader is ready")
	}
}

func TestAgreeRefusesBadShares(t *testing.T) {
	for g := range tlswire.Groups() {
		pair, err := NewKeyPair(g)
		if Agrees(g) != (err == nil) {
			t.Errorf("%v: Agrees says %t, NewKeyPair %v", g, Agrees(g), err)
		}
		if err != nil {
			continue
		}
		client, server, _ := g.ShareSizes()
		if got := len(pair.Share().Key); got != client {
			t.Errorf("%v: share of %d bytes, want %d", g, got, client)
		}
		for name, share := range map[string][]byte{
			"none": nil, "short": make([]byte, server-1), "long": make([]byte, server+1),
			"zero": make([]byte, server), // of small order, or not on the curve
		} {
			if _, err := pair.Agree(share); err == nil || !strings.Contains(err.Error(), g.String()) {
				t.Errorf("%v: %s share: got %v, want an error that names the group", g, name, err)
			}
		}
	}
}

// TestHybridOrder holds the order of the parts against a server's side made by hand (draft-ietf-tls-ecdhe-mlkem s.4.1 to
// s.4.3): the two halves of the secret stand as those of the shares do.
func TestHybridOrder(t *testing.T) {
	for _, c := range []struct {
		group    tlswire.Group
		curve    ecdh.Curve
		kemSize  int
		kemFirst bool
	}{
		{tlswire.X25519MLKEM768, ecdh.X25519(), mlkem.EncapsulationKeySize768, true},
		{tlswire.SecP256R1MLKEM768, ecdh.P256(), mlkem.EncapsulationKeySize768, false},
	} {
		pair, err := NewKeyPair(c.group)
		if err != nil {
			t.Fatal(err)
		}
		share := pair.Share().Key
		kemPart, curvePart := share[len(share)-c.kemSize:], share[:len(share)-c.kemSize]
		if c.kemFirst {
			kemPart, curvePart = share[:c.kemSize], share[c.kemSize:]
		}
		key, err := mlkem.NewEncapsulationKey768(kemPart)
		if err != nil {
			t.Fatalf("%v: %v", c.group, err)
		}
		kemSecret, ciphertext := key.Encapsulate()
		mine, err := c.curve.NewPrivateKey(bytes.Repeat([]byte{7}, 32))
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := c.curve.NewPublicKey(curvePart)
		if err != nil {
			t.Fatalf("%v: %v", c.group, err)
		}
		curveSecret, err := mine.ECDH(theirs)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pair.Agree(join(c.kemFirst, ciphertext, mine.PublicKey().Bytes()))
		if want := join(c.kemFirst, kemSecret, curveSecret); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: got %x (%v), want %x", c.group, got, err, want)
		}
	}
}
