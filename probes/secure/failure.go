package secure

import (
	"bytes"

	"sonde/internal/tlsclient"
	"sonde/probes/internal/conclude"
	"sonde/probes/internal/tlsfacts"
	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// failure is what to make of a handshake that failed.
type failure struct {
	tlsclient.Failure
	verdict protocol.Verdict
	reason  string
}

// explain makes the verdict.
func (e *exchange) explain(err error) failure {
	f := failure{Failure: tlsclient.Diagnose(err)}
	f.reason = f.Reason
	switch f.Cause {
	case tlsclient.PeerAlert:
		f.verdict, f.reason = protocol.HandshakeRefused, "alert "+f.alert()
	case tlsclient.PeerFault:
		f.verdict = protocol.HandshakeRefused
	case tlsclient.ECHRejected:
		// Whoever encrypts the hello does not want to go on without.
		f.verdict, f.reason = protocol.HandshakeRefused, "ECH rejected"
	case tlsclient.NotTLS:
		f.verdict, f.reason = protocol.NotSpoken, tlsfacts.NotTLS
	case tlsclient.TooLarge:
		f.verdict = protocol.OverLimit
	case tlsclient.BadCertificate:
		// Insecure forgives what a certificate is worth, but crypto/tls goes no further with one that it can't read.
		f.verdict = protocol.Untrusted
		if e.layer.options.Insecure {
			f.verdict = protocol.Incapable
		}
	case tlsclient.Cut: // by close_notify, which ends it in good order
		f.verdict, f.reason = protocol.Closed, "closed "+e.during()
	default:
		f.verdict = protocol.Incapable
	}
	return f
}

// alert is the name of the peer's alert; empty if there was none.
func (f failure) alert() string {
	if f.Cause != tlsclient.PeerAlert {
		return ""
	}
	return tlswire.AlertDescription(f.Alert).String()
}

// during says how far the present connection's handshake had got, as far as that is known.
func (e *exchange) during() string {
	switch {
	case e.reuse.second():
		return "in the TLS handshake"
	case e.facts.Version != 0:
		return "after " + tlsfacts.TheHello
	}
	return "before " + tlsfacts.TheHello
}

// onFailure makes the verdict on a handshake that failed. One that was cut off is left to OnEnd.
func (e *exchange) onFailure(h *protocol.Handshake) {
	if h.Err == protocol.ErrHandshakeCut {
		return
	}
	f := e.explain(h.Err)
	e.verdict, e.reason, e.overrule = f.verdict, f.reason, true
	e.facts.Alert = f.alert()
	switch f.Cause {
	case tlsclient.ECHRejected:
		e.facts.ECH, e.facts.ECHRetry = tlsfacts.No, f.RetryConfigs
	case tlsclient.NotTLS:
		e.facts.FirstBytes = firstBytes(h.Flight)
	}
	e.leave()
}

// firstBytes copies what a record keeps of a peer's bytes that are not TLS.
func firstBytes(flight []byte) []byte {
	return bytes.Clone(flight[:min(len(flight), conclude.MaxReceived)])
}

// leave tells an inner exchange that has begun on an earlier connection that there is none now.
func (e *exchange) leave() {
	if e.begun {
		e.inner.OnEnd(protocol.EndNoConnection, nil, nil)
	}
}

// onCut is the end of a connection in its handshake, or of one that was not had.
func (e *exchange) onCut(end protocol.End, rest []byte, err error) {
	e.overrule = true
	switch end {
	case protocol.EndOfStream:
		e.verdict, e.reason = protocol.Closed, "closed "+e.during()
	case protocol.EndReset:
		e.verdict, e.reason = protocol.Unfinished, "reset "+e.during()
	case protocol.EndCancelled:
		e.verdict, e.reason = protocol.Unfinished, "cancelled "+e.during()
	case protocol.EndNoConnection:
		e.verdict, e.reason = protocol.Unfinished, "none"
	case protocol.EndMalformed: // only of the records that reuse reads itself
		e.verdict, e.reason = protocol.NotSpoken, tlsfacts.NotTLS
	case protocol.EndTooLarge:
		e.verdict, e.reason = protocol.OverLimit, err.Error()
	default:
		e.verdict, e.reason = protocol.Unfinished, "no end of the TLS handshake in time"
	}
	switch {
	case e.reuse.second():
		e.reason = onSecond + e.reason
	case len(e.facts.FirstBytes) > 0 && end != protocol.EndCancelled && end != protocol.EndNoConnection:
		// Too few for crypto/tls to have looked at, which wants a whole header.
		e.verdict, e.reason = protocol.NotSpoken, tlsfacts.NotTLS
	}
	e.leave()
}

// onSilence is the end of a connection on which nothing was to be said behind the handshake, but the server's last word was
// awaited.
func (e *exchange) onSilence(end protocol.End, err error) {
	const behind = " behind the handshake"
	switch end {
	case protocol.EndQuiet, protocol.EndTimeout:
		// It is content.
	case protocol.EndOfStream, protocol.EndReset:
		if !e.asked {
			break // it gave no ticket
		}
		// It wanted a certificate and did not want ours.
		e.overrule = true
		e.verdict, e.reason = protocol.Closed, "closed"+behind+", in which a client certificate was asked for"
		if end == protocol.EndReset {
			e.verdict, e.reason = protocol.Unfinished, "reset"+behind+", in which a client certificate was asked for"
		}
	case protocol.EndCancelled:
		e.overrule = true
		e.verdict, e.reason = protocol.Unfinished, "cancelled"+behind
	default:
		e.overrule = true
		e.verdict, e.reason = conclude.Ended(end, err, "the session ticket")
	}
}
