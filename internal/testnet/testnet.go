// Package testnet gives tests network namespaces of their own (network_namespaces(7)): routes, firewalls, port ranges and
// links that may be broken at will, while the machine's own network stays as it is. A test makes namespaces with [New],
// shapes them with the ip, nft and sysctl of the namespace, and runs itself again inside one with [Namespace.Run].
//
// It takes root, on Linux, with iproute2; a firewall takes nftables. What is missing skips the test and is named. A
// namespace belongs to its test and goes when the test ends, with the links and rules in it.
package testnet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

const (
	// commandLimit bounds one ip, nft or sysctl: they take milliseconds; a machine under load takes more.
	commandLimit = 2 * time.Minute
	// runLimit bounds a test that runs again inside a namespace.
	runLimit = 6 * time.Minute
	// insideEnv names, in the environment of a test that runs inside a namespace, the test that it is.
	insideEnv = "SONDE_TESTNET_INSIDE"
)

// Namespace is one network namespace. The loopback interface is up; there is nothing else in it.
type Namespace struct {
	name string
	exec func(ctx context.Context, name string, args ...string) *exec.Cmd // a command of this namespace
}

// New makes a namespace, or skips the test where that can't be. It is deleted when the test ends.
func New(t testing.TB) *Namespace {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("testnet: network namespaces are Linux's")
	}
	if os.Geteuid() != 0 {
		t.Skip("testnet: only root may make network namespaces")
	}
	ip := lookup(t, "ip", "iproute2")
	n := &Namespace{name: fmt.Sprintf("sonde-%d-%08x", os.Getpid(), rand.Uint32())}
	n.exec = func(ctx context.Context, name string, args ...string) *exec.Cmd {
		return exec.CommandContext(ctx, ip, append([]string{"netns", "exec", n.name, name}, args...)...)
	}
	// In a container root may lack CAP_SYS_ADMIN.
	if out, err := exec.Command(ip, "netns", "add", n.name).CombinedOutput(); err != nil {
		t.Skipf("testnet: ip netns add: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(ip, "netns", "delete", n.name).CombinedOutput(); err != nil {
			t.Errorf("testnet: ip netns delete %s: %v: %s", n.name, err, out)
		}
	})
	n.IP(t, "link set lo up")
	return n
}

// lookup finds a program, or skips the test.
func lookup(t testing.TB, program, pkg string) string {
	t.Helper()
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path
		}
	}
	t.Skipf("testnet: no %s here (Debian package %s); scripts/test-setup installs it", program, pkg)
	return ""
}

// IP runs commands of ip(8) inside the namespace, each a line of its own without the leading "ip".
func (n *Namespace) IP(t testing.TB, commands ...string) {
	t.Helper()
	n.input(t, strings.Join(commands, "\n"), lookup(t, "ip", "iproute2"), "-batch", "-")
}

// Firewall loads rules of nft(8) inside the namespace.
func (n *Namespace) Firewall(t testing.TB, rules string) {
	t.Helper()
	n.input(t, rules, lookup(t, "nft", "nftables"), "-f", "-")
}

// Sysctl sets a kernel parameter of the namespace, by its path below /proc/sys (net/ipv4/ip_forward).
func (n *Namespace) Sysctl(t testing.TB, path, value string) {
	t.Helper()
	n.input(t, value, "/bin/sh", "-c", "cat > /proc/sys/"+path)
}

// Link joins a and b by a cable: a veth(4) pair, with an interface of each given name at its end, and both ends up. A
// second link between two namespaces needs other names.
func Link(t testing.TB, a *Namespace, nameA string, b *Namespace, nameB string) {
	t.Helper()
	a.IP(t, fmt.Sprintf("link add %s type veth peer name %s netns %s", nameA, nameB, b.name), "link set "+nameA+" up")
	b.IP(t, "link set "+nameB+" up")
}

// input runs a command inside the namespace with text as its input. The test fails if the command does.
func (n *Namespace) input(t testing.TB, text, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	cmd := n.exec(ctx, program, args...)
	cmd.Stdin = strings.NewReader(text + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("testnet: %s %s: %v\n%s%s", filepath.Base(program), strings.Join(args, " "), err, text, out)
	}
}

// Run runs the calling test again, alone, in a process inside the namespace; there [Inside] is true. The test fails if
// that process does, and shows what it printed. A setns(2) of this process would not do: it moves one thread, and the
// Go runtime moves goroutines between threads.
func (n *Namespace) Run(t testing.TB, env ...string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatalf("testnet: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	defer cancel()
	cmd := n.exec(ctx, self, "-test.run="+only(t.Name()), "-test.count=1", "-test.v=true")
	// The race detector would sleep for a second at the end.
	cmd.Env = append(append(os.Environ(), insideEnv+"="+t.Name(), "GORACE=atexit_sleep_ms=0"), env...)
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Errorf("testnet: inside the namespace: %v\n%s", err, out)
	case !strings.Contains(string(out), "--- PASS: "+t.Name()+" "):
		t.Errorf("testnet: inside the namespace the test did not run\n%s", out)
	}
}

// Inside reports whether this process is one that [Namespace.Run] started for this very test.
func Inside(t testing.TB) bool { return os.Getenv(insideEnv) == t.Name() }

// only is the pattern for -test.run that matches the test of that name and no other.
func only(test string) string {
	parts := strings.Split(test, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(parts, "/")
}
