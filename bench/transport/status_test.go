package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"sonde/report"
)

func TestStatusOf(t *testing.T) {
	dial := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", errno)}
	}
	tests := map[string]struct {
		phase Phase
		err   error
		want  report.Status
	}{
		"refused":                    {Dialing, dial(syscall.ECONNREFUSED), report.ConnectionRefused},
		"reset in the dial":          {Dialing, dial(syscall.ECONNRESET), report.ConnectionReset},
		"no route to the host":       {Dialing, dial(syscall.EHOSTUNREACH), report.HostUnreachable},
		"no route to the network":    {Dialing, dial(syscall.ENETUNREACH), report.NetworkUnreachable},
		"the kernel's own timeout":   {Dialing, dial(syscall.ETIMEDOUT), report.ConnectionTimeout},
		"our limit on the dial":      {Dialing, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, report.ConnectionTimeout},
		"a context's deadline":       {Dialing, context.DeadlineExceeded, report.ConnectionTimeout},
		"no descriptor":              {Dialing, dial(syscall.EMFILE), report.LocalFDLimit},
		"no descriptor anywhere":     {Dialing, dial(syscall.ENFILE), report.LocalFDLimit},
		"no local port":              {Dialing, dial(syscall.EADDRNOTAVAIL), report.LocalPortExhausted},
		"a bare errno":               {Talking, syscall.EPIPE, report.ConnectionReset},
		"an errno without a word":    {Dialing, syscall.EINVAL, report.LocalError},
		"our limit on the handshake": {Shaking, os.ErrDeadlineExceeded, report.TLSTimeout},
		"our limit on the echo":      {Talking, os.ErrDeadlineExceeded, report.IOTimeout},
		"keep-alive gave up":         {Talking, syscall.ETIMEDOUT, report.IOTimeout},
		"the peer's FIN":             {Talking, io.EOF, report.ConnectionClosed},
		"its FIN in the line":        {Talking, io.ErrUnexpectedEOF, report.ConnectionClosed},
		"its FIN as gnet has it":     {Talking, os.NewSyscallError("read", io.EOF), report.ConnectionClosed},
		"its FIN in the handshake":   {Shaking, io.EOF, report.ConnectionClosed},
		"reset in the handshake":     {Shaking, &net.OpError{Op: "read", Err: syscall.ECONNRESET}, report.ConnectionReset},
		"an alert":                   {Shaking, &net.OpError{Op: "remote error", Err: tls.AlertError(40)}, report.HandshakeError},
		"no TLS at all":              {Shaking, tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, report.HandshakeError},
		"a certificate":              {Shaking, &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, report.CertificateError},
		"cancelled":                  {Dialing, fmt.Errorf("dial: %w", context.Canceled), report.Cancelled},
		"closed by us":               {Talking, &net.OpError{Op: "read", Err: net.ErrClosed}, report.Cancelled},
		"what can't be told":         {Talking, errors.New("out of cheese"), report.LocalError},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := StatusOf(tt.phase, tt.err); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestParseWorkload(t *testing.T) {
	for _, w := range []Workload{Connect, TLS, Hold, Echo} {
		if got, err := ParseWorkload(w.String()); got != w || err != nil {
			t.Errorf("%v: got %v, %v", w, got, err)
		}
	}
	if _, err := ParseWorkload("request"); err == nil {
		t.Error("a workload that does not exist was taken")
	}
}
