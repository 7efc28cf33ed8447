package testserver

import "syscall"

// processAttr makes the server lead a process group, so that its children can be ended with it, and end when the test
// binary does, even by SIGKILL (prctl(2), PR_SET_PDEATHSIG).
func processAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
