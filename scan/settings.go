package scan

import (
	"cmp"
	"fmt"
	"strconv"

	"sonde/engine"
	"sonde/probes"
	"sonde/protocol/tlswire"
)

// Settings is what a scan worked by, for the metadata: defaults filled in.
type Settings struct {
	Probes           []string          `json:"probes"`
	Triggers         map[string]string `json:"triggers,omitempty"`
	Ports            []string          `json:"ports,omitempty"`
	AllIPs           bool              `json:"all_ips,omitempty"`
	MaxRuntimeUS     int64             `json:"max_runtime_us,omitempty"`
	Connections      int               `json:"connections"`
	Descriptors      int               `json:"descriptors"`
	Rate             float64           `json:"rate,omitempty"`
	HostRate         float64           `json:"host_rate,omitempty"`
	SubnetRate       string            `json:"subnet_rate,omitempty"` // as the flag has it: 100/24
	Retries          int               `json:"retries,omitempty"`
	Loops            int               `json:"loops"`             // of all workers
	Workers          int               `json:"workers,omitempty"` // processes beside the one that writes; 0: that one does all
	Sources          []string          `json:"source_ip,omitempty"`
	Close            string            `json:"close"`
	ConnectTimeoutUS int64             `json:"connect_timeout_us"`
	HandshakeLimitUS int64             `json:"tls_handshake_timeout_us,omitempty"` // of a scan that speaks TLS
	ReadTimeoutUS    int64             `json:"read_timeout_us"`
	TargetTimeoutUS  int64             `json:"target_timeout_us"`
	Seed             string            `json:"seed"` // a string: JSON numbers are exact to 2^53 only
	Shards           int               `json:"shards"`
	Shard            int               `json:"shard"`
	MaxTargets       uint64            `json:"max_targets,omitempty"`
	TLS              *TLSSettings      `json:"tls,omitempty"` // of a scan that speaks TLS
}

// TLSSettings is what was offered over TLS and believed, without keys.
type TLSSettings struct {
	Under        bool     `json:"under_every_probe"`
	Depth        string   `json:"depth"`
	SNI          string   `json:"sni,omitempty"`  // empty: each target's own name
	ALPN         []string `json:"alpn,omitempty"` // nil: each probe's own
	MinVersion   string   `json:"min_version"`
	MaxVersion   string   `json:"max_version"`
	Groups       []string `json:"groups"`
	Insecure     bool     `json:"insecure"`
	OwnRoots     bool     `json:"own_roots"` // other authorities than the system's are trusted
	Certificates int      `json:"client_certificates,omitempty"`
	StartTLS     string   `json:"starttls,omitempty"`
	SessionReuse bool     `json:"session_reuse,omitempty"`
	ECH          bool     `json:"ech,omitempty"`
	Enum         []string `json:"enum,omitempty"`
	JARM         bool     `json:"jarm,omitempty"`
}

func (s *Scan) settings(stats *engine.Stats) Settings {
	set := Settings{
		Connections: s.cfg.Connections, Descriptors: s.fdBudget, Rate: s.cfg.Rate, HostRate: s.cfg.HostRate, Retries: s.cfg.Retries, Loops: stats.Loops, Close: s.cfg.Close.String(),
		ConnectTimeoutUS: s.limits.Connect.Microseconds(), ReadTimeoutUS: s.limits.Read.Microseconds(),
		TargetTimeoutUS: s.limits.Target.Microseconds(), Seed: strconv.FormatUint(s.cfg.Seed, 10),
		Shards: max(s.cfg.Shards, 1), Shard: s.cfg.Shard, MaxTargets: s.cfg.MaxTargets,
		Triggers: s.cfg.Triggers, AllIPs: s.cfg.AllIPs, MaxRuntimeUS: s.cfg.MaxRuntime.Microseconds(),
	}
	if of := s.cfg.SubnetRate; of.PerSecond > 0 {
		set.SubnetRate = fmt.Sprintf("%v/%d", of.PerSecond, of.Bits4)
	}
	for _, r := range s.cfg.Ports {
		set.Ports = append(set.Ports, r.String())
	}
	for _, c := range s.catalogue.chosen {
		set.Probes = append(set.Probes, c.Name)
	}
	for _, ip := range s.cfg.Sources {
		set.Sources = append(set.Sources, ip.String())
	}
	if stats.HandshakesMax > 0 || s.catalogue.asksForTLS() { // of what URLs chose, the engine tells
		set.TLS = s.tlsSettings()
		set.HandshakeLimitUS = s.limits.Handshake.Microseconds()
	}
	return set
}

func (s *Scan) tlsSettings() *TLSSettings {
	o := &s.cfg.Options.TLS
	set := &TLSSettings{
		Under: s.cfg.TLS, Depth: o.Depth.String(), SNI: o.ServerName, ALPN: o.ALPN, Insecure: o.Insecure, OwnRoots: o.Roots != nil,
		Certificates: len(o.Certificates), StartTLS: o.StartTLS, SessionReuse: o.SessionReuse, ECH: o.ECH != nil, JARM: o.JARM,
	}
	least, most, groups := tlswire.SSL30, tlswire.TLS13, o.Groups
	switch {
	case o.ECH != nil:
		least = tlswire.TLS13
	case o.Depth == probes.DepthFull:
		least = tlswire.TLS10
	}
	set.MinVersion, set.MaxVersion = cmp.Or(o.MinVersion, least).Word(), cmp.Or(o.MaxVersion, most).Word()
	if len(groups) == 0 {
		groups = []tlswire.Group{tlswire.X25519, tlswire.SecP256R1, tlswire.SecP384R1, tlswire.SecP521R1}
	}
	for _, g := range groups {
		set.Groups = append(set.Groups, g.String())
	}
	for _, part := range []struct {
		asked bool
		word  string
	}{{o.Enum.Versions, "versions"}, {o.Enum.Ciphers, "ciphers"}, {o.Enum.Groups, "groups"}} {
		if part.asked {
			set.Enum = append(set.Enum, part.word)
		}
	}
	return set
}
