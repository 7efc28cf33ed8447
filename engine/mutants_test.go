package engine

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutantEnv is set where the tests of a mutant run, so that they do not breed mutants of their own.
const mutantEnv = "SONDE_MUTANT"

// mutant is a bug to be planted: in the file, old becomes new. test finds it: the simulation, if empty, or a test that is
// named where the simulation has no eye for it.
type mutant struct{ name, file, old, new, test string }

var mutants = []mutant{
	{"forget to arm the timer", "dial.go", "\tl.transition(slot, Connecting)\n\tl.rearm(slot)\n", "\tl.transition(slot, Connecting)\n", ""},
	{"no last look at a connect", "deadline.go", "\t\tl.onConnectEvent(slot, poller.Readable)\n", "", ""},
	{"no last look at an answer", "deadline.go", "\t\tl.hear(slot)\n\t\tif l.isHeard(token)", "\t\tif l.isHeard(token)", ""},
	{"read once per event", "read.go", "\t\tbudget -= got.read\n", "\t\tbudget -= got.read\n\t\tif got.read > 0 {\n\t\t\treturn l.feed(slot)\n\t\t}\n", ""},
	{"stop at the end of a share", "read.go", "\tl.goOn(slot)\n\treturn true\n", "\treturn true\n", ""},
	{"forget the pending errno", "conn.go", "f.pending, f.pendingCall = errno, socket.CallSOError", "_ = errno", ""},
	{"never return a ring", "write.go", "\t\tl.pool.Return(r)\n", "", ""},
	{"do not count a close", "write.go", "\tl.shared.stats.closed.Add(1)\n", "", ""},
	{"lose who pauses anew", "deadline.go", "\t\t*list = (*list)[1:]\n\t\tif ok {\n\t\t\tl.unpause(slot)\n\t\t}\n\t}\n",
		"\t\t*list = (*list)[1:]\n\t\trest := *list\n\t\tif ok {\n\t\t\tl.unpause(slot)\n\t\t}\n\t\t*list = rest\n\t}\n", ""},
	{"clocks run while we wait", "deadline.go", "\tf.phaseUntil = shift(f.phaseUntil, stood)\n", "", ""},
	{"a heartbeat does not extend", "idle.go", "max(r.idleUntil, after(l.now, profile.Limits.Idle))", "after(l.now, profile.Limits.Idle/2)", ""},
	{"a deadline is 2 ms early", "deadline.go", "\treturn earlier(at, f.waitUntil)\n}", "\treturn earlier(at, f.waitUntil) - 2e6\n}", ""},
	{"close without Remove", "write.go", "\tl.poller.Remove(int(r.fd))\n", "", ""},
	{"close without cancelling the timer", "write.go", "\tl.wheel.Cancel(slot)\n", "", ""},
	{"lose a wake-up", "queue.go", "CompareAndSwap(true, false) {\n\t\ts.wake()\n", "CompareAndSwap(true, false) {\n", ""},
	{"a heartbeat has no budget", "table.go", "flight{targetUntil: int64(off)}", "flight{}", ""},
	{"silence before the answer counts", "exchange.go", "\t\tf.lastByteAt = 0", "\t\t_ = f.lastByteAt", ""},
	{"leave a flooded idle connection", "idle.go", "\tl.goOn(slot)", "\t_ = slot", ""},
	{"park before all is sent", "exchange.go", "f.parking = l.isSending(slot)", "f.parking = false", ""},
	{"put a heartbeat off past the idle limit", "idle.go", "past > 0 && shared < idleUntil", "past > 0", "TestGolden"},
	{"the idle limit before a heartbeat that was due first", "idle.go", "\tcase r.nextHeartbeat != 0 && ", "\tcase r.idleUntil > l.now && r.nextHeartbeat != 0 && ", "TestLateBeat"},
	{"all heartbeats in one round", "loop.go", "beatBudget: beatsPerRound", "beatBudget: 1 << 20", "TestBeatsInRounds"},
	{"beat on when it has ended", "idle.go", "!l.is(b.token, Idle)", "false", ""},
	{"leave the heartbeats that wait for a round", "loop.go", " || l.waitingBeat() != 0 {", " {", "TestBeatsInRounds"},
	{"go IDLE without looking", "idle.go", "\tl.onIdleReadable(slot) // bytes", "\t// bytes", ""},
	{"hear on while a send waits", "read.go", "\t\tif l.table.unsent[r.seat] != nil {\n\t\t\treturn true // the exchange", "\t\tif false {\n\t\t\treturn true // the exchange", ""},
	{"drop what does not fit a ring", "write.go", "\t\t\tl.table.unsent[seat] = keep(bufs, then)\n", "", ""},
	{"send a byte twice", "write.go", "bufs[0][n:]", "bufs[0][n-1:]", ""},
	{"send the FIN before the rest", "write.go", "\tif l.isSending(slot) {\n\t\tl.rearm(slot)", "\tif false {\n\t\tl.rearm(slot)", ""},
	{"forget who waits for a port", "admit.go", "\ta.waiters, a.redials = nil, nil\n\tfor n, over", "\tfor n, over", ""},
	{"talk to ourselves", "conn.go", "return local.IsValid() && local.Port", "return false && local.Port", ""},
	{"drain for ever", "loop.go", "l.now >= l.drainUntil ||", "", ""},
	{"believe any error of a connect", "conn.go", "errno != syscall.ECONNREFUSED && info.SegsIn > 0", "false", ""},
	{"free a slot with its generation", "table.go", "\tr.generation++\n", "", ""},
	{"keep a closed connection's TLS", "write.go", "\tl.table.unsecure(slot)\n", "", ""},
	{"lose the ciphertext that the ring had no room for", "secure.go", "if s.left = nil; len(in) > 0 && s.more {", "if s.left = nil; false {", ""},
	{"forget the plaintext that the driver holds", "secure.go", "s.more = full || got", "s.more = got", ""},
	{"wait for an edge after StartTLS", "secure.go", "\tl.goOn(slot) // what the socket holds by now makes no new edge\n", "", ""},
	{"let early bytes lie after StartTLS", "secure.go", "\t\tif !l.feed(slot) {\n\t\t\treturn\n\t\t}\n", "", ""},
	{"give early bytes to the exchange", "secure.go", "\tcase l.table.session(slot) != nil:\n\t\tl.giveBack", "\tcase false:\n\t\tl.giveBack", ""},
	{"say the hello before the plea", "write.go", "\tif l.table.unsent[seat] != nil { // what", "\tif false { // what", ""},
	{"no limit for the handshake", "secure.go", "\tf.phaseUntil = after(now, l.profile(slot).Limits.Handshake)\n", "", ""},
	{"do not tell that a handshake was cut off", "ending.go", "\tl.cutHandshake(slot)\n", "", ""},
	{"our time is the peer's in a handshake", "secure.go", "f.stopWaiting(l.now)", "f.stopWaiting(l.clk.Now())", "TestHandshakeWait"},
	{"our time is the peer's in a handshake of an exchange's", "read.go", "f.stopWaiting(l.now)", "f.stopWaiting(l.clk.Now())", "TestGolden"},
	{"end while a Series waits for its dial", "loop.go", " && len(a.redials) == 0\n", "\n", "TestSeriesRedialsAtOnce"},
	{"put a Series back without a wake-up", "series.go", "\t\t\tl.admission.again = true // nothing else need ever happen\n", "", "TestSeriesRedialsAtOnce"},
	{"forget a Series that waits for its dial", "admit.go", "slices.Concat(a.redials, a.waiters)", "slices.Concat(a.waiters)", ""},
	{"ask a Series on after a cancel", "series.go", "case TargetTimeout, Cancelled, BuffersExhausted:", "case TargetTimeout, BuffersExhausted:", ""},
	{"a new budget for each connection", "dial.go", "\t\tf.targetUntil = after(dialedAt, c.budget)\n", "", ""},
	{"keep answers for a peer that reads none", "secure.go", "\tcase s.answers > answersLimit:\n\t\tgot.err = errDeaf\n", "", "TestKeyUpdatesUnread"},
	{"a key update starts the read limit anew", "write.go", "return s == nil || s.asking", "return s == nil || !false", "TestKeyUpdatesMoveNoLimit"},
	{"a ticket ends a pause", "secure.go", "\t\tif f.resting {\n\t\t\tstep.Then = protocol.Pause\n\t\t}\n", "", "TestControlEndsNoPause"},
	{"a ticket ends a pause, and the wait with it", "secure.go", "if f := l.flight(slot); f.waitUntil != 0 && step", "if f := l.flight(slot); false && f.waitUntil != 0 && step", ""},
	{"the end of the stream has no arrival", "exchange.go", "\t\t\tl.noteArrival(slot)\n\t\t\tstep", "\t\t\tstep", "TestTheEndArrives"},
	{"what waits for a buffer comes when it has one", "deadline.go", "\tl.toldAt = since\n", "\t_ = since\n", "TestArrivalWithoutABuffer"},
	{"what is left comes with another's bytes", "secure.go", "\tl.arrived = s.arrived\n", "", "TestArrivalWithTheHandshake"},
	{"a request counts from behind its write", "exchange.go", "f.requestAt = asked", "f.requestAt = l.clk.Now()", "TestTheWriteCounts"},
	{"a stamp too early is the moment of the read", "read.go", "\t\tat = f.askedAt\n", "\t\tat = l.clk.Now()\n", "TestStampBeforeTheRequest"},
	{"stop at the mark of urgent data", "loop.go", "ev.Ready&^poller.Writable == ", "ev.Ready&^(poller.Writable|poller.Urgent) == ", "TestUrgentData"},
	{"a close_notify behind half a record", "ending.go", "\tf.mute = f.mute || l.isSending(slot)", "\t_ = l.isSending(slot)", "TestNoRecordBehindHalfOne"},
	{"do not look for new profiles", "admit.go", "\t\t\tl.profiles = *l.shared.profiles.Load() // after the jobs that may name a new one\n", "", ""},
	{"End what a loop has, not what waits for one", "orders.go", "\te.shared.inbox.withdraw(set, e.cfg.Clock.Now())\n", "", ""},
	{"End who has a port", "orders.go", "a.waiters, a.redials = withdraw(a.waiters), withdraw(a.redials)", "_ = withdraw", ""},
	{"End what is open", "orders.go", "\t\tif ids.has(job.ID) {\n\t\t\tl.giveUp(", "\t\tif false {\n\t\t\tl.giveUp(", ""},
	{"an order without a wake-up", "orders.go", "\tl.poller.Wake()\n", "", ""},
	{"End by RST", "write.go", "cause == Cancelled && l.shared.stopping.Load()", "cause == Cancelled", "TestGolden"},
	{"tell the figures at the end only", "loop.go", "\tl.tell()\n", "", ""},
	{"sleep before the figures are told", "loop.go", "\tnext = earlier(next, l.tellAt)\n", "", ""},
	{"leave a connection where it is after its heartbeat", "idle.go", "\tif r.flags&leaving != 0 && ", "\tif false && ", ""},
	{"wait for a heartbeat that has failed", "write.go", "\tl.letGo(slot)\n", "", ""},
	{"wait for a heartbeat for who has given up", "kept.go", "\t\t\t\tl.letGo(slot) // of", "\t\t\t\t// of", "TestExportTwice"},
	{"export without Detach", "kept.go", "\tl.poller.Detach(int(r.fd))\n", "", ""},
	{"export with a deadline left behind", "kept.go", "\tl.wheel.Cancel(slot)\n", "", ""},
	{"adopt without a deadline", "kept.go", "\tl.armIdle(slot)\n", "", ""},
	{"dial on in a long turn", "admit.go", "if l.isPaced(budget) {", "if false {", "TestPacing"},
	{"redial on in a long turn", "series.go", "!l.isPaced(budget) && ", "", "TestPacing"},
}

