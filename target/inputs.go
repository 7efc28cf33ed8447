package target

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

// Choice is a probe by its name, whether TLS lies below it, and the port it then uses for a target that names none; 0 if it
// has no usual port.
type Choice struct {
	Name string
	Port uint16
	TLS  bool
}

// Options says what to make targets of. Probes must not be empty; the zero value of all else has a meaning.
type Options struct {
	// Args are entries from the command line; they come first.
	Args []string
	// Files are names of files with an entry a line; "-" is Stdin, at most once.
	Files []string
	// Stdin is read for the file "-". It is not closed.
	Stdin io.Reader
	// Ports are for each entry that names no port; empty: the port of each probe. They are sorted and merged, 1 to 65535.
	Ports []PortRange
	// Probes are run against each target, but for those whose tag or scheme chooses a probe.
	Probes []Choice
	// Triggers maps a tag to the probe that entries with this tag get instead.
	Triggers map[string]Choice
	// Schemes maps a URL's scheme, in lower case, to its probe. A URL with another scheme is refused.
	Schemes map[string]Choice
	// Refused maps a scheme that Schemes lacks to what keeps its probe from being run, for the refusal of its URLs.
	Refused map[string]string
	// Exclude is never yielded; nil excludes nothing.
	Exclude *Set
	// Seed chooses the order in which blocks are walked. Every value is a seed, 0 too: equal seeds and equal input give an
	// equal order. For a fresh order the caller draws one.
	Seed uint64
	// Shards splits the work among so many processes, of which this is number Shard, from 0. 0 is 1.
	Shards, Shard int
	// Max ends the source when so many targets were yielded; 0 sets no limit. InputErrors do not count.
	Max uint64
}

// Inputs is the Source over all that a user named. It keeps neither the list nor the targets: its memory depends on the
// blocks alone (at most 2^20 that do not touch), not on how many lines there are or how many addresses the blocks hold.
//
// Single entries come first, as they stand: in order, not de-duplicated, each as soon as its line is read, and by each port
// with each probe. CIDR blocks and ranges, wherever they stand, are gathered meanwhile; they come when the lists are read to
// their ends (with a stream that does not end, never). Blocks with equal port, domain, tag and probe are merged, so that
// what overlaps counts once. All of them are then walked together in one keyed permutation over (address, port, probe).
//
// Shards take turns: of the list each takes every Shards-th target, where a bad entry counts as one and is told by that
// shard only; of the permutation each takes every Shards-th place.
type Inputs struct {
	options Options
	ports   []uint16 // Options.Ports one by one
	lines   *lines
	entry   entry
	labels  labels
	blocks  *blocks
	walk    *walk // nil until the lists are read
	ended   error // why there is no more, once that is known

	// The list entry that is being yielded: target but for what expansion.at fills in, which turn of plan comes next, and how many
	// there are.
	current       Target
	plan          expansion
	turn, turns   uint64
	listed        uint64 // places taken in the list so far, by all shards
	stats         Stats
	shard, shards uint64
}

var (
	_ Source = (*Inputs)(nil)
	_ Sized  = (*Inputs)(nil)
)

// Stats counts what Inputs did.
type Stats struct {
	// Targets were yielded, by this shard.
	Targets uint64
	// Invalid and Excluded are entries answered with an InputError, by this shard: Malformed or Unroutable, and Excluded.
	Invalid, Excluded uint64
	// BlockExcluded and BlockUnroutable are addresses that were left out of blocks and ranges without a word, in all shards
	// together; an address that two kinds of block hold counts twice. Known once the lists are read, 0 before.
	BlockExcluded, BlockUnroutable uint64
}

