package draw

import (
	"bytes"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is written above a block stands where the block stood, and the block is drawn anew below it.
func TestBlock(t *testing.T) {
	var terminal bytes.Buffer
	b := NewBlock(&terminal)
	above := b.Above(&terminal)

	io.WriteString(above, "before\n")
	b.Show("12%\nok")
	io.WriteString(above, "row\n")
	b.Clear()
	b.Clear()
	io.WriteString(above, "after\n")

	const drawn = "\r12%\x1b[K\r\nok\x1b[K\r\x1b[A"
	want := "before\n" + drawn + "\r\x1b[J" + "row\n" + drawn + "\r\x1b[J" + "after\n"
	if diff := cmp.Diff(want, terminal.String()); diff != "" {
		t.Errorf("terminal differs (-want +got):\n%s", diff)
	}
}
