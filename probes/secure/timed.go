package secure

import "sonde/protocol"

var _ protocol.Timed = (*exchange)(nil)

// Arrived implements [protocol.Timed], for an inner exchange that does.
func (e *exchange) Arrived(at, now int64) {
	if inner, ok := e.inner.(protocol.Timed); ok && e.begun {
		inner.Arrived(at, now)
	}
}

// Inner is what the exchange within found, nil if there was none or it found nothing.
func (f *finding) Inner() protocol.Finding { return f.inner }
