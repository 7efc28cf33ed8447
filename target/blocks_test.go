package target

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// checkSet compares what a source yields with what it should, in any order.
func checkSet(t *testing.T, o Options, want []string) *Inputs {
	t.Helper()
	in := open(t, o)
	got := drain(t, in)
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	return in
}

// each writes format for every address from first to last.
func each(first, last, format string) []string {
	var all []string
	for addr := netip.MustParseAddr(first); ; addr = addr.Next() {
		text := addr.String()
		if addr.Is6() {
			text = "[" + text + "]"
		}
		all = append(all, fmt.Sprintf(format, text))
		if text := addr.String(); text == last {
			return all
		}
	}
}

func TestBlocksMerge(t *testing.T) {
	o := testOptions("10.0.0.0/29", "10.0.0.4-10", "10.0.0.9-10.0.0.12:80", "10.0.0.0/31", "2001:db8::/126", "2001:db8::2-2001:db8::5")
	in := checkSet(t, o, slices.Concat(each("10.0.0.0", "10.0.0.12", "%s:80/tcp"), each("2001:db8::", "2001:db8::5", "%s:80/tcp")))
	if got := len(in.walk.groups); got != 1 {
		t.Errorf("groups: got %d, want 1: the blocks differ in nothing", got)
	}
}

func TestBlocksOfOneKind(t *testing.T) {
	o := testOptions("10.0.0.0/30,,web,", "10.0.0.0/30,,web,81", "10.0.0.0/30,a.example,,", "10.0.0.0/30", "10.0.0.2/31,,web,")
	o.Ports = []PortRange{{80, 80}, {443, 443}}
	o.Probes = []Choice{tcp, ssh}
	o.Triggers = map[string]Choice{"web": web}
	var want []string
	for _, rest := range []string{":80/http tag=web", ":443/http tag=web", ":81/http tag=web"} {
		want = append(want, each("10.0.0.0", "10.0.0.3", "%s"+rest)...)
	}
	for _, rest := range []string{":80/tcp", ":80/ssh", ":443/tcp", ":443/ssh"} {
		want = append(want, each("10.0.0.0", "10.0.0.3", "%s"+rest)...)
		want = append(want, each("10.0.0.0", "10.0.0.3", "%s"+rest+" domain=a.example")...)
	}
	checkSet(t, o, want)
}

func TestBlocksExclude(t *testing.T) {
	o := testOptions("10.0.0.0/28", "10.0.0.0/28,,tag,", "2001:db8::/124")
	o.Exclude = newSet(t, "10.0.0.3", "10.0.0.14/31", "9.0.0.0-10.0.0.1", "2001:db8::8/125", "192.0.2.0/24")
	in := checkSet(t, o, slices.Concat(
		each("10.0.0.2", "10.0.0.2", "%s:80/tcp"), each("10.0.0.4", "10.0.0.13", "%s:80/tcp"),
		each("10.0.0.2", "10.0.0.2", "%s:80/tcp tag=tag"), each("10.0.0.4", "10.0.0.13", "%s:80/tcp tag=tag"),
		each("2001:db8::", "2001:db8::7", "%s:80/tcp")))
	if got, want := in.Stats(), (Stats{Targets: 30, BlockExcluded: 18}); got != want {
		t.Errorf("Stats: got %+v, want %+v", got, want)
	}
}

