package config

import (
	"regexp"
	"time"

	"sonde/probes"
	"sonde/protocol/tlswire"
	"sonde/target"
)

// Module is a way of asking a target, by a name. It is one of sonde's own or one of blackbox_exporter's.
type Module struct {
	// Name is what jobs and /probe call it.
	Name string
	// Own is a module of sonde, Blackbox one of blackbox_exporter: one of them is nil.
	Own      *Own
	Blackbox *Blackbox
	// Disabled says why it can't be run, in words for an operator; empty if it can.
	Disabled string
	// Line is where it stands in the file.
	Line int
	// Fingerprint is equal for two modules if, and as good as only if, they say the same: all of the above but Line. What the
	// files that they name hold is not in it.
	Fingerprint uint64
}

// Own is a module that runs one of sonde's probes. What is said and heard is as the flags of `sonde scan` have it.
type Own struct {
	// Probe is the name of the probe, as `sonde probes` lists them.
	Probe string `yaml:"probe"`
	// Timeout is for the whole probe, from the dial to the verdict; default 30 s.
	Timeout time.Duration `yaml:"timeout"`
	// ConnectTimeout, HandshakeTimeout and ReadTimeout are for its parts; default 3.5 s, 5 s and 5 s.
	ConnectTimeout   time.Duration `yaml:"connect_timeout"`
	HandshakeTimeout time.Duration `yaml:"tls_handshake_timeout"`
	ReadTimeout      time.Duration `yaml:"read_timeout"`
	// Family has names resolved to one kind of address.
	Family target.Family `yaml:"family"`
	// Send, Expect, ReadBytes and Frame are --send (escapes undone), --expect, --read-bytes (0: the probe's own) and --frame.
	Send      Escaped        `yaml:"send"`
	Expect    *regexp.Regexp `yaml:"expect"`
	ReadBytes int            `yaml:"read_bytes"`
	Frame     Frame          `yaml:"frame"`
	// HTTP is for the probe http.
	HTTP HTTP `yaml:"http"`
	// TLS is for every probe over TLS, and for the probe tls.
	TLS TLS `yaml:"tls"`
	// Fallback is the name of another module, which is asked when this one fails; empty: none. Only one is: its own Fallback is not
	// looked at.
	Fallback string `yaml:"fallback"`
}

// Escaped is a text whose escapes (\r \n \t \0 \xHH \\) are undone. As a [Secret] it is not to be seen: a command may hold a password.
type Escaped string

// Frame describes a parser, as [sonde/protocol/framespec] has it.
type Frame string

// HTTP shapes the request of the probe http, and what it wants to see.
type HTTP struct {
	Method  string               `yaml:"method"` // default GET
	Host    string               `yaml:"host"`   // default the target's name or address
	Path    string               `yaml:"path"`   // default the URL's, else "/"
	Headers []Header             `yaml:"headers,pairs"`
	Status  []probes.StatusRange `yaml:"status"` // default 200-399
}

// Header is a field of a request. Its value may be a password.
type Header struct {
	Name  string
	Value Secret
}

// TLS says whether there is TLS, what is offered and what is believed.
type TLS struct {
	// Enabled has TLS from the first byte, StartTLS behind what that protocol says to ask for it ("auto": the probe's own).
	// A URL such as https:// has TLS in any case.
	Enabled  bool   `yaml:"enabled"`
	StartTLS string `yaml:"starttls"`
	// ServerName is the SNI; default the target's name.
	ServerName string `yaml:"server_name"`
	// ALPN are the protocols to offer; default the probe's own.
	ALPN []string `yaml:"alpn"`
	// MinVersion and MaxVersion bound what is offered; default TLS 1.0 and 1.3.
	MinVersion tlswire.Version `yaml:"min_version"`
	MaxVersion tlswire.Version `yaml:"max_version"`
	// Groups are the key exchanges to offer, in order; default X25519, P-256, P-384, P-521.
	Groups []tlswire.Group `yaml:"groups"`
	// Insecure takes bad certificates.
	Insecure bool `yaml:"insecure"`
	// CAFile holds the authorities to trust, default the system's; CertFile and KeyFile the client's own certificate and key.
	CAFile   string `yaml:"ca_file"`
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}
