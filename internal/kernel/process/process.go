//go:build !windows

// Package process does for child processes what package os/exec leaves to the platform: a child that ends with its
// parent, CPUs to run on, the signal that ended it, and what a dead child left in a pipe. This file is the contract; one
// file per platform provides
//
//   - bindToParent, which makes a child end when its parent does, where the kernel can;
//   - affinity and setAffinity of the calling thread, or errors.ErrUnsupported.
package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Attributes returns how a child of ours is started, for exec.Cmd.SysProcAttr. It leads a process group of its own, so
// that Ctrl-C at a terminal reaches the parent alone, which then ends its children in order (setpgid(2)). On Linux and
// FreeBSD the kernel kills it (SIGKILL) when its parent ends; macOS has no such thing.
//
// On Linux the parent of that promise is the thread that starts the child (PR_SET_PDEATHSIG, prctl(2)): start it from
// a goroutine that is locked to its thread and outlives the child, or the end of some thread takes the child along.
func Attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	bindToParent(attr)
	return attr
}

// CPUs returns the CPUs, by number and in order, that the calling thread may run on. It fails with
// errors.ErrUnsupported where the platform has no such call.
func CPUs() ([]int, error) {
	cpus, err := affinity()
	if err != nil {
		return nil, fmt.Errorf("CPU affinity: %w", err)
	}
	return cpus, nil
}

// Pinned calls start on a thread that may run on the given CPUs only. What start starts inherits them: a child process
// never runs anywhere else, from its first thread to its last, and its Go runtime counts them as its CPUs. That is why
// the parent's thread is pinned and not the child, whose threads beyond the first would escape
// (sched_setaffinity(2): a thread's attribute, inherited at fork(2)). Without CPUs it just calls start.
//
// It fails without a call of start if one of the CPUs can't be had, and with errors.ErrUnsupported where the platform
// can't pin. The thread's own CPUs are put back before Pinned returns; if that is refused the calling goroutine stays
// locked to the thread, so that the thread ends with it and carries nobody else.
func Pinned(cpus []int, start func() error) error {
	if len(cpus) == 0 {
		return start()
	}
	runtime.LockOSThread()
	before, err := affinity()
	if err == nil {
		err = setAffinity(cpus)
	}
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("pin to CPUs %v: %w", cpus, err)
	}
	// The kernel leaves out what is offline or not allowed, without a word.
	if had, err := affinity(); err != nil || !slices.Equal(had, sorted(cpus)) {
		err = fmt.Errorf("pin to CPUs %v: only %v can be had", cpus, had)
		return errors.Join(err, unpin(before))
	}
	return errors.Join(start(), unpin(before))
}

// unpin gives the thread its CPUs back, and the thread back to the runtime.
func unpin(before []int) error {
	if err := setAffinity(before); err != nil {
		return fmt.Errorf("back to CPUs %v: %w", before, err)
	}
	runtime.UnlockOSThread()
	return nil
}

func sorted(cpus []int) []int {
	cpus = slices.Clone(cpus)
	slices.Sort(cpus)
	return slices.Compact(cpus)
}

// Signal returns the signal that ended a process, 0 if it exited by itself (WTERMSIG, wait(2)).
func Signal(s *os.ProcessState) syscall.Signal {
	if status, ok := s.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return status.Signal()
	}
	return 0
}

// ReadNow reads what is in a pipe without waiting for more (read(2)): io.EOF says that nothing is. It is for the pipe of
// a process that has ended: all that it wrote is there, but the end of the pipe need not be, if another process holds
// the pipe too. f must come from [os.Pipe] and have no deadline set.
func ReadNow(f *os.File, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	var n int
	var errno error
	err = conn.Read(func(fd uintptr) bool {
		for {
			n, errno = unix.Read(int(fd), p)
			if errno != unix.EINTR {
				return true
			}
		}
	})
	switch {
	case err != nil:
		return 0, err
	case errno == unix.EAGAIN, errno == nil && n == 0:
		return 0, io.EOF
	case errno != nil:
		return 0, &os.PathError{Op: "read", Path: f.Name(), Err: errno}
	}
	return n, nil
}
