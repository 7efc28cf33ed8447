package testserver

import (
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"testing"
)

// dovecot starts dovecot with one protocol.
func dovecot(t testing.TB, protocol, pkg string) netip.AddrPort {
	t.Helper()
	needDovecot(t, protocol, pkg)
	prepare := func(t testing.TB, dir string, addrs []netip.AddrPort) []string {
		return []string{"-F", "-c", write(t, dir, "dovecot.conf", dovecotConf(t, dir, protocol, addrs, nil), 0o600)}
	}
	return start(t, spec{program: "dovecot", pkg: pkg, ports: 1, prepare: prepare})[0]
}

// needDovecot skips the test if dovecot can't speak the protocol.
func needDovecot(t testing.TB, protocol, pkg string) {
	t.Helper()
	if !dovecotHas(protocol) {
		t.Skipf("testserver: no dovecot with %s here (Debian package %s); scripts/test-setup installs it", protocol, pkg)
	}
}

// dovecotHas reports whether the protocol's login program is among dovecot's own programs.
func dovecotHas(protocol string) bool {
	for _, dir := range []string{"/usr/lib/dovecot", "/usr/libexec/dovecot", "/usr/local/libexec/dovecot"} {
		if _, err := os.Stat(filepath.Join(dir, protocol+"-login")); err == nil {
			return true
		}
	}
	return false
}

// dovecotConf is dovecot's configuration with one protocol. The first address is for the protocol in the clear or with
// STARTTLS, the second, if there is one, for TLS from the first byte; id is nil if there is no TLS.
func dovecotConf(t testing.TB, dir, protocol string, addrs []netip.AddrPort, id *identity) string {
	t.Helper()
	direct := ""
	switch {
	case len(addrs) > 1:
		direct = dovecotListener(protocol+"s", addrs[1], "ssl = yes")
	case protocol != "managesieve": // which has no such listener to close
		direct = dovecotListener(protocol+"s", netip.AddrPortFrom(addrs[0].Addr(), 0), "")
	}
	security, service := "ssl = no", protocol
	if id != nil {
		security = fmt.Sprintf("ssl = yes\nssl_cert = <%s\nssl_key = <%s\nssl_min_protocol = TLSv1.2", id.chain, id.key)
	}
	if protocol == "managesieve" {
		service = "sieve" // the protocol's name, where the service's is that of its program
	}
	return fmt.Sprintf(`
base_dir = %[1]s/run
state_dir = %[1]s/run
protocols = %[7]s
listen = %[3]s
%[6]s
log_path = /dev/stderr
mail_location = maildir:%[1]s/mail
login_greeting = sonde test mail
%[5]s
first_valid_uid = 0
passdb {
	driver = static
	args = nopassword=n
}
service %[2]s-login {
	chroot =
	client_limit = 4096
%[4]s
%[8]s
}
service anvil {
	chroot =
}
service stats {
	chroot =
}
service %[2]s {
	chroot =
}
`, dir, protocol, addrs[0].Addr(), dovecotListener(service, addrs[0], ""), dovecotUsers(t), security, service, direct)
}

// dovecotListener is the block of a listener; port 0 closes it.
func dovecotListener(name string, addr netip.AddrPort, more string) string {
	return fmt.Sprintf(`	inet_listener %s {
		address = %v
		port = %d
		%s
	}`, name, addr.Addr(), addr.Port(), more)
}

// dovecotUsers says whom dovecot's processes run as. Root gets the users that the package made, because a login process
// refuses to be root; anyone else can only be themselves.
func dovecotUsers(t testing.TB) string {
	t.Helper()
	if os.Geteuid() == 0 {
		return ""
	}
	me := currentUser(t)
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		t.Fatalf("testserver: %v", err)
	}
	return fmt.Sprintf("default_internal_user = %[1]s\ndefault_login_user = %[1]s\ndefault_internal_group = %[2]s",
		me.Username, group.Name)
}
