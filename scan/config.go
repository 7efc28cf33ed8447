// Package scan joins a source of targets, the probes, the engine and a sink: targets go in, one true record per target
// comes out. It decides the status of each outcome, and with it whose fault a failure is (statusOf).
package scan

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"sonde/engine"
	"sonde/internal/clock"
	"sonde/internal/rate"
	"sonde/policy/pace"
	"sonde/policy/retry"
	"sonde/probes"
	"sonde/report"
	"sonde/target"
)

// Config says what to scan and how. The zero value of a field means its default.
type Config struct {
	// Args, InputFiles and Stdin name the targets as target.Options has them.
	Args       []string
	InputFiles []string
	Stdin      io.Reader
	// Ports are for entries without a port of their own; empty: the port of each probe.
	Ports []target.PortRange
	// Probes are names of probes, each run against each target; default tcp.
	Probes []string
	// Triggers map a target line's tag to the name of the probe to run instead.
	Triggers map[string]string
	// Options is what the probes say and want to hear, and what is offered over TLS. Options.TLS.Now and Options.Greeted are
	// set by New.
	Options probes.Options
	// TLS runs every probe over TLS from the first byte, on its port for that if it has one. It does not go with
	// Options.TLS.StartTLS. The tls probe is as without.
	TLS bool
	// Exclude is never touched; nil excludes nothing.
	Exclude *target.Set
	// Family limits names to one kind of address, AllIPs probes each address of a name rather than its first.
	Family target.Family
	AllIPs bool
	// Seed, Shards, Shard and MaxTargets are as target.Options has them.
	Seed          uint64
	Shards, Shard int
	MaxTargets    uint64
	// MaxRuntime stops the scan after so long; 0 does not.
	MaxRuntime time.Duration

	// Connections in flight; default 1000. Rate in dials a second; 0 is no limit. Loops; default one a CPU.
	Connections int
	Rate        float64
	Loops       int
	// HostRate and SubnetRate limit the dials a second to one address and to one prefix; 0 and the zero value do not. Connections
	// that a probe makes of itself after the first (protocol.Series) are not counted.
	HostRate   float64
	SubnetRate pace.Settings
	// Retries is how often a target is asked again whose fault may pass by itself (retry.Transient), inside Limits.Target; 0 to
	// retry.Max.
	Retries int
	// Sources are local addresses to dial from in turn.
	Sources []netip.Addr
	// Limits are the time limits; zero fields mean the engine's defaults. A Target limit of 0 means 30 s, and 3 min
	// for an enumeration and for JARM.
	Limits engine.Limits
	// Close says how connections end; the default leaves no TIME_WAIT.
	Close CloseMode

	// Sink takes the records. Run flushes it at least every 100 ms and does not close it.
	Sink report.Sink
	// Log hears of trouble that is not one target's; nil is silent.
	Log *slog.Logger
	// Lookup resolves names; default the system's resolver.
	Lookup target.LookupFunc
	// Clock tells the time; default the system's.
	Clock clock.Clock
}

// CloseMode is how connections are ended.
type CloseMode uint8

const (
	// CloseReset ends them by RST: no TIME_WAIT, no wait for the peer.
	CloseReset CloseMode = iota
	// CloseFIN ends them politely. Each costs a local port for 60 s of TIME_WAIT.
	CloseFIN
)

// String returns the word of --close.
func (m CloseMode) String() string { return [...]string{"rst", "fin"}[m] }

// defaultConnections is how many are in flight at once.
const defaultConnections = 1000

// defaultTargetLimit is the whole time budget of a target.
const defaultTargetLimit = 30 * time.Second

// asksManyHellos reports whether the tls probe asks by many hellos, each on a connection of its own, and judges no certificate.
func asksManyHellos(t *probes.TLSOptions) bool {
	return t.JARM || t.Enum.Versions || t.Enum.Ciphers || t.Enum.Groups
}

// manyTargetLimit is the same where one target takes dozens or hundreds of connections, one after the other.
const manyTargetLimit = 3 * time.Minute

// UsageError is a Config that can't be meant: the caller should say so and exit 2. Other errors of New are trouble with
// the machine or the input (exit 1).
type UsageError struct {
	Flag string // the flag at fault, "--probe"
	Text string // what is wrong with it
	Hint string // how to mend it; may be empty
}

// Error implements error.
func (e *UsageError) Error() string { return e.Flag + ": " + e.Text }

// check refuses numbers that can't be meant.
func (cfg *Config) check() error {
	switch {
	case cfg.Connections < 0:
		return &UsageError{Flag: "--connections", Text: fmt.Sprintf("%d is below 1", cfg.Connections)}
	case cfg.Rate < 0:
		return &UsageError{Flag: "--rate", Text: fmt.Sprintf("%v is below 0", cfg.Rate), Hint: "0 is no limit"}
	case cfg.Rate != 0 && !(cfg.Rate >= rate.Min && cfg.Rate <= rate.Max): // NaN, too
		return &UsageError{Flag: "--rate", Text: fmt.Sprintf("%v is not within %v and %v a second", cfg.Rate, rate.Min, float64(rate.Max)),
			Hint: "0 is no limit"}
	case cfg.HostRate != 0 && !(cfg.HostRate >= rate.Min && cfg.HostRate <= pace.Max):
		return &UsageError{Flag: "--host-rate", Text: fmt.Sprintf("%v is not within %v and %v a second", cfg.HostRate, rate.Min, float64(pace.Max)),
			Hint: "0 is no limit"}
	case cfg.SubnetRate != (pace.Settings{}) && cfg.SubnetRate.Check() != nil:
		return &UsageError{Flag: "--subnet-rate", Text: cfg.SubnetRate.Check().Error()}
	case retry.Settings{Retries: cfg.Retries}.Check() != nil:
		return &UsageError{Flag: "--retries", Text: retry.Settings{Retries: cfg.Retries}.Check().Error()}
	case cfg.TLS && cfg.Options.TLS.StartTLS != "":
		return &UsageError{Flag: "--tls", Text: "does not go with --starttls " + cfg.Options.TLS.StartTLS + ": TLS begins with the first byte, or later on request",
			Hint: "leave one of them out"}
	case cfg.Shards < 0:
		return &UsageError{Flag: "--shards", Text: fmt.Sprintf("%d is no number of shards", cfg.Shards)}
	case cfg.Shard < 0 || cfg.Shard >= max(cfg.Shards, 1):
		return &UsageError{Flag: "--shard", Text: fmt.Sprintf("shard %d of %d: shards are numbered from 0", cfg.Shard, max(cfg.Shards, 1))}
	}
	return nil
}
