package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sonde/report"
	"sonde/serve"
)

// checkTLS refuses flags about TLS targets where there are none.
func (o *serveOptions) checkTLS() error {
	if (o.clientCert == "") != (o.clientKey == "") {
		return &usageError{"--client-cert and --client-key go together", "give each a file of its own"}
	}
	hasTLS := o.cfg.TLS && len(o.cfg.Kinds) == 0
	for _, a := range serve.Kinds() {
		hasTLS = hasTLS || a.TLS && slices.Contains(o.cfg.Kinds, a.Kind)
	}
	for _, flag := range []string{"tls", "delay", "ca-file", "client-cert"} {
		if !o.p.parsed.given[flag] || hasTLS {
			continue
		}
		if flag == "tls" && o.cfg.TLS {
			return &usageError{"--tls: none of the --kinds speaks TLS", "leave --kinds out for all that do"}
		}
		if flag != "tls" {
			return &usageError{"--" + flag + " without a target that speaks TLS", "--tls runs them"}
		}
	}
	return nil
}

// writeCertificates writes what a client needs to trust the fleet and to be trusted.
func (o *serveOptions) writeCertificates(fleet fleet) error {
	if o.caFile != "" {
		if err := report.WriteWhole(o.caFile, fleet.RootPEM(), 0); err != nil {
			return fmt.Errorf("write the authority: %w", err)
		}
	}
	if o.clientCert == "" {
		return nil
	}
	one, ok := fleet.(*serve.Fleet) // checkWorkers sees to it
	if !ok {
		return errors.New("workers share no client's certificate")
	}
	cert, key, err := one.ClientPEM()
	if err != nil {
		return fmt.Errorf("make a client's certificate: %w", err)
	}
	if err := report.WriteWhole(o.clientKey, key, 0o600); err != nil {
		return fmt.Errorf("write the client's key: %w", err)
	}
	if err := report.WriteWhole(o.clientCert, cert, 0); err != nil {
		return fmt.Errorf("write the client's certificate: %w", err)
	}
	return nil
}

// suggestions are the command lines by which the TLS targets are scanned as the table says; "" without any.
func (o *serveOptions) suggestions(targets []serve.Endpoint) string {
	direct, greeting := -1, -1 // the first target of each
	for i, t := range targets {
		switch {
		case t.Probe != tlsProbe:
		case t.StartTLS != "" && greeting < 0:
			greeting = i
		case t.StartTLS == "" && direct < 0:
			direct = i
		}
	}
	var lines []string
	if direct >= 0 {
		what := shellQuote(targets[direct].Line())
		if o.targets != "" {
			what = "-f " + shellQuote(o.targets)
		}
		lines = append(lines, "  sonde scan "+what+" --probe tls"+o.trust())
	}
	if greeting >= 0 {
		t := targets[greeting]
		lines = append(lines, "  sonde scan "+shellQuote(t.Line())+" --probe tls --starttls "+t.StartTLS+o.trust())
	}
	if len(lines) == 0 {
		return ""
	}
	text := "\nto scan them:\n" + strings.Join(lines, "\n") + "\n"
	if o.caFile == "" {
		text += "without --ca-file nothing can trust them: -k takes bad certificates, so that all of these are a success\n"
	}
	if o.targets != "" && direct >= 0 && greeting >= 0 {
		text += "the targets in " + o.targets + " that begin TLS on request want their --starttls, one scan each\n"
	}
	return text
}

// trust is how a scan believes the fleet's certificates.
func (o *serveOptions) trust() string {
	if o.caFile == "" {
		return " -k"
	}
	return " --cacert " + shellQuote(o.caFile)
}

// shellQuote quotes a word for sh(1) if it needs that.
func shellQuote(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./,:[]"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
