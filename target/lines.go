package target

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxLine is the longest line that is read, in bytes without its end: room for an address, a name of 253, a long tag or a
// URL. What is longer is not a target list.
const maxLine = 4 << 10

// lineBuffer is how much of a file is read at once, in bytes.
const lineBuffer = 64 << 10

// lines reads the entries of arguments, then those of files, in order. It owns the files that it was given.
type lines struct {
	args   []string
	files  []inputFile
	origin string // of the last line
	number int    // of the last line, from 1

	reader    *bufio.Reader // reads the first of files once isReading is set
	isReading bool
	arg       []byte // an argument, or the start of a long line, as bytes; reused

	consumed, known int64 // bytes read so far, and bytes in arguments and regular files in all
	endless         bool  // some file's size is not known
}

// inputFile is a file of entries. closer is nil for what is not ours to close.
type inputFile struct {
	origin string
	reader io.Reader
	closer io.Closer
}

var byteOrderMark = []byte("\xef\xbb\xbf") // UTF-8's (RFC 3629 s.6)

// openLines opens every file, so that one that can't be read is found before anything is dialled. "-" is stdin.
func openLines(args, files []string, stdin io.Reader) (*lines, error) {
	l := &lines{args: args}
	for _, arg := range args {
		l.known += int64(len(arg))
	}
	for _, name := range files {
		if err := l.open(name, stdin); err != nil {
			return nil, errors.Join(err, l.close())
		}
	}
	return l, nil
}

func (l *lines) open(name string, stdin io.Reader) error {
	if name == "-" {
		if stdin == nil {
			return errors.New("standard input is asked for but there is none")
		}
		for _, earlier := range l.files {
			if earlier.origin == originStdin {
				return errors.New("standard input is asked for twice")
			}
		}
		l.files = append(l.files, inputFile{origin: originStdin, reader: stdin})
		l.endless = true
		return nil
	}
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("target list: %w", err)
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory", name)
	}
	if err != nil {
		return fmt.Errorf("target list: %w", errors.Join(err, file.Close()))
	}
	if info.Mode().IsRegular() {
		l.known += info.Size()
	} else {
		l.endless = true
	}
	l.files = append(l.files, inputFile{origin: name, reader: file, closer: file})
	return nil
}

// next returns the next line without its end, valid until the following call. Of a line over maxLine it returns the start
// and isLong, and skips the rest. The error is io.EOF after the last line, else that of reading a file.
func (l *lines) next() (line []byte, isLong bool, err error) {
	if len(l.args) > 0 {
		l.origin = originArgument
		l.number++
		l.arg = append(l.arg[:0], l.args[0]...)
		l.args = l.args[1:]
		l.consumed += int64(len(l.arg))
		return l.arg, len(l.arg) > maxLine, nil
	}
	for len(l.files) > 0 {
		if !l.isReading {
			l.begin()
		}
		line, isLong, err = l.readLine()
		if err == nil {
			return line, isLong, nil
		}
		l.isReading = false
		closeErr := l.closeFirst()
		if err == io.EOF {
			err = closeErr
		}
		if err != nil {
			return nil, false, fmt.Errorf("target list %s: %w", l.origin, err)
		}
	}
	return nil, false, io.EOF
}

// begin starts on the first of the files left. A byte order mark is skipped when the first line is here: to look for it
// now could wait for input that is not needed yet.
func (l *lines) begin() {
	l.origin, l.number, l.isReading = l.files[0].origin, 0, true
	if l.reader == nil {
		l.reader = bufio.NewReaderSize(nil, lineBuffer)
	}
	l.reader.Reset(l.files[0].reader)
}

// readLine reads one line of the first file.
func (l *lines) readLine() (line []byte, isLong bool, err error) {
	line, err = l.reader.ReadSlice('\n')
	l.consumed += int64(len(line))
	if err == bufio.ErrBufferFull {
		line, isLong, err = append(l.arg[:0], line[:maxEntryText]...), true, l.skipLine()
		l.arg = line
	}
	if err != nil && (err != io.EOF || len(line) == 0) {
		return nil, false, err
	}
	l.number++
	if l.number == 1 {
		line = bytes.TrimPrefix(line, byteOrderMark)
	}
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte{'\n'}), []byte{'\r'})
	return line, isLong || len(line) > maxLine, nil
}

// skipLine reads to the end of the line. io.EOF says that the file ended first.
func (l *lines) skipLine() error {
	for {
		rest, err := l.reader.ReadSlice('\n')
		l.consumed += int64(len(rest))
		if err != bufio.ErrBufferFull {
			return err
		}
	}
}

// closeFirst closes the first of the files left and drops it.
func (l *lines) closeFirst() error {
	first := l.files[0]
	l.files = l.files[1:]
	if first.closer == nil {
		return nil
	}
	return first.closer.Close()
}

// close closes what is still open.
func (l *lines) close() error {
	var errs []error
	for len(l.files) > 0 {
		errs = append(errs, l.closeFirst())
	}
	l.args = nil
	return errors.Join(errs...)
}
