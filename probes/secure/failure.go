package secure

import (
	"crypto/tls"
	"errors"

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
	case tlsclient.Cut:
		// Of a connection that ended the engine says so itself (ErrHandshakeCut). What is left is close_notify, by which
		// crypto/tls sees a stream end in good order: it is an alert, and nothing was in order yet.
		f.Cause, f.Alert = tlsclient.PeerAlert, uint8(tlswire.AlertCloseNotify)
		f.verdict, f.reason = protocol.HandshakeRefused, "alert "+f.alert()
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
	var header tls.RecordHeaderError
	if e.broken.isFirst() || e.broken.err != nil && errors.As(h.Err, &header) {
		f.verdict, f.reason = e.broken.verdict()
	}
	e.verdict, e.reason, e.overrule = f.verdict, f.reason, true
	e.facts.Alert = f.alert()
	if f.Cause == tlsclient.ECHRejected {
		e.facts.ECH, e.facts.ECHRetry = tlsfacts.No, f.RetryConfigs
	}
	e.leave()
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
		e.verdict, e.reason = tlsfacts.Ended(end, err)
	case protocol.EndTooLarge:
		e.verdict, e.reason = protocol.OverLimit, err.Error()
	default:
		e.verdict, e.reason = protocol.Unfinished, "no end of the TLS handshake in time"
	}
	switch {
	case e.reuse.second():
		e.reason = onSecond + e.reason
	case e.broken.isFirst() && end != protocol.EndCancelled && end != protocol.EndNoConnection:
		// Too few for crypto/tls to have looked at, which wants a whole header, and of what is too long the whole record.
		e.verdict, e.reason = e.broken.verdict()
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
