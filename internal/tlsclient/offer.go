// Package tlsclient is a client's side of TLS but for the handshake itself: what it offers to a server (Offer), what it
// keeps from one connection for the next (Session), and what it believes of a certificate (Verify). It does no I/O.
package tlsclient

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
)

// Offer says what a client offers to a server. The zero Offer is a probe's: TLS 1.0 to 1.3 with every suite that
// crypto/tls has, the weak ones included.
//
// Three more limits of crypto/tls are settings of the program, not of a configuration; a main package lifts them with
// "//go:debug tlssha1=1" (SHA-1 signatures in TLS 1.2), "rsa1024min=0" (short RSA keys) and "x509negativeserial=1".
type Offer struct {
	// ServerName is the name asked for (SNI, RFC 6066 s.3). Empty, or an address: the extension is not sent.
	ServerName string
	// ALPN are the protocols in order of preference (RFC 7301), each of 1 to 255 bytes.
	ALPN []string
	// MinVersion and MaxVersion bound the versions; 0 is tls.VersionTLS10 and tls.VersionTLS13.
	MinVersion, MaxVersion uint16
	// Groups are the key exchanges; nil is X25519, P-256, P-384 and P-521. They are a set: crypto/tls orders them itself,
	// the hybrids with ML-KEM first, then X25519, and no order of ours can change that. It sends a key share for the first,
	// and with that of a hybrid the one of its classical half if that is in the set. A hybrid more than quadruples the
	// hello and about doubles what a handshake costs; GODEBUG tlsmlkem=0 and tlssecpmlkem=0 take them away unsaid.
	Groups []tls.CurveID
	// Suites are those of TLS 1.0 to 1.2; nil is all of [Suites]. The ones of TLS 1.3 can't be chosen, nor can the order.
	Suites []uint16
	// Certificates are the client's; the first that suits the server's request is sent, and none if none does.
	Certificates []tls.Certificate
	// ECH is a serialised ECHConfigList (RFC 9849 s.4), or nil. It needs TLS 1.3: MinVersion 0 then means that. A
	// server that rejects it ends the handshake with a [tls.ECHRejectionError]. The retry configurations in it came with
	// a certificate that nobody looked at: see Verify for the public name in State.
	ECH []byte
	// Session receives the server's ticket and is resumed if it holds one. Nil: no ticket is asked for.
	Session *Session
}

// Config makes the configuration, or says what of the offer crypto/tls could not send, which it would partly pass over
// in silence. Certificates are taken as they come (see [Verify]).
//
// A configuration may be shared by any number of connections and loops. For another name or Session take a
// [tls.Config.Clone]: it costs far less than Config.
func (o Offer) Config() (*tls.Config, error) {
	cfg := &tls.Config{
		ServerName:                     o.ServerName,
		NextProtos:                     slices.Clone(o.ALPN),
		MinVersion:                     o.MinVersion,
		MaxVersion:                     o.MaxVersion,
		CurvePreferences:               slices.Clone(o.Groups),
		CipherSuites:                   slices.Clone(o.Suites),
		Certificates:                   slices.Clone(o.Certificates),
		EncryptedClientHelloConfigList: slices.Clone(o.ECH),
		InsecureSkipVerify:             true,
	}
	if len(cfg.CurvePreferences) == 0 {
		cfg.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
	}
	if len(cfg.CipherSuites) == 0 {
		cfg.CipherSuites = Suites()
	}
	if cfg.MinVersion == 0 {
		cfg.MinVersion = tls.VersionTLS10
		if o.ECH != nil {
			cfg.MinVersion = tls.VersionTLS13
		}
	}
	if cfg.MaxVersion == 0 {
		cfg.MaxVersion = tls.VersionTLS13
	}
	if o.ECH != nil {
		// InsecureSkipVerify does not cover the certificate of a server that rejects the encrypted hello.
		cfg.EncryptedClientHelloRejectionVerify = func(tls.ConnectionState) error { return nil }
	}
	if o.Session != nil {
		cfg.ClientSessionCache = o.Session
	}
	if err := check(cfg); err != nil {
		return nil, err
	}
	return cfg, nil
}

// Suites are the cipher suites of TLS 1.0 to 1.2 that crypto/tls has, the weak ones included, in its order.
func Suites() []uint16 {
	var ids []uint16
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if slices.Min(s.SupportedVersions) < tls.VersionTLS13 {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// check finds what crypto/tls would leave out without a word, then has it make a hello.
func check(cfg *tls.Config) error {
	if cfg.MinVersion < tls.VersionTLS10 || cfg.MaxVersion > tls.VersionTLS13 {
		return fmt.Errorf("versions %s to %s: crypto/tls has TLS 1.0 to TLS 1.3",
			tls.VersionName(cfg.MinVersion), tls.VersionName(cfg.MaxVersion))
	}
	known := Suites()
	for _, id := range cfg.CipherSuites {
		if !slices.Contains(known, id) {
			return fmt.Errorf("suite %s: crypto/tls can't choose it", tls.CipherSuiteName(id))
		}
	}
	for _, g := range cfg.CurvePreferences {
		if !slices.Contains(groups(), g) {
			return fmt.Errorf("group %v: crypto/tls does not have it; --probe tls --tls-depth hello offers any group", groupName(g))
		}
	}
	// The hello is written, the first Read fails, and that is all.
	probe := cfg.Clone()
	probe.ClientSessionCache = nil
	if err := tls.Client(mute{}, probe).Handshake(); !errors.Is(err, errMute) {
		return err
	}
	return nil
}

// mute is a connection that takes everything and answers nothing. crypto/tls asks for no address and no deadline of it.
type mute struct{ net.Conn }

var errMute = errors.New("nothing to be read")

// Read implements [net.Conn].
func (mute) Read([]byte) (int, error) { return 0, errMute }

// Write implements [net.Conn].
func (mute) Write(p []byte) (int, error) { return len(p), nil }

// Close implements [net.Conn].
func (mute) Close() error { return nil }

// groups are the key exchanges that crypto/tls has in Go 1.26.
func groups() []tls.CurveID {
	return []tls.CurveID{
		tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024,
		tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521,
	}
}

// groupName is the name of a group in the registry, in small letters; its number if the name is not known here. crypto/tls
// knows those that it has itself.
func groupName(g tls.CurveID) string {
	switch g {
	case 30:
		return "x448" // RFC 8422 s.5.1.1
	case 256, 257, 258, 259, 260:
		return [...]string{"ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192"}[g-256] // RFC 7919 s.2
	}
	if slices.Contains(groups(), g) {
		return g.String()
	}
	return fmt.Sprintf("0x%04x", uint16(g))
}
