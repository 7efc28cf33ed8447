package testserver

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"sonde/internal/testcert"
)

// LDAPTLS starts slapd (GnuTLS in Debian) without any data and returns it: StartTLS (RFC 4511 s.4.14) on one port, TLS from
// the first byte on another. It asks for a client certificate without insisting on one.
func LDAPTLS(t testing.TB) *TLSServer {
	t.Helper()
	id := newIdentity(t, testcert.Leaf{})
	prepare := func(t testing.TB, dir string, addrs []netip.AddrPort) []string {
		conf := fmt.Sprintf(`pidfile %[1]s/slapd.pid
TLSCertificateFile %[2]s
TLSCertificateKeyFile %[3]s
TLSCACertificateFile %[4]s
TLSVerifyClient try
`, dir, id.chain, id.key, id.root)
		return []string{
			"-d", "0", // any -d keeps it in the foreground
			"-f", write(t, dir, "slapd.conf", conf, 0o600), "-h", fmt.Sprintf("ldap://%v/ ldaps://%v/", addrs[0], addrs[1]),
		}
	}
	addrs := start(t, spec{program: "slapd", pkg: "slapd", ports: 2, prepare: prepare})
	id.server.StartTLS, id.server.Direct, id.server.words = addrs[0], addrs[1], ldapWords
	return id.server
}

// XMPPTLS starts prosody (OpenSSL's library) with STARTTLS for clients (RFC 6120 s.5) and returns it. Its one host is
// ServerName; who opens a stream to no host or another one is sent away.
func XMPPTLS(t testing.TB) *TLSServer {
	t.Helper()
	id := newIdentity(t, testcert.Leaf{})
	prepare := func(t testing.TB, dir string, addrs []netip.AddrPort) []string {
		conf := fmt.Sprintf(`
run_as_root = true
daemonize = false
pidfile = "%[1]s/prosody.pid"
data_path = "%[1]s"
certificates = "%[1]s"
log = { warn = "*console" }
interfaces = { "%[2]s" }
c2s_ports = { %[3]d }
modules_enabled = { "tls", "saslauth" }
modules_disabled = { "s2s" }
authentication = "internal_hashed"
c2s_require_encryption = true
VirtualHost "%[4]s"
	ssl = { certificate = "%[5]s", key = "%[6]s" }
`, dir, addrs[0].Addr(), addrs[0].Port(), ServerName, id.chain, id.key)
		return []string{"-F", "--config", write(t, dir, "prosody.cfg.lua", conf, 0o600)}
	}
	id.server.StartTLS = start(t, spec{program: "prosody", pkg: "prosody", ports: 1, prepare: prepare})[0]
	id.server.words = xmppWords
	return id.server
}

// MySQLTLS starts MariaDB's server (OpenSSL's library), without tables of users, and returns it. A client asks for TLS in
// the packet SSLRequest.
func MySQLTLS(t testing.TB) *TLSServer {
	t.Helper()
	id := newIdentity(t, testcert.Leaf{})
	prepare := func(t testing.TB, dir string, addrs []netip.AddrPort) []string {
		args := []string{
			"--no-defaults", "--datadir=" + mkdir(t, dir, "data", 0o700), "--socket=" + filepath.Join(dir, "socket"),
			"--pid-file=" + filepath.Join(dir, "pid"), "--bind-address=" + addrs[0].Addr().String(), fmt.Sprintf("--port=%d", addrs[0].Port()),
			"--skip-grant-tables", "--skip-networking=0", // which the former would set
			"--skip-innodb", "--default-storage-engine=Aria", "--skip-log-bin",
			"--ssl-cert=" + id.chain, "--ssl-key=" + id.key,
		}
		if os.Geteuid() == 0 {
			args = append(args, "--user=root")
		}
		return args
	}
	id.server.StartTLS = start(t, spec{program: "mariadbd", pkg: "mariadb-server-core", ports: 1, prepare: prepare})[0]
	id.server.words = mysqlWords
	return id.server
}

// PostgresTLS starts PostgreSQL (OpenSSL's library) with an empty cluster and returns it. A client asks for TLS in the
// message SSLRequest (PostgreSQL's manual, "Message Flow"). It refuses to run as root, and runs as nobody then.
// scripts/test-setup does not install it.
func PostgresTLS(t testing.TB) *TLSServer {
	t.Helper()
	programs := postgresPrograms(t)
	id := newIdentity(t, testcert.Leaf{})
	runAs := unprivileged(t)
	if runAs != nil {
		for _, path := range []string{id.folder, id.key} {
			chown(t, path, runAs)
		}
	}
	prepare := func(t testing.TB, dir string, addrs []netip.AddrPort) []string {
		if runAs != nil {
			chown(t, dir, runAs)
		}
		data := filepath.Join(dir, "data")
		// No sync: what is lost in a crash of the machine is not missed.
		initdb := exec.Command(filepath.Join(programs, "initdb"), "-D", data, "-U", "sonde", "-A", "trust", "--no-sync",
			"--locale=C", "-E", "UTF8", "--no-instructions")
		initdb.SysProcAttr = processAttr()
		initdb.SysProcAttr.Credential = runAs
		initdb.Dir = dir
		out, err := func() ([]byte, error) {
			runtime.LockOSThread() // or the end of some thread is the end of initdb, see launch
			defer runtime.UnlockOSThread()
			return initdb.CombinedOutput()
		}()
		if err != nil {
			t.Fatalf("testserver: initdb: %v\n%s", err, out)
		}
		args := []string{"-D", data}
		for _, setting := range []string{
			"listen_addresses=" + addrs[0].Addr().String(), fmt.Sprintf("port=%d", addrs[0].Port()), "unix_socket_directories=" + dir,
			"ssl=on", "ssl_cert_file=" + id.chain, "ssl_key_file=" + id.key, "fsync=off", "shared_buffers=1MB", "max_connections=20",
		} {
			args = append(args, "-c", setting)
		}
		return args
	}
	s := spec{program: filepath.Join(programs, "postgres"), pkg: "postgresql", ports: 1, runAs: runAs, prepare: prepare}
	id.server.StartTLS, id.server.words = start(t, s)[0], postgresWords
	return id.server
}

// postgresPrograms is the folder of the newest PostgreSQL here: Debian keeps its versions side by side and off the PATH.
func postgresPrograms(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		t.Skip("testserver: no PostgreSQL here (Debian package postgresql); scripts/test-setup does not install it, for its size")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1])
}

// unprivileged is nobody if the test runs as root, nil if it does not.
func unprivileged(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skipf("testserver: as root a user is needed who is not: %v", err)
	}
	uid, err1 := strconv.ParseUint(nobody.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(nobody.Gid, 10, 32)
	if err1 != nil || err2 != nil {
		t.Fatalf("testserver: user nobody is %s, group %s: not numbers", nobody.Uid, nobody.Gid)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func chown(t testing.TB, path string, to *syscall.Credential) {
	t.Helper()
	if err := os.Chown(path, int(to.Uid), int(to.Gid)); err != nil {
		t.Fatalf("testserver: %v", err)
	}
}
