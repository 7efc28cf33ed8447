package tlswire_test

import (
	"fmt"

	"sonde/protocol/tlswire"
)

func ExampleClientHello() {
	h := tlswire.ClientHello{
		CipherSuites: []tlswire.CipherSuite{tlswire.AES128GCMSHA256, 0xC02F},
		Extensions: []tlswire.Extension{
			tlswire.ServerName("example.com"),
			tlswire.SupportedVersions{tlswire.TLS13, tlswire.TLS12},
			tlswire.SupportedGroups{tlswire.X25519},
			tlswire.KeyShares{}, // a server of TLS 1.3 names its group in a HelloRetryRequest
			tlswire.ALPN{"h2"},
		},
	}
	out, err := h.Append(nil)
	fmt.Println(len(out), err)

	h.Extensions[0] = tlswire.ServerName("192.0.2.1")
	_, err = h.Append(nil)
	fmt.Println(err)
	// Output:
	// 106 <nil>
	// client hello: server_name: an IPv4 address is no name
}

// A stream is taken apart into records, messages and values.
func Example() {
	stream := []byte("\x16\x03\x03\x00\x30\x02\x00\x00\x2c\x03\x03" + "a server's thirty-two odd bytes." + "\x00\xc0\x2f\x00\x00\x04\x00\x23\x00\x00" +
		"\x15\x03\x03\x00\x02\x02\x28")
	var records tlswire.RecordParser
	var messages tlswire.Assembler
	for len(stream) > 0 {
		record, n, err := records.ParseFrame(stream)
		if err != nil {
			fmt.Println(err)
			return
		}
		stream = stream[n:]
		if tlswire.ContentType(record.Kind) == tlswire.RecordAlert {
			alert, err := tlswire.ParseAlert(record.Data)
			fmt.Println(alert, err)
			continue
		}
		messages.Add(record.Data)
		for {
			m, err := messages.Next()
			if err != nil {
				break // protocol.ErrIncomplete: the next record
			}
			h, err := tlswire.ParseServerHello(m.Body())
			fmt.Println(m.Type, h.Version(), h.CipherSuite, h.JA3S(), err)
		}
	}
	// Output:
	// server_hello TLS 1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 771,49199,35 <nil>
	// fatal handshake_failure <nil>
}

func ExampleCipherSuite_Weakness() {
	for _, s := range []tlswire.CipherSuite{0x1301, 0x000A, 0x0003} {
		w := s.Weakness()
		fmt.Println(s, w.Words(), w&tlswire.Broken != 0)
	}
	// Output:
	// TLS_AES_128_GCM_SHA256 [] false
	// TLS_RSA_WITH_3DES_EDE_CBC_SHA [64-bit-block no-forward-secrecy cbc] false
	// TLS_RSA_EXPORT_WITH_RC4_40_MD5 [export rc4 md5 no-forward-secrecy] true
}
