package tlsdrive

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"sonde/internal/tlsclient"
)

// afterwards reports goroutines above so many. The test's own ones have ended by then, as coroutines end within stop. But
// those of the runtime that clean up behind a collection count while they do, and go.
func afterwards(t *testing.T, most int) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); runtime.NumGoroutine() > most; runtime.Gosched() {
		if time.Now().After(limit) {
			t.Errorf("%d goroutines, want at most %d", runtime.NumGoroutine(), most)
			return
		}
	}
}

// transcript is what a server of this version sends in a whole handshake, by flights.
func transcript(t *testing.T, server *tls.Config, offer tlsclient.Offer) (flights [][]byte) {
	d, p := New(config(t, offer)), newPeer(t, server, handshakeOnly)
	defer d.Close()
	defer p.wire.co.stop()
	if _, _, err := d.Handshake(nil); err != nil {
		t.Fatal(err)
	}
	for done := false; !done; {
		flight := flush(d, p, whole)
		flights = append(flights, flight)
		var err error
		if _, done, err = d.Handshake(flight); err != nil {
			t.Fatal(err)
		}
	}
	return flights
}

// Close at any byte of any flight leaves no goroutine, and the state holds what the bytes until then told.
func TestCloseAnywhere(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, v := range versions {
		server := serverConfig(t, v, "ecdsa")
		offer := tlsclient.Offer{Certificates: []tls.Certificate{certify(t, "ecdsa", nil, nil)}}
		server.ClientAuth = tls.RequestClientCert
		flights := transcript(t, server, offer)
		for number, flight := range flights {
			for cut := 0; cut < len(flight); cut += 13 {
				d, p := New(config(t, offer)), newPeer(t, server, handshakeOnly)
				if _, _, err := d.Handshake(nil); err != nil {
					t.Fatal(err)
				}
				co := d.wire.co
				for range number {
					if _, _, err := d.Handshake(flush(d, p, whole)); err != nil {
						t.Fatal(err)
					}
				}
				answer := flush(d, p, whole)
				if used, done, err := d.Handshake(answer[:min(cut, len(answer))]); err != nil || done && used > cut {
					t.Fatalf("flight %d cut at %d: got %v, %v", number, cut, done, err)
				}
				d.Close()
				p.wire.co.stop()
				if d.wire.co != nil || co.err == errUnfinished {
					t.Fatalf("flight %d cut at %d: the coroutine has not ended", number, cut)
				}
				if s := d.State(); number > 0 && s.Version != v {
					t.Fatalf("flight %d cut at %d: version %#x forgotten", number, cut, s.Version)
				}
			}
		}
		afterwards(t, before)
	}
}

// A server may send its alert in each of its flights.
func TestAlerts(t *testing.T) {
	refuse := errors.New("no")
	tests := []struct {
		name   string
		change func(*tls.Config)
		late   bool // in TLS 1.3 the client is done by then
		want   tls.AlertError
	}{
		{"instead of a hello", func(c *tls.Config) {
			c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, refuse }
		}, false, 80},
		{"no common protocol", func(c *tls.Config) { c.NextProtos = []string{"h2"} }, false, 120},
		{"no certificate for the name", func(c *tls.Config) {
			c.Certificates = nil
			c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, refuse }
		}, false, 80},
		{"the client's certificate is bad", func(c *tls.Config) {
			c.ClientAuth = tls.RequireAnyClientCert
			c.VerifyConnection = func(tls.ConnectionState) error { return refuse }
		}, true, 42},
	}
	offer := tlsclient.Offer{ALPN: []string{"imap"}, Certificates: []tls.Certificate{certify(t, "rsa", nil, nil)}}
	for _, tt := range tests {
		for _, v := range versions {
			for name, split := range splits() {
				t.Run(tt.name+" "+tls.VersionName(v)+" "+name, func(t *testing.T) {
					server := serverConfig(t, v, "ecdsa")
					tt.change(server)
					d, p := start(t, offer), newPeer(t, server, handshakeOnly)
					rest, err := shake(t, d, p, split())
					if late := tt.late && v == tls.VersionTLS13; late != (err == nil) {
						t.Fatalf("the handshake ended with %v", err)
					}
					if err == nil {
						_, err = receive(d, rest, split(), 100)
					}
					var op *net.OpError
					if !errors.As(err, &op) || op.Op != "remote error" || op.Err.Error() != tt.want.Error() {
						t.Fatalf("got %v, want the alert %v", err, tt.want)
					}
					if d.wire.co != nil {
						t.Error("the coroutine is still there")
					}
				})
			}
		}
	}
}

