package discovery

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sonde/internal/kernel/regular"
)

// held is what is known of a file or a URL.
type held struct {
	sum  [sha256.Size]byte // of what was read last
	err  error             // what was wrong with that
	doc  *document         // the last good one; nil if there was none
	gone int64             // the moment at which a file that a pattern found was first missing; 0 if it is there
}

// take has h be what was read. It reports whether the document is another.
func (h *held) take(data []byte, parse func() (*document, error)) (isNew bool) {
	sum := sha256.Sum256(data)
	if sum == h.sum && (h.doc != nil || h.err != nil) {
		return false
	}
	doc, err := parse()
	h.sum, h.err = sum, err
	if err == nil {
		doc.sum = sum
		h.doc = doc
	}
	return err == nil
}

// reading is what one look at a source gave.
type reading struct {
	source *source
	isNew  bool        // docs are others than before
	docs   []*document // all that it has now, if isNew
	err    error       // what is wrong; what could not be read is as it was
}

// look reads the files of a source that changed. again says that a file is missing whose grace has not passed yet.
func (s *source) look(now int64, grace time.Duration) (r reading, again bool) {
	r.source = s
	paths, err := s.paths()
	if err != nil {
		r.err = err
		return r, false
	}
	var failed []error
	there := map[string]bool{}
	for _, path := range paths {
		isNew, err := s.readFile(path)
		if s.pattern && errors.Is(err, fs.ErrNotExist) {
			continue // it went meanwhile
		}
		there[path] = true
		r.isNew = r.isNew || isNew
		if err != nil {
			failed = append(failed, err)
		}
	}
	for path, h := range s.held {
		switch {
		case there[path]:
			h.gone = 0
		case h.gone == 0:
			h.gone, again = now, true
		case now-h.gone < int64(grace):
			again = true
		default:
			delete(s.held, path)
			r.isNew = true
		}
	}
	if r.isNew {
		r.docs = s.documents()
	}
	if len(failed) > 1 {
		r.err = fmt.Errorf("%w (and %d more files)", failed[0], len(failed)-1)
	} else if len(failed) == 1 {
		r.err = failed[0]
	}
	return r, again
}

// documents is what s holds, in order of the files' names.
func (s *source) documents() []*document {
	var docs []*document
	for _, path := range slices.Sorted(maps.Keys(s.held)) {
		if doc := s.held[path].doc; doc != nil {
			docs = append(docs, doc)
		}
	}
	return docs
}

// paths are the files that s means, in order. As in a shell, a pattern finds names with a leading dot only if it begins with one.
func (s *source) paths() ([]string, error) {
	if !s.pattern {
		return []string{s.path}, nil
	}
	folder, pattern := filepath.Dir(s.path), filepath.Base(s.path)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, entry := range entries {
		if entry.IsDir() || !matches(pattern, entry.Name()) {
			continue
		}
		if len(paths) == maxFiles {
			return nil, fmt.Errorf("%s: more than %d files", s.path, maxFiles)
		}
		paths = append(paths, filepath.Join(folder, entry.Name()))
	}
	return paths, nil
}

func matches(pattern, name string) bool {
	isMatch, _ := filepath.Match(pattern, name) // newJob knows that it is well formed
	return isMatch && (name[0] != '.' || pattern[0] == '.')
}

// readFile brings what is held of a file up to date.
func (s *source) readFile(path string) (isNew bool, err error) {
	data, err := readAll(path)
	if err != nil {
		return false, err
	}
	h := s.held[path]
	if h == nil {
		h = &held{}
		s.held[path] = h
	}
	isNew = h.take(data, func() (*document, error) { return s.parse(path, data) })
	if h.err != nil {
		return isNew, fmt.Errorf("%s: %w", path, h.err)
	}
	return isNew, nil
}

func (s *source) parse(path string, data []byte) (*document, error) {
	switch {
	case s.kind == kindFiles && len(data) == 0:
		return nil, errors.New("it is empty; a list without targets has a comment")
	case s.kind == kindFiles:
		return parseList(path, data), nil
	}
	data = bytes.TrimPrefix(data, []byte(mark))
	if strings.HasSuffix(path, ".json") {
		return parseJSON(path, data)
	}
	return parseYAML(path, data)
}

// readAll reads a file of at most MaxBytes.
func readAll(path string) ([]byte, error) {
	file, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readLimited(file, path)
}

func readLimited(from io.Reader, name string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, MaxBytes+1))
	if err == nil && len(data) > MaxBytes {
		err = fmt.Errorf("%s: more than %d MiB", name, MaxBytes>>20)
	}
	return data, err
}

// send hands a reading to Run, or gives up when ctx is done.
func (d *Discovery) send(ctx context.Context, r reading) {
	select {
	case d.readings <- r:
	case <-ctx.Done():
	}
}
