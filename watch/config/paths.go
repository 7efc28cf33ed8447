package config

import "path/filepath"

// resolve has each file name in c that is relative be so to the folder dir: a configuration means the same from wherever the program is
// started.
func (c *Config) resolve(dir string) {
	r := folder(dir)
	for i := range c.Jobs {
		j := &c.Jobs[i]
		r.names(j.Files)
		r.names(j.FileSD)
	}
	if c.Events != nil {
		r.name(&c.Events.Spool)
	}
	for i := range c.Modules {
		m := &c.Modules[i]
		if m.Own != nil {
			t := &m.Own.TLS
			r.name(&t.CAFile, &t.CertFile, &t.KeyFile)
		}
		if m.Blackbox != nil {
			r.blackbox(m.Blackbox)
		}
	}
}

// folder is what relative names are relative to.
type folder string

func (f folder) name(names ...*string) {
	for _, n := range names {
		if *n != "" && !filepath.IsAbs(*n) {
			*n = filepath.Join(string(f), *n)
		}
	}
}

func (f folder) names(names []string) {
	for i := range names {
		f.name(&names[i])
	}
}

func (f folder) blackbox(b *Blackbox) {
	h := &b.HTTP
	f.name(&h.BearerTokenFile, &h.BodyFile)
	for i := range h.HTTPHeaders {
		f.names(h.HTTPHeaders[i].Files)
	}
	if h.BasicAuth != nil {
		f.name(&h.BasicAuth.UsernameFile, &h.BasicAuth.PasswordFile)
	}
	if h.Authorization != nil {
		f.name(&h.Authorization.CredentialsFile)
	}
	for _, t := range []*BlackboxTLS{&h.TLS, &b.TCP.TLSConfig} {
		f.name(&t.CAFile, &t.CertFile, &t.KeyFile)
	}
}
