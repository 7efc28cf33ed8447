package limits

import (
	"path"
	"slices"
	"strings"
)

// cgroupFiles are the files of a memory cgroup.
type cgroupFiles struct {
	limit, usage string
	cache        string // the line of memory.stat with the page cache that the kernel would give back first
}

// The two versions of the memory controller, cgroups(7).
var (
	cgroup2Files = cgroupFiles{"memory.max", "memory.current", "inactive_file"}
	cgroup1Files = cgroupFiles{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}
)

// cgroupMemory returns the smallest memory limit of the process's cgroup and those above it, and the least that is
// still free below any of them. Both versions are looked at: a machine may mount both.
func (p procfs) cgroupMemory() (limit, free int64) {
	limit, free = Unlimited, Unlimited
	mounts := p.text("proc/self/mountinfo")
	for line := range strings.Lines(p.text("proc/self/cgroup")) {
		// hierarchy-ID:controller-list:cgroup-path, the list being empty for version 2.
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		var files cgroupFiles
		var mount cgroupMount
		switch {
		case f[0] == "0" && f[1] == "":
			files, mount = cgroup2Files, findMount(mounts, "cgroup2", "")
		case slices.Contains(strings.Split(f[1], ","), "memory"):
			files, mount = cgroup1Files, findMount(mounts, "cgroup", "memory")
		}
		if mount.point == "" {
			continue
		}
		for dir := mount.folder(f[2]); ; dir = path.Dir(dir) {
			l, used := p.cgroupLimit(dir, files)
			limit = min(limit, l)
			if l != Unlimited {
				free = min(free, max(l-used, 0))
			}
			if dir == mount.point || dir == "." {
				break
			}
		}
	}
	return limit, free
}

// cgroupLimit reads one cgroup's limit and what of it is in use.
func (p procfs) cgroupLimit(dir string, files cgroupFiles) (limit, used int64) {
	// Version 2 says "max" for no limit, version 1 the largest multiple of the page size.
	limit = p.number(path.Join(dir, files.limit))
	if limit == Unknown || limit >= 1<<62 {
		return Unlimited, 0
	}
	used = max(p.number(path.Join(dir, files.usage)), 0)
	for line := range strings.Lines(p.text(path.Join(dir, "memory.stat"))) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == files.cache {
			used = max(used-max(parse(f[1]), 0), 0)
		}
	}
	return limit, used
}

// cgroupMount is where a cgroup hierarchy is mounted, and which of its folders is the root there: inside a container
// that is not "/".
type cgroupMount struct{ root, point string }

// findMount looks a mount up in mountinfo (proc_pid_mountinfo(5)). option must be among the file system's own options;
// empty asks for none. Paths are made relative to "/", as package fs wants them.
func findMount(mountinfo, fstype, option string) cgroupMount {
	for line := range strings.Lines(mountinfo) {
		// ID, parent, device, root, mount point, options, optional fields, "-", type, source, options of the file system
		before, after, ok := strings.Cut(line, " - ")
		f, tail := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 6 || len(tail) < 3 || tail[0] != fstype {
			continue
		}
		if option == "" || slices.Contains(strings.Split(tail[2], ","), option) {
			return cgroupMount{root: unescape(f[3]), point: strings.TrimPrefix(unescape(f[4]), "/")}
		}
	}
	return cgroupMount{}
}

// folder returns where the cgroup lies below the mount. One that lies outside what is mounted gets the mount point.
func (m cgroupMount) folder(cgroup string) string {
	inside, ok := strings.CutPrefix(cgroup, strings.TrimSuffix(m.root, "/"))
	if !ok || (inside != "" && inside[0] != '/') || strings.Contains(inside, "..") {
		return m.point
	}
	return path.Join(m.point, inside)
}

// unescape undoes mountinfo's octal escapes.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
