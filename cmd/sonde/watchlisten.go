package main

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// listenAll opens the listeners that --listen names. With an error those are closed that it had opened.
func listenAll(addrs []string) ([]net.Listener, error) {
	for _, addr := range addrs {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return nil, &usageError{fmt.Sprintf("--listen %s: want host:port", quoteWord(addr)), "as in " + defaultListen + "; :9733 is every address of this machine"}
		}
	}
	var all []net.Listener
	for _, addr := range addrs {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			for _, opened := range all {
				opened.Close()
			}
			return nil, notListening(addr, err)
		}
		all = append(all, l)
	}
	return all, nil
}

// notListening says why nobody can listen at an address, which err names once more.
func notListening(addr string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	mend := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		mend = "; another program has that port, or another sonde watch: give another --listen"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		mend = "; this machine has no such address"
	case errors.Is(err, syscall.EACCES):
		mend = "; ports below 1024 are for root and CAP_NET_BIND_SERVICE"
	}
	return fmt.Errorf("--listen %s: %w%s", addr, err, mend)
}
