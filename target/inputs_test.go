package target

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// tcp and ssh are probes without and with a usual port.
var (
	tcp = Choice{Name: "tcp"}
	ssh = Choice{Name: "ssh", Port: 22}
	web = Choice{Name: "http", Port: 80}
)

// testOptions are enough for any entry: one probe, one port.
func testOptions(args ...string) Options {
	return Options{Args: args, Probes: []Choice{tcp}, Ports: []PortRange{{80, 80}}}
}

func open(t testing.TB, o Options) *Inputs {
	t.Helper()
	in, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	})
	return in
}

// show writes a target in one line: "ip:port/probe domain=... tag=... path=...".
func show(t Target) string {
	text := fmt.Sprintf("%v/%s", netip.AddrPortFrom(t.Addr, t.Port), t.Probe)
	if !t.Addr.IsValid() {
		text = fmt.Sprintf("?:%d/%s", t.Port, t.Probe)
	}
	if t.TLS {
		text += "+tls"
	}
	for _, field := range []struct{ name, value string }{{"domain", t.Domain}, {"tag", t.Tag}, {"path", t.Path}} {
		if field.value != "" {
			text += " " + field.name + "=" + field.value
		}
	}
	return text
}

// drain reads a source to its end. An entry in error becomes "error: ...".
func drain(t testing.TB, source Source) []string {
	t.Helper()
	var got []string
	target := Target{Domain: "stale", Tag: "stale", Path: "stale", TLS: true}
	for {
		var bad *InputError
		switch err := source.Next(&target); {
		case err == io.EOF:
			if again := source.Next(&target); again != io.EOF {
				t.Fatalf("Next after the end: got %v, want io.EOF", again)
			}
			return got
		case errors.As(err, &bad):
			got = append(got, "error: "+err.Error())
		case err != nil:
			t.Fatal(err)
		default:
			got = append(got, show(target))
		}
	}
}

func checkDrain(t testing.TB, o Options, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, drain(t, open(t, o))); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
}

