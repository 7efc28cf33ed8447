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
	if !dovecotHas(protocol) {
		t.Skipf("testserver: no dovecot with %s here (Debian package %s); scripts/test-setup installs it", protocol, pkg)
	}
	prepare := func(t testing.TB, dir string, addrs []netip.AddrPort) []string {
		return []string{"-F", "-c", write(t, dir, "dovecot.conf", dovecotConf(t, dir, protocol, addrs[0]), 0o600)}
	}
	return start(t, spec{program: "dovecot", pkg: pkg, ports: 1, prepare: prepare})[0]
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

func dovecotConf(t testing.TB, dir, protocol string, addr netip.AddrPort) string {
	t.Helper()
	return fmt.Sprintf(`
base_dir = %[1]s/run
state_dir = %[1]s/run
protocols = %[2]s
listen = %[3]s
ssl = no
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
	inet_listener %[2]s {
		address = %[3]s
		port = %[4]d
	}
	inet_listener %[2]ss {
		port = 0
	}
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
`, dir, protocol, addr.Addr(), addr.Port(), dovecotUsers(t))
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
