package scan

import (
	"fmt"
	"syscall"
	"time"

	"sonde/engine"
	"sonde/internal/kernel/socket"
	"sonde/protocol"
	"sonde/report"
)

// judgement is what a record says of how a target ended.
type judgement struct {
	status report.Status
	side   report.Side
	text   string
}

// statusOf maps an outcome to a status, once and here only (docs/adr/0003). The blame follows the call that gave the
// errno: connect(2) itself speaks of this machine and its routes, SO_ERROR and reads of what came over the network; a
// refusal or a reset is the peer's in any case.
//
// An exchange that could judge what it had heard when the connection failed has the last word: a reset or a deadline takes
// nothing from an answer that lacked nothing. Without a finding there was no exchange, or it heard nothing.
func (s *Scan) statusOf(o *engine.Outcome) judgement { return judgementOf(o, &s.limits) }

// Judge is what a record would say of an outcome: its status, whose fault it is, and why in a few words for a person. limits
// are the engine's, with defaults filled in. It is for those who have outcomes and no scan (package bench), so that a word
// means the same everywhere.
func Judge(o *engine.Outcome, limits *engine.Limits) (report.Status, report.Side, string) {
	j := judgementOf(o, limits)
	return j.status, j.side, j.text
}

func judgementOf(o *engine.Outcome, limits *engine.Limits) judgement {
	if o.Conclusion.Finding != nil && o.Conclusion.Verdict != protocol.Unfinished {
		return ofConclusion(&o.Conclusion)
	}
	switch o.Cause {
	case engine.Answered, engine.Parked, engine.HeartbeatAnswered:
		return ofConclusion(&o.Conclusion)
	case engine.ConnectFailed:
		return ofConnectErrno(o.Call, o.Errno)
	case engine.ConnectTimeout:
		return judgement{report.ConnectionTimeout, report.SideRemote, "no answer to the connect within " + short(limits.Connect)}
	case engine.HandshakeTimeout:
		return judgement{report.TLSTimeout, report.SideRemote, "no TLS handshake within " + short(limits.Handshake)}
	case engine.ReadTimeout:
		return judgement{report.IOTimeout, report.SideRemote, "no whole answer within " + short(limits.Read)}
	case engine.TargetTimeout:
		return judgement{ofTargetTimeout(o.State), report.SideRemote, "target's time budget of " + short(limits.Target) + " is spent"}
	case engine.Reset:
		return ofReadErrno(o.Call, o.Errno)
	case engine.IdleTimeout:
		return judgement{report.IOTimeout, report.SideRemote, "silent for longer than the idle limit"}
	case engine.PeerClosed:
		return judgement{report.ConnectionClosed, report.SideRemote, "peer closed a kept connection"}
	case engine.FDLimit:
		return judgement{report.LocalFDLimit, report.SideLocal, "no file descriptor for over a minute: " + o.Errno.Error()}
	case engine.PortsExhausted:
		return judgement{report.LocalPortExhausted, report.SideLocal, "no local port for over a minute: " + o.Errno.Error()}
	case engine.BuffersExhausted:
		return judgement{report.LocalError, report.SideLocal, "no buffer for over a minute"}
	case engine.Cancelled:
		return judgement{report.Cancelled, report.SideLocal, "stopped while in flight"}
	}
	return judgement{report.LocalError, report.SideLocal, fmt.Sprintf("unknown end %d", o.Cause)}
}

