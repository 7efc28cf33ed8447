package testpeer

import "slices"

// Kind names a behaviour. The word is also the tag of the targets that package serve prints.
type Kind string

// The healthy kinds that speak no TLS.
const (
	Sink    Kind = "sink"
	Echo    Kind = "echo"
	HTTP    Kind = "http"
	SSH     Kind = "ssh"
	SMTP    Kind = "smtp"
	FTP     Kind = "ftp"
	IMAP    Kind = "imap"
	POP3    Kind = "pop3"
	Redis   Kind = "redis"
	Delayed Kind = "delayed"
)

// The faulty kinds that speak no TLS.
const (
	Refuse      Kind = "refuse"
	DropSYN     Kind = "drop-syn"
	Reset       Kind = "reset"
	CloseAtOnce Kind = "close-at-once"
	Silent      Kind = "silent"
	Drip        Kind = "drip"
	Endless     Kind = "endless"
	Garbage     Kind = "garbage"
	HalfClose   Kind = "half-close"
	IgnoreFIN   Kind = "ignore-fin"
	BannerReset Kind = "banner-reset"
)

// The kinds that speak TLS from the first byte and then HTTP/1.1.
const (
	TLS12         Kind = "tls12"
	TLS13         Kind = "tls13"
	TLSRSA        Kind = "tls-rsa"
	TLSECDSA      Kind = "tls-ecdsa"
	TLSEd25519    Kind = "tls-ed25519"
	TLSClientCert Kind = "tls-client-cert"
	TLSALPN       Kind = "tls-alpn"
	TLSStapled    Kind = "tls-stapled"
	TLSResume     Kind = "tls-resume"
	TLSNoResume   Kind = "tls-no-resume"
	TLSExpired    Kind = "tls-expired"
	TLSWrongName  Kind = "tls-wrong-name"
	TLSSelfSigned Kind = "tls-self-signed"
)

// The kinds that break a TLS handshake. Each waits for the ClientHello first.
const (
	TLSSilent           Kind = "tls-silent"
	TLSAlert            Kind = "tls-alert"
	TLSGarbage          Kind = "tls-garbage"
	TLSHalfRecord       Kind = "tls-half-record"
	TLSHugeCertificate  Kind = "tls-huge-certificate"
	TLSDrip             Kind = "tls-drip"
	TLSResetHello       Kind = "tls-reset-hello"
	TLSResetCertificate Kind = "tls-reset-certificate"
	TLSResetFinished    Kind = "tls-reset-finished"
	TLSCloseHello       Kind = "tls-close-hello"
)

// The kinds that go over to TLS when the client asks for it.
const (
	StartTLSSMTP     Kind = "starttls-smtp"
	StartTLSIMAP     Kind = "starttls-imap"
	StartTLSPOP3     Kind = "starttls-pop3"
	StartTLSFTP      Kind = "starttls-ftp"
	StartTLSSieve    Kind = "starttls-sieve"
	StartTLSXMPP     Kind = "starttls-xmpp"
	StartTLSLDAP     Kind = "starttls-ldap"
	StartTLSPostgres Kind = "starttls-postgres"
	StartTLSMySQL    Kind = "starttls-mysql"
)

// The kinds that show what they are only under a load. They echo, or answer HTTP/1.1 to a client that asks for it.
const (
	Stall  Kind = "stall"
	Late   Kind = "late"
	Full   Kind = "full"
	Mortal Kind = "mortal"
)

// About is what there is to know of a kind.
type About struct {
	Kind Kind
	// Doc says in one line, without a full stop, what the peer does.
	Doc string
	// Healthy is true for a peer of which nothing bad can be said.
	Healthy bool
	// Probe is the name of the probe that brings the behaviour to light.
	Probe string
	// Expect is the status, a word of report.Status, that an honest prober must report when it asks with Probe and its
	// default options. Of a TLS kind it must report it after a whole handshake that it was asked to make with a name under
	// sonde.test, trusting [Credentials.RootPEM], and having begun with StartTLS if there is one.
	Expect string
	// TLS is true for a peer that speaks TLS, or breaks it.
	TLS bool
	// StartTLS is the protocol in which the client asks for TLS ("smtp"); empty where TLS comes first, or never.
	StartTLS string
	// Load is true for a peer that is meant for a load: to one that connects once it looks healthy. It is in no fleet unless
	// it is named.
	Load bool
}

