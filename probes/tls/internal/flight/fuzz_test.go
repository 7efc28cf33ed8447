package flight

import (
	"slices"
	"testing"

	"sonde/internal/testcert"
	"sonde/probes"
	"sonde/probes/internal/tlsfacts"
	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// FuzzExchange has a server say anything in any pieces: the exchange ends or waits, concludes, and keeps no more memory
// than its limits allow. The first byte says whether the ServerHello is answered by what follows under the server's keys,
// as if it had been decrypted.
func FuzzExchange(f *testing.F) {
	clients := map[probes.Depth]*Client{}
	for _, depth := range depths {
		clients[depth] = newClient(f, probes.TLSOptions{Depth: depth, ALPN: []string{"h2"}})
	}
	for _, s := range servers() {
		if s.alike {
			continue
		}
		c := newClient(f, probes.TLSOptions{Depth: probes.DepthHello, ALPN: []string{"h2"}, MaxVersion: s.offer.MaxVersion})
		c.offer.random, c.offer.sessionID = clients[probes.DepthHello].offer.random, make([]byte, 32)
		turns := converse(f, c.open(), s.ready(f))
		f.Add(byte(0), uint8(7), []byte(turns[0].Says))
	}
	chain := chainOf(issue(f, testcert.Leaf{Timestamps: 1}).Certificate)
	f.Add(byte(1), uint8(200), slices.Concat(messageRecord(tlswire.HandshakeEncryptedExtensions, []byte{0, 0}), messageRecord(tlswire.HandshakeCertificate, chain)))
	f.Add(byte(1), uint8(1), alert(tlswire.AlertFatal, tlswire.AlertInternalError))
	f.Fuzz(func(t *testing.T, mode byte, piece uint8, says []byte) {
		for _, depth := range depths {
			c := clients[depth]
			e := c.open()
			e.Begin()
			if mode&1 == 1 && depth == probes.DepthCerts {
				e.behind()
			}
			feed(e, says, 1+int(piece))
			if r := e.reader; r != nil && cap(r.plain) > 1<<17 {
				t.Fatalf("%d bytes are kept of one record", cap(r.plain))
			}
			if got := e.Conclusion(); got.Verdict != protocol.Success && got.Reason == "" {
				t.Fatalf("verdict %d without a reason", got.Verdict)
			} else if got.Finding != nil {
				got.Finding.AppendJSON(nil)
				got.Finding.Brief()
			}
		}
	})
}

// feed gives an exchange says in pieces, as the engine does, until it is over; then the server closes.
func feed(e *exchange, says []byte, piece int) {
	var buf []byte
	for len(says) > 0 {
		n := min(piece, len(says))
		buf, says = append(buf, says[:n]...), says[n:]
		for len(buf) >= e.Parser().MinFrameSize() {
			f, n, err := e.Parser().ParseFrame(buf)
			if err == protocol.ErrIncomplete {
				break
			}
			if _, malformed := err.(*protocol.MalformedError); malformed {
				e.OnEnd(protocol.EndMalformed, buf, err)
				return
			}
			if err != nil {
				e.OnEnd(protocol.EndTooLarge, buf, err)
				return
			}
			if e.OnFrame(f).Then == protocol.Done {
				return
			}
			buf = buf[n:]
		}
	}
	e.OnEnd(protocol.EndOfStream, buf, nil)
}

// TestMemoryOfOneConnection: what a server can have an exchange keep is bounded by what one message may have, and what an
// exchange keeps while it waits for the server's first byte is small.
func TestMemoryOfOneConnection(t *testing.T) {
	c := newClient(t, probes.TLSOptions{Depth: probes.DepthCerts})
	e := c.open()
	e.Begin()
	if e.reader != nil || e.facts != nil {
		t.Error("memory is borrowed before the server has said anything")
	}
	says := hello12(nil)
	says = append(says, tlswire.AppendRecords(nil, tlswire.RecordHandshake, tlswire.TLS12, []byte{11, 3, 0xFF, 0xFF})...)
	says = append(says, tlswire.AppendRecords(nil, tlswire.RecordHandshake, tlswire.TLS12, make([]byte, 2*tlswire.MaxCertificateMessage))...)
	got := say(e, says)
	if got.Verdict != protocol.HandshakeRefused {
		t.Errorf("got verdict %d (%s)", got.Verdict, got.Reason)
	}
	if got.Finding.(*tlsfacts.Finding) == nil {
		t.Error("nothing is kept")
	}
}