func TestNotTLS(t *testing.T) {
	for _, said := range []string{"SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "220 mail\r\n", "\x00\x00\x00\x00\x00\x00"} {
		d := start(t, tlsclient.Offer{})
		if _, _, err := d.Handshake(nil); err != nil {
			t.Fatal(err)
		}
		used, done, err := d.Handshake([]byte(said))
		var header tls.RecordHeaderError
		if done || !errors.As(err, &header) || string(header.RecordHeader[:]) != said[:5] {
			t.Errorf("%q: got %d, %v, %v", said, used, done, err)
		}
		if _, again, err2 := d.Handshake([]byte(said)); again || err2 != err {
			t.Errorf("%q: then %v, %v", said, again, err2)
		}
		if _, _, err2 := d.Read(make([]byte, 1), nil); err2 != err {
			t.Errorf("%q: Read says %v", said, err2)
		}
	}
}

// A server that announces a certificate of 16 MB, and goes on for 64 MB, is refused at the announcement, and one that
// announces 256 KB costs no more than that.
func TestHugeCertificate(t *testing.T) {
	server := serverConfig(t, tls.VersionTLS12, "ecdsa")
	for _, announced := range []int{1<<24 - 1, 256<<10 + 1, 256 << 10} {
		d, p := start(t, tlsclient.Offer{}), newPeer(t, server, handshakeOnly)
		if _, _, err := d.Handshake(nil); err != nil {
			t.Fatal(err)
		}
		answer := flush(d, p, whole)
		hello := answer[:recordHeaderSize+int(binary.BigEndian.Uint16(answer[3:]))]
		if _, _, err := d.Handshake(hello); err != nil {
			t.Fatal(err)
		}

		record := append([]byte{22, 3, 3, 0x40, 0}, make([]byte, 1<<14)...)
		start := recordHeaderSize
		record[start] = 11 // Certificate, RFC 5246 s.7.4
		record[start+1], record[start+2], record[start+3] = byte(announced>>16), byte(announced>>8), byte(announced)
		taken, runs := 0, 0
		var err error
		var memory, later runtime.MemStats
		runtime.ReadMemStats(&memory)
		for taken < 64<<20 && err == nil {
			var used int
			used, _, err = d.Handshake(record)
			taken += used
			runs++
			copy(record[start:], make([]byte, 4))
		}
		runtime.ReadMemStats(&later)
		if err == nil {
			t.Fatalf("announced %d: not refused", announced)
		}
		if tooLong := strings.Contains(err.Error(), "exceeds maximum"); tooLong != (announced > 256<<10) || tooLong && runs != 1 {
			t.Errorf("announced %d: got %v after %d bytes", announced, err, taken)
		}
		if grown := later.TotalAlloc - memory.TotalAlloc; grown > 4<<20 {
			t.Errorf("announced %d: %d bytes allocated", announced, grown)
		}
	}
}

// Records that lead nowhere do not keep crypto/tls busy for ever.
func TestUselessRecords(t *testing.T) {
	d := start(t, tlsclient.Offer{})
	if _, _, err := d.Handshake(nil); err != nil {
		t.Fatal(err)
	}
	warning := []byte{21, 3, 3, 0, 2, 1, 90} // user_canceled, RFC 5246 s.7.2
	for i := range 100 {
		if _, _, err := d.Handshake(warning); err != nil {
			if i != 16 {
				t.Errorf("refused the record %d: %v", i, err)
			}
			return
		}
	}
	t.Error("100 warnings taken")
}

