package process

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func bindToParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// maxCPUs is how many CPUs a mask of the fixed size holds (CPU_SETSIZE, CPU_SET(3)). A kernel with room for more refuses
// to report into it (EINVAL), which is told as it is.
const maxCPUs = int(unsafe.Sizeof(unix.CPUSet{})) * 8

func affinity() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, err
	}
	var cpus []int
	for cpu := range maxCPUs {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

func setAffinity(cpus []int) error {
	var set unix.CPUSet
	for _, cpu := range cpus {
		if cpu < 0 || cpu >= maxCPUs {
			return unix.EINVAL // the set would pass over it without a word
		}
		set.Set(cpu)
	}
	return unix.SchedSetaffinity(0, &set)
}
