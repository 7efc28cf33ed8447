package config

import (
	"regexp"
	"time"

	"sonde/protocol/tlswire"
	"sonde/target"
)

// Blackbox is a module in the form of blackbox_exporter (CONFIGURATION.md there), whose words its keys are: those of 0.23.0 and those
// that came since. Of the sections that of its prober counts.
type Blackbox struct {
	// Prober is "tcp" or "http" unless the module is disabled.
	Prober string `yaml:"prober"`
	// Timeout is for the whole probe; 0: the scrape's alone.
	Timeout time.Duration `yaml:"timeout"`
	HTTP    BlackboxHTTP  `yaml:"http"`
	TCP     BlackboxTCP   `yaml:"tcp"`

	_ foreign `yaml:"dns" keys:"preferred_ip_protocol ip_protocol_fallback source_ip_address transport_protocol dns_over_tls tls_config query_name query_type query_class recursion_desired valid_rcodes validate_answer_rrs validate_authority_rrs validate_additional_rrs"`
	_ foreign `yaml:"icmp" keys:"preferred_ip_protocol ip_protocol_fallback source_ip_address dont_fragment payload_size ttl"`
	_ foreign `yaml:"grpc" keys:"service preferred_ip_protocol ip_protocol_fallback metadata tls tls_config"`
	_ foreign `yaml:"unix" keys:"query_response tls tls_config"`
	_ foreign `yaml:"websocket" keys:"http_config query_response"`
}

// IP says which address of a name is taken.
type IP struct {
	// Preferred is the family that is taken if there is one of it; default IPv6. Fallback takes one of the other otherwise.
	Preferred target.Family `yaml:"preferred_ip_protocol"`
	Fallback  bool          `yaml:"ip_protocol_fallback"`
}

// BlackboxHTTP is the section http.
type BlackboxHTTP struct {
	IP                `yaml:",inline"`
	ValidStatusCodes  []int    `yaml:"valid_status_codes"`  // default 200 to 299
	ValidHTTPVersions []string `yaml:"valid_http_versions"` // "HTTP/1.1"; default any
	Method            string   `yaml:"method"`              // default GET
	Headers           []Header `yaml:"headers,pairs"`
	// HTTPHeaders are further ones, each with values of three kinds, the last of which is sent.
	HTTPHeaders []HTTPHeader `yaml:"http_headers,keyed"`
	// BodySizeLimit is how many bytes of a body are read, decoded; 0: no limit but sonde's own.
	BodySizeLimit Size `yaml:"body_size_limit"`
	// Compression is how the body is encoded: gzip, deflate, identity; empty: as it comes.
	Compression            string           `yaml:"compression"`
	FollowRedirects        bool             `yaml:"follow_redirects"` // default true
	FailIfSSL              bool             `yaml:"fail_if_ssl"`
	FailIfNotSSL           bool             `yaml:"fail_if_not_ssl"`
	FailIfBodyMatches      []*regexp.Regexp `yaml:"fail_if_body_matches_regexp"`
	FailIfBodyNotMatches   []*regexp.Regexp `yaml:"fail_if_body_not_matches_regexp"`
	FailIfHeaderMatches    []HeaderMatch    `yaml:"fail_if_header_matches"`
	FailIfHeaderNotMatches []HeaderMatch    `yaml:"fail_if_header_not_matches"`
	TLS                    BlackboxTLS      `yaml:"tls_config"`
	BasicAuth              *BasicAuth       `yaml:"basic_auth"`
	Authorization          *Authorization   `yaml:"authorization"`
	BearerToken            Secret           `yaml:"bearer_token"`
	BearerTokenFile        string           `yaml:"bearer_token_file"`
	Body                   Secret           `yaml:"body"`
	BodyFile               string           `yaml:"body_file"`
	NoFollowRedirects      bool             `yaml:"no_follow_redirects"` // the older word, which wins if it is true
	EnableHTTP2            bool             `yaml:"enable_http2"`        // default true; sonde asks by HTTP/1.1 all the same
	SkipResolvePhase       bool             `yaml:"skip_resolve_phase_with_proxy"`
	_                      unsupported      `yaml:"enable_http3" why:"there is no HTTP/3 here"`
	_                      unsupported      `yaml:"proxy_url" why:"probes go to their targets, not by way of a proxy"`
	_                      unsupported      `yaml:"no_proxy" why:"probes go to their targets, not by way of a proxy"`
	_                      unsupported      `yaml:"proxy_from_environment" why:"probes go to their targets, not by way of a proxy"`
	_                      unsupported      `yaml:"proxy_connect_header" why:"probes go to their targets, not by way of a proxy"`
	_                      unsupported      `yaml:"oauth2" why:"tokens are not fetched; authorization takes one from a file"`
	_                      unsupported      `yaml:"fail_if_body_json_matches_cel" why:"CEL is not spoken here; fail_if_body_matches_regexp may do"`
	_                      unsupported      `yaml:"fail_if_body_json_not_matches_cel" why:"CEL is not spoken here; fail_if_body_not_matches_regexp may do"`
}

