package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// flushAt is the size in bytes at which a LineWriter writes of its own accord: one write(2) for about 250 records. The
// buffer has room for one more line of usual size above it.
const (
	flushAt  = 64 << 10
	lineRoom = 16 << 10
	keepMax  = 1 << 20 // a buffer that a huge line made larger than this is not kept
)

// LineWriter is the one way by which results reach a file, a pipe or a terminal. It promises whole lines only: each write
// to the output ends with a newline, and when a write ends early (disk full, file-size limit, closed pipe) a regular
// file is cut back to its last whole line. After that first failure it takes no more: every call returns the same
// [WriteError].
//
// It has no timer. Whoever owns it calls Flush at least every 100 ms, so that a reader of the output is at most that far
// behind. It belongs to one goroutine.
type LineWriter struct {
	dst     io.Writer
	file    *os.File // dst if it is a regular file, which can be cut; else nil
	closer  io.Closer
	buf     []byte // whole lines not written yet
	pending uint64 // how many lines buf holds
	written uint64 // lines that are in the output, of this run
	headers uint64 // of pending and written, those that are no record
	fresh   bool   // nothing stood in the output before this run, as far as is known
	mended  int64
	err     *WriteError
}

// WriteError says that an output ended early and what it holds.
type WriteError struct {
	// Records is how many records of this run are in the output, whole.
	Records uint64
	// Torn is true if a part of one more line stands behind them: the output is not a regular file, or could not be cut.
	Torn bool
	// Err is the cause: a *fs.PathError or what the io.Writer returned.
	Err error
}

// Error implements error.
func (e *WriteError) Error() string {
	torn := ""
	if e.Torn {
		torn = " and a part of the next"
	}
	return fmt.Sprintf("%v: the output holds %d whole records%s", e.Err, e.Records, torn)
}

// Unwrap returns the cause.
func (e *WriteError) Unwrap() error { return e.Err }

// IsClosedPipe reports whether err says that the reader of a pipe or socket has gone (EPIPE, write(2)). That is the
// reader's right, not trouble: `sonde scan | head` ends so. On standard output and standard error the Go runtime ends the
// program before the error can be seen, unless the program asked for SIGPIPE (package os/signal).
func IsClosedPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe)
}

// NewLineWriter returns a LineWriter on w, which Close leaves open. If w is an *os.File that stands on a regular file
// (standard output sent to a file), a failed write is cut back as in a file of our own.
func NewLineWriter(w io.Writer) *LineWriter {
	lw := &LineWriter{dst: w, buf: make([]byte, 0, flushAt+lineRoom), fresh: true}
	f, ok := w.(*os.File)
	if !ok {
		return lw
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		lw.file = f
		lw.fresh = info.Size() == 0
	}
	return lw
}

// Fresh reports whether the output was empty when the LineWriter was made. A format with a header line writes it only then.
// A pipe or a terminal counts as empty.
func (w *LineWriter) Fresh() bool { return w.fresh }

// Mended is the size in bytes of the cut-short last line that [Create] removed from a file opened for appending.
func (w *LineWriter) Mended() int64 { return w.mended }

// Records is the number of records that are in the output for certain: taken by the operating system, whole. Those that
// wait for a Flush are not counted.
func (w *LineWriter) Records() uint64 {
	if w.written < w.headers {
		return 0
	}
	return w.written - w.headers
}

// AvailableBuffer returns an empty slice with room, to append a line to and pass to WriteLine at once. It saves
// WriteLine an allocation; its contents are valid until the next call on w.
func (w *LineWriter) AvailableBuffer() []byte { return w.buf[len(w.buf):] }

// WriteLine takes one record as a line without its newline. line must hold no newline. It does not keep line.
func (w *LineWriter) WriteLine(line []byte) error {
	if w.err != nil {
		return w.err
	}
	w.buf = append(append(w.buf, line...), '\n')
	w.pending++
	if len(w.buf) >= flushAt {
		return w.Flush()
	}
	return nil
}

// WriteHeader is WriteLine for a line that is no record. It must come before the first record.
func (w *LineWriter) WriteHeader(line []byte) error {
	w.headers++
	return w.WriteLine(line)
}

// Flush writes what was taken so far, in one write. It returns a *WriteError if that failed now or earlier.
func (w *LineWriter) Flush() error {
	if w.err != nil {
		return w.err
	}
	if len(w.buf) == 0 {
		return nil
	}
	n, err := w.dst.Write(w.buf)
	if n < len(w.buf) && err == nil {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.fail(min(max(n, 0), len(w.buf)), err)
		return w.err
	}
	w.written += w.pending
	w.pending = 0
	w.buf = w.buf[:0]
	if cap(w.buf) > keepMax {
		w.buf = make([]byte, 0, flushAt+lineRoom)
	}
	return nil
}

// Close flushes and closes the output if [Create] opened it. A failure to close is a failure to write: a file system over
// a network may report a full disk only then. Close may be called once.
func (w *LineWriter) Close() error {
	flushErr := w.Flush()
	if w.closer == nil {
		return flushErr
	}
	closeErr := w.closer.Close()
	if flushErr == nil && closeErr != nil {
		w.err = &WriteError{Records: w.Records(), Err: closeErr}
		return w.err
	}
	return flushErr
}

// fail notes that only n bytes of buf reached the output, and cuts off the part of a line at their end.
func (w *LineWriter) fail(n int, cause error) {
	whole := bytes.LastIndexByte(w.buf[:n], '\n') + 1
	w.written += uint64(bytes.Count(w.buf[:whole], []byte{'\n'}))
	w.err = &WriteError{Records: w.Records(), Err: cause}
	if n > whole {
		if err := w.cut(int64(n - whole)); err != nil {
			w.err.Torn = true
		}
	}
	w.buf, w.pending = nil, 0
}

var errNotCut = errors.New("the output can't be cut")

// cut takes the last size bytes, which we have just written, off the file.
func (w *LineWriter) cut(size int64) error {
	if w.file == nil {
		return errNotCut
	}
	// Asked of the kernel and not counted by us: we may share the file offset with whoever started us, and with O_APPEND
	// the offset is right only after a write.
	end, err := w.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	info, err := w.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != end || end < size { // someone else writes to it as well: those bytes may not be ours
		return errNotCut
	}
	if err := w.file.Truncate(end - size); err != nil {
		return err
	}
	_, err = w.file.Seek(end-size, io.SeekStart) // or the next writer of a shared offset would leave a hole
	return err
}
