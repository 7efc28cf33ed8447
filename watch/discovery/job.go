package discovery

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sonde/target"
)

// The kinds of sources, as they are configured and told.
const (
	kindInline = "inline"
	kindFiles  = "files"
	kindFileSD = "file_sd"
	kindHTTPSD = "http_sd"
)

// job is one with its sources. It belongs to Run's goroutine.
type job struct {
	Job
	sources []*source
	most    int // MaxTargets; less in tests
	// isTold says that its first list was handed out, or waits to be.
	isTold bool
	// faults are those of the last list, by which one that stays is told once.
	faults []string
}

// source is one place where targets come from. What is above the line never changes.
type source struct {
	job     *job
	index   int // in Discovery.status
	kind    string
	name    string // what it is called in messages and metrics; empty for inline. No other of its job and kind has it
	path    string // of files: the path or pattern
	http    HTTPSD
	pattern bool // path is one
	// ---- of the goroutine that reads it, once that has begun
	held map[string]*held // what is known of each file, by path, or of the URL
	// ---- of Run's goroutine
	docs             []*document
	isKnown          bool // it was read, or has failed, once
	targets, refused int
}

// sourceID names a source for good.
type sourceID struct{ job, kind, at string }

func (s *source) id() sourceID { return sourceID{s.job.Name, s.kind, s.path + s.http.URL} }

// redacted is a URL without its password and its query, where tokens stand.
func redacted(address *url.URL) string {
	told := *address
	if told.RawQuery != "" {
		told.RawQuery = "xxxxx"
	}
	return told.Redacted()
}

// newJob checks what no reading could mend.
func newJob(spec Job) (*job, error) {
	labels, err := jobLabels(spec.Labels)
	if err != nil {
		return nil, err
	}
	j := &job{Job: spec, most: MaxTargets}
	j.Labels = labels
	if len(spec.Inline) > 0 {
		texts := slices.Clone(spec.Inline)
		for i, text := range texts {
			texts[i] = string(target.TrimLine([]byte(text)))
		}
		inline := j.add(source{kind: kindInline})
		inline.isKnown = true
		inline.docs = []*document{{groups: []group{{texts: texts}}, isList: true}}
	}
	for _, path := range spec.Files {
		if err := j.addFiles(kindFiles, path); err != nil {
			return nil, err
		}
	}
	for _, path := range spec.FileSD {
		switch filepath.Ext(path) {
		case ".json", ".yml", ".yaml":
		default:
			return nil, fmt.Errorf("file_sd: %q: its name must end in .json, .yml or .yaml", path)
		}
		if err := j.addFiles(kindFileSD, path); err != nil {
			return nil, err
		}
	}
	for _, h := range spec.HTTPSD {
		if err := j.addHTTP(h); err != nil {
			return nil, err
		}
	}
	return j, nil
}

func (j *job) add(s source) *source {
	s.job = j
	name := s.name
	for n := 2; slices.ContainsFunc(j.sources, func(other *source) bool { return other.kind == s.kind && other.name == s.name }); n++ {
		s.name = fmt.Sprintf("%s#%d", name, n) // it is listed twice, or differs in what is not shown
	}
	s.held = map[string]*held{}
	j.sources = append(j.sources, &s)
	return &s
}

func (j *job) addFiles(kind, path string) error {
	folder, last := filepath.Split(path)
	_, err := filepath.Match(last, "")
	switch {
	case path == "-":
		return fmt.Errorf("%s: standard input can't be read again", kind)
	case last == "":
		return fmt.Errorf("%s: %q: a folder; name the files in it", kind, path)
	case strings.ContainsAny(folder, "*?["):
		return fmt.Errorf("%s: %q: only the last part of a path may be a pattern", kind, path)
	case err != nil:
		return fmt.Errorf("%s: %q: %w", kind, path, err)
	}
	path = filepath.Clean(path)
	j.add(source{kind: kind, name: path, path: path, pattern: strings.ContainsAny(last, "*?[")})
	return nil
}

// The times of an http_sd.
const (
	defaultRefresh = time.Minute
	minRefresh     = time.Second
	defaultTimeout = 10 * time.Second
)

func (j *job) addHTTP(h HTTPSD) error {
	if h.Refresh == 0 {
		h.Refresh = defaultRefresh
	}
	if h.Timeout == 0 {
		h.Timeout = defaultTimeout
	}
	h.Timeout = min(h.Timeout, h.Refresh)
	address, err := url.Parse(h.URL)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // the rest repeats the URL, which may hold a password
		}
		return fmt.Errorf("http_sd: not a URL: %w", err)
	}
	switch {
	case address.Scheme != "http" && address.Scheme != "https" || address.Host == "":
		return fmt.Errorf("http_sd: %q: want http:// or https:// and a host", redacted(address))
	case h.Refresh < minRefresh:
		return fmt.Errorf("http_sd: %q: each %v: at least %v", redacted(address), h.Refresh, minRefresh)
	case h.Timeout < 0:
		return fmt.Errorf("http_sd: %q: a timeout below 0", redacted(address))
	}
	j.add(source{kind: kindHTTPSD, name: redacted(address), http: h})
	return nil
}
