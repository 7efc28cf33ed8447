package serve

import "sonde/internal/testpeer"

// isPlain reports whether plain serves the kind, where the platform has it: those that keep nothing of a connection between
// two reads.
func isPlain(k testpeer.Kind) bool { return hasPlain && (k == testpeer.Sink || k == testpeer.Echo) }
