package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"sonde/internal/tlsclient"
	"sonde/probes"
	"sonde/probes/starttls"
	"sonde/protocol/tlswire"
)

// tlsFiles are the files that the flags of TLS name. They are read once the command line is known to be sound.
type tlsFiles struct{ roots, cert, key, ech string }

func tlsFlags(o *scanOptions) []flagSpec {
	const group = "TLS"
	t, files := &o.cfg.Options.TLS, &o.tlsFiles
	return []flagSpec{
		{group: group, name: "tls", set: toSwitch(&o.cfg.TLS),
			help: "speak TLS below every probe, on its port for that; https:// and the like choose it for one target"},
		{group: group, name: "starttls", aka: []string{"start-tls"}, arg: "WORD", words: startTLSWords(), set: toWord(&t.StartTLS, startTLSWords(), startTLSWords()),
			help: "begin TLS on request, as that protocol does; auto goes by the probe, or with --probe tls by the port"},
		{group: group, name: "tls-depth", arg: "WORD", def: "full", words: depthWords(), set: toWord(&t.Depth, depthWords(), depths),
			help: "how far --probe tls goes: hello reads the ServerHello, in TLS 1.3 without a certificate to judge, certs the certificates, full makes the whole handshake"},
		{group: group, name: "sni", aka: []string{"servername", "server-name"}, arg: "NAME", def: "the target's name", set: o.setSNI,
			help: "ask every target for NAME, and hold its certificate against it"},
		{group: group, name: "alpn", arg: "LIST", many: true, def: "the probe's own", set: o.addALPN,
			help: "offer these application protocols, as in h2,http/1.1"},
		{group: group, name: "min-version", aka: []string{"tls-min", "tls-min-version"}, arg: "WORD", def: "tls10, or ssl30 below --tls-depth full", words: versionWords(), set: toVersion(&t.MinVersion),
			help: "offer this version and above"},
		{group: group, name: "max-version", aka: []string{"tls-max", "tls-max-version"}, arg: "WORD", def: "tls13", words: versionWords(), set: toVersion(&t.MaxVersion),
			help: "offer this version and below"},
		{group: group, name: "groups", aka: []string{"curves"}, arg: "LIST", many: true, def: "x25519,p256,p384,p521", words: groupWords, set: o.addGroups,
			help: "offer these groups for the key exchange, in that order; x25519mlkem768 is one of the hybrids with ML-KEM"},
		{group: group, name: "insecure", short: "k", set: toSwitch(&t.Insecure),
			help: "take bad certificates; what is wrong with them is reported all the same"},
		{group: group, name: "cacert", aka: []string{"ca-file", "cafile", "ca", "ca-cert", "CAfile", "roots"}, arg: "FILE", files: true, def: "those of the system", set: toFile(&files.roots),
			help: "trust the authorities in FILE and no others"},
		{group: group, name: "cert", arg: "FILE", files: true, set: toFile(&files.cert),
			help: "show the certificate in FILE, its authorities after it, to a server that asks for one"},
		{group: group, name: "key", arg: "FILE", files: true, def: "in the file of --cert", set: toFile(&files.key),
			help: "the private key of --cert, in PEM and not encrypted"},
		{group: group, name: "session-reuse", aka: []string{"reconnect", "resumption"}, set: toSwitch(&t.SessionReuse),
			help: "connect a second time and resume the session; both handshakes are timed"},
		{group: group, name: "tls-enum", arg: "LIST", many: true, words: enumWords, set: o.addEnum,
			help: "with --probe tls: find all versions, ciphers or groups that the server takes, a connection for each; no certificate is judged"},
		{group: group, name: "jarm", set: toSwitch(&t.JARM), help: "with --probe tls: the JARM fingerprint, by ten connections; no certificate is judged"},
		{group: group, name: "ech-config", arg: "FILE", files: true, set: toFile(&files.ech),
			help: "encrypt the hello for the ECHConfigList in FILE: PEM, base64 or binary"},
		{group: group, name: "pem", set: toSwitch(&t.PEM), help: "add the certificates themselves to the result"},
	}
}

// depths are the values of --tls-depth.
var depths = []probes.Depth{probes.DepthHello, probes.DepthCerts, probes.DepthFull}

func depthWords() []string {
	var words []string
	for _, d := range depths {
		words = append(words, d.String())
	}
	return words
}

func startTLSWords() []string { return append([]string{probes.StartTLSAuto}, starttls.Protocols()...) }

