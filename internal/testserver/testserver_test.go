package testserver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestGreetings talks to each server with nothing but package net.
func TestGreetings(t *testing.T) {
	tests := map[string]struct {
		start func(t testing.TB) netip.AddrPort
		send  string
		want  string // prefix of the first line
	}{
		"nginx":          {Nginx, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK"},
		"nginx broken":   {Nginx, "GET /broken HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 503 "},
		"redis":          {func(t testing.TB) netip.AddrPort { return Redis(t, "") }, "PING\r\n", "+PONG"},
		"redis password": {func(t testing.TB) netip.AddrPort { return Redis(t, "pw") }, "PING\r\n", "-NOAUTH "},
		"ssh":            {SSH, "", "SSH-2.0-OpenSSH_"},
		"smtp":           {SMTP, "", "220 mail.sonde.test "},
		"ftp":            {FTP, "", "220 sonde test FTP"},
		"imap":           {IMAP, "", "* OK "},
		"pop3":           {POP3, "", "+OK sonde test mail"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, tt.start(t))
			if _, err := io.WriteString(conn, tt.send); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil {
				t.Fatalf("read: %v (got %q)", err, line)
			}
			if !strings.HasPrefix(line, tt.want) {
				t.Errorf("got %q, want prefix %q", line, tt.want)
			}
		})
	}
}

// TestNginxChunked keeps the promise that one page comes in chunks: parsers are tested with it.
func TestNginxChunked(t *testing.T) {
	conn := dial(t, Nginx(t))
	io.WriteString(conn, "GET /chunked HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	if !strings.Contains(head, "Transfer-Encoding: chunked") {
		t.Errorf("got head %q, want Transfer-Encoding: chunked", head)
	}
	if want := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(NginxBody), NginxBody); body != want {
		t.Errorf("got body %q, want %q", body, want)
	}
}

// TestServerEndsWithItsTest starts a server in a subtest and finds its port closed after it.
func TestServerEndsWithItsTest(t *testing.T) {
	var addr netip.AddrPort
	t.Run("inner", func(t *testing.T) { addr = Redis(t, "") })
	if !addr.IsValid() {
		t.Skip("redis-server is not installed (the inner test says more)")
	}
	conn, err := net.DialTimeout("tcp4", addr.String(), time.Minute)
	if err == nil {
		conn.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial after the test: got %v, want connection refused", err)
	}
}

// TestEarlyEnd has a server that ends at once reported, with its words, instead of waited for.
func TestEarlyEnd(t *testing.T) {
	p, err := launch("/bin/sh", t.TempDir(), []string{"-c", "echo no such option; exit 3"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop(stopLimit)
	err = p.ready(freePorts(t, 1))
	if err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got error %v, want one that tells exit status 3", err)
	}
	if got, want := p.output.String(), "no such option\n"; got != want {
		t.Errorf("got output %q, want %q", got, want)
	}
}

// TestStopKills ends a server that takes no notice of SIGTERM, with the child that it started: the child holds a FIFO
// open for writing (fifo(7)), which reads as ended when the last of them is gone.
func TestStopKills(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := launch("/bin/sh", dir, []string{"-c", `trap "" TERM; exec 9>fifo; sleep 600`}, nil)
	if err != nil {
		t.Fatal(err)
	}
	held, err := os.Open(fifo) // waits for the writer
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	p.stop(50 * time.Millisecond)
	p.stop(50 * time.Millisecond)
	if err := held.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(held); err != nil {
		t.Errorf("the child still holds its file: %v", err)
	}
}

func dial(t *testing.T, addr netip.AddrPort) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp4", addr.String(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	return conn
}
