package testserver

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"testing"
)

// NginxBody is what the nginx server answers at "/", with a Content-Length (RFC 9110 s.8.6).
const NginxBody = "sonde test page\n"

// Nginx starts nginx and returns its address. It serves HTTP/1.1:
//
//	/         200, NginxBody
//	/chunked  200, NginxBody in chunked transfer coding (RFC 9112 s.7.1)
//	/moved    301 to /
//	/broken   503
//	/silent   closes the connection without an answer
//	other     404
func Nginx(t testing.TB) netip.AddrPort {
	t.Helper()
	return start(t, spec{program: "nginx", pkg: "nginx-light", ports: 1, prepare: prepareNginx})[0]
}

func prepareNginx(t testing.TB, dir string, addrs []netip.AddrPort) []string {
	write(t, mkdir(t, dir, "www", 0o755), "chunked", NginxBody, 0o644)
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // the workers would drop to nobody, who may not enter a private TMPDIR
	}
	conf := fmt.Sprintf(`
daemon off;
worker_processes 1;
%[3]s
pid %[1]s/nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	default_type text/plain;
	server {
		listen %[2]s backlog=4096;
		root %[1]s/www;
		location = / { return 200 "%[4]s"; }
		# Server-side includes leave the length of the answer open, so nginx sends it in chunks.
		location = /chunked { ssi on; ssi_types text/plain; }
		location = /moved { return 301 /; }
		location = /broken { return 503; }
		location = /silent { return 444; }
		location / { return 404; }
	}
}
`, dir, addrs[0], user, NginxBody)
	return []string{"-p", dir, "-e", "stderr", "-c", write(t, dir, "nginx.conf", conf, 0o644)}
}

// Redis starts redis-server and returns its address. With a password that is not empty each connection must give it
// first (AUTH); PING then answers -NOAUTH.
func Redis(t testing.TB, password string) netip.AddrPort {
	t.Helper()
	prepare := func(_ testing.TB, dir string, addrs []netip.AddrPort) []string {
		args := []string{
			"--bind", addrs[0].Addr().String(), "--port", fmt.Sprint(addrs[0].Port()), "--dir", dir,
			"--save", "", "--appendonly", "no", "--daemonize", "no", "--tcp-backlog", "4096",
		}
		if password != "" {
			args = append(args, "--requirepass", password)
		}
		return args
	}
	return start(t, spec{program: "redis-server", pkg: "redis-server", ports: 1, prepare: prepare})[0]
}

// SSH starts OpenSSH's sshd, with a fresh host key, and returns its address. Nobody can log in.
func SSH(t testing.TB) netip.AddrPort {
	t.Helper()
	keygen := lookup(t, "ssh-keygen", "openssh-client")
	if _, err := os.Stat("/run/sshd"); os.Geteuid() == 0 && err != nil {
		t.Skip("testserver: sshd refuses to start as root without /run/sshd; scripts/test-setup makes it")
	}
	prepare := func(t testing.TB, dir string, addrs []netip.AddrPort) []string {
		key := filepath.Join(dir, "hostkey")
		if out, err := exec.Command(keygen, "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
			t.Fatalf("testserver: ssh-keygen: %v\n%s", err, out)
		}
		// MaxStartups' default refuses every third of more than ten connections at once.
		conf := fmt.Sprintf(`
ListenAddress %s
HostKey %s
PidFile none
UsePAM no
UseDNS no
MaxStartups 10000
AuthenticationMethods publickey
AuthorizedKeysFile none
`, addrs[0], key)
		return []string{"-D", "-e", "-f", write(t, dir, "sshd_config", conf, 0o600)}
	}
	return start(t, spec{program: "sshd", pkg: "openssh-server", ports: 1, prepare: prepare})[0]
}

// SMTP starts exim and returns its address. It greets as mail.sonde.test and takes no mail.
func SMTP(t testing.TB) netip.AddrPort {
	t.Helper()
	prepare := func(t testing.TB, dir string, addrs []netip.AddrPort) []string {
		me := currentUser(t)
		conf := fmt.Sprintf(`
primary_hostname = mail.sonde.test
exim_user = %[2]s
exim_group = %[3]s
spool_directory = %[1]s/spool
log_file_path = %[1]s/%%slog
pid_file_path = %[1]s/exim.pid
local_interfaces = %[4]s
daemon_smtp_ports = %[5]d
smtp_accept_max = 10000
smtp_connect_backlog = 1000
rfc1413_query_timeout = 0s
host_lookup =
tls_advertise_hosts =
keep_environment =
acl_smtp_rcpt = deny
`, dir, me.Uid, me.Gid, addrs[0].Addr(), addrs[0].Port())
		// -bdf: a daemon that stays in the foreground.
		return []string{"-C", write(t, dir, "exim.conf", conf, 0o600), "-bdf"}
	}
	return start(t, spec{program: "exim4", pkg: "exim4-daemon-light", ports: 1, prepare: prepare})[0]
}

// FTP starts vsftpd and returns its address. It greets with "220 sonde test FTP"; an anonymous user finds an empty folder.
func FTP(t testing.TB) netip.AddrPort {
	t.Helper()
	prepare := func(t testing.TB, dir string, addrs []netip.AddrPort) []string {
		conf := vsftpdConf(t, dir, addrs[0])
		return []string{write(t, dir, "vsftpd.conf", conf, 0o600)}
	}
	return start(t, spec{program: "vsftpd", pkg: "vsftpd", ports: 1, prepare: prepare})[0]
}

func vsftpdConf(t testing.TB, dir string, addr netip.AddrPort) string {
	t.Helper()
	return fmt.Sprintf(`listen=YES
background=NO
listen_address=%[2]s
listen_port=%[3]d
run_as_launching_user=YES
anonymous_enable=YES
anon_root=%[1]s
no_anon_password=YES
ftpd_banner=sonde test FTP
secure_chroot_dir=%[1]s
seccomp_sandbox=NO
isolate_network=NO
max_clients=0
max_per_ip=0
xferlog_enable=NO
`, mkdir(t, dir, "empty", 0o555), addr.Addr(), addr.Port())
}

// IMAP starts dovecot with its IMAP service and returns its address. Nobody can log in.
func IMAP(t testing.TB) netip.AddrPort {
	t.Helper()
	return dovecot(t, "imap", "dovecot-imapd")
}

// POP3 starts dovecot with its POP3 service and returns its address. Nobody can log in.
func POP3(t testing.TB) netip.AddrPort {
	t.Helper()
	return dovecot(t, "pop3", "dovecot-pop3d")
}

// currentUser is who the servers run as: the test's own user, so that they need not drop any right.
func currentUser(t testing.TB) *user.User {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatalf("testserver: %v", err)
	}
	return me
}
