package jarm

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"

	"sonde/protocol/tlswire"
)

// answer is what counts of a ServerHello. The zero answer is none.
type answer struct {
	known   bool
	suite   tlswire.CipherSuite
	version tlswire.Version // the legacy version: TLS 1.3 says 1.2 there
	alpn    string
	types   []tlswire.ExtensionType // in the order in which they came
}

// String returns the answer in the published form: suite, version, ALPN and extensions ("c02f|0303|h2|ff01-0010").
func (a answer) String() string {
	if !a.known {
		return "|||"
	}
	return hex.EncodeToString(binary.BigEndian.AppendUint16(nil, uint16(a.suite))) + "|" +
		hex.EncodeToString(binary.BigEndian.AppendUint16(nil, uint16(a.version))) + "|" + a.alpn + "|" + a.extensions()
}

func (a answer) extensions() string {
	words := make([]string, len(a.types))
	for i, t := range a.types {
		words[i] = hex.EncodeToString(binary.BigEndian.AppendUint16(nil, uint16(t)))
	}
	return strings.Join(words, "-")
}

// readAnswer reads what the first handshake record holds, as far as it goes. It is lenient where tlswire is strict,
// because the published method is: a server with a malformed ServerHello has a fingerprint as well.
func readAnswer(data []byte) answer {
	const suiteAt = tlswire.HandshakeHeaderSize + 2 + 32 + 1 // behind version, random and the length of the session ID
	if len(data) < suiteAt || tlswire.HandshakeType(data[0]) != tlswire.HandshakeServerHello {
		return answer{}
	}
	at := suiteAt + int(data[suiteAt-1])
	if len(data) < at+2 {
		return answer{}
	}
	a := answer{
		known:   true,
		suite:   tlswire.CipherSuite(binary.BigEndian.Uint16(data[at:])),
		version: tlswire.Version(binary.BigEndian.Uint16(data[tlswire.HandshakeHeaderSize:])),
	}
	// The message ends where its header says, and another one may follow in the record.
	end := tlswire.HandshakeHeaderSize + int(data[1])<<16 + int(data[2])<<8 + int(data[3])
	data = data[:min(len(data), max(end, at+2))]
	a.readExtensions(data[min(len(data), at+3):])
	return a
}

// readExtensions reads what follows the compression method. A type counts as soon as it and its length are there.
func (a *answer) readExtensions(block []byte) {
	if len(block) < 2 {
		return
	}
	n := int(binary.BigEndian.Uint16(block))
	block = block[2:]
	block = block[:min(len(block), n)]
	for len(block) >= 4 && len(a.types) < tlswire.MaxExtensions {
		t := tlswire.ExtensionType(binary.BigEndian.Uint16(block))
		size := int(binary.BigEndian.Uint16(block[2:]))
		a.types = append(a.types, t)
		if len(block) < 4+size {
			return
		}
		if content := block[4 : 4+size]; t == tlswire.ExtALPN && a.alpn == "" && len(content) > 3 {
			a.alpn = string(content[3:]) // behind the lengths of the list and of its one name
		}
		block = block[4+size:]
	}
}

// suiteCodes are the suites by their code: the place in this list, from 1. One that is not in it has the code that would
// come next.
var suiteCodes = []tlswire.CipherSuite{
	0x0004, 0x0005, 0x0007, 0x000A, 0x0016, 0x002F, 0x0033, 0x0035, 0x0039, 0x003C, 0x003D, 0x0041, 0x0045, 0x0067, 0x006B, 0x0084,
	0x0088, 0x009A, 0x009C, 0x009D, 0x009E, 0x009F, 0x00BA, 0x00BE, 0x00C0, 0x00C4, 0xC007, 0xC008, 0xC009, 0xC00A, 0xC011, 0xC012,
	0xC013, 0xC014, 0xC023, 0xC024, 0xC027, 0xC028, 0xC02B, 0xC02C, 0xC02F, 0xC030, 0xC060, 0xC061, 0xC072, 0xC073, 0xC076, 0xC077,
	0xC09C, 0xC09D, 0xC09E, 0xC09F, 0xC0A0, 0xC0A1, 0xC0A2, 0xC0A3, 0xC0AC, 0xC0AD, 0xC0AE, 0xC0AF, 0xCC13, 0xCC14, 0xCCA8, 0xCCA9,
	0x1301, 0x1302, 0x1303, 0x1304, 0x1305,
}

// hash makes the fingerprint: for each answer two digits for the suite and a letter for the version, then half of a
// SHA-256 of what was said by ALPN and extensions. 62 characters; all zeros if nothing was answered.
func hash(answers *[helloCount]answer) string {
	var codes []byte
	fuzzy := sha256.New()
	none := true
	for _, a := range answers {
		if !a.known {
			codes = append(codes, "000"...)
			continue
		}
		none = false
		i := slices.Index(suiteCodes, a.suite)
		if i < 0 {
			i = len(suiteCodes)
		}
		codes = append(hex.AppendEncode(codes, []byte{byte(i + 1)}), versionCode(a.version))
		fuzzy.Write([]byte(a.alpn))
		fuzzy.Write([]byte(a.extensions()))
	}
	if none {
		return strings.Repeat("0", 3*helloCount+sha256.Size)
	}
	return string(hex.AppendEncode(codes, fuzzy.Sum(nil)[:sha256.Size/2]))
}

// versionCode is a letter for the version's last hexadecimal digit, "a" for SSL 3.0; "0" for what is no digit.
func versionCode(v tlswire.Version) byte {
	if minor := v & 0xF; minor < 10 {
		return 'a' + byte(minor)
	}
	return '0'
}
