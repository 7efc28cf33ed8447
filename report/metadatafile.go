package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
)

// WriteMetadata writes m to path as indented JSON with a newline at its end. A reader finds either the file that was
// there before or the whole new one: the text goes to a new file in the same folder, which then takes the name. A link
// is followed and an existing file's mode is kept; a new file has 0666 before umask.
//
// Where that can't be, because the path is a device or a pipe, or the folder lets no file be made or replaced (a file
// mounted on its own), the text is written in place. Errors wrap those of the system calls and name the path.
func WriteMetadata(path string, m *Metadata) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	text = append(text, '\n')
	real, err := filepath.EvalSymlinks(path)
	if err != nil { // it does not exist yet, or opening it will say what is wrong
		real = path
	}
	info, err := os.Stat(real)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return writeInPlace(real, text)
	case err == nil:
		err = replaceFile(real, text, info.Mode().Perm())
	case errors.Is(err, fs.ErrNotExist):
		err = replaceFile(real, text, 0)
	}
	if errors.Is(err, errNoReplace) {
		return writeInPlace(real, text)
	}
	return err
}

var errNoReplace = errors.New("the folder lets no file be replaced")

// replaceFile writes text to a new file beside path and gives it path's name. mode 0 leaves the mode to the umask. It
// returns errNoReplace, joined with the cause, if path was left untouched and may still be written in place.
func replaceFile(path string, text []byte, mode fs.FileMode) error {
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+strconv.FormatUint(rand.Uint64(), 36))
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
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
	return err
}

func writeInPlace(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
