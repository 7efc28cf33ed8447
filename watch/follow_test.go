package watch

import (
	"testing"
	"time"

	"sonde/internal/testpeer"
)

// TestChangedAtOnce: a file that changes just after it was read is noticed, though nobody was told.
func TestChangedAtOnce(t *testing.T) {
	sink := peer(t, testpeer.Sink)
	p := start(t, connects)
	p.write(connects + "jobs:\n" + job("a", "connect", time.Hour, "", sink))
	p.until("watching what the file names", func() bool { return len(p.views()) == 1 })
}
