package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"sonde/report"
)

// Phase is where an operation failed.
type Phase uint8

// The phases.
const (
	Dialing Phase = iota // no connection yet
	Shaking              // in the TLS handshake
	Talking              // established
)

// StatusOf is the word for err, which is not nil and is what a transport answered in that phase. One table serves all
// transports, so that the same trouble has the same word. It tells by type and errno, never by text; what can't be told
// is a local error.
//
// Package net does not say whether an errno comes from connect(2) itself or over the network, so that both have one word
// here, unlike in a scan's records.
func StatusOf(phase Phase, err error) report.Status {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return ofErrno(phase, errno)
	}
	var untrusted *tls.CertificateVerificationError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed):
		return report.Cancelled
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return ofTimeout(phase)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return report.ConnectionClosed
	case errors.As(err, &untrusted):
		return report.CertificateError
	case phase == Shaking:
		return report.HandshakeError
	}
	return report.LocalError
}

// ofErrno maps the errnos of socket(2), connect(2), tcp(7) and of reading and writing.
func ofErrno(phase Phase, errno syscall.Errno) report.Status {
	switch errno {
	case syscall.ECONNREFUSED:
		return report.ConnectionRefused
	case syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED:
		return report.ConnectionReset
	case syscall.ETIMEDOUT:
		return ofTimeout(phase)
	case syscall.EHOSTUNREACH, syscall.EHOSTDOWN:
		return report.HostUnreachable
	case syscall.ENETUNREACH, syscall.ENETDOWN:
		return report.NetworkUnreachable
	case syscall.EMFILE, syscall.ENFILE:
		return report.LocalFDLimit
	case syscall.EADDRNOTAVAIL:
		return report.LocalPortExhausted
	}
	return report.LocalError
}

func ofTimeout(phase Phase) report.Status {
	switch phase {
	case Dialing:
		return report.ConnectionTimeout
	case Shaking:
		return report.TLSTimeout
	}
	return report.IOTimeout
}
