//go:build darwin || freebsd

package limits

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func read(l *Limits) error {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return fmt.Errorf("getrlimit RLIMIT_NOFILE: %w", err)
	}
	// RLIM_INFINITY is the largest int64 on both, though the fields differ in sign.
	l.Files.Soft, l.Files.Hard = int64(files.Cur), int64(files.Max)
	l.Files.InUse = openFiles()
	l.Files.PerProcess = sysctl("kern.maxfilesperproc")
	l.Files.System = sysctl("kern.maxfiles")
	l.Files.SystemInUse = sysctl(sysctls.openFiles)
	l.Root = os.Geteuid() == 0

	// The high range of portrange: what connect chooses from unless IP_PORTRANGE says otherwise (ip(4)).
	l.Ports = Ports{First: sysctl("net.inet.ip.portrange.first"), Last: sysctl("net.inet.ip.portrange.last")}

	l.TCP.Backlog = sysctl(sysctls.backlog)
	if msl := sysctl("net.inet.tcp.msl"); msl != Unknown { // milliseconds, tcp(4)
		l.TCP.TimeWait = 2 * time.Duration(msl) * time.Millisecond
	}
	l.TCP.TimeWaitMax = sysctl(sysctls.timeWaitMax)
	l.TCP.Receive = Buffer{Unknown, sysctl("net.inet.tcp.recvspace"), sysctl(sysctls.receiveMax)}
	l.TCP.Send = Buffer{Unknown, sysctl("net.inet.tcp.sendspace"), sysctl(sysctls.sendMax)}
	l.Memory.Total, l.Memory.Available = memory()
	return nil
}

// sysctlNames are the settings whose names differ between the two; "" for one that is missing.
type sysctlNames struct{ openFiles, backlog, timeWaitMax, receiveMax, sendMax string }

// sysctl returns a number, of 4 or 8 bytes, or Unknown.
func sysctl(name string) int64 {
	if name == "" {
		return Unknown
	}
	b, err := unix.SysctlRaw(name)
	if err != nil {
		return Unknown
	}
	return decode(b)
}

func decode(b []byte) int64 {
	switch len(b) {
	case 4:
		return max(int64(int32(binary.NativeEndian.Uint32(b))), Unknown)
	case 8:
		return max(int64(binary.NativeEndian.Uint64(b)), Unknown)
	}
	return Unknown
}
