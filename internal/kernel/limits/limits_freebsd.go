package limits

import (
	"os"

	"golang.org/x/sys/unix"
)

var sysctls = sysctlNames{
	openFiles:   "kern.openfiles",
	backlog:     "kern.ipc.soacceptqueue",
	timeWaitMax: "net.inet.tcp.maxtcptw",
	receiveMax:  "net.inet.tcp.recvbuf_max",
	sendMax:     "net.inet.tcp.sendbuf_max",
}

// openFiles asks the kernel how many descriptors the process has. /dev/fd shows three at most unless fdescfs(5) is
// mounted.
func openFiles() int64 {
	b, err := unix.SysctlRaw("kern.proc.nfds", os.Getpid())
	if err != nil {
		return Unknown
	}
	return decode(b)
}

func memory() (total, available int64) {
	free, inactive := sysctl("vm.stats.vm.v_free_count"), sysctl("vm.stats.vm.v_inactive_count")
	if free == Unknown || inactive == Unknown {
		return sysctl("hw.physmem"), Unknown
	}
	return sysctl("hw.physmem"), (free + inactive) * int64(os.Getpagesize())
}

// knobs names FreeBSD's settings; sysctl(8), limits(1).
var knobs = knobTable{
	processFiles: "sysctl kern.maxfilesperproc=%d", // the hard limit of a fresh login follows it
	perProcess:   "kern.maxfilesperproc",
	system:       "kern.maxfiles",
	portRange:    "net.inet.ip.portrange.first",
	setPortRange: "sysctl net.inet.ip.portrange.first=%d net.inet.ip.portrange.last=%d",
	backlog:      "kern.ipc.soacceptqueue",
	timeWaitMax:  "net.inet.tcp.maxtcptw",
	timeWait:     "net.inet.tcp.msl",
	setTimeWait:  "sysctl net.inet.tcp.msl=1000",
	receive:      "net.inet.tcp.recvspace",
	send:         "net.inet.tcp.sendspace",
}
