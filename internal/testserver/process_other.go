//go:build !linux

package testserver

import "syscall"

// processAttr makes the server lead a process group, so that its children can be ended with it.
func processAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
