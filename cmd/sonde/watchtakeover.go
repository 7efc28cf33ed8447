package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"

	"sonde/watch"
)

// controlSocket is where processes take over from each other: what --control says, or a file that the one that is to take over finds
// by the same flags. It is in the folder of the service if systemd made one (systemd.exec(5), RuntimeDirectory=).
func (o *watchOptions) controlSocket() (watch.Control, error) {
	if o.control != "" {
		return watch.Control{Path: o.control}, nil
	}
	if dirs := os.Getenv("RUNTIME_DIRECTORY"); dirs != "" {
		first, _, _ := strings.Cut(dirs, ":")
		return watch.Control{Path: filepath.Join(first, "takeover.sock"), Optional: true}, nil
	}
	_, port, err := net.SplitHostPort(o.listen[0])
	if n, notNumber := strconv.ParseUint(port, 10, 16); err == nil && (notNumber != nil || n == 0) {
		err = fmt.Errorf("--listen %s has no port that both processes know", o.listen[0])
	}
	if err != nil {
		if o.takeover {
			return watch.Control{}, &usageError{"watch: --takeover: " + err.Error(), "give both processes the same --control FILE"}
		}
		return watch.Control{}, nil
	}
	name := fmt.Sprintf("sonde-watch-%d-%s.sock", os.Getuid(), port)
	return watch.Control{Path: filepath.Join(os.TempDir(), name), Optional: true}, nil
}

// listenOn opens the listeners that --listen names, but those that were taken over. Those of them that are not named any more are closed.
func (o *watchOptions) listenOn(taken []net.Listener) ([]net.Listener, error) {
	var all []net.Listener
	left := taken
	fail := func(err error) ([]net.Listener, error) {
		for _, l := range append(all, left...) {
			l.Close()
		}
		return nil, err
	}
	for _, addr := range o.listen {
		l, rest := takeListener(left, addr)
		left = rest
		if l == nil {
			fresh, err := listenAll([]string{addr})
			if err != nil {
				return fail(err)
			}
			l = fresh[0]
		}
		all = append(all, l)
	}
	for _, l := range left {
		l.Close()
	}
	return all, nil
}

// takeListener takes the listener at an address out of some; nil if there is none.
func takeListener(from []net.Listener, addr string) (l net.Listener, rest []net.Listener) {
	want, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, from
	}
	for i, l := range from {
		is, ok := l.Addr().(*net.TCPAddr)
		anywhere := ok && is.IP.IsUnspecified() && (want.IP == nil || want.IP.IsUnspecified())
		if ok && want.Port != 0 && is.Port == want.Port && (anywhere || is.IP.Equal(want.IP)) {
			return l, append(append([]net.Listener(nil), from[:i]...), from[i+1:]...)
		}
	}
	return nil, from
}

// readyState is what systemd is told of a watch that is ready. With --takeover it is not the process that systemd has started: from now on
// it is the one to follow.
func (o *watchOptions) readyState() string {
	if o.takeover {
		return daemon.SdNotifyReady + "\nMAINPID=" + strconv.Itoa(os.Getpid())
	}
	return daemon.SdNotifyReady
}
