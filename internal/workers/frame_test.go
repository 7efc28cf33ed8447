package workers

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// encode returns the frames as they go over a pipe.
func encode(t testing.TB, frames ...frame) []byte {
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	for _, f := range frames {
		if err := writeFrame(w, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestFrames(t *testing.T) {
	frames := []frame{
		{kindAssignment, []byte("what to do")},
		{kindCommand, nil},
		{kindMessage, bytes.Repeat([]byte("x"), 100_000)},
		{kindStop, nil},
		{kindFinal, bytes.Repeat([]byte("y"), MaxPayload)},
	}
	b := encode(t, frames...)
	if got, want := string(b[:headerBytes+10]), "\x00\x00\x00\x0a\x01what to do"; got != want {
		t.Errorf("got %q on the wire, want %q", got, want)
	}
	r := bytes.NewReader(b)
	for _, want := range frames {
		got, err := readFrame(r)
		if err != nil {
			t.Fatal(err)
		}
		if got.kind != want.kind || !bytes.Equal(got.payload, want.payload) {
			t.Errorf("got kind %d with %d bytes, want kind %d with %d", got.kind, len(got.payload), want.kind, len(want.payload))
		}
	}
	if _, err := readFrame(r); err != io.EOF {
		t.Errorf("got %v at the end, want io.EOF", err)
	}
}

func TestFramesRefused(t *testing.T) {
	tests := map[string]struct {
		bytes string
		want  error
		text  string
	}{
		"printed text":     {"hello world\n", ErrMalformed, `"hell" would be the length of 1751477356 bytes`},
		"one byte too big": {"\x01\x00\x00\x01\x04", ErrMalformed, "16777217 bytes"},
		"kind 0":           {"\x00\x00\x00\x00\x00", ErrMalformed, "kind 0"},
		"a kind too high":  {"\x00\x00\x00\x00\x06", ErrMalformed, "kind 6"},
		"a stop that says": {"\x00\x00\x00\x01\x03x", ErrMalformed, "a stop with 1 bytes"},
		"half a header":    {"\x00\x00", io.ErrUnexpectedEOF, `cut off after 2 bytes ("\x00\x00")`},
		"no payload":       {"\x00\x00\x00\x02\x04", io.ErrUnexpectedEOF, "cut off after 0 of 2 bytes"},
		"half a payload":   {"\x00\x00\x00\x02\x04a", io.ErrUnexpectedEOF, "cut off after 1 of 2 bytes"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := readFrame(strings.NewReader(tt.bytes))
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got error %v, want %v with %q", err, tt.want, tt.text)
			}
		})
	}
	t.Run("too large to write", func(t *testing.T) {
		var b bytes.Buffer
		if err := writeFrame(bufio.NewWriter(&b), frame{kindMessage, make([]byte, MaxPayload+1)}); !errors.Is(err, ErrTooLarge) || b.Len() > 0 {
			t.Errorf("got error %v and %d bytes written, want ErrTooLarge and none", err, b.Len())
		}
	})
}

// FuzzReadFrame feeds any bytes: a frame that is read is, written again, what was consumed.
func FuzzReadFrame(f *testing.F) {
	f.Add(encode(f, frame{kindAssignment, []byte("a")}, frame{kindStop, nil}))
	f.Add([]byte("panic: no\n"))
	f.Add([]byte("\x00\x00\x00\x02\x04a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		for {
			at := len(b) - r.Len()
			got, err := readFrame(r)
			if err != nil {
				if errors.Is(err, io.EOF) && r.Len() > 0 {
					t.Errorf("got %v with %d bytes left", err, r.Len())
				}
				return
			}
			if diff := cmp.Diff(b[at:len(b)-r.Len()], encode(t, got)); diff != "" {
				t.Errorf("written again (-consumed +written):\n%s", diff)
			}
		}
	})
}
