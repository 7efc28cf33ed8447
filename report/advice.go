package report

// advice says, for each status that is a failure, what it means and what to do about it, in one sentence for the end
// summary. It names only what a user can change.
var advice = [NumStatuses]string{
	ConnectionRefused: "nothing listens on that port, or a firewall answers in its place: check the port, then the service",
	ConnectionTimeout: "no answer to any SYN: the host is down, a firewall drops, or packets are lost; " +
		"try a lower --rate, a longer --connect-timeout, or look from another network",
	ConnectionReset: "the peer or a box on the way cut an established connection: look into the peer's log; " +
		"if it defends itself against many connections, lower -c or --rate",
	ConnectionClosed: "the peer accepted and closed before its answer was whole: " +
		"its limit on clients, an access list, or the wrong --probe for that port",
	HostUnreachable: "a router says that the host can't be reached (ICMP): check that it is up, and the last network on the way",
	NetworkUnreachable: "no route leads there: see `ip route get ADDRESS`; " +
		"for IPv6 targets, check that this machine has IPv6 at all",
	TLSTimeout: "the TLS handshake did not end in time: the port may not speak TLS, or the peer is short of CPU",
	HandshakeError: "no TLS handshake could be agreed on: the port may not speak TLS, or only after --starttls, " +
		"or the two sides have no version or algorithm in common",
	CertificateError: "the certificate did not verify: it is expired, for another name, or of an issuer that is not known here",
	ProtocolError: "what the peer said is not that protocol: choose another --probe; `--probe banner` shows what it says; " +
		"where TLS was expected, the port may want none, or --starttls first",
	ApplicationError: "the peer speaks the protocol but did not give the answer wanted: the record's error and result say what it gave",
	IOTimeout: "connected, but the answer was not whole in time: a slow peer (raise --read-timeout), " +
		"or one that waits for another --send or --probe",
	ByteLimit: "the answer was longer than what is read of one: of banner and http raise --read-bytes, at most 64 KiB, or end it sooner by --expect or --frame; " +
		"what is read of a TLS handshake (256 KiB a message) and by the other probes is fixed",
	DNSError:           "the name did not resolve: check its spelling, then this machine's resolver (/etc/resolv.conf)",
	InvalidInput:       "the entry makes no target: the record's error says why; --dryrun checks a list without sending anything",
	Blocked:            "excluded by --exclude, --blocklist-file or --exclude-reserved: nothing was sent",
	LocalFDLimit:       "no file descriptor was free for a minute: raise `ulimit -n` or lower -c; `sonde doctor` shows the limits",
	LocalPortExhausted: "no local port was free for a minute: more --source-ip, a wider net.ipv4.ip_local_port_range, or a lower --rate",
	LocalError:         "this machine refused: the record's error says what; the usual causes are firewall rules, routes and memory (`sonde doctor`)",
	Cancelled:          "the run was stopped before these were done: they say nothing about the target; run them again",
}