func writeFile(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestInputsKeepOrder(t *testing.T) {
	first := writeFile(t, "first", "\ufeff# head\r\n10.0.0.3\r\n\r\n  10.0.0.2 # why\r\n,b.example,red,8080\r\n10.0.0.3")
	second := writeFile(t, "second", "\ufeff10.0.0.4\n")
	o := testOptions("10.0.0.9", "a.example", "10.0.0.9")
	o.Files = []string{first, "-", second, first}
	o.Stdin = strings.NewReader("fe80::1%lo\n")
	checkDrain(t, o,
		"10.0.0.9:80/tcp", "?:80/tcp domain=a.example", "10.0.0.9:80/tcp",
		"10.0.0.3:80/tcp", "10.0.0.2:80/tcp", "?:8080/tcp domain=b.example tag=red", "10.0.0.3:80/tcp",
		"[fe80::1%lo]:80/tcp",
		"10.0.0.4:80/tcp",
		"10.0.0.3:80/tcp", "10.0.0.2:80/tcp", "?:8080/tcp domain=b.example tag=red", "10.0.0.3:80/tcp")
}

func TestInputsPortsAndProbes(t *testing.T) {
	o := Options{
		Args:     []string{"10.0.0.1", "10.0.0.2:9", "10.0.0.3,,web,", "10.0.0.4,,web,9", "10.0.0.5,,other,", "x://h/p", "s://h", "x://h:9"},
		Ports:    []PortRange{{443, 444}, {80, 80}, {443, 443}},
		Probes:   []Choice{tcp, ssh},
		Triggers: map[string]Choice{"web": web, "": {Name: "never"}},
		Schemes:  map[string]Choice{"x": web, "s": {Name: "raw"}},
	}
	checkDrain(t, o,
		"10.0.0.1:80/tcp", "10.0.0.1:80/ssh", "10.0.0.1:443/tcp", "10.0.0.1:443/ssh", "10.0.0.1:444/tcp", "10.0.0.1:444/ssh",
		"10.0.0.2:9/tcp", "10.0.0.2:9/ssh",
		"10.0.0.3:80/http tag=web", "10.0.0.3:443/http tag=web", "10.0.0.3:444/http tag=web",
		"10.0.0.4:9/http tag=web",
		"10.0.0.5:80/tcp tag=other", "10.0.0.5:80/ssh tag=other", "10.0.0.5:443/tcp tag=other", "10.0.0.5:443/ssh tag=other",
		"10.0.0.5:444/tcp tag=other", "10.0.0.5:444/ssh tag=other",
		"?:80/http domain=h path=/p",
		"?:80/raw domain=h", "?:443/raw domain=h", "?:444/raw domain=h",
		"?:9/http domain=h")
	o = Options{Args: []string{"10.0.0.1", "10.0.0.2/32"}, Probes: []Choice{ssh, web}, Seed: 4}
	got := drain(t, open(t, o))
	slices.Sort(got)
	want := []string{"10.0.0.1:22/ssh", "10.0.0.1:80/http", "10.0.0.2:22/ssh", "10.0.0.2:80/http"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("usual ports (-want +got):\n%s", diff)
	}
}

// TestTLSOfChoices: a URL's scheme, a tag and the probes of the options each say whether TLS lies below the probe, and which
// port it then has. A path goes with the one as with the other.
func TestTLSOfChoices(t *testing.T) {
	https := Choice{Name: "http", Port: 443, TLS: true}
	checkDrain(t, Options{
		Args: []string{
			"https://a.example/x?y=1", "HTTPS://10.0.0.1:8443", "http://a.example/x", "https://[2001:db8::1]:9/z",
			"10.0.0.2", "10.0.0.3,,secure,", "10.0.0.4/32,,secure,", "ftp://10.0.0.5", "10.0.0.6/32",
		},
		Probes:   []Choice{web, https},
		Triggers: map[string]Choice{"secure": https},
		Schemes:  map[string]Choice{"http": web, "https": https},
		Refused:  map[string]string{"ftp": "it is not to be"},
		Seed:     3,
	},
		"?:443/http+tls domain=a.example path=/x?y=1",
		"10.0.0.1:8443/http+tls",
		"?:80/http domain=a.example path=/x",
		"[2001:db8::1]:9/http+tls path=/z",
		"10.0.0.2:80/http", "10.0.0.2:443/http+tls",
		"10.0.0.3:443/http+tls tag=secure",
		`error: argument 8: "ftp://10.0.0.5": no probe for the scheme ftp in this scan: it is not to be`,
		"10.0.0.4:443/http+tls tag=secure", "10.0.0.6:443/http+tls", "10.0.0.6:80/http")
}

func TestInputErrors(t *testing.T) {
	file := writeFile(t, "list", "10.0.0.256\n\n10.0.0.1\n"+strings.Repeat("x", maxLine+1)+"\n10.0.0.2\n"+
		strings.Repeat("y", 3*lineBuffer)+"\n10.0.0.3\n"+strings.Repeat("z", 2*lineBuffer))
	o := testOptions("", "224.0.0.1", "10.9.9.9:5", "no.example", "q://h", "10.0.0.0/24,no.example", "::ffff:10.9.9.9")
	o.Files = []string{file}
	o.Schemes = map[string]Choice{"redis": tcp, "http": web}
	o.Exclude = newSet(t, "10.9.0.0/16", "no.example")
	long := func(line int, c string) string {
		return fmt.Sprintf("error: %s:%d: %q: a line of more than 4096 bytes", file, line, strings.Repeat(c, maxEntryText))
	}
	checkDrain(t, o,
		`error: argument 1: "": an empty argument (hint: name a target, or leave it out)`,
		`error: argument 2: "224.0.0.1": no TCP connection can have this address as its peer`,
		`error: argument 3: "10.9.9.9:5": the address is on the exclusion list`,
		`error: argument 4: "no.example": the name is on the exclusion list`,
		`error: argument 5: "q://h": no probe for the scheme q (hint: known schemes: http, redis)`,
		`error: argument 6: "10.0.0.0/24,no.example": the name is on the exclusion list`,
		`error: argument 7: "::ffff:10.9.9.9": the address is on the exclusion list`,
		`error: `+file+`:1: "10.0.0.256": not an address or a host name (hint: an IPv4 address is four numbers of 0 to 255 without leading zeros)`,
		"10.0.0.1:80/tcp", long(4, "x"), "10.0.0.2:80/tcp", long(6, "y"), "10.0.0.3:80/tcp", long(8, "z"))
}

func TestInputErrorFields(t *testing.T) {
	o := Options{Args: []string{"10.9.9.9,a.example,t,5", "0.0.0.0", "10.0.0.1,,t,"}, Probes: []Choice{ssh, tcp}, Exclude: newSet(t, "10.9.0.0/16")}
	in := open(t, o)
	want := []*InputError{
		{
			Fault: Excluded, Origin: "argument", Line: 1, Text: "10.9.9.9,a.example,t,5", Reason: "the address is on the exclusion list",
			Target: Target{Addr: netip.MustParseAddr("10.9.9.9"), Port: 5, Domain: "a.example", Tag: "t"},
		},
		{
			Fault: Unroutable, Origin: "argument", Line: 2, Text: "0.0.0.0",
			Reason: "no TCP connection can have this address as its peer", Target: Target{Addr: netip.IPv4Unspecified()},
		},
		{
			Fault: Malformed, Origin: "argument", Line: 3, Text: "10.0.0.1,,t,", Reason: "no port, and the probe tcp has no usual one",
			Hint:   "choose ports with -p, or write host:port",
			Target: Target{Addr: netip.MustParseAddr("10.0.0.1"), Tag: "t"},
		},
	}
	for i, want := range want {
		var target Target
		var got *InputError
		if err := in.Next(&target); !errors.As(err, &got) {
			t.Fatalf("entry %d: got error %v, want an InputError", i, err)
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("entry %d (-want +got):\n%s", i, diff)
		}
	}
	if got, want := in.Stats(), (Stats{Invalid: 2, Excluded: 1}); got != want {
		t.Errorf("Stats: got %+v, want %+v", got, want)
	}
}

func TestInputErrorTarget(t *testing.T) {
	for name, c := range map[string]struct {
		probes []Choice
		want   Target
	}{
		"one probe":   {[]Choice{ssh}, Target{Addr: netip.MustParseAddr("10.9.9.9"), Port: 22, Probe: "ssh"}},
		"two probes":  {[]Choice{ssh, web}, Target{Addr: netip.MustParseAddr("10.9.9.9")}},
		"no port yet": {[]Choice{tcp}, Target{Addr: netip.MustParseAddr("10.9.9.9")}},
	} {
		in := open(t, Options{Args: []string{"10.9.9.9"}, Probes: c.probes, Exclude: newSet(t, "10.9.0.0/16")})
		var got *InputError
		if err := in.Next(new(Target)); !errors.As(err, &got) || got.Fault != Excluded || got.Target != c.want {
			t.Errorf("%s: got %+v, want an Excluded InputError with %+v", name, got, c.want)
		}
	}
}

// An entry's bytes reach a terminal only quoted.
func TestInputErrorQuotes(t *testing.T) {
	err := &InputError{Origin: "list", Line: 1, Text: "\x1b[2J", Reason: "bad"}
	if got, want := err.Error(), `list:1: "\x1b[2J": bad`; got != want {
		t.Errorf("Error: got %q, want %q", got, want)
	}
}

func TestOpenErrors(t *testing.T) {
	readable := writeFile(t, "readable", "")
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"absent file":    {func(o *Options) { o.Files = []string{readable, "/absent/list"} }, "/absent/list"},
		"directory":      {func(o *Options) { o.Files = []string{filepath.Dir(readable)} }, "is a directory"},
		"stdin twice":    {func(o *Options) { o.Files, o.Stdin = []string{"-", "-"}, strings.NewReader("") }, "twice"},
		"no stdin":       {func(o *Options) { o.Files = []string{"-"} }, "there is none"},
		"no probe":       {func(o *Options) { o.Probes = nil }, "no probe"},
		"shard too big":  {func(o *Options) { o.Shards, o.Shard = 2, 2 }, "shard 2 of 2"},
		"shard below 0":  {func(o *Options) { o.Shard = -1 }, "shard -1 of 1"},
		"port 0":         {func(o *Options) { o.Ports = []PortRange{{0, 5}} }, "want 1 to 65535"},
		"ports reversed": {func(o *Options) { o.Ports = []PortRange{{5, 4}} }, "low to high"},
	} {
		o := testOptions("10.0.0.1")
		c.change(&o)
		if _, err := Open(o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
	o := testOptions()
	o.Files = []string{"/absent/list"}
	if _, err := Open(o); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent file: got %v, want fs.ErrNotExist kept", err)
	}
}

// A file that fails in the middle ends the source: what came before it stands, nothing is made up.
func TestInputsReadError(t *testing.T) {
	broken := errors.New("broken")
	o := testOptions()
	o.Files, o.Stdin = []string{"-"}, io.MultiReader(strings.NewReader("10.0.0.1\n10.0.0."), iotest.ErrReader(broken))
	in := open(t, o)
	var target Target
	if err := in.Next(&target); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := in.Next(&target); !errors.Is(err, broken) || !strings.Contains(err.Error(), "stdin") {
			t.Errorf("Next: got %v, want the reader's error with the file's name, each time", err)
		}
	}
}

