package report

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
)

// WriteWhole writes text to path. A reader finds either the file that was there before or the whole new one: the text goes to a new
// file in the same folder, which then takes the name. A link is followed. With mode 0 an existing file's mode is kept and a new file has
// 0666 before umask; else the file has that mode from the start.
//
// Where that can't be, because the path is a device or a pipe, or the folder lets no file be made or replaced (a file
// mounted on its own), the text is written in place. Errors are those of the system calls and name the path.
func WriteWhole(path string, text []byte, mode fs.FileMode) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil { // it does not exist yet, or opening it will say what is wrong
		real = path
	}
	info, err := os.Stat(real)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return writeInPlace(real, text, 0)
	case err == nil && mode == 0:
		err = replaceFile(real, text, 0o666, info.Mode().Perm())
	case err == nil || errors.Is(err, fs.ErrNotExist):
		created := mode
		if created == 0 {
			created = 0o666
		}
		err = replaceFile(real, text, created, mode)
	}
	if errors.Is(err, errNoReplace) {
		return writeInPlace(real, text, mode)
	}
	return err
}

var errNoReplace = errors.New("the folder lets no file be replaced")

// replaceFile writes text to a new file beside path, created with one mode, which the umask cuts, and changed to the other if that is
// not 0, and gives it path's name. It returns errNoReplace, joined with the cause, if path was left untouched and may still be written
// in place.
func replaceFile(path string, text []byte, created, mode fs.FileMode) error {
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+strconv.FormatUint(rand.Uint64(), 36))
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, created)
	if err != nil {
		return errors.Join(errNoReplace, err)
	}
	_, err = f.Write(text)
	if mode != 0 && err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync() // or a crash might leave the new name with nothing behind it
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		if err = os.Rename(temp, path); err != nil {
			err = errors.Join(errNoReplace, err)
		}
	}
	if err != nil {
		_ = os.Remove(temp) // the first error is the one to tell
	}
	if told := (*fs.PathError)(nil); errors.As(err, &told) {
		told.Path = path // nobody knows the other name
	}
	return err
}

// writeInPlace writes text over what path has; with a mode that is not 0 it has that before.
func writeInPlace(path string, text []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	if mode != 0 {
		err = f.Chmod(mode)
	}
	if err == nil {
		_, err = f.Write(text)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