// Open makes a Source of what the user named. All files are opened at once: an error names the one that can't be read, and
// nothing was yielded yet. Close the Inputs when done.
func Open(o Options) (*Inputs, error) {
	ports, err := portTable(o.Ports)
	if err != nil {
		return nil, err
	}
	if o.Shards == 0 {
		o.Shards = 1
	}
	if o.Shards < 0 || o.Shard < 0 || o.Shard >= o.Shards {
		return nil, fmt.Errorf("shard %d of %d: shards are numbered from 0", o.Shard, o.Shards)
	}
	if len(o.Probes) == 0 {
		return nil, errors.New("no probe is chosen")
	}
	if o.Max == 0 {
		o.Max = math.MaxUint64
	}
	lines, err := openLines(o.Args, o.Files, o.Stdin)
	if err != nil {
		return nil, err
	}
	return &Inputs{
		options: o, ports: ports, lines: lines, blocks: newBlocks(),
		shard: uint64(o.Shard), shards: uint64(o.Shards),
	}, nil
}

// Next implements [Source]. It waits while a stream has no line yet. An error other than io.EOF and *InputError is that of
// reading a file; it names the file.
func (in *Inputs) Next(t *Target) error {
	if in.stats.Targets >= in.options.Max {
		return io.EOF
	}
	for in.walk == nil && in.ended == nil {
		if in.turn < in.turns {
			*t = in.current
			in.plan.at(in.turn, t)
			in.turn += in.shards
			in.stats.Targets++
			return nil
		}
		if err := in.readEntry(); err != nil {
			return err
		}
	}
	if in.ended != nil {
		return in.ended
	}
	if !in.walk.next(t) {
		return io.EOF
	}
	in.stats.Targets++
	return nil
}

// readEntry takes one line: a list entry gets its turns, a block goes to the others, and the end of the lists starts the
// walk.
func (in *Inputs) readEntry() error {
	line, isLong, err := in.lines.next()
	if err == io.EOF {
		in.walk = in.blocks.walk(in.options.Exclude, in.options.Seed, in.options.Shards, in.options.Shard)
		in.stats.BlockExcluded, in.stats.BlockUnroutable = in.walk.excluded, in.walk.unroutable
		return nil
	}
	if err != nil {
		in.ended = err
		return err
	}
	in.current = Target{}
	if isLong {
		return in.refuse(line, malformed("a line of more than 4096 bytes", ""))
	}
	text := trimSpace(cutComment(line))
	if len(text) == 0 {
		if in.lines.origin == originArgument {
			return in.refuse(line, malformed("an empty argument", "name a target, or leave it out"))
		}
		return nil
	}
	if refused := in.take(text); refused != nil {
		return in.refuse(text, refused)
	}
	return nil
}

// take reads one entry and sets its turns, or gathers it.
func (in *Inputs) take(text []byte) *refusal {
	e := &in.entry
	if refused := e.parse(text); refused != nil {
		return refused
	}
	refused := in.forbid(e)
	var plan expansion
	if refused == nil {
		plan, refused = in.planFor(e)
	}
	if refused == nil && e.isBlock {
		refused = in.gather(e, plan)
	}
	if refused != nil {
		in.current = in.describe(e)
		if plan, lacking := in.planFor(e); lacking == nil && plan.count() == 1 {
			plan.at(0, &in.current)
		}
		return refused
	}
	if e.isBlock {
		return nil
	}
	in.plan = plan
	if in.takePlaces(plan.count()) {
		in.current = in.describe(e)
	}
	return nil
}

// takePlaces numbers the next count places of the list and makes turns of this shard's share of them. It reports whether
// there is any.
func (in *Inputs) takePlaces(count uint64) bool {
	in.turn = (in.shard + in.shards - in.listed%in.shards) % in.shards
	in.turns = count
	in.listed += count
	return in.turn < in.turns
}

// refuse makes the InputError of the shard whose place it is; for the others it is nil.
func (in *Inputs) refuse(text []byte, refused *refusal) error {
	isOurs := in.takePlaces(1)
	in.turns = 0
	if !isOurs {
		return nil
	}
	if refused.fault == Excluded {
		in.stats.Excluded++
	} else {
		in.stats.Invalid++
	}
	return &InputError{
		Fault: refused.fault, Origin: in.lines.origin, Line: in.lines.number, Text: clip(text),
		Reason: refused.reason, Hint: refused.hint, Target: in.current,
	}
}

