package main

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	// modified is when the pages were made that say so.
	modified = "Wed, 21 Oct 2015 07:28:00 GMT"
	wireOK   = "HTTP/1.1 200 OK\r\n"
)

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
	if answer, ok := wirePages[first]; ok {
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
		panic(http.ErrAbortHandler) // a return would be an answer, and who is about to leave might hear it
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

// wirePages are answers byte by byte, after which the connection is closed.
var wirePages = map[string]string{
	"cut":           wireOK + "Content-Length: 100\r\nLast-Modified: " + modified + "\r\n\r\nhello",
	"cutchunk":      wireOK + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	"badchunk":      wireOK + "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
	"trailer":       wireOK + "Transfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
	"version10":     "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	"untilclose":    "HTTP/1.0 200 OK\r\n\r\nhello world",
	"untilclose11":  wireOK + "\r\nhello world",
	"garbage":       "SSH-2.0-OpenSSH\r\n",
	"nobytes":       "",
	"halfhead":      wireOK + "Content-",
	"continue":      "HTTP/1.1 100 Continue\r\n\r\n" + wireOK + "Content-Length: 5\r\n\r\nhello",
	"hints":         "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + wireOK + "Content-Length: 5\r\n\r\nhello",
	"badmodified":   wireOK + "Last-Modified: yesterday\r\nContent-Length: 5\r\n\r\nhello",
	"asctime":       wireOK + "Last-Modified: Wed Oct 21 07:28:00 2015\r\nContent-Length: 5\r\n\r\nhello",
	"rfc850":        wireOK + "Last-Modified: Wednesday, 21-Oct-15 07:28:00 GMT\r\nContent-Length: 5\r\n\r\nhello",
	"noreason":      "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello",
	"badstatus":     "HTTP/1.1 2x0 OK\r\n\r\n",
	"nolocation":    "HTTP/1.1 302 Found\r\nContent-Length: 5\r\n\r\nhello",
	"emptylocation": "HTTP/1.1 302 Found\r\nLocation:\r\nContent-Length: 5\r\n\r\nhello",
	"pipelined":     wireOK + "Content-Length: 5\r\n\r\nhello" + wireOK + "Content-Length: 3\r\n\r\nbye",
	"lfonly":        "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
	"bothlengths":   wireOK + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"twolengths":    wireOK + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
	"badlength":     wireOK + "Content-Length: five\r\n\r\nhello",
	"switching":     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
	"only100":       "HTTP/1.1 100 Continue\r\n\r\n",
	"many100":       strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 5) + wireOK + "Content-Length: 5\r\n\r\nhello",
	"toomany100":    strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 6) + wireOK + "Content-Length: 5\r\n\r\nhello",
	"status600":     "HTTP/1.1 600 What\r\nContent-Length: 5\r\n\r\nhello",
	"status999":     "HTTP/1.1 999 What\r\nContent-Length: 5\r\n\r\nhello",
	"status1000":    "HTTP/1.1 1000 What\r\nContent-Length: 5\r\n\r\nhello",
	"status099":     "HTTP/1.1 099 What\r\nContent-Length: 5\r\n\r\nhello",
	"version12":     "HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	"version20":     "HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	"version09":     "HTTP/0.9 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	"lowerversion":  "http/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	"blankfirst":    "\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	"chunkext":      wireOK + "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0;c\r\n\r\n",
	"upperchunked":  wireOK + "Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"gzipchunked":   wireOK + "Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"transferid":    wireOK + "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
	"chunked10":     "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"pluslength":    wireOK + "Content-Length: +5\r\n\r\nhello",
	"negative":      wireOK + "Content-Length: -5\r\n\r\nhello",
	"samelengths":   wireOK + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
	"lengthlist":    wireOK + "Content-Length: 5, 5\r\n\r\nhello",
	"emptylength":   wireOK + "Content-Length:\r\n\r\nhello",
	"hugelength":    wireOK + "Content-Length: 99999999999999999999\r\n\r\nhello",
	"nocolon":       wireOK + "Server x\r\nContent-Length: 5\r\n\r\nhello",
	"spacecolon":    wireOK + "Server : x\r\nContent-Length: 5\r\n\r\nhello",
	"folded":        wireOK + "X-Many: one\r\n two\r\nContent-Length: 5\r\n\r\nhello",
	"emptyname":     wireOK + ": x\r\nContent-Length: 5\r\n\r\nhello",
	"foreign":       wireOK + "X-Many: \xe9\xff\r\nContent-Length: 5\r\n\r\nhello",
	"manyfields":    wireOK + strings.Repeat("X-Many: one\r\n", 1000) + "Content-Length: 5\r\n\r\nhello",
	"full204":       "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
	"full304":       "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
	"zerobytes":     wireOK + "Content-Length: 0\r\n\r\n",
	"morebytes":     wireOK + "Content-Length: 2\r\n\r\nhello",
	"twolocations":  "HTTP/1.1 302 Found\r\nLocation: /hello\r\nLocation: /missing\r\nContent-Length: 0\r\n\r\n",
	"cutlocation":   "HTTP/1.1 302 Found\r\nLocation: /hello\r\nContent-Length: 100\r\n\r\nhel",
	"longhead":      wireOK + "X-Long: " + strings.Repeat("x", 40_000) + "\r\nContent-Length: 5\r\n\r\nhello",
}
