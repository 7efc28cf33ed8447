package tlswire

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/protocol"
	"sonde/protocol/protocoltest"
)

type frames = []protocoltest.Frame

func frame(t ContentType, data string) protocoltest.Frame {
	return protocoltest.Frame{Kind: uint8(t), Data: data}
}

// record returns one record of TLS 1.2 with any length that fits.
func record(t ContentType, data string) string {
	return string([]byte{byte(t), 3, 3, byte(len(data) >> 8), byte(len(data))}) + data
}

var (
	largest = strings.Repeat("x", MaxFragment)

	recordSamples = protocoltest.Samples{
		Valid: []protocoltest.Valid{
			{Name: "alert", Stream: "\x15\x03\x01\x00\x02\x02\x28", Frames: frames{frame(RecordAlert, "\x02\x28")}},
			{Name: "every type", Stream: record(RecordChangeCipherSpec, "\x01") + record(RecordAlert, "\x01\x00") + record(RecordHandshake, "\x0e\x00\x00\x00") +
				record(RecordApplicationData, "abc") + record(RecordHeartbeat, "h"),
				Frames: frames{frame(RecordChangeCipherSpec, "\x01"), frame(RecordAlert, "\x01\x00"), frame(RecordHandshake, "\x0e\x00\x00\x00"),
					frame(RecordApplicationData, "abc"), frame(RecordHeartbeat, "h")}},
			{Name: "empty application data", Stream: record(RecordApplicationData, ""), Frames: frames{frame(RecordApplicationData, "")}},
			{Name: "any minor version", Stream: "\x16\x03\xff\x00\x01x", Frames: frames{frame(RecordHandshake, "x")}},
			{Name: "largest", Stream: record(RecordHandshake, largest), Frames: frames{frame(RecordHandshake, largest)}},
			{Name: "part of a header", Stream: "\x16\x03\x03\x00", Rest: 4},
			{Name: "part of a fragment", Stream: "\x16\x03\x03\x00\x02a", Rest: 6},
		},
		Malformed: []protocoltest.Bad{
			{Name: "text", Stream: "H", Reason: `first byte 'H': text`},
			{Name: "SSL 2.0", Stream: "\x80", Reason: "SSL 2.0"},
			{Name: "zero", Stream: "\x00", Reason: "first byte 0x00 is no content type"},
			{Name: "type below", Stream: "\x13", Reason: "0x13"},
			{Name: "type above", Stream: "\x19", Reason: "0x19"},
			{Name: "major version", Stream: "\x16\x02", Reason: "at byte 1: major version"},
			{Name: "empty handshake", Stream: "\x16\x03\x03\x00\x00", Reason: "at byte 3: empty"},
			{Name: "empty alert", Stream: "\x15\x03\x03\x00\x00", Reason: "empty"},
			{Name: "empty change_cipher_spec", Stream: "\x14\x03\x03\x00\x00", Reason: "empty"},
			{Name: "text behind a record", Stream: record(RecordAlert, "\x02\x28") + "<", Frames: frames{frame(RecordAlert, "\x02\x28")}, Reason: "text"},
		},
		TooLarge: []protocoltest.Bad{
			{Name: "one above", Stream: "\x16\x03\x03\x41\x01", Reason: "16641 bytes, more than 16640"},
			{Name: "most", Stream: "\x17\x03\x03\xff\xff", Reason: "65535"},
		},
	}
)

func newRecordParser() protocol.FrameParser { return new(RecordParser) }

func TestRecordParser(t *testing.T) { protocoltest.Run(t, newRecordParser, recordSamples) }

func FuzzRecordParser(f *testing.F) {
	// The longest samples teach the fuzzer nothing and cost seconds when cut to single bytes.
	seeds := slices.DeleteFunc(recordSamples.Seeds(), func(s []byte) bool { return len(s) > 4<<10 })
	protocoltest.Fuzz(f, newRecordParser, seeds...)
}

// The engine asks only when MinFrameSize bytes are there, and must still hear of the first byte that is wrong.
func TestRecordMinFrameSize(t *testing.T) {
	var p RecordParser
	stream := []byte("\x16\x03\x01\x00\x03abc")
	for have, want := range []int{1, 2, 5, 5, 5, 8, 8, 8} {
		if have > 0 {
			if _, _, err := p.ParseFrame(stream[:have]); err != protocol.ErrIncomplete {
				t.Fatalf("with %d bytes: got error %v, want ErrIncomplete", have, err)
			}
		}
		if got := p.MinFrameSize(); got != want {
			t.Errorf("with %d bytes: got %d, want %d", have, got, want)
		}
	}
	if _, _, err := p.ParseFrame(stream); err != nil {
		t.Fatal(err)
	}
	if got := p.MinFrameSize(); got != 1 {
		t.Errorf("after a record: got %d, want 1", got)
	}
	if got := p.Version(); got != TLS10 {
		t.Errorf("version: got %v, want TLS 1.0", got)
	}
}

