//go:build !linux

package testnet

import (
	"testing"
	"time"
)

// DelaySYNACK skips the test: there are no namespaces here.
func (n *Namespace) DelaySYNACK(t testing.TB, _ time.Duration) {
	t.Skip("testnet: network namespaces are Linux's")
}
