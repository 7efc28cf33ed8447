// Package testserver starts real servers for tests, each from a configuration of ours in a folder of its own, on free
// ports of 127.0.0.1:
//
//	in the clear  nginx, redis-server, sshd, exim, vsftpd, dovecot
//	over TLS      openssl s_server, nginx, haproxy, redis-server (OpenSSL's library), exim, slapd (GnuTLS)
//	STARTTLS      exim, dovecot, vsftpd, slapd, prosody, MariaDB, PostgreSQL
//	and a prober  blackbox_exporter
//
// Nothing of the machine's own configuration is read and no service is touched. Peers that misbehave are
// internal/testpeer's business.
//
// Each function returns when the server accepts connections. The server ends with the test, and with the test binary if
// that is killed. A server that is not installed skips the test and names the Debian package; scripts/test-setup installs
// them all but PostgreSQL.
package testserver

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

const (
	// startLimit is how long a server may take until it accepts: under the race detector on a busy machine sshd and
	// dovecot have taken a second.
	startLimit = 2 * time.Minute
	// stopLimit is how long a server may take to end by itself before it is killed. They have nothing to save; dovecot waits
	// for clients now and then that have left.
	stopLimit = 2 * time.Second
	// portTries is how many ports are tried: between finding a free one and the server's bind another process may take it.
	portTries = 4
)

// spec says how to run one server.
type spec struct {
	program string // looked up on PATH and in the sbin folders
	pkg     string // the Debian package, for the message of a skip
	ports   int    // how many ports it listens on
	// runAs is whom it runs as; nil is the test's own user.
	runAs *syscall.Credential
	// prepare writes what the server needs into dir and returns its arguments. It is called anew for each try.
	prepare func(t testing.TB, dir string, addrs []netip.AddrPort) []string
}

// process is a running server.
type process struct {
	cmd    *exec.Cmd
	output bytes.Buffer  // what it printed; read it only when done is closed
	done   chan struct{} // closed when the process has ended and been waited for
}

// start runs the server and returns its addresses.
func start(t testing.TB, s spec) []netip.AddrPort {
	t.Helper()
	path := lookup(t, s.program, s.pkg)
	for try := 1; ; try++ {
		addrs := freePorts(t, s.ports)
		dir := tempDir(t)
		p, err := launch(path, dir, s.prepare(t, dir, addrs), s.runAs)
		if err != nil {
			t.Fatalf("testserver: start %s: %v", s.program, err)
		}
		t.Cleanup(func() { p.stop(stopLimit) })
		err = p.ready(addrs)
		if err == nil {
			return addrs
		}
		p.stop(stopLimit)
		if try == portTries {
			t.Fatalf("testserver: %s on %v: %v\n%s", s.program, addrs, err, p.output.Bytes())
		}
	}
}

// lookup finds a server's program, or skips the test.
func lookup(t testing.TB, program, pkg string) string {
	t.Helper()
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path
		}
	}
	t.Skipf("testserver: no %s here (Debian package %s); scripts/test-setup installs it", program, pkg)
	return ""
}

// Servers listen on ports below those that the kernel gives to who wants any (ip_local_port_range in ip(7), from 32768 on): between
// the moment that a port is found free and that in which the server has it, another test may not get it by chance.
const firstPort, lastPort = 12000, 32000

// freePorts returns loopback addresses with ports that were free a moment ago, all different. They are even, and who has one listens
// on the port above it until its test ends: no test of another process is given it meanwhile, nor takes that one's server for its own.
func freePorts(t testing.TB, n int) []netip.AddrPort {
	t.Helper()
	addrs := make([]netip.AddrPort, 0, n)
	for tries := 0; len(addrs) < n; tries++ {
		port := firstPort + 2*rand.IntN((lastPort-firstPort)/2)
		claim, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port + 1})
		if err == nil {
			t.Cleanup(func() { claim.Close() })
			var l *net.TCPListener
			if l, err = net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}); err == nil {
				l.Close()
				addrs = append(addrs, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port)))
			}
		}
		if err != nil && tries == 1000 {
			t.Fatalf("testserver: find a free port: %v", err)
		}
	}
	return addrs
}

// tempDir makes a folder with a short name, since Unix sockets lie in it (sun_path has 108 bytes, unix(7)) and t.TempDir
// carries the test's name. Servers that drop root must be able to enter it.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sonde")
	if err != nil {
		t.Fatalf("testserver: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatalf("testserver: %v", err)
	}
	return dir
}

// launch starts the program. Its goroutine keeps one thread for the life of the process, because the parent-death signal
// of prctl(2) is sent when the thread that forked ends, not when the process does.
func launch(path, dir string, args []string, runAs *syscall.Credential) (*process, error) {
	p := &process{cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Stdout = &p.output
	p.cmd.Stderr = &p.output
	p.cmd.SysProcAttr = processAttr()
	p.cmd.SysProcAttr.Credential = runAs
	// The defaults that a distribution sets for every program would decide what versions and suites a server takes.
	p.cmd.Env = append(os.Environ(), "OPENSSL_CONF=/dev/null", "GNUTLS_SYSTEM_PRIORITY_FILE=/dev/null")
	// A child of the server that outlives it may hold its stdout: do not wait for that.
	p.cmd.WaitDelay = time.Second
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how it ended does not matter: ready reports an early end
		}
		close(p.done)
	}()
	return p, <-started
}

// ready waits until every address accepts a connection.
func (p *process) ready(addrs []netip.AddrPort) error {
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for _, addr := range addrs {
		for {
			conn, err := net.DialTimeout("tcp4", addr.String(), time.Second)
			if err == nil {
				conn.Close()
				break
			}
			select {
			case <-p.done:
				return fmt.Errorf("it ended by itself: %v", p.cmd.ProcessState)
			case <-limit.C:
				return fmt.Errorf("not ready after %v: %w", startLimit, err)
			case <-again.C:
			}
		}
	}
	return nil
}

// stop ends the server and what it started, by SIGTERM and after limit by SIGKILL, and returns when it is gone. It may be
// called again.
func (p *process) stop(limit time.Duration) {
	select {
	case <-p.done:
		return // its pid may belong to another process by now
	default:
	}
	// The server leads a process group of its own (processAttr). Its children are told as well: dovecot's would live on for
	// a second. Should all of them end this very moment, the kernel does not give their id to others so soon.
	group := -p.cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		_ = syscall.Kill(group, syscall.SIGKILL)
		<-p.done
	}
}

// write puts a file into dir and returns its path.
func write(t testing.TB, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatalf("testserver: %v", err)
	}
	return path
}

// mkdir makes a folder in dir and returns its path.
func mkdir(t testing.TB, dir, name string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.Mkdir(path, mode); err != nil {
		t.Fatalf("testserver: %v", err)
	}
	// Mkdir's mode is cut by the umask.
	if err := os.Chmod(path, mode); err != nil {
		t.Fatalf("testserver: %v", err)
	}
	return path
}