// forbid says what keeps a single address or a name from being dialled. Of a block the addresses are cut later.
func (in *Inputs) forbid(e *entry) *refusal {
	exclude := in.options.Exclude
	if e.first.IsValid() && !e.isBlock {
		if !Routable(e.first) {
			return &refusal{Unroutable, "no TCP connection can have this address as its peer", ""}
		}
		if exclude.Contains(e.first) {
			return &refusal{Excluded, "the address is on the exclusion list", ""}
		}
	}
	if len(e.domain) > 0 && exclude.hasNames() && exclude.ContainsName(string(e.domain)) {
		return &refusal{Excluded, "the name is on the exclusion list", ""}
	}
	return nil
}

// planFor decides on ports and probes: an entry's own port comes before those of the options, those before a probe's
// usual one; a URL's scheme or a tag's trigger comes before the probes of the options. For a URL the usual port of its scheme
// comes before the ports of the options, because a URL without a port names that port (RFC 3986 s.3.2.3).
func (in *Inputs) planFor(e *entry) (expansion, *refusal) {
	plan := expansion{port: e.port, ports: in.ports, choices: in.options.Probes}
	if e.isURL {
		choice, ok := in.options.Schemes[e.scheme]
		if why, refused := in.options.Refused[e.scheme]; !ok && refused {
			return plan, malformed("no probe for the scheme "+e.scheme+" in this scan: "+why, "")
		}
		if !ok {
			return plan, malformed("no probe for the scheme "+clip([]byte(e.scheme)), in.schemesHint())
		}
		plan.one, plan.choices = choice, nil
		if plan.port == 0 {
			plan.port = choice.Port
		}
	} else if choice, ok := in.options.Triggers[string(e.tag)]; ok && len(e.tag) > 0 {
		plan.one, plan.choices = choice, nil
	}
	if probe, lacks := plan.lacksPort(); lacks {
		return plan, malformed("no port, and the probe "+probe+" has no usual one", "choose ports with -p, or write host:port")
	}
	return plan, nil
}

func (in *Inputs) schemesHint() string {
	if len(in.options.Schemes) == 0 {
		return ""
	}
	return "known schemes: " + strings.Join(slices.Sorted(maps.Keys(in.options.Schemes)), ", ")
}

// gather puts a block with its kind. A port of its own that is also the only one of the options makes no other kind.
func (in *Inputs) gather(e *entry, plan expansion) *refusal {
	if len(in.ports) == 1 && plan.port == in.ports[0] {
		plan.port = 0
	}
	kind := blockKind{port: plan.port, domain: string(e.domain), tag: in.labels.intern(e.tag), probe: plan.one.Name}
	group, refused := in.blocks.group(kind, plan)
	if refused != nil {
		return refused
	}
	return in.blocks.add(group, e.first, e.last)
}

// describe returns the target of an entry but for what its turn says; the port is the entry's own, if it has one.
func (in *Inputs) describe(e *entry) Target {
	t := Target{Port: e.port, Domain: string(e.domain), Tag: in.labels.intern(e.tag), Path: e.path}
	if !e.isBlock {
		t.Addr = e.first
	}
	return t
}

// Remaining implements [Sized]: exact once the lists are read; before that, an estimate from the share of the input that was
// read, which knows nothing of streams.
func (in *Inputs) Remaining() (n uint64, exact bool) {
	left := in.options.Max - min(in.stats.Targets, in.options.Max)
	if in.ended != nil {
		return 0, true
	}
	if in.walk != nil {
		return min(left, in.walk.remaining()), true
	}
	perByte := 1.0 / typicalLine
	if in.lines.consumed > 0 {
		perByte = float64(in.listed) / float64(in.lines.consumed)
	}
	ahead := perByte*float64(max(in.lines.known-in.lines.consumed, 0)) + float64(in.turns-min(in.turn, in.turns))
	n = (uint64(ahead) + in.blocks.targets) / in.shards
	return min(left, n), false
}

// typicalLine is a guess at an entry's length in bytes, for before the first was read.
const typicalLine = 16

// Stats returns the counts so far.
func (in *Inputs) Stats() Stats { return in.stats }

// Close closes the files. Next must not be called again.
func (in *Inputs) Close() error {
	in.ended = io.EOF
	return in.lines.close()
}
