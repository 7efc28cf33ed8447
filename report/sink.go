package report

import (
	"cmp"
	"fmt"

	"sonde/report/draw"
)

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
type Style = draw.Style

// Unbounded is the Width of what is no terminal, such as a file or a pipe: a table's lines are as long as they need to be.
const Unbounded = draw.Unbounded

// encoder writes records in one format. Neither method appends a newline, nor any text that holds one.
type encoder interface {
	appendHeader(dst []byte) []byte // nothing if the format has no header
	appendRecord(dst []byte, r *Record) []byte
}

// LineSink writes records in one format to a [LineWriter], a record a line. It owns the LineWriter from NewSink on.
type LineSink struct {
	w     *LineWriter
	enc   encoder
	table *textEncoder // enc, until the columns of a table are chosen by what is in held
	held  []textRow
}

var _ Sink = (*LineSink)(nil)

// heldRows is how many records a table waits for at most before it chooses its columns: a screen of them.
const heldRows = 50

// NewSink returns a sink that writes f to w, after a header line if the format has one and w is fresh. style matters to
// Text only. Nothing reaches the output before a Flush or a full buffer. The columns of a table are chosen by the records
// before the first Flush, 50 of them at most; the sink keeps what it shows of them until then.
func NewSink(w *LineWriter, f Format, style Style) *LineSink {
	s := &LineSink{w: w}
	switch f {
	case CSV:
		s.enc = &csvEncoder{}
	case Text:
		s.table = newTextEncoder(style)
		s.enc = s.table
		return s
	default:
		s.enc = jsonEncoder{}
	}
	s.writeHeader()
	return s
}

func (s *LineSink) writeHeader() {
	if header := s.enc.appendHeader(s.w.AvailableBuffer()); len(header) > 0 && s.w.Fresh() {
		_ = s.w.WriteHeader(header) // the LineWriter keeps its error for the next call
	}
}

// Write implements [Sink]. Its error is a *WriteError.
func (s *LineSink) Write(r *Record) error {
	if s.table == nil {
		return s.w.WriteLine(s.enc.appendRecord(s.w.AvailableBuffer(), r))
	}
	if s.held = append(s.held, s.table.row(r)); len(s.held) < heldRows {
		return nil
	}
	return s.layOut()
}

// layOut chooses the columns of a table and writes its beginning.
func (s *LineSink) layOut() error {
	s.table.layOut(s.held)
	s.writeHeader()
	table, held := s.table, s.held
	s.table, s.held = nil, nil
	for i := range held {
		if err := s.w.WriteLine(table.appendRow(s.w.AvailableBuffer(), &held[i])); err != nil {
			return err
		}
	}
	return nil
}

// Flush implements [Sink]. Call it at least every 100 ms.
func (s *LineSink) Flush() error {
	if len(s.held) > 0 {
		if err := s.layOut(); err != nil {
			return err
		}
	}
	return s.w.Flush()
}

// Close implements [Sink].
func (s *LineSink) Close() error {
	var err error
	if s.table != nil {
		err = s.layOut()
	}
	return cmp.Or(err, s.w.Close())
}

// Records is the number of records that are in the output for certain; see [LineWriter.Records].
func (s *LineSink) Records() uint64 { return s.w.Records() }

type jsonEncoder struct{}

func (jsonEncoder) appendHeader(dst []byte) []byte            { return nil }
func (jsonEncoder) appendRecord(dst []byte, r *Record) []byte { return AppendJSON(dst, r) }
