package discovery

import (
	"errors"
	"fmt"
	"slices"

	"sonde/target"
	"sonde/watch/track"
)

// How many faults of a job's entries are told one by one, and how many entries that are there already: a list in which all stand
// twice must not hide what is wrong with it.
const (
	maxFaults = 20
	maxTwins  = 3
)

// list is a job's targets while they are put together.
type list struct {
	job     *job
	targets []Target
	origins []origin         // of each target
	byKey   map[uint64]int32 // the target with a key
	faults  []string
	more    int // faults beyond maxFaults
	twins   []string
	again   int // entries beyond maxTwins that are there already
}

// origin is where a target stands.
type origin struct {
	doc      *document
	group, i int32
}

// String is the place, for a person.
func (o origin) String() string { return o.doc.place(int(o.group), int(o.i)) }

// list puts the targets of all sources together and counts those of each.
func (j *job) list() *list {
	entries := 0
	for _, s := range j.sources {
		for _, doc := range s.docs {
			for _, group := range doc.groups {
				entries += len(group.texts)
			}
		}
	}
	entries = min(entries, j.most)
	l := &list{job: j, targets: make([]Target, 0, entries), origins: make([]origin, 0, entries), byKey: make(map[uint64]int32, entries)}
	for _, s := range j.sources {
		before := len(l.targets)
		s.refused = 0
		for _, doc := range s.docs {
			s.refused += l.addDocument(doc)
		}
		s.targets = len(l.targets) - before
	}
	if l.more > 0 {
		l.faults = append(l.faults, fmt.Sprintf("and %d more such entries", l.more))
	}
	l.faults = append(l.faults, l.twins...)
	if l.again > 0 {
		l.faults = append(l.faults, fmt.Sprintf("and %d more entries that are listed already", l.again))
	}
	return l
}

// addDocument returns how many entries can't be probed.
func (l *list) addDocument(doc *document) (refused int) {
	for _, fault := range doc.faults {
		l.fault("%s", fault)
	}
	l.more += doc.more
	for g := range doc.groups {
		group := &doc.groups[g]
		labels := merged(l.job.Labels, group.labels)
		for i, text := range group.texts {
			at := origin{doc, int32(g), int32(i)}
			err := l.addEntry(text, labels, at)
			switch {
			case err == nil:
			case errors.As(err, new(*duplicateError)):
				l.twin(at, text, err)
			default:
				refused++
				l.fault("%v: %q: %v", at, clip(text), err)
			}
		}
	}
	return refused
}

func (l *list) fault(format string, args ...any) {
	if len(l.faults) == maxFaults {
		l.more++
		return
	}
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}

// twin tells of an entry that is there already, which is no fault of it.
func (l *list) twin(at origin, text string, err error) {
	if len(l.twins) == maxTwins {
		l.again++
		return
	}
	l.twins = append(l.twins, fmt.Sprintf("%v: %q: %v", at, clip(text), err))
}

// addEntry adds what an entry names: one target, or in a list of scan's form all of a block's.
func (l *list) addEntry(text string, labels []track.Label, at origin) error {
	if len(text) > maxText {
		return fmt.Errorf("more than %d bytes", maxText)
	}
	block, isBlock := target.Block{}, false
	if at.doc.isList {
		block, isBlock = target.ParseBlock(text)
	}
	if !isBlock {
		return l.add(text, labels, at)
	}
	if size, ok := block.Size(); !ok || size > uint64(l.job.most-len(l.targets)) {
		return fmt.Errorf("a block that would bring the job over %d targets", l.job.most)
	}
	// What the module refuses of one address it refuses of all; but of those that are there already each may be or not.
	var known error
	for addr := range block.Addrs() {
		err := l.add(block.Entry(addr), labels, at)
		if known == nil && errors.As(err, new(*duplicateError)) {
			known = err
		} else if err != nil && !errors.As(err, new(*duplicateError)) {
			return err
		}
	}
	return known
}

// duplicateError says that a target is there already.
type duplicateError struct {
	text  string
	first origin
}

func (e *duplicateError) Error() string {
	return fmt.Sprintf("%s is listed already (%v); it counts once", e.text, e.first)
}

// add adds one target.
func (l *list) add(text string, labels []track.Label, at origin) error {
	key := keyOf(l.job.Name, text)
	same, isTaken := l.byKey[key]
	for isTaken && l.targets[same].Text != text { // one in 2^64 for each pair
		key++
		same, isTaken = l.byKey[key]
	}
	var order int
	if isTaken {
		order = slices.CompareFunc(labels, l.targets[same].Labels, compareLabels)
		twin, ok := l.byKey[twinKey(key, labels)]
		switch {
		case order == 0:
			return &duplicateError{text, l.origins[same]}
		case ok:
			return &duplicateError{text, l.origins[twin]}
		}
	}
	if len(l.targets) == l.job.most {
		return fmt.Errorf("the job has %d targets already", l.job.most)
	}
	entry, err := l.job.Read(text)
	if err != nil {
		return err
	}
	switch {
	case order < 0: // the first by labels has the plain key, in whatever order they come
		other := &l.targets[same]
		other.Key = twinKey(key, other.Labels)
		l.byKey[other.Key] = same
	case order > 0:
		key = twinKey(key, labels)
	}
	l.byKey[key] = int32(len(l.targets))
	l.targets = append(l.targets, Target{Text: text, Labels: labels, Key: key, Entry: entry})
	l.origins = append(l.origins, at)
	return nil
}

// keyOf is the key of a text in a job.
func keyOf(job, text string) uint64 { return hashed(hashed(fnvBasis, job), text) }

// twinKey is the key of a target whose text has the key plain with other labels.
func twinKey(plain uint64, labels []track.Label) uint64 {
	key := hashed(plain, "")
	for _, label := range labels {
		key = hashed(hashed(key, label.Name), label.Value)
	}
	return key
}

const fnvBasis = 0xcbf29ce484222325

// hashed goes on with a hash, FNV-1a, by a part and a byte that no UTF-8 has. A key must be the same in each run.
func hashed(hash uint64, part string) uint64 {
	for i := range len(part) {
		hash = (hash ^ uint64(part[i])) * 0x100000001b3
	}
	return (hash ^ 0xff) * 0x100000001b3
}