// A stream's line is a target before the next line is there.
func TestInputsStream(t *testing.T) {
	read, write := io.Pipe()
	o := testOptions()
	o.Files, o.Stdin = []string{"-"}, read
	in := open(t, o)
	got := make(chan string)
	go func() {
		defer close(got)
		var target Target
		for in.Next(&target) == nil {
			got <- show(target)
		}
	}()
	for i := range 3 {
		if _, err := fmt.Fprintf(write, "10.0.0.%d\n", i); err != nil {
			t.Fatal(err)
		}
		if text, want := <-got, fmt.Sprintf("10.0.0.%d:80/tcp", i); text != want {
			t.Errorf("line %d: got %q, want %q", i, text, want)
		}
	}
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	if text, ok := <-got; ok {
		t.Errorf("after the end: got %q, want nothing", text)
	}
}

// Input that trickles in pieces of any size reads the same.
func TestInputsOneByteReads(t *testing.T) {
	text := "\ufeff10.0.0.1\r\n# c\r\n10.0.0.2\n" + strings.Repeat("x", maxLine) + "\n10.0.0.3"
	o := testOptions()
	o.Files, o.Stdin = []string{"-"}, strings.NewReader(text)
	want := drain(t, open(t, o))
	o.Stdin = iotest.OneByteReader(strings.NewReader(text))
	if diff := cmp.Diff(want, drain(t, open(t, o))); diff != "" || len(want) != 4 {
		t.Errorf("one byte at a time (-whole +bytes):\n%s", diff)
	}
}