func (o *scanOptions) setSNI(value string) error {
	if err := tlswire.CheckServerName(value); err != nil {
		return &valueError{err.Error() + ": want a DNS name", "in ASCII (xn-- for other letters), without a dot at its end"}
	}
	o.cfg.Options.TLS.ServerName = value
	return nil
}

// maxALPN is the longest name of a protocol, in bytes (RFC 7301 s.3.1).
const maxALPN = 255

func (o *scanOptions) addALPN(value string) error {
	names, err := splitList(value)
	if err != nil {
		return err
	}
	list := &o.cfg.Options.TLS.ALPN
	for _, name := range names {
		switch {
		case len(name) > maxALPN:
			return fmt.Errorf("a protocol's name has at most %d bytes", maxALPN)
		case slices.Contains(*list, name):
			return fmt.Errorf("%q is named twice", name)
		}
		*list = append(*list, name)
	}
	return nil
}

// versions are the values of --min-version and --max-version.
var versions = []tlswire.Version{tlswire.SSL30, tlswire.TLS10, tlswire.TLS11, tlswire.TLS12, tlswire.TLS13}

func versionWords() []string {
	var words []string
	for _, v := range versions {
		words = append(words, v.Word())
	}
	return words
}

func toVersion(p *tlswire.Version) func(string) error {
	return func(value string) error {
		v, ok := tlswire.ParseVersion(value)
		if !ok {
			return &valueError{"want " + orList(versionWords()), "tls1.2, TLSv1.2 and 1.2 are tls12"}
		}
		*p = v
		return nil
	}
}

// groupWords are the groups that help and completion name: those that servers have. Any registered one is taken.
var groupWords = []string{
	"x25519", "p256", "p384", "p521", "x448", "ffdhe2048", "ffdhe3072", "ffdhe4096",
	"x25519mlkem768", "secp256r1mlkem768", "secp384r1mlkem1024",
}

func (o *scanOptions) addGroups(value string) error {
	names, err := splitList(value)
	if err != nil {
		return err
	}
	list := &o.cfg.Options.TLS.Groups
	for _, name := range names {
		g, ok := tlswire.ParseGroup(name)
		switch {
		case !ok:
			return &valueError{fmt.Sprintf("there is no group %q: want names as in %s", name, strings.Join(groupWords, ", ")),
				didYouMean(nearest(strings.ToLower(name), groupWords))}
		case slices.Contains(*list, g):
			return fmt.Errorf("%v is named twice", g)
		}
		*list = append(*list, g)
	}
	return nil
}

var enumWords = []string{"versions", "ciphers", "groups"}

func (o *scanOptions) addEnum(value string) error {
	words, err := splitList(value)
	if err != nil {
		return err
	}
	enum := &o.cfg.Options.TLS.Enum
	for _, word := range words {
		switch word {
		case "versions":
			enum.Versions = true
		case "ciphers":
			enum.Ciphers = true
		case "groups":
			enum.Groups = true
		default:
			return &valueError{fmt.Sprintf("%q: want a list of %s", word, orList(enumWords)), didYouMean(nearest(word, enumWords))}
		}
	}
	return nil
}

// loadTLSFiles reads the files that the flags of TLS name. An error of theirs is no usage: what was asked for makes sense.
func (o *scanOptions) loadTLSFiles() error {
	files, t := &o.tlsFiles, &o.cfg.Options.TLS
	if files.key != "" && files.cert == "" {
		return &usageError{"--key without --cert", "--cert names the file of the certificate"}
	}
	var err error
	if files.roots != "" {
		if t.Roots, err = tlsclient.LoadRoots(files.roots); err != nil {
			return fileError("--cacert", err)
		}
	}
	if files.cert != "" {
		var ofKey *tlsclient.KeyError
		c, err := tlsclient.LoadCertificate(files.cert, files.key)
		switch {
		case files.key == "" && errors.Is(err, tlsclient.ErrNoKey):
			return &usageError{"--cert without --key: there is no key in " + quoteWord(files.cert), "--key names the file of the key"}
		case errors.As(err, &ofKey):
			return fileError("--key", err)
		case err != nil:
			return fileError("--cert", err)
		}
		t.Certificates = append(t.Certificates, c)
	}
	if files.ech != "" {
		if t.ECH, err = tlsclient.LoadECH(files.ech); err != nil {
			return fileError("--ech-config", err)
		}
	}
	return nil
}

// fileError says which flag named the file. What is wrong within a file says itself how it is mended.
func fileError(flag string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return &valueError{flag + ": " + err.Error(), "give " + flag + " a file that is there and may be read"}
	}
	return fmt.Errorf("%s: %w", flag, err)
}
