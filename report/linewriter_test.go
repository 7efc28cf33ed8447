package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

var errFull = errors.New("full")

// limitedWriter takes limit bytes, then fails with err, as write(2) on a full disk does.
type limitedWriter struct {
	bytes.Buffer
	limit int
	err   error
	calls int
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	w.calls++
	n := min(len(p), w.limit-w.Len())
	w.Buffer.Write(p[:n])
	if n < len(p) {
		return n, w.err
	}
	return n, nil
}

func ExampleLineWriter() {
	w := NewLineWriter(os.Stdout)
	_ = w.WriteLine([]byte("one"))
	_ = w.WriteLine(append(w.AvailableBuffer(), "two"...)) // without a copy
	fmt.Println("records out:", w.Records())
	_ = w.Flush()
	fmt.Println("records out:", w.Records())
	// Output:
	// records out: 0
	// one
	// two
	// records out: 2
}

// TestLineWriterFailsAtAnyByte lets the output end at each byte of three lines.
func TestLineWriterFailsAtAnyByte(t *testing.T) {
	const text = "head\na\nbcd\n"
	for limit := range len(text) {
		for _, cause := range []error{errFull, nil} { // nil: a writer that breaks the contract of io.Writer
			dst := &limitedWriter{limit: limit, err: cause}
			w := NewLineWriter(dst)
			if err := errors.Join(w.WriteHeader([]byte("head")), w.WriteLine([]byte("a")), w.WriteLine([]byte("bcd"))); err != nil {
				t.Fatalf("limit %d: got %v before a flush", limit, err)
			}
			err := w.Flush()
			var we *WriteError
			if !errors.As(err, &we) || cause != nil && !errors.Is(err, cause) || cause == nil && !errors.Is(err, io.ErrShortWrite) {
				t.Fatalf("limit %d: got error %v, want a WriteError of %v", limit, err, cause)
			}
			kept := text[:limit]
			whole := strings.Count(kept, "\n")
			if want := uint64(max(whole-1, 0)); we.Records != want || w.Records() != want {
				t.Errorf("limit %d: got %d and %d records, want %d", limit, we.Records, w.Records(), want)
			}
			if want := limit > 0 && !strings.HasSuffix(kept, "\n"); we.Torn != want {
				t.Errorf("limit %d: got torn %t, want %t", limit, we.Torn, want)
			}
			calls := dst.calls
			if again := w.WriteLine([]byte("late")); again != err {
				t.Errorf("limit %d: got %v from a later line, want the first error", limit, again)
			}
			if again := errors.Join(w.Flush(), w.Close()); !errors.Is(again, err) || dst.calls != calls {
				t.Errorf("limit %d: got %v and %d more writes after the failure, want the first error and none", limit, again, dst.calls-calls)
			}
		}
	}
}

