package modules

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"sonde/engine"
	"sonde/probes"
	"sonde/probes/converse"
	"sonde/probes/http"
	"sonde/probes/keep"
	"sonde/probes/secure"
	"sonde/protocol/tlswire"
	"sonde/target"
	"sonde/watch/config"
)

// defaultTimeout is blackbox_exporter's for a probe, where neither the module nor the scrape has one.
const defaultTimeout = 2 * time.Minute

// compileBlackbox makes a module that asks as blackbox_exporter would.
func (m *Module) compileBlackbox(b *config.Blackbox, hostname string, files *files) error {
	m.Probing, m.Timeout = b.Prober, b.Timeout
	// There, one time holds for all parts of a probe.
	all := max(defaultTimeout, b.Timeout)
	m.Limits = engine.Limits{Connect: all, Handshake: all, Read: all, Target: all}.WithDefaults()
	if b.Prober == "http" {
		return m.compileHTTP(&b.HTTP, hostname, files)
	}
	return m.compileTCP(&b.TCP, hostname, files)
}

func (m *Module) setFamily(ip config.IP) { m.Family, m.AnyFamily = ip.Preferred, ip.Fallback }

// wanted has an address that is of no wanted family looked up as a name is, which finds nothing: ip_protocol_fallback: false holds for
// targets that are written as addresses, too.
func (m *Module) wanted(read func(text string) (target.Target, error)) func(text string) (target.Target, error) {
	return func(text string) (target.Target, error) {
		t, err := read(text)
		if err == nil && t.Addr.IsValid() && !m.AnyFamily && t.Addr.Unmap().Is4() != (m.Family == target.IPv4) {
			t.Domain, t.Addr = t.Addr.String(), netip.Addr{}
		}
		return t, err
	}
}

// tlsOptions are those of a tls_config, with blackbox_exporter's defaults.
func (m *Module) tlsOptions(t *config.BlackboxTLS, files *files) (probes.TLSOptions, error) {
	o := probes.TLSOptions{
		ServerName: t.ServerName, MinVersion: t.MinVersion, MaxVersion: t.MaxVersion, Insecure: t.Insecure, Now: m.now,
	}
	if o.MinVersion == 0 && (o.MaxVersion == 0 || o.MaxVersion >= tlswire.TLS12) {
		o.MinVersion = tlswire.TLS12 // as crypto/tls has it for clients
	}
	var rootsErr, certErr error
	o.Roots, rootsErr = files.roots(t.CAFile)
	o.Certificates, certErr = files.certificate(t.CertFile, t.KeyFile)
	if err := errors.Join(rootsErr, certErr); err != nil {
		return o, fmt.Errorf("tls_config: %w", err)
	}
	return o, nil
}

func (m *Module) compileTCP(t *config.BlackboxTCP, hostname string, files *files) error {
	m.setFamily(t.IP)
	options, err := m.tlsOptions(&t.TLSConfig, files)
	if err != nil {
		return fmt.Errorf("tcp.%w", err)
	}
	if options.ServerName == "" {
		options.ServerName = withoutPort(hostname)
	}
	layer, err := secure.New(options)
	if err != nil {
		return fmt.Errorf("tcp.tls_config: %w", err)
	}
	talk := converse.Options{TLS: layer.Later}
	for i := range t.QueryResponse {
		q := &t.QueryResponse[i]
		if q.StartTLS && t.TLS {
			return fmt.Errorf("tcp.query_response[%d].starttls: there is TLS from the first byte already (leave out tls: true)", i)
		}
		step := converse.Step{Expect: q.Expect, Bytes: []byte(q.ExpectBytes), Send: string(q.Send), StartTLS: q.StartTLS}
		for _, l := range q.Labels {
			step.Labels = append(step.Labels, converse.Label(l))
		}
		talk.Steps = append(talk.Steps, step)
	}
	p, err := converse.New(talk)
	if err != nil {
		return fmt.Errorf("tcp.query_response: %w", err)
	}
	under := func(p probes.Probe) probes.Probe { return p }
	if t.TLS {
		under = layer.Under
	}
	m.Probe = under(p)
	if len(t.QueryResponse) == 0 {
		m.Kept = under(keep.Under(p))
	} else {
		m.CantKeep = "its conversation is held once a connection"
	}
	usual := target.Choice{Name: "tcp", TLS: t.TLS}
	m.Target = m.wanted(func(text string) (target.Target, error) { return target.ReadOne(text, usual, nil) })
	return nil
}

