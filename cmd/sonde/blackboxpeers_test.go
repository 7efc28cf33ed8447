package main

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sonde/internal/testcert"
	"sonde/internal/testpeer"
)

// The times of peers that say when something was made.
const modified = "Wed, 21 Oct 2015 07:28:00 GMT"

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

// serveHTTP serves answerPage until the test ends.
func serveHTTP(t *testing.T, l net.Listener) string {
	t.Helper()
	s := &http.Server{
		Handler: http.HandlerFunc(answerPage), ErrorLog: log.New(io.Discard, "", 0),
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // no HTTP/2
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Close()
		<-over
	})
	return l.Addr().String()
}

// answerPage answers by the path's first element.
func answerPage(w http.ResponseWriter, r *http.Request) {
	first, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if answer, ok := wirePages()[first]; ok {
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = io.WriteString(c, answer)
			c.Close()
		}
		return
	}
	if page, ok := codedPages()[first]; ok {
		if first != "packed-unsaid" {
			w.Header().Set("Content-Encoding", page.coding)
		}
		_, _ = w.Write(page.body)
		return
	}
	switch first {
	case "", "hello":
		w.Header().Set("Last-Modified", modified)
		_, _ = io.WriteString(w, "hello world")
	case "request":
		answerRequest(w, r)
	case "chunked":
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, "hello world")
	case "nothing":
		w.WriteHeader(http.StatusOK)
	case "large":
		_, _ = io.WriteString(w, strings.Repeat("x", 5000))
	case "huge":
		_, _ = io.WriteString(w, strings.Repeat("hello ", 50_000))
	case "silent":
		<-r.Context().Done()
	case "basic":
		if user, password, _ := r.BasicAuth(); user != "u" || password != "p" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	case "bearer":
		if r.Header.Get("Authorization") != "Bearer token" {
			w.WriteHeader(http.StatusForbidden)
		}
	case "cookie":
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: "yes", Path: "/"})
		w.Header().Set("Location", "/seen")
		w.WriteHeader(http.StatusFound)
	case "seen":
		if _, err := r.Cookie("seen"); err != nil {
			w.WriteHeader(http.StatusTeapot)
		}
	case "status", "to", "after":
		answerStatus(w, r, first, rest)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// answerRequest tells what was asked.
func answerRequest(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	sni := "none"
	if r.TLS != nil {
		sni = r.TLS.ServerName
	}
	agent := r.UserAgent()
	if agent == "sonde" || strings.HasPrefix(agent, "Blackbox Exporter/") {
		agent = "the prober"
	}
	fmt.Fprintf(w, "method=%s\nhost=%s\nsni=%s\nagent=%s\nkey=%s\ncookie=%s\nconnection=%s\naccept=%s\nencoding=%s\nlength=%d\nbody=%s\n", r.Method, r.Host,
		sni, agent, r.Header.Get("X-Key"), r.Header.Get("Cookie"), r.Header.Get("Connection"), r.Header.Get("Accept"),
		r.Header.Get("Accept-Encoding"), r.ContentLength, body)
}

// answerStatus answers /status/N, /to/N?URL, which leads to the URL, and /after/N/M, which leads to itself M times and then
// to /request.
func answerStatus(w http.ResponseWriter, r *http.Request, how, rest string) {
	code, left, _ := strings.Cut(rest, "/")
	status, err := strconv.Atoi(code)
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	switch how {
	case "to":
		where, _ := url.QueryUnescape(r.URL.RawQuery)
		w.Header()["Location"] = []string{where}
	case "after":
		times, _ := strconv.Atoi(left)
		where := "/request"
		if times > 1 {
			where = fmt.Sprintf("/after/%d/%d", status, times-1)
		}
		w.Header().Set("Location", where)
	}
	w.Header().Add("X-Many", "one")
	w.Header().Add("X-Many", "two")
	w.WriteHeader(status)
	if status >= http.StatusOK && status != http.StatusNoContent && status != http.StatusNotModified {
		_, _ = io.WriteString(w, "present; redirected")
	}
}

// wirePages are answers byte by byte, after which the connection is closed.
func wirePages() map[string]string {
	const ok = "HTTP/1.1 200 OK\r\n"
	return map[string]string{
		"cut":           ok + "Content-Length: 100\r\nLast-Modified: " + modified + "\r\n\r\nhello",
		"cutchunk":      ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"badchunk":      ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
		"trailer":       ok + "Transfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
		"version10":     "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"untilclose":    "HTTP/1.0 200 OK\r\n\r\nhello world",
		"untilclose11":  ok + "\r\nhello world",
		"garbage":       "SSH-2.0-OpenSSH\r\n",
		"nobytes":       "",
		"halfhead":      ok + "Content-",
		"continue":      "HTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Length: 5\r\n\r\nhello",
		"hints":         "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + ok + "Content-Length: 5\r\n\r\nhello",
		"badmodified":   ok + "Last-Modified: yesterday\r\nContent-Length: 5\r\n\r\nhello",
		"asctime":       ok + "Last-Modified: Wed Oct 21 07:28:00 2015\r\nContent-Length: 5\r\n\r\nhello",
		"rfc850":        ok + "Last-Modified: Wednesday, 21-Oct-15 07:28:00 GMT\r\nContent-Length: 5\r\n\r\nhello",
		"noreason":      "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello",
		"badstatus":     "HTTP/1.1 2x0 OK\r\n\r\n",
		"nolocation":    "HTTP/1.1 302 Found\r\nContent-Length: 5\r\n\r\nhello",
		"emptylocation": "HTTP/1.1 302 Found\r\nLocation:\r\nContent-Length: 5\r\n\r\nhello",
		"pipelined":     ok + "Content-Length: 5\r\n\r\nhello" + ok + "Content-Length: 3\r\n\r\nbye",
		"lfonly":        "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
		"bothlengths":   ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"twolengths":    ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
		"badlength":     ok + "Content-Length: five\r\n\r\nhello",
		"longhead":      ok + "X-Long: " + strings.Repeat("x", 40_000) + "\r\nContent-Length: 5\r\n\r\nhello",
	}
}

type codedPage struct {
	coding string
	body   []byte
}

// codedPages are pages in a content coding (RFC 9110 s.8.4.1), and some that only say so.
func codedPages() map[string]codedPage {
	text := []byte(strings.Repeat("hello ", 100))
	pack := func(w io.WriteCloser, b *bytes.Buffer) []byte {
		_, _ = w.Write(text)
		w.Close()
		return b.Bytes()
	}
	var zipped, deflated, wrapped bytes.Buffer
	zip := pack(gzip.NewWriter(&zipped), &zipped)
	raw, _ := flate.NewWriter(&deflated, flate.BestCompression)
	deflate := pack(raw, &deflated)
	return map[string]codedPage{
		"packed":        {"gzip", zip},
		"packed-unsaid": {"", zip},
		"packed-cut":    {"gzip", zip[:len(zip)-6]},
		"packed-twice":  {"gzip", slices.Concat(zip, zip)},
		"packed-junk":   {"gzip", slices.Concat(zip, []byte("junk"))},
		"packed-not":    {"gzip", text},
		"deflated":      {"deflate", deflate},
		"wrapped":       {"deflate", pack(zlib.NewWriter(&wrapped), &wrapped)},
		"coded-not":     {"identity", text},
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
