package main

import "slices"

// blackboxPairs are what both probers are asked: each module, the targets that it is asked for. {NAME} is the address of a
// peer of blackboxPeers.
var blackboxPairs = []struct {
	module  string
	targets []string
}{
	// HTTP: answers.
	{"plain", []string{
		"{page}", "http://{page}", "http://{page}/", "http://{page}?x=1", "{page}/hello#part", "{page}/hello?a=b%20c&d=é", "{page}/request", "{page}/chunked",
		"{page}/nothing", "{page}/large", "{page}/huge", "{page}/packed", "{page}/missing", "http://u:p@{page}/basic", "{page}/basic", "{other}/hello",
		"{page}/status/200", "{page}/status/201", "{page}/status/204", "{page}/status/299", "{page}/status/300", "{page}/status/304",
		"{page}/status/400", "{page}/status/404", "{page}/status/500", "{page}/status/503", "{page}/status/599", "{page}/status/302",
	}},
	// Answers byte by byte.
	{"plain", []string{
		"{page}/cut", "{page}/cutchunk", "{page}/badchunk", "{page}/trailer", "{page}/version10", "{page}/untilclose", "{page}/untilclose11",
		"{page}/garbage", "{page}/nobytes", "{page}/halfhead", "{page}/continue", "{page}/hints", "{page}/badmodified", "{page}/asctime", "{page}/rfc850",
		"{page}/noreason", "{page}/badstatus", "{page}/nolocation", "{page}/emptylocation", "{page}/pipelined", "{page}/lfonly", "{page}/bothlengths",
		"{page}/twolengths", "{page}/badlength", "{page}/longhead",
	}},
	{"plain", []string{"{page}/switching", "{page}/only100", "{page}/many100", "{page}/toomany100", "{page}/status600", "{page}/status999", "{page}/status1000", "{page}/status099", "{page}/version12", "{page}/version20", "{page}/version09", "{page}/lowerversion", "{page}/blankfirst", "{page}/chunkext", "{page}/upperchunked", "{page}/gzipchunked", "{page}/transferid", "{page}/chunked10", "{page}/pluslength", "{page}/negative", "{page}/samelengths", "{page}/lengthlist", "{page}/emptylength", "{page}/hugelength", "{page}/nocolon", "{page}/spacecolon", "{page}/folded", "{page}/emptyname", "{page}/foreign", "{page}/manyfields", "{page}/full204", "{page}/full304", "{page}/zerobytes", "{page}/morebytes", "{page}/twolocations", "{page}/cutlocation"}},
	{"plain", []string{"https://", "http://", "{page}/a b", "{page}/%zz", "//{page}/hello", "{page}?", "{page}#x", "http:{page}", "ftp://{page}/", "LOCALHOST:{port}/hello", "127.1:{port}", "[::ffff:127.0.0.1]:{port}", "[0:0:0:0:0:0:0:1]:{port}", "127.0.0.1:0", "http://127.0.0.1:", "{page}/hello%20x", "{page}/é", "http://{page}//hello", "{page}/../hello", "{page}/./hello", "{page}\\hello", "http://{page}/hello?q=%zz", "{page}/hello?a b", "{page}:80"}},
	{"plain", []string{"{page}/to/302?/hello#part", "{page}/to/302?HTTP://{other}/hello", "{page}/to/302?http:hello", "{page}/to/302?http://u:p@{page}/basic", "{page}/to/302?http://{page}", "{page}/to/302?http:///x", "{page}/to/302?http://127.0.0.1:99999/", "{page}/to/302?//", "{page}/to/302?/to/302?", "{page}/to/302??", "{page}/to/302?/%zz", "{page}/to/302?http://{other}?x=1", "{page}/to/302?\\hello", "{page}/to/302?/é", "{page}/to/302?http://LOCALHOST:{port}/hello", "{page}/to/302?javascript:x", "{page}/to/302?:", "{page}/to/302?http://[::ffff:127.0.0.1]:{port}/hello", "{page}/to/302?/../hello", "{page}/to/302?./hello", "{page}/to/302?///hello"}},
	{"connect", []string{"0.0.0.0:{port}", "LOCALHOST:{port}", "127.1:{port}", "[::ffff:127.0.0.1]:{port}", "[0:0:0:0:0:0:0:1]:{port}", "127.0.0.1:0", "255.255.255.255:80", "224.0.0.1:80", "tcp://{page}", "http://{page}", "{page}/", "127.0.0.1:+80", "::1:80"}},
	{"head", []string{"{page}/full304", "{page}/chunkext", "{page}/to/303?/hello"}},

	// Redirects.
	{"plain", []string{
		"{page}/to/301?/hello", "{page}/to/302?hello", "{page}/to/303?/request", "{page}/to/307?/request", "{page}/to/308?../hello",
		"{page}/to/302?http://{other}/hello", "{page}/to/302?//{other}/hello", "{page}/to/302??x=1", "{page}/after/302/1", "{page}/after/302/10",
		"{page}/after/302/11", "{page}/after/302/12", "{page}/to/302?/to/302?/hello", "{page}/to/302?/status/404", "{page}/to/302?/missing",
		"{page}/to/302?http://[::1", "{page}/to/302?ftp://{other}/x", "{page}/to/302?mailto:a@b.test", "{page}/to/302?http://{refuse}/",
		"{page}/to/302?/garbage", "{page}/to/302?/nobytes", "{page}/to/302?/cut", "{page}/to/302?http://a..b/", "{page}/to/302?http://{close-at-once}/",
		"{page}/to/302?http://{reset}/", "{page}/cookie", "{page}/to/302?https://{secure}/hello", "{page}/to/302?http://{page6}/hello",
		"localhost:{port}/to/302?http://{page}/hello", "{page}/to/302?http://localhost:{port}/hello", "{page}/to/300?/hello", "{page}/to/304?/hello",
	}},
	// The time that a module has is enough for all that comes before the silence, on a busy machine, too.
	{"short", []string{"{silent}", "{drop-syn}"}},
	{"unhurried", []string{"{page}/silent", "{page}/to/302?/silent", "{page}/to/302?http://{silent}/", "https://{tls-silent}/"}},
	{"stay302", []string{"{page}/to/302?/hello", "{page}/to/301?/hello", "{page}/hello", "{page}/nolocation", "{page}/to/302?http://[::1"}},
	{"stay", []string{"{page}/to/302?/hello", "{page}/hello"}},
	{"stayBody", []string{"{page}/to/302?/hello"}},
	{"codes", []string{"{page}/status/404", "{page}/status/503", "{page}/status/304", "{page}/status/201", "{page}/hello", "{page}/to/302?/status/404"}},

	// Requests.
	{"head", []string{"{page}/hello", "{page}/to/302?/hello", "{page}/status/404", "{page}/packed", "{page}/chunked", "{page}/status/304"}},
	{"options", []string{"{page}/request"}},
	{"post", []string{
		"{page}/request", "{page}/to/301?/request", "{page}/to/302?/request", "{page}/to/303?/request", "{page}/to/307?/request", "{page}/to/308?/request",
		"{page}/to/307?http://{other}/request", "{page}/after/307/3",
	}},
	{"postEmpty", []string{"{page}/request", "{page}/to/307?/request"}},
	{"lowerCase", []string{"{page}/request"}},
	{"host", []string{"{page}/request", "{page}/to/302?/request", "{page}/to/302?http://{other}/request", "http://{page6}/request"}},
	{"agent", []string{"{page}/request", "{page}/to/302?/request"}},
	{"connection", []string{"{page}/request"}},
	{"hostname", []string{"{page}/request", "{page}/request hostname=b.test", "{page}/to/302?/request hostname=b.test", "{page}/request hostname=b.test:81"}},
	{"host", []string{"{page}/request hostname=a.test"}},
	{"basic", []string{"{page}/basic", "{page}/to/302?/basic", "{page}/to/302?http://{other}/basic", "{page}/to/302?http://localhost:{port}/basic"}},
	{"basicFile", []string{"{page}/basic"}},
	{"basicWrong", []string{"{page}/basic", "{page}/hello"}},
	{"bearer", []string{"{page}/bearer", "{page}/to/302?/bearer", "{page}/to/302?http://{other}/bearer", "{page}/to/302?http://localhost:{port}/bearer"}},
	{"authorization", []string{"{page}/bearer", "{page}/basic"}},

	// Codings and lengths.
	{"gzip", []string{
		"{page}/packed", "{page}/hello", "{page}/packed-cut", "{page}/packed-twice", "{page}/packed-junk", "{page}/packed-not", "{page}/packed-unsaid",
		"{page}/deflated", "{page}/coded-not", "{page}/nothing", "{page}/status/404", "{page}/status/204", "{page}/cut", "{page}/to/302?/packed",
	}},
	{"gzipAccept", []string{"{page}/packed", "{page}/request"}},
	{"gzipBody", []string{"{page}/packed", "{page}/hello", "{page}/packed-cut", "{page}/packed-not"}},
	{"deflate", []string{"{page}/deflated", "{page}/wrapped", "{page}/packed", "{page}/hello"}},
	{"identity", []string{"{page}/hello", "{page}/coded-not", "{page}/packed"}},
	{"limit", []string{"{page}/large", "{page}/hello", "{page}/huge", "{page}/packed", "{page}/to/302?/large", "{page}/status/404"}},
	{"limitGzip", []string{"{page}/packed", "{page}/hello"}},
	{"limitBody", []string{"{page}/large", "{page}/hello"}},
	{"limitWide", []string{"{page}/huge"}},

	// Expressions.
	{"refuseBody", []string{"{page}/hello", "{page}/large", "{page}/status/404", "{page}/cut", "{page}/nothing", "{page}/to/302?/hello"}},
	{"requireBody", []string{"{page}/hello", "{page}/chunked", "{page}/cut", "{page}/nothing", "{page}/status/404", "{page}/untilclose", "{page}/huge"}},
	{"refuseField", []string{"{page}/status/200", "{page}/hello", "{page}/status/404", "{page}/to/302?/hello"}},
	{"refuseFieldMissing", []string{"{page}/status/200", "{page}/hello"}},
	{"requireField", []string{"{page}/status/200", "{page}/hello"}},
	{"requireFieldMissing", []string{"{page}/status/200", "{page}/hello"}},
	{"allFour", []string{"{page}/status/200", "{page}/status/201", "{page}/hello", "{page}/to/302?/status/200"}},
	{"version10", []string{"{page}/version10", "{page}/hello"}},
	{"version11", []string{"{page}/version10", "{page}/hello", "https://{secure}/hello"}},
	{"secureOnly", []string{"{page}/hello", "https://{secure}/hello", "{page}/status/404", "{refuse}", "{page}/to/302?https://{secure}/hello"}},
	{"plainOnly", []string{"{page}/hello", "https://{secure}/hello", "https://{secure}/to/302?http://{page}/hello"}},

	// HTTP over TLS.
	{"trusting", []string{
		"https://{secure}/hello", "https://{secure12}/hello", "https://{secure13}/hello", "https://{secure11}/hello", "https://{expired}/hello",
		"https://{unborn}/hello", "https://{misnamed}/hello", "https://{address}/hello", "https://{self}/hello", "https://{chainless}/hello",
		"https://{longchain}/hello", "https://{choosy}/hello", "https://{alpn}/hello", "https://localhost:{securePort}/hello", "https://{page}/hello",
		"http://{secure}/hello", "https://{secure}/status/404", "https://{secure}/garbage", "https://{secure}/nobytes", "https://{secure}/untilclose",
		"https://{secure}/cut", "https://{secure}/to/302?/hello", "https://{secure}/to/302?https://{secure12}/hello",
		"https://{secure}/to/302?http://{page}/hello", "{page}/to/302?https://{secure}/hello", "{page}/to/302?https://localhost:{securePort}/request",
		"https://{secure}/to/302?https://{expired}/hello", "https://{secure}/to/302?https://{refuse}/", "https://{secure}/to/302?http://[::1",
		"https://{tls-alert}/", "https://{tls-garbage}/", "https://{tls-half-record}/", "https://{tls-reset-hello}/", "https://{tls-close-hello}/",
		"https://{refuse}/", "https://{close-at-once}/", "https://{reset}/",
	}},
	{"plain", []string{"https://{secure}/hello"}},
	{"trustingShort", []string{"https://{secure}/silent", "https://{secure}/to/302?https://{secure12}/silent", "https://{secure}/to/302?https://{tls-silent}/"}},
	{"insecure", []string{
		"https://{secure}/hello", "https://{expired}/hello", "https://{misnamed}/hello", "https://{self}/hello", "https://{secure}/to/302?https://{expired}/hello",
	}},
	{"insecureCA", []string{"https://{secure}/hello", "https://{expired}/hello"}},
	{"named", []string{"https://{secure}/request", "https://{misnamed}/hello", "https://{secure}/to/302?/request", "https://{secure}/to/302?https://{secure12}/hello"}},
	{"misnamed", []string{"https://{secure}/hello"}},
	{"hostNamed", []string{"https://{secure}/request", "https://{address}/request", "https://{secure}/to/302?/request"}},
	{"trusting", []string{"https://{secure}/request hostname=a.test", "https://{secure}/request hostname=c.test", "https://{secure}/request hostname=x.b.test"}},
	{"client", []string{"https://{choosy}/hello", "https://{secure}/hello"}},

	// Addresses and names.
	{"plain", []string{"http://{page6}/hello", "localhost:{port}/hello", "http://a..b/", "http://no.such.name.invalid/", "{refuse}", "{close-at-once}"}},
	{"only4", []string{"http://{page6}/hello", "{page}/hello", "localhost:{port}/hello"}},
	{"only6", []string{"http://{page6}/hello", "{page}/hello"}},
	{"first4", []string{"http://{page6}/hello", "{page}/hello", "localhost:{port}/hello"}},

	// TCP. A peer that resets what it accepts is not among them: whether it does so before the connect is seen is luck. So it is,
	// for HTTP, whether one that speaks first does so before it is asked.
	{"connect", []string{
		"{sink}", "{refuse}", "{close-at-once}", "{page6}", "localhost:{port}", "a..b:80", "no.such.name.invalid:80", "noport", "127.0.0.1:99999",
		"127.0.0.1:", ":{port}", "127.0.0.1:http", "[::1]", "{secure}",
	}},
	{"connectShort", []string{"{drop-syn}", "{silent}"}},
	{"connect4", []string{"{page6}", "{sink}", "localhost:{port}"}},
	{"connectOnly4", []string{"{page6}", "{sink}", "localhost:{port}"}},
	{"connectOnly6", []string{"{page6}", "{sink}"}},
	{"banner", []string{
		"{ssh}", "{smtp}", "{ftp}", "{imap}", "{pop3}", "{delayed}", "{half-close}", "{ignore-fin}", "{banner-reset}", "{close-at-once}", "{reset}", "{refuse}",
		"{endless}", "{lastline}", "{manylines}", "{cr}", "{widest}", "{toowide}", "{binary}", "{emptyline}", "{wrong}", "a..b:25",
	}},
	{"bannerShort", []string{"{silent}", "{drip}", "{echo}", "{sink}"}},
	{"anyLine", []string{"{ssh}", "{close-at-once}", "{emptyline}", "{lastline}"}},
	{"empty", []string{"{ssh}", "{close-at-once}", "{sink}"}},
	{"sends", []string{"{twolines}", "{sink}"}},
	{"sendOnly", []string{"{pong}", "{redis}"}},
	{"irc", []string{"{irc}"}},
	{"named_groups", []string{"{irc}"}},
	{"pop3", []string{"{pop3}", "{wrong}"}},
	{"imap", []string{"{imap}"}},
	{"smtp", []string{"{smtp}", "{wrong}"}},
	{"smtpWrong", []string{"{smtp}"}},
	{"quit", []string{"{smtp}"}},

	// TLS that is asked for.
	{"smtpTLS", []string{"{starttls-smtp}", "{close-at-once}", "{wrong}"}},
	{"smtpTLSStep", []string{"{starttls-smtp}", "{inject}"}},
	{"smtpTLSAfter", []string{"{starttls-smtp}"}},
	{"smtpTLSQuit", []string{"{starttls-smtp}"}},
	{"smtpTLSDistrust", []string{"{starttls-smtp}", "{wrong}"}},
	{"imapTLS", []string{"{starttls-imap}"}},
	{"pop3TLS", []string{"{starttls-pop3}"}},
	{"ftpTLS", []string{"{starttls-ftp}"}},

	// TLS from the first byte. A server of TLS 1.3 that refuses a client for want of a certificate says so behind the
	// handshake: sonde waits a moment for that, blackbox_exporter hears it only if the module has something to say.
	{"tls", []string{"{secure}", "{self}"}},
	{"tlsCA", []string{
		"{secure}", "{secure12}", "{secure13}", "{secure11}", "{expired}", "{unborn}", "{misnamed}", "{address}", "{self}", "{chainless}", "{longchain}",
		"{alpn}", "localhost:{securePort}", "{tls12}", "{tls13}", "{tls-rsa}", "{tls-ecdsa}", "{tls-ed25519}", "{tls-client-cert}", "{tls-stapled}",
		"{tls-resume}", "{tls-no-resume}", "{tls-expired}", "{tls-wrong-name}", "{tls-self-signed}", "{tls-alert}", "{tls-garbage}", "{tls-half-record}",
		"{tls-reset-hello}", "{tls-reset-certificate}", "{tls-reset-finished}", "{tls-close-hello}", "{page}", "{close-at-once}", "{reset}", "{refuse}",
		"{secure} hostname=a.test", "a..b:443",
	}},
	{"tlsShort", []string{"{tls-silent}", "{tls-drip}", "{silent}", "{sink}", "{drop-syn}"}},
	{"tlsInsecure", []string{"{secure}", "{expired}", "{misnamed}", "{self}", "{secure11}"}},
	{"tlsInsecureCA", []string{"{secure}", "{expired}"}},
	{"tlsNamed", []string{"{secure}", "{address}", "{misnamed}"}},
	{"tlsMisnamed", []string{"{secure}"}},
	{"tlsClient", []string{"{choosy}", "{secure}"}},
	{"tlsTalk", []string{"{secure}", "{secure12}", "{choosy}", "{expired}"}},
	{"tlsTalkWrong", []string{"{secure}", "{secure12}"}},
	{"tlsMax12", []string{"{secure}", "{secure13}", "{secure12}"}},
	{"tlsMin13", []string{"{secure}", "{secure13}", "{secure12}"}},
	{"tlsMin10", []string{"{secure}", "{secure11}"}},
}

