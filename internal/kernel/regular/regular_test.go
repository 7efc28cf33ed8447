//go:build unix

package regular

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOpen(t *testing.T) {
	folder := t.TempDir()
	in := func(name string) string { return filepath.Join(folder, name) }
	if err := os.WriteFile(in("file"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", in("link")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(in("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", in("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, name := range []string{"file", "link"} {
		file, err := Open(in(name))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(file); string(text) != "text" || err != nil {
			t.Errorf("%s: got %q, %v", name, text, err)
		}
		file.Close()
	}
	for name, want := range map[string]error{
		in("pipe"): ErrIrregular, in("socket"): ErrIrregular, "/dev/zero": ErrIrregular, folder: syscall.EISDIR, in("none"): fs.ErrNotExist,
	} {
		if _, err := Open(name); !errors.Is(err, want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
}