func TestLineWriterWritesWholeLinesOnly(t *testing.T) {
	var sizes []int
	w := NewLineWriter(writerFunc(func(p []byte) (int, error) {
		if !bytes.HasSuffix(p, []byte{'\n'}) {
			t.Errorf("a write ends in %q, want a newline", p[len(p)-1])
		}
		sizes = append(sizes, len(p))
		return len(p), nil
	}))
	total := 0
	for i := range 5000 {
		line := bytes.Repeat([]byte{'x'}, i%300)
		if i == 2500 {
			line = bytes.Repeat([]byte{'y'}, 3*keepMax) // larger than any buffer that is kept
		}
		total += len(line) + 1
		if err := w.WriteLine(line); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, n := range sizes {
		sum += n
	}
	if sum != total || len(sizes) > total/flushAt+1 || w.Records() != 5000 {
		t.Errorf("got %d bytes and %d records in %d writes, want %d and 5000 in at most %d", sum, w.Records(), len(sizes), total, total/flushAt+1)
	}
	if got := cap(w.buf); got > keepMax {
		t.Errorf("got a buffer of %d bytes after a huge line, want it given back", got)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// tornFile is a file that takes limit bytes of one write and then fails: what the kernel does on a full disk, on a real
// file that can be cut.
type tornFile struct {
	*os.File
	limit int
}

func (f tornFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p[:min(f.limit, len(p))])
	if err == nil && n < len(p) {
		err = syscall.ENOSPC
	}
	return n, err
}

func TestLineWriterCutsAFile(t *testing.T) {
	const before, text = "old\n", "first\nsecond\n"
	for _, flags := range []int{os.O_APPEND, 0} {
		for limit := range len(text) {
			path := filepath.Join(t.TempDir(), "out")
			writeFile(t, path, before)
			f, err := os.OpenFile(path, os.O_RDWR|flags, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Seek(0, io.SeekEnd); err != nil {
				t.Fatal(err)
			}
			w := NewLineWriter(f)
			w.dst = tornFile{f, limit}
			_ = w.WriteLine([]byte("first"))
			_ = w.WriteLine([]byte("second"))
			var we *WriteError
			if err := w.Flush(); !errors.As(err, &we) || !errors.Is(err, syscall.ENOSPC) || we.Torn {
				t.Errorf("limit %d: got %v, want ENOSPC and nothing torn", limit, err)
			}
			if _, err := f.WriteString("next\n"); err != nil { // whoever shares the file goes on without a hole
				t.Fatal(err)
			}
			whole := text[:strings.LastIndexByte(text[:limit], '\n')+1]
			if got, want := readFile(t, path), before+whole+"next\n"; got != want {
				t.Errorf("limit %d: file holds %q, want %q", limit, got, want)
			}
			_ = f.Close()
		}
	}
}

// TestLineWriterLeavesForeignBytes: when someone else has written behind our partial line, nothing is cut.
func TestLineWriterLeavesForeignBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	w := NewLineWriter(f)
	w.dst = writerFunc(func(p []byte) (int, error) {
		n, _ := f.Write(p[:3])
		_, err := f.WriteAt([]byte("theirs\n"), 3)
		return n, errors.Join(errFull, err)
	})
	_ = w.WriteLine([]byte("ours"))
	var we *WriteError
	if err := w.Flush(); !errors.As(err, &we) || !we.Torn {
		t.Errorf("got %v, want a WriteError that admits a torn line", err)
	}
	if got, want := readFile(t, path), "ourtheirs\n"; got != want {
		t.Errorf("file holds %q, want %q", got, want)
	}
}

func TestLineWriterFullDevice(t *testing.T) {
	w, err := Create("/dev/full", false) // full(4): every write gives ENOSPC
	if err != nil {
		t.Skipf("no /dev/full here: %v", err)
	}
	_ = w.WriteLine([]byte("x"))
	err = w.Close()
	if !errors.Is(err, syscall.ENOSPC) || IsClosedPipe(err) {
		t.Errorf("got %v, want ENOSPC", err)
	}
	if got, want := err.Error(), "write /dev/full: no space left on device: the output holds 0 whole records"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLineWriterClosedPipe(t *testing.T) {
	r, f, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w := NewLineWriter(f)
	_ = w.WriteLine([]byte("x"))
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	_ = w.WriteLine([]byte("y"))
	if err := w.Flush(); !IsClosedPipe(err) || !errors.Is(err, syscall.EPIPE) || w.Records() != 1 {
		t.Errorf("got %v and %d records, want EPIPE and 1", err, w.Records())
	}
	if err := w.Close(); !IsClosedPipe(err) {
		t.Errorf("got %v from Close, want the first error", err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("got %v, want the file still open: Close closes only what Create opened", err)
	}
}

func TestLineWriterDoesNotAllocate(t *testing.T) {
	w := NewLineWriter(io.Discard)
	r := fullRecord()
	n := testing.AllocsPerRun(5000, func() { _ = w.WriteLine(AppendJSON(w.AvailableBuffer(), &r)) })
	if n != 0 {
		t.Errorf("got %v allocations a record, want 0", n)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
