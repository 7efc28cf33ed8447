package report

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestCreate(t *testing.T) {
	long := strings.Repeat("z", 200_000) // more than one step backwards
	tests := []struct {
		name   string
		before string
		append bool
		want   string
		fresh  bool
		mended int64
	}{
		{"truncates", "old\n", false, "new\n", true, 0},
		{"appends", "old\n", true, "old\nnew\n", false, 0},
		{"appends to an empty file", "", true, "new\n", true, 0},
		{"cuts a partial line", "old\npart", true, "old\nnew\n", false, 4},
		{"cuts a long partial line", "old\n" + long, true, "old\nnew\n", false, 200_000},
		{"cuts right behind a step's edge", "old\n" + long[:64<<10], true, "old\nnew\n", false, 64 << 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "out")
			writeFile(t, path, tt.before)
			w, err := Create(path, tt.append)
			if err != nil {
				t.Fatal(err)
			}
			if w.Mended() != tt.mended || w.Fresh() != tt.fresh {
				t.Errorf("got mended %d, fresh %t, want %d, %t", w.Mended(), w.Fresh(), tt.mended, tt.fresh)
			}
			if err := errors.Join(w.WriteLine([]byte("new")), w.Close()); err != nil {
				t.Fatal(err)
			}
			if got := readFile(t, path); got != tt.want {
				t.Errorf("file holds %.40q, want %.40q", got, tt.want)
			}
		})
	}
}

func TestCreateMakesTheFile(t *testing.T) {
	for _, appendTo := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "new")
		w, err := Create(path, appendTo)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil || !w.Fresh() {
			t.Errorf("got %v, fresh %t, want an empty new file", err, w.Fresh())
		}
		if got := readFile(t, path); got != "" {
			t.Errorf("file holds %q, want nothing", got)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := Create(filepath.Join(dir, "no", "such"), false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want a file that does not exist", err)
	}
	for name, text := range map[string]string{"no newline at all": `{"precious":1}`, "none in the last MiB": "a\n" + strings.Repeat("b", partialMax)} {
		path := filepath.Join(dir, "precious")
		writeFile(t, path, text)
		if _, err := Create(path, true); !errors.Is(err, ErrNotLines) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want ErrNotLines with the path", name, err)
		}
		if readFile(t, path) != text {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func TestCreateOnADevice(t *testing.T) {
	for _, appendTo := range []bool{false, true} {
		w, err := Create(os.DevNull, appendTo)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.WriteLine([]byte("x")), w.Close()); err != nil || w.Records() != 1 {
			t.Errorf("got %v and %d records, want none and 1", err, w.Records())
		}
	}
}

// TestFileSizeLimit runs this test binary again under a file-size limit that ends in the middle of a line (RLIMIT_FSIZE,
// getrlimit(2)): the kernel makes a real short write, then EFBIG.
func TestFileSizeLimit(t *testing.T) {
	const variable = "SONDE_TEST_FILE_SIZE_LIMIT"
	if path := os.Getenv(variable); path != "" {
		writeUnderLimit(path)
		return
	}
	path := filepath.Join(t.TempDir(), "out")
	cmd := exec.Command(os.Args[0], "-test.run=^TestFileSizeLimit$")
	cmd.Env = append(os.Environ(), variable+"="+path)
	out, err := cmd.CombinedOutput() // pipes: the limit does not touch them
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := "file too large: the output holds 99 whole records\n"; !strings.Contains(string(out), want) {
		t.Errorf("got %s\nwant %q in it", out, want)
	}
	if got, want := readFile(t, path), strings.Repeat("123456789\n", 99); got != want {
		t.Errorf("file holds %d bytes, want %d: 99 whole lines", len(got), len(want))
	}
}

// writeUnderLimit writes 200 lines of ten bytes to path, of which 99 and a half fit.
func writeUnderLimit(path string) {
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		panic(err)
	}
	before := limit
	limit.Cur = 995
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		panic(err)
	}
	w, err := Create(path, false)
	if err != nil {
		panic(err)
	}
	for range 200 {
		_ = w.WriteLine([]byte("123456789"))
	}
	os.Stdout.WriteString(w.Close().Error() + "\n")
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil { // the test binary may have coverage to write
		panic(err)
	}
}
