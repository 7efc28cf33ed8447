// Package modules makes what asks targets out of what the configuration says of modules.
package modules

import (
	"time"

	"sonde/engine"
	"sonde/probes"
	"sonde/target"
)

// Module is a way of asking a target, ready to run. It is immutable and safe for concurrent use.
type Module struct {
	Name string
	// Probing is the word of the probe, for records: "http".
	Probing string
	// Disabled says why it can't run; empty if it can, and then Probe asks a target once.
	Disabled string
	Probe    probes.Probe
	// Kept asks a target and keeps the connection if the answer is good, and Heartbeat asks over one that is kept; nil if this module
	// keeps none, or if there is nothing to ask. CantKeep says why it keeps none; empty if it does.
	Kept, Heartbeat probes.Probe
	CantKeep        string
	// Limits are those of a connection, Timeout that of a whole probe; 0: none.
	Limits  engine.Limits
	Timeout time.Duration
	// Family is which addresses of a name are wanted; AnyFamily takes another one if there is none of that.
	Family    target.Family
	AnyFamily bool
	// Fallback is the name of the module that is asked when this one fails; empty: none.
	Fallback string
	// Target reads what a user wrote as a target of this module.
	Target func(text string) (target.Target, error)
	// Text is its configuration as YAML, without what is secret.
	Text string
	// Fingerprint is the same for two modules that ask alike.
	Fingerprint uint64
}
