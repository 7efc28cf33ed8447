package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"slices"
)

// profileNames are the files for profiles that every command can write; "" is none. A worker process adds ".PID".
type profileNames struct {
	CPU    string // pprof
	Memory string // pprof, of all allocations since the start and of what is in use at the end
	Trace  string // of package runtime/trace
}

func profileFlags(names *profileNames) []flagSpec {
	const group = "Profiles of sonde itself (worker processes write to FILE.PID)"
	return []flagSpec{
		{group: group, name: "cpuprofile", arg: "FILE", files: true, set: toFile(&names.CPU),
			help: "write to FILE where the CPU time went, for `go tool pprof`"},
		{group: group, name: "memprofile", arg: "FILE", files: true, set: toFile(&names.Memory),
			help: "write to FILE what allocated memory and what of it is in use at the end, for `go tool pprof`"},
		{group: group, name: "trace", arg: "FILE", files: true, set: toFile(&names.Trace),
			help: "write an execution trace to FILE, with the phases of the event loops, for `go tool trace`"},
	}
}

// files are the files and their flags.
func (n *profileNames) files() []namedFile {
	return []namedFile{{"--cpuprofile", n.CPU}, {"--memprofile", n.Memory}, {"--trace", n.Trace}}
}

// ofProcess are the files of a worker process: with its number behind the name.
func (n profileNames) ofProcess(pid int) profileNames {
	for _, name := range []*string{&n.CPU, &n.Memory, &n.Trace} {
		if *name != "" {
			*name += fmt.Sprintf(".%d", pid)
		}
	}
	return n
}

// profiles are files that are being written; a nil one is not.
type profiles struct{ cpu, memory, trace *profileFile }

// profileFile keeps the first error of its writes: a CPU profile and a trace tell nobody.
type profileFile struct {
	*os.File
	err error
}

// Write implements io.Writer.
func (f *profileFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	if f.err == nil {
		f.err = err
	}
	return n, err
}

// finish closes the file and returns what went wrong with it, if anything did.
func (f *profileFile) finish() error { return errors.Join(f.err, f.File.Close()) }

// startProfiles opens all files and begins what is measured over time. When it fails nothing is left open.
func startProfiles(names profileNames) (_ *profiles, err error) {
	p := &profiles{}
	defer func() {
		if err != nil {
			p.stop()
		}
	}()
	if names.Memory == "" {
		runtime.MemProfileRate = 0 // by itself the runtime notes an allocation each 512 KiB
	}
	for _, f := range []struct {
		file **profileFile
		name string
	}{{&p.cpu, names.CPU}, {&p.memory, names.Memory}, {&p.trace, names.Trace}} {
		if f.name == "" {
			continue
		}
		file, err := os.Create(f.name)
		if err != nil {
			return nil, fmt.Errorf("open a profile: %w", err)
		}
		*f.file = &profileFile{File: file}
	}
	if p.cpu != nil {
		if err := pprof.StartCPUProfile(p.cpu); err != nil {
			return nil, fmt.Errorf("profile the CPU: %w", err)
		}
	}
	if p.trace != nil {
		if err := trace.Start(p.trace); err != nil {
			return nil, fmt.Errorf("trace: %w", err)
		}
	}
	return p, nil
}

// stop writes what is left and closes the files.
func (p *profiles) stop() error {
	var errs []error
	if p.trace != nil {
		trace.Stop()
		errs = append(errs, p.trace.finish())
	}
	if p.cpu != nil {
		pprof.StopCPUProfile()
		errs = append(errs, p.cpu.finish())
	}
	if p.memory != nil {
		runtime.GC()                                    // what is in use is counted as of the last collection
		_ = pprof.Lookup("allocs").WriteTo(p.memory, 0) // fails as the file does
		errs = append(errs, p.memory.finish())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("write a profile: %w", err)
	}
	return nil
}

// profiled calls work while the profiles are written that the command line asks for.
func (p *program) profiled(c *command, work func() error) error {
	names := p.profiles
	if c.name == workerWord {
		names = names.ofProcess(os.Getpid())
	}
	own := p.profiles.files()
	others := slices.DeleteFunc(slices.Clone(p.parsed.files), func(f namedFile) bool { return slices.Contains(own, f) })
	if err := checkOutputs(others, own); err != nil {
		return err
	}
	files, err := startProfiles(names)
	if err != nil {
		return err
	}
	err = work()
	stopErr := files.stop()
	var status exitStatus
	switch {
	case stopErr == nil:
		return err
	case err == nil || errors.As(err, &status):
		return stopErr
	}
	return errors.Join(err, stopErr)
}
