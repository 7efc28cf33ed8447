package engine

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/simkernel"
)

var rewrite = flag.Bool("rewrite", false, "write the golden scripts of testdata/sim anew; read the diff afterwards")

// TestGolden runs the scripts of testdata/sim. A script begins with what it shows (#), then says how the kernel, the
// engine and the profile are to be, and has a line for each job: what our exchange does, |, what the peer does; after ||
// what it does with the next connection. After the
// line of dashes stands what happened: calls and what they gave, batches, what the network brought, and indented the
// states that each connection went through, all with virtual times; at the end the outcomes.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/sim/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden scripts: %v", err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			script, want, _ := strings.Cut(string(text), "---\n")
			if !strings.HasPrefix(script, "# ") {
				t.Error("the script does not begin with what it shows")
			}
			got := runScript(t, script, seen)
			if *rewrite {
				if err := os.WriteFile(file, []byte(script+"---\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("what happened differs (-want +got):\n%s", diff)
			}
		})
	}
	// HANDSHAKING -> ACTIVE is for the engine's own handshakes, whose bytes no script can hold: TestSimulation goes it.
	for from := range numStates {
		for to := range numStates {
			edge := from.String() + " -> " + to.String()
			if from.MayBecome(to) && edge != "HANDSHAKING -> ACTIVE" && !seen[edge] {
				t.Errorf("no script goes the way %s", edge)
			}
		}
	}
}

// stage is a world that a script sets.
type stage struct {
	t *testing.T
	world
	peers [][]simkernel.Script
	at    []int64
	now   int64
	acts  []func(*Engine) // what is done to the engine
	actAt []int64

	exported *export
}

func runScript(t *testing.T, script string, seen map[string]bool) string {
	s := &stage{t: t}
	s.options.Trace = true
	s.cfg = Config{Loops: 1, Strict: true, Profiles: []Profile{{Limits: worldLimits}}}
	for line := range strings.Lines(script) {
		s.obey(strings.TrimSpace(line))
	}
	s.build()
	var states []string
	s.loop.observe = func(slot uint32, from, to State) {
		seen[from.String()+" -> "+to.String()] = true
		states = append(states, fmt.Sprintf("%d\t    %v slot %d: %v -> %v", len(s.kernel.Trace()), time.Duration(s.kernel.Now()), slot, from, to))
	}
	if err := s.loop.run(); err != nil {
		s.problem("%v", err)
	}
	s.checkRemains()
	for _, p := range s.problems {
		t.Error(p)
	}
	return s.story(states)
}

// obey carries out one line of a script.
func (s *stage) obey(line string) {
	words := strings.Fields(line)
	if len(words) == 0 || words[0] == "#" {
		return
	}
	rest := strings.TrimSpace(strings.TrimPrefix(line, words[0]))
	switch words[0] {
	case "kernel":
		s.options.MaxFDs, s.options.Ports = s.number(words, "fds"), s.number(words, "ports")
		s.options.SendBuffer = s.number(words, "sndbuf")
		s.options.Errnos.Poll = float64(s.number(words, "unwatched")) / 100
	case "engine":
		s.cfg.Connections, s.cfg.Descriptors = s.number(words, "connections"), s.number(words, "descriptors")
		s.cfg.BufferBytes = s.number(words, "buffers")
		s.cfg.DrainLimit = s.duration(words, "drain")
	case "profile":
		p := &s.cfg.Profiles[0]
		p.Limits = Limits{Connect: s.duration(words, "connect"), Handshake: s.duration(words, "handshake"), Read: s.duration(words, "read"), Idle: s.duration(words, "idle"),
			Close: s.duration(words, "close"), Target: s.duration(words, "target")}
		p.Heartbeat = s.duration(words, "heartbeat")
		p.Reset = strings.Contains(rest, "reset")
		p.TellHeartbeats = strings.Contains(rest, "tell")
	case "at":
		s.now = int64(s.parse(words[1]))
	case "stop", "abort", "end", "export", "adopt":
		act := func(e *Engine) { s.stoppedAt = s.kernel.Now(); e.Stop() }
		switch words[0] {
		case "abort":
			act = func(e *Engine) { s.stoppedAt = s.kernel.Now(); e.Abort() }
		case "end":
			act = func(e *Engine) { e.End(s.ids(words[1:])) }
		case "export":
			act = func(e *Engine) { s.exported = e.export(s.ids(words[1:])) }
		case "adopt":
			act = func(e *Engine) {
				if list := s.exported.take(); len(list) == 0 {
					s.problem("nothing to adopt")
				} else if _, err := e.Adopt(list); err != nil {
					s.problem("adopt: %v", err)
				}
			}
		}
		s.acts, s.actAt = append(s.acts, act), append(s.actAt, s.now)
	case "job":
		ours, theirs, _ := strings.Cut(rest, "|")
		s.jobs = append(s.jobs, s.talkOf(ours))
		var peer []simkernel.Script
		for one := range strings.SplitSeq(theirs, "||") {
			peer = append(peer, s.peerOf(one))
		}
		s.peers = append(s.peers, peer)
		s.at = append(s.at, s.now)
	default:
		s.t.Fatalf("unknown line %q", line)
	}
}

