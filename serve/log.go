package serve

import (
	"fmt"
	"sync"

	"github.com/panjf2000/gnet/v2/pkg/logging"
)

// lastError is the logger that gnet is given: it keeps the last error, which may be the reason why the engine ended, and
// prints nothing.
type lastError struct {
	mu   sync.Mutex
	text string
}

var _ logging.Logger = (*lastError)(nil)

// Debugf implements logging.Logger.
func (*lastError) Debugf(string, ...any) {}

// Infof implements logging.Logger.
func (*lastError) Infof(string, ...any) {}

// Warnf implements logging.Logger.
func (*lastError) Warnf(string, ...any) {}

// Errorf implements logging.Logger.
func (l *lastError) Errorf(format string, args ...any) {
	l.mu.Lock()
	l.text = fmt.Sprintf(format, args...)
	l.mu.Unlock()
}

// Fatalf implements logging.Logger. It does not exit: that is for cmd to decide.
func (l *lastError) Fatalf(format string, args ...any) { l.Errorf(format, args...) }

func (l *lastError) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text
}
