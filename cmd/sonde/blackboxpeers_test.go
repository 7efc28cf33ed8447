package main

import (
	"bufio"
	"crypto/tls"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sonde/internal/testcert"
	"sonde/internal/testpeer"
)

// blackboxPeers starts what both probers ask, and returns the addresses by the names that blackboxPairs has for them. What
// the modules need to trust them goes to dir.
func blackboxPeers(t *testing.T, dir string) map[string]string {
	creds, err := testpeer.NewCredentials()
	if err != nil {
		t.Fatal(err)
	}
	authority, err := testcert.NewAuthority("sonde \"test\", Ltd", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	peers := make(map[string]string)
	for _, about := range testpeer.Kinds() {
		if !about.Load {
			peers[string(about.Kind)] = testpeer.New(t, about.Kind, testpeer.Options{Credentials: creds}).Addr().String()
		}
	}
	peers["page"] = serveHTTP(t, listenOn(t, "127.0.0.1:0"))
	peers["other"] = serveHTTP(t, listenOn(t, "127.0.0.1:0"))
	peers["page6"] = serveHTTP(t, listenOn(t, "[::1]:0"))
	_, peers["port"], _ = net.SplitHostPort(peers["page"])
	for name, start := range tlsPeers(authority) {
		peers[name] = serveHTTP(t, tls.NewListener(listenOn(t, "127.0.0.1:0"), start(t)))
	}
	_, peers["securePort"], _ = net.SplitHostPort(peers["secure"])
	for name, talk := range talkers(t, authority) {
		peers[name] = serveTalk(t, talk)
	}

	client := issue(t, authority, testcert.Leaf{Names: []string{"client.test"}, Client: true})
	key, err := testcert.KeyPEM(client)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"ca.pem": slices.Concat(authority.PEM(), creds.RootPEM()), "client.pem": testcert.CertificatePEM(client.Certificate...), "client.key": key,
		"password": []byte("p\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return peers
}

func listenOn(t *testing.T, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func issue(t *testing.T, a *testcert.Authority, l testcert.Leaf) tls.Certificate {
	t.Helper()
	c, err := a.Issue(l)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tlsPeers are servers of HTTP over TLS: how each of them shakes hands.
func tlsPeers(authority *testcert.Authority) map[string]func(t *testing.T) *tls.Config {
	names := []string{"localhost", "127.0.0.1", "::1", "a.test", "*.b.test"}
	with := func(l testcert.Leaf, least, most uint16) func(t *testing.T) *tls.Config {
		return func(t *testing.T) *tls.Config {
			return &tls.Config{Certificates: []tls.Certificate{issue(t, authority, l)}, MinVersion: least, MaxVersion: most}
		}
	}
	return map[string]func(t *testing.T) *tls.Config{
		"secure":    with(testcert.Leaf{Names: names}, 0, 0),
		"secure12":  with(testcert.Leaf{Names: names, Key: testcert.RSA2048}, tls.VersionTLS12, tls.VersionTLS12),
		"secure13":  with(testcert.Leaf{Names: names, Key: testcert.ECDSAP384}, tls.VersionTLS13, tls.VersionTLS13),
		"secure11":  with(testcert.Leaf{Names: names}, tls.VersionTLS10, tls.VersionTLS11),
		"expired":   with(testcert.Leaf{Names: names, Validity: testcert.Expired}, 0, 0),
		"unborn":    with(testcert.Leaf{Names: names, Validity: testcert.NotYetValid}, 0, 0),
		"misnamed":  with(testcert.Leaf{Names: []string{"other.test"}}, 0, 0),
		"address":   with(testcert.Leaf{Names: []string{"127.0.0.1"}}, 0, 0),
		"self":      with(testcert.Leaf{Names: names, SelfSigned: true}, 0, 0),
		"chainless": with(testcert.Leaf{Names: names, OmitChain: true}, 0, 0),
		"longchain": with(testcert.Leaf{Names: names, ChainBytes: 20_000}, 0, 0),
		"choosy": func(t *testing.T) *tls.Config {
			c := with(testcert.Leaf{Names: names}, 0, 0)(t)
			c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, authority.Pool()
			return c
		},
		"alpn": func(t *testing.T) *tls.Config {
			c := with(testcert.Leaf{Names: names}, 0, 0)(t)
			c.NextProtos = []string{"h2", "http/1.1"}
			return c
		},
	}
}

// talkers are peers that speak, each as its function does; then the connection is closed.
func talkers(t *testing.T, authority *testcert.Authority) map[string]func(c net.Conn, lines *bufio.Scanner) {
	says := func(text string) func(net.Conn, *bufio.Scanner) {
		return func(c net.Conn, _ *bufio.Scanner) { _, _ = io.WriteString(c, text) }
	}
	upgrade := &tls.Config{Certificates: []tls.Certificate{issue(t, authority, testcert.Leaf{Names: []string{"127.0.0.1"}})}}
	all := map[string]func(net.Conn, *bufio.Scanner){
		"irc": func(c net.Conn, lines *bufio.Scanner) {
			_, _ = io.WriteString(c, ":irc.test NOTICE * :looking up\r\nPING :4711\r\n")
			for lines.Scan() {
				if lines.Text() == "PONG 4711" || lines.Text() == "PONG :4711" {
					_, _ = io.WriteString(c, ":irc.test 001 prober :welcome\r\n")
					return
				}
			}
		},
		"twolines": func(c net.Conn, lines *bufio.Scanner) {
			for _, want := range []string{"one", "two ${1}"} {
				if !lines.Scan() || lines.Text() != want {
					_ = c.(*net.TCPConn).SetLinger(0)
					return
				}
			}
		},
		"pong": func(c net.Conn, lines *bufio.Scanner) {
			if lines.Scan() && lines.Text() == "PING" {
				_, _ = io.WriteString(c, "+PONG\r\n")
			}
		},
		// What stands behind the answer to STARTTLS came in the clear, and could have come from anybody.
		"inject": func(c net.Conn, lines *bufio.Scanner) {
			_, _ = io.WriteString(c, "220 ready\r\n")
			if lines.Scan() {
				_, _ = io.WriteString(c, "220 go on\r\n250 injected\r\n")
				_ = tls.Server(c, upgrade).Handshake()
			}
		},
	}
	maps.Copy(all, map[string]func(net.Conn, *bufio.Scanner){
		"lastline":  says("220 no line end"),
		"manylines": says("one\r\ntwo\nthree\r\n\r\n220 four\r\n"),
		"cr":        says("220 a\rb\r\r\n"),
		"widest":    says(strings.Repeat("x", 60_000) + "\r\n220 ok\r\n"),
		"toowide":   says(strings.Repeat("x", 70_000) + "\r\n220 ok\r\n"),
		"binary":    says("\x00\xff\xfe\r\n220 ok\r\n"),
		"emptyline": says("\r\n"),
		"wrong":     says("554 no\r\n"),
	})
	return all
}

// serveTalk has each connection talked to until the test ends.
func serveTalk(t *testing.T, talk func(c net.Conn, lines *bufio.Scanner)) string {
	t.Helper()
	l := listenOn(t, "127.0.0.1:0")
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				talk(c, bufio.NewScanner(c))
				// A close with bytes unread would be a reset (RFC 1122 s.4.2.2.13).
				if half, ok := c.(*net.TCPConn); ok && half.CloseWrite() == nil {
					_, _ = io.Copy(io.Discard, c)
				}
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-over
	})
	return l.Addr().String()
}
