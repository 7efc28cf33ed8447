package track

import (
	"math"
	"time"

	"sonde/policy/breaker"
	"sonde/policy/flap"
	"sonde/report"
)

// row is what is known of one target. It holds no pointer: what is text is a number in one of the table's stores.
type row struct {
	facts
	own     answer // of the last probe
	good    answer // of the last probe that succeeded
	breaker breaker.Breaker
}

// facts are the part of a row that readers have a copy of as it is.
type facts struct {
	last    outcome
	failure failure
	kept    kept
	counts  Counts
	turned  int64 // when up, down became what it is, in nanoseconds since the Unix epoch
	goodAt  int64 // when the last probe began that succeeded, likewise; 0: never
	job     uint32
	flap    flap.Flap
	probed  bool // there was an outcome
}

// outcome is what a probe came to.
type outcome struct {
	at       int64 // of the first dial, in nanoseconds since the Unix epoch
	addr     [16]byte
	phases   [NumPhases]span
	transfer span // see Result.Transfer
	fallback ref  // the name of the module that answered in place of the target's own, in Table.texts
	port     uint16
	status   report.Status
	side     report.Side
	attempts uint8
	v4       bool
}

// failure is the last outcome that was none of success.
type failure struct {
	at     int64 // of the first dial, in nanoseconds since the Unix epoch; 0: there was none
	total  span
	text   ref // in Table.texts
	status report.Status
	side   report.Side
}

// answer is what a probe learned in figures.
type answer struct {
	contentLength int64
	bodyLength    int64
	lastModified  uint32 // in seconds since the Unix epoch
	tls           ref    // in Table.tls
	expect        ref    // in Table.texts; see packCaptures
	statusCode    uint16
	redirects     uint16
	httpVersion   uint8 // ten times that
	has           figures
}

// figures says which figures an answer has.
type figures uint8

const (
	hasHTTP      figures = 1 << iota
	hasTLS               // tls is set
	hasExpect            // expect is set
	hasRegexp            // a regular expression could have failed it
	regexpFailed         // and did
	httpOverTLS          // the last hop was over TLS
	hasModified          // lastModified is set

	learned = hasHTTP | hasTLS | hasExpect // any of an answer
)

// kept is what is known of a kept connection.
type kept struct {
	since    int64 // when it became what it is, up or down, in nanoseconds since the Unix epoch; 0: it never was up
	beat     int64 // when the last heartbeat was answered, likewise
	drops    [NumCauses]uint32
	connects uint32
	rtt      span
	up       bool
	cause    Cause // of the last drop
}

// Counts are those of one target since it was added.
type Counts struct {
	Probes uint32
	// Failed counts the probes that failed, by report.Side.
	Failed [report.SidePolicy + 1]uint32
	// InARow is how many have failed since the last that succeeded.
	InARow uint32
	// Skipped are the turns that were not taken, by Skip.
	Skipped [NumSkips]uint32
}

// Phase is a part of a probe that is measured.
type Phase uint8

// The phases.
const (
	PhaseDNS Phase = iota
	PhaseConnect
	PhaseTLS
	PhaseFirstByte
	PhaseTotal
	PhaseLate      // from the turn to the beginning of the probe
	PhaseHeartbeat // from a heartbeat to its answer, over a kept connection
	NumPhases      // how many there are; not a phase
)

// String is the phase as metrics name it.
func (p Phase) String() string {
	return [NumPhases]string{"dns", "connect", "tls", "first_byte", "total", "late", "heartbeat"}[p]
}

// span is a duration in whole microseconds plus one, up to 71 minutes; 0 is none.
type span uint32

func spanOf(d time.Duration) span {
	if d < 0 {
		return 0
	}
	return span(min(uint64(d/time.Microsecond), math.MaxUint32-1) + 1)
}

// duration is report.Absent for none.
func (s span) duration() time.Duration {
	if s == 0 {
		return report.Absent
	}
	return time.Duration(s-1) * time.Microsecond
}

// Cause says who ended a kept connection, and how.
type Cause uint8

// The causes: a closed set.
const (
	CauseFIN      Cause = iota // the peer closed it
	CauseRST                   // the peer reset it
	CauseTimeout               // the kernel gave it up: nothing was acknowledged, or no route was left
	CauseSilence               // a heartbeat was not answered in its time
	CauseProtocol              // a heartbeat was answered by what is no answer
	CauseLocal                 // this machine ended it: an error or a limit of its own
	CauseReleased              // it was not wanted any more: a reload, the end of the watch
	NumCauses                  // how many there are; not a cause
)

// String is the cause as metrics name it.
func (c Cause) String() string {
	return [NumCauses]string{"fin", "rst", "timeout", "silence", "protocol", "local", "released"}[c]
}

// Skip says why a turn was not taken.
type Skip uint8

// The reasons.
const (
	SkipBreaker Skip = iota // the breaker was open
	SkipOverlap             // the probe before was not over
	SkipMissed              // it came too late
	NumSkips                // how many there are; not a reason
)

// String is the reason as metrics name it.
func (s Skip) String() string { return [NumSkips]string{"breaker", "overlap", "missed"}[s] }
