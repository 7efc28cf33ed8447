package otlp

import (
	"math"
	"strconv"
	"strings"
	"time"

	"sonde/report"
	"sonde/watch/track"
)

// randomBits is how many bits of a trace's number are random, by W3C Trace Context, Level 2 (s.2.3.2.2, "random trace flag").
const randomBits = 56

// sampler chooses traces by their random bits, as OpenTelemetry's consistent probability sampling does: a trace stays if they are at
// least the threshold. A collector that samples again, or counts spans, so knows what a span stands for.
type sampler struct {
	threshold uint64
	state     string // the W3C tracestate of what was chosen
}

func newSampler(share float64) sampler {
	s := sampler{threshold: uint64(math.Round((1 - share) * (1 << randomBits)))}
	digits := strings.TrimRight(strconv.FormatUint(s.threshold|1<<randomBits, 16)[1:], "0")
	if digits == "" {
		digits = "0"
	}
	s.state = "ot=th:" + digits
	return s
}

// has reports whether a trace with these random bits is chosen.
func (s *sampler) has(random uint64) bool { return random >= s.threshold }

// randomOf are the random bits of a probe's trace, a hash of its target and its moment: the same wherever it is asked for.
func randomOf(id uint32, res *track.Result) uint64 {
	x := uint64(res.At.UnixNano()) + uint64(id)*0x9e3779b97f4a7c15 // 2^64 by the golden ratio
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9                           // the finalizer of SplitMix64
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return (x ^ x>>31) >> (64 - randomBits)
}

// Failures that the sample leaves out have traces all the same, but no more than this: of a fleet that is down, some hundred say it all.
const (
	failuresPerSecond = 10
	failuresAtOnce    = 100
)

// bucket lets failures through. The zero value is full.
type bucket struct {
	spent float64 // of failuresAtOnce
	at    int64
}

func (b *bucket) take(now int64) bool {
	b.spent = max(b.spent-time.Duration(now-b.at).Seconds()*failuresPerSecond, 0)
	b.at = now
	if b.spent+1 > failuresAtOnce {
		return false
	}
	b.spent++
	return true
}

// Wants reports whether a result is to be given to Add. It costs some nanoseconds.
func (e *Exporter) Wants(id uint32, res *track.Result) bool {
	if !e.settings.Traces {
		return false
	}
	return e.sampler.has(randomOf(id, res)) || res.Status != report.Success && e.failures.take(e.clk.Now())
}
