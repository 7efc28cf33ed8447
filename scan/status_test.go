package scan

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"sonde/engine"
	"sonde/internal/kernel/socket"
	"sonde/protocol"
	"sonde/report"
)

// someFinding is a finding with nothing in it.
type someFinding struct{}

func (someFinding) AppendJSON(dst []byte) []byte { return append(dst, "{}"...) }
func (someFinding) Brief() string                { return "something" }

func judge(t *testing.T, o engine.Outcome) judgement {
	t.Helper()
	s := &Scan{limits: engine.Limits{Target: 30 * time.Second}.WithDefaults()}
	j := s.statusOf(&o)
	wantText(t, j.status, j.text)
	return j
}

// wantText has an error there for every failure, and fit to be read: one line, lower case unless it quotes the peer.
func wantText(t *testing.T, status report.Status, text string) {
	t.Helper()
	switch {
	case status == report.Success && text != "":
		t.Errorf("got error %q with success", text)
	case status != report.Success && text == "":
		t.Errorf("got no error text with %v", status)
	case strings.ContainsAny(text, "\n\r"):
		t.Errorf("got error %q, want one line", text)
	case text != "" && status != report.ApplicationError && strings.ToLower(text[:1]) != text[:1]:
		t.Errorf("got error %q, want lower case", text)
	}
}

