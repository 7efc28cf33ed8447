package flight

import (
	"fmt"
	"strings"
	"sync"

	"sonde/probes"
	"sonde/probes/internal/tlsfacts"
	"sonde/probes/tls/internal/tls13"
	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// maxHellos is how many hellos for server names are kept, each below 1.5 KiB: enough that a host's many ports, or a list
// that is scanned in rounds, find theirs.
const maxHellos = 1024

// Client opens the exchanges of a scan. It is safe for concurrent use.
type Client struct {
	depth    probes.Depth
	offer    *offer
	insecure bool
	pem      bool
	judge    *tlsfacts.Judge // nil: certificates are not judged
	nameless []byte          // the hello without a server name

	mu     sync.Mutex
	hellos map[string][]byte

	exchanges sync.Pool // of *exchange
	readers   sync.Pool // of *reader
}

// Names are what a server is called.
type Names struct {
	// Server is sent as server_name (RFC 6066 s.3); empty: the extension is not sent. [tlswire.CheckServerName] must
	// take it.
	Server string
	// Certificate is what the certificate must be for: a name or an address; empty is not compared.
	Certificate string
	// StartTLS is the protocol in which TLS was asked for, for the Finding; empty: none.
	StartTLS string
}

// New makes a Client for o.Depth, which must be DepthHello or DepthCerts. An error names the flag, what is wrong and how to
// mend it. It heeds the versions, groups, ALPN, Insecure, Roots, PEM and Now of the options; without Now certificates are
// not judged.
func New(o probes.TLSOptions) (*Client, error) {
	if err := check(o); err != nil {
		return nil, err
	}
	f, err := newOffer(o)
	if err != nil {
		return nil, fmt.Errorf("--tls-depth %v: make a hello: %w", o.Depth, err)
	}
	c := &Client{depth: o.Depth, offer: f, insecure: o.Insecure, pem: o.PEM, hellos: map[string][]byte{}}
	if o.Now != nil {
		c.judge = tlsfacts.NewJudge(tlsfacts.JudgeOptions{Roots: o.Roots, Now: o.Now})
	}
	c.exchanges.New = func() any { return &exchange{client: c} }
	c.readers.New = func() any { return &reader{} }
	c.nameless, err = f.hello("", f.shares(), nil).Append(nil)
	return c, err
}

// check finds what can't be offered.
func check(o probes.TLSOptions) error {
	if o.Depth != probes.DepthHello && o.Depth != probes.DepthCerts {
		return fmt.Errorf("--tls-depth %v: not a depth that ends early", o.Depth)
	}
	for _, bound := range []struct {
		flag string
		v    tlswire.Version
	}{{"--min-version", o.MinVersion}, {"--max-version", o.MaxVersion}} {
		if bound.v != 0 && (bound.v < tlswire.SSL30 || bound.v > tlswire.TLS13) {
			return fmt.Errorf("%s %v: use ssl30, tls10, tls11, tls12 or tls13", bound.flag, bound.v)
		}
	}
	if o.MaxVersion != 0 && o.MinVersion > o.MaxVersion {
		return fmt.Errorf("--min-version %s is above --max-version %s: turn them round", o.MinVersion.Word(), o.MaxVersion.Word())
	}
	for _, g := range o.Groups {
		if o.Depth == probes.DepthCerts && !tls13.Agrees(g) {
			return fmt.Errorf("--groups %s: there is no key agreement for it here: leave it out, or use --tls-depth hello", strings.ToLower(g.String()))
		}
	}
	for _, p := range o.ALPN {
		if len(p) == 0 || len(p) > 255 {
			return fmt.Errorf("--alpn %q: a protocol's name has 1 to 255 bytes", p) // RFC 7301 s.3.1
		}
	}
	return nil
}

// Exchange returns the exchange for one connection. It is a [protocol.Handshaker] that makes its handshake itself
// (TLSOwn), and ends before that is over: the connection is of no use afterwards.
func (c *Client) Exchange(n Names) protocol.Handshaker {
	e := c.exchanges.Get().(*exchange)
	*e = exchange{client: c, names: n, hello: c.hello(n.Server)}
	return e
}

// hello returns the hello for a server name, as it is sent: one record. It is read-only.
func (c *Client) hello(serverName string) []byte {
	if serverName == "" {
		return c.nameless
	}
	c.mu.Lock()
	hello, ok := c.hellos[serverName]
	c.mu.Unlock()
	if ok {
		return hello
	}
	hello, err := c.offer.hello(serverName, c.offer.shares(), nil).Append(nil)
	if err != nil {
		panic("flight: a server name that was not checked: " + err.Error())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.hellos) >= maxHellos {
		clear(c.hellos) // a scan of names passes each once; to choose one to drop would cost more than it saves
	}
	c.hellos[strings.Clone(serverName)] = hello
	return hello
}
