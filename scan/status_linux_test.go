package scan

import (
	"syscall"
	"testing"

	"sonde/engine"
	"sonde/internal/kernel/socket"
	"sonde/report"
)

// TestStatusOfHostIsolated: ENONET is Linux's own, for ICMP "source host isolated" (icmp(7), RFC 1122 s.3.2.2.1).
func TestStatusOfHostIsolated(t *testing.T) {
	got := judge(t, engine.Outcome{Cause: engine.ConnectFailed, Call: socket.CallSOError, Errno: syscall.ENONET})
	if got.status != report.HostUnreachable || got.side != report.SideRemote {
		t.Errorf("got %v %v, want %v %v", got.status, got.side, report.HostUnreachable, report.SideRemote)
	}
}
