package testpeer

import "strings"

const (
	smtpGreeting = "220 sonde.test ESMTP sondepeer\r\n"
	ftpGreeting  = "220 sondepeer FTP ready\r\n"
	pop3Greeting = "+OK sondepeer ready\r\n"
)

// smtpReply answers as RFC 5321 s.4.1 and s.4.2 have it. It takes no mail.
func smtpReply(line string, offersTLS bool) (answer string, last bool) {
	switch verb(line) {
	case "EHLO":
		extensions := "250-PIPELINING\r\n250-SIZE 1048576\r\n"
		if offersTLS {
			extensions += "250-STARTTLS\r\n"
		}
		return "250-sonde.test greets you\r\n" + extensions + "250 8BITMIME\r\n", false
	case "HELO":
		return "250 sonde.test\r\n", false
	case "NOOP", "RSET":
		return "250 2.0.0 OK\r\n", false
	case "QUIT":
		return "221 2.0.0 bye\r\n", true
	case "MAIL", "RCPT", "DATA":
		return "554 5.7.1 no mail here\r\n", false
	}
	return "500 5.5.1 command unknown\r\n", false
}

// smtpUpgrade answers STARTTLS (RFC 3207 s.4).
func smtpUpgrade(line string) (answer string, ok bool) {
	return "220 2.0.0 ready to start TLS\r\n", verb(line) == "STARTTLS"
}

// ftpReply answers as RFC 959 s.4.2 and RFC 2389 s.3 (FEAT) have it. It lets nobody in.
func ftpReply(line string, offersTLS bool) (answer string, last bool) {
	switch verb(line) {
	case "FEAT":
		features := " UTF8\r\n SIZE\r\n MDTM\r\n"
		if offersTLS {
			features += " AUTH TLS\r\n"
		}
		return "211-Features:\r\n" + features + "211 End\r\n", false
	case "SYST":
		return "215 UNIX Type: L8\r\n", false
	case "NOOP":
		return "200 OK\r\n", false
	case "USER":
		return "331 password required\r\n", false
	case "PASS":
		return "530 login incorrect\r\n", false
	case "QUIT":
		return "221 bye\r\n", true
	}
	return "500 command unknown\r\n", false
}

// ftpUpgrade answers AUTH TLS, also under its old name TLS-C (RFC 4217 s.4 and s.2).
func ftpUpgrade(line string) (answer string, ok bool) {
	words := strings.Fields(strings.ToUpper(line))
	return "234 proceed with TLS\r\n", len(words) == 2 && words[0] == "AUTH" && (words[1] == "TLS" || words[1] == "TLS-C")
}

// imapCapabilities is what the server can do. Where TLS is on offer nobody may log in without (RFC 9051 s.6.2.1).
func imapCapabilities(offersTLS bool) string {
	if offersTLS {
		return "IMAP4rev1 IDLE LITERAL+ STARTTLS LOGINDISABLED"
	}
	return "IMAP4rev1 IDLE LITERAL+"
}

func imapGreeting(offersTLS bool) string {
	return "* OK [CAPABILITY " + imapCapabilities(offersTLS) + "] sondepeer ready\r\n"
}

// imapReply answers as RFC 9051 s.6.1 and s.7.1 have it. It lets nobody in.
func imapReply(line string, offersTLS bool) (answer string, last bool) {
	tag, command, _ := strings.Cut(line, " ")
	if tag == "" || command == "" {
		return "* BAD a tag and a command, please\r\n", false
	}
	switch verb(command) {
	case "CAPABILITY":
		return "* CAPABILITY " + imapCapabilities(offersTLS) + "\r\n" + tag + " OK CAPABILITY completed\r\n", false
	case "NOOP":
		return tag + " OK NOOP completed\r\n", false
	case "LOGIN":
		return tag + " NO login incorrect\r\n", false
	case "LOGOUT":
		return "* BYE logging out\r\n" + tag + " OK LOGOUT completed\r\n", true
	}
	return tag + " BAD command unknown\r\n", false
}

// imapUpgrade answers STARTTLS (RFC 9051 s.6.2.1).
func imapUpgrade(line string) (answer string, ok bool) {
	tag, command, _ := strings.Cut(line, " ")
	return tag + " OK begin TLS\r\n", tag != "" && verb(command) == "STARTTLS"
}

// pop3Reply answers as RFC 1939 s.3 and RFC 2449 s.5 (CAPA) have it. It lets nobody in.
func pop3Reply(line string, offersTLS bool) (answer string, last bool) {
	switch verb(line) {
	case "CAPA":
		capabilities := "USER\r\nUIDL\r\nTOP\r\n"
		if offersTLS {
			capabilities += "STLS\r\n"
		}
		return "+OK capabilities follow\r\n" + capabilities + ".\r\n", false
	case "NOOP":
		return "+OK\r\n", false
	case "USER":
		return "+OK\r\n", false
	case "PASS":
		return "-ERR login incorrect\r\n", false
	case "QUIT":
		return "+OK bye\r\n", true
	}
	return "-ERR command unknown\r\n", false
}

// pop3Upgrade answers STLS (RFC 2595 s.4).
func pop3Upgrade(line string) (answer string, ok bool) {
	return "+OK begin TLS\r\n", verb(line) == "STLS"
}

// sieveCapabilities is the greeting of ManageSieve and the answer to CAPABILITY (RFC 5804 s.1.7). No mechanism to log in
// is named before TLS.
func sieveCapabilities(offersTLS bool) string {
	common := "\"IMPLEMENTATION\" \"sondepeer\"\r\n\"SIEVE\" \"fileinto\"\r\n\"VERSION\" \"1.0\"\r\n"
	if offersTLS {
		return common + "\"SASL\" \"\"\r\n\"STARTTLS\"\r\nOK\r\n"
	}
	return common + "\"SASL\" \"PLAIN\"\r\nOK\r\n"
}

// sieveReply answers as RFC 5804 s.2 has it. It lets nobody in.
func sieveReply(line string, offersTLS bool) (answer string, last bool) {
	switch verb(line) {
	case "CAPABILITY":
		return sieveCapabilities(offersTLS), false
	case "NOOP":
		return "OK\r\n", false
	case "LOGOUT":
		return "OK\r\n", true
	}
	return "NO \"command unknown\"\r\n", false
}

// sieveUpgrade answers STARTTLS (RFC 5804 s.2.2).
func sieveUpgrade(line string) (answer string, ok bool) {
	return "OK\r\n", verb(line) == "STARTTLS"
}
