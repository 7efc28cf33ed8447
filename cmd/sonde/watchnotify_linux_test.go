package main

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serviceManager is systemd, as far as sd_notify(3) goes, with a sonde watch that it runs.
type serviceManager struct {
	t      *testing.T
	socket *net.UnixConn
	file   string // the configuration
	watch  *exec.Cmd
	said   lockedBuffer
}

// startService runs a watch, until the test ends.
func startService(t *testing.T, config string) *serviceManager {
	t.Helper()
	dir, err := os.MkdirTemp("", "sonde") // sun_path has 108 bytes, unix(7)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := &serviceManager{t: t, file: filepath.Join(dir, "watch.yml")}
	m.socket, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.socket.Close() })
	m.write(config)
	m.watch = exec.Command("sonde", "watch", "--config", m.file, "--listen", "127.0.0.1:0")
	m.watch.Env = append(os.Environ(), "NOTIFY_SOCKET="+m.socket.LocalAddr().String(), "GORACE=atexit_sleep_ms=10 "+os.Getenv("GORACE"))
	m.watch.Stderr = &m.said
	if err := m.watch.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if m.watch.ProcessState == nil {
			_ = m.watch.Process.Kill()
			_ = m.watch.Wait()
		}
		if t.Failed() {
			t.Log(m.said.String())
		}
	})
	return m
}

// page is where the watch answers, once it says so.
func (m *serviceManager) page() string {
	m.t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-ticker.C {
		if at := servedAt.FindStringSubmatch(m.said.String()); at != nil {
			return at[1]
		}
	}
	m.t.Fatal("it does not say where it answers")
	return ""
}

func (m *serviceManager) write(config string) {
	m.t.Helper()
	if err := os.WriteFile(m.file, []byte(config), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func (m *serviceManager) signal(s syscall.Signal) {
	m.t.Helper()
	if err := m.watch.Process.Signal(s); err != nil {
		m.t.Fatal(err)
	}
}

// hear is the next thing that the manager is told.
func (m *serviceManager) hear() string {
	m.t.Helper()
	if err := m.socket.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		m.t.Fatal(err)
	}
	message := make([]byte, 4096)
	n, err := m.socket.Read(message)
	if err != nil {
		m.t.Fatalf("the manager hears nothing: %v", err)
	}
	return strings.TrimSpace(string(message[:n]))
}

func (m *serviceManager) expect(want string) {
	m.t.Helper()
	if got := m.hear(); got != want {
		m.t.Fatalf("the manager hears %q, want %q", got, want)
	}
}

// TestWatchNotify: READY=1 when the watch is ready, RELOADING=1 with the moment and then READY=1 around a reload, of a file that
// is bad too, and STOPPING=1.
func TestWatchNotify(t *testing.T) {
	t.Parallel()
	m := startService(t, "modules: {port: {probe: tcp}}\njobs: [{name: ports, module: port, targets: [\"127.0.0.1:9\"]}]\n")
	m.expect("READY=1")
	res, err := http.Get(m.page() + "/-/ready")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("READY=1, and /-/ready answers %s", res.Status)
	}
	for _, config := range []string{"modules: {port: {probe: redis}}\n", "modules: [none]\n"} {
		m.write(config)
		m.signal(syscall.SIGHUP)
		state, at, _ := strings.Cut(m.hear(), "\n")
		moment, err := strconv.ParseUint(strings.TrimPrefix(at, "MONOTONIC_USEC="), 10, 64)
		if state != "RELOADING=1" || err != nil || moment == 0 {
			t.Errorf("the manager hears %q and %q, want RELOADING=1 and the moment", state, at)
		}
		m.expect("READY=1")
	}
	m.signal(syscall.SIGTERM)
	m.expect("STOPPING=1")
	if err := m.watch.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// TestWatchNotReady has a watch whose file is bad tell its manager nothing, and end.
func TestWatchNotReady(t *testing.T) {
	t.Parallel()
	m := startService(t, "modules: [none]\n")
	if m.watch.Wait() == nil {
		t.Error("it ended as if all were well")
	}
	c, err := net.DialUnix("unixgram", nil, m.socket.LocalAddr().(*net.UnixAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("behind it")); err != nil {
		t.Fatal(err)
	}
	m.expect("behind it")
}
