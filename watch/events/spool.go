package events

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"sonde/internal/kernel/regular"
)

// spool is the file that keeps what is queued. A line is an event, or the id up to which all events before the line are over.
// It belongs to Run's goroutine.
type spool struct {
	path    string
	file    *os.File
	size    int64
	limit   int64  // at which it is written anew
	through uint64 // the number of the youngest event that is in it
	isStale bool   // it must be written anew: a write has failed, or another queue had it
}

// mark is the line that says how far the events are over.
type mark struct {
	ID   string `json:"id,omitempty"`
	Done string `json:"done,omitempty"`
}

// maxSpoolLine is the longest line that is read: what encode makes is far shorter, unless labels are absurd.
const maxSpoolLine = 1 << 20

// openSpool reads what a spool keeps, the youngest most events of it, and writes it anew: without what is over, and without a last
// line that a crash cut short.
func openSpool(path string, most int) (*spool, []entry, error) {
	kept, err := readSpool(path, most)
	if err != nil {
		return nil, nil, fmt.Errorf("spool: %w", err)
	}
	s := &spool{path: path}
	if err := s.rewrite(kept); err != nil {
		return nil, nil, fmt.Errorf("spool: %w", err)
	}
	return s, kept, nil
}

func readSpool(path string, most int) ([]entry, error) {
	file, err := regular.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return parseSpool(file, most)
}

// parseSpool returns the events that are not over, the youngest most of them.
func parseSpool(from io.Reader, most int) (kept []entry, err error) {
	lines := bufio.NewReaderSize(from, maxSpoolLine)
	for isRest := false; ; {
		line, err := lines.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			if err == io.EOF { // a last line without an end was cut short by a crash
				err = nil
			}
			return kept, err
		}
		isLong := isRest || err != nil
		isRest = err != nil
		var m mark
		switch {
		case isLong || json.Unmarshal(line, &m) != nil: // not of ours: a disk fault, or two lines glued by one
		case m.Done != "":
			for i := range kept {
				if kept[i].id == m.Done {
					kept = kept[i+1:]
					break
				}
			}
		case m.ID != "":
			if len(kept) == most {
				kept = kept[1:]
			}
			kept = append(kept, entry{id: m.ID, line: bytes.Clone(bytes.TrimSpace(line))})
		}
	}
}

// rewrite replaces the file by one that holds these events alone (rename(2)), so that a crash leaves the one or the other.
func (s *spool) rewrite(entries []entry) error {
	beside := s.path + ".new"
	file, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	size, err := writeLines(file, entries)
	if err == nil {
		err = errors.Join(file.Sync(), os.Rename(beside, s.path), syncFolder(s.path))
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	if s.file != nil {
		_ = s.file.Close() // it has no name any more, and nobody will read it
	}
	s.file, s.size, s.limit, s.isStale = file, size, 2*size+SpoolSlack, false
	return nil
}

// syncFolder makes a rename outlive a power cut (fsync(2)).
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func writeLines(to io.Writer, entries []entry) (size int64, err error) {
	out := bufio.NewWriterSize(to, 64<<10)
	for i := range entries {
		out.Write(entries[i].line) // its error stays with out
		out.WriteByte('\n')
		size += int64(len(entries[i].line)) + 1
	}
	return size, out.Flush()
}

// add appends events and has them on the disk when it returns.
func (s *spool) add(entries []entry) error {
	size, err := writeLines(s.file, entries)
	if err == nil {
		err = s.file.Sync()
	}
	s.size += size
	s.isStale = err != nil
	return err
}

// done marks all events up to this one as over. Without a sync: at worst they are delivered twice.
func (s *spool) done(id string) error {
	line, _ := json.Marshal(mark{Done: id})
	size, err := s.file.Write(append(line, '\n'))
	s.size += int64(size)
	s.isStale = err != nil
	return err
}

// close ends the use of the file; what is in it stays.
func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// empty takes everything out, at the end of which all is delivered.
func (s *spool) empty() error {
	err := s.file.Truncate(0)
	s.isStale = err != nil
	if err == nil {
		s.size, s.limit = 0, SpoolSlack
	}
	return err
}