func TestInputsMax(t *testing.T) {
	for name, c := range map[string]struct {
		max  uint64
		args []string
		want int
	}{
		"in the list":   {2, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, 2},
		"in a block":    {5, []string{"10.0.0.1", "10.1.0.0/24"}, 5},
		"never reached": {5, []string{"10.0.0.1"}, 1},
	} {
		o := testOptions(c.args...)
		o.Max = c.max
		in := open(t, o)
		if got := len(drain(t, in)); got != c.want || in.Stats().Targets != uint64(c.want) {
			t.Errorf("%s: got %d targets, Stats %d, want %d", name, got, in.Stats().Targets, c.want)
		}
		if n, _ := in.Remaining(); c.want == int(c.max) && n != 0 {
			t.Errorf("%s: Remaining got %d at the limit, want 0", name, n)
		}
	}
}

func TestInputsRemaining(t *testing.T) {
	var list strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&list, "10.0.%d.%d\n", i/250, i%250)
	}
	o := testOptions("10.1.0.0/24")
	o.Files = []string{writeFile(t, "list", list.String())}
	in := open(t, o)
	var target Target
	for left := 1256; ; left-- {
		n, exact := in.Remaining()
		if wantExact := left < 256; exact != wantExact && left != 256 {
			t.Fatalf("%d left: got exact %v, want %v", left, exact, wantExact)
		}
		if exact && n != uint64(left) {
			t.Fatalf("%d left: got %d as exact", left, n)
		}
		if !exact && left < 1200 && (n < uint64(left)*8/10 || n > uint64(left)*12/10) {
			t.Fatalf("%d left: got an estimate of %d, want within a fifth", left, n)
		}
		if err := in.Next(&target); err == io.EOF {
			if left != 0 {
				t.Fatalf("ended with %d left", left)
			}
			break
		}
	}
}

func TestInputsClose(t *testing.T) {
	o := testOptions("10.0.0.1")
	o.Files = []string{writeFile(t, "list", "10.0.0.2")}
	in := open(t, o)
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := in.Next(new(Target)); err != io.EOF {
		t.Errorf("Next after Close: got %v, want io.EOF", err)
	}
}
