// Package builtin lists the probes that sonde comes with. A new probe is a folder beside this one and a line in All.
package builtin

import (
	"slices"
	"strings"

	"sonde/probes"
	"sonde/probes/banner"
	"sonde/probes/ftp"
	"sonde/probes/http"
	"sonde/probes/imap"
	"sonde/probes/pop3"
	"sonde/probes/redis"
	"sonde/probes/smtp"
	"sonde/probes/ssh"
	"sonde/probes/tcp"
	"sonde/probes/tls"
)

// All returns the probes with their defaults, sorted by name. The slice is the caller's.
func All() []probes.Probe {
	return []probes.Probe{
		banner.Probe{},
		ftp.Probe{},
		http.Probe{},
		imap.Probe{},
		pop3.Probe{},
		redis.Probe{},
		smtp.Probe{},
		ssh.Probe{},
		tcp.Probe{},
		tls.Probe{},
	}
}

// Find returns the probe of that name with its defaults, and whether there is one.
func Find(name string) (probes.Probe, bool) {
	all := All()
	i, found := slices.BinarySearchFunc(all, name, func(p probes.Probe, name string) int {
		return strings.Compare(p.About().Name, name)
	})
	if !found {
		return nil, false
	}
	return all[i], true
}
