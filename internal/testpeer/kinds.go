package testpeer

import "slices"

// Kind names a behaviour. The word is also the tag of the targets that package serve prints.
type Kind string

// The healthy kinds.
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

// The faulty kinds.
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
	// default options.
	Expect string
}

// Kinds returns all kinds, the healthy ones first, always in the same order. The caller owns the slice.
func Kinds() []About {
	return []About{
		{Sink, "accepts, reads everything and says nothing", true, "tcp", "success"},
		{Echo, "sends back every byte it reads", true, "tcp", "success"},
		{HTTP, "answers HTTP/1.1: /, /status/N, /bytes/N, /slow?d=1s, /chunked, /close, /redirect", true, "http", "success"},
		{SSH, "sends an SSH identification line", true, "ssh", "success"},
		{SMTP, "greets and answers EHLO, HELO, NOOP and QUIT", true, "smtp", "success"},
		{FTP, "greets and answers FEAT, SYST, NOOP and QUIT", true, "ftp", "success"},
		{IMAP, "greets and answers CAPABILITY, NOOP and LOGOUT", true, "imap", "success"},
		{POP3, "greets and answers CAPA, NOOP and QUIT", true, "pop3", "success"},
		{Redis, "answers PING, inline or as an array, ECHO and QUIT", true, "redis", "success"},
		{Delayed, "sends an SSH identification line half a second late", true, "ssh", "success"},

		{Refuse, "nothing listens here, and nothing will", false, "tcp", "connection-refused"},
		{DropSYN, "its accept queue is full for good, so the kernel drops every SYN", false, "tcp", "connection-timeout"},
		{Reset, "resets each connection as soon as it is accepted", false, "banner", "connection-reset"},
		{CloseAtOnce, "closes each connection as soon as it is accepted", false, "banner", "connection-closed"},
		{Silent, "accepts, takes every byte, never answers and never closes first", false, "banner", "io-timeout"},
		{Drip, "sends an SSH identification one byte a second, without end", false, "ssh", "io-timeout"},
		{Endless, "never stops sending, and never sends a newline", false, "banner", "byte-limit"},
		{Garbage, "sends random bytes: NUL, invalid UTF-8, terminal control sequences", false, "ssh", "protocol-error"},
		{HalfClose, "greets, shuts down its sending side and stays to read", false, "banner", "success"},
		{IgnoreFIN, "greets, and does not close when the client does", false, "banner", "success"},
		{BannerReset, "sends a banner without a newline, then a reset right behind it", false, "banner", "connection-reset"},
	}
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
