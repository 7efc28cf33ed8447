package workers

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStderr looks at the lines of several workers: whole, prefixed, in the order of each.
func TestStderr(t *testing.T) {
	stderr := &lineRecorder{}
	wellEnded(t, wait(t, start(t, Options{StopGrace: forever, Stderr: stderr}, "lines a", "lines b", "lines c"), nil))
	for i, name := range []string{"a", "b", "c"} {
		prefix := fmt.Sprintf("worker %d: ", i)
		var want []string
		for line := range 100 {
			want = append(want, fmt.Sprintf("%s%s line %d\n", prefix, name, line))
		}
		text := name + " long " + strings.Repeat("z", maxLine)
		want = append(want, prefix+text[:maxLine]+"\n", prefix+text[maxLine:]+"\n")
		var got []string
		for _, line := range stderr.writes {
			if strings.HasPrefix(line, prefix) {
				got = append(got, line)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("lines of worker %d (-want +got):\n%s", i, diff)
		}
	}
	if got, want := len(stderr.writes), 3*102; got != want {
		t.Errorf("got %d writes, want %d", got, want)
	}
}

// lineRecorder keeps each write. It has no lock: the group promises that none is at the same time as another.
type lineRecorder struct{ writes []string }

func (r *lineRecorder) Write(p []byte) (int, error) {
	r.writes = append(r.writes, string(p))
	return 0, errors.New("ignored")
}