func ofConclusion(c *protocol.Conclusion) judgement {
	j := judgement{side: report.SideRemote, text: c.Reason}
	var unsaid string // the reason, if the exchange gives none
	switch c.Verdict {
	case protocol.Success:
		return judgement{}
	case protocol.NotSpoken:
		j.status, unsaid = report.ProtocolError, "answer is not of this protocol"
	case protocol.Refused:
		j.status, unsaid = report.ApplicationError, "answer is not the one wanted"
	case protocol.OverLimit:
		j.status, unsaid = report.ByteLimit, "answer is above the byte limit"
	case protocol.HandshakeRefused:
		j.status, unsaid = report.HandshakeError, "peer refused the TLS handshake"
	case protocol.Incapable:
		j.status, j.side, unsaid = report.HandshakeError, report.SideLocal, "our TLS lacks what the peer wants"
	case protocol.Untrusted:
		j.status, unsaid = report.CertificateError, "certificate is not to be believed"
	case protocol.Closed, protocol.Unfinished:
		j.status, unsaid = report.ConnectionClosed, "connection ended before the answer did"
	}
	if j.text == "" {
		j.text = unsaid
	}
	return j
}

func ofTargetTimeout(s engine.State) report.Status {
	switch s {
	case engine.Connecting:
		return report.ConnectionTimeout
	case engine.Handshaking:
		return report.TLSTimeout
	}
	return report.IOTimeout
}

// ofConnectErrno maps the errnos of connect(2), tcp(7), icmp(7) and ipv6(7). What has no word of its own in the closed set
// goes to the nearest one by what the user would do about it; the text keeps the errno.
func ofConnectErrno(call socket.Call, errno syscall.Errno) judgement {
	j := judgement{report.HostUnreachable, report.SideRemote, "connect: " + errno.Error()}
	if call != socket.CallSOError {
		j = judgement{report.LocalError, report.SideLocal, call.String() + ": " + errno.Error() + ownRoute(call, errno)}
	}
	switch errno {
	case syscall.ECONNREFUSED:
		j = judgement{report.ConnectionRefused, report.SideRemote, "connect: " + errno.Error()}
	case syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE:
		j = judgement{report.ConnectionReset, report.SideRemote, "connect: " + errno.Error()}
	case syscall.ETIMEDOUT:
		j.status = report.ConnectionTimeout
	case syscall.EHOSTUNREACH, syscall.EHOSTDOWN:
		j.status = report.HostUnreachable
	case syscall.ENETUNREACH, syscall.ENETDOWN:
		j.status = report.NetworkUnreachable
	}
	return j
}

// ownRoute adds to an errno of bind(2) or of connect(2) itself what it says of this machine's addresses, routes
// (ip-route(8), route types) and firewall, where its own words would send the reader elsewhere.
func ownRoute(call socket.Call, errno syscall.Errno) string {
	if call == socket.CallBind && errno == syscall.EADDRNOTAVAIL {
		return " (this machine has no such source address, or none to reach the target from)"
	}
	if call != socket.CallConnect {
		return ""
	}
	switch errno {
	case syscall.ENETUNREACH, syscall.EHOSTUNREACH:
		return " (by this machine's routes)"
	case syscall.EACCES, syscall.EPERM:
		return " (by a route or firewall of this machine)"
	case syscall.EINVAL:
		return " (a blackhole route of this machine?)"
	}
	return ""
}

// ofReadErrno maps the errnos of an established connection.
func ofReadErrno(call socket.Call, errno syscall.Errno) judgement {
	j := judgement{side: report.SideRemote, text: "established, then " + errno.Error()}
	switch errno {
	case syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED:
		j.status = report.ConnectionReset
	case syscall.ETIMEDOUT:
		j.status = report.IOTimeout
	case syscall.EHOSTUNREACH, syscall.EHOSTDOWN,
		syscall.EACCES, syscall.ENOPROTOOPT, syscall.EOPNOTSUPP, syscall.EMSGSIZE, syscall.EPROTO: // of ICMP, as above
		j.status = report.HostUnreachable
	case syscall.ENETUNREACH, syscall.ENETDOWN:
		j.status = report.NetworkUnreachable
	default:
		return judgement{report.LocalError, report.SideLocal, call.String() + ": " + errno.Error()}
	}
	return j
}

// short writes a limit as the user would: "3.5s", not "3.500s".
func short(d time.Duration) string { return d.String() }