// Kinds returns all kinds, always in the same order: those without TLS, those with it from the first byte, those that
// begin it on request, those for loads; the healthy ones of each first. The caller owns the slice.
func Kinds() []About {
	return slices.Concat(plainKinds(), tlsKinds(), startTLSKinds(), loadKinds())
}

// Lookup returns what there is to know of kind k; ok is false for a kind that does not exist.
func Lookup(k Kind) (a About, ok bool) {
	kinds := Kinds()
	i := slices.IndexFunc(kinds, func(a About) bool { return a.Kind == k })
	if i < 0 {
		return About{}, false
	}
	return kinds[i], true
}

func plainKinds() []About {
	return []About{
		healthy(Sink, "tcp", "accepts, reads everything and says nothing"),
		healthy(Echo, "tcp", "sends back every byte it reads"),
		healthy(HTTP, "http", "answers HTTP/1.1: /, /status/N, /bytes/N, /slow?d=1s, /chunked, /close, /redirect"),
		healthy(SSH, "ssh", "sends an SSH identification line"),
		healthy(SMTP, "smtp", "greets and answers EHLO, HELO, NOOP and QUIT"),
		healthy(FTP, "ftp", "greets and answers FEAT, SYST, NOOP and QUIT"),
		healthy(IMAP, "imap", "greets and answers CAPABILITY, NOOP and LOGOUT"),
		healthy(POP3, "pop3", "greets and answers CAPA, NOOP and QUIT"),
		healthy(Redis, "redis", "answers PING, inline or as an array, ECHO and QUIT"),
		healthy(Delayed, "ssh", "sends an SSH identification line half a second late"),

		faulty(Refuse, "tcp", "connection-refused", "nothing listens here, and nothing will"),
		faulty(DropSYN, "tcp", "connection-timeout", "its accept queue is full for good, so the kernel drops every SYN"),
		faulty(Reset, "banner", "connection-reset", "resets each connection as soon as it is accepted"),
		faulty(CloseAtOnce, "banner", "connection-closed", "closes each connection as soon as it is accepted"),
		faulty(Silent, "banner", "io-timeout", "accepts, takes every byte, never answers and never closes first"),
		faulty(Drip, "ssh", "io-timeout", "sends an SSH identification one byte a second, without end"),
		faulty(Endless, "banner", "byte-limit", "never stops sending, and never sends a newline"),
		faulty(Garbage, "ssh", "protocol-error", "sends random bytes: NUL, invalid UTF-8, terminal control sequences"),
		faulty(HalfClose, "banner", "success", "greets, shuts down its sending side and stays to read"),
		faulty(IgnoreFIN, "banner", "success", "greets, and does not close when the client does"),
		faulty(BannerReset, "banner", "connection-reset", "sends a banner without a newline, then a reset right behind it"),
	}
}

