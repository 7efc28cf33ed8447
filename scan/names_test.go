package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sonde/internal/testpeer"
	"sonde/report"
	"sonde/target"

	"github.com/google/go-cmp/cmp"
)

// answering is a Lookup that knows every name and gives one address.
func answering(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, nil
}

// knowing is a Lookup that knows the names of a table, and says of others what a name server says.
func knowing(names map[string][]string) target.LookupFunc {
	return func(_ context.Context, network, host string) ([]netip.Addr, error) {
		var addrs []netip.Addr
		for _, text := range names[host] {
			if addr := netip.MustParseAddr(text); network == "ip" || addr.Is4() == (network == "ip4") {
				addrs = append(addrs, addr)
			}
		}
		if addrs == nil {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return addrs, nil
	}
}

// lines is a target list of n lines made by format, which gets a number.
func lines(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format+"\n", i)
	}
	return b.String()
}

// TestNames turns names into records: which address is dialled, and who is to blame if none can be.
func TestNames(t *testing.T) {
	v4, v6 := testpeer.New(t, testpeer.Sink, testpeer.Options{}), netip.AddrPort{}
	port := v4.Addr().Port()
	if peer, err := testpeer.Start(testpeer.Sink, testpeer.Options{Addr: netip.AddrPortFrom(netip.IPv6Loopback(), port)}); err == nil {
		t.Cleanup(peer.Close)
		v6 = peer.Addr()
	}
	exclude := new(target.Set)
	exclude.AddPrefix(netip.MustParsePrefix("127.9.0.0/16"))
	lookup := func(ctx context.Context, network, host string) ([]netip.Addr, error) {
		switch host {
		case "slow.test":
			return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true}
		case "broken.test":
			return nil, &net.DNSError{Err: "server misbehaving", Name: host}
		case "strange.test":
			return nil, errors.New("out of order")
		}
		return knowing(map[string][]string{
			"both.test":     {"::1", "127.0.0.1", "127.0.0.2"},
			"four.test":     {"127.0.0.1"},
			"excluded.test": {"127.9.0.1"},
			"mixed.test":    {"127.9.0.1", "127.0.0.1"},
			"zero.test":     {"0.0.0.0"},
			"group.test":    {"224.0.0.1"},
			"local.test":    {"fe80::1"},
			"mapped.test":   {"::ffff:127.0.0.1"},
		})(ctx, network, host)
	}
	tests := map[string]struct {
		name   string
		family target.Family
		allIPs bool
		v6     bool // takes an IPv6 loopback
		want   []string
	}{
		"first address":             {name: "both.test", v6: true, want: []string{"::1 success "}},
		"-4":                        {name: "both.test", family: target.IPv4, want: []string{"127.0.0.1 success "}},
		"-6":                        {name: "both.test", family: target.IPv6, v6: true, want: []string{"::1 success "}},
		"all of -4":                 {name: "both.test", family: target.IPv4, allIPs: true, want: []string{"127.0.0.1 success ", "127.0.0.2 connection-refused remote"}},
		"all":                       {name: "both.test", allIPs: true, v6: true, want: []string{"127.0.0.1 success ", "127.0.0.2 connection-refused remote", "::1 success "}},
		"mapped":                    {name: "mapped.test", want: []string{"127.0.0.1 success "}},
		"none of the family":        {name: "four.test", family: target.IPv6, want: []string{"invalid IP dns-error remote"}},
		"not found":                 {name: "nowhere.test", want: []string{"invalid IP dns-error remote"}},
		"timeout":                   {name: "slow.test", want: []string{"invalid IP dns-error local"}},
		"server fails":              {name: "broken.test", want: []string{"invalid IP dns-error local"}},
		"something else":            {name: "strange.test", want: []string{"invalid IP dns-error local"}},
		"excluded address":          {name: "excluded.test", want: []string{"127.9.0.1 blocked policy"}},
		"first excluded":            {name: "mixed.test", want: []string{"127.9.0.1 blocked policy"}},
		"first excluded, all":       {name: "mixed.test", allIPs: true, want: []string{"127.0.0.1 success ", "127.9.0.1 blocked policy"}},
		"0.0.0.0":                   {name: "zero.test", want: []string{"0.0.0.0 invalid-input remote"}},
		"multicast":                 {name: "group.test", want: []string{"224.0.0.1 invalid-input remote"}},
		"link-local, no interface":  {name: "local.test", want: []string{"fe80::1 invalid-input remote"}},
		"name in capitals with dot": {name: "FOUR.test.", want: []string{"invalid IP dns-error remote"}}, // the dot is part of the question
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.v6 && !v6.IsValid() {
				t.Skip("no IPv6 loopback here")
			}
			records, _ := scanAll(t, Config{
				Args: []string{fmt.Sprintf("%s:%d", tt.name, port)}, Lookup: lookup, Family: tt.family, AllIPs: tt.allIPs, Exclude: exclude,
			})
			var got []string
			for i := range records {
				r := &records[i]
				got = append(got, fmt.Sprintf("%v %v %v", r.IP, r.Status, r.Side))
				if r.Domain != tt.name || r.Port != port || r.Probe != "tcp" {
					t.Errorf("got %v, want the name, port and probe as asked for", r)
				}
				if r.Timing.DNS == report.Absent {
					t.Errorf("got %v without the time that the name took", r)
				}
				wantText(t, r.Status, r.Error)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLinkLocal: an address that means something on one interface only needs that interface (RFC 4007 s.6). connect(2) would
// say EINVAL, which names nothing to mend.
func TestLinkLocal(t *testing.T) {
	for entry, want := range map[string]string{
		"[fe80::1]:80":              "fe80::1 is link-local: name its interface, as in fe80::1%eth0",
		"[fe80::1%sonde-nosuch]:80": `fe80::1%sonde-nosuch: this machine has no interface "sonde-nosuch"`,
	} {
		records, _ := scanAll(t, Config{Args: []string{entry}})
		r := only(t, records)
		if r.Status != report.InvalidInput || r.Side != report.SideLocal || r.Error != want {
			t.Errorf("%s: got %v, want invalid-input: %s", entry, r, want)
		}
	}
}

// TestNameTime has the time that a name took in its record, and apart from the connect.
func TestNameTime(t *testing.T) {
	t.Parallel()                 // it waits, most of the time
	const slow = 3 * time.Second // a busy machine is not late by that
	lookup := func(ctx context.Context, network, host string) ([]netip.Addr, error) {
		select {
		case <-time.After(slow):
			return answering(ctx, network, host)
		case <-ctx.Done(): // the list has ended, but the scan has not
			return nil, ctx.Err()
		}
	}
	addr := testpeer.New(t, testpeer.Sink, testpeer.Options{}).Addr()
	records, _ := scanAll(t, Config{Args: []string{fmt.Sprintf("a.test:%d", addr.Port())}, Lookup: lookup})
	r := only(t, records)
	want(t, r, report.Success, report.SideNone)
	if r.Timing.DNS < slow || r.Timing.Total >= slow || r.Timing.SchedDelay >= slow {
		t.Errorf("got dns %v, delay %v and total %v, want %v in dns alone", r.Timing.DNS, r.Timing.SchedDelay, r.Timing.Total, slow)
	}
	if line := string(report.AppendJSON(nil, &r.Record)); !strings.Contains(line, `"dns_us":`) {
		t.Errorf("got %s, want dns_us in it", line)
	}
}

// TestManyNames has more names at once in the engine than there is room for, so that many callbacks of the resolver wait
// for the same things. Each name gets its record.
func TestManyNames(t *testing.T) {
	const n = 10_000
	addr := testpeer.New(t, testpeer.Sink, testpeer.Options{}).Addr()
	records, run := scanAll(t, Config{
		InputFiles: []string{"-"}, Stdin: strings.NewReader(lines(n, fmt.Sprintf("host%%d.test:%d", addr.Port()))),
		Connections: 2, Loops: 1, Lookup: answering,
	})
	if len(records) != n || run.Targets != n {
		t.Errorf("got %d records of %d targets, want %d", len(records), run.Targets, n)
	}
	for i := range records {
		if r := &records[i]; r.Status != report.Success || r.Timing.DNS == report.Absent {
			t.Fatalf("got %v with dns %v, want success and a time", r, r.Timing.DNS)
		}
	}
}

// TestOneNameOften asks once for a name that stands in the list a thousand times.
func TestOneNameOften(t *testing.T) {
	var asked atomic.Int64
	lookup := func(ctx context.Context, network, host string) ([]netip.Addr, error) {
		asked.Add(1)
		return answering(ctx, network, host)
	}
	addr := testpeer.New(t, testpeer.Sink, testpeer.Options{}).Addr()
	records, _ := scanAll(t, Config{
		InputFiles: []string{"-"}, Stdin: strings.NewReader(strings.Repeat(fmt.Sprintf("a.test:%d\n", addr.Port()), 1000)), Lookup: lookup,
	})
	if len(records) != 1000 || asked.Load() != 1 {
		t.Errorf("got %d records and %d lookups, want 1000 and 1", len(records), asked.Load())
	}
}

// TestSilentNameServer has a million names and a name server that answers none: so many goroutines as there are lookups at
// once, no more, and an end when the scan is stopped.
func TestSilentNameServer(t *testing.T) {
	var asked atomic.Int64
	lookup := func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
		asked.Add(1)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	before := runtime.NumGoroutine()
	s := open(t, Config{
		InputFiles: []string{"-"}, Stdin: &numberedLines{format: "host%d.test:80\n", left: 1_000_000}, Lookup: lookup, Sink: &memorySink{},
	})
	within(t, "the scan", func() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			run, err := s.Run(ctx)
			if err != nil || run.Summary.Records() != 0 || run.Engine.Opened != 0 {
				t.Errorf("got error %v, %d records, %d dials; want none", err, run.Summary.Records(), run.Engine.Opened)
			}
		}()
		for asked.Load() < int64(s.lookups) {
			runtime.Gosched()
		}
		for range 1000 { // the feeder may go on
			runtime.Gosched()
		}
		if got := runtime.NumGoroutine() - before; got > s.lookups+20 {
			t.Errorf("got %d goroutines more than before, want %d lookups and few besides", got, s.lookups)
		}
		if got := asked.Load(); got != int64(s.lookups) {
			t.Errorf("got %d lookups at once, want %d", got, s.lookups)
		}
		cancel(errInterrupted)
		<-done
	})
	noGoroutines(t)
}

// numberedLines is a target list that is made as it is read.
type numberedLines struct {
	format  string
	left    int
	pending []byte
}

func (l *numberedLines) Read(p []byte) (int, error) {
	for len(l.pending) == 0 {
		if l.left == 0 {
			return 0, io.EOF
		}
		l.left--
		l.pending = fmt.Appendf(l.pending, l.format, l.left)
	}
	n := copy(p, l.pending)
	l.pending = l.pending[n:]
	return n, nil
}
