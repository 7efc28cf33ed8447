//go:build linux || darwin || freebsd

package usage

import (
	"time"

	"golang.org/x/sys/unix"
)

func cpu() (user, system time.Duration, err error) {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return 0, 0, err
	}
	return time.Duration(r.Utime.Nano()), time.Duration(r.Stime.Nano()), nil
}