// difference is a pair of which sonde says something else on purpose.
type difference struct {
	why      string
	families []string // in which it is seen
}

// meantDifferences are all of them, by module and target as blackboxPairs has them. docs/watch-config.md tells users.
var meantDifferences = map[string]difference{
	"deflate {page}/wrapped": {
		"deflate has a zlib header (RFC 9110 s.8.4.1.2), which blackbox_exporter does not take",
		[]string{"probe_http_uncompressed_body_length", "probe_success"},
	},
	"basic {page}/to/302?http://localhost:{port}/basic": {
		"the password is for the target: a redirect does not take it to another host",
		[]string{"probe_http_status_code", "probe_success"},
	},
	"bearer {page}/to/302?http://localhost:{port}/bearer": {
		"and so is the token", []string{"probe_http_status_code", "probe_success"},
	},
	"host {page}/to/302?http://{other}/request": {
		"another port is no other host for cookies (RFC 6265 s.8.5), as Go's newer client has it",
		[]string{"probe_http_content_length", "probe_http_uncompressed_body_length"},
	},
	"stayBody {page}/to/302?/hello": {
		"the body of a redirect that is not followed is there to be read",
		[]string{"probe_failed_due_to_regex", "probe_http_uncompressed_body_length", "probe_success"},
	},
	"plain {page}/longhead": {
		"a head of more than 32 KiB is too long", noResponse,
	},
	"plain {page}/bothlengths": {
		"Content-Length beside chunks is how requests are smuggled (RFC 9112 s.6.3)", noResponse,
	},
	"plain http://u:p@{page}/basic": {
		"a target is a label, and no place for passwords", slices.Concat(noResponse, neverAsked),
	},
	"plain {page}/toomany100":  {"sixteen interim responses are read past, there five", noResponse},
	"plain {page}/status099":   {"a status is three digits from 100 on (RFC 9110 s.15)", noResponse},
	"plain {page}/version20":   {"what says HTTP/2.0 in so many words is not HTTP/1 (RFC 9112 s.2.3)", noResponse},
	"plain {page}/version09":   {"what says HTTP/0.9 in so many words is not HTTP/1 (RFC 9112 s.2.3)", noResponse},
	"plain {page}/chunked10":   {"HTTP/1.0 knows no chunks, and who sends them is not to be trusted (RFC 9112 s.6.1)", noResponse},
	"plain {page}/emptylength": {"a length that is empty is none (RFC 9110 s.8.6)", noResponse},
	"plain {page}/emptyname":   {"a field has a name (RFC 9112 s.5)", noResponse},
	"plain {page}/manyfields":  {"a head has 256 fields at most", noResponse},
	"plain {page}/lengthlist":  {"a length said twice is one (RFC 9112 s.6.3)", noResponse},
	"plain {page}/gzipchunked": {"a coding below the chunks ends where they do (RFC 9112 s.6.3); the body is not decoded", noResponse},
	"plain {page}/hello?a b": {
		"a space in a target is escaped; blackbox_exporter sends it, and is refused",
		slices.Concat(noResponse, []string{"probe_http_last_modified_timestamp_seconds"}),
	},
	"plain https://":             noTarget,
	"plain http://":              noTarget,
	"plain //{page}/hello":       noTarget,
	"plain http:{page}":          noTarget,
	"plain ftp://{page}/":        noTarget,
	"plain 127.1:{port}":         noTarget,
	"plain 127.0.0.1:0":          noTarget,
	"plain {page}:80":            noTarget,
	"connect 127.1:{port}":       noTarget,
	"connect 127.0.0.1:0":        noTarget,
	"connect {page}/":            noTarget,
	"connect 127.0.0.1:+80":      noTarget,
	"connect 255.255.255.255:80": noTarget,
	"connect 224.0.0.1:80":       noTarget,
	"connect 0.0.0.0:{port}":     {"the address of nobody is not dialled", slices.Concat(neverAsked, []string{"probe_success"})},
	"plain http://a..b/":         noTarget,
	"banner a..b:25":             noTarget,
	"tlsCA a..b:443":             noTarget,
	"connect a..b:80":            noTarget,
	"connect 127.0.0.1:99999":    noTarget,
	"connect 127.0.0.1:":         noTarget,
	"connect :{port}":            noTarget,
	"connect 127.0.0.1:http":     noTarget,
}

var (
	noResponse = []string{
		"probe_http_content_length", "probe_http_status_code", "probe_http_uncompressed_body_length", "probe_http_version", "probe_success",
	}
	// neverAsked are the families that tell of an address, and of what took time.
	neverAsked = []string{"probe_dns_lookup_time_seconds", "probe_http_duration_seconds", "probe_ip_addr_hash", "probe_ip_protocol"}
	noTarget   = difference{"what is no target is not looked up", neverAsked}
)
