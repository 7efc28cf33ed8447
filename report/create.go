package report

import (
	"bytes"
	"errors"
	"fmt"
	"os"
)

// partialMax is the longest cut-short last line that is mended, in bytes. No record is longer: a result holds at most 64
// KiB of the peer's bytes, and JSON makes six bytes of one at most.
const partialMax = 1 << 20

// ErrNotLines says that a file was not opened for appending because it does not end in anything that looks like our lines.
var ErrNotLines = errors.New("the file holds no whole line: not appending to it")

// Create opens the file at path for results, mode 0666 before umask, and returns a LineWriter that owns it. An existing
// file is truncated, or with appendTo written to at its end.
//
// A file opened for appending may end in a line that was cut short when the machine stopped (kill -9, power). That part
// is removed, so that the next record starts a line of its own; Mended tells how much it was. A file without
// a single newline, or with none in its last MiB, is not ours to cut: Create leaves it as it is and returns an error
// that wraps [ErrNotLines].
//
// A path to a device, a pipe or a terminal is opened for writing as it is. Errors wrap those of open(2).
func Create(path string, appendTo bool) (*LineWriter, error) {
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if appendTo {
		flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	f, err := os.OpenFile(path, flags, 0o666)
	if err != nil {
		return nil, err
	}
	w := NewLineWriter(f)
	w.closer = f
	if appendTo && w.file != nil && !w.fresh {
		if w.mended, err = mend(f, path); err != nil {
			_ = f.Close() // nothing was written
			return nil, fmt.Errorf("append to %s: %w", path, err)
		}
	}
	return w, nil
}

// mend cuts a last line without a newline off the file f at path and returns its size.
func mend(f *os.File, path string) (cut int64, err error) {
	r, err := os.Open(path) // f is open for writing only
	if err != nil {
		return 0, err
	}
	defer func() { _ = r.Close() }() // read only
	info, err := r.Stat()
	if err != nil {
		return 0, err
	}
	size := info.Size()
	keep, err := endOfLastLine(r, size)
	if err != nil || keep == size {
		return 0, err
	}
	return size - keep, f.Truncate(keep)
}

// endOfLastLine returns the offset behind the last newline of r, which is size bytes long.
func endOfLastLine(r *os.File, size int64) (int64, error) {
	const step = 64 << 10
	buf := make([]byte, step)
	for end := size; end > 0 && size-end < partialMax; {
		start := max(end-step, 0)
		part := buf[:end-start]
		if _, err := r.ReadAt(part, start); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return start + int64(i) + 1, nil
		}
		end = start
	}
	return 0, ErrNotLines
}
