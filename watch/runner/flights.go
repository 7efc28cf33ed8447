package runner

import (
	"net/netip"
	"sync/atomic"
	"time"

	"sonde/policy/breaker"
	"sonde/probes"
	"sonde/protocol"
	"sonde/target"
	"sonde/watch/modules"
	"sonde/watch/track"
)

// flight is one target that is being asked: from its turn to its result, hops and repetitions included; for a kept connection,
// for as long as the target is watched.
//
// The first three fields are read by the engine's loops while a job of the flight is theirs: between Offer and the outcome that
// ends it the owner does not change them.
type flight struct {
	target target.Target
	probe  probes.Probe // what asks it
	beat   probes.Probe // what heartbeats ask; nil: nothing

	use     use
	stage   stage
	life    uint32 // which flight of this number it is
	row     uint32 // of the target that is watched; noRow: it is gone, or there is none
	profile uint16
	asked   *asked // who asked for it, where no schedule did
	module  *modules.Module
	due     int64          // when its turn came
	first   int64          // moment of the first dial; 0: none yet
	from    int64          // when the budget of the module that is asked began; 0: not yet
	asks    int            // attempts whose dial was made
	dns     time.Duration  // of the lookup before the dial that is next or under way
	named   time.Duration  // of all lookups before the first dial: no lateness of ours
	hops    []track.Hop    // of this attempt, before the one under way
	start   target.Target  // where it began: hops lead elsewhere
	peer    netip.AddrPort // whom the first connection of this attempt is for; its address may not be known
	failed  *track.Result  // why the module's fallback is asked
	drops   int            // of a kept connection: attempts to connect again since it stood for a heartbeat
	stood   bool           // likewise: it stands
	since   int64          // likewise: from when on
	cause   track.Cause    // why it stands no more
	paced   bool           // its dial has the turn of its host and of its subnet
	next    uint32         // of a turn: another of its target that is under way; noFlight: none
	pass    breaker.Pass   // of a turn: by which it was allowed
	again   bool           // while it waits: what comes is a new attempt, from its start
}

// use says for what a flight is.
type use uint8

const (
	free    use = iota
	turned      // a turn of the schedule
	kept        // a connection that is kept
	request     // somebody asked
)

// stage says what a flight waits for.
type stage uint8

const (
	atRest   stage = iota // nothing: it was just begun or is about to end
	naming                // its name's address
	waiting               // a moment: its host's turn, a repetition
	inEngine              // an outcome
)

// noRow is the row of a flight that has none.
const noRow = ^uint32(0)

const (
	pageBits = 8
	pageSize = 1 << pageBits
)

// flights are numbered and never move, so that loops may read those that are theirs without a lock. They grow by pages, and give
// nothing back: there are as many as were under way at once.
type flights struct {
	pages atomic.Pointer[[]*[pageSize]flight]
	idle  []uint32
	used  int
}

func newFlights() *flights {
	f := &flights{}
	f.pages.Store(new([]*[pageSize]flight))
	return f
}

// at returns a flight; safe from any goroutine for a number whose flight is its own.
func (f *flights) at(id uint32) *flight { return &(*f.pages.Load())[id>>pageBits][id&(pageSize-1)] }

// take returns a flight that is as new.
func (f *flights) take() (uint32, *flight) {
	if len(f.idle) == 0 {
		pages := *f.pages.Load()
		first := uint32(len(pages)) << pageBits
		pages = append(pages[:len(pages):len(pages)], new([pageSize]flight))
		f.pages.Store(&pages)
		for id := first + pageSize; id > first; id-- {
			f.idle = append(f.idle, id-1)
		}
	}
	id := f.idle[len(f.idle)-1]
	f.idle = f.idle[:len(f.idle)-1]
	f.used++
	return id, f.at(id)
}

// release lets a flight go.
func (f *flights) release(id uint32) {
	fl := f.at(id)
	*fl = flight{life: fl.life + 1}
	f.idle = append(f.idle, id)
	f.used--
}

// job is the id of the jobs of a flight. The flight's number is in its lower half; the upper half is another for each that bears the
// number, so that an order to end a job that is over ends no other.
func (f *flights) job(id uint32) uint64 { return uint64(f.at(id).life)<<32 | uint64(id) }

// isNobodys reports that the target is gone, and nobody asked for it.
func (f *flight) isNobodys() bool { return f.row == noRow && f.asked == nil }

// each calls do with every flight that is in use.
func (f *flights) each(do func(id uint32, fl *flight)) {
	for p, page := range *f.pages.Load() {
		for i := range page {
			if page[i].use != free {
				do(uint32(p)<<pageBits|uint32(i), &page[i])
			}
		}
	}
}

// dialogue opens the exchanges of flights.
type dialogue struct{ flights *flights }

// Open implements protocol.Dialogue.
func (d dialogue) Open(id uint64) protocol.Exchange {
	f := d.flights.at(uint32(id))
	return f.probe.Exchange(&f.target)
}

// heartbeats opens those of heartbeats.
type heartbeats struct{ flights *flights }

// Open implements protocol.Dialogue.
func (d heartbeats) Open(id uint64) protocol.Exchange {
	f := d.flights.at(uint32(id))
	return f.beat.Exchange(&f.target)
}

var (
	_ protocol.Dialogue = dialogue{}
	_ protocol.Dialogue = heartbeats{}
)