// TestStatusOfCause has an entry for every cause but those that an errno decides, which have tables of their own below.
func TestStatusOfCause(t *testing.T) {
	tests := map[string]struct {
		outcome engine.Outcome
		want    judgement
	}{
		"established, no exchange": {engine.Outcome{Cause: engine.Answered}, judgement{}},
		"success":                  {engine.Outcome{Cause: engine.Answered, Conclusion: protocol.Conclusion{Finding: someFinding{}}}, judgement{}},
		"parked":                   {engine.Outcome{Cause: engine.Parked}, judgement{}},
		"closed": {engine.Outcome{Cause: engine.Answered, Conclusion: protocol.Conclusion{Verdict: protocol.Closed, Reason: "closed before the greeting"}},
			judgement{report.ConnectionClosed, report.SideRemote, "closed before the greeting"}},
		"not spoken": {engine.Outcome{Cause: engine.Answered, Conclusion: protocol.Conclusion{Verdict: protocol.NotSpoken, Reason: "not ssh: no line"}},
			judgement{report.ProtocolError, report.SideRemote, "not ssh: no line"}},
		"refused": {engine.Outcome{Cause: engine.Answered, Conclusion: protocol.Conclusion{Verdict: protocol.Refused, Reason: "status 503, want 200"}},
			judgement{report.ApplicationError, report.SideRemote, "status 503, want 200"}},
		"over the limit": {engine.Outcome{Cause: engine.Answered, Conclusion: protocol.Conclusion{Verdict: protocol.OverLimit, Reason: "4096 bytes and no end"}},
			judgement{report.ByteLimit, report.SideRemote, "4096 bytes and no end"}},
		"unfinished": {engine.Outcome{Cause: engine.Answered, Conclusion: protocol.Conclusion{Verdict: protocol.Unfinished}},
			judgement{report.ConnectionClosed, report.SideRemote, "connection ended before the answer did"}},
		"refused without a word": {engine.Outcome{Cause: engine.Answered, Conclusion: protocol.Conclusion{Verdict: protocol.Refused}},
			judgement{report.ApplicationError, report.SideRemote, "answer is not the one wanted"}},

		"handshake refused": {engine.Outcome{Cause: engine.Answered, Conclusion: protocol.Conclusion{Verdict: protocol.HandshakeRefused, Reason: "alert handshake_failure"}},
			judgement{report.HandshakeError, report.SideRemote, "alert handshake_failure"}},
		"incapable": {engine.Outcome{Cause: engine.Answered, Conclusion: protocol.Conclusion{Verdict: protocol.Incapable, Reason: "our TLS lacks the suite"}},
			judgement{report.HandshakeError, report.SideLocal, "our TLS lacks the suite"}},
		"untrusted": {engine.Outcome{Cause: engine.Answered, Conclusion: protocol.Conclusion{Verdict: protocol.Untrusted, Reason: "certificate is expired"}},
			judgement{report.CertificateError, report.SideRemote, "certificate is expired"}},
		"untrusted without a word": {engine.Outcome{Cause: engine.Answered, Conclusion: protocol.Conclusion{Verdict: protocol.Untrusted}},
			judgement{report.CertificateError, report.SideRemote, "certificate is not to be believed"}},

		"connect timeout": {engine.Outcome{Cause: engine.ConnectTimeout, State: engine.Connecting},
			judgement{report.ConnectionTimeout, report.SideRemote, "no answer to the connect within 3.5s"}},
		"handshake timeout": {engine.Outcome{Cause: engine.HandshakeTimeout, State: engine.Handshaking},
			judgement{report.TLSTimeout, report.SideRemote, "no TLS handshake within 5s"}},
		"read timeout": {engine.Outcome{Cause: engine.ReadTimeout, State: engine.Active},
			judgement{report.IOTimeout, report.SideRemote, "no whole answer within 5s"}},
		"target timeout, connecting": {engine.Outcome{Cause: engine.TargetTimeout, State: engine.Connecting},
			judgement{report.ConnectionTimeout, report.SideRemote, "target's time budget of 30s is spent"}},
		"target timeout, handshaking": {engine.Outcome{Cause: engine.TargetTimeout, State: engine.Handshaking},
			judgement{report.TLSTimeout, report.SideRemote, "target's time budget of 30s is spent"}},
		"target timeout, active": {engine.Outcome{Cause: engine.TargetTimeout, State: engine.Active},
			judgement{report.IOTimeout, report.SideRemote, "target's time budget of 30s is spent"}},
		"idle timeout": {engine.Outcome{Cause: engine.IdleTimeout, State: engine.Idle},
			judgement{report.IOTimeout, report.SideRemote, "silent for longer than the idle limit"}},
		"closed while kept": {engine.Outcome{Cause: engine.PeerClosed, State: engine.Idle},
			judgement{report.ConnectionClosed, report.SideRemote, "peer closed a kept connection"}},

		"no descriptor": {engine.Outcome{Cause: engine.FDLimit, Call: socket.CallSocket, Errno: syscall.EMFILE},
			judgement{report.LocalFDLimit, report.SideLocal, "no file descriptor for over a minute: too many open files"}},
		"no port": {engine.Outcome{Cause: engine.PortsExhausted, Call: socket.CallConnect, Errno: syscall.EADDRNOTAVAIL},
			judgement{report.LocalPortExhausted, report.SideLocal, "no local port for over a minute: " + syscall.EADDRNOTAVAIL.Error()}},
		"no buffer": {engine.Outcome{Cause: engine.BuffersExhausted, State: engine.Active},
			judgement{report.LocalError, report.SideLocal, "no buffer for over a minute"}},
		"cancelled": {engine.Outcome{Cause: engine.Cancelled, State: engine.Active},
			judgement{report.Cancelled, report.SideLocal, "stopped while in flight"}},
		"unknown": {engine.Outcome{Cause: 200}, judgement{report.LocalError, report.SideLocal, "unknown end 200"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := judge(t, tt.outcome); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestStatusOfVerdictAtTheEnd has a verdict that an exchange could give count, however the connection ended: what was heard
// before a reset or a timeout may be all that was wanted.
func TestStatusOfVerdictAtTheEnd(t *testing.T) {
	reset := engine.Outcome{Cause: engine.Reset, Call: socket.CallRead, Errno: syscall.ECONNRESET}
	late := engine.Outcome{Cause: engine.ReadTimeout, State: engine.Active}
	spent := engine.Outcome{Cause: engine.TargetTimeout, State: engine.Active}
	cancelled := engine.Outcome{Cause: engine.Cancelled, State: engine.Active}
	slow := engine.Outcome{Cause: engine.HandshakeTimeout, State: engine.Handshaking}
	with := func(o engine.Outcome, v protocol.Verdict, f protocol.Finding) engine.Outcome {
		o.Conclusion = protocol.Conclusion{Verdict: v, Reason: "a reason", Finding: f}
		return o
	}
	tests := map[string]struct {
		outcome engine.Outcome
		status  report.Status
	}{
		"reset, no exchange":          {reset, report.ConnectionReset},
		"reset, unfinished":           {with(reset, protocol.Unfinished, someFinding{}), report.ConnectionReset},
		"reset, success":              {with(reset, protocol.Success, someFinding{}), report.Success},
		"reset, refused":              {with(reset, protocol.Refused, someFinding{}), report.ApplicationError},
		"read limit, unfinished":      {with(late, protocol.Unfinished, someFinding{}), report.IOTimeout},
		"read limit, success":         {with(late, protocol.Success, someFinding{}), report.Success},
		"time budget, unfinished":     {with(spent, protocol.Unfinished, someFinding{}), report.IOTimeout},
		"time budget, success":        {with(spent, protocol.Success, someFinding{}), report.Success},
		"handshake limit, unfinished": {with(slow, protocol.Unfinished, someFinding{}), report.TLSTimeout},
		"handshake limit, untrusted":  {with(slow, protocol.Untrusted, someFinding{}), report.CertificateError},
		"handshake limit, not TLS":    {with(slow, protocol.NotSpoken, someFinding{}), report.ProtocolError},
		"reset, handshake refused":    {with(reset, protocol.HandshakeRefused, someFinding{}), report.HandshakeError},
		"cancelled, unfinished":       {with(cancelled, protocol.Unfinished, someFinding{}), report.Cancelled},
		"cancelled, success":          {with(cancelled, protocol.Success, someFinding{}), report.Success},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := judge(t, tt.outcome); got.status != tt.status {
				t.Errorf("got %+v, want status %v", got, tt.status)
			}
		})
	}
}

// TestStatusOfConnectErrno goes through the errnos of connect(2), tcp(7), icmp(7), ip(7) and ipv6(7): as connect(2) itself
// gives them, and as SO_ERROR does.
func TestStatusOfConnectErrno(t *testing.T) {
	type verdict struct {
		status report.Status
		side   report.Side
	}
	var (
		refused = verdict{report.ConnectionRefused, report.SideRemote}
		reset   = verdict{report.ConnectionReset, report.SideRemote}
		ours    = verdict{report.LocalError, report.SideLocal}
		host    = verdict{report.HostUnreachable, report.SideRemote}
	)
	tests := map[syscall.Errno]struct{ connect, soError verdict }{
		syscall.ECONNREFUSED: {refused, refused},
		syscall.ECONNRESET:   {reset, reset},
		syscall.ECONNABORTED: {reset, reset},
		syscall.EPIPE:        {reset, reset},
		syscall.ETIMEDOUT: {verdict{report.ConnectionTimeout, report.SideLocal},
			verdict{report.ConnectionTimeout, report.SideRemote}},
		syscall.EHOSTUNREACH: {verdict{report.HostUnreachable, report.SideLocal}, host},
		syscall.EHOSTDOWN:    {verdict{report.HostUnreachable, report.SideLocal}, host},
		syscall.ENETUNREACH: {verdict{report.NetworkUnreachable, report.SideLocal},
			verdict{report.NetworkUnreachable, report.SideRemote}},
		syscall.ENETDOWN: {verdict{report.NetworkUnreachable, report.SideLocal},
			verdict{report.NetworkUnreachable, report.SideRemote}},
		// ICMP and ICMPv6 codes that have no word of their own: prohibited, protocol unreachable, source route failed,
		// fragmentation needed, parameter problem.
		syscall.EACCES:      {ours, host},
		syscall.ENOPROTOOPT: {ours, host},
		syscall.EOPNOTSUPP:  {ours, host},
		syscall.EMSGSIZE:    {ours, host},
		syscall.EPROTO:      {ours, host},
		// What only this machine says.
		syscall.EPERM:         {ours, host},
		syscall.EINVAL:        {ours, host},
		syscall.EAFNOSUPPORT:  {ours, host},
		syscall.EADDRNOTAVAIL: {ours, host},
		syscall.EALREADY:      {ours, host},
		syscall.EISCONN:       {ours, host},
	}
	for errno, tt := range tests {
		t.Run(errno.Error(), func(t *testing.T) {
			for call, want := range map[socket.Call]verdict{socket.CallConnect: tt.connect, socket.CallSOError: tt.soError} {
				got := judge(t, engine.Outcome{Cause: engine.ConnectFailed, Call: call, Errno: errno})
				if (verdict{got.status, got.side}) != want {
					t.Errorf("%v: got %v %v, want %v %v", call, got.status, got.side, want.status, want.side)
				}
			}
		})
	}
}

// TestConnectErrorText has the words name the call where it tells something, and what to look at where the errno does not.
func TestConnectErrorText(t *testing.T) {
	tests := map[string]struct {
		call   socket.Call
		errno  syscall.Errno
		before string
		after  string
	}{
		"refused":               {socket.CallSOError, syscall.ECONNREFUSED, "connect: ", ""},
		"refused at once":       {socket.CallConnect, syscall.ECONNREFUSED, "connect: ", ""},
		"no route of ours":      {socket.CallConnect, syscall.ENETUNREACH, "connect: ", " (by this machine's routes)"},
		"unreachable route":     {socket.CallConnect, syscall.EHOSTUNREACH, "connect: ", " (by this machine's routes)"},
		"told by ICMP":          {socket.CallSOError, syscall.EHOSTUNREACH, "connect: ", ""},
		"prohibited by us":      {socket.CallConnect, syscall.EACCES, "connect: ", " (by a route or firewall of this machine)"},
		"prohibited on the way": {socket.CallSOError, syscall.EACCES, "connect: ", ""},
		"firewall of ours":      {socket.CallConnect, syscall.EPERM, "connect: ", " (by a route or firewall of this machine)"},
		"blackhole":             {socket.CallConnect, syscall.EINVAL, "connect: ", " (a blackhole route of this machine?)"},
		"source not ours":       {socket.CallBind, syscall.EADDRNOTAVAIL, "bind: ", " (this machine has no such source address, or none to reach the target from)"},
		"no IPv6":               {socket.CallSocket, syscall.EAFNOSUPPORT, "socket: ", ""},
		"watch":                 {socket.CallPoll, syscall.EPERM, "poll: ", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			want := tt.before + tt.errno.Error() + tt.after
			if got := judge(t, engine.Outcome{Cause: engine.ConnectFailed, Call: tt.call, Errno: tt.errno}).text; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// TestStatusOfReadErrno goes through the errnos of an established connection: tcp(7), read(2), write(2).
func TestStatusOfReadErrno(t *testing.T) {
	tests := map[syscall.Errno]struct {
		status report.Status
		side   report.Side
	}{
		syscall.ECONNRESET:   {report.ConnectionReset, report.SideRemote},
		syscall.EPIPE:        {report.ConnectionReset, report.SideRemote},
		syscall.ECONNABORTED: {report.ConnectionReset, report.SideRemote},
		syscall.ETIMEDOUT:    {report.IOTimeout, report.SideRemote},
		syscall.EHOSTUNREACH: {report.HostUnreachable, report.SideRemote},
		syscall.EHOSTDOWN:    {report.HostUnreachable, report.SideRemote},
		syscall.ENETUNREACH:  {report.NetworkUnreachable, report.SideRemote},
		syscall.ENETDOWN:     {report.NetworkUnreachable, report.SideRemote},
		syscall.EACCES:       {report.HostUnreachable, report.SideRemote},
		syscall.ENOPROTOOPT:  {report.HostUnreachable, report.SideRemote},
		syscall.EPROTO:       {report.HostUnreachable, report.SideRemote},
		syscall.EMSGSIZE:     {report.HostUnreachable, report.SideRemote},
		syscall.EFAULT:       {report.LocalError, report.SideLocal},
		syscall.EBADF:        {report.LocalError, report.SideLocal},
		syscall.EINVAL:       {report.LocalError, report.SideLocal},
		syscall.EIO:          {report.LocalError, report.SideLocal},
		syscall.ENOMEM:       {report.LocalError, report.SideLocal},
		syscall.ENOBUFS:      {report.LocalError, report.SideLocal},
		syscall.ENOTCONN:     {report.LocalError, report.SideLocal},
	}
	for errno, tt := range tests {
		t.Run(errno.Error(), func(t *testing.T) {
			for _, call := range []socket.Call{socket.CallRead, socket.CallWrite, socket.CallSOError} {
				got := judge(t, engine.Outcome{Cause: engine.Reset, State: engine.Active, Call: call, Errno: errno})
				if got.status != tt.status || got.side != tt.side {
					t.Errorf("%v: got %v %v, want %v %v", call, got.status, got.side, tt.status, tt.side)
				}
			}
		})
	}
}