// usage is the heap in use and the stacks, once the collector has nothing more to find.
func usage() (heap, stack uint64) {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
		runtime.ReadMemStats(&m)
	}
	return m.HeapAlloc, m.StackInuse
}

// parked makes n drivers whose handshake is parked: most wait for the ServerHello, every tenth is some way into the
// server's flight.
func parked(t *testing.T, n int) []*Driver {
	cfg := config(t, tlsclient.Offer{})
	server := serverConfig(t, tls.VersionTLS13, "ecdsa")
	drivers := make([]*Driver, n)
	for i := range drivers {
		d := New(cfg)
		drivers[i] = d
		if _, _, err := d.Handshake(nil); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			p := &peer{}
			p.run(server, handshakeOnly)
			answer := flush(d, p, whole)
			p.wire.co.stop()
			if _, _, err := d.Handshake(answer[:(i/10)%len(answer)]); err != nil {
				t.Fatal(err)
			}
		}
	}
	return drivers
}

// 5,000 handshakes stopped half way: neither goroutines nor memory stay, although the drivers do.
func TestStoppedHandshakesLeaveNothing(t *testing.T) {
	const n = 5000
	closeAll := func(drivers []*Driver) {
		for _, d := range drivers {
			d.Close()
		}
	}
	// The runtime never gives back the descriptor of a goroutine, but uses it again: the first round pays for them.
	closeAll(parked(t, n))
	heap, stack := usage()
	// The goroutine of an earlier test may outlive it by a moment: there can be fewer than expected, never more.
	goroutines := runtime.NumGoroutine()
	drivers := parked(t, n)
	afterwards(t, goroutines+n)
	heapIn, stackIn := usage()
	t.Logf("%d B of heap and %d B of stack for a parked handshake", (heapIn-heap)/n, (stackIn-stack)/n)
	closeAll(drivers)
	afterwards(t, goroutines)

	// The Driver and its last state stay, less than 400 bytes.
	heapOut, stackOut := usage()
	t.Logf("%d B of heap for a closed driver", (int64(heapOut)-int64(heap))/n)
	if stays := (int64(heapOut) - int64(heap)) / n; stays > 500 {
		t.Errorf("%d bytes of heap stay for a closed driver", stays)
	}
	if stackOut > stack+1<<20 {
		t.Errorf("stacks went from %d to %d bytes", stack, stackOut)
	}
	runtime.KeepAlive(drivers)
}

// idle makes n idle connections of which only the client's end is left, and returns the heap that one takes.
func idle(t testing.TB, server *tls.Config, n int) (perConn uint64) {
	cfg := config(t, tlsclient.Offer{})
	drivers := make([]*Driver, n)
	before, _ := usage()
	for i := range drivers {
		d := New(cfg)
		p := &peer{}
		p.run(server, handshakeOnly)
		rest, err := shake(t, d, p, whole)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := receive(d, rest, whole, 64); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Write([]byte("ping")); err != nil {
			t.Fatal(err)
		}
		flush(d, p, whole)
		p.wire.co.stop()
		drivers[i] = d
	}
	after, _ := usage()
	for _, d := range drivers {
		d.Close()
	}
	return (after - before) / uint64(n)
}

// maxIdle is what an idle connection may keep on the heap, in bytes, when the server has one certificate. With a longer
// chain it keeps more, 8.1 KB for three: crypto/tls does not give back the buffers that the Certificate message went
// through, and nothing outside of it can.
const maxIdle = 6656

func TestIdleHeap(t *testing.T) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, kind := range []string{"rsa", "ecdsa"} {
			got := idle(t, serverConfig(t, v, kind), 300)
			t.Logf("%s %s: %d B", tls.VersionName(v), kind, got)
			if got > maxIdle {
				t.Errorf("%s %s: an idle connection keeps %d bytes, want at most %d", tls.VersionName(v), kind, got, maxIdle)
			}
		}
	}
}