func (m *Module) compileHTTP(h *config.BlackboxHTTP, hostname string, files *files) error {
	m.setFamily(h.IP)
	m.CantKeep = "a page is asked for once a connection"
	options, err := m.tlsOptions(&h.TLS, files)
	if err != nil {
		return fmt.Errorf("http.%w", err)
	}
	checks, err := httpChecks(h, hostname, files)
	if err != nil {
		return fmt.Errorf("http.%w", err)
	}
	elsewhere := options
	elsewhere.ServerName = ""
	for _, f := range checks.Fields {
		if strings.EqualFold(f.Name, "Host") && options.ServerName == "" {
			options.ServerName = withoutPort(f.Value)
		}
	}
	here, err := secure.New(options)
	if err != nil {
		return fmt.Errorf("http.tls_config: %w", err)
	}
	there, err := secure.New(elsewhere)
	if err != nil {
		return fmt.Errorf("http.tls_config: %w", err)
	}
	checks.Secure = func(p probes.Probe, elsewhere bool) probes.Probe {
		if elsewhere {
			return there.Under(p)
		}
		return here.Under(p)
	}
	if m.Probe, err = http.NewChecked(checks); err != nil {
		return fmt.Errorf("http: %w", err)
	}
	m.Target = m.wanted(httpTarget)
	return nil
}

// httpChecks says what is sent and wanted; errors name the key.
func httpChecks(h *config.BlackboxHTTP, hostname string, files *files) (http.Checks, error) {
	c := http.Checks{
		Method: h.Method, Body: []byte(h.Body), Versions: h.ValidHTTPVersions, RefuseTLS: h.FailIfSSL, RequireTLS: h.FailIfNotSSL,
		RefuseBody: h.FailIfBodyMatches, RequireBody: h.FailIfBodyNotMatches, StayHere: !h.FollowRedirects,
		Compression: h.Compression, BodyLimit: int64(h.BodySizeLimit),
	}
	for _, code := range h.ValidStatusCodes {
		c.Status = append(c.Status, probes.StatusRange{From: code, To: code})
	}
	for _, f := range h.FailIfHeaderMatches {
		c.RefuseField = append(c.RefuseField, http.FieldCheck{Name: f.Header, Regexp: f.Regexp, AllowMissing: f.AllowMissing})
	}
	for _, f := range h.FailIfHeaderNotMatches {
		c.RequireField = append(c.RequireField, http.FieldCheck{Name: f.Header, Regexp: f.Regexp, AllowMissing: f.AllowMissing})
	}
	if h.BodyFile != "" {
		var err error
		if c.Body, err = files.read("body_file", h.BodyFile); err != nil {
			return c, err
		}
	}
	if err := addFields(&c, h, hostname, files); err != nil {
		return c, err
	}
	return c, addCredentials(&c, h, files)
}

// addFields adds the fields of the request, hostname as its Host.
func addFields(c *http.Checks, h *config.BlackboxHTTP, hostname string, files *files) error {
	for _, f := range h.Headers {
		if strings.EqualFold(f.Name, "Host") && hostname != "" {
			if string(f.Value) != hostname {
				return ErrTwoHosts
			}
			continue
		}
		c.Fields = append(c.Fields, http.Field{Name: f.Name, Value: string(f.Value)})
	}
	if hostname != "" {
		c.Fields = append(c.Fields, http.Field{Name: "Host", Value: hostname})
	}
	for _, f := range h.HTTPHeaders {
		var value string
		var err error
		switch {
		case len(f.Files) > 0:
			value, err = files.secret("http_headers."+f.Name+".files", "", f.Files[len(f.Files)-1])
		case len(f.Secrets) > 0:
			value = string(f.Secrets[len(f.Secrets)-1])
		case len(f.Values) > 0:
			value = f.Values[len(f.Values)-1]
		default:
			continue
		}
		if err != nil {
			return err
		}
		c.Fields = append(c.Fields, http.Field{Name: f.Name, Value: value})
	}
	return nil
}

// addCredentials says who asks. The file has one way of it at most.
func addCredentials(c *http.Checks, h *config.BlackboxHTTP, files *files) (err error) {
	if b := h.BasicAuth; b != nil {
		c.BasicAuth = new(http.Login)
		if c.BasicAuth.Name, err = files.secret("basic_auth.username_file", b.Username, b.UsernameFile); err != nil {
			return err
		}
		c.BasicAuth.Password, err = files.secret("basic_auth.password_file", string(b.Password), b.PasswordFile)
		return err
	}
	if a := h.Authorization; a != nil {
		credentials, err := files.secret("authorization.credentials_file", string(a.Credentials), a.CredentialsFile)
		switch {
		case err != nil:
			return err
		case strings.EqualFold(a.Type, "Bearer"):
			c.Bearer = credentials
		default:
			c.Fields = append(c.Fields, http.Field{Name: "Authorization", Value: a.Type + " " + credentials})
		}
		return nil
	}
	c.Bearer, err = files.secret("bearer_token_file", string(h.BearerToken), h.BearerTokenFile)
	return err
}

// hasScheme is what a URL begins with (RFC 3986 s.3.1).
var hasScheme = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*://`)

// httpTarget reads a URL, or what becomes one with http:// before it.
func httpTarget(text string) (target.Target, error) {
	text = strings.TrimSpace(text)
	if !hasScheme.MatchString(text) {
		text = "http://" + text
	}
	usual := target.Choice{Name: "http", Port: 80}
	return target.ReadOne(text, usual, map[string]target.Choice{"http": usual, "https": {Name: "http", Port: 443, TLS: true}})
}

// withoutPort is the name in a field Host.
func withoutPort(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}
