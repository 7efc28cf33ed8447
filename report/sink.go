package report

import "fmt"

// Format is how records are written.
type Format uint8

// The formats.
const (
	JSONL Format = iota // one JSON object a line: the whole truth, for programs
	CSV                 // one row a line with a fixed header, for spreadsheets and databases
	Text                // an aligned table, for a person at a terminal
)

var formatWords = [...]string{"jsonl", "csv", "text"}

// String returns the word of --format.
func (f Format) String() string { return formatWords[f] }

// ParseFormat returns the format of that name: "jsonl", "csv" or "text", in lower case.
func ParseFormat(word string) (Format, error) {
	for f, w := range formatWords {
		if w == word {
			return Format(f), nil
		}
	}
	return 0, fmt.Errorf("unknown format %q: want jsonl, csv or text", word)
}

// Style is how a text for a person is to look. The zero Style suits any terminal.
type Style struct {
	Width int  // columns of the terminal; 0 means 80
	Color bool // colour by SGR sequences (ECMA-48 s.8.3.117)
	ASCII bool // no character outside ASCII of our own; a peer's text keeps its letters
}

func (s Style) width() int {
	if s.Width <= 0 {
		return 80
	}
	return s.Width
}

// encoder writes records in one format. Neither method appends a newline, nor any text that holds one.
type encoder interface {
	appendHeader(dst []byte) []byte // nothing if the format has no header
	appendRecord(dst []byte, r *Record) []byte
}

// LineSink writes records in one format to a [LineWriter], a record a line. It owns the LineWriter from NewSink on.
type LineSink struct {
	w   *LineWriter
	enc encoder
}

var _ Sink = (*LineSink)(nil)

// NewSink returns a sink that writes f to w, after a header line if the format has one and w is fresh. style matters to
// Text only. Nothing reaches the output before a Flush or a full buffer.
func NewSink(w *LineWriter, f Format, style Style) *LineSink {
	s := &LineSink{w: w}
	switch f {
	case CSV:
		s.enc = &csvEncoder{}
	case Text:
		s.enc = newTextEncoder(style)
	default:
		s.enc = jsonEncoder{}
	}
	if header := s.enc.appendHeader(w.AvailableBuffer()); len(header) > 0 && w.Fresh() {
		_ = w.WriteHeader(header) // the LineWriter keeps its error for the next call
	}
	return s
}

// Write implements [Sink]. Its error is a *WriteError.
func (s *LineSink) Write(r *Record) error {
	return s.w.WriteLine(s.enc.appendRecord(s.w.AvailableBuffer(), r))
}

// Flush implements [Sink]. Call it at least every 100 ms.
func (s *LineSink) Flush() error { return s.w.Flush() }

// Close implements [Sink].
func (s *LineSink) Close() error { return s.w.Close() }

// Records is the number of records that are in the output for certain; see [LineWriter.Records].
func (s *LineSink) Records() uint64 { return s.w.Records() }

type jsonEncoder struct{}

func (jsonEncoder) appendHeader(dst []byte) []byte            { return nil }
func (jsonEncoder) appendRecord(dst []byte, r *Record) []byte { return AppendJSON(dst, r) }
