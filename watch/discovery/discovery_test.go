package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/target"
	"sonde/watch/track"
)

// readPlace reads as a module without a usual port does.
func readPlace(text string) (target.Target, error) {
	if addr, err := netip.ParseAddrPort(text); err == nil {
		return target.Target{Addr: addr.Addr(), Port: addr.Port()}, nil
	}
	name, port, ok := strings.Cut(text, ":")
	if !ok || name == "" || port != "80" {
		return target.Target{}, errors.New("not a host and a port")
	}
	return target.Target{Domain: name, Port: 80}, nil
}

// logged keeps what is logged.
type logged struct {
	mu    sync.Mutex
	lines []string
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, strings.TrimSpace(string(line)))
	return len(line), nil
}

// containing are the lines with a text.
func (l *logged) containing(text string) (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return lines
}

// running is a Discovery whose Run is under way, with what it logs.
type running struct {
	*Discovery
	t    *testing.T
	log  *logged
	stop func() // returns when Run has
}

// quick has files read soon, but for the slow looks: no test waits for one that does not say so.
var quick = timing{settle: 5 * time.Millisecond, most: 50 * time.Millisecond, slow: time.Hour, poll: time.Hour, vanish: 20 * time.Millisecond}

// start runs a Discovery of jobs, which read by readPlace if they do not say how.
func start(t *testing.T, o Options, change func(*Discovery), jobs ...Job) *running {
	t.Helper()
	for i := range jobs {
		if jobs[i].Name == "" {
			jobs[i].Name = "web"
		}
		if jobs[i].Read == nil {
			jobs[i].Read = readPlace
		}
	}
	log := &logged{}
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	d, err := New(jobs, o)
	if err != nil {
		t.Fatal(err)
	}
	d.timing = quick
	if change != nil {
		change(d)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { d.Run(ctx) })
	r := &running{Discovery: d, t: t, log: log, stop: func() { cancel(); group.Wait() }}
	t.Cleanup(r.stop)
	return r
}

// next is the next list of whatever job, as texts.
func (r *running) next() []string {
	r.t.Helper()
	update, ok := <-r.Updates()
	if !ok {
		r.t.Fatal("no more updates")
	}
	return texts(update)
}

// until waits for a list, past what a file looked like on the way there.
func (r *running) until(want ...string) {
	r.t.Helper()
	for update := range r.Updates() {
		if slices.Equal(texts(update), want) {
			return
		}
	}
	r.t.Fatalf("no more updates; want %v", want)
}

func texts(u Update) []string {
	all := []string{}
	for _, target := range u.Targets {
		all = append(all, target.Text)
	}
	return all
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

// write writes a file in place.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replace writes a file beside and renames it, as one should.
func replace(t *testing.T, path, text string) {
	t.Helper()
	beside := filepath.Join(filepath.Dir(path), "new~")
	write(t, beside, text)
	if err := os.Rename(beside, path); err != nil {
		t.Fatal(err)
	}
}

// sd is a list in Prometheus' form.
func sd(targets ...string) string {
	return fmt.Sprintf(`[{"targets": ["%s"]}]`, strings.Join(targets, `", "`))
}

func TestInline(t *testing.T) {
	r := start(t, Options{}, nil, Job{
		Labels: []track.Label{{Name: "zone", Value: "a"}, {Name: "env", Value: "prod"}},
		Inline: []string{"b:80", " a:80 # the first", "10.0.0.0/30:443", "10.0.0.3-5:443", "b:80", "nonsense", "10.0.0.0/31"},
	})
	update := <-r.Updates()
	want(t, texts(update), "b:80", "a:80", "10.0.0.0:443", "10.0.0.1:443", "10.0.0.2:443", "10.0.0.3:443", "10.0.0.4:443", "10.0.0.5:443")
	wantFaults := []string{
		`inline target 6: "nonsense": not a host and a port`,
		`inline target 7: "10.0.0.0/31": not a host and a port`,
		`inline target 4: "10.0.0.3-5:443": 10.0.0.3:443 is listed already (inline target 3); it counts once`,
		`inline target 5: "b:80": b:80 is listed already (inline target 1); it counts once`,
	}
	if diff := cmp.Diff(wantFaults, update.Faults); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]track.Label{{Name: "env", Value: "prod"}, {Name: "zone", Value: "a"}}, update.Targets[7].Labels); diff != "" {
		t.Error(diff)
	}
	if got := update.Targets[7].Entry; got.Addr != netip.MustParseAddr("10.0.0.5") || got.Port != 443 {
		t.Errorf("got the entry %+v", got)
	}
	status := r.Status()
	if len(status) != 1 || status[0].Kind != "inline" || status[0].Targets != 8 || status[0].Refused != 2 {
		t.Errorf("got the status %+v", status)
	}
}

func TestNewRefuses(t *testing.T) {
	cases := []struct {
		name string
		job  Job
		want string
	}{
		{"a label's name", Job{Labels: []track.Label{{Name: "a-b"}}}, `label "a-b"`},
		{"a label of every target", Job{Labels: []track.Label{{Name: "instance", Value: "x"}}}, `label "instance"`},
		{"a hidden label", Job{Labels: []track.Label{{Name: "__x", Value: "x"}}}, `label "__x"`},
		{"a label twice", Job{Labels: []track.Label{{Name: "x", Value: "1"}, {Name: "x", Value: "2"}}}, `"x": twice`},
		{"standard input", Job{Files: []string{"-"}}, "standard input"},
		{"a folder", Job{Files: []string{"/etc/"}}, "a folder"},
		{"a pattern of folders", Job{FileSD: []string{"/etc/*/x.json"}}, "only the last part"},
		{"a pattern that is none", Job{FileSD: []string{"/etc/[.json"}}, "syntax error"},
		{"a file of no known form", Job{FileSD: []string{"/etc/x.txt"}}, ".json"},
		{"a URL of another kind", Job{HTTPSD: []HTTPSD{{URL: "ftp://a/"}}}, "http://"},
		{"a URL that is none", Job{HTTPSD: []HTTPSD{{URL: "http://u:secret@[/"}}}, "not a URL"},
		{"too often", Job{HTTPSD: []HTTPSD{{URL: "http://a/", Refresh: time.Millisecond}}}, "at least 1s"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.job.Name = "web"
			_, err := New([]Job{c.job}, Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), `job "web": `) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the password is told: %v", err)
			}
		})
	}
	if _, err := New([]Job{{Name: "a"}, {Name: "a"}}, Options{}); err == nil {
		t.Error("two jobs of one name are taken")
	}
}

// TestOnlyTheNewestListWaits: who does not receive finds one list of each job, the last.
func TestOnlyTheNewestListWaits(t *testing.T) {
	d, err := New([]Job{{Name: "a", Read: readPlace, Inline: []string{"a:80"}}, {Name: "b", Read: readPlace}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, b := d.jobs[0], d.jobs[1]
	waiting := d.tell(d.tell(nil, a), b)
	a.sources[0].docs = []*document{parseList("", []byte("a:80\nx:80"))}
	waiting = d.tell(waiting, a)
	if len(waiting) != 2 || waiting[0].Job != "b" {
		t.Fatalf("got %+v", waiting)
	}
	want(t, texts(waiting[1]), "a:80", "x:80")
}