func (s *stage) build() {
	s.kernel = simkernel.New(s.options)
	s.cfg.Clock = s.kernel
	s.cfg.Profiles[0].Dialogue = &s.world
	s.cfg.Profiles = append(s.cfg.Profiles, s.cfg.Profiles[0])
	s.cfg.Profiles[connects].Dialogue = nil
	s.cfg = s.cfg.withDefaults()
	s.start(len(s.cfg.Profiles))
	for i := range s.jobs {
		s.kernel.Peer(address(i+1), s.peers[i][0], s.peers[i][1:]...)
		if s.options.Ports > 0 { // all dial the same
			s.kernel.Peer(address(1), s.peers[0][0])
			s.jobs[i].addr = address(1)
		} else {
			s.jobs[i].addr = address(i + 1)
		}
		job := Job{ID: uint64(i), Remote: s.jobs[i].addr, Profile: s.jobs[i].profile}
		s.kernel.At(s.at[i], func() { s.submit(job) })
	}
	for i, act := range s.acts {
		s.kernel.At(s.actAt[i], func() { act(s.engine) })
	}
	s.kernel.At(s.now+1, s.engine.Finish)
}

// story is the trace with the states between its lines, and the outcomes.
func (s *stage) story(states []string) string {
	var b bytes.Buffer
	for i, line := range append(s.kernel.Trace(), "") {
		for len(states) > 0 {
			before, text, _ := strings.Cut(states[0], "\t")
			if n, _ := strconv.Atoi(before); n > i {
				break
			}
			fmt.Fprintln(&b, text)
			states = states[1:]
		}
		words := strings.Fields(line)
		if line != "" && words[1] != "arm" && !strings.HasSuffix(line, " batch") {
			fmt.Fprintln(&b, line)
		}
	}
	outcomes, _ := s.engine.Outcomes(nil)
	for _, o := range outcomes {
		fmt.Fprintf(&b, "job %d: %s in %v", o.ID+1, causeNames[o.Cause], o.State)
		if o.Errno != 0 {
			fmt.Fprintf(&b, ", %v: %v", o.Call, o.Errno)
		}
		for _, p := range []struct {
			name string
			d    time.Duration
		}{{"delay", o.SchedDelay}, {"connect", o.Connect}, {"first byte", o.FirstByte}, {"total", o.Total}} {
			if p.d != Absent {
				fmt.Fprintf(&b, ", %s %v", p.name, p.d.Round(time.Millisecond))
			}
		}
		if o.TLS != Absent { // to the microsecond: what a call takes must not count as the peer's
			fmt.Fprintf(&b, ", handshake %v of which %v waited", o.TLS.Round(time.Microsecond), o.TLSWait.Round(time.Microsecond))
		}
		fmt.Fprintln(&b)
	}
	st := s.engine.Stats()
	fmt.Fprintf(&b, "opened %d, closed %d, waits: fd %d, port %d, buffer %d\n", st.Opened, st.Closed, st.FDWaits, st.PortWaits, st.BufferWaits)
	return b.String()
}

var causeNames = [...]string{
	"answered", "connect failed", "connect timeout", "handshake timeout", "read timeout", "target timeout", "reset", "idle timeout", "peer closed",
	"parked", "heartbeat answered", "no descriptor", "no port", "no buffer", "cancelled", "not dialled",
}

