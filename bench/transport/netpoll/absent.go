//go:build !darwin && !(linux && (amd64 || arm64))

package netpoll

import (
	"context"
	"errors"

	"sonde/bench/transport"
)

// Transport is netpoll where it can't be built: it supports nothing.
type Transport struct{}

var _ transport.Transport = Transport{}

const absent = "cloudwego/netpoll does not build on this platform"

// Name implements [transport.Transport].
func (Transport) Name() string { return "netpoll" }

// Supports implements [transport.Transport].
func (Transport) Supports(transport.Workload) (ok bool, why string) { return false, absent }

// Run implements [transport.Transport]. It fails.
func (Transport) Run(context.Context, transport.Job) (transport.Result, error) {
	return transport.Result{}, errors.New(absent)
}
