package testserver

import (
	"fmt"
	"net/netip"
	"testing"

	"sonde/internal/testcert"
)

// SMTPTLS starts exim with TLS (GnuTLS in Debian) and returns it: STARTTLS (RFC 3207) on one port, TLS from the first byte
// (RFC 8314 s.3.3) on another. Else it is as [SMTP].
func SMTPTLS(t testing.TB) *TLSServer {
	t.Helper()
	id := newIdentity(t, testcert.Leaf{})
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
daemon_smtp_ports = %[5]d : %[6]d
tls_on_connect_ports = %[6]d
smtp_accept_max = 10000
smtp_connect_backlog = 1000
rfc1413_query_timeout = 0s
host_lookup =
tls_advertise_hosts = *
tls_certificate = %[7]s
tls_privatekey = %[8]s
keep_environment =
acl_smtp_rcpt = deny
`, dir, me.Uid, me.Gid, addrs[0].Addr(), addrs[0].Port(), addrs[1].Port(), id.chain, id.key)
		return []string{"-C", write(t, dir, "exim.conf", conf, 0o600), "-bdf"}
	}
	addrs := start(t, spec{program: "exim4", pkg: "exim4-daemon-light", ports: 2, prepare: prepare})
	id.server.StartTLS, id.server.Direct, id.server.words = addrs[0], addrs[1], smtpWords
	return id.server
}

// FTPTLS starts vsftpd with AUTH TLS (RFC 4217; OpenSSL's library) and returns it. It has an RSA key. Else it is as [FTP].
func FTPTLS(t testing.TB) *TLSServer {
	t.Helper()
	id := newIdentity(t, testcert.Leaf{Key: testcert.RSA2048})
	prepare := func(t testing.TB, dir string, addrs []netip.AddrPort) []string {
		conf := vsftpdConf(t, dir, addrs[0]) + fmt.Sprintf(`ssl_enable=YES
allow_anon_ssl=YES
ssl_ciphers=HIGH
rsa_cert_file=%s
rsa_private_key_file=%s
`, id.chain, id.key)
		return []string{write(t, dir, "vsftpd.conf", conf, 0o600)}
	}
	id.server.StartTLS = start(t, spec{program: "vsftpd", pkg: "vsftpd", ports: 1, prepare: prepare})[0]
	id.server.words = ftpWords
	return id.server
}

// IMAPTLS starts dovecot with its IMAP service and TLS (OpenSSL's library): STARTTLS (RFC 9051 s.6.2.1) on one port, TLS
// from the first byte on another. Nobody can log in.
func IMAPTLS(t testing.TB) *TLSServer {
	t.Helper()
	return dovecotTLS(t, "imap", "dovecot-imapd", imapWords)
}

// POP3TLS starts dovecot with its POP3 service and TLS: STLS (RFC 2595 s.4) on one port, TLS from the first byte on
// another. Nobody can log in.
func POP3TLS(t testing.TB) *TLSServer {
	t.Helper()
	return dovecotTLS(t, "pop3", "dovecot-pop3d", pop3Words)
}

// SieveTLS starts dovecot with its ManageSieve service and STARTTLS (RFC 5804 s.2.2). Nobody can log in.
func SieveTLS(t testing.TB) *TLSServer {
	t.Helper()
	return dovecotTLS(t, "managesieve", "dovecot-managesieved", sieveWords)
}

// dovecotTLS starts dovecot with one protocol. ManageSieve has no port for TLS from the first byte.
func dovecotTLS(t testing.TB, protocol, pkg string, words []line) *TLSServer {
	t.Helper()
	needDovecot(t, protocol, pkg)
	id := newIdentity(t, testcert.Leaf{})
	ports := 2
	if protocol == "managesieve" {
		ports = 1
	}
	prepare := func(t testing.TB, dir string, addrs []netip.AddrPort) []string {
		conf := dovecotConf(t, dir, protocol, addrs, id)
		return []string{"-F", "-c", write(t, dir, "dovecot.conf", conf, 0o600)}
	}
	addrs := start(t, spec{program: "dovecot", pkg: pkg, ports: ports, prepare: prepare})
	id.server.StartTLS, id.server.words = addrs[0], words
	if ports > 1 {
		id.server.Direct = addrs[1]
	}
	return id.server
}