func TestAppendRecords(t *testing.T) {
	payload := bytes.Repeat([]byte("0123456789"), 4000)
	stream := AppendRecords([]byte("before"), RecordHandshake, TLS10, payload)[len("before"):]
	var p RecordParser
	var got []byte
	var sizes []int
	for len(stream) > 0 {
		f, n, err := p.ParseFrame(stream)
		if err != nil {
			t.Fatal(err)
		}
		if ContentType(f.Kind) != RecordHandshake || p.Version() != TLS10 {
			t.Errorf("got %v, %v, want handshake, TLS 1.0", ContentType(f.Kind), p.Version())
		}
		got = append(got, f.Data...)
		sizes = append(sizes, len(f.Data))
		stream = stream[n:]
	}
	if !bytes.Equal(got, payload) {
		t.Error("payload differs")
	}
	if diff := cmp.Diff([]int{MaxPlaintext, MaxPlaintext, 40000 - 2*MaxPlaintext}, sizes); diff != "" {
		t.Errorf("sizes (-want +got):\n%s", diff)
	}
	if got := AppendRecords(nil, RecordApplicationData, TLS12, nil); string(got) != "\x17\x03\x03\x00\x00" {
		t.Errorf("empty payload: got %x", got)
	}
}

func TestSplitInner(t *testing.T) {
	for _, c := range []struct {
		name, plaintext, content string
		kind                     ContentType
		want                     string // a part of the error; empty for none
	}{
		{"no padding", "ab\x16", "ab", RecordHandshake, ""},
		{"padding", "ab\x00\x17\x00\x00\x00", "ab\x00", RecordApplicationData, ""},
		{"no content", "\x15", "", RecordAlert, ""},
		{"nothing", "", "", 0, "no content type"},
		{"only padding", "\x00\x00", "", 0, "no content type"},
		{"largest", strings.Repeat("x", MaxPlaintext) + "\x17", strings.Repeat("x", MaxPlaintext), RecordApplicationData, ""},
		{"too large", strings.Repeat("x", MaxPlaintext+1) + "\x17", "", 0, "more than 16385"},
	} {
		content, kind, err := SplitInner([]byte(c.plaintext))
		if !errorHas(err, c.want) || string(content) != c.content || kind != c.kind {
			t.Errorf("%s: got %.20q, %v, %v, want %.20q, %v, %q", c.name, content, kind, err, c.content, c.kind, c.want)
		}
	}
}

// errorHas reports whether err is nil for an empty part, else an error of the contract with that part in its text.
func errorHas(err error, part string) bool {
	if part == "" || err == nil {
		return part == "" && err == nil
	}
	var m *protocol.MalformedError
	return strings.Contains(err.Error(), part) && (errors.As(err, &m) || errors.Is(err, protocol.ErrTooLarge))
}

func TestParseAlert(t *testing.T) {
	for _, c := range []struct{ data, text, want string }{
		{"\x02\x28", "fatal handshake_failure", ""},
		{"\x01\x70", "warning unrecognized_name", ""},
		{"\x02\x79", "fatal ech_required", ""},
		{"\x02\xfe", "fatal 0xfe", ""},
		{"", "", "0 bytes, want 2"},
		{"\x02", "", "1 bytes"},
		{"\x02\x28\x02", "", "3 bytes"},
		{"\x00\x28", "", "level"},
		{"\x03\x28", "", "level"},
	} {
		a, err := ParseAlert([]byte(c.data))
		if !errorHas(err, c.want) || err == nil && a.String() != c.text {
			t.Errorf("%q: got %v, %v, want %q, error %q", c.data, a, err, c.text, c.want)
		}
	}
}

func TestParseChangeCipherSpec(t *testing.T) {
	for data, good := range map[string]bool{"\x01": true, "": false, "\x00": false, "\x01\x01": false} {
		if err := ParseChangeCipherSpec([]byte(data)); (err == nil) != good {
			t.Errorf("%q: got error %v, want none: %t", data, err, good)
		}
	}
}

func BenchmarkRecordParser(b *testing.B) {
	stream := []byte(record(RecordHandshake, strings.Repeat("x", 1024)))
	var p RecordParser
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := p.ParseFrame(stream); err != nil {
			b.Fatal(err)
		}
	}
}
