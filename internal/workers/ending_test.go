package workers

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestKilled kills one of three in the middle, by the ID that it tells.
func TestKilled(t *testing.T) {
	g := start(t, Options{StopGrace: forever}, "echo 0", "echo 1", "echo 2")
	pids := map[int]int{}
	ends := wait(t, g, func(e Event) {
		switch e := e.(type) {
		case Message:
			if e.Final {
				return
			}
			pids[e.Worker], _ = strconv.Atoi(string(e.Data))
			if len(pids) == 3 {
				if group, err := syscall.Getpgid(pids[1]); group != pids[1] {
					t.Errorf("got process group %d of %d (%v), want its own: Ctrl-C is the parent's", group, pids[1], err)
				}
				if err := syscall.Kill(pids[1], syscall.SIGKILL); err != nil {
					t.Error(err)
				}
			}
		case Death:
			if e.Worker != 1 {
				t.Errorf("got the death of worker %d, want that of 1", e.Worker)
			}
			g.Stop() // the others live on until here
		}
	})
	wellEnded(t, []End{ends[0], ends[2]})
	got := ends[1]
	var exit *exec.ExitError
	if got.PID != pids[1] || got.Signal != syscall.SIGKILL || got.ExitCode != -1 || got.Finished ||
		string(got.Last) != strconv.Itoa(pids[1]) || !errors.Is(got.Err, ErrUnfinished) || !errors.As(got.Err, &exit) || errors.Is(got.Err, ErrStuck) {
		t.Errorf("got end %+v, want that of process %d, killed, unfinished, its ID the last message", got, pids[1])
	}
}

// TestDeaths ends workers in each bad way and reads how that is told.
func TestDeaths(t *testing.T) {
	const short = 10 * time.Millisecond
	tests := map[string]struct {
		role  string
		stop  bool // when the first message comes
		grace [2]time.Duration
		want  End // Err is the sentinel
		text  string
	}{
		"exit code": {
			role: "exit3", want: End{ExitCode: 3, Last: []byte("half"), Err: ErrUnfinished},
			text: "exit status 3, no final message"},
		"exit code after the final message": {
			role: "exit4-finished", want: End{ExitCode: 4, Last: []byte("all"), Finished: true},
			text: "exit status 4"},
		"no final message": {
			role: "unfinished", want: End{Last: []byte("half"), Err: ErrUnfinished},
			text: "no final message"},
		"a frame cut off": {
			role: "cut", want: End{Err: ErrUnfinished},
			text: "no final message: read from stdout: frame cut off after 2 of 9 bytes: unexpected EOF"},
		// These do not wait for any grace.
		"a stray print": {
			role: "prints", want: End{ExitCode: -1, Signal: syscall.SIGKILL, Last: []byte("fine"), Err: ErrMalformed},
			text: `read from stdout: malformed frame: "a li" would be the length of`},
		"a frame of the parent's": {
			role: "wrong-kind", want: End{ExitCode: -1, Signal: syscall.SIGKILL, Err: ErrMalformed},
			text: "kind 2 from a worker"},
		"a message after the final one": {
			role: "says-more", want: End{ExitCode: -1, Signal: syscall.SIGKILL, Last: []byte("all"), Finished: true, Err: ErrMalformed},
			text: "after the final message"},
		// These are ended, by what their grace lets through.
		"deaf to a stop": {
			role: "slow", stop: true, grace: [2]time.Duration{short, forever},
			want: End{ExitCode: -1, Signal: syscall.SIGTERM, Last: []byte("ready"), Err: ErrStuck},
			text: "did not end by itself and was sent terminated: signal: terminated, no final message"},
		"deaf to SIGTERM": {
			role: "deaf", stop: true, grace: [2]time.Duration{short, short},
			want: End{ExitCode: -1, Signal: syscall.SIGKILL, Last: []byte("ready"), Err: ErrStuck},
			text: "was sent killed: signal: killed, no final message"},
		"on after the final message": {
			role: "lingers", grace: [2]time.Duration{short, forever},
			want: End{ExitCode: -1, Signal: syscall.SIGTERM, Last: []byte("all"), Finished: true, Err: ErrStuck},
			text: "was sent terminated: signal: terminated"},
		"on after its stdout": {
			role: "closes", grace: [2]time.Duration{short, forever},
			want: End{ExitCode: -1, Signal: syscall.SIGTERM, Err: ErrStuck},
			text: "no final message"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := Options{StopGrace: forever, TermGrace: forever}
			if tt.stop || tt.grace[0] != 0 {
				o.StopGrace, o.TermGrace = tt.grace[0], tt.grace[1]
			}
			var stderr bytes.Buffer
			o.Stderr = &stderr
			g := start(t, o, tt.role)
			got := wait(t, g, func(e Event) {
				if _, ok := e.(Message); ok && tt.stop {
					g.Stop()
				}
			})[0]
			if got.Err == nil || !strings.Contains(got.Err.Error(), tt.text) || tt.want.Err != nil && !errors.Is(got.Err, tt.want.Err) {
				t.Errorf("got error %v, want %v with %q", got.Err, tt.want.Err, tt.text)
			}
			got.Err, tt.want.Err = nil, nil
			got.PID, got.Runtime, got.User, got.System = 0, 0, 0, 0
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("end (-want +got):\n%s", diff)
			}
			if want := "worker 0: no such thing\nworker 0: last words\n"; tt.role == "exit3" && stderr.String() != want {
				t.Errorf("got stderr %q, want %q", stderr.String(), want)
			}
		})
	}
}

// peers is where processes that a test can't wait for connect to: their end is the connection's.
type peers struct {
	*net.TCPListener
	conns []net.Conn
}

func listen(t *testing.T) *peers {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peers{TCPListener: l.(*net.TCPListener)}
	t.Cleanup(func() {
		l.Close()
		for _, c := range p.conns {
			c.Close()
		}
	})
	return p
}

// accept waits for a process and returns its ID and connection.
func (p *peers) accept(t *testing.T) (pid int, conn net.Conn) {
	t.Helper()
	p.SetDeadline(time.Now().Add(5 * time.Minute))
	conn, err := p.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p.conns = append(p.conns, conn)
	conn.SetDeadline(time.Now().Add(5 * time.Minute))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		t.Fatal(err)
	}
	return pid, conn
}

// TestParentDies kills a parent, which can do nothing then, and waits for the end of its workers. One looks at its
// context, the other at nothing.
func TestParentDies(t *testing.T) {
	peers := listen(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"=parent", "SONDE_TEST_ADDRESS="+peers.Addr().String())
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	defer kill()
	var conns []net.Conn
	for range 2 {
		_, conn := peers.accept(t)
		conns = append(conns, conn)
	}
	kill()
	for _, conn := range conns {
		var timeout net.Error
		if n, err := conn.Read(make([]byte, 1)); n > 0 || errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("got %d bytes and error %v, want the end: a worker lives on", n, err)
		}
	}
}

// TestChildOfWorker ends although a worker has left a process behind that holds its pipes.
func TestChildOfWorker(t *testing.T) {
	peers := listen(t)
	ends := wait(t, start(t, Options{StopGrace: forever}, "leaves "+peers.Addr().String()), nil)
	wellEnded(t, ends)
	pid, conn := peers.accept(t)
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("got %v for the worker's child, want it to be there: it is what this test is about", err)
	}
	conn.Close() // which ends it
}