func TestBlocksSkipUnroutable(t *testing.T) {
	o := testOptions("0.255.255.254-1.0.0.1", "223.255.255.255-224.0.0.3", "239.255.255.255-240.0.0.0", "255.255.255.254/31",
		"::/127", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff-ff00::1")
	in := checkSet(t, o, []string{
		"1.0.0.0:80/tcp", "1.0.0.1:80/tcp", "223.255.255.255:80/tcp", "240.0.0.0:80/tcp", "255.255.255.254:80/tcp", "[::1]:80/tcp",
		"[feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:80/tcp",
	})
	if got, want := in.Stats(), (Stats{Targets: 7, BlockUnroutable: 2 + 4 + 1 + 1 + 1 + 2}); got != want {
		t.Errorf("Stats: got %+v, want %+v", got, want)
	}
	checkSet(t, testOptions("224.0.0.0/24"), nil)
}

// Blocks come behind the whole list, wherever they stand.
func TestBlocksComeLast(t *testing.T) {
	o := testOptions("10.1.0.0/30", "10.0.0.1", "10.1.0.2-5", "10.0.0.2")
	got := drain(t, open(t, o))
	if diff := cmp.Diff([]string{"10.0.0.1:80/tcp", "10.0.0.2:80/tcp"}, got[:2]); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	slices.Sort(got[2:])
	if diff := cmp.Diff(each("10.1.0.0", "10.1.0.5", "%s:80/tcp"), got[2:]); diff != "" {
		t.Errorf("blocks (-want +got):\n%s", diff)
	}
}

// TestWalkSpread is the promise to the networks that are scanned: of a /16 by two ports, one step in 256 stays in its /24.
func TestWalkSpread(t *testing.T) {
	o := testOptions("10.0.0.0/16")
	o.Ports = []PortRange{{80, 81}}
	in := open(t, o)
	var last, target Target
	stays, steps := 0, 0
	for in.Next(&target) == nil {
		a, b := last.Addr.Unmap(), target.Addr
		if a.IsValid() && a.As4()[2] == b.As4()[2] {
			stays++
		}
		last = target
		steps++
	}
	if steps != 2<<16 || stays < 400 || stays > 640 {
		t.Errorf("got %d of %d steps within one /24, want about 512 of %d", stays, steps, 2<<16)
	}
}

// Small groups are visited all along the walk, not at an end of it.
func TestWalkMixesGroups(t *testing.T) {
	got := drain(t, open(t, testOptions("10.0.0.0/20", "10.9.0.0/24,,small,")))
	first, last := -1, 0
	for i, text := range got {
		if strings.HasSuffix(text, "tag=small") {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first > len(got)/10 || last < len(got)*9/10 {
		t.Errorf("the small group: got places %d to %d of %d, want it spread over all", first, last, len(got))
	}
}

func TestWalkSeeds(t *testing.T) {
	o := testOptions("10.0.0.0/24")
	order := func(seed uint64) []string {
		o.Seed = seed
		return drain(t, open(t, o))
	}
	if diff := cmp.Diff(order(7), order(7)); diff != "" {
		t.Errorf("one seed, two orders:\n%s", diff)
	}
	if slices.Equal(order(7), order(8)) {
		t.Error("seeds 7 and 8: got one order, want two")
	}
}

// TestShards: whatever the number of shards, each line of the unsharded run, errors too, is in exactly one shard.
func TestShards(t *testing.T) {
	o := testOptions("10.0.0.1", "bad..name", "10.0.0.2:9", "10.0.0.3", "224.0.0.1", "10.8.0.1", "10.0.0.9", "", "10.0.0.9",
		"10.1.0.0/27", "10.2.0.0-6,,tag,", "2001:db8::/125", "99.0.0.0/99")
	o.Ports = []PortRange{{80, 82}}
	o.Probes = []Choice{tcp, ssh}
	o.Exclude = newSet(t, "10.8.0.0/16", "10.1.0.4/30")
	want := drain(t, open(t, o))
	slices.Sort(want)
	for shards := 1; shards <= 11; shards++ {
		var got []string
		o.Shards = shards
		for o.Shard = range shards {
			in := open(t, o)
			part := drain(t, in)
			if n := len(part); n < len(want)/shards-2 || n > len(want)/shards+2 {
				t.Errorf("shard %d of %d: got %d of %d, want an even share", o.Shard, shards, n, len(want))
			}
			got = append(got, part...)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d shards (-unsharded +union):\n%s", shards, diff)
		}
	}
}

// Of a list, shards take targets in turn, across the borders of entries.
func TestShardsTakeTurns(t *testing.T) {
	o := testOptions("10.0.0.1", "bad..name", "10.0.0.2:9", "10.0.0.3", "10.0.0.4")
	o.Ports = []PortRange{{80, 82}}
	whole := drain(t, open(t, o))
	for o.Shards = 2; o.Shards <= 5; o.Shards++ {
		for o.Shard = range o.Shards {
			var want []string
			for i := o.Shard; i < len(whole); i += o.Shards {
				want = append(want, whole[i])
			}
			if diff := cmp.Diff(want, drain(t, open(t, o))); diff != "" {
				t.Errorf("shard %d of %d (-want +got):\n%s", o.Shard, o.Shards, diff)
			}
		}
	}
}

func TestBlocksTooLarge(t *testing.T) {
	for _, c := range []struct {
		text  string
		ports int
		ok    bool
	}{
		{"::/0", 1, false}, {"2001:db8::/64", 1, false}, {"2001:db8::/65", 1, false}, {"2001:db8::/66", 1, true},
		{"2001:db8::/66", 2, false}, {"2001:db8::/67", 2, true}, {"0.0.0.0/0", 65535, true},
	} {
		o := testOptions(c.text)
		o.Ports = []PortRange{{1, uint16(c.ports)}}
		err := open(t, o).Next(new(Target))
		var bad *InputError
		if errors.As(err, &bad) == c.ok {
			t.Errorf("%s by %d ports: got %v, want it taken: %v", c.text, c.ports, err, c.ok)
		}
		if bad != nil && (!strings.Contains(bad.Reason, "2^62") || bad.Hint == "") {
			t.Errorf("%s by %d ports: got %v, want the limit and a hint", c.text, c.ports, err)
		}
	}
}

// limitedBlocks is room for 16 ranges and 1000 targets.
func limitedBlocks() *blocks {
	b := newBlocks()
	b.limitRanges, b.limitTargets = 16, 1000
	return b
}

func TestBlocksLimitRanges(t *testing.T) {
	o := testOptions()
	for range 3 { // said three times, they still are 14 ranges
		for i := range 14 {
			o.Args = append(o.Args, fmt.Sprintf("10.0.%d.0/31", i))
		}
	}
	o.Args = append(o.Args, "10.1.0.0/31", "10.1.1.0/31", "10.1.2.0/31", "10.0.3.1/32")
	in := open(t, o)
	in.blocks = limitedBlocks()
	got := drain(t, in)
	var refused []string
	for _, text := range got {
		if strings.HasPrefix(text, "error") {
			refused = append(refused, text)
		}
	}
	if len(refused) != 1 || !strings.Contains(refused[0], `"10.1.2.0/31": more blocks than can be kept: 16`) {
		t.Errorf("refusals: got %q, want one, of 10.1.2.0/31", refused)
	}
	if want := 16 * 2; len(got)-len(refused) != want {
		t.Errorf("targets: got %d, want %d", len(got)-len(refused), want)
	}
}

func TestBlocksLimitTargets(t *testing.T) {
	o := testOptions("10.0.0.0/23", "10.0.0.0/24", "10.0.1.0/24", "10.1.0.0/24", "10.2.0.0/24", "10.0.1.7/32")
	in := open(t, o)
	in.blocks = limitedBlocks()
	got := drain(t, in)
	if !strings.Contains(got[0], `"10.2.0.0/24": more blocks than can be kept`) || len(got) != 1+768 {
		t.Errorf("got %d, first %q, want a refusal of 10.2.0.0/24 and 768 targets", len(got), got[0])
	}
}

// A list far above the limit must not cost a merge a line: after the last merge nothing is added, and what is in the lists is
// still taken.
func TestBlocksFullStaysFull(t *testing.T) {
	b := limitedBlocks()
	g, _ := b.group(blockKind{}, expansion{port: 80})
	add := func(n num4) bool { return b.add(g, (n*4).addr(), (n*4).addr()) == nil }
	for i := range num4(15) {
		if !add(i) {
			t.Fatalf("range %d: got a refusal, want room for 16", i)
		}
	}
	for range 2 { // the second needs a merge, which gains one place
		if !add(3) || b.isFull {
			t.Fatalf("a range said twice: got it refused, or isFull %v, want it taken", b.isFull)
		}
	}
	for i := range num4(40) {
		if got, want := add(i), i < 15; got != want {
			t.Errorf("range %d of a full list: got taken %v, want %v", i, got, want)
		}
	}
	if !b.isFull || len(g.v4) != 15 {
		t.Errorf("got isFull %v and %d ranges, want true and 15", b.isFull, len(g.v4))
	}
}

func TestBlocksLimitKinds(t *testing.T) {
	b := newBlocks()
	for i := range maxGroups + 1 {
		_, refused := b.group(blockKind{tag: fmt.Sprint(i)}, expansion{port: 80})
		if (refused != nil) != (i == maxGroups) {
			t.Fatalf("kind %d: got refusal %v", i, refused)
		}
	}
}

// FuzzWalk checks the walk over any few ranges against a set of addresses.
func FuzzWalk(f *testing.F) {
	f.Add([]byte{1, 5, 3, 9, 200, 250}, []byte{4, 4}, uint64(1))
	f.Fuzz(func(t *testing.T, ranges, holes []byte, seed uint64) {
		var o Options
		o.Probes, o.Ports, o.Seed, o.Exclude = []Choice{tcp}, []PortRange{{80, 81}}, seed, new(Set)
		want := make(map[netip.Addr]int)
		for i := 0; i+1 < len(ranges); i += 2 {
			first, last := min(ranges[i], ranges[i+1]), max(ranges[i], ranges[i+1])
			o.Args = append(o.Args, fmt.Sprintf("10.0.0.%d-%d", first, last))
			for n := num4(first); n <= num4(last); n++ {
				want[(10<<24 | n).addr()] = 2
			}
		}
		for i := 0; i+1 < len(holes); i += 2 {
			first, last := min(holes[i], holes[i+1]), max(holes[i], holes[i+1])
			if err := o.Exclude.Add(fmt.Sprintf("10.0.0.%d-%d", first, last)); err != nil {
				t.Fatal(err)
			}
			for n := num4(first); n <= num4(last); n++ {
				delete(want, (10<<24 | n).addr())
			}
		}
		in := open(t, o)
		var target Target
		err := in.Next(&target)
		for ; err == nil; err = in.Next(&target) {
			want[target.Addr]--
		}
		if err != io.EOF {
			t.Fatal(err)
		}
		for addr, left := range want {
			if left != 0 {
				t.Errorf("%v: got %d targets, want 2", addr, 2-left)
			}
		}
	})
}
