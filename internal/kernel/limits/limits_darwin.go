package limits

import "os"

var sysctls = sysctlNames{
	openFiles:  "kern.num_files",
	backlog:    "kern.ipc.somaxconn",
	receiveMax: "net.inet.tcp.autorcvbufmax",
	sendMax:    "net.inet.tcp.autosndbufmax",
}

// openFiles counts the process's descriptors, without the one that the reading itself takes.
func openFiles() int64 {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		return Unknown
	}
	return int64(max(len(entries)-1, 0))
}

// memory returns the total; what is available can't be told from one sysctl here.
func memory() (total, available int64) { return sysctl("hw.memsize"), Unknown }

// knobs names macOS's settings; sysctl(8), launchctl(1).
var knobs = knobTable{
	processFiles: "launchctl limit maxfiles %d %[1]d",
	perProcess:   "kern.maxfilesperproc",
	system:       "kern.maxfiles",
	portRange:    "net.inet.ip.portrange.first",
	setPortRange: "sysctl -w net.inet.ip.portrange.first=%d net.inet.ip.portrange.last=%d",
	backlog:      "kern.ipc.somaxconn",
	timeWait:     "net.inet.tcp.msl",
	setTimeWait:  "sysctl -w net.inet.tcp.msl=1000",
	receive:      "net.inet.tcp.recvspace",
	send:         "net.inet.tcp.sendspace",
}
