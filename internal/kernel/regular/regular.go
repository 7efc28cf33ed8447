// Package regular opens the files that a configuration names, which are read again with each reload: what else such a name can stand for
// must not keep whoever reads it waiting.
package regular

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// ErrIrregular says that a name stands for a pipe, a socket or a device.
var ErrIrregular = errors.New("not a regular file")

// Open opens a file for reading, as os.Open does, if it is a regular one. Without O_NONBLOCK open(2) of a pipe waits until somebody
// writes to it. It is the open file that is looked at: by the name, another one could come between. An error names the file; it is
// [ErrIrregular], or syscall.EISDIR for a folder.
func Open(name string) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if errors.Is(err, syscall.ENXIO) || errors.Is(err, syscall.EOPNOTSUPP) { // a socket, on Linux and BSD; a device that is not there
		err = &fs.PathError{Op: "read", Path: name, Err: ErrIrregular}
	}
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	switch {
	case err != nil:
	case info.Mode().IsRegular():
		return file, nil
	case info.IsDir():
		err = &fs.PathError{Op: "read", Path: name, Err: syscall.EISDIR}
	default:
		err = &fs.PathError{Op: "read", Path: name, Err: ErrIrregular}
	}
	_ = file.Close()
	return nil, err
}