// HTTPHeader is a field of a request by name, with values of three kinds: in the clear, secret, and in files.
type HTTPHeader struct {
	Name    string
	Values  []string `yaml:"values"`
	Secrets []Secret `yaml:"secrets"`
	Files   []string `yaml:"files"`
}

// Size is a number of bytes.
type Size int64

// HeaderMatch is what a field of a response is held against.
type HeaderMatch struct {
	Header       string         `yaml:"header"`
	Regexp       *regexp.Regexp `yaml:"regexp"`
	AllowMissing bool           `yaml:"allow_missing"`
}

// BasicAuth are the credentials of RFC 7617, each in the clear or in a file.
type BasicAuth struct {
	Username     string `yaml:"username"`
	UsernameFile string `yaml:"username_file"`
	Password     Secret `yaml:"password"`
	PasswordFile string `yaml:"password_file"`

	_ unsupported `yaml:"username_ref" why:"there is no secret manager here; username_file takes it from a file"`
	_ unsupported `yaml:"password_ref" why:"there is no secret manager here; password_file takes it from a file"`
}

// Authorization is the field of that name.
type Authorization struct {
	Type            string `yaml:"type"` // default Bearer
	Credentials     Secret `yaml:"credentials"`
	CredentialsFile string `yaml:"credentials_file"`

	_ unsupported `yaml:"credentials_ref" why:"there is no secret manager here; credentials_file takes them from a file"`
}

// BlackboxTCP is the section tcp.
type BlackboxTCP struct {
	IP            `yaml:",inline"`
	QueryResponse []QueryResponse `yaml:"query_response"`
	// TLS has it from the first byte.
	TLS       bool        `yaml:"tls"`
	TLSConfig BlackboxTLS `yaml:"tls_config"`

	_ unsupported `yaml:"source_ip_address" why:"the system chooses the address to dial from"`
}

// QueryResponse is one step of a conversation: what is expected, then what is sent, then TLS.
type QueryResponse struct {
	Expect      *regexp.Regexp `yaml:"expect"`
	ExpectBytes string         `yaml:"expect_bytes"` // byte for byte
	Labels      []NameValue    `yaml:"labels"`
	Send        Secret         `yaml:"send"` // with ${1} for what Expect captured; a line feed is added
	StartTLS    bool           `yaml:"starttls"`
}

// NameValue is a label of probe_expect_info; Value may hold ${1}.
type NameValue struct {
	Name  string `yaml:"name"`
	Value string `yaml:"value"`
}

// BlackboxTLS is a tls_config.
type BlackboxTLS struct {
	Insecure   bool            `yaml:"insecure_skip_verify"`
	CAFile     string          `yaml:"ca_file"`
	CertFile   string          `yaml:"cert_file"`
	KeyFile    string          `yaml:"key_file"`
	ServerName string          `yaml:"server_name"`
	MinVersion tlswire.Version `yaml:"min_version"` // default TLS 1.2
	MaxVersion tlswire.Version `yaml:"max_version"` // default TLS 1.3

	_ unsupported `yaml:"ca" why:"put it into a file and name that with ca_file"`
	_ unsupported `yaml:"cert" why:"put it into a file and name that with cert_file"`
	_ unsupported `yaml:"key" why:"put it into a file and name that with key_file"`
	_ unsupported `yaml:"ca_ref" why:"there is no secret manager here; ca_file takes it from a file"`
	_ unsupported `yaml:"cert_ref" why:"there is no secret manager here; cert_file takes it from a file"`
	_ unsupported `yaml:"key_ref" why:"there is no secret manager here; key_file takes it from a file"`
}

// foreign is a section of a prober that sonde has not: its keys are held against those in the tag, its values not looked at.
type foreign struct{}

// unsupported is a key that blackbox_exporter has and sonde has not; the tag says why, or what does instead.
type unsupported struct{}
