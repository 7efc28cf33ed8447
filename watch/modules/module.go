// Package modules makes what asks targets out of what the configuration says of modules: sonde's own, each of which runs one of
// sonde's probes, and those of blackbox_exporter. It reads the files that a module names (authorities, keys, passwords) once, when
// the module is compiled.
package modules

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"sonde/engine"
	"sonde/probes"
	"sonde/protocol"
	"sonde/target"
	"sonde/watch/config"
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
	// Text is the module as a file would have it, secrets hidden, for a person who debugs.
	Text string
	// Fingerprint is the same for two modules that ask alike: it knows what the files hold that they name.
	Fingerprint uint64

	source *config.Module
	now    func() time.Time
	files  *files
	hosts  *hosts
}

// Compile makes a module. now tells the wall clock, against which certificates are held. Of a module of sonde's own that can't be run
// it returns an error, which names it, its line, what is wrong and how to mend it; one of blackbox_exporter is Disabled
// instead, since its file is to be taken as it is.
func Compile(source *config.Module, now func() time.Time) (*Module, error) {
	m := &Module{
		Name: source.Name, Disabled: source.Disabled, Text: source.Text(), source: source, now: now,
		files: newFiles(source.Fingerprint), hosts: &hosts{},
	}
	if err := m.compile(""); err != nil {
		return nil, err
	}
	return m, nil
}

// ErrTwoHosts says that a host is asked for twice.
var ErrTwoHosts = errors.New("the module says itself which host it asks for")

// For returns the module with the servers asked for by this name, in the field Host and over TLS, whatever the targets are called. No
// file is read again, for whoever may ask /probe names as many hosts as he likes. The error is [ErrTwoHosts] if the module has
// a Host of its own that is another.
func (m *Module) For(hostname string) (*Module, error) {
	if m.Disabled != "" {
		return nil, errors.New(m.Disabled)
	}
	return m.hosts.of(hostname, func() (*Module, error) {
		again := &Module{Name: m.Name, Text: m.Text, source: m.source, now: m.now, files: m.files.by(hostname), hosts: m.hosts}
		if err := again.compile(hostname); err != nil {
			return nil, err
		}
		return again, nil
	})
}

func (m *Module) compile(hostname string) (err error) {
	source, files := m.source, m.files
	switch {
	case m.Disabled != "":
	case source.Own != nil:
		if err = m.compileOwn(source.Own, hostname, files); err != nil {
			err = fmt.Errorf("line %d: module %q: %w", source.Line, source.Name, inKeys(err))
		}
	default:
		if err = m.compileBlackbox(source.Blackbox, hostname, files); err != nil && hostname == "" {
			m.Disabled, err = fmt.Sprintf("line %d: %v", source.Line, inKeys(err)), nil
		}
	}
	if err != nil {
		return err
	}
	if m.Disabled != "" {
		m.Probe, m.Kept, m.Heartbeat = nil, nil, nil
		disabled := errors.New(m.Disabled)
		m.Target = func(string) (target.Target, error) { return target.Target{}, disabled }
	}
	m.Fingerprint = files.sum()
	return nil
}

// inKeys has an error of a probe name the keys of the file in place of the flags of scan.
func inKeys(err error) error {
	text := strings.NewReplacer(
		"--http-header", "http.headers", "--http-", "http.", "--read-bytes", "read_bytes", "--sni", "tls.server_name",
		"--min-version", "tls.min_version", "--max-version", "tls.max_version", "--alpn", "tls.alpn", "--groups", "tls.groups",
		"--starttls", "tls.starttls", "--tls-depth", "tls depth", "--probe ", "probe: ", "--expect", "expect", "--send", "send", "--frame", "frame",
	).Replace(err.Error())
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}

// either is a probe for targets in the clear and the same one for those over TLS.
type either struct{ plain, secure probes.Probe }

var _ probes.Probe = either{}

// About implements probes.Probe.
func (e either) About() probes.About { return e.plain.About() }

// Exchange implements probes.Probe.
func (e either) Exchange(t *target.Target) protocol.Exchange {
	if t.TLS {
		return e.secure.Exchange(t)
	}
	return e.plain.Exchange(t)
}
