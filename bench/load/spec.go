// Package load does one process's share of a load: it opens connections by an engine of its own, holds them, shakes hands
// or asks and hears, and counts. Where the share comes from and what becomes of the counts is the caller's (package bench).
package load

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"sonde/bench/plan"
	"sonde/bench/result"
	"sonde/bench/talk"
	"sonde/engine"
	"sonde/internal/tlsclient"
	"sonde/probes"
	"sonde/probes/secure"
	"sonde/protocol/tlswire"
)

// Spec is the share. It goes from process to process as JSON.
type Spec struct {
	Kind    string        `json:"kind"` // result.Hold, result.Handshake or result.Request
	Targets []plan.Target `json:"targets"`
	Sources []netip.Addr  `json:"sources,omitempty"`
	// First is the number of the share's first connection among all of the load's, Connections how many it has: those that
	// are held or asked over, or handshakes in flight at once. Of is how many the load has.
	First       uint64 `json:"first"`
	Connections int    `json:"connections"`
	Of          int    `json:"of"`
	// Dials are how many connections are dialled a second at most by this share, 0 without a limit. Of a handshake load with
	// an open loop it is the rate.
	Dials float64 `json:"dials,omitempty"`
	// Requests are how many requests a second the whole load has (open loop), 0 for a closed one.
	Requests float64 `json:"requests,omitempty"`
	// Pipeline is how many requests go out together on a connection; 0 is 1.
	Pipeline int `json:"pipeline,omitempty"`
	// Start is when the load starts: intervals and schedules count from it, in all processes.
	Start time.Time `json:"start"`
	// WarmUp is left out of all figures but WarmUp's own; Duration is what counts, behind it. A held load has no warm-up, and
	// its Duration is from the moment when it is told to hold.
	WarmUp   time.Duration `json:"warm_up"`
	Duration time.Duration `json:"duration"`
	// Ping is how often a held connection is asked; 0 never. By Talk, as requests are.
	Ping time.Duration `json:"ping,omitempty"`
	Talk talk.Options  `json:"talk,omitzero"`
	// TLS is what secures the connections; nil is nothing.
	TLS *TLS `json:"tls,omitempty"`

	Limits           engine.Limits `json:"limits"`
	FIN              bool          `json:"fin,omitempty"` // end connections by FIN, not by RST
	Loops            int           `json:"loops,omitempty"`
	KernelTimestamps bool          `json:"kernel_timestamps,omitempty"`
}

// TLS is TLS as the command line has it: by the names of files, which each process reads.
type TLS struct {
	ServerName   string          `json:"server_name,omitempty"`
	ALPN         []string        `json:"alpn,omitempty"`
	MinVersion   tlswire.Version `json:"min_version,omitempty"`
	MaxVersion   tlswire.Version `json:"max_version,omitempty"`
	Groups       []tlswire.Group `json:"groups,omitempty"`
	Insecure     bool            `json:"insecure,omitempty"`
	Roots        string          `json:"roots,omitempty"`
	Certificate  string          `json:"certificate,omitempty"`
	Key          string          `json:"key,omitempty"`
	SessionReuse bool            `json:"session_reuse,omitempty"`
}

// layer reads the files and makes the layer. now is the wall clock.
func (t *TLS) layer(now func() time.Time) (*secure.Layer, error) {
	o := probes.TLSOptions{
		Depth: probes.DepthFull, ServerName: t.ServerName, ALPN: t.ALPN, MinVersion: t.MinVersion, MaxVersion: t.MaxVersion,
		Groups: t.Groups, Insecure: t.Insecure, SessionReuse: t.SessionReuse,
	}
	if !t.Insecure {
		o.Now = now // nobody asks what is wrong with a certificate that is taken in any case
	}
	if t.Roots != "" {
		roots, err := tlsclient.LoadRoots(t.Roots)
		if err != nil {
			return nil, fmt.Errorf("--cacert: %w", err)
		}
		o.Roots = roots
	}
	if t.Certificate != "" {
		c, err := tlsclient.LoadCertificate(t.Certificate, t.Key)
		if err != nil {
			return nil, fmt.Errorf("--cert: %w", err)
		}
		o.Certificates = append(o.Certificates, c)
	}
	return secure.New(o)
}

// check refuses what makes no sense.
func (s *Spec) check() error {
	switch {
	case s.Kind != result.Hold && s.Kind != result.Handshake && s.Kind != result.Request:
		return fmt.Errorf("there is no load %q", s.Kind)
	case s.Connections < 1:
		return fmt.Errorf("%d connections: want at least 1", s.Connections)
	case s.Duration <= 0:
		return errors.New("a load needs a duration")
	}
	return nil
}
