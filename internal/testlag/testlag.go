// Package testlag is for tests that hold times against bounds: it measures what a busy machine takes away meanwhile, so that the
// bound can allow for that and no more.
package testlag

import "time"

// Watch has a timer tick each millisecond until stop is called, once, which returns by how much it was late at most: so long this
// process had no CPU, or its goroutines none of each other.
func Watch() (stop func() time.Duration) {
	const every = time.Millisecond
	over, told := make(chan struct{}), make(chan time.Duration)
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		late := time.Duration(0)
		for last := time.Now(); ; {
			select {
			case <-tick.C:
			case <-over:
				told <- max(late, time.Since(last)-every)
				return
			}
			now := time.Now()
			late, last = max(late, now.Sub(last)-every), now
		}
	}()
	return func() time.Duration {
		close(over)
		return <-told
	}
}
