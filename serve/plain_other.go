//go:build !linux

package serve

import (
	"errors"
	"sync/atomic"
)

// hasPlain: the services play all healthy kinds here.
const hasPlain = false

type plain struct {
	ended chan struct{}
	err   error
}

func startPlain([]site, int, int, *atomic.Int64) (*plain, error) {
	return nil, errors.ErrUnsupported
}

func (*plain) close() {}
