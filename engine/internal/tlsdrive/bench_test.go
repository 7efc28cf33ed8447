package tlsdrive

import (
	"crypto/tls"
	"net"
	"testing"

	"sonde/internal/tlsclient"
)

// BenchmarkHandshake is a whole handshake, the server's part included, by the driver and by a plain client over net.Pipe
// with a goroutine at each end.
func BenchmarkHandshake(b *testing.B) {
	server := serverConfig(b, tls.VersionTLS13, "ecdsa")
	cfg := config(b, tlsclient.Offer{})
	b.Run("driver", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d, p := New(cfg), &peer{}
			p.run(server, (*tls.Conn).Handshake)
			if _, err := shake(b, d, p, whole); err != nil {
				b.Fatal(err)
			}
			d.Close()
			p.wire.co.stop()
		}
	})
	b.Run("pipe", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			near, far := net.Pipe()
			served := make(chan error, 1)
			go func() { served <- tls.Server(far, server).Handshake() }()
			c := tls.Client(near, cfg)
			if err := c.Handshake(); err != nil {
				b.Fatal(err)
			}
			// The server writes its tickets before it is done.
			go func() { _, _ = c.Read(make([]byte, 1)) }()
			if err := <-served; err != nil {
				b.Fatal(err)
			}
			near.Close()
			far.Close()
		}
	})
}

// BenchmarkIdle reports the heap that one of 10,000 idle connections keeps. rsa has one certificate of 2048 bits, chain
// an ECDSA leaf under two RSA authorities, as public servers have.
func BenchmarkIdle(b *testing.B) {
	root := certify(b, "rsa", nil, nil)
	middle := certify(b, "rsa", nil, &root)
	chain := certify(b, "ecdsa", nil, &middle)
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for name, cert := range map[string]tls.Certificate{"rsa": root, "chain": chain} {
			b.Run(tls.VersionName(v)+"/"+name, func(b *testing.B) {
				server := serverConfig(b, v, "rsa")
				server.Certificates = []tls.Certificate{cert}
				var per uint64
				for b.Loop() {
					per = idle(b, server, 10000)
				}
				b.ReportMetric(float64(per), "B/conn")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkRead is one record of 1 KiB.
func BenchmarkRead(b *testing.B) {
	d, p := start(b, tlsclient.Offer{}), newPeer(b, serverConfig(b, tls.VersionTLS13, "ecdsa"), handshakeOnly)
	rest, err := shake(b, d, p, whole)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := receive(d, rest, whole, 100); err != nil {
		b.Fatal(err)
	}
	message, buf := make([]byte, 1024), make([]byte, 4096)
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.conn.Write(message); err != nil {
			b.Fatal(err)
		}
		if n, _, err := d.Read(buf, p.wire.out); n != len(message) || err != nil {
			b.Fatal(n, err)
		}
		p.wire.out = p.wire.out[:0]
	}
}
