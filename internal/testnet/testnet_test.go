package testnet

import (
	"errors"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestRun runs inside a namespace that has loopback and nothing else.
func TestRun(t *testing.T) {
	t.Run("of/its own", func(t *testing.T) {
		if !Inside(t) {
			New(t).Run(t)
			return
		}
		interfaces, err := net.Interfaces()
		if err != nil {
			t.Fatal(err)
		}
		if len(interfaces) != 1 || interfaces[0].Flags&net.FlagUp == 0 || interfaces[0].Flags&net.FlagLoopback == 0 {
			t.Errorf("got interfaces %v, want loopback alone, and up", interfaces)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	})
}

// TestShape gives two namespaces a link, one of them a firewall and a sysctl, and finds all three at work.
func TestShape(t *testing.T) {
	if Inside(t) {
		_, err := net.DialTimeout("tcp", "192.0.2.2:80", time.Minute)
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial over the link: got %v, want a refusal by the other side", err)
		}
		_, err = net.DialTimeout("tcp", "192.0.2.2:81", time.Minute)
		if !errors.Is(err, syscall.EHOSTUNREACH) {
			t.Errorf("dial of what the firewall rejects: got %v, want EHOSTUNREACH", err)
		}
		return
	}
	here, there := New(t), New(t)
	Link(t, here, "east", there, "west")
	here.IP(t, "addr add 192.0.2.1/24 dev east")
	there.IP(t, "addr add 192.0.2.2/24 dev west")
	there.Sysctl(t, "net/ipv4/icmp_ratelimit", "0")
	there.Firewall(t, `
table inet f {
	chain in {
		type filter hook input priority 0
		tcp dport 81 reject with icmpx host-unreachable
	}
}`)
	here.Run(t)
}

// TestGone deletes a namespace with its test.
func TestGone(t *testing.T) {
	var name string
	t.Run("inner", func(t *testing.T) { name = New(t).name })
	if name == "" {
		t.Skip("no namespace could be made (the inner test says why)")
	}
	out, err := exec.Command("ip", "netns", "list").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if strings.Contains(string(out), name) {
		t.Errorf("got %q, want %s gone", out, name)
	}
}

func TestOnly(t *testing.T) {
	pattern := only("TestA/b.c")
	parts := strings.Split(pattern, "/")
	if len(parts) != 2 || !regexp.MustCompile(parts[1]).MatchString("b.c") || regexp.MustCompile(parts[1]).MatchString("bxc") {
		t.Errorf("got pattern %q, want one for b.c alone", pattern)
	}
}
