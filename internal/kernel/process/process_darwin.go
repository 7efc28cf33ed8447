package process

import (
	"errors"
	"syscall"
)

// bindToParent has nothing to offer: a child learns of its parent's end from its pipes.
func bindToParent(*syscall.SysProcAttr) {}

// macOS takes hints on affinity only (thread_policy_set), for threads and not for processes.
func affinity() ([]int, error) { return nil, errors.ErrUnsupported }

func setAffinity([]int) error { return errors.ErrUnsupported }
