package engine

import (
	"strings"
	"testing"
	"time"

	"sonde/internal/kernel/socket"
	"sonde/internal/simkernel"
)

// keptAt is when all connections of kept are parked.
const keptAt = int64(500 * time.Millisecond)

// kept runs a loop with so many connections that are kept, whose peers send back what they hear, for a second from
// keptAt on, when set has changed their rows. It returns how many heartbeats were answered since, the longest of
// them, and how many connections were lost for their silence.
func kept(t *testing.T, w *world, connections int, rtt time.Duration, set func(r *row)) (answered int, longest time.Duration, silent int) {
	t.Helper()
	w.kernel = simkernel.New(simkernel.Options{Trace: true, MaxBatch: 2 * connections})
	w.cfg = Config{Loops: 1, Clock: w.kernel, Strict: true, Connections: connections, Profiles: []Profile{
		{Dialogue: w, Heartbeat: time.Minute, TellHeartbeats: true, Reset: true},
	}}.withDefaults()
	w.start(len(w.cfg.Profiles))
	w.kernel.Otherwise(func(socket.Addr) simkernel.Script {
		return simkernel.Script{RTT: rtt, Steps: []simkernel.Step{simkernel.Echo()}}
	})
	w.jobs = nil
	for id := range connections {
		w.jobs = append(w.jobs, simJob{keeps: -1, talk: simTalk{turns: []turn{{send: []byte("beat"), hear: []byte("beat")}}}})
		w.submit(Job{ID: uint64(id), Remote: address(id)})
	}
	w.kernel.At(keptAt, func() {
		for slot := range w.loop.table.rows {
			set(&w.loop.table.rows[slot])
			w.loop.armIdle(uint32(slot))
		}
		w.kernel.Wake()
	})
	w.kernel.At(keptAt+int64(time.Second), w.engine.Abort)
	if err := w.loop.run(); err != nil {
		t.Fatal(err)
	}
	w.checkRemains()
	for _, p := range w.problems {
		t.Error(p)
	}
	outcomes, _ := w.engine.Outcomes(nil)
	for i := range outcomes {
		switch o := &outcomes[i]; {
		case o.Cause == HeartbeatAnswered && o.EndedAt >= keptAt:
			answered++
			longest = max(longest, o.Total)
		case o.Cause == IdleTimeout:
			silent++
		}
	}
	return answered, longest, silent
}

// TestBeatsInRounds: of many heartbeats with one moment, so many are sent between two polls, and the first answers are read
// before the last is sent. What lags is the loop, and it says so.
func TestBeatsInRounds(t *testing.T) {
	const connections, moment = 8 * beatsPerRound, keptAt + int64(100*time.Millisecond)
	w := &world{}
	answered, longest, _ := kept(t, w, connections, 10*time.Microsecond, func(r *row) { r.nextHeartbeat = moment })
	// Three calls of a microsecond for each: what is sent first must not wait for what is sent last.
	if all := connections * 3 * time.Microsecond; answered != connections || longest > all/2 {
		t.Errorf("%d heartbeats were answered, in up to %v; want %d, and much less than the %v that it takes to send all", answered, longest, connections, all)
	}
	writes, most := 0, 0
	for _, line := range w.kernel.Trace() {
		words := strings.Fields(line)
		at, err := time.ParseDuration(words[0])
		switch {
		case err != nil:
			t.Fatal(err)
		case int64(at) < moment:
		case words[1] == "batch":
			writes = 0
		case words[1] == "writev":
			writes++
			most = max(most, writes)
		}
	}
	if most != beatsPerRound {
		t.Errorf("up to %d heartbeats between two polls, want %d", most, beatsPerRound)
	}
	if lag := w.lag(); lag < connections*2*time.Microsecond {
		t.Errorf("a lag of %v, want that of the last heartbeat", lag)
	}
	const far = 50 * time.Millisecond // no answer wakes the loop for the next round
	if kept(t, w, connections, far, func(r *row) { r.nextHeartbeat = moment }); w.lag() > far/2 {
		t.Errorf("a lag of %v with peers that are %v away, want no wait between the rounds", w.lag(), far)
	}
}

// TestLateBeat: a loop that comes too late for a heartbeat, and for the idle limit behind it, asks; and takes a limit that
// passed before for what it is.
func TestLateBeat(t *testing.T) {
	for _, test := range []struct {
		name             string
		beat, limit      int64 // before it looks
		answered, silent int
	}{
		{"the heartbeat first", 2, 1, 1, 0},
		{"the limit first", 1, 2, 0, 1},
		{"both at once", 1, 1, 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			answered, _, silent := kept(t, &world{}, 1, simkernel.DefaultRTT, func(r *row) {
				r.nextHeartbeat, r.idleUntil = keptAt-test.beat, keptAt-test.limit
			})
			if answered != test.answered || silent != test.silent {
				t.Errorf("%d heartbeats answered, %d connections lost; want %d and %d", answered, silent, test.answered, test.silent)
			}
		})
	}
}