// TestSimulationBites plants bugs into the engine, one at a time, and demands that the simulation finds each, or the test
// that the table names.
func TestSimulationBites(t *testing.T) {
	if os.Getenv(mutantEnv) != "" {
		return // this is a mutant
	}
	if testing.Short() {
		t.Skip("builds the tests once for each planted bug")
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			m.check(t)
		})
	}
}

func (m *mutant) check(t *testing.T) {
	source, err := os.ReadFile(m.file)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(source, []byte(m.old)); n != 1 {
		t.Fatalf("%s holds the old text %d times, want once: bring the mutant up to date\n%s", m.file, n, m.old)
	}
	dir := t.TempDir()
	path, err := filepath.Abs(m.file)
	if err != nil {
		t.Fatal(err)
	}
	planted := filepath.Join(dir, m.file)
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: planted}})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(dir, "overlay.json")
	for name, data := range map[string][]byte{
		planted:     bytes.Replace(source, []byte(m.old), []byte(m.new), 1),
		overlayFile: overlay,
	} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	test := m.test
	if test == "" {
		test = "TestSimulation"
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-overlay", overlayFile, "-vet=off", "-count=1", "-timeout", "60s",
		"-run", "^"+test+"$", "-sim.seeds", "5000", ".")
	cmd.Env = append(os.Environ(), mutantEnv+"=1")
	out, err := cmd.CombinedOutput()
	switch {
	case strings.Contains(string(out), "[build failed]"):
		t.Errorf("does not compile: bring the mutant up to date\n%s", out)
	case err == nil:
		t.Errorf("%s did not find it", test)
	default:
		t.Logf("found: %.300s", out)
	}
}