func tlsKinds() []About {
	kinds := []About{
		healthy(TLS12, "tls", "speaks TLS 1.2 and nothing newer"),
		healthy(TLS13, "tls", "speaks TLS 1.3 and nothing older"),
		healthy(TLSRSA, "tls", "has a certificate with an RSA key of 2,048 bits"),
		healthy(TLSECDSA, "tls", "has a certificate with an ECDSA key on P-256"),
		healthy(TLSEd25519, "tls", "has a certificate with an Ed25519 key"),
		healthy(TLSClientCert, "tls", "asks for a client certificate, and goes on without one"),
		healthy(TLSALPN, "tls", "offers h2 and http/1.1 by ALPN, and speaks what was agreed"),
		healthy(TLSStapled, "tls", "staples an OCSP response and two signed certificate timestamps"),
		healthy(TLSResume, "tls", "gives session tickets and resumes by them"),
		healthy(TLSNoResume, "tls", "gives no session tickets and never resumes"),

		faulty(TLSExpired, "tls", "certificate-error", "has a certificate that expired yesterday"),
		faulty(TLSWrongName, "tls", "certificate-error", "has a certificate for another name"),
		faulty(TLSSelfSigned, "tls", "certificate-error", "has a certificate signed by itself"),
		faulty(TLSSilent, "tls", "tls-timeout", "takes the ClientHello and never answers"),
		faulty(TLSAlert, "tls", "handshake-error", "answers the ClientHello with the alert handshake_failure"),
		faulty(TLSGarbage, "tls", "protocol-error", "answers the ClientHello with bytes that are not TLS"),
		faulty(TLSHalfRecord, "tls", "connection-closed", "sends half of the record with its ServerHello, then closes"),
		faulty(TLSHugeCertificate, "tls", "byte-limit", "declares certificate messages of 16 MiB and sends four of them, 64 MiB"),
		faulty(TLSDrip, "tls", "tls-timeout", "sends its ServerHello and what follows one byte a second"),
		faulty(TLSResetHello, "tls", "connection-reset", "answers the ClientHello with a reset"),
		faulty(TLSResetCertificate, "tls", "connection-reset", "sends ServerHello and Certificate, then a reset (TLS 1.2)"),
		faulty(TLSResetFinished, "tls", "connection-reset", "answers the client's Finished with a reset (TLS 1.2)"),
		faulty(TLSCloseHello, "tls", "connection-closed", "answers the ClientHello by closing"),
	}
	for i := range kinds {
		kinds[i].TLS = true
	}
	return kinds
}

func startTLSKinds() []About {
	kinds := []About{
		healthy(StartTLSSMTP, "tls", "begins TLS on STARTTLS in SMTP"),
		healthy(StartTLSIMAP, "tls", "begins TLS on STARTTLS in IMAP"),
		healthy(StartTLSPOP3, "tls", "begins TLS on STLS in POP3"),
		healthy(StartTLSFTP, "tls", "begins TLS on AUTH TLS in FTP"),
		healthy(StartTLSSieve, "tls", "begins TLS on STARTTLS in ManageSieve"),
		healthy(StartTLSXMPP, "tls", "begins TLS on <starttls/> in XMPP"),
		healthy(StartTLSLDAP, "tls", "begins TLS on the extended request StartTLS in LDAP"),
		healthy(StartTLSPostgres, "tls", "begins TLS on SSLRequest in PostgreSQL"),
		healthy(StartTLSMySQL, "tls", "begins TLS on the packet SSLRequest in MySQL"),
	}
	for i := range kinds {
		kinds[i].TLS = true
		kinds[i].StartTLS = string(kinds[i].Kind[len("starttls-"):])
	}
	return kinds
}

func loadKinds() []About {
	kinds := []About{
		faulty(Stall, "http", "success", "echoes or answers HTTP/1.1, but not in the first 200 ms of each second"),
		faulty(Late, "http", "success", "echoes or answers HTTP/1.1, each time 50 to 500 ms late, evenly spread"),
		faulty(Full, "http", "success", "echoes or answers HTTP/1.1 on the first 100 connections, and refuses all further ones"),
		faulty(Mortal, "http", "success", "echoes or answers HTTP/1.1, and is gone 5 seconds after its first connection"),
	}
	for i := range kinds {
		kinds[i].Load = true
	}
	return kinds
}

func healthy(k Kind, probe, doc string) About {
	return About{Kind: k, Doc: doc, Healthy: true, Probe: probe, Expect: "success"}
}

func faulty(k Kind, probe, expect, doc string) About {
	return About{Kind: k, Doc: doc, Probe: probe, Expect: expect}
}
