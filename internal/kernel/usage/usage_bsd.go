//go:build darwin || freebsd

package usage

// resident and threads are told by mach or kvm interfaces only, which x/sys does not have; getrusage(2) knows the peak of the
// resident set and not what it is now.
func resident() int64 { return Unknown }

func threads() int64 { return Unknown }

func slab() int64 { return Unknown }

func tcp() TCP { return TCP{Sockets: Unknown, Memory: Unknown} }
