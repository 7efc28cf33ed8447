package workers

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// serve starts a worker on the frames that come from the pipe which it returns with it.
func serve(t *testing.T, stdout io.Writer) (*Worker, *bufio.Writer, *io.PipeWriter) {
	t.Helper()
	r, parent := io.Pipe()
	t.Cleanup(func() { parent.Close() })
	to := bufio.NewWriter(parent)
	written := make(chan error)
	go func() { written <- writeFrame(to, frame{kindAssignment, []byte("what to do")}) }()
	w, err := Serve(r, stdout)
	if err := errors.Join(err, <-written); err != nil {
		t.Fatal(err)
	}
	if got := string(w.Assignment()); got != "what to do" {
		t.Fatalf("got assignment %q, want %q", got, "what to do")
	}
	return w, to, parent
}

func TestServeCommands(t *testing.T) {
	w, to, _ := serve(t, io.Discard)
	var want []string
	for i := range 10 {
		want = append(want, strconv.Itoa(i))
		if err := writeFrame(to, frame{kindCommand, []byte(want[i])}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Context().Err(); err != nil {
		t.Errorf("got %v before the stop, want none", err)
	}
	if err := writeFrame(to, frame{kind: kindStop}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for command := range w.Commands() {
		got = append(got, string(command))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	if got := context.Cause(w.Context()); got != ErrStopped {
		t.Errorf("got %v once the commands had ended, want ErrStopped", got)
	}
}

// TestServeEnds ends the worker's context in each way, commands being left unread.
func TestServeEnds(t *testing.T) {
	tests := map[string]struct {
		do   func(*bufio.Writer, *io.PipeWriter)
		want error
	}{
		"a stop":                {func(to *bufio.Writer, _ *io.PipeWriter) { writeFrame(to, frame{kind: kindStop}) }, ErrStopped},
		"the parent's end":      {func(_ *bufio.Writer, p *io.PipeWriter) { p.Close() }, ErrOrphaned},
		"its end in a frame":    {func(_ *bufio.Writer, p *io.PipeWriter) { p.Write([]byte{0, 0}); p.Close() }, io.ErrUnexpectedEOF},
		"a second assignment":   {func(to *bufio.Writer, _ *io.PipeWriter) { writeFrame(to, frame{kind: kindAssignment}) }, ErrMalformed},
		"a worker's own frame":  {func(to *bufio.Writer, _ *io.PipeWriter) { writeFrame(to, frame{kind: kindMessage}) }, ErrMalformed},
		"no frame":              {func(_ *bufio.Writer, p *io.PipeWriter) { p.Write([]byte("begin\n")) }, ErrMalformed},
		"commands and the stop": {func(to *bufio.Writer, _ *io.PipeWriter) { commands(to, maxCommands) }, ErrStopped},
		"too many commands":     {func(to *bufio.Writer, _ *io.PipeWriter) { commands(to, maxCommands+1) }, ErrOverrun},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w, to, parent := serve(t, io.Discard)
			go tt.do(to, parent)
			<-w.Context().Done()
			if got := context.Cause(w.Context()); !errors.Is(got, tt.want) {
				t.Errorf("got cause %v, want %v", got, tt.want)
			}
		})
	}
}

func commands(to *bufio.Writer, n int) {
	for range n {
		writeFrame(to, frame{kindCommand, []byte("x")})
	}
	writeFrame(to, frame{kind: kindStop})
}

func TestServeRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		stdin string
		want  error
	}{
		"nothing":                    {"", ErrOrphaned},
		"half an assignment":         {"\x00\x00\x00\x05\x01ab", io.ErrUnexpectedEOF},
		"a command first":            {"\x00\x00\x00\x00\x02", ErrMalformed},
		"a user at the keyboard":     {"help\n", ErrMalformed},
		"an assignment out of reach": {"\xff\xff\xff\xff\x01", ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Serve(strings.NewReader(tt.stdin), io.Discard); !errors.Is(err, tt.want) {
				t.Errorf("got error %v, want %v", err, tt.want)
			}
		})
	}
}

// TestSend sends from several goroutines at once: frames come whole.
func TestSend(t *testing.T) {
	var out bytes.Buffer
	w, _, _ := serve(t, &out)
	if err := w.Send(make([]byte, MaxPayload+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v for a message too large, want ErrTooLarge", err)
	}
	var senders sync.WaitGroup
	for i := range 8 {
		senders.Go(func() {
			for range 50 {
				if err := w.Send(bytes.Repeat([]byte{byte('a' + i)}, 1000*i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	senders.Wait()
	if err := w.Finish([]byte("end")); err != nil {
		t.Fatal(err)
	}
	for name, send := range map[string]func([]byte) error{"Send": w.Send, "Finish": w.Finish} {
		if err := send(nil); !errors.Is(err, ErrFinished) {
			t.Errorf("got %v from %s after Finish, want ErrFinished", err, name)
		}
	}

	count := map[int]int{}
	for {
		f, err := readFrame(&out)
		if err != nil {
			t.Fatal(err)
		}
		if f.kind == kindFinal {
			break
		}
		i := len(f.payload) / 1000
		count[i]++
		if !bytes.Equal(f.payload, bytes.Repeat([]byte{byte('a' + i)}, 1000*i)) {
			t.Fatalf("got a message of %d bytes that are mixed", len(f.payload))
		}
	}
	if out.Len() > 0 {
		t.Errorf("got %d bytes after the final message, want none", out.Len())
	}
	for i := range 8 {
		if count[i] != 50 {
			t.Errorf("got %d messages of sender %d, want 50", count[i], i)
		}
	}
}
