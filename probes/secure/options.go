package secure

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sonde/internal/tlsclient"
	"sonde/probes"
	"sonde/probes/starttls"
	"sonde/protocol/tlswire"
)

// check finds what crypto/tls, which makes the whole handshake, does not do at all.
func check(o probes.TLSOptions) error {
	const otherDepths = "or ask for less of the handshake with --probe tls --tls-depth hello"
	switch {
	case o.Depth != probes.DepthFull:
		return fmt.Errorf("--tls-depth %v: a probe over TLS needs the whole handshake: leave the flag out, or use --probe tls", o.Depth)
	case o.Now == nil && !o.Insecure:
		return errors.New("TLSOptions.Now is not set: no certificate can be judged without a clock")
	case o.MinVersion != 0 && o.MinVersion < tlswire.TLS10:
		return fmt.Errorf("--min-version %s: a whole handshake is TLS 1.0 or above: use tls10, %s", o.MinVersion.Word(), otherDepths)
	case o.MaxVersion != 0 && o.MaxVersion < tlswire.TLS10:
		return fmt.Errorf("--max-version %s: a whole handshake is TLS 1.0 or above: use tls10, %s", o.MaxVersion.Word(), otherDepths)
	case o.MinVersion > tlswire.TLS13:
		return fmt.Errorf("--min-version %s: use tls13 or below", o.MinVersion.Word())
	case o.MaxVersion > tlswire.TLS13:
		return fmt.Errorf("--max-version %s: use tls13 or below", o.MaxVersion.Word())
	case o.MaxVersion != 0 && o.MinVersion > o.MaxVersion:
		return fmt.Errorf("--min-version %s is above --max-version %s: turn them round", o.MinVersion.Word(), o.MaxVersion.Word())
	case o.ECH != nil && o.MaxVersion != 0 && o.MaxVersion < tlswire.TLS13:
		return fmt.Errorf("--max-version %s: --ech-config needs TLS 1.3: leave one of them out", o.MaxVersion.Word())
	case o.ECH != nil && o.MinVersion != 0 && o.MinVersion < tlswire.TLS13:
		return fmt.Errorf("--min-version %s: --ech-config needs TLS 1.3: leave one of them out", o.MinVersion.Word())
	}
	if known := append(starttls.Protocols(), probes.StartTLSAuto); o.StartTLS != "" && !slices.Contains(known, o.StartTLS) {
		return fmt.Errorf("--starttls %q: want one of %s", o.StartTLS, strings.Join(known, ", "))
	}
	if o.ServerName != "" {
		if err := tlswire.CheckServerName(o.ServerName); err != nil {
			return fmt.Errorf("--sni %q: %w: give a DNS name, in ASCII and without the dot at its end", o.ServerName, err)
		}
	}
	return nil
}

// offer makes the configuration, whose parts crypto/tls is asked about one by one, so that an error can name the flag.
func offer(o probes.TLSOptions) (*tls.Config, error) {
	var groups []tls.CurveID
	for _, g := range o.Groups {
		groups = append(groups, tls.CurveID(g))
	}
	for _, part := range []struct {
		flag, mend string
		offer      tlsclient.Offer
	}{
		{"--groups " + names(o.Groups), "the whole handshake has x25519, secp256r1, secp384r1, secp521r1 and the hybrids with ML-KEM",
			tlsclient.Offer{Groups: groups}},
		{fmt.Sprintf("--alpn %q", o.ALPN), "a protocol's name has 1 to 255 bytes", tlsclient.Offer{ALPN: o.ALPN}},
		{"--ech-config", "give an ECHConfigList of draft-ietf-tls-esni, as the server publishes it in DNS", tlsclient.Offer{ECH: o.ECH}},
	} {
		if _, err := part.offer.Config(); err != nil {
			return nil, fmt.Errorf("%s: %w (%s)", part.flag, err, part.mend)
		}
	}
	return tlsclient.Offer{
		ALPN: o.ALPN, MinVersion: uint16(o.MinVersion), MaxVersion: uint16(o.MaxVersion), Groups: groups, ECH: o.ECH,
	}.Config()
}

// names joins the names of groups as --groups has them.
func names(groups []tlswire.Group) string {
	words := make([]string, len(groups))
	for i, g := range groups {
		words[i] = strings.ToLower(g.String())
	}
	return strings.Join(words, ",")
}
