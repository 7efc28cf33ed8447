package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sonde/bench/load"
	"sonde/bench/result"
	"sonde/internal/kernel/usage"
	"sonde/internal/workers"
)

// crewOf is a crew of workers with so many connections each, whose parent's lines go to told.
func crewOf(told *[]string, shares ...int) *crew {
	p := &Prepared{Shares: shares}
	p.Tell = func(format string, args ...any) { *told = append(*told, fmt.Sprintf(format, args...)) }
	c := p.newCrew(&result.Report{Total: &result.Part{}}, newKernelGrowth())
	c.command = func([]byte) error { return nil }
	return c
}

// finalOf is the last message of a worker that did its share.
func finalOf(t *testing.T, worker, connections int, fault string) workers.Message {
	t.Helper()
	part := &result.Part{Wanted: uint64(connections), Held: uint64(connections), Operations: 10, Usage: result.Usage{Processes: 1}}
	encoded, err := part.Encode()
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(final{Part: encoded, Fault: fault})
	if err != nil {
		t.Fatal(err)
	}
	return workers.Message{Worker: worker, Data: data, Final: true}
}

func rampedOf(t *testing.T, worker int, held uint64) workers.Message {
	t.Helper()
	data, err := json.Marshal(message{Ramped: &ramped{Held: held}})
	if err != nil {
		t.Fatal(err)
	}
	return workers.Message{Worker: worker, Data: data}
}

// TestShareCountsOnce: what a worker did is counted, or its whole share is lost: never both, and never neither.
func TestShareCountsOnce(t *testing.T) {
	killed := errors.New("signal: killed")
	for name, c := range map[string]struct {
		events             []workers.Event
		operations, failed uint64
		lost               string
	}{
		"ended well":             {[]workers.Event{finalOf(t, 0, 4, "")}, 10, 0, ""},
		"died":                   {[]workers.Event{workers.Death{Worker: 0, Err: killed}}, 0, 4, "signal: killed"},
		"died behind its last":   {[]workers.Event{finalOf(t, 0, 4, ""), workers.Death{Worker: 0, Err: killed}}, 10, 0, ""},
		"last word is no report": {[]workers.Event{workers.Message{Data: []byte("{"), Final: true}}, 0, 4, "decode the last message: unexpected end of JSON input"},
		"last word is empty":     {[]workers.Event{workers.Message{Data: []byte("{}"), Final: true}}, 0, 4, "decode a part: unexpected end of JSON input"},
		"neither":                {[]workers.Event{workers.Message{Data: []byte("{"), Final: true}, workers.Death{Worker: 0, Err: killed}}, 0, 4, "decode the last message: unexpected end of JSON input"},
	} {
		t.Run(name, func(t *testing.T) {
			var told []string
			crew := crewOf(&told, 4, 5)
			for _, e := range c.events {
				crew.hear(t.Context(), e)
			}
			total := crew.report.Total
			failed, _ := total.Failures.Total()
			if total.Wanted != 4 || total.Operations != c.operations || failed != c.failed {
				t.Errorf("got %d connections, %d operations, %d failures; want 4, %d, %d", total.Wanted, total.Operations, failed, c.operations, c.failed)
			}
			lost := ""
			if err := crew.lost[0]; err != nil {
				lost = err.Error()
			}
			if lost != c.lost {
				t.Errorf("got a share lost by %q, want %q", lost, c.lost)
			}
			if _, death := c.events[len(c.events)-1].(workers.Death); death && !slices.ContainsFunc(told, func(s string) bool { return strings.Contains(s, "killed") }) {
				t.Errorf("nothing was told of the death: %q", told)
			}
		})
	}
}

// TestFaultKeepsPart: a worker whose engine failed has done something, and the report says why it is not all.
func TestFaultKeepsPart(t *testing.T) {
	var told []string
	c := crewOf(&told, 4, 5)
	c.hear(t.Context(), finalOf(t, 0, 4, "epoll_wait: bad file descriptor"))
	c.hear(t.Context(), finalOf(t, 1, 5, ""))
	const want = "worker process 0: epoll_wait: bad file descriptor"
	if c.report.Total.Operations != 20 || c.report.Stopped != want || !slices.Equal(told, []string{want}) {
		t.Errorf("got %d operations, stopped by %q, told %q; want 20, and twice %q", c.report.Total.Operations, c.report.Stopped, told, want)
	}
}

// TestKernelIsLookedAt: what the kernel holds is measured while connections are held, and else not known.
func TestKernelIsLookedAt(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	dead := func(worker int) workers.Event { return workers.Death{Worker: worker, Err: errors.New("killed")} }
	for name, c := range map[string]struct {
		ctx    context.Context
		events []workers.Event
		looked bool
	}{
		"all stand":            {t.Context(), []workers.Event{rampedOf(t, 0, 4), rampedOf(t, 1, 5)}, true},
		"one died in its ramp": {t.Context(), []workers.Event{rampedOf(t, 0, 4), dead(1)}, true},
		"none stands":          {t.Context(), []workers.Event{rampedOf(t, 0, 0), rampedOf(t, 1, 0)}, false},
		"none is held":         {t.Context(), []workers.Event{finalOf(t, 0, 4, ""), finalOf(t, 1, 5, "")}, false},
		"stopped in its ramp":  {stopped, []workers.Event{rampedOf(t, 0, 4), finalOf(t, 1, 5, ""), finalOf(t, 0, 4, "")}, false},
		"gone by then":         {t.Context(), []workers.Event{rampedOf(t, 0, 4), finalOf(t, 0, 4, ""), rampedOf(t, 1, 0)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var told []string
			crew := crewOf(&told, 4, 5)
			for _, e := range c.events {
				crew.hear(c.ctx, e)
			}
			if !crew.held {
				t.Error("the workers were not told to hold")
			}
			if usage.ReadTCP().Sockets == usage.Unknown {
				return // this platform tells nothing
			}
			if looked := crew.kernel.grown.Sockets != usage.Unknown; looked != c.looked {
				t.Errorf("got a look at the kernel: %v, want %v", looked, c.looked)
			}
		})
	}
}

// TestStoppedWhileStarting: who stops before there are workers is told so, and that it was they.
func TestStoppedWhileStarting(t *testing.T) {
	why := errors.New("interrupted")
	ctx, stop := context.WithCancelCause(t.Context())
	stop(why)
	p := preparedFor(t, load.Spec{Kind: result.Hold, Connections: 2})
	p.Shares, p.Runs = []int{1, 1}, 2
	r, err := p.Run(ctx)
	if r != nil || !errors.Is(err, why) || err.Error() != "stopped before anything was done: interrupted" {
		t.Errorf("got report %v, error %v", r, err)
	}
}
