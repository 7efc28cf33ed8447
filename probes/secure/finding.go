package secure

import (
	"sonde/internal/jsonappend"
	"sonde/probes"
	"sonde/probes/internal/tlsfacts"
	"sonde/protocol"
	"sonde/target"
)

// finding joins what inner found, which may be nil, with the facts.
func (e *exchange) finding(inner protocol.Finding) protocol.Finding {
	facts := e.facts.Finding(e.judged)
	if e.top && inner == nil {
		return facts
	}
	return &finding{inner: inner, tls: facts}
}

// finding is another finding with a member "tls".
type finding struct {
	inner protocol.Finding // nil: nothing but TLS
	tls   *tlsfacts.Finding
}

var (
	_ probes.Measured = (*finding)(nil)
	_ probes.Follower = (*finding)(nil)
)

// AppendJSON implements [protocol.Finding].
func (f *finding) AppendJSON(dst []byte) []byte {
	if f.inner == nil {
		o := jsonappend.Begin(dst)
		o.Raw("tls", f.tls.AppendJSON)
		return o.End()
	}
	begin := len(dst)
	dst = f.inner.AppendJSON(dst)
	dst = dst[:len(dst)-1] // inner's closing brace
	if len(dst) > begin+1 {
		dst = append(dst, ',')
	}
	dst = append(dst, `"tls":`...)
	return append(f.tls.AppendJSON(dst), '}')
}

// Brief implements [protocol.Finding]: inner's words, then those of TLS.
func (f *finding) Brief() string {
	brief, tls := "", f.tls.Brief()
	if f.inner != nil {
		brief = f.inner.Brief()
	}
	if brief != "" && tls != "" {
		brief += ", "
	}
	return brief + tls
}

// Resumption tells of a second handshake as [tlsfacts.Finding.Resumption] does.
func (f *finding) Resumption() (fullUS, resumedUS int64, method string, ok bool) {
	return f.tls.Resumption()
}

// Figures implements [probes.Measured]: inner's, and those of TLS.
func (f *finding) Figures(out *probes.Figures) {
	if inner, ok := f.inner.(probes.Measured); ok {
		inner.Figures(out)
	}
	f.tls.Figures(out)
}

// Follow implements [probes.Follower]: where inner leads, if it does. Whether TLS is asked for there is for inner to say.
func (f *finding) Follow() (t target.Target, p probes.Probe, ok bool) {
	inner, ok := f.inner.(probes.Follower)
	if !ok {
		return target.Target{}, nil, false
	}
	return inner.Follow()
}