// talkOf is what our exchange does: "connect", or turns of "rest TIME", "say TEXT" and "hear TEXT" and then "done" or "park". "handshake"
// makes the turns that follow a handshake of its own, behind a StartTLS step if there are turns before, and "times N" does
// it all on so many connections.
func (s *stage) talkOf(text string) simJob {
	job := simJob{profile: talks}
	var say []byte
	var rest time.Duration
	for step := range strings.SplitSeq(text, ",") {
		switch word, arg, _ := strings.Cut(strings.TrimSpace(step), " "); word {
		case "connect":
			job.profile = connects
		case "say":
			say = s.bytes(arg)
		case "rest":
			rest = s.parse(arg)
		case "hear":
			job.talk.turns = append(job.talk.turns, turn{send: say, hear: s.bytes(arg), pause: rest})
			say, rest = nil, 0
		case "quiet": // the turn before never makes a frame
			last := &job.talk.turns[len(job.talk.turns)-1]
			last.quiet, last.endless = s.parse(arg), true
		case "handshake":
			job.handshaker, job.talk.secureAt, job.talk.plea = true, len(job.talk.turns), say
			say = nil
		case "times":
			n, err := strconv.Atoi(arg)
			if err != nil {
				s.t.Fatal(err)
			}
			job.connections = n
		case "done":
			job.talk.last = say
		case "park":
			job.talk.last, job.keeps = say, -1
		default:
			s.t.Fatalf("unknown step of ours %q", step)
		}
	}
	return job
}

// peerOf is what the peer does.
func (s *stage) peerOf(text string) (p simkernel.Script) {
	for step := range strings.SplitSeq(text, ",") {
		word, arg, _ := strings.Cut(strings.TrimSpace(step), " ")
		var next simkernel.Step
		switch word {
		case "accept":
			continue
		case "refuse":
			p.Answer = simkernel.Refuse
			continue
		case "unreachable":
			p.Answer, p.AtOnce = simkernel.Unreachable, arg == "at once"
			continue
		case "black-hole":
			p.Answer = simkernel.BlackHole
			continue
		case "send":
			next = simkernel.Send(s.bytes(arg))
		case "drip":
			next = simkernel.Drip(s.bytes(arg), 900*time.Millisecond)
		case "expect":
			next = simkernel.Expect(s.bytes(arg))
		case "wait":
			next = simkernel.Wait(s.parse(arg))
		case "fin":
			next = simkernel.CloseWrite()
		case "close":
			next = simkernel.Close()
		case "reset":
			next = simkernel.Reset()
		case "hold":
			next = simkernel.Hold()
		case "deaf":
			next = simkernel.StopReading()
		case "endless":
			next = simkernel.Endless(bytes.Repeat([]byte("x"), 60000), 10*time.Millisecond)
		case "fail":
			next = simkernel.Fail(syscall.ETIMEDOUT)
		default:
			s.t.Fatalf("unknown step of the peer's %q", step)
		}
		p.Steps = append(p.Steps, next)
	}
	return p
}

// bytes is TEXT, or TEXT*N times.
func (s *stage) bytes(text string) []byte {
	text, times, repeated := strings.Cut(text, "*")
	if !repeated {
		return []byte(text)
	}
	n, err := strconv.Atoi(times)
	if err != nil {
		s.t.Fatal(err)
	}
	return bytes.Repeat([]byte(text), n)
}

// ids are those of jobs, which scripts count from 1.
func (s *stage) ids(words []string) (ids []uint64) {
	for _, w := range words {
		n, err := strconv.ParseUint(w, 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		ids = append(ids, n-1)
	}
	return ids
}

func (s *stage) value(words []string, name string) string {
	for _, w := range words {
		if v, ok := strings.CutPrefix(w, name+"="); ok {
			return v
		}
	}
	return ""
}

func (s *stage) number(words []string, name string) int {
	n, err := strconv.Atoi(s.value(words, name))
	if err != nil && s.value(words, name) != "" {
		s.t.Fatal(err)
	}
	return n
}

func (s *stage) duration(words []string, name string) time.Duration {
	if v := s.value(words, name); v != "" {
		return s.parse(v)
	}
	return 0
}

func (s *stage) parse(text string) time.Duration {
	if text == "off" {
		return -1
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}
