package main

// The parts of the manual page that no table of commands and flags holds.

var manDescription = []string{
	"sonde connects to many targets at once, asks each what a probe asks, and writes one record for each: its status from a closed " +
		"set of words, whose fault a failure is, and how long each phase took, as sonde saw it and as the kernel did.",
	"sonde bench makes a load of connections instead, and tells in one report how many stood, how fast they came and answered, what they cost, and how " +
		"much of each latency was sonde's own.",
	"sonde watch probes on a schedule and keeps connections, and tells what it knows over HTTP: metrics for Prometheus, probes on demand, a page.",
	"Flags stand before or after the other arguments; -- ends them. A value follows its flag as the next argument or behind =; " +
		"of one-letter flags also directly. No value is cut at commas unless it says LIST.",
}

var manTargets = []item{
	{"192.0.2.7, 2001:db8::7, www.example.com", "An address or a name. Its port is that of --ports, or else the probe's usual one."},
	{"192.0.2.7:22, www.example.com:22, [2001:db8::7]:22", "The same with its port."},
	{"192.0.2.0/24", "Every address of a block."},
	{"192.0.2.1-192.0.2.99", "Every address of a range."},
	{"http://www.example.com/health?full=1", "A URL. Its scheme chooses the probe, and one such as https, imaps or rediss TLS below it."},
	{"192.0.2.7,www.example.com,web,443", "Address, name, tag and port; each may be empty, as long as there is an address or a name. The tag comes back " +
		"in the record, and --trigger may choose the probe by it."},
}

var manTargetRules = []string{
	"In files, empty lines and what follows a # are skipped. Single entries keep their order and are not de-duplicated. Blocks and ranges " +
		"are merged, so that what overlaps counts once, and walked in a pseudo-random order over addresses, ports and probes, after the " +
		"single entries. A name gives one record, for its first address, unless --all-ips is given.",
	"A bad entry is a record with the status invalid-input, and the scan goes on. 0.0.0.0/8, multicast and broadcast addresses are bad " +
		"entries.",
}

var manRecords = []string{
	"Records are written as lines, each whole, at most 100 ms after the fact. As JSON a record has the members timestamp, ip, port, " +
		"domain, tag, probe, status, error_side, error, attempts, timing and result. Durations are in microseconds; a phase that did not happen " +
		"is absent. With --retries the record is that of the last attempt, and attempts tells how many there were. error_side is local (this machine's fault), remote (the target's or the network's) or policy (an exclusion).",
	"The words of status:",
}

var manStatuses = []item{
	{"success", "The probe got what it wanted."},
	{"connection-refused", "The SYN was answered by a reset."},
	{"connection-timeout", "The SYN was not answered in time."},
	{"connection-reset", "An established connection was reset."},
	{"connection-closed", "The peer closed before its answer was whole."},
	{"host-unreachable, network-unreachable", "ICMP or this machine's own routes said so; error_side tells which."},
	{"tls-timeout, handshake-error, certificate-error", "The TLS handshake did not end in time, failed, or the certificate did not verify."},
	{"protocol-error", "The answer is not this protocol."},
	{"application-error", "The answer is this protocol, but not what was wanted."},
	{"io-timeout", "The answer was not whole in time."},
	{"byte-limit", "The answer went above the limit of bytes."},
	{"dns-error", "The name did not resolve."},
	{"invalid-input", "The entry makes no target."},
	{"blocked", "An exclusion forbids the target."},
	{"local-fd-limit, local-port-exhausted", "For a minute no file descriptor or local port came free."},
	{"local-error", "This machine refused."},
	{"cancelled", "The run was stopped first."},
}

var manSignals = []item{
	{"SIGINT, SIGTERM, SIGHUP", "A scan dials no more, gives what is in flight 10 s to end, cancels the rest, writes the records and exits with 3. A second signal cancels at once."},
	{"the same, of bench", "A load is ended, and what was done is reported; exit with 3."},
	{"SIGHUP, of watch", "The configuration is read again. One that is bad leaves the old one running."},
	{"SIGINT, SIGTERM, of watch", "No probe begins any more, those in flight have 10 s to end, and kept connections are closed; exit with 0. A second signal ends it at once."},
	{"SIGPIPE", "When the reader of the records has gone, a scan stops as after a signal, writes the metadata and exits with 3. That is no error: only the summary tells of it."},
}

var manExits = []item{
	{"0", "Done. Targets that are down are results, not failures."},
	{"1", "Trouble that ended the run: an input that can't be read, a full disk. What was found until then is written. Of bench also: this machine has no " +
		"room for the load, and nothing was opened."},
	{"2", "The command line can't be meant."},
	{"3", "Stopped early: by a signal, by --max-runtime, or because the reader of the output has gone."},
	{"4", "With --fail-on-error: the status of a target was not success, or an operation of a load failed. Of watch --once: a probe failed."},
	{"5", "Of bench with --fail-above: a figure is worse than that of --baseline by more than was allowed."},
}

var manFiles = []item{
	{"/etc/sonde/watch.yml", "The configuration that contrib/systemd/sonde-watch.service of the source has sonde watch read. Nothing is read that no flag names."},
	{"/var/lib/sonde", "That unit's folder for what sonde watch keeps, as in events: {spool: /var/lib/sonde/events.jsonl}."},
}

var manEnvironment = []item{
	{"NOTIFY_SOCKET", "Where sonde watch tells systemd that it is ready, reloads and stops; see sd_notify(3)."},
	{"NO_COLOR", "If it is not empty: no colours."},
	{"TERM", "With dumb: no colours and no progress bar."},
	{"LC_ALL, LC_CTYPE, LANG", "If the first that is set does not name UTF-8, drawings are in ASCII."},
}
