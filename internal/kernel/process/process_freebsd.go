package process

import (
	"errors"
	"syscall"
)

// bindToParent uses PROC_PDEATHSIG_CTL, procctl(2).
func bindToParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// cpuset_setaffinity(2) has no wrapper in x/sys.
func affinity() ([]int, error) { return nil, errors.ErrUnsupported }

func setAffinity([]int) error { return errors.ErrUnsupported }
