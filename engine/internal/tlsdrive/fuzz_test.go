package tlsdrive

import (
	"crypto/tls"
	"testing"

	"sonde/internal/tlsclient"
)

// FuzzHandshake feeds the driver any bytes in any pieces: from the start on, or after some real bytes of a server's
// flights, or after the handshake. Nothing panics, no more is taken than was given, and Close ends the coroutine.
//
// after says how many bytes of the real server come first; after a whole handshake the rest goes to Read.
func FuzzHandshake(f *testing.F) {
	f.Add(uint16(0), uint64(1), false, []byte("\x15\x03\x03\x00\x02\x02\x28"))
	f.Add(uint16(0), uint64(2), true, []byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Add(uint16(130), uint64(3), true, []byte("\x14\x03\x03\x00\x01\x01\x15\x03\x03\x00\x02\x02\x28"))
	f.Add(uint16(90), uint64(4), false, []byte("\x16\x03\x03\x00\x04\x0b\xff\xff\xff"))
	f.Add(uint16(60000), uint64(5), true, []byte("\x17\x03\x03\x00\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"))
	f.Add(uint16(60000), uint64(6), false, []byte("\x16\x03\x03\x00\x04\x00\x00\x00\x00"))
	f.Add(uint16(60000), uint64(7), true, []byte{})

	servers := map[bool]*tls.Config{
		false: serverConfig(f, tls.VersionTLS12, "ecdsa"),
		true:  serverConfig(f, tls.VersionTLS13, "ecdsa"),
	}
	cfg := config(f, tlsclient.Offer{ServerName: "a.test", ALPN: []string{"h2"}})
	f.Fuzz(func(t *testing.T, after uint16, seed uint64, tls13 bool, data []byte) {
		split := pieces(seed)
		d, p := New(cfg), newPeer(t, servers[tls13], handshakeOnly)
		if _, _, err := d.Handshake(nil); err != nil {
			t.Fatal(err)
		}
		co := d.wire.co
		done := genuine(t, d, p, int(after), split)
		for len(data) > 0 && !done {
			part := data[:split(len(data))]
			used, over, err := d.Handshake(part)
			if used < 0 || used > len(part) || over && err != nil || used < len(part) && !over && err == nil {
				t.Fatalf("took %d of %d bytes, done %v, %v", used, len(part), over, err)
			}
			data, done = data[used:], over
			flush(d, p, split)
			if err != nil {
				break
			}
		}
		if done {
			if d.wire.co != nil {
				t.Error("done, but the coroutine is there")
			}
			if plain, _ := receive(d, data, split, 100); len(plain) > 0 {
				t.Errorf("plaintext out of nothing: %q", plain)
			}
			_, _ = d.Write([]byte("still"))
		}
		d.Close()
		if co.err == errUnfinished {
			t.Error("the coroutine has not ended")
		}
	})
}

// genuine moves at most limit bytes from the server to the driver, and tells whether the handshake is done.
func genuine(t *testing.T, d *Driver, p *peer, limit int, split splitter) (done bool) {
	answer := flush(d, p, split)
	for limit > 0 && len(answer) > 0 {
		part := answer[:split(len(answer))]
		part = part[:min(len(part), limit)]
		limit -= len(part)
		used, done, err := d.Handshake(part)
		if err != nil {
			t.Fatalf("a real server: %v", err)
		}
		answer = append(answer[used:], flush(d, p, split)...)
		if done {
			if _, err := receive(d, answer, split, 100); err != nil {
				t.Fatalf("a real server's tickets: %v", err)
			}
			return true
		}
	}
	return false
}
