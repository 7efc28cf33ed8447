package tlsclient

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
)

// Cause says why a handshake failed, so that whose fault it is can be told.
type Cause uint8

const (
	// Incapable: our stack does not go on where another one might: it lacks what the peer chose, takes what the peer
	// showed for too weak, or our own certificate or configuration does not suit. Also what we can't explain, so that no
	// peer is blamed for it.
	Incapable Cause = iota
	// PeerAlert: the peer ended the handshake by an alert.
	PeerAlert
	// PeerFault: what the peer sent is TLS, but against the rules: a wrong signature, a bad Finished, a choice that was
	// not offered, a message that does not parse.
	PeerFault
	// NotTLS: the peer's first bytes are no TLS record.
	NotTLS
	// TooLarge: a message of the peer's is above the limits of crypto/tls: 64 KiB, 256 KiB for certificates; or a record is
	// above that of the protocol (RFC 8446 s.5.1, s.5.2).
	TooLarge
	// BadCertificate: a certificate of the peer's can't be parsed, and so the handshake can't go on.
	BadCertificate
	// ECHRejected: the server did not take the encrypted hello (RFC 9849 s.6.1.6).
	ECHRejected
	// Cut: the connection ended first; the peer's close_notify counts as its end.
	Cut
)

// String returns the cause's name, for tests and debugging.
func (c Cause) String() string {
	return [...]string{
		"incapable", "peer alert", "peer fault", "not TLS", "too large", "bad certificate", "ECH rejected", "cut",
	}[c]
}

// Failure is a failed handshake, taken apart.
type Failure struct {
	Cause Cause
	// Alert is the number of the peer's alert (registry "TLS Alerts", RFC 8446 s.6) for PeerAlert, else 0.
	Alert uint8
	// Reason says what happened in a few words for a person, at most maxReason bytes. It may quote the peer.
	Reason string
	// RetryConfigs is the ECHConfigList that the server gave with ECHRejected; nil if it gave none, which says that
	// it does not know ECH at all (RFC 9849 s.6.1.6). Nobody has looked at the certificate that it came with.
	RetryConfigs []byte
}

// maxReason is how long a Reason may be: an error of crypto/x509 may quote a whole name out of a certificate.
const maxReason = 200

// Diagnose takes apart what [tls.Conn.Handshake] answered to a client whose configuration is of [Offer.Config]; err is
// not nil.
//
// By type it tells the peer's alert, what is not TLS and a rejected ECH. The alert's number has no exported type outside
// QUIC and is read by reflection from one. The rest crypto/tls tells in words alone, so it is told by their beginning: a
// test holds the table against the source of the crypto/tls that it is built with, so that a new Go version can't
// change a word unnoticed.
//
// A choice of the server's that was not among what was offered is its fault even where crypto/tls calls it
// "unsupported", since the hello said what we have. Three are not, because servers do so in good faith: SSL 3.0, which they
// choose before anybody can object (RFC 5246 s.E.1) and Go lacks, a signature of a kind that was not offered by a server
// that has no other (as RFC 8446 s.4.4.2.2 allows for chains), and a key that Go takes for too weak or too long.
func Diagnose(err error) Failure {
	var rejected *tls.ECHRejectionError
	var header tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.As(err, &rejected):
		return Failure{Cause: ECHRejected, Reason: "the server rejected the encrypted hello", RetryConfigs: rejected.RetryConfigList}
	case errors.As(err, &header):
		return badHeader(header)
	case errors.As(err, &op):
		if n, ok := alertNumber(op.Err); ok {
			return alerted(op.Op, n, op.Err)
		}
		return Failure{Cause: Cut, Reason: shorten(err.Error())}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Failure{Cause: Cut, Reason: "the connection ended in the handshake"}
	}
	text := err.Error()
	f := Failure{Cause: Incapable, Reason: shorten(strings.TrimPrefix(text, "tls: "))}
	if text == ssl30Selected {
		return f
	}
	for _, w := range wordings {
		if strings.HasPrefix(text, w.begins) {
			f.Cause = w.cause
			break
		}
	}
	return f
}

// Types of records, and the major version of all (RFC 8446 s.5.1).
const (
	firstRecordType = 20
	lastRecordType  = 24 // heartbeat, RFC 6520 s.6
	majorVersion    = 3
)

// badHeader tells what is no TLS from TLS that is wrong.
func badHeader(e tls.RecordHeaderError) Failure {
	f := Failure{Cause: PeerFault, Reason: shorten(strings.TrimPrefix(e.Msg, "tls: "))}
	h := e.RecordHeader
	record := h[0] >= firstRecordType && h[0] <= lastRecordType && h[1] == majorVersion
	// Conn is set as long as the peer had not said anything that makes sense. A first byte of 0x80 is judged before that
	// is known; it is the length of an SSL 2.0 record (RFC 6101 s.E), or nothing.
	switch {
	case e.Conn != nil && !record || h[0] == 0x80:
		f.Cause, f.Reason = NotTLS, "the first bytes are not TLS"
	case strings.HasPrefix(e.Msg, "oversized record received"):
		f.Cause = TooLarge
	}
	return f
}

// alertNumber finds the number in crypto/tls' own type for alerts, which is not exported; [tls.AlertError] is what QUIC has.
func alertNumber(err error) (uint8, bool) {
	v := reflect.ValueOf(err)
	if !v.IsValid() || v.Kind() != reflect.Uint8 || !strings.HasPrefix(v.Type().PkgPath(), "crypto/tls") {
		return 0, false
	}
	return uint8(v.Uint()), true
}

// Alerts of ours that say more than that the peer broke the rules (RFC 8446 s.6.2).
const (
	recordOverflow = 22 // a record is too long
	internalError  = 80 // what is not the peer's fault
)

// alerted tells the peer's alert from one that crypto/tls sent and had no other word for.
func alerted(op string, number uint8, err error) Failure {
	f := Failure{Reason: shorten(strings.TrimPrefix(err.Error(), "tls: "))}
	switch {
	case op == "remote error":
		f.Cause, f.Alert = PeerAlert, number
	case number == internalError:
		f.Reason = "internal error of crypto/tls"
	case number == recordOverflow:
		f.Cause, f.Reason = TooLarge, "a record is too long"
	default:
		f.Cause, f.Reason = PeerFault, "the peer broke the rules: "+f.Reason
	}
	return f
}

// shorten cuts a text to maxReason bytes, not within a character.
func shorten(s string) string {
	const dots = "..."
	if len(s) <= maxReason {
		return s
	}
	return strings.ToValidUTF8(s[:maxReason-len(dots)], "") + dots
}
