//go:build linux || darwin || freebsd

package socket

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
)

func TestClaim(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
			if err != nil {
				t.Skipf("no %s here: %v", host, err)
			}
			at := ln.Addr().(*net.TCPAddr).AddrPort()
			if f, err := Claim(at); !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("what is listened on: got %v, %v, want EADDRINUSE", f, err)
			}
			ln.Close()

			claim, err := Claim(at)
			if err != nil {
				t.Fatal(err)
			}
			if second, err := Claim(at); !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("a second claim: got %v, %v, want EADDRINUSE", second, err)
			}
			if ln, err := net.Listen("tcp", at.String()); !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("a listener: got %v, %v, want EADDRINUSE", ln, err)
			}
			if c, err := net.Dial("tcp", at.String()); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("a client: got %v, %v, want ECONNREFUSED", c, err)
			}
			claim.Close()
			if again, err := Claim(at); err != nil {
				t.Errorf("once given back: %v", err)
			} else {
				again.Close()
			}
		})
	}
	if _, err := Claim(netip.MustParseAddrPort("192.0.2.1:1")); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("an address that is not here: got %v, want EADDRNOTAVAIL", err)
	}
}
