//go:build !linux

package takeover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// A takeover needs Linux: SO_PEERCRED says who asks.
var errPlatform = fmt.Errorf("a takeover: %w on this system", errors.ErrUnsupported)

// Conn is none here.
type Conn struct{}

// Listener is none here.
type Listener struct{}

// Listen fails.
func Listen(string, bool) (*Listener, error) { return nil, errPlatform }

// Accept fails.
func (*Listener) Accept() (*Conn, error) { return nil, errPlatform }

// Close does nothing.
func (*Listener) Close() {}

// Remove does nothing.
func (*Listener) Remove() {}

// Dial fails.
func Dial(string) (*Conn, error) { return nil, errPlatform }

// Close does nothing.
func (*Conn) Close() {}

func (*Conn) until(context.Context) func() bool { return func() bool { return true } }

func (*Conn) limit(time.Duration) {}

func (*Conn) send(kind, []byte, []int) error { return errPlatform }

func (*Conn) receive() (kind, []byte, []int, error) { return 0, nil, nil, errPlatform }

func isServed(string) bool { return false }

func isDeath(error) bool { return false }

func closeAll([]int) {}

func listenersOf([]int) ([]net.Listener, error) { return nil, errPlatform }
