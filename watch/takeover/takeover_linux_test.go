package takeover

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sonde/internal/kernel/socket"
)

// place is a control socket in a folder of its own, as sun_path has 108 bytes (unix(7)).
func place(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sonde")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "control")
}

func listen(t *testing.T, path string) *Listener {
	t.Helper()
	l, err := Listen(path, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func TestListen(t *testing.T) {
	path := place(t)
	l := listen(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has %v, %v", info.Mode(), err)
	}
	if _, err := Listen(path, false); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second one: %v", err)
	}
	listen2, err := Listen(path, true)
	if err != nil {
		t.Fatalf("one that follows: %v", err)
	}
	listen2.Close() // as of a process that was killed: the file stays
	l.Close()
	if _, err := Dial(path); !errors.Is(err, ErrNobody) {
		t.Errorf("nobody listens: %v", err)
	}
	listen(t, path).Close()

	if err := os.Chmod(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, false); err == nil || !strings.Contains(err.Error(), "others may write") {
		t.Errorf("a folder of everybody's: %v", err)
	}
	if _, err := Dial(filepath.Join(filepath.Dir(path), "none")); !errors.Is(err, ErrNobody) {
		t.Errorf("no such file: %v", err)
	}
}

// given is what a Giver of a test has: files in place of sockets.
type given struct {
	t     *testing.T
	files []*os.File
	stop  string // the step that fails
}

func (g *given) step(name string) error {
	if g.stop == name {
		return errors.New("no " + name)
	}
	return nil
}

func (g *given) Connections(context.Context) ([]Connection, error) {
	var all []Connection
	for i := range g.files {
		fd, err := socket.Descriptor(g.files[i])
		if err != nil {
			return nil, err
		}
		all = append(all, Connection{Job: "j", Key: uint64(i), Addr: netip.MustParseAddrPort("127.0.0.1:1"), FD: fd})
	}
	return all, g.step("connections")
}

func (g *given) Freeze(context.Context) (*State, []int, error) {
	return &State{Epoch: 7}, nil, g.step("freeze")
}

func (g *given) Rows(_ context.Context, send func([]byte) error) error {
	for _, part := range []string{"one", "two"} {
		if err := send([]byte(part)); err != nil {
			return err
		}
	}
	return g.step("rows")
}

func (g *given) Commit() error { return g.step("commit") }

// got is what a Taker of a test has.
type got struct {
	stop  string
	rows  []byte
	state State
	live  []Connection
	late  []byte
	lives bool
}

func (g *got) step(name string) error {
	if g.stop == name {
		return errors.New("no " + name)
	}
	return nil
}

func (g *got) Rows(data []byte) error {
	g.rows = append(g.rows, data...)
	return g.step("rows")
}

func (g *got) Ready(s *State, _ []net.Listener) error {
	g.state = *s
	return g.step("ready")
}

func (g *got) Live(all []Connection) { g.live, g.lives = all, true }

func (g *got) Late(data []byte) { g.late = append(g.late, data...) }

// TestSteps has each step of either side fail: then nobody lives, both sides know, and no descriptor is left behind. Without a failure
// all arrives.
func TestSteps(t *testing.T) {
	const n = 2*maxBatch + 7
	var files []*os.File
	for range n {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	for _, stop := range []struct{ giver, taker string }{
		{"connections", ""}, {"freeze", ""}, {"rows", ""}, {"commit", ""}, {"", "rows"}, {"", "ready"}, {"", ""},
	} {
		t.Run(stop.giver+"/"+stop.taker, func(t *testing.T) {
			path := place(t)
			l := listen(t, path)
			before := descriptors(t)
			taker := &got{stop: stop.taker}
			type end struct {
				conn *Conn
				err  error
			}
			taken := make(chan end, 1)
			go func() {
				c, err := Take(t.Context(), path, "v", taker)
				taken <- end{c, err}
			}()
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if version, err := c.Greet(); version != "v" || err != nil {
				t.Fatalf("greeted by %q, %v", version, err)
			}
			giveErr := c.Give(t.Context(), &given{t: t, files: files, stop: stop.giver})
			e := <-taken
			if fails := stop.giver+stop.taker != ""; (giveErr != nil) != fails || (e.err != nil) != fails || taker.lives == fails {
				t.Fatalf("give: %v, take: %v, lives: %v", giveErr, e.err, taker.lives)
			}
			if giveErr != nil {
				if after := descriptors(t); after != before {
					t.Errorf("%d descriptors, want %d as before", after, before)
				}
				return
			}
			if len(taker.live) != n || string(taker.rows) != "onetwo" || taker.state.Epoch != 7 || taker.live[n-1].Key != n-1 {
				t.Errorf("got %d connections, rows %q, %+v", len(taker.live), taker.rows, taker.state)
			}
			for _, one := range taker.live {
				socket.System{}.Close(one.FD, false)
			}
			over := make(chan struct{})
			go func() {
				e.conn.Rest(t.Context(), taker)
				close(over)
			}()
			if err := c.Late([]byte("late")); err != nil {
				t.Error(err)
			}
			c.Over()
			<-over
			if string(taker.late) != "late" {
				t.Errorf("got %q late", taker.late)
			}
		})
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestOldDies has the old process die behind each of its messages. As long as another listens on the control socket nobody lives;
// without one, the new process goes on with what it has.
func TestOldDies(t *testing.T) {
	for _, listens := range []bool{true, false} {
		path := place(t)
		l := listen(t, path)
		taker := &got{}
		taken := make(chan error, 1)
		go func() {
			c, err := Take(t.Context(), path, "v", taker)
			if err == nil {
				c.Close()
			}
			taken <- err
		}()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Greet(); err != nil {
			t.Fatal(err)
		}
		if err := c.call(rows, []byte("one"), nil); err != nil {
			t.Fatal(err)
		}
		if !listens {
			l.Close()
		}
		c.Close()
		if err := <-taken; (err != nil) != listens || taker.lives == listens || string(taker.rows) != "one" {
			t.Errorf("the old one lives: %v; the other: %v, lives %v, rows %q", listens, err, taker.lives, taker.rows)
		}
	}
}

// TestNewDies has the new process die when the commit is on its way: the old one takes everything back.
func TestNewDies(t *testing.T) {
	path := place(t)
	l := listen(t, path)
	go func() {
		c, err := Dial(path)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_ = c.send(ask, []byte(`{"sonde_watch_takeover":1}`), nil)
		for {
			k, _, fds, err := c.receive()
			closeAll(fds)
			if err != nil || k == commit {
				return
			}
			_ = c.send(taken, nil, nil)
		}
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Greet(); err != nil {
		t.Fatal(err)
	}
	if err := c.Give(t.Context(), &given{t: t}); err == nil {
		t.Error("it gave all to a process that is dead")
	}
}

// TestGreetRefuses has others ask than a process of this version.
func TestGreetRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{"sonde_watch_takeover":99}`: "version 99", `{}`: "version 0", `no`: "malformed",
	} {
		path := place(t)
		l := listen(t, path)
		c, err := Dial(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.send(ask, []byte(text), nil); err != nil {
			t.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Greet(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", text, err)
		}
		if k, data, _, err := c.receive(); k != refuse || !strings.Contains(string(data), want) || err != nil {
			t.Errorf("%s: it hears %v %q, %v", text, k, data, err)
		}
		if _, _, _, err := c.receive(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: the connection goes on: %v", text, err)
		}
		c.Close()
	}
}

// FuzzMessages reads whatever may come: what is taken for a message is one.
func FuzzMessages(f *testing.F) {
	f.Add(appendHeader(nil, ask, 2), []byte(`{"sonde_watch_takeover":1}`), 0)
	f.Add(appendHeader(nil, connections, 2), []byte(`[{"job":"j","key":1,"addr":"127.0.0.1:80"}]`), 1)
	f.Add(appendHeader(nil, frozen, 2), []byte(`{"Epoch":1,"Listeners":["127.0.0.1:80"]}`), 1)
	f.Fuzz(func(t *testing.T, header, data []byte, fds int) {
		if len(header) >= headerSize {
			if k, size, err := parseHeader(header[:headerSize]); err == nil {
				if size > maxMessage || !bytes.Equal(appendHeader(nil, k, size), header[:headerSize]) || strings.HasPrefix(k.String(), "message") {
					t.Errorf("%v of %d bytes out of %x", k, size, header)
				}
			}
		}
		var list []Connection
		if parse(data, &list, fds) == nil && len(list) != fds {
			t.Errorf("%d connections with %d descriptors", len(list), fds)
		}
		var s State
		if parse(data, &s, fds) == nil && len(s.Listeners) != fds {
			t.Errorf("%d listeners with %d descriptors", len(s.Listeners), fds)
		}
		var h hello
		_ = parse(data, &h, fds)
	})
}
