package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutant is a bug to be planted: in a function of the file, old becomes new. test finds it: the simulation, if empty, or a
// test that is named where the simulation has no eye for it.
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

// mutantEnv says which mutant the program is that breed builds, by its number from 1 on.
const mutantEnv = "SONDE_MUTANT"

// TestSimulationBites plants bugs into the engine, one at a time, and demands that the simulation finds each, or the test
// that the table names.
func TestSimulationBites(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the tests with all bugs in them, and runs them with each")
	}
	program := breed(t)
	for i, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			test, limit := m.test, "20s" // which one that waits for what never comes takes
			if test == "" {
				test, limit = "TestSimulation", "60s"
			}
			out, err := runMutant(t, program, i+1, test, limit, "5000")
			if err == nil {
				t.Fatalf("%s did not find it", test)
			}
			t.Logf("found: %.300s", out)
		})
	}
	// What finds a bug finds none where there is none. Here are the seeds for which the race detector has no time.
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		if out, err := runMutant(t, program, 0, "TestSimulation|TestGolden", "10m", "1000"); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// runMutant runs a test of the program as this mutant; 0 is none.
func runMutant(t *testing.T, program string, number int, test, limit, seeds string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, "-test.run", "^("+test+")$", "-test.timeout", limit, "-sim.seeds", seeds)
	cmd.Env = append(os.Environ(), fmt.Sprint(mutantEnv, "=", number))
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out, err
}

// breed builds the tests of this package with all mutants in them: each is a copy of the function that it is a bug of, and
// the function goes there if this mutant is wanted. One program takes a fraction of the time that many would.
func breed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	sources := make(map[string]*source)
	for i := range mutants {
		m := &mutants[i]
		if sources[m.file] == nil {
			sources[m.file] = parseSource(t, m.file)
		}
		if err := sources[m.file].plant(m, i+1); err != nil {
			t.Errorf("%s: %v: bring the mutant up to date", m.name, err)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	choice := fmt.Sprintf("package engine\nimport (\"os\"; \"strconv\")\nvar mutantWanted, _ = strconv.Atoi(os.Getenv(%q))\n", mutantEnv)
	texts := map[string]string{"mutants_wanted.go": choice}
	for file, s := range sources {
		texts[file] = s.mutated()
	}
	overlay := make(map[string]map[string]string)
	overlay["Replace"] = make(map[string]string)
	for file, text := range texts {
		path, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		overlay["Replace"][path] = filepath.Join(dir, file)
		if err := os.WriteFile(overlay["Replace"][path], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	overlayFile, program := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "engine.test")
	if err := os.WriteFile(overlayFile, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", overlayFile, "-vet=off", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("bring the mutants up to date: %v\n%s", err, out)
	}
	return program
}

// source is a file of this package, and what mutants add to it.
type source struct {
	text   string
	funcs  []*ast.FuncDecl // their positions are offsets from base
	base   token.Pos
	begins map[*ast.FuncDecl]string // what a function begins with now
	copies strings.Builder
}

func parseSource(t *testing.T, file string) *source {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, file, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	s := &source{text: string(text), base: parsed.FileStart, begins: make(map[*ast.FuncDecl]string)}
	for _, d := range parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			s.funcs = append(s.funcs, f)
		}
	}
	return s
}

// between is the text from one position to another.
func (s *source) between(from, to token.Pos) string { return s.text[from-s.base : to-s.base] }

// plant copies the function that m is a bug of, with the bug.
func (s *source) plant(m *mutant, number int) error {
	if n := strings.Count(s.text, m.old); n != 1 {
		return fmt.Errorf("%s holds the old text %d times, want once", m.file, n)
	}
	at := s.base + token.Pos(strings.Index(s.text, m.old))
	behind := at + token.Pos(len(m.old))
	for _, f := range s.funcs {
		if at < f.Body.Pos() || behind > f.End() {
			continue
		}
		name := fmt.Sprintf("%sMutant%d", f.Name.Name, number)
		fmt.Fprintf(&s.copies, "\n//line %s:1\n%s%s%s%s%s\n", m.name, // where the compiler finds something wrong
			s.between(f.Pos(), f.Name.Pos()), name, s.between(f.Name.End(), at), m.new, s.between(behind, f.End()))
		call := name + "(" + arguments(f) + ")"
		if f.Recv != nil {
			call = f.Recv.List[0].Names[0].Name + "." + call
		}
		if f.Type.Results == nil {
			call += "; return"
		} else {
			call = "return " + call
		}
		s.begins[f] += fmt.Sprintf("if mutantWanted == %d { %s }; ", number, call)
		return nil
	}
	return errors.New("the old text is in no function")
}

// arguments are the parameters of f, as it hands them on.
func arguments(f *ast.FuncDecl) string {
	var names []string
	for _, p := range f.Type.Params.List {
		for _, name := range p.Names {
			names = append(names, name.Name)
		}
	}
	return strings.Join(names, ", ")
}

// mutated is the text with all that was planted.
func (s *source) mutated() string {
	var b strings.Builder
	from := s.base
	for _, f := range s.funcs {
		if begin := s.begins[f]; begin != "" {
			b.WriteString(s.between(from, f.Body.Lbrace+1) + begin)
			from = f.Body.Lbrace + 1
		}
	}
	return b.String() + s.text[from-s.base:] + s.copies.String()
}
